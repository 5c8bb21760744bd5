"""Inverted lists (IVF): embeddings grouped about centroids, so that a query looks into the nearest few groups only.

Sivic and Zisserman, "Video Google", ICCV 2003; centroids by k-means on the sphere (Dhillon and Modha, 2001).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import count
from models.binarize import embeddings, unit

_ROUNDS = 12
#: Vectors for each centroid that k-means looks at; more changes little.
_SAMPLES_PER_LIST = 64
_BLOCK = 1 << 14
_DEFAULT_PROBES = 8


@dataclass(frozen=True, eq=False)
class Lists:
    """`centroids` float32 (lists, inputs), of length 1."""

    centroids: np.ndarray

    def nearest(self, x: Any, probes: int | None = None) -> np.ndarray:
        """Return the `probes` nearest lists of each embedding, int64 (N, probes), nearest first; 8 (or all) if None.

        Raises `InputError` for more probes than lists, or embeddings of other dimensions.
        """
        rows = embeddings(x, self.centroids.shape[1])
        size = len(self.centroids)
        wanted = min(_DEFAULT_PROBES, size) if probes is None else int(count("probes", probes, high=size))
        found = np.empty((len(rows), wanted), np.int64)
        for start in range(0, len(rows), _BLOCK):
            scores = rows[start : start + _BLOCK] @ self.centroids.T
            found[start : start + _BLOCK] = np.argsort(-scores, axis=1, kind="stable")[:, :wanted]
        return found


def fit_lists(x: Any, size: int, seed: int = 0) -> Lists:
    """Return `size` lists for embeddings such as `x`; raises `InputError` for more lists than embeddings."""
    rows = unit(embeddings(x))
    wanted = int(count("lists", size, high=1e6))
    if wanted > len(rows):
        raise InputError(f"lists = {wanted}: expected at most the {len(rows)} embeddings")
    rng = np.random.default_rng(seed)
    sample = rows[np.sort(rng.permutation(len(rows))[: wanted * _SAMPLES_PER_LIST])]
    centroids = sample[rng.choice(len(sample), wanted, replace=False)]
    for _ in range(_ROUNDS):
        nearest = Lists(centroids).nearest(sample, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        filled, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        # A list that nobody is nearest to starts anew at a vector of the sample.
        centroids = sample[rng.choice(len(sample), wanted, replace=False)]
        centroids[filled] = unit(sums)
    return Lists(centroids)
