"""Targets of a study: machines in closed form, an index on a fleet, a serving simulation, or a function."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from explorer.study import closed_forms, scanning, serving
from explorer.study.columns import one_line
from hwbase import InputError, unknown_name

#: Maps rows to columns: numbers or arrays (points,) by name in, arrays (points,) by name out.
Evaluate = Callable[[Mapping[str, Any], int], dict[str, np.ndarray]]
#: Columns that every study adds.
OWN_COLUMNS = ("point", "feasible")


@dataclass(frozen=True)
class Target:
    """How points are evaluated: all points of a piece in one call (`vectorised`) or one by one.

    `known` returns the names that may be varied or fixed, given those that are fixed; None takes any name. `needed`
    are names that must be given. `check` raises `InputError` for a value, of those that are fixed or can be chosen
    by name, that no point can have. `asked` maps parameters that only ask for something to the output that says what
    came of it; `renamed` maps names of earlier versions to those of today. `named` says that columns, parameters and
    constants are those of the registry, so that their values may be written with units. `outputs` are the columns that
    points may have; None where only evaluating says it. `reads` returns which of the names of one point are read, all
    settings among them; None where nothing says it.
    """

    name: str
    evaluate: Evaluate
    vectorised: bool
    known: Callable[[Mapping[str, Any]], set[str]] | None
    needed: frozenset[str] = frozenset()
    check: Callable[[Mapping[str, Sequence[Any]]], None] | None = None
    asked: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    named: bool = True
    outputs: frozenset[str] | None = None
    reads: Callable[[Mapping[str, Any]], set[str]] | None = None


TARGETS = {
    "hardwired": Target(
        "hardwired",
        closed_forms.hardwired_points,
        True,
        closed_forms.hardwired_names,
        check=closed_forms.check_hardwired,
        asked={closed_forms.CHIPS_ASKED: "chips"},
        renamed={"chips": closed_forms.CHIPS_ASKED},
        outputs=frozenset(closed_forms.HARDWIRED_OUTPUTS),
        reads=closed_forms.hardwired_reads,
    ),
    "accelerator": Target(
        "accelerator",
        closed_forms.accelerator_points,
        True,
        closed_forms.accelerator_names,
        check=closed_forms.check_accelerators,
        outputs=frozenset(closed_forms.ACCELERATOR_OUTPUTS),
        reads=closed_forms.accelerator_reads,
    ),
    "scan": Target(
        "scan",
        scanning.scan_points,
        False,
        scanning.scan_names,
        scanning.NEEDED,
        check=scanning.check_scan,
        outputs=frozenset(scanning.OUTPUTS),
        reads=scanning.scan_reads,
    ),
    "serving": Target(
        "serving",
        serving.serving_points,
        False,
        serving.serving_names,
        check=serving.check_settings,
        outputs=frozenset(serving.OUTPUTS),
        reads=serving.serving_reads,
    ),
}


@dataclass(frozen=True)
class Elsewhere:
    """A function that cannot be imported here; its results can still be shown."""

    name: str

    def __call__(self, **inputs: Any) -> Any:
        raise InputError(f"evaluate = {self.name!r} cannot be imported here: results can be shown, not computed")


def target(function_or_name: str | Callable[..., Any], vectorised: bool | None = None) -> Target:
    """Return one of `TARGETS` by name, or a function: an object or "package.module:function".

    A function takes its parameters by name and returns its outputs by name: arrays (points,) if `vectorised`, otherwise
    numbers. Raises `InputError` for anything else.
    """
    if not isinstance(vectorised, (bool, type(None))):
        raise InputError(f"vectorised = {vectorised!r}: expected true or false")
    if isinstance(function_or_name, str) and not names_code(function_or_name):
        if function_or_name not in TARGETS:
            raise unknown_name("evaluate", function_or_name, [*TARGETS, "package.module:function"])
        return TARGETS[function_or_name]
    function = _import(function_or_name) if isinstance(function_or_name, str) else function_or_name
    if not callable(function):
        raise InputError(f"evaluate = {function_or_name!r}: expected one of {', '.join(TARGETS)}, or a function")
    name = function_or_name if isinstance(function_or_name, str) else _name(function)
    known, needed = _parameters(function)
    return Target(name, _calls(name, function), bool(vectorised), known, needed, named=False)


def _calls(name: str, function: Callable[..., Any]) -> Evaluate:
    def evaluate(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
        # Copies, since a function may work in place.
        outputs = function(**{key: np.array(value) if np.ndim(value) else value for key, value in inputs.items()})
        if not isinstance(outputs, Mapping) or not outputs:
            raise InputError(f"{name} returned {type(outputs).__name__}: expected a mapping of outputs by name")
        return {str(key): _output(f"{name}: output {key}", str(key), value, points) for key, value in outputs.items()}

    return evaluate


def _output(what: str, key: str, value: Any, points: int) -> np.ndarray:
    """Return an output as an array (points,) of floats, flags or texts; None is a missing value."""
    if key in OWN_COLUMNS or key.startswith("meets "):
        raise InputError(f"{what}: every study has a column of this name; choose another")
    try:
        values = _in_order(what, value, points)
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{what} is a list of lists of different lengths: expected ({points},)") from None
    if values.ndim > 1 or values.size not in (1, points):
        raise InputError(f"{what} has the shape {values.shape}: expected ({points},)")
    if values.dtype.kind in "TU":
        values = values.astype(object)
    if values.dtype.kind not in "biufUO":
        raise InputError(f"{what} is {values.dtype.name}: expected numbers, flags or texts")
    if key == "failure":
        values = _reasons(what, values)
    elif values.dtype.kind == "O":
        values = _uniform(what, values)
    return np.broadcast_to(values, (points,))


def _in_order(what: str, value: Any, points: int) -> np.ndarray:
    """Return an output as an array: masked values are missing, and a Series is put in the order of the points."""
    if isinstance(value, pd.Series):
        order = pd.RangeIndex(points)
        if not value.index.is_unique or len(value) != points or not value.index.isin(order).all():
            raise InputError(f"{what} is a Series whose index is not 0 to {points - 1}: expected that, or an array")
        value = value.reindex(order).to_numpy()
    if isinstance(value, np.ma.MaskedArray):
        numbers = value.dtype.kind in "iuf"
        plain = np.ma.getdata(value).astype(float if numbers else object)
        plain[np.ma.getmaskarray(value)] = np.nan if numbers else None
        return plain
    return np.asarray(value)


def _reasons(what: str, values: np.ndarray) -> np.ndarray:
    """Return the reasons of failed points that the function reports: a text, or None."""
    reasons = values.astype(object)
    reasons[missing(values)] = None
    if not all(isinstance(reason, (str, type(None))) for reason in reasons.flat):
        raise InputError(f"{what}: expected None, or a text that says why a point failed")
    lines = [None if reason is None else one_line(reason) or "no reason given" for reason in reasons.flat]
    return np.array(lines, dtype=object).reshape(reasons.shape)


def _uniform(what: str, values: np.ndarray) -> np.ndarray:
    kinds = {_KINDS.get(type(value), "") for value in values[~missing(values)].flat}
    if kinds <= {"number"}:
        return values.astype(float)
    if kinds == {"text"}:
        _check_text(what, values)
    if len(kinds) > 1 or "" in kinds:
        odd = next((type(value).__name__ for value in values.flat if type(value) not in _KINDS), "a mixture")
        raise InputError(f"{what} is {odd}: expected numbers, flags or texts, one kind of them")
    filled = values.copy()
    filled[missing(values)] = None
    return filled


def _check_text(what: str, values: np.ndarray) -> None:
    for value in set(values[~missing(values)].flat):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"{what} = {value!r}: expected a text that can be written as UTF-8") from None


_KINDS = {float: "number", int: "number", bool: "flag", str: "text"}
_KINDS |= {np.float64: "number", np.float32: "number", np.int64: "number", np.int32: "number"}
_KINDS |= {np.bool_: "flag", np.str_: "text"}


def missing(values: np.ndarray) -> np.ndarray:
    """Return where an array of any type has None or NaN."""
    return np.asarray(pd.isna(values))


def _parameters(
    function: Callable[..., Any],
) -> tuple[Callable[[Mapping[str, Any]], set[str]] | None, frozenset[str]]:
    """Return the parameter names of `function` (None if it takes any or has no signature), and its required ones."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None, frozenset()
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    taken = {each.name for each in parameters if each.kind in by_name}
    needed = {each.name for each in parameters if each.name in taken and each.default is each.empty}
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None, frozenset(needed)
    return lambda fixed: taken, frozenset(needed)


