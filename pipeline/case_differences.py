"""What differs between a payload that was expected and the one that came, a line for each place."""

import json
from collections.abc import Iterator
from typing import Any


def differences(expected: Any, got: Any, *, whole: bool, path: str = "") -> Iterator[str]:
    """Yields a line for each difference.

    Args:
      expected: what a case says.
      got: what came.
      whole: fields that are not expected count as differences; else a part of an object is enough. Lists are compared
        wholly in both cases.
      path: of both values in their payload.

    >>> list(differences({"a": 1, "b": [{"c": 2}]}, {"a": 1.0, "b": [{"c": "2", "d": 3}]}, whole=False))
    ['b[0].c: expected 2, got "2"']
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            inner = f"{path}.{key}" if path else key
            if key in got:
                yield from differences(value, got[key], whole=whole, path=inner)
            else:
                yield f"{inner}: expected {written(value)}, got nothing"
        for key in got if whole else ():
            if key not in expected:
                yield f"{path}.{key}: not expected, got {written(got[key])}".lstrip(".")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for number, (value, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(value, other, whole=whole, path=f"{path}[{number}]")
    elif not _equal(expected, got):
        yield f"{path}: expected {written(expected)}, got {written(got)}"


def written(value: Any) -> str:
    """Returns a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _equal(expected: Any, got: Any) -> bool:
    # 1 is 1.0 in JSON, and True is not 1.
    return isinstance(expected, bool) is isinstance(got, bool) and bool(expected == got)
