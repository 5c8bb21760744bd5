"""How a vector is stored: floats, integers of a few bits, or signs with or without residual planes.

A store encodes float32 (N, dims) to rows of bytes, uint8 (N, bytes), and decodes them again, up to one scale factor
for all where only directions matter.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import FORMATS, NumberFormat, unknown_name
from hwbase.check import count
from models.binarize.linear import unit

MOST_PLANES = 4
_BYTE_BITS = 8
#: Ranges of integers that are tried, and vectors that they are tried on.
_RANGES, _MOST_TRIED = 17, 4096


def _by_name(*formats: NumberFormat) -> dict[str, NumberFormat]:
    return {name: each for each in formats for name in (each.name, *each.aliases)}


_ELEMENTS = [each for each in FORMATS.values() if each.scale is None and each.signed and each.dtype_name is not None]
#: Floating-point formats that vectors are stored in, by name and alias: those of whole bytes.
FLOATS = _by_name(*(each for each in _ELEMENTS if each.kind == "float" and each.bits % _BYTE_BITS == 0))
#: Integers that vectors are stored in: those of which a whole number fills a byte.
INTEGERS = _by_name(*(each for each in _ELEMENTS if each.kind == "integer" and _BYTE_BITS % each.bits == 0))


@dataclass(frozen=True, eq=False)
class FloatStore:
    """Numbers as `kind` of `FLOATS`, multiplied by `scale` first, a power of two.

    The scale uses the range of the format for the vectors that it was fitted to; numbers beyond it saturate.
    """

    kind: str
    dims: int
    scale: float = 1.0

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.dims * FLOATS[self.kind].bits

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, bytes)."""
        scaled, highest = x * np.float32(self.scale), np.float32(FLOATS[self.kind].highest)
        return np.ascontiguousarray(np.clip(scaled, -highest, highest).astype(_stored(self.kind))).view(np.uint8)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        return np.ascontiguousarray(rows).view(_stored(self.kind)).astype(np.float32) / np.float32(self.scale)


