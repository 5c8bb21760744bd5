"""How good a ranking is: recall, hits, reciprocal rank and nDCG, with confidence intervals over queries.

Recall at k is the share of a query's answers among the first k; a hit is one answer at least. nDCG takes the grade as
the gain and 1 / log2(rank + 1) as the discount (as trec_eval does), ranks from 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import count

CUTS = (1, 10, 100)
_RANKED = 10
_RESAMPLES = 2000
_LEVEL = 0.95
_SEED = 0


@dataclass(frozen=True)
class Estimate(Record):
    """A mean over queries and its 95 % interval (percentiles of the mean of queries drawn with replacement)."""

    mean: float
    low: float
    high: float


def query_metrics(ranked: np.ndarray, grades: Sequence[Mapping[int, float]]) -> dict[str, np.ndarray]:
    """Return each metric of each query, float (queries,), by name: recall@1, hit@1, ..., mrr@10, ndcg@10.

    `ranked` int (queries, n): documents best first; -1 stands for none.
    """
    size = len(grades)
    found: dict[str, np.ndarray] = {}
    gains = np.zeros((size, max(ranked.shape[1], 1)))
    for row, (documents, graded) in enumerate(zip(ranked, grades, strict=True)):
        for place, document in enumerate(documents.tolist()):
            if document in graded:
                gains[row, place] = graded[document]
    answers = np.array([len(graded) for graded in grades])
    for cut in CUTS:
        met = (gains[:, :cut] > 0).sum(axis=1)
        found[f"recall@{cut}"] = met / answers
        found[f"hit@{cut}"] = (met > 0).astype(float)
    first = gains[:, :_RANKED]
    place = np.argmax(first > 0, axis=1)
    found[f"mrr@{_RANKED}"] = np.where((first > 0).any(axis=1), 1.0 / (place + 1), 0.0)
    discount = 1.0 / np.log2(np.arange(_RANKED) + 2)
    ideal = np.zeros((size, _RANKED))
    for row, graded in enumerate(grades):
        best = sorted(graded.values(), reverse=True)[:_RANKED]
        ideal[row, : len(best)] = best
    found[f"ndcg@{_RANKED}"] = (first @ discount[: first.shape[1]]) / (ideal @ discount)
    return found


def estimates(metrics: Mapping[str, np.ndarray], resamples: int = _RESAMPLES) -> dict[str, Estimate]:
    """Return the mean of each metric with its interval; the same queries are drawn for all of them, always alike."""
    count("resamples", resamples, low=10, high=1e6)
    table = np.stack(list(metrics.values()), axis=1)
    size = len(table)
    rng = np.random.default_rng(_SEED)
    means = np.empty((resamples, table.shape[1]))
    for start in range(0, resamples, 100):
        part = min(100, resamples - start)
        means[start : start + part] = rng.multinomial(size, np.full(size, 1 / size), part) @ table / size
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    return {name: Estimate(float(table[:, i].mean()), float(low[i]), float(high[i])) for i, name in enumerate(metrics)}
