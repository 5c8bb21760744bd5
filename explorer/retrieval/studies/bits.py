"""Codecs at equal bits a dimension, plain and rescored, beside the recurrent code, and faiss where it is installed.

Bits a dimension are those of the code; `bits` are all that is stored, factors and ranges included.
"""

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from explorer.progress import Report
from explorer.retrieval.collection import Collection
from explorer.retrieval.evaluate import (
    Estimate,
    Evaluation,
    Search,
    build,
    difference,
    estimates,
    evaluate,
    fit_or_train,
    query_metrics,
)
from explorer.retrieval.studies.measured import Measured
from models.binarize import embeddings, parse_codec, unit
from models.binarize.linear import turned

#: Codecs by bits a dimension of 384; the first is the one that others are compared with.
CASES: Mapping[float, tuple[str, ...]] = {
    0.5: (
        *("bebr:2x96", "itq:96+recurrent:2", "pca:192+rabitq:1", "pca:192+osq:1", "pq:48", "opq:48"),
        "pca:192+turboquant:1",
    ),
    1.0: ("bebr:2x192", "itq:192+recurrent:2", "rabitq:1", "osq:1", "pq:96", "opq:96", "turboquant:1"),
    2.0: ("bebr:2x384", "recurrent:2", "rabitq:2", "osq:2", "pq:192", "opq:192", "turboquant:2"),
    4.0: ("bebr:4x384", "recurrent:4", "rabitq:4", "osq:4", "lvq:4", "turboquant:4"),
}
_RESCORED, _K = 400, 100
_METRIC = "recall@10"
_FAISS_BITS = (1, 2, 4)
_FAISS_PARTS = (48, 96, 192)


def bits_study(
    collection: Collection,
    documents: np.ndarray,
    queries: np.ndarray,
    *,
    training: tuple[np.ndarray, np.ndarray] | None = None,
    cases: Mapping[float, tuple[str, ...]] = CASES,
    report: Report | None = None,
) -> Measured:
    """Return recall of every codec of `cases`, plain and with the best 400 rescored by int8, and paired differences.

    `gain` is the recall@10 of a codec less that of the first at as many bits a dimension, over the same queries, with
    its 95 % interval by bootstrap over queries. RaBitQ is rescored within its error bound. Where faiss is installed its
    codes of the same vectors follow.

    Parameters
    ----------
    collection : Collection
    documents, queries : array of float32, (documents, inputs) and (queries, inputs)
        Embeddings of its texts.
    training : pair of arrays of float32, (pairs, inputs), optional
        Queries and documents that bebr learns from; without, from neighbours among the documents.
    cases : mapping of float to tuple of str
        Names of codecs by bits a dimension.
    report : callable, optional
        Called with the codec at work.
    """
    lines: list[dict[str, Any]] = []
    total, done = sum(map(len, cases.values())), 0
    for bits, names in cases.items():
        first: Evaluation | None = None
        for name in names:
            if report is not None:
                report(name, done, total)
            done += 1
            codec = fit_or_train(name, documents, training)
            index = build(collection.documents.ids, documents, codec, Search(rescore=_RESCORED))
            plain = evaluate(collection, documents, queries, codec, index=index)
            bounded = parse_codec(name)[2] == "rabitq" and not parse_codec(name)[0]
            again = evaluate(
                collection, documents, queries, codec, index=index, search=Search(rescore=_RESCORED, bound=bounded)
            )
            first = first or plain
            gain = difference(plain, first)[_METRIC]
            lines.append(
                _line(bits, name, plain.bits_per_vector, plain.metrics)
                | {
                    "gain": gain.mean if plain is not first else None,
                    "gain_low": gain.low if plain is not first else None,
                    "gain_high": gain.high if plain is not first else None,
                    "rescored_recall@10": again.metrics[_METRIC].mean,
                    "rescored_per_query": again.rescored_per_query,
                }
            )
    if importlib.util.find_spec("faiss") is not None:
        lines += _faiss_lines(collection, unit(embeddings(documents)), unit(embeddings(queries)))
    return Measured(
        "bits",
        f"{collection.name}: codecs at equal bits a dimension",
        f"{len(documents):,} documents, {len(queries):,} queries, {documents.shape[1]} dimensions; gain: recall@10 "
        f"beyond the first codec of as many bits, paired by query, with 95 % intervals.",
        pd.DataFrame(lines),
        (f"Rescored: the best {_RESCORED} by int8; rabitq reads only what its error bound leaves open.",),
    )


def _line(bits: float, name: str, stored: int, found: Mapping[str, Estimate]) -> dict[str, Any]:
    return {
        "bits_per_dim": bits,
        "codec": name,
        "bits": stored,
        "recall@1": found["recall@1"].mean,
        "recall@10": found[_METRIC].mean,
        "recall@10_low": found[_METRIC].low,
        "recall@10_high": found[_METRIC].high,
        "recall@100": found["recall@100"].mean,
    }


def _faiss_lines(collection: Collection, rows: np.ndarray, asked: np.ndarray) -> list[dict[str, Any]]:
    import faiss

    dims = rows.shape[1]
    turn = turned(dims)
    indexes = []
    for bits in _FAISS_BITS:
        rabitq = faiss.IndexRaBitQ(dims, faiss.METRIC_INNER_PRODUCT, bits)
        rabitq.qb = 8
        indexes.append((float(bits), f"faiss IndexRaBitQ {bits}", rabitq, rows @ turn, asked @ turn))
    for parts in _FAISS_PARTS:
        scan = faiss.IndexPQFastScan(dims, parts, 4, faiss.METRIC_INNER_PRODUCT)
        indexes.append((4 * parts / dims, f"faiss IndexPQFastScan {parts}", scan, rows, asked))
    lines = []
    for per_dim, name, index, documents, queries in indexes:
        index.train(documents)
        index.add(documents)
        _, ids = index.search(queries, _K)
        found = estimates(query_metrics(ids, collection.grades))
        lines.append(_line(per_dim, name, 8 * int(getattr(index, "code_size", 0)), found))
    return lines
