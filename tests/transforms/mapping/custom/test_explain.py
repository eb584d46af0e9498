"""`preview --explain` and `check --lint`: why a mapping matched or did not, and where each field came from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli

MAPPINGS = """
custom_mappings:
  - name: order
    match: {product_action: purchase, attributes: {method: [card, paypal]}, products: {category: shoes}}
    send: Purchase
    parameters:
      content_id: {product_field: id}
      price: {product_field: price}
      value: {event_field: total_amount}
      currency: {event_field: currency}
      description: {event_attribute: note}
  - name: paid sign-up
    match: {message_type: custom_event, event: Sign Up}
    send: Subscribe
    parameters: {value: {event_attribute: price, required: true}, currency: {constant: EUR}}
  - name: sign-up
    match: {message_type: custom_event, custom_event_type: other}
    send: [Subscribe, Lead]
"""

Run = Callable[..., str]

pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line and returns its output."""

    def run(*words: str) -> str:
        cli.main(list(words))
        return capsys.readouterr().out

    return run


@pytest.fixture
def explain(shop: Any, run: Run, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Returns the lines of `preview --explain --json` for some events."""

    def explain(*events: dict[str, Any], form: str = "web", **fields: Any) -> list[dict[str, Any]]:
        (tmp_path / "m.json").write_text(json.dumps(shop.batch(*events, **fields)))
        out = run(
            "preview", str(tmp_path / "m.json"), "--connection", shop.write(MAPPINGS, form), "--explain", "--json"
        )
        return [json.loads(line) for line in out.splitlines()]

    return explain


def test_an_event_without_products_has_none_to_read_from(shop: Any, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(shop.batch(shop.commerce(products=[]))))
    parameters = "{price: {product_field: price}}"
    mapping = f"custom_mappings: [{{match: {{product_action: purchase}}, send: Purchase, parameters: {parameters}}}]"
    (line,) = run("preview", str(path), "--connection", shop.write(mapping), "--explain", "--json").splitlines()
    (trace,) = json.loads(line)["explanation"]["mappings"]
    (parameter,) = trace["events"][0]["parameters"]
    assert parameter["result"] == "missing: the event has no products"


def test_what_does_not_hold_is_named_and_no_value_of_an_attribute(shop: Any, explain: Any) -> None:
    (line,) = explain(shop.commerce(attributes={"method": "secret-value"}, products=[{"category": "hats"}]))
    (trace,) = line["explanation"]["mappings"]
    assert trace == {
        "mapping": "order",
        "matched": False,
        "failed": ['attribute "method" is "card" or "paypal"', 'product category is "shoes"'],
        "events": [],
    }
    assert line["explanation"]["others"] == 2
    assert "secret-value" not in json.dumps(line)


def test_each_parameter_says_what_became_of_it(shop: Any, explain: Any) -> None:
    products = [{"id": "A", "category": "shoes", "price": 3}, {"id": "B", "category": "shoes"}, {"id": "C"}]
    event = shop.commerce(attributes={"method": "Card", "note": "ada@example.com"}, products=products, total="much")
    (line,) = explain(event)
    (made,) = line["explanation"]["mappings"][0]["events"]
    assert (made["event"], made["result"]) == ("Purchase", "sent")
    assert {one["parameter"]: (one["source"], one["result"]) for one in made["parameters"]} == {
        "content_id": ("product field id", "given by 2 products"),
        "price": ("product field price", "given by 1 of 2 products, else missing"),
        "value": ("event field total_amount", "left out: of another type"),
        "currency": ("event field currency", "missing"),
        "description": ('event attribute "note"', "left out: it identifies a person"),
    }


def test_each_event_says_whether_it_is_sent(shop: Any, explain: Any) -> None:
    lines = explain(shop.custom_event(custom_event_type="other"))
    assert [(line["action"], line["reason"]) for line in lines] == [
        ("rejected", "missing_parameter"),
        ("send", None),
        ("send", None),
    ]
    results = [[event["result"] for event in trace["events"]] for trace in lines[0]["explanation"]["mappings"]]
    assert results == [["not sent: value is required and missing"], ["sent", "sent"]]
    lines = explain(shop.custom_event(custom_event_type="other", attributes={"price": 1}))
    results = [[event["result"] for event in trace["events"]] for trace in lines[0]["explanation"]["mappings"]]
    assert results == [["sent"], ["another mapping sends it already", "sent"]]


@pytest.mark.parametrize("form", ["web", "legacy", "offline"])
@pytest.mark.parametrize("mapped", [True, False])
def test_every_field_that_is_sent_has_its_source(shop: Any, explain: Any, form: str, mapped: bool) -> None:
    event = shop.commerce(
        attributes={"method": "card" if mapped else "cash", "note": "x"},
        currency_code="USD",
        products=[{"id": "A", "name": "n", "brand": "b", "category": "shoes", "price": 3}],
        fields={"transaction_id": "ORD"},
        custom_flags={
            "TikTok.URL": "https://shop.example.com/",
            "TikTok.Referrer": "https://shop.example.com/r",
            "TikTok.Callback": "E.C.P.abc",
        },
    )
    fields = {
        "user_identities": {"email": "ada@example.com", "mobile_number": "+12125550142", "customer_id": "7"},
        "user_attributes": {
            **{"$FirstName": "Ada", "$LastName": "L", "$Zip": "1", "$City": "NY"},
            **{"$State": "NY", "$Country": "US"},
        },
        "partner_identities": {"tiktok_cookie_id": "cookie"},
    }
    (line,) = explain(event, form=form, **fields)
    sources = line["explanation"]["fields"]
    assert [path for path, source in sources.items() if not source] == []
    assert sources["event"] == ("custom mapping: order" if mapped else "product action")
    assert sources["properties.value"] == ("event field total_amount" if mapped else "product_action.total_amount")
    written = json.dumps(line["body"])
    assert all(f'"{path.rsplit(".", 1)[-1].removesuffix("[]")}"' in written for path in sources)


def test_what_the_mapping_decided_changes_the_source(shop: Any, explain: Any) -> None:
    event = shop.commerce(
        total=None, custom_flags=..., page_url="https://x.example.com/?ttclid=E.C.P.abc", source_message_id=...
    )
    (line,) = explain(event)
    sources = line["explanation"]["fields"]
    assert sources["page.url"] == "data.page_url"
    assert sources["user.ttclid"] == "the page URL's parameter ttclid"
    assert sources["properties.value"] == "sum of price × quantity"
    assert sources["event_id"] == "digest of the event's own content"


def test_the_readable_form_says_the_same(shop: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(shop.batch(shop.custom_event(custom_event_type="other"))))
    out = run("preview", str(tmp_path / "m.json"), "--connection", shop.write(MAPPINGS), "--explain")
    assert "+ paid sign-up: matches" in out
    assert "Subscribe: not sent: value is required and missing" in out
    assert 'value <- event attribute "price": missing' in out
    assert "1 custom mapping(s) are for other types of events" in out
    assert "page.url         <- custom flag" in out
    assert "explanation" not in run("preview", str(tmp_path / "m.json"), "--connection", shop.write(MAPPINGS), "--json")


@pytest.mark.usefixtures("own_process")
def test_lint_warns_of_mappings_that_no_event_of_a_sample_matches(shop: Any, run: Run, tmp_path: Path) -> None:
    sample = tmp_path / "sample.ndjson"
    lines = [shop.batch(shop.custom_event()), shop.batch(shop.commerce(), shop.screen("x"))]
    sample.write_text("\n".join(map(json.dumps, lines)))
    path = shop.write(MAPPINGS)
    report = json.loads(run("check", path, "--lint", "--sample", str(sample), "--json"))
    found = [one for one in report["warnings"] if one["key"].startswith("custom_mappings")]
    lines_of = {
        name: number
        for number, line in enumerate(Path(path).read_text().splitlines(), 1)
        for name in ("- name: order", "send: Subscribe", "- name: sign-up")
        if line.strip() == name
    }
    assert [(one["where"].rpartition(":")[0], one["key"]) for one in found] == [
        (f"{path}:{lines_of['- name: order']}", "custom_mappings[1]"),
        (f"{path}:{lines_of['send: Subscribe']}", "custom_mappings[2].send[1]"),
        (f"{path}:{lines_of['- name: sign-up']}", "custom_mappings[3]"),
    ]
    assert [one["text"] for one in found] == [
        "order: no event of the sample matches it (3 looked at). See `preview --explain` for what does not hold.",
        "paid sign-up: 1 of the sample match, and Subscribe is never sent: not sent: value is required and missing.",
        "sign-up: no event of the sample matches it (3 looked at). See `preview --explain` for what does not hold.",
    ]


def test_lint_without_a_sample_looks_at_the_cases(shop: Any, run: Run) -> None:
    event = "{event_type: custom_event, data: {event_name: sign up, custom_attributes: {price: 1}}}"
    text = f"{MAPPINGS}cases: [{{name: a, event: {event}, expect: {{event: Subscribe}}}}]"
    report = json.loads(run("check", shop.write(text), "--lint", "--json"))
    texts = [one["text"] for one in report["warnings"] if one["key"].startswith("custom_mappings")]
    assert [text.partition(":")[0] for text in texts] == ["order", "sign-up"]
    assert "there is nothing to lint" in run("check", shop.write(""), "--lint")
