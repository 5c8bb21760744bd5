"""Documents of one codec inside an index: codes, data for rescoring, ids, tags, and the list of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from hwsim.kernels import Codes, codes_from_bytes, search, search_scaled
from hwsim.kernels.nearest import Nearest
from hwsim.kernels.scan import blocks
from models.binarize import Codec, RabitqStore, embeddings, round_query, unit

#: Bits a dimension of a query against RaBitQ codes: the loss by rounding it is far below that of the documents.
QUERY_BITS = 8

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


_BLOCK = 1 << 13


@dataclass(frozen=True, eq=False)
class Segment:
    """`data` is uint64 bit planes (planes, words, N) where the codec stores bits, otherwise rows uint8 (N, bytes).

    `fine` are rows of the codec `fine_codec`; `places` int32 (N,) is the list of each document; `blank` bool (N,) marks
    documents without a direction (zeros, as of an empty text), which are never found; None if there are none. `factors`
    are the bytes that RaBitQ stores beside the bits, uint8 (N, bytes).
    """

    version: str
    codec: Codec
    ids: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    data: np.ndarray
    fine_codec: Codec | None = None
    fine: np.ndarray | None = None
    places: np.ndarray | None = None
    blank: np.ndarray | None = None
    factors: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` unless all parts have the same number of documents."""
        size = len(self.ids)
        held = self.data.shape[2] if self.codec.planes and self.data.ndim == 3 else len(self.data)
        sizes = {held, len(self.tags)} | {len(a) for a in self._optional if a is not None}
        if sizes != {size}:
            raise InputError(f"version {self.version!r} has {size} ids but parts of {sorted(sizes)} documents")
        if self.codec.planes:
            _ = self.codes
        if (self.factors is not None) != isinstance(self.codec.store, RabitqStore):
            raise InputError(f"version {self.version!r} is {self.codec.name}: expected factors of RaBitQ codes alone")

    @property
    def _optional(self) -> tuple[np.ndarray | None, ...]:
        return self.fine, self.places, self.blank, self.factors

    @cached_property
    def codes(self) -> Codes:
        """The packed codes, for codecs that store bits."""
        return Codes(self.data, self.codec.dims)

    @property
    def bytes(self) -> int:
        """Bytes of the codes and of the data for rescoring."""
        return sum(int(part.nbytes) for part in (self.data, self.fine, self.factors) if part is not None)

    def take(self, positions: np.ndarray) -> "Segment":
        """Return the documents at `positions`, in that order."""
        chosen = positions.tolist()
        return Segment(
            self.version,
            self.codec,
            tuple(self.ids[i] for i in chosen),
            tuple(self.tags[i] for i in chosen),
            self._part(positions),
            self.fine_codec,
            *(None if part is None else part[positions] for part in self._optional),
        )

    def search(
        self,
        rows: np.ndarray,
        k: int,
        coder: Codec,
        asymmetric: bool,
        inside: np.ndarray | None,
        chosen: np.ndarray | None,
        backend: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (positions, cosines), both (queries, n); -1 and -inf mark empty places, all of a query of zeros.

        `coder` encodes the queries; `inside` are the positions to search; `chosen` int (queries, probes) are the lists
        to search.
        """
        if self.blank is not None:
            inside = np.flatnonzero(~self.blank) if inside is None else inside[~self.blank[inside]]
        positions, scores = self._nearest(rows, k, coder, asymmetric, inside, chosen, backend)
        blank = coder.blank(rows)
        if blank.any():
            positions, scores = np.where(blank[:, None], -1, positions), np.where(blank[:, None], -np.inf, scores)
        return positions, scores

    def _nearest(
        self,
        rows: np.ndarray,
        k: int,
        coder: Codec,
        asymmetric: bool,
        inside: np.ndarray | None,
        chosen: np.ndarray | None,
        backend: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        if chosen is None or self.places is None:
            return _within(
                self.data if inside is None else self._part(inside), self, rows, k, coder, asymmetric, inside, backend
            )
        allowed = np.arange(len(self.ids)) if inside is None else inside
        parts = []
        for place in np.unique(chosen):
            asking = np.flatnonzero((chosen == place).any(axis=1))
            members = allowed[self.places[allowed] == place]
            positions = np.full((len(rows), min(k, members.size)), -1, np.int64)
            scores = np.full(positions.shape, -np.inf)
            if members.size:
                positions[asking], scores[asking] = _within(
                    self._part(members), self, rows[asking], k, coder, asymmetric, members, backend
                )
            parts.append((positions, scores))
        return merge(parts, k)

    def fine_scores(self, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the cosines of queries with their own candidates in the finer form; -inf marks an empty place."""
        assert self.fine is not None and self.fine_codec is not None
        scores = np.full(positions.shape, -np.inf)
        for row, (query, candidates) in enumerate(zip(self.fine_codec.query(rows), positions, strict=True)):
            real = candidates >= 0
            scores[row, real] = self.fine_codec.scores(query[None], self.fine[candidates[real]])[0]
        return scores

    def _part(self, positions: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.data[:, :, positions]) if self.codec.planes else self.data[positions]


def new_segment(
    ids: Sequence[str],
    rows: np.ndarray,
    codec: Codec,
    version: str,
    rescore: Codec | None,
    tags: Sequence[Sequence[str]] | None,
    lists: Lists | None,
) -> Segment:
    """Return encoded documents. Raises `InputError` for invalid or repeated ids, or counts that differ."""
    names = tuple(ids)
    if len(names) != len(rows) or (tags is not None and len(tags) != len(names)):
        raise InputError(
            f"{len(names)} ids, {len(rows)} embeddings"
            + ("" if tags is None else f" and {len(tags)} tags")
            + ": expected as many of each"
        )
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"id = {name!r}: expected a name")
        if name in seen:
            raise InputError(f"id {name!r} is given twice")
        seen.add(name)
    data = codec.encode(rows)
    blank = codec.blank(rows)
    factors = None
    if isinstance(codec.store, RabitqStore):
        data, factors = data[:, : -codec.store.extra_bytes], data[:, -codec.store.extra_bytes :]
    if codec.planes:
        data = codes_from_bytes(data.reshape(len(names), codec.planes, -1), codec.dims).planes
    return Segment(
        version,
        codec,
        names,
        tuple(tuple(str(tag) for tag in own) for own in tags) if tags is not None else ((),) * len(names),
        data,
        rescore,
        None if rescore is None else rescore.encode(rows),
        None if lists is None else lists.nearest(rows, 1)[:, 0].astype(np.int32),
        blank if blank.any() else None,
        factors,
    )


