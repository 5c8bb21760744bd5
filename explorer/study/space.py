"""What a study varies: real, whole and chosen parameters, each perhaps only under a condition."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.check import count, number

#: A parameter's values, or the points of a grid, beyond which something is mistaken.
MOST_LEVELS = 1_000_000


@dataclass(frozen=True)
class Real:
    """A number in [low, high]; `log` spreads samples evenly over its logarithm; a grid takes `levels` values.

    `when` maps other parameters to the value (or values) under which this one counts; elsewhere it is `otherwise`.
    """

    low: float
    high: float
    log: bool = False
    levels: int | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    otherwise: Any = None

    def check(self, name: str) -> None:
        """Raise `InputError` unless this is a range, with its sign and its levels in order."""
        _check_range(name, self.low, self.high, self.log)
        if self.levels is not None:
            count(f"{name}.levels", self.levels, low=1, high=MOST_LEVELS)

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Return the values at places `unit` in [0, 1)."""
        if self.log:
            found = np.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        else:
            found = self.low + unit * (self.high - self.low)
        return np.clip(found, self.low, self.high)

    def grid(self, name: str) -> np.ndarray:
        """Return the values of a grid; raises `InputError` without `levels`."""
        if self.levels is None:
            raise InputError(f"{name}.levels is missing: a grid needs the number of values of a real parameter")
        return self.values(np.linspace(0.0, 1.0, self.levels) if self.levels > 1 else np.array([0.5]))


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
            number(f"{name}.{end}", getattr(self, end), whole=True)
        if self.levels is not None:
            count(f"{name}.levels", self.levels, low=1, high=MOST_LEVELS)

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Return the values at places `unit` in [0, 1), as int64; without `log` each whole number is as likely."""
        if self.log:
            found = np.floor(np.exp(math.log(self.low) + unit * (math.log(self.high + 1) - math.log(self.low))))
        else:
            found = self.low + np.floor(unit * (self.high - self.low + 1))
        return np.clip(found, self.low, self.high).astype(np.int64)

    def grid(self, name: str) -> np.ndarray:
        """Return the values of a grid; raises `InputError` for a range too long to list."""
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
        """Raise `InputError` unless there are choices, each there once and of one kind."""
        if isinstance(self.choices, (str, bytes)) or not len(self.choices):
            raise InputError(f"{name}.choices = {self.choices!r}: expected a list with at least one value")
        kinds = {_kind(name, choice) for choice in self.choices}
        if len(kinds) > 1:
            raise InputError(f"{name}.choices mixes {' and '.join(sorted(kinds))}: expected values of one kind")
        if len(set(self.choices)) < len(self.choices):
            raise InputError(f"{name}.choices has a value twice: expected each once")

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Return the choices at places `unit` in [0, 1)."""
        places = np.minimum((unit * len(self.choices)).astype(np.int64), len(self.choices) - 1)
        return self.grid("")[places]

    def grid(self, name: str) -> np.ndarray:
        """Return all choices, in order."""
        texts = any(isinstance(choice, str) for choice in self.choices)
        return np.array(list(self.choices), dtype=object if texts else None)


Parameter = Real | Integer | Choice


def parameter(name: str, given: Any) -> Parameter:
    """Return what `given` says of the parameter `name`: a parameter; a list, of choices; a tuple, a range (low, high)
    or (low, high, "log"), of whole numbers where both ends are ints; or a mapping with the fields of one of the three.

    Raises `InputError` for anything else.
    """
    if isinstance(given, (Real, Integer, Choice)):
        found: Parameter = given
    elif isinstance(given, Mapping):
        found = _from_mapping(name, dict(given))
    elif isinstance(given, tuple) and len(given) in (2, 3) and given[2:] in ((), ("log",)):
        whole = all(isinstance(end, (int, np.integer)) and not isinstance(end, bool) for end in given[:2])
        found = (Integer if whole else Real)(given[0], given[1], log=len(given) == 3)
    elif isinstance(given, (list, np.ndarray)):
        found = Choice(list(given))
    else:
        raise InputError(
            f"parameter {name} = {given!r}: expected a list of choices, a tuple (low, high) or (low, high, 'log'), "
            "or Real, Integer or Choice"
        )
    found.check(name)
    return found


def check_conditions(parameters: Mapping[str, Parameter]) -> None:
    """Raise `InputError` unless every condition names an earlier parameter and values that it can take."""
    earlier: dict[str, Parameter] = {}
    for name, each in parameters.items():
        for other, wanted in each.when.items():
            if other not in parameters:
                raise unknown_name(f"parameter in {name}.when:", other, parameters)
            if other not in earlier:
                raise InputError(f"{name}.when names {other}, which comes later: expected a parameter above it")
            for value in _listed(wanted):
                if not _can_be(earlier[other], value):
                    raise InputError(f"{name}.when: {other} is never {value!r}: the parameter would never count")
        earlier[name] = each


def active(parameters: Mapping[str, Parameter], columns: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    """Return where the condition of `name` holds in `columns`, or None if it has none.

    Where a parameter that it depends on does not count itself, neither does this one.
    """
    conditions = parameters[name].when
    if not conditions:
        return None
    holds = np.ones(len(columns[name]), dtype=bool)
    for other, wanted in conditions.items():
        holds &= np.isin(columns[other], np.asarray(_listed(wanted), dtype=columns[other].dtype))
        above = active(parameters, columns, other)
        if above is not None:
            holds &= above
    return holds


def _from_mapping(name: str, given: dict[str, Any]) -> Parameter:
    scale = given.pop("scale", None)
    if scale is not None:
        if scale not in ("linear", "log"):
            raise unknown_name(f"{name}.scale:", scale, ("linear", "log"))
        given["log"] = scale == "log"
    whole = given.pop("whole", False)
    kind: Any = Choice if "choices" in given else Integer if whole else Real
    known = [*kind.__dataclass_fields__, "scale", "whole"]
    for key in given:
        if key not in known:
            raise unknown_name(f"field of parameter {name}:", key, known)
    for key in ("choices",) if kind is Choice else ("low", "high"):
        if key not in given:
            raise InputError(f"{name}.{key} is missing: expected choices, or low and high")
    if not isinstance(given.get("when", {}), Mapping):
        raise InputError(f"{name}.when = {given['when']!r}: expected a table such as {{ reading = 'pipelined' }}")
    found: Parameter = kind(**given)
    return found


def _check_range(name: str, low: Any, high: Any, log: bool) -> None:
    low, high = number(f"{name}.low", low), number(f"{name}.high", high)
    if np.ndim(low) or np.ndim(high):
        raise InputError(f"{name}: low and high are lists: expected two numbers")
    if low > high:
        raise InputError(f"{name}: low = {low:g} is above high = {high:g}: the space is empty")
    if log and low <= 0:
        raise InputError(f"{name}.low = {low:g}: expected a number > 0 on a log scale")


def _kind(name: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "flags"
    if isinstance(value, str):
        return "texts"
    number(f"{name}.choices", value)
    return "numbers"


def _listed(wanted: Any) -> list[Any]:
    return list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]


def _can_be(given: Parameter, value: Any) -> bool:
    if isinstance(given, Choice):
        return value in list(given.choices)
    if isinstance(value, (str, bool)):
        return False
    return bool(given.low <= value <= given.high)
