"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import pipeline
import sandbox
import transforms

MODULES = sorted(
    found.name
    for package in (transforms, pipeline, sandbox)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
