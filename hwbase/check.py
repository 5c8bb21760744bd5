"""Checks on numbers at the boundary: finite, in range, and not absurdly large, for scalars and arrays alike."""

import decimal
import itertools
import numbers
from typing import Any

import numpy as np

from hwbase.errors import InputError, shown

#: Larger than any count, price, area or rate a design can have (1e30 is about the bits in 10^18 models).
ABSURD = 1e30

#: The largest finite float.
_LARGEST = float(np.finfo(float).max)
#: Kinds of NumPy types that are real numbers: signed and unsigned integers, and floating point.
_REAL_KINDS = "iuf"

#: A scalar or an array: closed forms broadcast over either.
Number = Any


def number(
    name: str,
    value: Number,
    *,
    low: float | None = None,
    high: float | None = ABSURD,
    above: float | None = None,
    whole: bool = False,
) -> Number:
    """Return `value` as a float, an int (when `whole`) or an array, after checking every element.

    Parameters
    ----------
    name : str
        Name of the field, for the message.
    value : float or array_like
        Real numbers: Python's, NumPy's, `decimal.Decimal` or `fractions.Fraction`, alone, in lists or in arrays.
    low, high : float, optional
        Least and greatest value allowed. None for no limit but that of floats; `high` is 1e30 unless given, and
        infinity allows infinite values.
    above : float, optional
        All values must be greater than this.
    whole : bool
        Whether values must be integers. Default False.

    Returns
    -------
    float, int or ndarray of float
        A scalar for a scalar. An array is always new: later changes to the caller's array do not reach it.

    Raises
    ------
    InputError
        For the first value that is out of range, and for what is no real number: truth values, texts, dates, complex
        numbers, None, and masked arrays with a masked value. The message names `name`, the value and what was expected.
    """
    if type(value) in (float, int) and _inside(value, low, high, above, whole):
        # The common case, without arrays.
        return int(value) if whole else float(value)
    real = type(value) is np.ndarray and value.dtype.kind in _REAL_KINDS
    # The two ends stand for all; a NaN shows up in both.
    if real and value.ndim and value.size and not whole:
        ends = (value.min().item(), value.max().item())
        if all(_inside(end, low, high, above, False) for end in ends):
            return value.astype(float)
    expected = _expectation(low, high, above, whole)
    array = _floats(name, value, expected)
    bad = np.isnan(array) if high == np.inf else ~np.isfinite(array)
    if low is not None:
        bad |= array < low
    if above is not None:
        bad |= array <= above
    if high is not None:
        bad |= array > high
    if whole:
        bad |= array != np.floor(np.where(np.isfinite(array), array, 0.5))
    if bad.any():
        raise InputError(f"{name} = {array[bad].flat[0]:.12g}: expected {expected}")
    if array.ndim:
        return array
    return int(array) if whole else float(array)


def real(name: str, value: Any, **limits: Any) -> float:
    """Return one number as a float, checked as `number` does; raises `InputError` for an array too.

    >>> real("rate_per_s", 10, above=0.0)
    10.0
    """
    return float(_single(name, number(name, value, **limits)))


def integer(name: str, value: Any, *, low: int = 1, high: float = 1e15) -> int:
    """Return one whole number in [`low`, `high`] as an int; raises `InputError` for anything else, an array too.

    Parameters
    ----------
    name : str
        Name of the field, for the message.
    value : int
        The number; a float that is whole will do.
    low : int
        Least value allowed. Default 1.
    high : float
        Greatest value allowed. Default 1e15.
    """
    return int(_single(name, count(name, value, low=low, high=high)))


def _single(name: str, value: Number) -> Number:
    if np.ndim(value):
        raise InputError(f"{name} has shape {np.shape(value)}: expected one number")
    return value


