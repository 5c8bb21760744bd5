"""Inputs of the retrieval commands, texts or embeddings, checked before slow work begins."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.progress import Report
from explorer.retrieval.collection import Collection, Texts, kept_queries, read_collection, read_texts
from explorer.retrieval.embedding import embed
from hwbase import InputError
from hwbase.arrays import read_npy
from hwbase.parsing import read_text
from models.binarize import embeddings

#: Columns of a study's table that its figures need.
_STUDIED = (
    *("collection", "family", "codec", "bits", "bytes", "asymmetric", "rescore"),
    *("recall@10", "recall@10_low", "recall@10_high"),
)


def read_embeddings(path: str, size: int | None, what: str) -> np.ndarray:
    """Return the rows of a .npy file, float32 (size, dims), checked; None takes any number of rows.

    `what` names them in messages.

    Raises `InputError` for a missing or truncated file, another number of rows, NaN or infinity.
    """
    rows = embeddings(read_npy(path), name=f"embeddings of {what} in {Path(path).name}")
    if size is not None and len(rows) != size:
        raise InputError(f"{Path(path).name} has {len(rows)} rows: expected {size}, one for each of the {what}")
    return rows


def read_table(path: str) -> pd.DataFrame:
    """Return the table that a study wrote as CSV. Raises `InputError` for any other file."""
    text = read_text(Path(path))
    try:
        table = pd.read_csv(io.StringIO(text))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path!r} is not a table in CSV: {str(error).strip()}") from None
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path!r} has lines with more cells than the header: expected as many")
    # Tables of 0.1 have a space before low and high.
    table = table.rename(columns=lambda name: re.sub(" (low|high)$", r"_\1", str(name)))
    for name in _STUDIED:
        if name not in table or table[name].isna().any():
            raise InputError(f"{path!r} has no whole column {name!r}: expected a file of hwsim retrieve study --out")
    return table


def vectors(
    texts: Texts, path: str | None, what: str, cache: str | None = None, report: Report | None = None
) -> np.ndarray:
    """Return embeddings of `texts`, from the file `path` or from the model."""
    if path is not None:
        return read_embeddings(path, len(texts.ids), what)
    return embed(texts.texts, cache=cache, report=report)


def split_paths(text: str | None, names: Sequence[str]) -> list[str | None]:
    """Return the paths of an option such as `docs.npy,queries.npy`, Nones without it. Raises `InputError`."""
    if text is None:
        return [None] * len(names)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(names) or not all(parts):
        raise InputError(f"--embeddings {text!r}: expected {','.join(f'{name}.npy' for name in names)}")
    return list(parts)


def judged(
    corpus: str,
    queries: str,
    qrels: str,
    embedded: str | None,
    cache: str | None,
    report: Report | None,
    missing: bool = False,
) -> tuple[Collection, np.ndarray, np.ndarray]:
    """Return (collection, document embeddings, query embeddings) of three files; raises `InputError`.

    With `missing`, judged documents that are not in the corpus count as not found.
    """
    of_documents, of_queries = split_paths(embedded, ("documents", "queries"))
    collection, rows = _judged_collection(
        read_texts(corpus, "documents"), queries, qrels, of_queries, cache, report, corpus, missing
    )
    return collection, vectors(collection.documents, of_documents, "documents", cache, report), rows


def training_pairs(
    documents: Texts, rows: np.ndarray, queries: str, qrels: str, cache: str | None, report: Report | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (queries, documents), embeddings (pairs, dims) each, of the pairs that `qrels` judges above 0."""
    collection, texts = _judged_collection(documents, queries, qrels, None, cache, report, queries)
    pairs = [(row, place) for row, graded in enumerate(collection.grades) for place in graded]
    return texts[[row for row, _ in pairs]], rows[[place for _, place in pairs]]


def _judged_collection(
    documents: Texts,
    queries: str,
    qrels: str,
    embedded: str | None,
    cache: str | None,
    report: Report | None,
    name: str,
    missing: bool = False,
) -> tuple[Collection, np.ndarray]:
    texts = read_texts(queries, "queries")
    collection = read_collection(documents, texts, qrels, Path(name).stem, missing=missing)
    if embedded is not None:
        positions = kept_queries(collection, texts.ids)
        return collection, read_embeddings(embedded, len(texts.ids), "queries")[positions]
    return collection, embed(collection.queries.texts, cache=cache, report=report)
