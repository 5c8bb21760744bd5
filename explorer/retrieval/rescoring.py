"""Candidates of a scan sorted again by a finer form: all of them, or those that RaBitQ's error bound leaves open.

With estimate e and bound b of a candidate, its product is above e + b for few of them (the bound's confidence). The k
candidates of the best estimates are rescored first. Then a candidate is read only if e + b exceeds the k-th best finer
score so far, so a candidate that is skipped is among the best k only if its bound does not hold (Gao and Long, SIGMOD
'24, section 4).
"""

import numpy as np

from explorer.retrieval.scanning import QUERY_BITS, Ranked, Request
from explorer.retrieval.segment import Segment
from hwbase import InputError
from models.binarize import Codec, RabitqStore, parse_codec, round_query


def rescored(segment: Segment, request: Request, ranked: Ranked, k: int, bounded: bool) -> tuple[Ranked, int]:
    """Return candidates with finer scores, and how many were read. Skipped ones become empty places.

    Raises `InputError` if `bounded` and the segment's codec has no bound on the finer form's cosines.
    """
    if not bounded:
        scores = segment.fine_scores(request.rows, ranked.positions)
        return Ranked(ranked.positions, scores, ranked.compared), int((ranked.positions >= 0).sum())
    above = ranked.scores + error_bounds(segment, request, ranked.positions)
    positions, scores = np.full_like(ranked.positions, -1), np.full(ranked.scores.shape, -np.inf)
    read, best = 0, min(k, len(ranked.positions.T))
    for row in range(len(positions)):
        candidates = ranked.positions[row]
        # Best estimates first; an estimate of an empty place is -inf, so that it stays closed.
        left = np.flatnonzero(candidates >= 0)
        while left.size:
            now, left = left[:k], left[k:]
            positions[row, now] = candidates[now]
            scores[row, now] = segment.fine_scores(request.rows[row : row + 1], candidates[None, now])[0]
            read += now.size
            limit = np.partition(scores[row], -best)[-best]
            left = left[above[row, left] > limit]
    return Ranked(positions, scores, ranked.compared), read


def error_bounds(segment: Segment, request: Request, positions: np.ndarray) -> np.ndarray:
    """Return the errors that few estimates of these candidates exceed, float (queries, n)."""
    codec = request.coder or segment.codec
    _check(segment.codec)
    store = segment.codec.store
    assert isinstance(store, RabitqStore) and segment.factors is not None
    apart = codec.query(request.rows) - store.mean
    bound = store.factors(segment.factors).bound[positions]
    lengths = np.linalg.norm(apart, axis=1)[:, None]
    errors = (bound * lengths) ** 2
    if not request.asymmetric:
        bits, scale = round_query(apart, QUERY_BITS)
        rounded = store.rounded(bits, scale, QUERY_BITS)
        # What is lost by rounding the query lies, like the code's error, in a random direction to the document's code.
        lost = np.linalg.norm(apart - rounded, axis=1)[:, None]
        errors = errors + lost**2 * (bound**2 + store.spread**2)
    return np.where(positions >= 0, np.sqrt(errors), 0.0)


def _check(codec: Codec) -> None:
    if not isinstance(codec.store, RabitqStore) or parse_codec(codec.name)[0]:
        raise InputError(f"{codec.name} has no error bound: expected rabitq:BITS without a map to rescore with bounds")
