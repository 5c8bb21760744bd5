"""How a vector is stored: floats, integers of a few bits, or signs with or without residual planes.

A store encodes float32 (N, dims) to rows of bytes, uint8 (N, bytes), and decodes them again, up to one scale factor
for all where only directions matter.
"""

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from hwbase import unknown_name
from hwbase.check import count

FLOATS = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "float8": np.dtype(ml_dtypes.float8_e4m3fn)}
#: Steps of the uniform quantiser with the least squared error for a normal variable, in standard deviations: Max,
#: "Quantizing for minimum distortion", 1960, for 4 bits; for 8 bits continued with the same programme.
_STEPS = {"int8": (8, 0.0308), "int4": (4, 0.3352)}
INTEGERS = tuple(_STEPS)
MOST_PLANES = 4
_BYTE_BITS = 8


@dataclass(frozen=True, eq=False)
class FloatStore:
    """Numbers as `kind` of `FLOATS`, multiplied by `scale` first (a power of two, so that none overflows)."""

    kind: str
    dims: int
    scale: float = 1.0

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.dims * FLOATS[self.kind].itemsize * _BYTE_BITS

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, bytes)."""
        return np.ascontiguousarray((x * np.float32(self.scale)).astype(FLOATS[self.kind])).view(np.uint8)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        return np.ascontiguousarray(rows).view(FLOATS[self.kind]).astype(np.float32) / np.float32(self.scale)


@dataclass(frozen=True, eq=False)
class IntegerStore:
    """Whole numbers of 8 or 4 bits (two a byte): `low` (dims,) is level 0, `step` (dims,) what a level adds."""

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
        return self.dims * _STEPS[self.kind][0]

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, bytes)."""
        bits, _ = _STEPS[self.kind]
        levels = np.clip(np.rint((x - self.low) / self.step), 0, 2**bits - 1).astype(np.uint8)
        if bits == _BYTE_BITS:
            return levels
        if self.dims % 2:
            levels = np.concatenate([levels, np.zeros((len(levels), 1), np.uint8)], axis=1)
        return levels[:, 0::2] | levels[:, 1::2] << np.uint8(bits)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        bits, _ = _STEPS[self.kind]
        levels = rows
        if bits < _BYTE_BITS:
            levels = np.stack([rows & (2**bits - 1), rows >> bits], axis=2).reshape(len(rows), -1)[:, : self.dims]
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
        norms = np.linalg.norm(x, axis=1, keepdims=True)
        whole = x / np.where(norms > 0, norms, 1)
        bits = [x >= 0]
        value = np.where(bits[0], np.float32(1), np.float32(-1))
        for plane in range(1, self.planes):
            bits.append(whole - value / np.linalg.norm(value, axis=1, keepdims=True) >= 0)
            value = value + np.where(bits[-1], np.float32(0.5**plane), np.float32(-(0.5**plane)))
        return pack_planes(bits)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors b, float32 (N, dims)."""
        return unpack_planes(rows, self.dims, self.planes)


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
        # Only the 8-bit float needs its range used: its smallest normal number is 2^-6.
        most = float(np.abs(x).max(initial=0))
        top = float(ml_dtypes.finfo(FLOATS[kind]).max)
        scale = 2.0 ** np.floor(np.log2(top / most)) if kind == "float8" and most > 0 else 1.0
        return FloatStore(kind, x.shape[1], float(scale))
    if kind in _STEPS:
        bits, step = _STEPS[kind]
        mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        width = np.where(spread > 0, spread, 1.0) * step
        low = mean - width * (2**bits - 1) / 2
        return IntegerStore(kind, low.astype(np.float32), width.astype(np.float32))
    if kind in ("sign", "recurrent"):
        return PlaneStore(x.shape[1], int(count("planes", planes, high=MOST_PLANES)))
    raise unknown_name("store", kind, (*FLOATS, *_STEPS, "sign", "recurrent"))
