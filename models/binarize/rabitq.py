"""RaBitQ: a few bits a dimension and three numbers a vector, from which inner products are estimated without bias.

Gao and Long, SIGMOD '24, arXiv 2405.12497 (one bit); Gao et al., SIGMOD '25, arXiv 2409.09913 (more bits). Vectors are
turned by a random rotation first, which is the map before this store. With c the mean and o a unit vector, o - c is
coded by the element u of a grid of odd integers that has the largest cosine with it. Then for a query q

    <q, o> = <q, c> + <c, o - c> + <q - c, o - c>,    <q - c, o - c> ~ |o - c|^2 / <u, o - c> <q - c, u>

whose expectation over rotations is exact; 19 of 20 errors or so are at most
|q - c| |o - c| sqrt(1 / cos^2 - 1) 1.9 / sqrt(dims - 1), where cos is the cosine of u and o - c.
"""

from dataclasses import dataclass

import numpy as np

from hwbase.check import integer
from hwbase.formats import number_format
from models.binarize.linear import unit

MOST_BITS = 8
#: Scales at which a vector is rounded to the grid; the best is kept. More change the cosine by less than 1e-4.
_SCALES = 16
#: The paper's epsilon_0, in standard deviations of the error: 94 % of normal errors are within.
_CONFIDENCE = 1.9
_BLOCK = 4096
#: What is stored beside the bits: the factor, the product with the mean and the bound.
_FACTORS = np.dtype([("factor", "<f4"), ("offset", "<f2"), ("bound", "<f2")])


@dataclass(frozen=True, eq=False)
class Factors:
    """What turns products with codes into estimates, float32 (N,) each: `factor` <q - c, u> + `offset` + <q, c>.

    `bound` times |q - c| is the error that few estimates exceed.
    """

    factor: np.ndarray
    offset: np.ndarray
    bound: np.ndarray


