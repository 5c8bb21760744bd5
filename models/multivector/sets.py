"""Sets of vectors, one set a text, and their Chamfer similarity (MaxSim).

The similarity of a query Q and a document D is the sum over the query's vectors of the largest product with a vector of
the document (Khattab and Zaharia, "ColBERT", SIGIR 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from models.binarize import embeddings, unit

_ROUNDS = 8
#: Products of a block of documents, in elements: 64 MB as float32.
_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class VectorSets:
    """`vectors` float32 (vectors, dims), of length 1; text i has `starts[i]` to `starts[i + 1]`, at least one."""

    vectors: np.ndarray
    starts: np.ndarray

    @property
    def size(self) -> int:
        """Number of texts."""
        return int(self.starts.size) - 1

    @property
    def dims(self) -> int:
        """Dimensions of a vector."""
        return int(self.vectors.shape[1])

    @property
    def owners(self) -> np.ndarray:
        """The text of each vector, int64 (vectors,)."""
        return np.repeat(np.arange(self.size), np.diff(self.starts))

    def of(self, text: int) -> np.ndarray:
        """Return the vectors of one text."""
        return self.vectors[self.starts[text] : self.starts[text + 1]]

    def take(self, texts: Sequence[int] | np.ndarray) -> "VectorSets":
        """Return the sets of some texts, in that order."""
        return vector_sets([self.of(int(text)) for text in texts])


def vector_sets(sets: Sequence[Any]) -> VectorSets:
    """Return the sets of arrays (vectors, dims), each scaled to length 1.

    Raises `InputError` for a text without vectors, other dimensions, NaN or infinity.
    """
    if not len(sets):
        raise InputError("sets of vectors are empty: expected at least one text")
    rows: list[np.ndarray] = []
    for text, own in enumerate(sets):
        given = np.asarray(own)
        if given.ndim != 2 or not len(given):
            raise InputError(
                f"text {text} has vectors of shape {given.shape}: expected (vectors, dims) with at least one vector"
            )
        rows.append(unit(embeddings(given, None if not rows else rows[0].shape[1], f"vectors of text {text}")))
    return VectorSets(np.concatenate(rows), np.concatenate([[0], np.cumsum([len(own) for own in rows])]))


def chamfer(queries: VectorSets, documents: VectorSets) -> np.ndarray:
    """Return the Chamfer similarity of every query with every document, float32 (queries, documents).

    >>> two = vector_sets([[[1, 0], [0, 1]]])
    >>> chamfer(two, vector_sets([[[1, 0]], [[3, 0], [0, 2]]])).tolist()
    [[1.0, 2.0]]
    """
    if queries.dims != documents.dims:
        raise InputError(f"queries have {queries.dims} dimensions: expected {documents.dims}, as the documents have")
    scores = np.empty((queries.size, documents.size), np.float32)
    step = max(1, _BLOCK // max(len(documents.vectors), 1))
    first = 0
    while first < queries.size:
        # As many queries as give a block of `step` vectors, or one.
        last = max(first + 1, int(np.searchsorted(queries.starts, queries.starts[first] + step, side="right")) - 1)
        rows = queries.vectors[queries.starts[first] : queries.starts[last]]
        best = np.maximum.reduceat(rows @ documents.vectors.T, documents.starts[:-1], axis=1)
        scores[first:last] = np.add.reduceat(best, queries.starts[first:last] - queries.starts[first], axis=0)
        first = last
    return scores


def clustered(sets: VectorSets, most: int) -> VectorSets:
    """Return sets of at most `most` vectors: the centroids of k-means within each text, as CRISP does for documents.

    Raises `InputError` for fewer than one. (Veneroso et al., arXiv 2505.11471, fix the clusters in training; here the
    model is not trained for them.)
    """
    size = integer("most", most)
    return vector_sets([_centroids(sets.of(text), size) for text in range(sets.size)])


def _centroids(rows: np.ndarray, size: int) -> np.ndarray:
    if len(rows) <= size:
        return rows
    # The farthest from those that are chosen, one after another.
    chosen = [0]
    for _ in range(size - 1):
        chosen.append(int((rows @ rows[chosen].T).max(axis=1).argmin()))
    centroids = rows[chosen]
    for _ in range(_ROUNDS):
        nearest = (rows @ centroids.T).argmax(axis=1)
        sums = np.zeros_like(centroids)
        np.add.at(sums, nearest, rows)
        filled = np.linalg.norm(sums, axis=1) > 0
        centroids = np.where(filled[:, None], unit(np.where(filled[:, None], sums, 1)), centroids)
    return centroids
