"""Recall and work of filtered searches, by the share of matching documents and their distance from the queries."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from explorer.progress import Report
from explorer.retrieval.index import Index
from explorer.retrieval.lists import fit_lists
from explorer.retrieval.scanning import WAYS
from explorer.retrieval.studies.measured import Measured
from hwbase.check import integer, number
from models.binarize import embeddings, fit_codec, unit

#: Shares of matching documents of the study.
SHARES = (0.001, 0.01, 0.05, 0.2, 0.5)
#: Where matching documents are: drawn at random, or the nearest to a pivot that is near to or far from the queries.
RELATIONS = ("random", "near", "far")
_PIVOTS = 4
_LISTS, _PROBES = 256, 8
_K = 10
_SEED = 5


def filter_study(
    documents: np.ndarray,
    queries: np.ndarray,
    *,
    codec: str = "rabitq:2",
    shares: Sequence[float] = SHARES,
    most_queries: int = 200,
    report: Report | None = None,
) -> Measured:
    """Return recall@10 and comparisons of each way to filter, against exact cosines of the matching documents.

    Masks are random, or the share of documents nearest to a pivot, a document drawn at random; queries are then the
    nearest to the pivot ("near") or the farthest ("far"). `lists` rows look into 8 of 256 lists.

    Parameters
    ----------
    documents, queries : array_like of float, (documents, inputs) and (queries, inputs)
        Embeddings.
    codec : str
        Codec of the documents.
    shares : sequence of float
        Shares of documents that match.
    most_queries : int
        Queries of a row.
    report : callable, optional
        Called with what is measured.
    """
    rows, asked = unit(embeddings(documents)), unit(embeddings(queries))
    drawn = min(integer("queries", most_queries), len(asked))
    for share in shares:
        number("share", share, above=0.0, high=1.0)
    fitted = fit_codec(codec, rows)
    names = [str(i) for i in range(len(rows))]
    flat = Index().add(names, rows, fitted)
    listed = Index(lists=fit_lists(rows, min(_LISTS, len(rows)))).add(names, rows, fitted)
    probes = min(_PROBES, len(listed.lists.centroids)) if listed.lists is not None else None
    random = np.random.default_rng(_SEED)
    lines = []
    for step, share in enumerate(shares):
        if report is not None:
            report(f"{share:.1%} of the documents", step, len(shares))
        for relation in RELATIONS:
            cases = _cases(rows, asked, share, relation, drawn, random)
            for way in (*WAYS[1:], "lists"):
                overlaps, compared = [], 0
                for mask, part in cases:
                    exact = np.where(mask, asked[part] @ rows.T, -np.inf)
                    k = min(_K, int(mask.sum()))
                    best = np.argsort(-exact, axis=1, kind="stable")[:, :k]
                    if way == "lists":
                        result = listed.search(asked[part], k, mask=mask, probes=probes, asymmetric=not fitted.planes)
                    else:
                        result = flat.search(asked[part], k, mask=mask, filtering=way, asymmetric=not fitted.planes)
                    pairs = zip(result.positions.tolist(), best.tolist(), strict=True)
                    overlaps += [len(set(a) & set(b)) / k for a, b in pairs]
                    compared += result.compared
                mean, error = float(np.mean(overlaps)), float(np.std(overlaps) / np.sqrt(len(overlaps)))
                lines.append(
                    {
                        "selectivity": share,
                        "relation": relation,
                        "way": way,
                        "recall@10": mean,
                        "recall@10_error": 1.96 * error,
                        "compared_share": compared / len(overlaps) / len(rows),
                    }
                )
    return Measured(
        "filters",
        f"Filtered search with {codec}",
        f"{len(rows):,} documents, {drawn} queries a row; the best {_K} of the documents that match, against exact "
        f"cosines.",
        pd.DataFrame(lines),
        (
            "before, inside and after give the same documents; their work differs.",
            f"lists: {_PROBES} of {_LISTS} lists, and all of them where these hold too few.",
        ),
    )


def _cases(
    rows: np.ndarray, asked: np.ndarray, share: float, relation: str, drawn: int, random: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return masks with the queries of each."""
    size = max(1, round(share * len(rows)))
    cases = []
    for part in np.array_split(np.arange(drawn), min(_PIVOTS, drawn)):
        mask = np.zeros(len(rows), bool)
        if relation == "random":
            mask[random.permutation(len(rows))[:size]] = True
            cases.append((mask, part))
            continue
        pivot = rows[random.integers(len(rows))]
        mask[np.argsort(-(rows @ pivot), kind="stable")[:size]] = True
        order = np.argsort(-(asked @ pivot), kind="stable")
        cases.append((mask, order[: part.size] if relation == "near" else order[-part.size :]))
    return cases
