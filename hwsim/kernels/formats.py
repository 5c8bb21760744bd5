"""Low-bit number formats: FP4 E2M1, FP8 E4M3 and E5M2, integers of 2 to 8 bits; encoding to codes and back.

FP4 and FP8 are those of the OCP Microscaling Formats (MX) Specification v1.0 and the OCP 8-bit Floating Point
Specification v1.0; their codes are those of ml_dtypes. Rounding is to nearest, ties to even, from the given precision
in one step (a cast that passes through float32 would round twice); what is too large saturates.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from hwbase import InputError, Record, unknown_name


@dataclass(frozen=True)
class NumberFormat(Record):
    """One element format. `lowest` and `highest` are the extreme finite values; codes take `bits` bits.

    Floating point: `mantissa_bits` without the hidden one, `smallest_exponent` that of the subnormals, uint8 codes.
    Integers have no such fields; "intB" is symmetric around zero (int8 codes, no -2^(B-1)), "uintB" has codes
    0 .. 2^B - 1 (uint8) and is meant for a zero point.
    """

    name: str
    bits: int
    lowest: float
    highest: float
    mantissa_bits: int | None = None
    smallest_exponent: int | None = None

    @property
    def is_float(self) -> bool:
        """Whether codes are floating-point numbers."""
        return self.mantissa_bits is not None

    @property
    def dtype(self) -> np.dtype:
        """Type of the codes: uint8, or int8 for symmetric integers."""
        return np.dtype(np.int8 if self.name.startswith("int") else np.uint8)


FP4 = NumberFormat("fp4", 4, -6.0, 6.0, 1, 0)
FP8_E4M3 = NumberFormat("fp8_e4m3", 8, -448.0, 448.0, 3, -6)
FP8_E5M2 = NumberFormat("fp8_e5m2", 8, -57344.0, 57344.0, 2, -14)
SIGNED = tuple(NumberFormat(f"int{b}", b, 1.0 - 2 ** (b - 1), 2.0 ** (b - 1) - 1.0) for b in range(2, 9))
UNSIGNED = tuple(NumberFormat(f"uint{b}", b, 0.0, 2.0**b - 1.0) for b in range(2, 9))

#: Every element format by name: fp4, fp8_e4m3, fp8_e5m2, int2..int8 (symmetric), uint2..uint8 (with a zero point).
FORMATS = {format.name: format for format in (FP4, FP8_E4M3, FP8_E5M2, *SIGNED, *UNSIGNED)}

_DTYPES = {
    "fp4": np.dtype(ml_dtypes.float4_e2m1fn),
    "fp8_e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "fp8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
}


def number_format(name: str | NumberFormat) -> NumberFormat:
    """Return the element format of that name; raises `InputError` with the nearest name for an unknown one."""
    if isinstance(name, NumberFormat):
        return name
    if name not in FORMATS:
        raise unknown_name("number format", name, FORMATS)
    return FORMATS[name]


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
    return _round(real_array(values), number_format(format))


def encode(values: Any, format: str | NumberFormat) -> np.ndarray:
    """Return the codes of the nearest values of the format, without any scale: uint8, or int8 for "intB".

    Ties go to even, what is too large saturates, the sign of a floating-point zero stays. Raises `InputError` for
    NaN, infinity or an unknown format.
    """
    chosen = number_format(format)
    return encode_finite(real_array(values), chosen)


def encode_finite(array: np.ndarray, format: NumberFormat) -> np.ndarray:
    """Return the codes of a float32 or float64 array that is known to be finite: `encode` without its checks."""
    if not format.is_float:
        return _round(array, format).astype(format.dtype)
    if array.dtype == np.float64:
        array = _round(array, format)
    bounded = np.clip(array, format.lowest, format.highest).astype(np.float32, copy=False)
    return bounded.astype(_DTYPES[format.name]).view(np.uint8)


def decode(codes: Any, format: str | NumberFormat, dtype: Any = np.float32) -> np.ndarray:
    """Return the values of codes of any shape, exactly, as `dtype`.

    Raises `InputError` for codes out of range and for the codes of NaN and infinity in FP8.
    """
    chosen = number_format(format)
    given = np.asarray(codes)
    if given.dtype.kind not in "iu":
        raise InputError(f"codes are of type {given.dtype}: expected integers")
    if given.size == 0:
        return np.zeros(given.shape, dtype)
    if not chosen.is_float:
        if given.min() < chosen.lowest or given.max() > chosen.highest:
            raise InputError(
                f"{chosen.name} codes reach from {given.min()} to {given.max()}: expected "
                f"{chosen.lowest:.0f} to {chosen.highest:.0f}"
            )
        return given.astype(dtype)
    if given.min() < 0 or given.max() >= 2**chosen.bits:
        raise InputError(
            f"{chosen.name} codes reach from {given.min()} to {given.max()}: expected 0 to {2**chosen.bits - 1}"
        )
    values = code_values(chosen.name).take(given)
    if not np.isfinite(values).all():
        raise InputError(f"{chosen.name} codes hold NaN or infinity: expected finite numbers")
    return values.astype(dtype, copy=False)


@cache
def code_values(name: str) -> np.ndarray:
    """Return the value of every code of a floating-point format, float32 (2^bits,), read-only.

    FP8 tables hold NaN (and infinities in E5M2) at their codes. Raises `InputError` for other formats.
    """
    if name not in _DTYPES:
        raise unknown_name("floating-point format", name, _DTYPES)
    values = np.arange(2 ** FORMATS[name].bits, dtype=np.uint8).view(_DTYPES[name]).astype(np.float32)
    values.flags.writeable = False
    return values


def _round(array: np.ndarray, format: NumberFormat) -> np.ndarray:
    if format.mantissa_bits is None or format.smallest_exponent is None:
        return np.clip(np.rint(array), format.lowest, format.highest)
    bounded = np.clip(array, format.lowest, format.highest)
    # frexp gives fractions in [0.5, 1): the exponent of the leading bit is one less.
    exponent = np.maximum(np.frexp(bounded)[1] - 1, format.smallest_exponent) - format.mantissa_bits
    return np.ldexp(np.rint(np.ldexp(bounded, -exponent)), exponent)
