"""Binary and multi-level codes, packed for scanning: bit planes of 64-bit words, all documents side by side.

A code of `bits` dimensions and u + 1 planes is the vector sum_i 2^-i c_i, where each c_i has elements -1 and +1. One
plane is the sign code; each loop of recurrent binarisation adds a plane (Shan et al., "Binary Embedding-based Retrieval
at Tencent", KDD '23, arXiv 2302.08714). A set bit is +1, and so is the sign of zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import count, integer

WORD_BITS = 64
#: Limits of codes. Products are whole numbers of 64 bits.
MOST_BITS = 16_384
MOST_PLANES = 8
#: Planes up to which cosines are exact: 15 x 15 x 16,384 is below 2^24, its square below 2^53.
MOST_COMPARED_PLANES = 4
_BYTE_BITS = 8
_WORD_BYTES = WORD_BITS // _BYTE_BITS


@dataclass(frozen=True, eq=False)
class Codes:
    """Packed codes of N vectors: `planes` uint64 (planes, words, N), the sign plane first, unused high bits zero.

    Raises `InputError` for another type or shape, sizes that `bits` does not fit, or bits set beyond the last.
    """

    planes: np.ndarray
    bits: int

    def __post_init__(self) -> None:
        bits = count("bits", self.bits, high=MOST_BITS)
        words = -(-bits // WORD_BITS)
        shape = self.planes.shape
        if self.planes.dtype != np.uint64 or len(shape) != 3 or shape[1] != words or not 1 <= shape[0] <= MOST_PLANES:
            raise InputError(
                f"planes are {self.planes.dtype} of shape {shape}: "
                f"expected uint64 of (1 to {MOST_PLANES}, {words}, vectors) for {bits} bits"
            )
        used = bits % WORD_BITS
        if used and self.size and int(self.planes[:, -1].max()) >> used:
            raise InputError(f"planes have bits set beyond bit {bits - 1}: expected zeros")

    @property
    def size(self) -> int:
        """Number of vectors."""
        return int(self.planes.shape[2])

    @property
    def bits_per_vector(self) -> int:
        """Bits of a vector without padding: dimensions times planes."""
        return self.bits * len(self.planes)

    @property
    def bytes(self) -> int:
        """Bytes of all planes, padding included."""
        return int(self.planes.nbytes)

    @property
    def weights(self) -> np.ndarray:
        """Weight of each plane, int64: 2^u for the sign plane down to 1, so that values are odd integers."""
        return 2 ** np.arange(len(self.planes))[::-1]

    @cached_property
    def top(self) -> int:
        """The largest value of a dimension: 2^(u+1) - 1."""
        return int(self.weights.sum())

    def take(self, positions: Any) -> "Codes":
        """Return the codes at `positions` (integers, a slice or a boolean mask), in that order."""
        return Codes(np.ascontiguousarray(self.planes[:, :, positions]), self.bits)


def pack_codes(signs: Any) -> Codes:
    """Return the codes of `signs` (N, bits) or (planes, N, bits): bool, or numbers of which those >= 0 are +1.

    Raises `InputError` for NaN, another shape, no bits, and for numbers that are only 0 and 1, which are bits rather
    than signs: bits are bool.

    >>> codes = pack_codes([[0.3, -0.2, 0.0], [-1.0, 2.0, -3.0]])
    >>> unpack_codes(codes).astype(int).tolist()
    [[[1, 0, 1], [0, 1, 0]]]
    """
    given = np.asarray(signs)
    if given.ndim == 2:
        given = given[None]
    if given.ndim != 3 or given.dtype.kind not in "bif":
        raise InputError(f"signs are {given.dtype} of shape {given.shape}: expected (vectors, bits) or (planes, ...)")
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise InputError("signs hold NaN: expected numbers")
    if given.dtype.kind != "b" and given.size and given.min() == 0 and np.isin(given, (0, 1)).all():
        raise InputError("signs hold only 0 and 1: expected bits as bool, or numbers of either sign")
    positive = given if given.dtype.kind == "b" else given >= 0
    return codes_from_bytes(np.packbits(positive, axis=2, bitorder="little").transpose(1, 0, 2), given.shape[2])


def codes_from_bytes(rows: Any, bits: int) -> Codes:
    """Return the codes of `rows` uint8 (N, planes, ceil(bits / 8)), lowest bit of a byte first.

    Raises `InputError` for another type or shape, or bits set beyond the last.
    """
    size = integer("bits", bits, high=MOST_BITS)
    given = np.asarray(rows)
    expected = -(-size // _BYTE_BITS)
    if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] != expected:
        raise InputError(
            f"rows are {given.dtype} of shape {given.shape}: expected uint8 of (vectors, planes, {expected})"
        )
    words = -(-size // WORD_BITS)
    padded = np.zeros((*given.shape[:2], words * _WORD_BYTES), np.uint8)
    padded[:, :, :expected] = given
    # Words are little-endian on every machine, so that files can be moved.
    whole = padded.view("<u8").astype(np.uint64, copy=False)
    return Codes(np.ascontiguousarray(whole.transpose(1, 2, 0)), size)


def codes_to_bytes(codes: Codes) -> np.ndarray:
    """Return the rows that `codes_from_bytes` takes: uint8 (N, planes, ceil(bits / 8))."""
    rows = np.ascontiguousarray(codes.planes.transpose(2, 0, 1)).astype("<u8", copy=False).view(np.uint8)
    return rows[:, :, : -(-codes.bits // _BYTE_BITS)]


def unpack_codes(codes: Codes) -> np.ndarray:
    """Return the bits as bool (planes, N, bits): True is +1."""
    rows = codes_to_bytes(codes).transpose(1, 0, 2)
    return np.unpackbits(rows, axis=2, count=codes.bits, bitorder="little").view(bool)


def code_values(codes: Codes) -> np.ndarray:
    """Return the vectors as odd integers, int16 (N, bits): 2^u times their values."""
    values = np.full((codes.size, codes.bits), -codes.top, np.int16)
    for plane, weight in zip(unpack_codes(codes), codes.weights, strict=True):
        # A set bit is +weight, an unset one -weight.
        values += plane.view(np.uint8) * np.int16(2 * weight)
    return values


def join_codes(parts: Sequence[Codes]) -> Codes:
    """Return the codes of all `parts`, one after the other; raises `InputError` unless bits and planes agree."""
    kinds = {(part.bits, len(part.planes)) for part in parts}
    if len(kinds) != 1:
        raise InputError(f"parts have (bits, planes) of {sorted(kinds)}: expected the same in all, and at least one")
    return Codes(np.concatenate([part.planes for part in parts], axis=2), parts[0].bits)
