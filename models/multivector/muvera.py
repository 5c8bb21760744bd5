"""MUVERA's encodings of fixed dimensions: a set of vectors as one, whose products estimate Chamfer similarities.

Dhulipala et al., arXiv 2405.19504. Each repetition divides space by signs of random products into 2^bits clusters. A
query has in each cluster the sum of its vectors there; a document has the mean of its vectors there, or, in a cluster
without any, the vector whose cluster differs in the fewest signs. A random projection shortens what each cluster holds.
The product of two encodings is the mean over repetitions of the estimate of the Chamfer similarity.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwbase.check import integer
from models.multivector.sets import VectorSets

_MOST_BITS, _MOST = 12, 10_000


@dataclass(frozen=True)
class Muvera:
    """Encodings of `repetitions` x 2^`bits` clusters x `projected` dimensions.

    `inputs` are the dimensions of a vector; `projected` 0 keeps them all. `final` dimensions are left by a last random
    projection of the whole (0: none). Raises `InputError` for numbers out of range.
    """

    inputs: int
    repetitions: int = 20
    bits: int = 4
    projected: int = 8
    final: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        integer("inputs", self.inputs, high=_MOST)
        integer("repetitions", self.repetitions, high=_MOST)
        integer("bits", self.bits, low=0, high=_MOST_BITS)
        integer("projected", self.projected, low=0, high=self.inputs)
        integer("final", self.final, low=0, high=self.dims_before)

    @property
    def dims_before(self) -> int:
        """Dimensions before the last projection."""
        return self.repetitions * 2**self.bits * (self.projected or self.inputs)

    @property
    def dims(self) -> int:
        """Dimensions of an encoding."""
        return self.final or self.dims_before

    @cached_property
    def _planes(self) -> np.ndarray:
        """Directions whose signs give clusters, float32 (repetitions, inputs, bits)."""
        random = np.random.default_rng(self.seed)
        return random.standard_normal((self.repetitions, self.inputs, self.bits)).astype(np.float32)

    @cached_property
    def _projections(self) -> np.ndarray:
        """Random signs over the root of the dimensions, float32 (repetitions, inputs, projected)."""
        random = np.random.default_rng(self.seed + 1)
        signs = random.choice(np.array([-1, 1], np.float32), (self.repetitions, self.inputs, self.projected))
        return signs / np.sqrt(np.float32(max(self.projected, 1)))

    @cached_property
    def _last(self) -> np.ndarray:
        random = np.random.default_rng(self.seed + 2)
        return random.choice(np.array([-1, 1], np.float32), (self.dims_before, self.final)) / np.sqrt(
            np.float32(self.final)
        )

    def queries(self, sets: VectorSets) -> np.ndarray:
        """Return the encodings of queries, float32 (texts, dims)."""
        return self._encoded(sets, document=False)

    def documents(self, sets: VectorSets) -> np.ndarray:
        """Return the encodings of documents, float32 (texts, dims)."""
        return self._encoded(sets, document=True)

    def _encoded(self, sets: VectorSets, document: bool) -> np.ndarray:
        clusters, kept = 2**self.bits, self.projected or self.inputs
        rows = np.empty((sets.size, self.repetitions, clusters * kept), np.float32)
        places = 1 << np.arange(self.bits)
        for repetition in range(self.repetitions):
            own = ((sets.vectors @ self._planes[repetition] > 0) @ places).astype(np.int64)
            values = sets.vectors @ self._projections[repetition] if self.projected else sets.vectors
            rows[:, repetition] = _summed(sets, own, values, clusters, document).reshape(sets.size, -1)
        # Each repetition estimates the similarity; the product is their mean.
        whole = rows.reshape(sets.size, -1) / np.sqrt(np.float32(self.repetitions))
        return whole @ self._last if self.final else whole


def _summed(sets: VectorSets, own: np.ndarray, values: np.ndarray, clusters: int, document: bool) -> np.ndarray:
    """Return what each text holds in each cluster, float32 (texts, clusters, dims)."""
    cells = sets.owners * clusters + own
    order = np.argsort(cells, kind="stable")
    filled, starts = np.unique(cells[order], return_index=True)
    held = np.zeros((sets.size * clusters, values.shape[1]), np.float32)
    held[filled] = np.add.reduceat(values[order], starts, axis=0)
    if document:
        held[filled] /= np.diff(np.append(starts, len(cells)))[:, None]
        nearest = _nearest(sets, own, clusters)
        empty = np.ones(len(held), bool)
        empty[filled] = False
        held[empty] = values[nearest.ravel()[empty]]
    return held.reshape(sets.size, clusters, -1)


def _nearest(sets: VectorSets, own: np.ndarray, clusters: int) -> np.ndarray:
    """Return the first vector of each text whose cluster differs from each cluster in the fewest signs."""
    apart = np.bitwise_count(np.arange(clusters)[:, None] ^ np.arange(clusters)).astype(np.int64)
    # Signs first, then the number of the vector.
    keys = apart[own] * len(own) + np.arange(len(own))[:, None]
    return np.minimum.reduceat(keys, sets.starts[:-1], axis=0) % len(own)


def directions(documents: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both with one more coordinate, so that cosines rank documents as products do.

    Documents of different lengths get equal ones: the coordinate of x is sqrt(M^2 - |x|^2), M the longest, and 0 for a
    query (Neyshabur and Srebro, ICML 2015).
    """
    squares = np.square(documents, dtype=np.float64).sum(axis=1)
    more = np.sqrt(np.maximum(squares.max(initial=0.0) - squares, 0.0)).astype(np.float32)
    return np.column_stack([documents, more]), np.column_stack([queries, np.zeros(len(queries), np.float32)])
