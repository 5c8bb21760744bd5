"""Rounding to low-bit number formats: encoding to codes and back.

The formats are those of `hwbase.FORMATS`; codes of floating point are those of ml_dtypes. Rounding is to nearest, ties
to even, from the given precision in one step (a cast that passes through float32 would round twice); what is too large
saturates. Signed integers are symmetric around zero here: the code -2^(B-1) is not used.
"""

from functools import cache
from typing import Any

import numpy as np

from hwbase import FORMATS, InputError, NumberFormat, number_format

#: Most bits of a code: codes are bytes.
_CODE_BITS = 8


def _is_rounded_to(format: NumberFormat) -> bool:
    """Whether kernels round to a format: integers, and signed floating point that ml_dtypes casts to, up to 8 bits."""
    casts = format.kind == "float" and format.signed and format.dtype_name is not None
    return format.bits <= _CODE_BITS and (casts or format.kind == "integer")


#: Formats without scales that kernels round to.
ELEMENTS = tuple(name for name, each in FORMATS.items() if _is_rounded_to(each) and each.scale is None)
#: Formats that have a scale for each group of elements.
GROUPED = tuple(name for name, each in FORMATS.items() if _is_rounded_to(each) and each.group is not None)


def element_format(name: str | NumberFormat) -> NumberFormat:
    """Return the format without scales of that name; raises `InputError` with the nearest name for another one."""
    return number_format(name, among=ELEMENTS)


def code_type(format: NumberFormat) -> np.dtype:
    """Return the type of a format's codes: int8 for signed integers, otherwise uint8."""
    return np.dtype(np.int8 if format.kind == "integer" and format.signed else np.uint8)


def lowest_value(format: NumberFormat) -> float:
    """Return the least value that is rounded to: that of the format, or the negative of the highest for integers."""
    return -format.highest if format.kind == "integer" and format.signed else format.lowest


def real_array(values: Any, what: str = "values") -> np.ndarray:
    """Return `values` as float32 or float64, every element finite.

    float16, bfloat16 and narrower become float32; integers become float64. Raises `InputError` for NaN, infinity,
    complex numbers or text.
    """
    given = np.asarray(values)
    if given.dtype.kind in "cSUOMm" or given.dtype == bool:
        raise InputError(f"{what} are of type {given.dtype}: expected real numbers")
    narrow = given.dtype.itemsize <= 4 and given.dtype.kind not in "iu"
    array = given.astype(np.float32 if narrow else np.float64, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        bad = int(np.argmin(finite))
        where = tuple(int(i) for i in np.unravel_index(bad, array.shape))
        raise InputError(f"{what}{list(where)} = {array.flat[bad]}: expected a finite number")
    return array


def round_to_format(values: Any, format: str | NumberFormat) -> np.ndarray:
    """Return the nearest values of the format (ties to even, saturating), in float32 or float64 like `values`.

    Raises `InputError` for NaN, infinity or an unknown format.

    >>> round_to_format([0.3, 2.4, -7.0], "fp4")
    array([ 0.5,  2. , -6. ])
    """
    return _round(real_array(values), element_format(format))


def encode(values: Any, format: str | NumberFormat) -> np.ndarray:
    """Return the codes of the nearest values of the format, without any scale: uint8, or int8 for "intB".

    Ties go to even, what is too large saturates, the sign of a floating-point zero stays. Raises `InputError` for
    NaN, infinity or an unknown format.
    """
    chosen = element_format(format)
    return encode_finite(real_array(values), chosen)


def encode_finite(array: np.ndarray, format: NumberFormat) -> np.ndarray:
    """Return the codes of a float32 or float64 array that is known to be finite: `encode` without its checks."""
    if format.kind == "integer":
        return _round(array, format).astype(code_type(format))
    if array.dtype == np.float64:
        array = _round(array, format)
    bounded = np.clip(array, format.lowest, format.highest).astype(np.float32, copy=False)
    return bounded.astype(format.dtype).view(np.uint8)


def decode(codes: Any, format: str | NumberFormat, dtype: Any = np.float32) -> np.ndarray:
    """Return the values of codes of any shape, exactly, as `dtype`.

    Raises `InputError` for codes out of range and for the codes of NaN and infinity in FP8.
    """
    chosen = element_format(format)
    given = np.asarray(codes)
    if given.dtype.kind not in "iu":
        raise InputError(f"codes are of type {given.dtype}: expected integers")
    if given.size == 0:
        return np.zeros(given.shape, dtype)
    if chosen.kind == "integer":
        if given.min() < lowest_value(chosen) or given.max() > chosen.highest:
            raise InputError(
                f"{chosen.name} codes reach from {given.min()} to {given.max()}: expected "
                f"{lowest_value(chosen):.0f} to {chosen.highest:.0f}"
            )
        return given.astype(dtype)
    if given.min() < 0 or given.max() >= 2**chosen.bits:
        raise InputError(
            f"{chosen.name} codes reach from {given.min()} to {given.max()}: expected 0 to {2**chosen.bits - 1}"
        )
    values = _code_values(chosen).take(given)
    if not np.isfinite(values).all():
        raise InputError(f"{chosen.name} codes hold NaN or infinity: expected finite numbers")
    return values.astype(dtype, copy=False)


@cache
def _code_values(format: NumberFormat) -> np.ndarray:
    """Return the value of every code of a floating-point format, float32 (2^bits,): NaN and infinities at theirs."""
    return format.code_values.astype(np.float32)


def _round(array: np.ndarray, format: NumberFormat) -> np.ndarray:
    if format.kind == "integer":
        return np.clip(np.rint(array), lowest_value(format), format.highest)
    bounded = np.clip(array, format.lowest, format.highest)
    # frexp gives fractions in [0.5, 1): the exponent of the leading bit is one less.
    exponent = np.maximum(np.frexp(bounded)[1] - 1, format.smallest_exponent) - format.mantissa_bits
    return np.ldexp(np.rint(np.ldexp(bounded, -exponent)), exponent)
