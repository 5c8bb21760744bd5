"""Lists of documents (an inverted file): centroids of k-means, and the lists that are nearest to a vector."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from models.binarize import embeddings, unit

_ROUNDS = 12
#: Vectors per centroid that k-means uses; more changes little.
_SAMPLES_PER_LIST = 64
_LISTS_BLOCK = 1 << 14
_DEFAULT_PROBES = 8


@dataclass(frozen=True, eq=False)
class Lists:
    """`centroids` float32 (lists, inputs), of length 1."""

    centroids: np.ndarray

    def nearest(self, x: Any, probes: int | None = None) -> np.ndarray:
        """Return the nearest lists of each embedding, int64 (N, probes), nearest first. None means 8, or all if fewer.

        Raises `InputError` for more probes than lists, or embeddings of other dimensions.
        """
        rows = embeddings(x, self.centroids.shape[1])
        size = len(self.centroids)
        probed = min(_DEFAULT_PROBES, size) if probes is None else integer("probes", probes, high=size)
        nearest = np.empty((len(rows), probed), np.int64)
        for start in range(0, len(rows), _LISTS_BLOCK):
            scores = rows[start : start + _LISTS_BLOCK] @ self.centroids.T
            nearest[start : start + _LISTS_BLOCK] = np.argsort(-scores, axis=1, kind="stable")[:, :probed]
        return nearest


def fit_lists(x: Any, size: int, seed: int = 0) -> Lists:
    """Return `size` lists fitted to embeddings `x`. Raises `InputError` for more lists than embeddings."""
    rows = unit(embeddings(x))
    lists = integer("lists", size, high=1e6)
    if lists > len(rows):
        raise InputError(f"lists = {lists}: expected at most the {len(rows)} embeddings")
    rng = np.random.default_rng(seed)
    sample = rows[np.sort(rng.permutation(len(rows))[: lists * _SAMPLES_PER_LIST])]
    centroids = sample[rng.choice(len(sample), lists, replace=False)]
    for _ in range(_ROUNDS):
        nearest = Lists(centroids).nearest(sample, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        filled, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        # An empty list restarts at a vector of the sample.
        centroids = sample[rng.choice(len(sample), lists, replace=False)]
        centroids[filled] = unit(sums)
    return Lists(centroids)