def _name(function: Callable[..., Any]) -> str:
    """Return the name of a function for messages and files; a callable object has its type's name."""
    if isinstance(function, Elsewhere):
        return function.name
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def names_code(evaluate: Any) -> bool:
    """Return whether `evaluate`, as it stands in a file, names a Python function."""
    return isinstance(evaluate, str) and ":" in evaluate


def _import(text: str) -> Any:
    """Return the function that a text names. Raises `InputError`; a module of Python itself is refused unread."""
    module, _, function = text.partition(":")
    if _is_pythons_own(module):
        raise _pythons_own(text)
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        raise InputError(f"evaluate = {text!r}: cannot import {module!r} ({_first_line(error)})") from None
    if not hasattr(imported, function):
        raise unknown_name(f"function of {module}:", function, [name for name in vars(imported) if name[:1] != "_"])
    named = getattr(imported, function)
    if inspect.isroutine(named) and _is_pythons_own(getattr(named, "__module__", None) or ""):
        raise _pythons_own(text)
    return named


def _is_pythons_own(module: str) -> bool:
    return module.partition(".")[0] in (*sys.stdlib_module_names, *sys.builtin_module_names)


def _pythons_own(text: str) -> InputError:
    return InputError(f"evaluate = {text!r} is a function of Python itself: expected one in a module of yours")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
