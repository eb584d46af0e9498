"""YAML that can be used, and YAML that cannot: every problem has its place."""

from collections.abc import Callable

import pytest

from pipeline.errors import Finding

Write = Callable[[str], str]
Problems = Callable[..., list[Finding]]


def test_endless_nesting_is_refused(write: Write, problems: Problems) -> None:
    problem, *_ = problems(write("a: " + "[" * 20_000))
    assert "nested deeper than any setting" in str(problem)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("event_source_id: A1\nevent_source_id: A2\n", "2:1", "this key occurs twice, first at connection.yaml:1:1"),
        ("event_source_id: A1\ninput: 'web\n", "3:1", "this is not YAML"),
        ("event_source_id: A1\n\tinput: web\n", "2:1", "this is not YAML"),
        ("event_source_id: A1\n---\ninput: web\n", "2:1", "this is not YAML"),
        ("event_source_id: A1\ninput: !!python/name:os.system web\n", "2:8", "a tag (a word after !) has no meaning"),
        ("event_source_id: A1\n? [a, b]\n: 1\n", "2:3", "a key is a list or a mapping"),
        ("event_source_id: A1\n<<: {input: web}\n", "2:1", "merge keys (<<) have no meaning"),
    ],
    ids=["twice", "quote", "tab", "documents", "tag", "key", "merge"],
)
def test_yaml_that_cannot_be_used_is_refused_with_its_place(
    write: Write, text: str, where: str, said: str, problems: Problems
) -> None:
    found = [problem for problem in problems(write(text)) if problem.where == f"connection.yaml:{where}"]
    assert len(found) == 1
    assert said in found[0].text


def test_aliases_cannot_grow_without_bound(write: Write, problems: Problems) -> None:
    levels = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30))
    found = problems(write(f"event_source_id: A1\nx0: &x0 [x]\n{levels}"))
    assert {problem.text.split(".")[0] for problem in found} == {"unknown key"}


def test_an_alias_of_what_it_is_part_of_is_refused(write: Write, problems: Problems) -> None:
    found = problems(write("event_source_id: A1\nconsent: &a {gdpr_purpose: *a}\n"))
    assert "an alias refers to what it is part of" in found[0].text
