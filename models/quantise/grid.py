"""Grids of evenly spaced values: what integers of a few bits can say, and rounding to them.

A value x is said by the integer q nearest to x / scale + zero, and read back as scale (q - zero). Values stay floating
point: this shows what rounding does to a network. `hwsim.kernels` stores and multiplies the integers themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import FORMATS, InputError, check, number_format
from hwbase.formats import INTEGER_BITS

#: Fewest and most bits that are rounded to; `UNROUNDED` say that values stay as they are.
FEWEST_BITS, MOST_BITS = INTEGER_BITS
UNROUNDED = (FORMATS["bf16"].bits, FORMATS["fp32"].bits)
_FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True, eq=False)
class Grid:
    """The values scale (q - zero) for integers q from `lowest` to `highest`.

    `scale` float32 and `zero` float32 (whole numbers) are scalars or arrays that broadcast against what is rounded.
    """

    scale: np.ndarray
    zero: np.ndarray
    lowest: int
    highest: int


def check_bits(name: str, bits: Any) -> int:
    """Return `bits` as an int: 2 to 8, or 16 or 32, which leave values as they are; raises `InputError` for others."""
    if not isinstance(bits, bool) and bits in UNROUNDED:
        return int(bits)
    try:
        return int(check.count(name, bits, low=FEWEST_BITS, high=MOST_BITS))
    except InputError as error:
        raise InputError(f"{error}, or 16 or 32 to leave values as they are") from None


def grid(low: np.ndarray, high: np.ndarray, bits: int, *, symmetric: bool) -> Grid:
    """Return the grid of `bits` bits (2 to 8) that spans `low` to `high`, arrays of one shape, with zero on it.

    Symmetric: the 2^bits - 1 integers around 0, the larger magnitude at the end. Otherwise 2^bits integers from 0, and
    the range is widened to hold zero. A range of nothing gets the scale 1. Raises `InputError` for bits out of range.
    """
    width = int(check.count("bits", bits, low=FEWEST_BITS, high=MOST_BITS))
    low = np.minimum(np.asarray(low, np.float64), 0.0)
    high = np.maximum(np.asarray(high, np.float64), 0.0)
    if symmetric:
        most = int(number_format(f"int{width}").highest)
        scale = _scale(np.maximum(-low, high) / most, most)
        return Grid(scale, np.zeros_like(scale), -most, most)
    most = int(number_format(f"uint{width}").highest)
    scale = _scale((high - low) / most, most)
    return Grid(scale, np.clip(np.rint(-low / scale), 0, most).astype(np.float32), 0, most)


def round_to(values: np.ndarray, to: Grid) -> np.ndarray:
    """Return `values` (float32) rounded to the nearest value of a grid, halves to even; those beyond it to its ends."""
    # Far beyond the grid the division may overflow; infinity is clipped like any other value.
    with np.errstate(over="ignore"):
        codes = np.divide(values, to.scale, dtype=np.float32)
    np.rint(codes, out=codes)
    np.clip(codes, to.lowest - to.zero, to.highest - to.zero, out=codes)
    codes *= to.scale
    return codes


def side_by_side(grids: Sequence[Grid], lengths: Sequence[int], ndim: int, axis: int) -> Grid:
    """Return one grid for values that are joined along `axis` (of `ndim` axes): each part keeps its own scale.

    The grids are of scalars, of as many bits and alike in symmetry; `lengths` are the parts' along the axis.
    """
    shape = [1] * ndim
    shape[axis] = sum(lengths)
    scale, zero = (
        np.repeat([float(getattr(part, name)) for part in grids], lengths).astype(np.float32).reshape(shape)
        for name in ("scale", "zero")
    )
    return Grid(scale, zero, grids[0].lowest, grids[0].highest)


def _scale(ideal: np.ndarray, most: int) -> np.ndarray:
    # A scale of float32's least magnitudes would be zero, one of its largest would lead beyond them.
    bounded = np.clip(ideal, _FLOAT32.smallest_normal, np.nextafter(_FLOAT32.max / np.float32(most), np.float32(0.0)))
    return np.where(ideal > 0, bounded, 1.0).astype(np.float32)
