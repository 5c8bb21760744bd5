"""The quality of a codec on a collection: fit, encode, search all queries, and score against the judgements."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.progress import Report
from explorer.retrieval.collection import Collection
from explorer.retrieval.index import Index
from explorer.retrieval.lists import fit_lists
from hwbase import InputError, Record
from hwbase.check import count
from models.binarize import Codec, embeddings, fit_codec

CUTS = (1, 10, 100)
_RANKED = 10
_RESAMPLES = 2000
_LEVEL = 0.95
_SEED = 0


@dataclass(frozen=True)
class Estimate(Record):
    """A mean over queries and its 95 % interval, from the bootstrap percentiles of the mean."""

    mean: float
    low: float
    high: float


def query_metrics(ranked: np.ndarray, grades: Sequence[Mapping[int, float]]) -> dict[str, np.ndarray]:
    """Return each metric of each query, float (queries,), by name: recall@1, hit@1, ..., mrr@10, ndcg@10.

    `ranked` int (queries, n) holds document positions, best first; -1 marks an empty place.
    """
    size = len(grades)
    metrics: dict[str, np.ndarray] = {}
    gains = np.zeros((size, max(ranked.shape[1], 1)))
    for row, (documents, graded) in enumerate(zip(ranked, grades, strict=True)):
        for place, document in enumerate(documents.tolist()):
            if document in graded:
                gains[row, place] = graded[document]
    answers = np.array([len(graded) for graded in grades])
    for cut in CUTS:
        met = (gains[:, :cut] > 0).sum(axis=1)
        metrics[f"recall@{cut}"] = met / answers
        metrics[f"hit@{cut}"] = (met > 0).astype(float)
    first = gains[:, :_RANKED]
    place = np.argmax(first > 0, axis=1)
    metrics[f"mrr@{_RANKED}"] = np.where((first > 0).any(axis=1), 1.0 / (place + 1), 0.0)
    discount = 1.0 / np.log2(np.arange(_RANKED) + 2)
    ideal = np.zeros((size, _RANKED))
    for row, graded in enumerate(grades):
        best = sorted(graded.values(), reverse=True)[:_RANKED]
        ideal[row, : len(best)] = best
    metrics[f"ndcg@{_RANKED}"] = (first @ discount[: first.shape[1]]) / (ideal @ discount)
    return metrics


def without_own(ranked: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return `ranked` int (queries, n) without the document `own` (queries,) of each query (-1: none), as BEIR does.

    The others move up; an empty place (-1) follows the last.
    """
    gone = (ranked == own[:, None]) & (own[:, None] >= 0)
    order = np.argsort(gone, axis=1, kind="stable")
    return np.take_along_axis(np.where(gone, -1, ranked), order, axis=1)


def estimates(metrics: Mapping[str, np.ndarray], resamples: int = _RESAMPLES) -> dict[str, Estimate]:
    """Return the mean of each metric with its interval. All metrics use the same resamples; the seed is fixed."""
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


@dataclass(frozen=True)
class Search(Record):
    """How an index is searched: see `Index.search`. `rescore_with` is the finer codec; `lists` 0 scans everything."""

    asymmetric: bool = False
    rescore: int = 0
    rescore_with: str = "int8"
    lists: int = 0
    probes: int | None = None
    bound: bool = False


@dataclass(frozen=True)
class Evaluation(Documented):
    """One codec on one collection. `bits_per_vector` are scanned; `index_bytes` include the data for rescoring.

    `own_left_out` is the number of queries that are documents too (by id), whose own document is left out of what is
    found, as in BEIR, unless it is judged an answer; `missing_answers` are judged documents that are not there.
    `metrics` holds the mean and 95 % interval of each metric over the queries. `queries_per_s` is measured on this
    machine for one search of all queries, encoding included. `compared_per_query` codes are compared with a query, and
    `rescored_per_query` rows of the finer form are read. `per_query` holds float (queries,) of each metric.
    """

    collection: str
    codec: str
    search: Search
    documents: int
    queries: int
    dims: int
    bits_per_vector: int
    index_bytes: int
    own_left_out: int
    missing_answers: int
    metrics: dict[str, Estimate]
    queries_per_s: float
    fit_s: float
    encode_s: float
    compared_per_query: float = 0.0
    rescored_per_query: float = 0.0
    per_query: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields without the metrics of single queries."""
        return {name: value for name, value in super().to_dict().items() if name != "per_query"}

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each metric."""
        rows = [
            {"codec": self.codec, "bits": self.bits_per_vector, "metric": name, **estimate.to_dict()}
            for name, estimate in self.metrics.items()
        ]
        return pd.DataFrame(rows)

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.retrieval.document import evaluations_document

        return evaluations_document([self], command)


