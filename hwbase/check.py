"""Checks on numbers at the boundary: finite, in range, and not absurdly large, for scalars and arrays alike."""

from typing import Any

import numpy as np

from hwbase.errors import InputError

#: Larger than any count, price, area or rate a design can have (1e30 is about the bits in 10^18 models).
ABSURD = 1e30

#: The largest finite float.
_LARGEST = float(np.finfo(float).max)

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

    `low` and `high` are inclusive bounds, `above` an exclusive lower one; `whole` asks for integers.
    Raises `InputError` naming `name`, the first offending value and what was expected.
    """
    if type(value) in (float, int) and _inside(value, low, high, above, whole):
        # The common case, without arrays.
        return int(value) if whole else float(value)
    plain = isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.ndim and value.size and not whole
    # The two ends stand for all; a NaN shows up in both.
    if plain and all(_inside(end, low, high, above, False) for end in (value.min(), value.max())):
        return value.astype(float, copy=False)
    expected = _expectation(low, high, above, whole)
    if isinstance(value, (bool, np.bool_, str, bytes, type(None))):
        raise InputError(f"{name} = {value!r}: expected {expected}")
    try:
        array = np.asarray(value, dtype=float)
    except OverflowError:
        raise InputError(f"{name} is too large for a number: expected {expected}") from None
    except (TypeError, ValueError):
        raise InputError(f"{name} = {value!r}: expected {expected}") from None
    if array.size == 0:
        raise InputError(f"{name} is empty: expected {expected}")
    bad = ~np.isfinite(array)
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


def _inside(value: Any, low: float | None, high: float | None, above: float | None, whole: bool) -> bool:
    """Whether one number is finite and within the bounds; never for a NaN."""
    return bool(
        -_LARGEST <= value <= _LARGEST
        and (low is None or value >= low)
        and (above is None or value > above)
        and (high is None or value <= high)
        and (not whole or value == int(value))
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
    """Return `value` checked to be whole and in [`low`, `high`]; raises `InputError`."""
    return number(name, value, low=low, high=high, whole=True)


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
