"""The nearest documents of one segment: every code, some of them, or codes that a filter leaves in.

A filter is applied in one of three ways, all with the same answer: `before` copies the codes of matching documents
together and scans those; `inside` scans the codes where they lie, skips blocks without a match and leaves the others'
documents out; `after` scans everything for more documents than are wanted, and for more again until enough match.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwbase import InputError
from hwsim.kernels import Codes, codes_from_bytes, search, search_scaled
from hwsim.kernels.nearest import Nearest, blocks
from models.binarize import Codec, RabitqStore, round_query

if TYPE_CHECKING:
    from explorer.retrieval.segment import Segment

WAYS = ("auto", "before", "inside", "after")
#: Bits a dimension of a query against RaBitQ codes: the loss by rounding it is far below that of the documents.
QUERY_BITS = 8
#: Share of matching documents up to which copying their codes together takes less work than scanning past the others.
_COPIED_SHARE = 0.1
#: Documents that `after` takes first, over what would be enough if matches were spread evenly.
_MARGIN = 1.5
_BLOCK = 1 << 13
#: Documents that are skipped or scanned together, for the count of comparisons.
_SKIPPED = 512


@dataclass(frozen=True, eq=False)
class Request:
    """Queries `rows` float32 (queries, inputs) and how documents are scored against them.

    `coder` encodes the queries (None: each segment's own codec); `asymmetric` keeps their numbers; `backend` is that of
    `hwsim.kernels.search`; `filtering` is one of `WAYS`.
    """

    rows: np.ndarray
    coder: Codec | None = None
    asymmetric: bool = False
    backend: str = "auto"
    filtering: str = "auto"

    def of(self, queries: np.ndarray) -> "Request":
        """Return the request for some of the queries."""
        return Request(self.rows[queries], self.coder, self.asymmetric, self.backend, self.filtering)


class Ranked(NamedTuple):
    """`positions` int64 and `scores`, both (queries, n), best first; -1 and -inf mark empty places.

    `compared` is the number of codes that were compared with a query, over all queries.
    """

    positions: np.ndarray
    scores: np.ndarray
    compared: int


def nearest(segment: "Segment", request: Request, k: int, inside: np.ndarray | None, mask: np.ndarray | None) -> Ranked:
    """Return the `k` nearest of the documents `inside` (positions; None: all) that `mask` (documents,) leaves in."""
    size = len(segment.ids) if inside is None else inside.size
    if mask is None:
        return _scan(segment, request, k, inside, None)
    allowed = mask if inside is None else mask[inside]
    wanted = int(allowed.sum())
    way = request.filtering
    if way == "auto":
        way = "before" if wanted <= _COPIED_SHARE * size else "inside"
    if way == "before":
        chosen = np.flatnonzero(allowed)
        return _scan(segment, request, k, chosen if inside is None else inside[chosen], None)
    if way == "inside":
        return _scan(segment, request, k, inside, allowed)
    return _after(segment, request, min(k, wanted), inside, mask, size, wanted)


def _after(
    segment: "Segment",
    request: Request,
    k: int,
    inside: np.ndarray | None,
    mask: np.ndarray,
    size: int,
    wanted: int,
) -> Ranked:
    queries = len(request.rows)
    positions, scores = np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf)
    open_rows, first, compared = np.arange(queries), k, 0
    if wanted:
        first = min(size, int(np.ceil(_MARGIN * k * size / wanted)))
    while open_rows.size and k:
        tried = _scan(segment, request.of(open_rows), first, inside, None)
        compared += tried.compared
        matches = mask[tried.positions]
        order = np.argsort(~matches, axis=1, kind="stable")[:, :k]
        enough = matches.sum(axis=1) >= k
        done = open_rows[enough]
        positions[done] = np.take_along_axis(tried.positions, order, axis=1)[enough]
        scores[done] = np.take_along_axis(tried.scores, order, axis=1)[enough]
        open_rows, first = open_rows[~enough], min(2 * first, size)
    return Ranked(positions, scores, compared)


def _scan(segment: "Segment", request: Request, k: int, inside: np.ndarray | None, mask: np.ndarray | None) -> Ranked:
    """Scan the documents `inside`, of which `mask` (as many) leaves some out."""
    coder = request.coder or segment.codec
    if isinstance(segment.codec.store, RabitqStore):
        positions, scores = _estimated(segment, request, coder, k, inside, mask)
    elif segment.codec.planes:
        codes = segment.codes if inside is None else segment.codes.take(inside)
        hits = search(codes, _asked(coder, request), k, mask=mask, backend=request.backend)
        positions, scores = hits.ids, hits.scores.astype(float)
        if hits.measure == "hamming":
            scores = 1.0 - 2.0 * scores / codes.bits
    else:
        positions, scores = _decoded(segment, coder.query(request.rows), k, inside, mask)
    size = len(segment.ids) if inside is None else inside.size
    compared = size if mask is None else sum(part.stop - part.start for part in blocks(size, _SKIPPED, mask))
    return Ranked(positions if inside is None else inside[positions], scores, compared * len(request.rows))


def _decoded(
    segment: "Segment", queries: np.ndarray, k: int, inside: np.ndarray | None, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    data = segment.data if inside is None else segment.data[inside]
    wanted = len(data) if mask is None else int(mask.sum())
    best = Nearest(len(queries), min(k, wanted), mask)
    for part in blocks(len(data), _BLOCK, mask):
        best.offer(-segment.codec.scores(queries, data[part]), part.start)
    positions, keys = best.result()
    return positions, -keys


def _estimated(
    segment: "Segment",
    request: Request,
    coder: Codec,
    k: int,
    inside: np.ndarray | None,
    mask: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return RaBitQ's estimates, of the query's floats if asymmetric and of its codes of `QUERY_BITS` otherwise."""
    store = segment.codec.store
    assert isinstance(store, RabitqStore) and segment.factors is not None
    codes: Codes = segment.codes if inside is None else segment.codes.take(inside)
    factors = store.factors(segment.factors if inside is None else segment.factors[inside])
    queries = coder.query(request.rows)
    if queries.shape[1] != store.dims:
        raise InputError(f"{coder.name} makes queries of {queries.shape[1]} dimensions: expected {store.dims}")
    apart = queries - store.mean
    asked: Any = apart
    scales = np.ones(len(apart), np.float32)
    if not request.asymmetric:
        bits, scales = round_query(apart, QUERY_BITS)
        asked = codes_from_bytes(bits.reshape(len(apart), QUERY_BITS, -1), store.dims)
    hits = search_scaled(codes, factors.factor, factors.offset, asked, scales, k, mask=mask, backend=request.backend)
    return hits.ids, hits.scores + (queries @ store.mean)[:, None]


def _asked(coder: Codec, request: Request) -> Any:
    if request.asymmetric:
        return coder.query(request.rows)
    if not coder.planes:
        raise InputError(f"{coder.name} makes no codes: expected asymmetric search, or a codec of bits")
    rows = coder.encode(request.rows)
    return codes_from_bytes(rows.reshape(len(rows), coder.planes, -1), coder.dims)


def merge(parts: list[Ranked], k: int) -> Ranked:
    """Return the `k` best of several searches of the same queries; of equal scores the lower position wins."""
    positions = np.concatenate([part.positions for part in parts], axis=1)
    scores = np.concatenate([part.scores for part in parts], axis=1)
    order = np.lexsort((np.where(positions < 0, np.iinfo(np.int64).max, positions), -scores), axis=1)[:, :k]
    compared = sum(part.compared for part in parts)
    return Ranked(np.take_along_axis(positions, order, axis=1), np.take_along_axis(scores, order, axis=1), compared)
