"""Codes of b bits packed without gaps: two FP4 codes a byte, the first in the low half."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import count, integer


def pack(codes: Any, bits: int = 4) -> np.ndarray:
    """Return codes of any shape, in C order, as bytes uint8 (ceil(size x bits / 8),), with zeros after the last code.

    Code i starts at bit i x `bits` of the stream, counted from the lowest bit of the first byte, so two 4-bit codes
    share a byte, the first in its low half. Signed codes (of a signed type) are stored in two's complement of `bits`
    bits (1 to 8). Raises `InputError` for codes that do not fit.
    """
    width = _width(bits)
    given = np.asarray(codes)
    if given.dtype.kind not in "iu":
        raise InputError(f"codes are of type {given.dtype}: expected integers")
    signed = given.dtype.kind == "i"
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    if given.size and (given.min() < low or given.max() > high):
        raise InputError(f"codes reach from {given.min()} to {given.max()}: expected {low} to {high} ({width} bits)")
    flat = given.ravel().astype(np.uint8) & np.uint8((1 << width) - 1)
    if width == 8:
        return flat
    if width == 4:
        even = np.concatenate([flat, np.zeros(flat.size % 2, np.uint8)])
        return even[0::2] | (even[1::2] << 4)
    stream = np.unpackbits(flat[:, None], axis=1, count=width, bitorder="little")
    return np.packbits(stream.ravel(), bitorder="little")


def unpack(packed: Any, shape: int | Sequence[int], bits: int = 4, *, signed: bool = False) -> np.ndarray:
    """Return the codes that `pack` stored.

    Parameters
    ----------
    packed : array of uint8
        (bytes,).
    shape : int or sequence of int
        Shape of the codes.
    bits : int
        Bits of a code, 1 to 8.
    signed : bool
        Whether codes are in two's complement.

    Returns
    -------
    array of uint8, or of int8 if `signed`

    Raises
    ------
    InputError
        Unless `packed` is uint8 and has exactly the bytes of `shape`.
    """
    width = _width(bits)
    data = np.asarray(packed)
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for size in sizes:
        count("shape", size, low=0)
    total = math.prod(int(size) for size in sizes)
    expected = -(-total * width // 8)
    if data.dtype != np.uint8 or data.ndim != 1 or data.size != expected:
        raise InputError(
            f"packed codes are {data.dtype} of shape {data.shape}: expected {expected} bytes (uint8) "
            f"for {total} codes of {width} bits"
        )
    if width == 8:
        codes = data.copy()
    elif width == 4:
        codes = np.stack([data & 0xF, data >> 4], axis=-1).ravel()[:total]
    else:
        stream = np.unpackbits(data, count=total * width, bitorder="little").reshape(total, width)
        codes = np.packbits(stream, axis=1, bitorder="little").ravel()
    codes = codes.reshape(sizes)
    if not signed:
        return codes
    shift = np.uint8(8 - width)
    return (codes << shift).view(np.int8) >> shift.astype(np.int8)


def _width(bits: int) -> int:
    return integer("bits", bits, low=1, high=8)