@dataclass(frozen=True, eq=False)
class RabitqStore:
    """Odd integers of `bits` bits a dimension about `mean` float32 (dims,), as bit planes, and `Factors`."""

    bits: int
    mean: np.ndarray

    @property
    def dims(self) -> int:
        """Dimensions of a code."""
        return int(self.mean.size)

    @property
    def planes(self) -> int:
        """Bit planes of a code."""
        return self.bits

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector, those of its factors included."""
        return self.dims * self.bits + 8 * self.extra_bytes

    @property
    def extra_bytes(self) -> int:
        """Bytes of the factors, which end a row."""
        return _FACTORS.itemsize

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, planes * bytes of a plane + bytes of the factors)."""
        rows = [np.empty((0, self.bits * -(-self.dims // 8) + self.extra_bytes), np.uint8)]
        rows += [self._encoded(unit(x[start : start + _BLOCK])) for start in range(0, len(x), _BLOCK)]
        return np.concatenate(rows)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return the nearest known vectors, float32 (N, dims): the mean and the code at its factor."""
        factor = self.factors(rows[:, -self.extra_bytes :]).factor
        return self.mean + factor[:, None] * self._levels(rows)

    def factors(self, rows: np.ndarray) -> Factors:
        """Return the factors of the last `extra_bytes` bytes of rows, uint8 (N, extra_bytes)."""
        stored = np.ascontiguousarray(rows).view(_FACTORS)[:, 0]
        return Factors(*(stored[name].astype(np.float32) for name in ("factor", "offset", "bound")))

    def scores(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the estimates of the products of unit vectors `queries` (Q, dims) with the vectors of `rows`, (Q, N).

        The queries are not rounded.
        """
        factors = self.factors(rows[:, -self.extra_bytes :])
        products = (queries - self.mean) @ self._levels(rows).T
        return products * factors.factor + factors.offset + (queries @ self.mean)[:, None]

    def rounded(self, rows: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
        """Return the queries float32 (Q, dims) behind what `round_query` gave."""
        return scale[:, None] * grid_levels(rows, self.dims, bits)

    @property
    def spread(self) -> float:
        """The confidence over the root of the dimensions, times the longest |o - c| of a unit vector o."""
        return float(_CONFIDENCE / np.sqrt(max(self.dims - 1, 1)) * (1 + np.linalg.norm(self.mean)))

    def _encoded(self, x: np.ndarray) -> np.ndarray:
        apart = x - self.mean
        bits, length, product, norm = _rounded(apart, self.bits)
        factors = np.zeros(len(x), _FACTORS)
        real = product > 0
        factor = np.divide(length**2, product, out=np.zeros_like(product), where=real)
        # 1 / cos^2 - 1; rounding may leave it below 0.
        tangent = np.sqrt(np.maximum((factor * norm) ** 2 - length**2, 0))
        factors["factor"], factors["offset"] = factor, apart @ self.mean
        factors["bound"] = tangent * _CONFIDENCE / np.sqrt(max(self.dims - 1, 1))
        return np.concatenate([bits, factors.view(np.uint8).reshape(len(x), -1)], axis=1)

    def _levels(self, rows: np.ndarray) -> np.ndarray:
        return grid_levels(rows[:, : -self.extra_bytes], self.dims, self.bits)


def fit_rabitq(x: np.ndarray, bits: int) -> RabitqStore:
    """Return the store of `bits` bits, 1 to 8, about the mean of `x` (N, dims). Raises `InputError` for others."""
    most = integer("bits", bits, high=MOST_BITS)
    return RabitqStore(most, unit(x).mean(axis=0, dtype=np.float64).astype(np.float32))


def grid_levels(rows: np.ndarray, dims: int, bits: int) -> np.ndarray:
    """Return the odd integers of rows of bit planes, float32 (N, dims), sign plane first."""
    planes = rows.reshape(len(rows), bits, -(-dims // 8))
    ones = np.unpackbits(planes, axis=2, count=dims, bitorder="little").astype(np.float32)
    weights = 2.0 ** np.arange(bits - 1, -1, -1, dtype=np.float32)
    return np.einsum("npd,p->nd", 2 * ones - 1, weights, dtype=np.float32)


def round_query(queries: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows of bit planes uint8 (Q, bytes), scale float32 (Q,)): the odd integers that, scaled, are nearest."""
    rows, _, product, norm = _rounded(queries, bits)
    return rows, (product / norm**2).astype(np.float32)


def _rounded(x: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (bit planes, |x|, <u, x>, |u|) of the grid's element u of the largest cosine with x, of those tried."""
    length = np.linalg.norm(x, axis=1)
    half = 2 ** (bits - 1)
    best = np.full(len(x), -np.inf, np.float32)
    kept = np.empty(x.shape, np.uint8)
    kept_product, kept_norm = np.zeros(len(x), np.float32), np.ones(len(x), np.float32)
    for step in _steps(x, length, bits):
        levels = np.clip(np.floor(x / step[:, None]), -half, half - 1)
        values = 2 * levels + 1
        product, norm = np.einsum("nd,nd->n", values, x), np.linalg.norm(values, axis=1)
        better = product / norm > best
        best[better], kept[better] = (product / norm)[better], (levels[better] + half).astype(np.uint8)
        kept_product[better], kept_norm[better] = product[better], norm[better]
    planes = [np.packbits(kept >> (bits - 1 - plane) & 1, axis=1, bitorder="little") for plane in range(bits)]
    return np.concatenate(planes, axis=1), length, kept_product, kept_norm


def _steps(x: np.ndarray, length: np.ndarray, bits: int) -> np.ndarray:
    """Return steps of the grid to try, float32 (scales, N): from the best for normal numbers to one that spans `x`."""
    if bits == 1:
        return np.ones((1, len(x)), np.float32)
    normal = float(number_format(f"int{bits}").gaussian_step or 1) * length / np.sqrt(x.shape[1])
    whole = np.abs(x).max(axis=1) / 2 ** (bits - 1)
    ends = 0.7 * np.minimum(normal, whole), 1.1 * np.maximum(normal, whole)
    shares = np.linspace(0, 1, _SCALES)[:, None]
    # Vectors of zeros have no step.
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.exp((1 - shares) * np.log(ends[0]) + shares * np.log(ends[1]))
    return np.where(steps > 0, steps, 1).astype(np.float32)
