"""The JSON Schema of connection files: editors complete and check with it, so it must take what the reader takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline.cli import main as cli
from pipeline.config.json_schema import connection_schema
from transforms.connection import Connection

EXAMPLES = sorted((Path(__file__).resolve().parents[4] / "examples").rglob("*.yaml"))
HEAD = {"event_source_id": "A1"}
MATCH = {"message_type": "custom_event", "event": "Sign Up"}


def errors(document: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(connection_schema()).iter_errors(document)]


def mapped(**changes: Any) -> dict[str, Any]:
    mapping = {"match": MATCH, "send": "Lead", **changes}
    return HEAD | {"custom_mappings": [{key: value for key, value in mapping.items() if value is not ...}]}


@pytest.mark.usefixtures("own_process")
def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == connection_schema()


def test_it_is_a_schema_and_has_every_key_with_its_description() -> None:
    schema = connection_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(Connection.__struct_fields__)
    assert schema["required"] == ["event_source_id"]
    for part in (schema, *schema["$defs"].values()):
        assert all(entry.get("description") for entry in part["properties"].values())


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if not path.stem.endswith(".cases")], ids=lambda path: path.stem
)
def test_it_takes_every_example(path: Path) -> None:
    assert errors(yaml.safe_load(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "email_identity_type: Other 2",
        "external_identity_type: customerid",
        "event_source_type: Legacy Pixel Batch Web",
        "strict_click_id: 'yes'",
        "strict_click_id: true",
        "max_request_bytes: 500_000",
        "requests_per_second: 2.5",
        "environments: production",
        "environments: [production, Development]",
        "default_currency: null",
        "codes: {40050: success}",
        "consent: {gdpr_purpose: marketing, ccpa_opt_out: Limit}",
        "custom_mappings: {match: {product_action: Purchase}, send: {event: Subscribe}}",
        "custom_mappings: [{match: {message_type: Screen View, attributes: {a: 1, b: [true]}}, send: [Lead, Contact]}]",
        "cases: [{name: a, event: {x: [1, {}]}, expect: {outcome: skipped, reason: environment}}]",
        "cases: [{name: a, event: {}, message: null, expect: {event: add to cart, reason: null}}]",
        "custom_mappings: [{match: {message_type: Custom Event}, send: [add-to-cart, {event: COMPLETE_PAYMENT}]}]",
        "custom_mappings: {match: {message_type: custom_event, product_action: null, products: {}}, send: add to cart}",
        "custom_mappings: {match: {message_type: custom_event}, send: 'Lead, complete registration'}",
        "custom_mappings: {match: {product_action: Add To Cart, products: {id: 1}}, send: AddToCart, "
        "parameters: {content_id: {product_field: Id, constant: null}}}",
        "custom_mappings: {match: {message_type: custom_event}, send: [Lead, {event: Search, "
        "parameters: {query: {event_attribute: q}}}], parameters: {description: {constant: a}}}",
    ],
)
def test_it_takes_every_spelling_that_the_reader_takes(shop: Any, text: str) -> None:
    assert shop.read(text)
    assert errors(HEAD | yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        HEAD | {"event_source": "x"},
        HEAD | {"input": "wbe"},
        HEAD | {"requests_per_second": 0},
        HEAD | {"requests_per_second": "many"},
        HEAD | {"max_in_flight": 65},
        HEAD | {"strict_click_id": "perhaps"},
        HEAD | {"email_identity_type": "shoe size"},
        HEAD | {"custom_mappings": "none"},
        mapped(send=...),
        mapped(match=...),
        mapped(match={}),
        mapped(match={"message_type": "custom_evnt"}),
        mapped(match={**MATCH, "products": {"categori": "x"}}),
        mapped(send="Leed"),
        mapped(send=[]),
        mapped(send=["Lead", {"event": "Checkout"}]),
        mapped(parameters={"querry": {"constant": 1}}),
        mapped(parameters={"query": {}}),
        mapped(parameters={"query": {"constant": 1, "event_attribute": "a"}}),
        mapped(parameters={"query": {"constant": 1, "type": "text"}}),
        mapped(parameters={"query": {"product_field": "colour"}}),
        mapped(also_default="perhaps"),
        mapped(send="Lead, Leed"),
        mapped(match={"event": "Sign Up"}),
        mapped(match={**MATCH, "product_action": "purchase"}),
        mapped(match={"message_type": "Screen View", "product_attributes": {"size": 42}}),
        mapped(send="Contact", parameters={"value": {"constant": 1}}),
        mapped(send=["Search", {"event": "lead"}], parameters={"query": {"constant": "a"}}),
        mapped(send={"event": "Lead", "parameters": {"query": {"constant": "a"}}}),
        mapped(parameters={"description": {"constant": ["a", "b"]}}),
        mapped(parameters={"description": {"event_attribute": None}}),
        mapped(unknown=1),
        HEAD | {"cases": [{"event": {}}]},
        HEAD | {"cases": [{"name": "a", "event": {}}]},
        HEAD | {"cases": [{"name": "a", "expect": {"event": "Lead"}}]},
        HEAD | {"cases": [{"name": "a", "event": {}, "message": {}, "expect": {"event": "Lead"}}]},
        HEAD | {"cases": [{"name": "a", "event": {}, "expect": {"event": "Leed"}}]},
        HEAD | {"cases": [{"name": "a", "event": {}, "expect": {"event": "Lead", "outcome": "skipped"}}]},
        HEAD | {"cases": [{"name": "a", "event": {}, "expect": {"event": "Lead", "reason": "environment"}}]},
        HEAD | {"cases": [{"name": "a", "event": {}, "expect": {"payload": {}, "contains": {}}}]},
        HEAD | {"cases": [{"name": "a", "expect": [{"outcome": "delivered"}]}]},
        HEAD | {"cases": [{"name": "a", "expect": [{"outcome": "skipped", "reason": "no_reason"}]}]},
    ],
)
def test_it_refuses_what_the_reader_refuses(shop: Any, document: dict[str, Any]) -> None:
    assert errors(document)
    shop.path.write_text(yaml.safe_dump(document))
    from pipeline.config.loader import read_connection
    from pipeline.errors import ConfigurationError

    with pytest.raises(ConfigurationError):
        read_connection(str(shop.path))
