"""Values as people write them: numbers, counts with K and M, numbers with a unit, and lists of these."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwbase import units
from hwbase.check import integer
from hwbase.errors import InputError, shown

#: Binary multiples, as contexts are written: 64K is 65,536.
SUFFIXES = {"k": 1024, "m": 1024**2}
#: Units of counted things, which take a suffix.
_COUNTED = frozenset({units.DIMENSIONLESS, "token", "chip", "gpu", "lane", "transistor", "mask", "cycle"})
#: Units of a pure number.
_SHARES = ("%", "percent", units.DIMENSIONLESS)
_NUMBER = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|[\d_]+)?(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)
#: Characters of a wrong value that a message repeats; some repeat it and its unit.
_SHOWN = 80


def read_value(name: str, given: Any, unit: str) -> Any:
    """Return `given` as a number, or as an array where it is a list that holds texts, in `unit`.

    Parameters
    ----------
    name : str
        Name of the field, for messages.
    given : number, str, or sequence of these
        A text is a number ("65_536", "1e11", "249,960"), a count with a suffix ("64K" is 65,536, "1M" 1,048,576), or a
        number and its unit ("128 GB/s", "5 ms", "18 kUSD"). Anything that is not a text is returned as it is.
    unit : str
        Unit of the result and of numbers without one.

    Raises
    ------
    InputError
        For a text that is no number, and for a unit that does not convert to `unit`.

    Examples
    --------
    >>> read_value("link_latency_s", "5 ms", "s"), read_value("context", ["2K", 4096], "token").tolist()
    (0.005, [2048.0, 4096.0])
    """
    if isinstance(given, str):
        return _read_text(name, given, unit)
    if _holds_texts(given):
        return np.array([read_value(name, value, unit) for value in given])
    return given


def read_count(name: str, given: Any) -> Any:
    """Return `given` as a whole number, or as an array of them where it is a list that holds texts; None stays None.

    A text is written as 65536, 65_536, 65,536, 1e3 or 64K (1,024 each); anything else is returned as it is. Raises
    `InputError` for a text that is no whole number.

    >>> read_count("context", "64K")
    65536
    """
    if isinstance(given, str):
        return _whole(name, given)
    if _holds_texts(given):
        return np.array([_whole(name, value) if isinstance(value, str) else value for value in given])
    return given


def read_integer(name: str, given: Any, *, low: int = 1, high: float = 1e15) -> int:
    """Return one whole number in [`low`, `high`], given as a number or a text such as "64K"; raises `InputError`.

    >>> read_integer("context", "64K", high=1e8)
    65536
    """
    return integer(name, read_count(name, given), low=low, high=high)


def _whole(name: str, text: str) -> int:
    try:
        value = _read_text(name, text, units.DIMENSIONLESS)
    except InputError:
        raise InputError(f"{name} = {shown(text, _SHOWN)}: expected a whole number, such as 8 or 64K") from None
    if value != int(value):
        raise InputError(f"{name} = {shown(text, _SHOWN)}: expected a whole number")
    return int(value)


def _holds_texts(given: Any) -> bool:
    if isinstance(given, np.ndarray):
        return given.ndim == 1 and given.dtype.kind in "OU" and any(isinstance(value, str) for value in given)
    return (
        isinstance(given, Sequence) and not isinstance(given, (str, bytes)) and any(isinstance(v, str) for v in given)
    )


def _read_text(name: str, text: str, unit: str) -> float:
    match = _NUMBER.fullmatch(text.strip())
    digits, tail = (match[1].replace(",", ""), match[2].strip()) if match else ("", "")
    try:
        value = float(digits)
    except ValueError:
        value = float("inf")
    if not np.isfinite(value) or tail[:1] in (",", ".", "_"):
        example = f" or '18 {unit}'" if unit != units.DIMENSIONLESS else " or '64K'"
        written = text if text.strip().lower() in ("nan", "inf", "-inf") else shown(text, _SHOWN)
        raise InputError(f"{name} = {written}: expected a finite number such as '18'{example}")
    scale, rest = SUFFIXES.get(tail[:1].lower()), tail[1:].strip()
    if scale is not None and unit in _COUNTED and rest in ("", unit):
        return value * scale
    if not tail:
        return value
    if unit == units.DIMENSIONLESS and tail not in _SHARES:
        # Bytes and bits convert to pure numbers: "1 B" is no billion, and is not 8.
        raise InputError(
            f"{name} = {shown(text, _SHOWN)} has unit {shown(tail, _SHOWN)}: expected a number without a unit"
        )
    try:
        units.check(tail)
    except InputError as error:
        raise InputError(f"{name} = {shown(text, _SHOWN)}: {error}") from None
    return value * units.factor(tail, unit, f"{name} = {shown(text, _SHOWN)}")