def _floats(name: str, value: Any, expected: str) -> np.ndarray:
    """Return a new float array of `value`; raises `InputError` for what is no real number, even if NumPy has one."""
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise InputError(f"{name} has a masked value: expected {expected}")
    try:
        if _misleads(value):
            raise TypeError
        array = np.asarray(value)
        if array.dtype.kind not in _REAL_KINDS + "O" or not _all_real(array):
            raise TypeError
        with np.errstate(over="ignore"):  # long doubles: infinity is refused by the caller
            array = array.astype(float)
    except OverflowError:
        raise InputError(f"{name} is too large for a number: expected {expected}") from None
    except (TypeError, ValueError, RecursionError):
        raise InputError(f"{name} = {shown(value)}: expected {expected}") from None
    if array.size == 0:
        raise InputError(f"{name} is empty: expected {expected}")
    return array


def _misleads(value: Any) -> bool:
    """Whether a list holds what `np.asarray` would turn into a number without a word: truth values, masked values."""
    if isinstance(value, (list, tuple)):
        return not set(map(type, value)) <= {int, float} and any(map(_misleads, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in _REAL_KINDS + "O" or bool(np.ma.is_masked(value))
    return isinstance(value, (bool, np.bool_))


def _all_real(array: np.ndarray) -> bool:
    """Whether an array of objects holds real numbers only; True for other arrays."""
    if array.dtype.kind != "O":
        return True
    types = {type(each) for each in array.flat}
    return all(
        issubclass(each, (numbers.Real, decimal.Decimal)) and not issubclass(each, (bool, np.timedelta64))
        for each in types
    )


def _inside(value: Any, low: float | None, high: float | None, above: float | None, whole: bool) -> bool:
    """Whether one number is finite and within the bounds; never for a NaN."""
    return bool(
        -_LARGEST <= value <= (np.inf if high == np.inf else _LARGEST)
        and (low is None or value >= low)
        and (above is None or value > above)
        and (high is None or value <= high)
        and (not whole or value % 1 == 0)
    )


def positive(name: str, value: Number, *, high: float = ABSURD) -> Number:
    """Return `value` checked to be finite, > 0 and <= `high`; raises `InputError`."""
    return number(name, value, above=0.0, high=high)


def non_negative(name: str, value: Number, *, high: float = ABSURD) -> Number:
    """Return `value` checked to be finite, >= 0 and <= `high`; raises `InputError`."""
    return number(name, value, low=0.0, high=high)


def fraction(name: str, value: Number) -> Number:
    """Return `value` checked to lie in [0, 1]; raises `InputError`."""
    return number(name, value, low=0.0, high=1.0)


def count(name: str, value: Number, *, low: int = 1, high: float = 1e15) -> Number:
    """Return `value` checked to be whole and in [`low`, `high`]; raises `InputError`.

    Parameters
    ----------
    name : str
        Name of the field, for the message.
    value : int or array_like
        Whole numbers.
    low : int
        Least value allowed. Default 1.
    high : float
        Greatest value allowed. Default 1e15.
    """
    return number(name, value, low=low, high=high, whole=True)


def shapes(**values: Any) -> tuple[int, ...]:
    """Return the shape that all `values` broadcast to; raises `InputError` naming two that do not fit each other.

    >>> shapes(context=np.ones(3), batch=np.ones((2, 1)), chips=16)
    (2, 3)
    """
    known = {name: shape for name, value in values.items() if (shape := _shape(value))}
    try:
        return np.broadcast_shapes(*known.values())
    except ValueError:
        pass
    for (one, first), (other, second) in itertools.combinations(known.items(), 2):
        try:
            np.broadcast_shapes(first, second)
        except ValueError:
            raise InputError(
                f"{one} has shape {first} and {other} has shape {second}: expected shapes that broadcast together"
            ) from None
    raise AssertionError("shapes that fit in pairs fit together")


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of a value; () for a text, and for lists of lists that are no array, which `number` refuses."""
    try:
        return () if isinstance(value, str) else np.shape(value)
    except ValueError:
        return ()


def _expectation(low: float | None, high: float | None, above: float | None, whole: bool) -> str:
    kind = "a whole number" if whole else "a finite number"
    bounds = []
    if low is not None:
        bounds.append(f">= {low:g}")
    if above is not None:
        bounds.append(f"> {above:g}")
    if high is not None:
        bounds.append(f"<= {high:g}")
    return f"{kind} {' and '.join(bounds)}".rstrip()
