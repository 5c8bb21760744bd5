"""Product quantisation: a vector cut into parts, each coded in 4 bits as the nearest of 16 centroids of its own.

Jegou et al., IEEE TPAMI 33, 2011 (PQ); Ge et al., IEEE TPAMI 36, 2014 (OPQ, the rotation that fits the parts, by
alternation). Codes of 4 bits are those of fast scan (Andre et al., VLDB 2015), whose tables fit one register.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from models.binarize.linear import principal, sample_rows

#: Centroids of a part: codes of 4 bits.
CENTROIDS = 16
_CODE_BITS = 4
#: Rounds of k-means in each part, and alternations of OPQ with one round each.
_ROUNDS, _ALTERNATIONS = 20, 20
#: Vectors that centroids are fitted to; more change recall by less than its interval.
_MOST_FITTED = 20_000
_BLOCK = 8192
_SEED = 0


@dataclass(frozen=True, eq=False)
class ProductStore:
    """Parts of equal length, coded by `centroids` float32 (parts, 16, dimensions of a part); two codes fill a byte."""

    centroids: np.ndarray

    @property
    def dims(self) -> int:
        """Dimensions of a vector."""
        return int(self.centroids.shape[0] * self.centroids.shape[2])

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return len(self.centroids) * _CODE_BITS

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return rows uint8 (N, ceil(parts / 2)), the first code of a byte in its lower half."""
        parts = len(self.centroids)
        rows = np.zeros((len(x), -(-parts // 2)), np.uint8)
        for start in range(0, len(x), _BLOCK):
            nearest = _nearest(_cut(x[start : start + _BLOCK], parts), self.centroids)
            for part in range(parts):
                rows[start : start + _BLOCK, part // 2] |= nearest[part] << np.uint8(_CODE_BITS * (part % 2))
        return rows

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 (N, dims)."""
        parts = len(self.centroids)
        both = np.stack([rows & np.uint8(CENTROIDS - 1), rows >> np.uint8(_CODE_BITS)], axis=2)
        codes = both.reshape(len(rows), 2 * rows.shape[1])[:, :parts]
        return self.centroids[np.arange(parts), codes].reshape(len(rows), self.dims)


def fit_product(x: np.ndarray, parts: int) -> ProductStore:
    """Return the store of `parts` parts fitted to `x` (N, dims) by k-means.

    Raises `InputError` where `parts` does not divide the dimensions.
    """
    sample = sample_rows(x, _MOST_FITTED)
    cut = _cut(sample, _dividing(parts, x.shape[1]))
    centroids = _first(cut)
    for _ in range(_ROUNDS):
        centroids = _moved(cut, _nearest(cut, centroids), centroids)
    return ProductStore(centroids)


def product_rotation(x: np.ndarray, parts: int) -> np.ndarray:
    """Return the rotation float32 (dims, dims) for which parts lose least: OPQ, from principal components dealt out.

    Components go to the part with the least product of variances so far, as the paper's parametric solution does.
    Raises `InputError` where `parts` does not divide the dimensions.
    """
    dims = x.shape[1]
    number = _dividing(parts, dims)
    sample = sample_rows(x, _MOST_FITTED)
    turn = _balanced(sample, number)
    centroids = _first(_cut(sample @ turn, number))
    for _ in range(_ALTERNATIONS):
        cut = _cut(sample @ turn, number)
        centroids = _moved(cut, _nearest(cut, centroids), centroids)
        codes = _nearest(cut, centroids)
        decoded = centroids[np.arange(number)[:, None], codes].transpose(1, 0, 2).reshape(len(sample), dims)
        left, _, right = np.linalg.svd(sample.T @ decoded)
        turn = (left @ right).astype(np.float32)
    return turn


def _dividing(parts: int, dims: int) -> int:
    number = integer("parts", parts, high=dims)
    if dims % number:
        nearest = min((n for n in range(1, dims + 1) if dims % n == 0), key=lambda n: abs(n - number))
        raise InputError(f"parts = {number}: expected a divisor of the {dims} dimensions, such as {nearest}")
    return number


def _balanced(sample: np.ndarray, parts: int) -> np.ndarray:
    directions = principal(sample, sample.shape[1]).matrix
    variances = np.log(np.maximum((sample @ directions).var(axis=0, dtype=np.float64), 1e-30))
    chosen: list[list[int]] = [[] for _ in range(parts)]
    sums, most = np.zeros(parts), sample.shape[1] // parts
    for place, variance in enumerate(variances - variances.min()):
        open_parts = [part for part in range(parts) if len(chosen[part]) < most]
        part = min(open_parts, key=lambda one: sums[one])
        chosen[part].append(place)
        sums[part] += variance
    return np.ascontiguousarray(directions[:, [place for own in chosen for place in own]])


def _cut(x: np.ndarray, parts: int) -> np.ndarray:
    """Return the parts of vectors, float32 (parts, N, dimensions of a part)."""
    return np.ascontiguousarray(x.reshape(len(x), parts, -1).transpose(1, 0, 2))


def _first(cut: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(_SEED)
    return cut[:, rng.choice(cut.shape[1], CENTROIDS, replace=cut.shape[1] < CENTROIDS)]


def _nearest(cut: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the nearest centroid of each part, uint8 (parts, N)."""
    halves = 0.5 * np.square(centroids).sum(axis=2)[:, None, :]
    return (cut @ centroids.transpose(0, 2, 1) - halves).argmax(axis=2).astype(np.uint8)


def _moved(cut: np.ndarray, codes: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the means of the vectors of each centroid; one without vectors moves to the vector that loses most."""
    moved = centroids.copy()
    for part, (vectors, own) in enumerate(zip(cut, codes, strict=True)):
        counts = np.bincount(own, minlength=CENTROIDS)
        for axis in range(vectors.shape[1]):
            sums = np.bincount(own, vectors[:, axis], CENTROIDS)
            moved[part, :, axis] = np.where(counts > 0, sums / np.maximum(counts, 1), moved[part, :, axis])
        empty = np.flatnonzero(counts == 0)
        if empty.size and len(vectors) >= CENTROIDS:
            lost = np.square(vectors - centroids[part, own]).sum(axis=1)
            moved[part, empty] = vectors[np.argsort(-lost, kind="stable")[: empty.size]]
    return moved
