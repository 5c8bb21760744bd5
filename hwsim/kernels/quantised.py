"""Quantised tensors: codes with scales per tensor, channel or group, and MXFP4 blocks.

A tensor x is stored as codes q with x ~ scale (q - zero point). Scales come from the largest magnitude (symmetric and
floating point: it maps to the largest code) or the range with zero in it (asymmetric). MXFP4 follows the OCP
Microscaling Formats (MX) Specification v1.0: blocks of 32 along an axis, the scale a power of two (E8M0) whose exponent
is that of the largest magnitude less 2, elements FP4 E2M1.

A size that is no multiple of the block leaves a shorter last block with a scale of its own; nothing is padded. A block
of zeros gets the scale 1.
"""

from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import count
from hwsim.kernels.formats import FORMATS, FP4, NumberFormat, decode, encode_finite, number_format, real_array

Per = Literal["tensor", "channel", "group"]
GRANULARITIES = ("tensor", "channel", "group")
#: Elements of an MX block (OCP MX v1.0, section 5.2).
MX_BLOCK = 32
#: Exponents that an E8M0 scale can hold (OCP MX v1.0, section 5.4.1).
E8M0_EXPONENTS = (-127, 127)
#: Exponent of the largest FP4 E2M1 value, 6 = 1.5 x 2^2.
FP4_LARGEST_EXPONENT = 2

_MOST = float(np.finfo(np.float32).max)
_LEAST_SCALE = float(np.finfo(np.float32).smallest_normal)


@dataclass(frozen=True, eq=False)
class Quantised(Record):
    """A tensor in a low-bit format: made by `quantise`, read by `dequantise`.

    `codes` has the tensor's shape (uint8, or int8 for symmetric integers). `scales` float32 has as many axes: length 1
    along those that share a scale, or the number of blocks along `axis` for groups. `zero_points` uint8 like `scales`
    for asymmetric integers, otherwise None. `format` is "mxfp4" or an element format; `block` the group's length.
    """

    format: str
    codes: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray | None = None
    per: str = "tensor"
    axis: int = 0
    block: int | None = None

    @property
    def element(self) -> NumberFormat:
        """Format of the elements."""
        return FP4 if self.format == "mxfp4" else FORMATS[self.format]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(self.codes.shape)

    @property
    def scale_codes(self) -> np.ndarray:
        """E8M0 codes of the scales of an MX tensor, uint8 (biased exponent); raises `InputError` for others."""
        if self.format != "mxfp4":
            raise InputError(f"{self.format} has no E8M0 scales: expected 'mxfp4'")
        return self.scales.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)

    @property
    def stored_bits(self) -> int:
        """Bits of codes, scales (8 for MX, otherwise 32) and zero points, packed."""
        points = 0 if self.zero_points is None else self.zero_points.size * self.element.bits
        return self.codes.size * self.element.bits + self.scales.size * (8 if self.format == "mxfp4" else 32) + points


def quantise(
    values: Any, format: str, *, per: Per | None = None, axis: int = -1, block: int | None = None
) -> Quantised:
    """Return `values` (any shape) in a low-bit format, rounded to nearest even and saturated.

    `format`: "mxfp4", "fp4", "fp8_e4m3", "fp8_e5m2", "int2".."int8" (symmetric, codes -(2^(b-1) - 1) and up) or
    "uint2".."uint8" (asymmetric, with a zero point). `per`: one scale for the "tensor" (the default), for each index of
    `axis` ("channel") or each run of `block` elements along `axis` ("group"). MXFP4 is always per group; its `block` is
    32 unless given. Errors stay within half a scale for integers. Raises `InputError` for NaN, infinity, magnitudes
    above float32's largest, an unknown format, or an axis that does not exist.

    >>> stored = quantise(np.linspace(0.0, 3.1, 32).reshape(1, 32), "mxfp4")
    >>> dequantise(stored)[0, ::4].tolist()
    [0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.0, 3.0]
    """
    array = real_array(values)
    _check_reach(array)
    if format == "mxfp4":
        per, block = "group", MX_BLOCK if block is None else block
    elif format not in FORMATS:
        raise unknown_name("format", format, ["mxfp4", *FORMATS])
    granularity = per or "tensor"
    if granularity not in GRANULARITIES:
        raise unknown_name("granularity", granularity, GRANULARITIES)
    if granularity == "group" and block is None:
        raise InputError("block is missing: expected the length of a group")
    if granularity != "group" and block is not None:
        raise InputError(f"block = {block}: expected none unless per='group'")
    length = None if block is None else int(count("block", block, low=1))
    along = 0 if granularity == "tensor" else _axis(array, axis)
    scales, points = _calibrate(array, format, granularity, along, length)
    like = Quantised(format, np.empty(0), scales, points, granularity, along, length)
    return Quantised(format, _codes(array, like), scales, points, granularity, along, length)