@dataclass(frozen=True, eq=False)
class IntegerStore:
    """Whole numbers as `kind` of `INTEGERS`: `low` (dims,) is level 0, `step` (dims,) what a level adds.

    A byte holds 8 / bits levels, the first in its lowest bits.
    """

    kind: str
    low: np.ndarray
    step: np.ndarray

    @property
    def dims(self) -> int:
        """Numbers of a vector."""
        return int(self.low.size)

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.dims * INTEGERS[self.kind].bits

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, bytes)."""
        bits = INTEGERS[self.kind].bits
        levels = np.clip(np.rint((x - self.low) / self.step), 0, 2**bits - 1).astype(np.uint8)
        a_byte = _BYTE_BITS // bits
        levels = np.pad(levels, ((0, 0), (0, -self.dims % a_byte))).reshape(
            len(levels), -(-self.dims // a_byte), a_byte
        )
        return np.bitwise_or.reduce(levels << _shifts(bits), axis=2)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        bits = INTEGERS[self.kind].bits
        levels = rows[:, :, None] >> _shifts(bits) & np.uint8(2**bits - 1)
        levels = levels.reshape(len(rows), levels.shape[1] * levels.shape[2])[:, : self.dims]
        return levels * self.step + self.low


@dataclass(frozen=True, eq=False)
class PlaneStore:
    """Signs, and in each further plane the sign of what the planes before leave over: recurrent binarisation untrained.

    b starts as sign(x); then b gains 2^-i sign(x - b / |b|) for i = 1, 2, ..., with x of length 1.
    """

    dims: int
    planes: int = 1

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.dims * self.planes

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, planes * bytes of a plane)."""
        whole = unit(x)
        bits = [x >= 0]
        value = np.where(bits[0], np.float32(1), np.float32(-1))
        for plane in range(1, self.planes):
            bits.append(whole - value / np.linalg.norm(value, axis=1, keepdims=True) >= 0)
            value = value + np.where(bits[-1], np.float32(0.5**plane), np.float32(-(0.5**plane)))
        return pack_planes(bits)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors b, float32 (N, dims)."""
        return unpack_planes(rows, self.dims, self.planes)


def _levels(x: np.ndarray, format: NumberFormat) -> tuple[np.ndarray, np.ndarray]:
    """Return (the lowest level, the step) of each dimension, float32 (dims,), of least squared error on `x` (N, dims).

    Ranges from the one that is best for normal numbers to all that `x` spans are tried in each dimension.
    """
    assert format.gaussian_step is not None
    steps = 2**format.bits - 1
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    half = spread * format.gaussian_step * steps / 2
    lowest, highest = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    sample = x[np.linspace(0, len(x) - 1, min(len(x), _MOST_TRIED)).astype(int)]
    best = np.full(x.shape[1], np.inf)
    low, step = lowest.astype(np.float32), np.ones(x.shape[1], np.float32)
    for share in np.linspace(0.0, 1.0, _RANGES):
        bottom = (1.0 - share) * (mean - half) + share * lowest
        width = ((1.0 - share) * (mean + half) + share * highest - bottom) / steps
        tried = bottom.astype(np.float32), np.where(width > 0, width, 1.0).astype(np.float32)
        levels = np.clip(np.rint((sample - tried[0]) / tried[1]), 0, steps)
        error = np.square(levels * tried[1] + tried[0] - sample).mean(axis=0, dtype=np.float64)
        less = error < best
        best, low, step = np.where(less, error, best), np.where(less, tried[0], low), np.where(less, tried[1], step)
    return low, step


def _stored(kind: str) -> np.dtype:
    """Return the type of stored floats, lowest byte first."""
    return FLOATS[kind].dtype.newbyteorder("<")


def _shifts(bits: int) -> np.ndarray:
    """Return how far the numbers of `bits` bits in one byte are shifted, uint8 (8 / bits,)."""
    return np.arange(0, _BYTE_BITS, bits, dtype=np.uint8)


def pack_planes(bits: list[np.ndarray]) -> np.ndarray:
    """Return planes of bool (N, dims) as rows uint8 (N, planes * ceil(dims / 8)), lowest bit first."""
    return np.concatenate([np.packbits(plane, axis=1, bitorder="little") for plane in bits], axis=1)


def unpack_planes(rows: np.ndarray, dims: int, planes: int) -> np.ndarray:
    """Return sum_i 2^-i c_i as float32 (N, dims) of what `pack_planes` packed."""
    parts = rows.reshape(len(rows), planes, -(-dims // _BYTE_BITS))
    signs = 2.0 * np.unpackbits(parts, axis=2, count=dims, bitorder="little").astype(np.float32) - 1
    return np.einsum("npd,p->nd", signs, 0.5 ** np.arange(planes, dtype=np.float32), dtype=np.float32)


Store = FloatStore | IntegerStore | PlaneStore


def fit_store(kind: str, x: np.ndarray, planes: int = 1) -> Store:
    """Return the store `kind` for vectors such as `x`: of `FLOATS`, of `INTEGERS`, "sign" or "recurrent".

    Raises `InputError` for another kind, or planes beyond 1 to 4.
    """
    if kind in FLOATS:
        # Floats of a byte or less need their range used: the smallest normal number of FP8 E4M3 is 2^-6.
        largest, format = float(np.abs(x).max(initial=0)), FLOATS[kind]
        short = format.bits <= _BYTE_BITS and largest > 0
        scale = 2.0 ** np.floor(np.log2(format.highest / largest)) if short else 1.0
        return FloatStore(kind, x.shape[1], float(scale))
    if kind in INTEGERS:
        return IntegerStore(kind, *_levels(x, INTEGERS[kind]))
    if kind in ("sign", "recurrent"):
        return PlaneStore(x.shape[1], int(count("planes", planes, high=MOST_PLANES)))
    raise unknown_name("store", kind, (*FLOATS, *INTEGERS, "sign", "recurrent"))
