"""Parameters of a study: real numbers, whole numbers and choices, each optionally under a condition."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.check import ABSURD, count, number
from hwbase.columns import column

#: Most values of a parameter, and most points of a grid; more is taken as a mistake.
MOST_LEVELS = 1_000_000
#: Whole numbers up to here are exact as floats.
_LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Real:
    """A number in [low, high]; `log` spaces samples evenly in its logarithm; a grid takes `levels` values.

    `when` maps other parameters to the value (or values) under which this one is active; elsewhere it is `otherwise`.
    """

    low: float
    high: float
    log: bool = False
    levels: int | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    otherwise: Any = None

    def check(self, name: str) -> None:
        """Raise `InputError` unless the range, its sign and its levels are valid."""
        _check_range(name, self.low, self.high, self.log)
        _check_levels(name, self.levels)
        _check_otherwise(name, self, {"numbers"})

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Return the values at places `unit` in [0, 1)."""
        if self.log:
            spread = np.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        else:
            spread = self.low + unit * (self.high - self.low)
        return np.clip(spread, self.low, self.high)

    def grid(self, name: str) -> np.ndarray:
        """Return the values of a grid, both ends included. Raises `InputError` without `levels`."""
        if self.levels is None:
            raise InputError(f"{name}.levels is missing: a grid needs the number of values of a real parameter")
        if self.levels == 1:
            return self.values(np.array([0.5]))
        levels = self.values(np.linspace(0.0, 1.0, self.levels))
        # Logarithms do not reproduce the ends to the last digit.
        levels[0], levels[-1] = self.low, self.high
        return np.unique(levels)


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high]; otherwise as `Real`. A grid takes every value, or `levels` of them."""

    low: int
    high: int
    log: bool = False
    levels: int | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    otherwise: Any = None

    def check(self, name: str) -> None:
        """Raise `InputError` unless this is a range of whole numbers."""
        _check_range(name, self.low, self.high, self.log)
        for end in ("low", "high"):
            number(f"{name}.{end}", getattr(self, end), low=-_LARGEST_WHOLE, high=_LARGEST_WHOLE, whole=True)
        _check_levels(name, self.levels)
        _check_otherwise(name, self, {"numbers"})

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Return the values at places `unit` in [0, 1), as int64; without `log` all are equally likely."""
        if self.log:
            spread = np.floor(np.exp(math.log(self.low) + unit * (math.log(self.high + 1) - math.log(self.low))))
        else:
            spread = self.low + np.floor(unit * (self.high - self.low + 1))
        return np.clip(spread, self.low, self.high).astype(np.int64)

    def grid(self, name: str) -> np.ndarray:
        """Return the values of a grid. Raises `InputError` for a range that is too long."""
        size = int(self.high) - int(self.low) + 1
        if self.levels is None or self.levels >= size:
            count(f"{name}: values of the grid", size, high=MOST_LEVELS)
            return np.arange(self.low, self.high + 1, dtype=np.int64)
        return np.unique(np.rint(Real(self.low, self.high, self.log, self.levels).grid(name))).astype(np.int64)


