"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pipeline
import sandbox
import transforms

MODULES = sorted(
    found.name
    for package in (transforms, pipeline, sandbox)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__")
)


def test_examples_are_true() -> None:
    results = {name: doctest.testmod(importlib.import_module(name)) for name in MODULES}
    assert [name for name, result in results.items() if result.failed] == []
    assert sum(result.attempted for result in results.values()) > 50
