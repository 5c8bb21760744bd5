"""Scalar codes after centring or rotation: a range of each vector's own, or one table of levels for all.

- `RangeStore` (LVQ, Aguerrebere et al., VLDB 2023, arXiv 2304.04759): each vector, less the mean, in even steps between
  two numbers of its own. `optimised` seeks these numbers by alternation of rounding and least squares, as the optimised
  scalar quantisation of Lucene 10 does.
- `TableStore` (TurboQuant, Zandieh et al., arXiv 2504.19874, the variant of least squared error): after a random
  rotation coordinates of unit vectors are nearly normal, so all share the levels of Lloyd and Max.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import norm

from hwbase.check import integer
from models.binarize.linear import unit

MOST_BITS = 8
_ROUNDS = 10
_LLOYD_ROUNDS = 1000
_BLOCK = 8192
_ENDS = np.dtype([("low", "<f4"), ("step", "<f4")])


@dataclass(frozen=True, eq=False)
class RangeStore:
    """Levels of `bits` bits between two numbers of each vector, less `mean` float32 (dims,)."""

    bits: int
    optimised: bool
    mean: np.ndarray

    @property
    def dims(self) -> int:
        """Dimensions of a vector."""
        return int(self.mean.size)

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector, those of its range included."""
        return self.dims * self.bits + 8 * _ENDS.itemsize

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, bits * bytes of a plane + 8)."""
        rows = [np.empty((0, self.bits * -(-self.dims // 8) + _ENDS.itemsize), np.uint8)]
        rows += [self._encoded(x[start : start + _BLOCK] - self.mean) for start in range(0, len(x), _BLOCK)]
        return np.concatenate(rows)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        ends = np.ascontiguousarray(rows[:, -_ENDS.itemsize :]).view(_ENDS)
        levels = _unpacked(rows[:, : -_ENDS.itemsize], self.dims, self.bits)
        return self.mean + ends["low"] + ends["step"] * levels

    def _encoded(self, x: np.ndarray) -> np.ndarray:
        most = 2**self.bits - 1
        low, step = x.min(axis=1), (x.max(axis=1) - x.min(axis=1)) / np.float32(most)
        levels = _levels(x, low, step, most)
        for _ in range(_ROUNDS if self.optimised else 0):
            # The line through the levels that is nearest to the vector.
            means, centre = levels.mean(axis=1), x.mean(axis=1)
            spread = np.square(levels - means[:, None]).sum(axis=1)
            slope = ((levels - means[:, None]) * x).sum(axis=1) / np.where(spread > 0, spread, 1)
            low, step = centre - slope * means, slope
            levels = _levels(x, low, step, most)
        ends = np.zeros(len(x), _ENDS)
        ends["low"], ends["step"] = low, step
        return np.concatenate([_packed(levels.astype(np.uint8), self.bits), ends.view(np.uint8).reshape(len(x), -1)], 1)


@dataclass(frozen=True, eq=False)
class TableStore:
    """Levels of `bits` bits from one table for all coordinates, those of unit vectors of `dims` dimensions."""

    bits: int
    dims: int

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.dims * self.bits

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, bits * bytes of a plane)."""
        table = normal_levels(self.bits)
        between = (table[1:] + table[:-1]) / 2
        rows = [np.empty((0, self.bits * -(-self.dims // 8)), np.uint8)]
        for start in range(0, len(x), _BLOCK):
            scaled = unit(x[start : start + _BLOCK]) * np.sqrt(self.dims)
            rows.append(_packed(np.searchsorted(between, scaled).astype(np.uint8), self.bits))
        return np.concatenate(rows)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        table = (normal_levels(self.bits) / np.sqrt(self.dims)).astype(np.float32)
        return table[_unpacked(rows, self.dims, self.bits).astype(np.uint8)]


def fit_ranges(x: np.ndarray, bits: int, *, optimised: bool) -> RangeStore:
    """Return the store about the mean of `x` (N, dims). Raises `InputError` beyond 1 to 8 bits."""
    most = integer("bits", bits, high=MOST_BITS)
    return RangeStore(most, optimised, x.mean(axis=0, dtype=np.float64).astype(np.float32))


def fit_table(x: np.ndarray, bits: int) -> TableStore:
    """Return the store for vectors such as `x` (N, dims). Raises `InputError` beyond 1 to 8 bits."""
    return TableStore(integer("bits", bits, high=MOST_BITS), x.shape[1])


@cache
def normal_levels(bits: int) -> np.ndarray:
    """Return the 2^bits levels of least squared error for a normal variable, rising (Max, IRE Trans. IT 6, 1960)."""
    levels = norm.ppf((np.arange(2**bits) + 0.5) / 2**bits)
    for _ in range(_LLOYD_ROUNDS):
        between = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        # The mean of the variable within each cell.
        levels = -np.diff(norm.pdf(between)) / np.diff(norm.cdf(between))
    return levels


def _levels(x: np.ndarray, low: np.ndarray, step: np.ndarray, most: int) -> np.ndarray:
    width = np.where(step > 0, step, 1)[:, None]
    return np.clip(np.rint((x - low[:, None]) / width), 0, most)


def _packed(levels: np.ndarray, bits: int) -> np.ndarray:
    return np.concatenate([np.packbits(levels >> bit & 1, axis=1, bitorder="little") for bit in range(bits)], axis=1)


def _unpacked(rows: np.ndarray, dims: int, bits: int) -> np.ndarray:
    planes = np.unpackbits(rows.reshape(len(rows), bits, -1), axis=2, count=dims, bitorder="little")
    return np.einsum("npd,p->nd", planes, 2 ** np.arange(bits), dtype=np.float32, casting="unsafe")