def _within(
    data: np.ndarray,
    segment: Segment,
    rows: np.ndarray,
    k: int,
    coder: Codec,
    asymmetric: bool,
    inside: np.ndarray | None,
    backend: str,
) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(segment.codec.store, RabitqStore):
        positions, scores = _estimated(segment, rows, k, coder, asymmetric, inside, backend)
    elif segment.codec.planes:
        codes = segment.codes if inside is None else Codes(data, segment.codec.dims)
        hits = search(codes, _ask(coder, rows, asymmetric), k, backend=backend)
        positions, scores = hits.ids, hits.scores.astype(float)
        if hits.measure == "hamming":
            scores = 1.0 - 2.0 * scores / codes.bits
    else:
        nearest = Nearest(len(rows), min(k, len(data)))
        queries = coder.query(rows)
        for part in blocks(len(data), _BLOCK):
            nearest.offer(-segment.codec.scores(queries, data[part]), part.start)
        positions, keys = nearest.result()
        scores = -keys
    return positions if inside is None else inside[positions], scores


def _estimated(
    segment: Segment,
    rows: np.ndarray,
    k: int,
    coder: Codec,
    asymmetric: bool,
    inside: np.ndarray | None,
    backend: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return RaBitQ's estimates, of the query's floats if `asymmetric` and of its codes of `QUERY_BITS` otherwise."""
    store = segment.codec.store
    assert isinstance(store, RabitqStore) and segment.factors is not None
    codes = segment.codes if inside is None else segment.codes.take(inside)
    factors = store.factors(segment.factors if inside is None else segment.factors[inside])
    queries = coder.query(rows)
    if queries.shape[1] != store.dims:
        raise InputError(f"{coder.name} makes queries of {queries.shape[1]} dimensions: expected {store.dims}")
    apart = queries - store.mean
    asked: Any = apart
    scales = np.ones(len(rows), np.float32)
    if not asymmetric:
        bits, scales = round_query(apart, QUERY_BITS)
        asked = codes_from_bytes(bits.reshape(len(rows), QUERY_BITS, -1), store.dims)
    hits = search_scaled(codes, factors.factor, factors.offset, asked, scales, k, backend=backend)
    return hits.ids, hits.scores + (queries @ store.mean)[:, None]


def _ask(coder: Codec, rows: np.ndarray, asymmetric: bool) -> Any:
    if asymmetric:
        return coder.query(rows)
    if not coder.planes:
        raise InputError(f"{coder.name} makes no codes: expected asymmetric search, or a codec of bits")
    return codes_from_bytes(coder.encode(rows).reshape(len(rows), coder.planes, -1), coder.dims)


def merge(parts: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` best of (positions, scores) of several searches; of equal scores the lower position wins."""
    positions = np.concatenate([part for part, _ in parts], axis=1)
    scores = np.concatenate([part for _, part in parts], axis=1)
    order = np.lexsort((np.where(positions < 0, np.iinfo(np.int64).max, positions), -scores), axis=1)[:, :k]
    return np.take_along_axis(positions, order, axis=1), np.take_along_axis(scores, order, axis=1)