@dataclass(frozen=True)
class Choice:
    """One of `choices` (numbers, or texts, or flags); otherwise as `Real`."""

    choices: Sequence[Any]
    when: Mapping[str, Any] = field(default_factory=dict)
    otherwise: Any = None

    def check(self, name: str) -> None:
        """Raise `InputError` unless there are distinct choices of one kind."""
        if not isinstance(self.choices, (list, tuple, np.ndarray)) or not len(self.choices):
            raise InputError(f"{name}.choices = {self.choices!r}: expected a list with at least one value")
        count(f"{name}: number of choices", len(self.choices), high=MOST_LEVELS)
        kinds = {_kind(f"{name}.choices", choice) for choice in self.choices}
        if len(kinds) > 1:
            raise InputError(f"{name}.choices mixes {' and '.join(sorted(kinds))}: expected values of one kind")
        if len(set(self.choices)) < len(self.choices):
            raise InputError(f"{name}.choices repeats a value: expected distinct values")
        _check_otherwise(name, self, kinds)

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Return the choices at places `unit` in [0, 1)."""
        places = np.minimum((unit * len(self.choices)).astype(np.int64), len(self.choices) - 1)
        return self.grid("")[places]

    def grid(self, name: str) -> np.ndarray:
        """Return all choices, in order."""
        texts = any(isinstance(choice, str) for choice in self.choices)
        return np.array(list(self.choices), dtype=object if texts else None)


Parameter = Real | Integer | Choice


def parameter(name: str, given: Any, read: Callable[[str, Any], Any] | None = None) -> Parameter:
    """Return the parameter that `given` describes.

    Parameters
    ----------
    name : str
        The parameter's name.
    given : Real, Integer, Choice, list, tuple or mapping
        A list holds choices; a tuple is a range (low, high) or (low, high, "log"), of whole numbers where both ends are
        ints; a mapping has the fields of one of the three.
    read : function of (name, value), optional
        Turns a value as a person writes it ("128 GB/s", "64K") into a number of the column of that name; without one,
        only the ends of ranges are read, as numbers.

    Raises
    ------
    InputError
        For anything else, and for a value that cannot be read.
    """
    given = _as_read(name, given, read or (lambda other, value: value))
    if isinstance(given, (Real, Integer, Choice)):
        described: Parameter = given
    elif isinstance(given, Mapping):
        described = _from_mapping(name, dict(given))
    elif isinstance(given, tuple) and len(given) in (2, 3) and given[2:] in ((), ("log",)):
        whole = all(isinstance(end, (int, np.integer)) and not isinstance(end, bool) for end in given[:2])
        described = (Integer if whole else Real)(given[0], given[1], log=len(given) == 3)
    elif isinstance(given, (list, np.ndarray)):
        described = Choice(list(given))
    else:
        raise InputError(
            f"parameter {name} = {given!r}: expected a list of choices, a tuple (low, high) or (low, high, 'log'), "
            "or Real, Integer or Choice"
        )
    described.check(name)
    return _in_plain_values(described)


def check_conditions(parameters: Mapping[str, Parameter]) -> None:
    """Raise `InputError` unless every condition names an earlier parameter and values that it can take."""
    earlier: dict[str, Parameter] = {}
    for name, each in parameters.items():
        for other, values in each.when.items():
            if other not in parameters:
                raise unknown_name(f"parameter in {name}.when:", other, parameters)
            if other not in earlier:
                raise InputError(f"{name}.when names {other}, which comes later: expected a parameter above it")
            if isinstance(earlier[other], Real):
                raise InputError(f"{name}.when names {other}, a range: expected one of choices, or of whole numbers")
            if not _listed(values):
                raise InputError(f"{name}.when: {other} has no values: the parameter would never be active")
            for value in _listed(values):
                if not _can_be(earlier[other], value, f"{name}.when: {other}"):
                    raise InputError(f"{name}.when: {other} is never {value!r}: the parameter would never be active")
        earlier[name] = each


def active(parameters: Mapping[str, Parameter], columns: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    """Return where the condition of `name` holds in `columns`, or None if it has none.

    A parameter is inactive where a parameter that it depends on is inactive.
    """
    conditions = parameters[name].when
    if not conditions:
        return None
    holds = np.ones(len(columns[name]), dtype=bool)
    for other, values in conditions.items():
        holds &= np.isin(columns[other], np.asarray(_listed(values), dtype=columns[other].dtype))
        above = active(parameters, columns, other)
        if above is not None:
            holds &= above
    return holds


def _as_read(name: str, stated: Any, read: Callable[[str, Any], Any]) -> Any:
    """Return the description with every text that stands for a number replaced by that number."""

    def end(value: Any) -> Any:
        # Ends of ranges are always numbers.
        value = read(name, value)
        return column(name).read(value) if isinstance(value, str) else value

    def field_of(key: str, value: Any) -> Any:
        if key in ("low", "high"):
            return end(value)
        if key == "choices":
            return [read(name, each) for each in value] if isinstance(value, (list, tuple)) else value
        if key == "when" and isinstance(value, Mapping):
            return {other: _read_each(read, str(other), values) for other, values in value.items()}
        return read(name, value) if key == "otherwise" else value

    if isinstance(stated, np.ma.MaskedArray):
        raise InputError(f"parameter {name} is a masked array: expected the valid values, as a list")
    if isinstance(stated, Mapping):
        return {key: field_of(str(key), value) for key, value in stated.items()}
    if isinstance(stated, (Real, Integer, Choice)):
        return replace(stated, **{key: field_of(key, value) for key, value in vars(stated).items()})
    if isinstance(stated, tuple):
        return (*(end(value) for value in stated[:2]), *stated[2:])
    return [read(name, value) for value in stated] if isinstance(stated, (list, np.ndarray)) else stated


def _read_each(read: Callable[[str, Any], Any], name: str, values: Any) -> Any:
    return [read(name, value) for value in values] if isinstance(values, (list, tuple)) else read(name, values)


def _from_mapping(name: str, fields: dict[str, Any]) -> Parameter:
    whole = fields.get("whole", False)
    kind: Any = Choice if "choices" in fields else Integer if whole else Real
    known = [*kind.__dataclass_fields__, *(() if kind is Choice else ("scale", "whole"))]
    for key in fields:
        if key not in known:
            raise unknown_name(f"field of parameter {name}:", key, known)
    for key in ("choices",) if kind is Choice else ("low", "high"):
        if key not in fields:
            raise InputError(f"{name}.{key} is missing: expected choices, or low and high")
    scale = fields.pop("scale", None)
    if scale is not None:
        if scale not in ("linear", "log"):
            raise unknown_name(f"{name}.scale:", scale, ("linear", "log"))
        fields["log"] = scale == "log"
    if not isinstance(fields.pop("whole", False), bool):
        raise InputError(f"{name}.whole = {whole!r}: expected true or false")
    described: Parameter = kind(**fields)
    return described


def _in_plain_values(parameter: Parameter) -> Parameter:
    """Return the parameter in plain Python numbers and lists, which a file can hold."""
    when = {str(other): [_plain(v) for v in _listed(values)] for other, values in parameter.when.items()}
    same: dict[str, Any] = {"when": when, "otherwise": _plain(parameter.otherwise)}
    if isinstance(parameter, Choice):
        return replace(parameter, choices=[_plain(value) for value in parameter.choices], **same)
    same["levels"] = None if parameter.levels is None else int(parameter.levels)
    if isinstance(parameter, Integer):
        return replace(parameter, low=int(parameter.low), high=int(parameter.high), **same)
    return replace(parameter, low=float(parameter.low), high=float(parameter.high), **same)


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    # A number beyond a float's range is left for the checks.
    large = type(value) is int and _LARGEST_WHOLE < abs(value) <= ABSURD
    return float(value) if large else value


def _check_levels(name: str, levels: Any) -> None:
    if levels is None:
        return
    if np.ndim(levels):
        raise InputError(f"{name}.levels = {levels!r}: expected a whole number")
    count(f"{name}.levels", levels, low=1, high=MOST_LEVELS)


def _check_otherwise(name: str, parameter: Parameter, kinds: set[str]) -> None:
    if not isinstance(parameter.when, Mapping):
        raise InputError(f"{name}.when = {parameter.when!r}: expected a table such as {{ reading = 'pipelined' }}")
    if parameter.otherwise is None:
        return
    if not parameter.when:
        raise InputError(f"{name}.otherwise without {name}.when: the parameter is always active")
    if isinstance(parameter, Integer):
        number(f"{name}.otherwise", parameter.otherwise, whole=True)
    if _kind(f"{name}.otherwise", parameter.otherwise) not in kinds:
        raise InputError(f"{name}.otherwise = {parameter.otherwise!r}: expected one of its {', '.join(kinds)}")


def _check_range(name: str, low: Any, high: Any, log: Any) -> None:
    if np.ndim(low) or np.ndim(high):
        raise InputError(f"{name}: low and high are lists: expected two numbers")
    low, high = number(f"{name}.low", low), number(f"{name}.high", high)
    if not isinstance(log, bool):
        raise InputError(f"{name}.log = {log!r}: expected true or false")
    if low > high:
        raise InputError(f"{name}: low = {low:g} is above high = {high:g}: the space is empty")
    if log and low <= 0:
        raise InputError(f"{name}.low = {low:g}: expected a number > 0 on a log scale")


def _kind(name: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "flags"
    if isinstance(value, str):
        return "texts"
    if np.ndim(value):
        raise InputError(f"{name} = {value!r}: expected a number, a text or a flag")
    number(name, value)
    return "numbers"


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple, np.ndarray)) else [values]


def _can_be(parameter: Parameter, value: Any, what: str) -> bool:
    kind = _kind(what, value)
    if isinstance(parameter, Choice):
        return any(kind == _kind("", choice) and value == choice for choice in parameter.choices)
    return kind == "numbers" and parameter.low <= value <= parameter.high and float(value).is_integer()