def build(
    ids: tuple[str, ...],
    documents: np.ndarray,
    codec: Codec,
    search: Search,
    tags: Sequence[Sequence[str]] = (),
    fields: Mapping[str, Sequence[Any]] | None = None,
) -> Index:
    """Return the index of `documents` (N, inputs) that `search` needs, with optional `tags` and other `fields`.

    Raises `InputError` as `Index.add` does.
    """
    lists = fit_lists(documents, search.lists) if search.lists else None
    fine = fit_codec(search.rescore_with, documents) if search.rescore else None
    return Index(lists=lists).add(ids, documents, codec, rescore=fine, tags=tags or None, fields=fields)


def evaluate(
    collection: Collection,
    documents: np.ndarray,
    queries: np.ndarray,
    codec: str | Codec,
    *,
    search: Search | None = None,
    training: tuple[np.ndarray, np.ndarray] | None = None,
    index: Index | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Return how well `codec` finds the answers of a collection, from embeddings of its documents and queries.

    `index` is one of the same documents in `codec` if there is one already.
    `training` = (queries, documents), embeddings (pairs, inputs) each, trains a codec in place of neighbours among the
    documents. Raises `InputError` for counts or dimensions that differ, NaN, and the errors of `fit_codec` and
    `Index.search`.
    """
    how = search or Search()
    rows = embeddings(documents, name="document embeddings")
    query_vectors = embeddings(queries, rows.shape[1], "query embeddings")
    for name, size, expected in (
        ("documents", len(rows), len(collection.documents.ids)),
        ("queries", len(query_vectors), len(collection.queries.ids)),
    ):
        if size != expected:
            raise InputError(f"{size} embeddings of {name}: expected {expected}, one for each of them")
    start = time.perf_counter()
    ready = codec if isinstance(codec, Codec) else fit_or_train(codec, rows, training, report)
    fitted = time.perf_counter()
    index = index or build(collection.documents.ids, rows, ready, how)
    built = time.perf_counter()
    place_of = {name: place for place, name in enumerate(collection.documents.ids)}
    own = np.array([place_of.get(name, -1) for name in collection.queries.ids])
    # Ids that queries and documents share by chance: a judged answer is an answer.
    own[[place in graded for place, graded in zip(own.tolist(), collection.grades, strict=True)]] = -1
    found_ = index.search(
        query_vectors,
        min(max(CUTS) + int((own >= 0).any()), index.size),
        asymmetric=how.asymmetric,
        rescore=min(how.rescore, index.size),
        probes=how.probes,
        bound=how.bound,
    )
    searched = time.perf_counter()
    each = query_metrics(without_own(found_.positions, own), collection.grades)
    return Evaluation(
        collection=collection.name,
        codec=ready.name,
        search=how,
        documents=len(rows),
        queries=len(query_vectors),
        dims=rows.shape[1],
        bits_per_vector=ready.bits_per_vector,
        index_bytes=index.bytes,
        own_left_out=int((own >= 0).sum()),
        missing_answers=collection.missing,
        metrics=estimates(each),
        queries_per_s=len(query_vectors) / (searched - built),
        compared_per_query=found_.compared / len(query_vectors),
        rescored_per_query=found_.rescored / len(query_vectors),
        fit_s=fitted - start,
        encode_s=built - fitted,
        per_query=each,
    )


def difference(one: Evaluation, other: Evaluation) -> dict[str, Estimate]:
    """Return the gain of `one` over `other` by metric, with the 95 % interval of the mean over the same queries.

    Queries are paired, so the difficulty that a query has for both cancels. Raises `InputError` for evaluations of
    different queries, or without `per_query`.
    """
    if (one.collection, one.documents, one.queries) != (other.collection, other.documents, other.queries) or not (
        one.per_query and other.per_query
    ):
        raise InputError(
            f"evaluations of {one.collection!r} and {other.collection!r}: expected the same queries in both"
        )
    return estimates({name: values - other.per_query[name] for name, values in one.per_query.items()})


def fit_or_train(
    name: str,
    rows: np.ndarray,
    training: tuple[np.ndarray, np.ndarray] | None = None,
    report: Report | None = None,
) -> Codec:
    """Return the named codec fitted to document embeddings `rows`; bebr learns from `training` if given.

    Raises `InputError` as `fit_codec` does, or for training pairs of other dimensions or unequal counts.
    """
    if training is None or not name.strip().lower().startswith("bebr"):
        return fit_codec(name, rows, report=report)
    left, right = (embeddings(part, rows.shape[1], "training embeddings") for part in training)
    if len(left) != len(right):
        raise InputError(f"{len(left)} training queries and {len(right)} documents: expected as many of each")
    # Rows with equal vectors share a number, so that they are not negatives of each other.
    vectors, numbers = np.unique(np.concatenate([left, right]), axis=0, return_inverse=True)
    pairs = numbers.reshape(2, -1).T
    return fit_codec(name, vectors, pairs, report=report)
