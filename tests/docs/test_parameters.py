"""Docstrings of public functions with more than three parameters describe each of them in a NumPy-style section."""

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

PACKAGES = ("hwbase", "models", "costmodel", "hwsim", "explorer")
MOST_WITHOUT_A_SECTION = 3
SECTION = re.compile(r"^Parameters\n-{10}\n(.*?)(?=\n\n\w+\n-+\n|\Z)", re.MULTILINE | re.DOTALL)


def described(docstring: str) -> set[str]:
    """Return the names in the Parameters section: lines such as `low, high : float`."""
    section = SECTION.search(docstring)
    lines = re.findall(r"^(\S[^:\n]*?)(?: : \S.*)?$", section.group(1), re.MULTILINE) if section else []
    return {name.strip().lstrip("*") for line in lines for name in line.split(",")}


def functions() -> dict[str, Callable[..., Any]]:
    modules = [importlib.import_module(name) for name in PACKAGES]
    public = {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}
    return {
        name: value
        for name, value in public.items()
        if inspect.isfunction(value) and len(inspect.signature(value).parameters) > MOST_WITHOUT_A_SECTION
    }


@pytest.mark.parametrize("name", functions())
def test_every_parameter_is_described(name: str) -> None:
    function = functions()[name]
    missing = set(inspect.signature(function).parameters) - described(inspect.getdoc(function) or "")
    assert not missing


def test_a_name_that_is_not_described_is_missing() -> None:
    text = "Add.\n\nParameters\n----------\na, b : float\n    Terms.\n**more\n    Others.\n\nReturns\n-------\nc\n"
    assert described(text) == {"a", "b", "more"}
    assert described("Return a sum of a and b.") == set()
