"""Quantised tensors: codes with scales per tensor, channel or group, or in the groups that a format itself has.

A tensor x is stored as codes q with x ~ scale (q - zero point). Scales come from the largest magnitude (symmetric and
floating point: it maps to the largest code) or the range with zero in it (asymmetric). A scale that is a power of two
(MXFP4) has the exponent of the largest magnitude less that of the largest element, as the OCP Microscaling Formats (MX)
Specification v1.0 has it. Other scales of a format (NVFP4) are rounded to the scale's format, after the largest of them
was mapped to its largest value by the scale of the tensor.

A size that is no multiple of the block leaves a shorter last block with a scale of its own; nothing is padded. A block
of zeros gets the scale 1.
"""

from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np

from hwbase import FORMATS, InputError, NumberFormat, Record, number_format, unknown_name
from hwbase.check import integer
from hwsim.kernels.formats import (
    ELEMENTS,
    GROUPED,
    decode,
    encode_finite,
    lowest_value,
    real_array,
    round_to_format,
)

Per = Literal["tensor", "channel", "group"]
GRANULARITIES = ("tensor", "channel", "group")
_MX = FORMATS["mxfp4"]
assert _MX.group is not None
#: Elements of an MXFP4 block.
MX_BLOCK = _MX.group
#: Format of a scale that the format itself does not have.
_SCALE = FORMATS["fp32"]

_MOST = float(np.finfo(np.float32).max)
_LEAST_SCALE = float(np.finfo(np.float32).smallest_normal)


@dataclass(frozen=True, eq=False)
class Quantised(Record):
    """A tensor in a low-bit format: made by `quantise`, read by `dequantise`.

    `codes` has the tensor's shape (uint8, or int8 for symmetric integers). `scales` float32 has as many axes: length 1
    along those that share a scale, or the number of blocks along `axis` for groups. `zero_points` uint8 like `scales`
    for asymmetric integers, otherwise None. `format` is a name of `hwbase.FORMATS`; `block` the group's length.
    """

    format: str
    codes: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray | None = None
    per: str = "tensor"
    axis: int = 0
    block: int | None = None

    @property
    def number_format(self) -> NumberFormat:
        """The format's entry in the registry."""
        return FORMATS[self.format]

    @property
    def element(self) -> NumberFormat:
        """Format of the elements."""
        return FORMATS[self.number_format.element]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(self.codes.shape)

    @property
    def scale_codes(self) -> np.ndarray:
        """E8M0 codes of the scales of an MX tensor, uint8 (biased exponent); raises `InputError` for others."""
        scale = self.number_format.scale
        if scale is None or not self.number_format.has_power_of_two_scales:
            raise InputError(f"{self.format} has no E8M0 scales: expected 'mxfp4'")
        return self.scales.astype(scale.dtype).view(np.uint8)

    @property
    def stored_bits(self) -> int:
        """Bits of codes, scales (32 bits each unless the format has its own) and zero points, packed."""
        format = self.number_format
        points = 0 if self.zero_points is None else self.zero_points.size * format.bits
        tensor = 0 if format.tensor_scale is None else format.tensor_scale.bits
        return self.codes.size * format.bits + self.scales.size * (format.scale or _SCALE).bits + points + tensor


def quantise(
    values: Any, format: str, *, per: Per | None = None, axis: int = -1, block: int | None = None
) -> Quantised:
    """Return `values` (any shape) in a low-bit format, rounded to nearest even and saturated.

    Errors stay within half a scale for integers.

    Parameters
    ----------
    values
        Real numbers of any shape.
    format
        A name of `ELEMENTS`, such as "fp4", "fp8_e4m3", "int4" (symmetric, codes from -(2^(bits-1) - 1) on) or "uint4"
        (asymmetric, with a zero point), or of `GROUPED`, such as "mxfp4".
    per
        What has a scale of its own: the "tensor" (the default), each index of `axis` ("channel"), or each run of
        `block` elements along `axis` ("group"). Formats of `GROUPED` are always per group.
    axis
        Axis of channels, or along which groups run.
    block
        Elements of a group; that of the format by default, where it has one.

    Returns
    -------
    Quantised
        Codes, scales and zero points.

    Raises
    ------
    InputError
        For NaN, infinity, magnitudes above float32's largest, an unknown format, or an axis that does not exist.

    Examples
    --------
    >>> stored = quantise(np.linspace(0.0, 3.1, 32).reshape(1, 32), "mxfp4")
    >>> dequantise(stored)[0, ::4].tolist()
    [0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.0, 3.0]
    """
    array = real_array(values)
    _check_reach(array)
    chosen = number_format(format, "format", among=(*GROUPED, *ELEMENTS))
    if chosen.group is not None:
        per, block = "group", chosen.group if block is None else block
    granularity = per or "tensor"
    if granularity not in GRANULARITIES:
        raise unknown_name("granularity", granularity, GRANULARITIES)
    if granularity == "group" and block is None:
        raise InputError("block is missing: expected the length of a group")
    if granularity != "group" and block is not None:
        raise InputError(f"block = {block}: expected none unless per='group'")
    length = None if block is None else integer("block", block, low=1)
    along = 0 if granularity == "tensor" else _axis(array, axis)
    scales, points = _calibrate(array, chosen, granularity, along, length)
    like = Quantised(chosen.name, np.empty(0), scales, points, granularity, along, length)
    return Quantised(chosen.name, _codes(array, like), scales, points, granularity, along, length)


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
    array: np.ndarray, format: NumberFormat, per: str, axis: int, block: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if lowest_value(format) < 0:
        largest = _reduce(np.maximum, np.abs(array), per, axis, block)
        if format.has_power_of_two_scales:
            return _powers_of_two(largest, format), None
        ideal = largest.astype(np.float64) / format.highest
        return _scales(ideal) if format.scale is None else _rounded_scales(ideal, format), None
    high = np.maximum(_reduce(np.maximum, array, per, axis, block).astype(np.float64), 0.0)
    low = np.minimum(_reduce(np.minimum, array, per, axis, block).astype(np.float64), 0.0)
    scales = _scales((high - low) / format.highest)
    points = np.clip(np.rint(-low / scales), 0, format.highest)
    return scales, points.astype(np.uint8)


def _powers_of_two(largest: np.ndarray, format: NumberFormat) -> np.ndarray:
    """Return scales whose exponents are those of the largest magnitudes, less that of the format's highest value."""
    assert format.scale is not None
    ends = (_exponent(format.scale.lowest), _exponent(format.scale.highest))
    exponents = np.where(largest > 0, np.clip(_exponent(largest) - _exponent(format.highest), *ends), 0)
    return np.ldexp(np.float32(1.0), exponents)


def _exponent(values: Any) -> Any:
    """Return the exponent of the leading bit (frexp gives fractions in [0.5, 1))."""
    return np.frexp(values)[1] - 1


def _rounded_scales(ideal: np.ndarray, format: NumberFormat) -> np.ndarray:
    """Return scales rounded to their format, in units that map the largest to the format's highest value."""
    assert format.scale is not None
    largest = float(ideal.max(initial=0.0))
    unit = 1.0
    if format.tensor_scale is not None and largest > 0:
        unit = float(np.float32(max(largest / format.scale.highest, _LEAST_SCALE)))
    rounded = np.maximum(round_to_format(ideal / unit, format.scale), format.scale.least)
    return np.where(ideal > 0, rounded * unit, 1.0).astype(np.float32)


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
    wide = numbers if like.number_format.has_power_of_two_scales else numbers.astype(np.float64)
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