def requantise(values: Any, like: Quantised) -> Quantised:
    """Return `values` under the scales and zero points of `like` (static calibration), saturating what is beyond.

    Raises `InputError` for NaN, infinity, or a shape other than that of `like` along the axes that have scales.
    """
    array = real_array(values)
    fits = array.ndim == like.scales.ndim and all(
        n == 1 or (array.shape[i] == like.shape[i]) for i, n in enumerate(like.scales.shape)
    )
    if like.per != "tensor" and not fits:
        raise InputError(f"values have shape {array.shape}: expected scales' axes as in {like.shape}")
    return Quantised(like.format, _codes(array, like), like.scales, like.zero_points, like.per, like.axis, like.block)


def dequantise(quantised: Quantised, dtype: Any = np.float32) -> np.ndarray:
    """Return the values that the codes stand for: exact in float64, otherwise rounded once to `dtype`, saturating.

    Raises `InputError` for a type that is not floating point, or codes that the format does not have.
    """
    kind = np.dtype(dtype)
    if kind.kind in "iubcOSU":
        raise InputError(f"dtype = {kind}: expected a floating-point type")
    shape = quantised.shape
    codes = decode(quantised.codes, quantised.element, np.float64)
    if quantised.zero_points is not None:
        codes = codes - _spread(quantised.zero_points, quantised, shape)
    codes = codes * _spread(quantised.scales, quantised, shape)
    if kind != np.float64:
        most = float(ml_dtypes.finfo(kind).max)
        codes = np.clip(codes, -most, most)
    return np.asarray(codes).astype(kind)


def _check_reach(array: np.ndarray) -> None:
    if array.dtype == np.float64 and array.size and np.abs(array).max() > _MOST:
        raise InputError(f"values reach {np.abs(array).max():g}: expected magnitudes <= {_MOST:g} (float32)")


def _axis(array: np.ndarray, axis: int) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -array.ndim <= axis < array.ndim:
        raise InputError(f"axis = {axis!r}: expected one of the {array.ndim} axes of the values")
    return int(axis) % array.ndim


def _calibrate(
    array: np.ndarray, format: str, per: str, axis: int, block: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if format == "mxfp4":
        largest = _reduce(np.maximum, np.abs(array), per, axis, block)
        exponents = np.frexp(largest)[1] - 1 - FP4_LARGEST_EXPONENT
        exponents = np.where(largest > 0, np.clip(exponents, *E8M0_EXPONENTS), 0)
        return np.ldexp(np.float32(1.0), exponents), None
    element = number_format(format)
    if element.lowest < 0:
        largest = _reduce(np.maximum, np.abs(array), per, axis, block).astype(np.float64)
        return _scales(largest / element.highest), None
    high = np.maximum(_reduce(np.maximum, array, per, axis, block).astype(np.float64), 0.0)
    low = np.minimum(_reduce(np.minimum, array, per, axis, block).astype(np.float64), 0.0)
    scales = _scales((high - low) / element.highest)
    points = np.clip(np.rint(-low / scales), 0, element.highest)
    return scales, points.astype(np.uint8)


def _scales(ideal: np.ndarray) -> np.ndarray:
    return np.where(ideal > 0, np.maximum(ideal, _LEAST_SCALE), 1.0).astype(np.float32)


def _reduce(reduction: np.ufunc, array: np.ndarray, per: str, axis: int, block: int | None) -> np.ndarray:
    """Reduce over the elements that share a scale, every axis kept; nothing to reduce gives zeros."""
    if per == "group":
        starts = np.arange(0, array.shape[axis], block)
        if array.size:
            return reduction.reduceat(array, starts, axis=axis)
        return np.zeros([len(starts) if i == axis else n for i, n in enumerate(array.shape)], array.dtype)
    shared = tuple(i for i in range(array.ndim) if per == "tensor" or i != axis)
    if array.size:
        return reduction.reduce(array, axis=shared, keepdims=True)
    return np.zeros([1 if i in shared else n for i, n in enumerate(array.shape)], array.dtype)


def _spread(numbers: np.ndarray, like: Quantised, shape: tuple[int, ...]) -> np.ndarray:
    """Return scales or zero points so that they broadcast against the tensor, wide enough to divide by.

    Powers of two stay float32, by which division is exact but for underflow, which rounds to zero anyway.
    """
    wide = numbers if like.format == "mxfp4" else numbers.astype(np.float64)
    if like.per == "tensor":
        return wide.reshape(())
    if like.block is None:
        return wide
    chosen = np.arange(shape[like.axis]) // like.block
    return wide.take(chosen, axis=like.axis)


def _codes(array: np.ndarray, like: Quantised) -> np.ndarray:
    scaled = array / _spread(like.scales, like, array.shape)
    if like.zero_points is not None:
        scaled = np.rint(scaled) + _spread(like.zero_points, like, array.shape)
    return np.asarray(encode_finite(scaled, like.element))
