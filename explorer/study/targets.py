"""What a study evaluates: a hardwired machine or an accelerator in closed form, a serving simulation, or a function."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.study import closed_forms, serving
from hwbase import InputError, unknown_name

#: Rows to columns: numbers or arrays (points,) by name in, arrays (points,) by name out.
Evaluate = Callable[[Mapping[str, Any], int], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Target:
    """How points are evaluated: all of a piece in one call (`vectorised`) or one by one.

    `known` returns the names that may be varied or fixed, given those that are fixed; None takes any name.
    """

    name: str
    evaluate: Evaluate
    vectorised: bool
    known: Callable[[Mapping[str, Any]], set[str]] | None


TARGETS = {
    "hardwired": Target("hardwired", closed_forms.hardwired_points, True, closed_forms.hardwired_names),
    "accelerator": Target("accelerator", closed_forms.accelerator_points, True, closed_forms.accelerator_names),
    "serving": Target("serving", serving.serving_points, False, serving.serving_names),
}


def target(given: str | Callable[..., Any], vectorised: bool | None = None) -> Target:
    """Return one of `TARGETS` by name, or a function: given as such or as "package.module:function".

    A function takes its parameters by name and returns its outputs by name; `vectorised`, it gets arrays (points,)
    and returns arrays, otherwise numbers. Raises `InputError` for what is neither.
    """
    if isinstance(given, str) and ":" not in given:
        if given not in TARGETS:
            raise unknown_name("evaluate", given, [*TARGETS, "package.module:function"])
        return TARGETS[given]
    function = _import(given) if isinstance(given, str) else given
    if not callable(function):
        raise InputError(f"evaluate = {given!r}: expected one of {', '.join(TARGETS)}, or a function")
    name = given if isinstance(given, str) else f"{function.__module__}:{function.__qualname__}"
    return Target(name, _calls(name, function), bool(vectorised), _parameters(function))


def _calls(name: str, function: Callable[..., Any]) -> Evaluate:
    def evaluate(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
        found = function(**inputs)
        if not isinstance(found, Mapping) or not found:
            raise InputError(f"{name} returned {type(found).__name__}: expected a mapping of outputs by name")
        columns = {}
        for key, value in found.items():
            values = np.asarray(value)
            if values.ndim > 1 or values.size not in (1, points):
                raise InputError(f"{name}: output {key} has the shape {values.shape}: expected ({points},)")
            columns[str(key)] = np.broadcast_to(values, (points,))
        return columns

    return evaluate


def _parameters(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], set[str]] | None:
    """Names that `function` takes, or None where it takes any or does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    return lambda fixed: {each.name for each in parameters}


def _import(text: str) -> Any:
    module, _, function = text.partition(":")
    try:
        found = importlib.import_module(module)
    except (ImportError, ValueError) as error:
        raise InputError(f"evaluate = {text!r}: cannot import {module!r} ({error})") from None
    if not hasattr(found, function):
        raise unknown_name(f"function of {module}:", function, [name for name in vars(found) if name[:1] != "_"])
    return getattr(found, function)
