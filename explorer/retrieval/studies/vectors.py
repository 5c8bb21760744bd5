"""Many vectors a document beside one: recall against bytes of tokens, of MUVERA's encodings and of single vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from explorer.progress import Report
from explorer.retrieval.collection import Collection, Texts
from explorer.retrieval.evaluate import estimates, query_metrics
from explorer.retrieval.index import Index
from explorer.retrieval.studies.measured import Measured
from models.binarize import fit_codec
from models.embedding import SentenceEncoder
from models.multivector import Muvera, VectorSets, chamfer, clustered, directions, vector_sets

#: Encodings of the study: repetitions, bits and projected dimensions.
ENCODINGS = ((10, 3, 8), (20, 4, 8), (20, 5, 16))
_TOKEN_CODECS = ("float16", "int8", "int4", "rabitq:1")
_CLUSTERS = (1, 2, 4, 8)
_SINGLE = ("float16", "int8", "rabitq:2", "rabitq:1")
_FDE_CODECS = ("float16", "int4", "rabitq:1")
_RESCORED, _K = 100, 100
_METRICS = ("recall@1", "recall@10", "recall@100")
_SEED = 7


def sampled(collection: Collection, documents: int) -> Collection:
    """Return the collection with the answers of its queries and other documents at random, `documents` in all."""
    answers = sorted({place for graded in collection.grades for place in graded if place >= 0})
    others = np.setdiff1d(np.arange(len(collection.documents.ids)), answers)
    more = max(0, min(documents - len(answers), len(others)))
    drawn = np.random.default_rng(_SEED).choice(others, more, replace=False)
    kept = sorted({*answers, *drawn.tolist()})
    place = {old: new for new, old in enumerate(kept)}
    texts = Texts(tuple(collection.documents.ids[i] for i in kept), tuple(collection.documents.texts[i] for i in kept))
    grades = tuple({place[i]: grade for i, grade in graded.items() if i >= 0} for graded in collection.grades)
    return Collection(collection.name, texts, collection.queries, grades)


def vectors_study(
    collection: Collection,
    encoder: SentenceEncoder,
    *,
    encodings: Sequence[tuple[int, int, int]] = ENCODINGS,
    report: Report | None = None,
) -> Measured:
    """Return recall and bytes a document of single vectors, of token vectors and of MUVERA's encodings.

    `overlap@10` is the share of the 10 best by exact Chamfer similarity in floats. Rescored rows sort the best 100
    again by Chamfer similarity of int8 tokens, whose bytes they count too.

    Parameters
    ----------
    collection : Collection
        Small enough that all similarities fit into memory.
    encoder : SentenceEncoder
    encodings : sequence of (int, int, int)
        Repetitions, bits and projected dimensions of MUVERA.
    report : callable, optional
        Called with texts embedded.
    """
    documents = vector_sets(encoder.embed_tokens(collection.documents.texts, report))
    queries = vector_sets(encoder.embed_tokens(collection.queries.texts, report))
    exact = chamfer(queries, documents)
    best = np.argsort(-exact, axis=1, kind="stable")[:, :10]
    tokens = len(documents.vectors) / documents.size
    lines: list[dict[str, Any]] = []

    def add(way: str, codec: str, bytes_: float, ranked: np.ndarray) -> None:
        found = estimates(query_metrics(ranked[:, :_K], collection.grades))
        pairs = zip(ranked[:, :10].tolist(), best.tolist(), strict=True)
        overlap = float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs]))
        line: dict[str, Any] = {"vectors": way, "codec": codec, "bytes": bytes_}
        line |= {name: found[name].mean for name in _METRICS}
        line |= {"recall@10_low": found["recall@10"].low, "recall@10_high": found["recall@10"].high}
        lines.append(line | {"overlap@10": overlap})

    for name in _SINGLE:
        x, asked = _means(documents), _means(queries)
        codec = fit_codec(name, x)
        add("single", name, codec.bits_per_vector / 8, _ranked(x, asked, name))
    add("chamfer", "float32", tokens * documents.dims * 4, _order(exact))
    rough: np.ndarray | None = None
    for name in _TOKEN_CODECS:
        codec = fit_codec(name, documents.vectors)
        kept = VectorSets(_decoded(codec, documents.vectors), documents.starts)
        asked_sets = VectorSets(codec.query(queries.vectors), queries.starts)
        scores = chamfer(asked_sets, kept)
        rough = scores if name == "int8" else rough
        add("chamfer", name, tokens * codec.bits_per_vector / 8, _order(scores))
    for most in _CLUSTERS:
        few = clustered(documents, most)
        add(f"{most} centroids", "int8", len(few.vectors) / few.size * few.dims, _order(chamfer(queries, few)))
    assert rough is not None
    for repetitions, bits, projected in encodings:
        coder = Muvera(documents.dims, repetitions, bits, projected)
        x, asked = directions(coder.documents(documents), coder.queries(queries))
        way = f"muvera:{repetitions},{bits},{projected}"
        for name in _FDE_CODECS:
            ranked, held = _ranked(x, asked, name), fit_codec(name, x[:2]).bits_per_vector / 8
            add(way, name, held, ranked)
        # The last, smallest codec again with rescoring.
        again = np.take_along_axis(rough, ranked[:, :_RESCORED], axis=1)
        sorted_again = np.take_along_axis(ranked[:, :_RESCORED], _order(again), axis=1)
        add(f"{way}, {_RESCORED} rescored", name, held + tokens * documents.dims, sorted_again)
    return Measured(
        "vectors",
        f"{collection.name}: one vector a document and many",
        f"{documents.size:,} documents of {tokens:.1f} tokens on average, {queries.size:,} queries.",
        pd.DataFrame(lines),
        ("The encoder was trained for the mean of its tokens, not for Chamfer similarity.",),
    )


def _means(sets: VectorSets) -> np.ndarray:
    """Return the means of the unit vectors of texts, float32 (texts, dims)."""
    return np.add.reduceat(sets.vectors, sets.starts[:-1], axis=0) / np.diff(sets.starts)[:, None].astype(np.float32)


def _decoded(codec: Any, vectors: np.ndarray) -> np.ndarray:
    rows = codec.decode(codec.encode(vectors))
    # RaBitQ's factors make products unbiased; other codes stand for directions.
    if codec.name.startswith("rabitq"):
        return np.asarray(rows)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _order(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")


def _ranked(x: np.ndarray, asked: np.ndarray, name: str) -> np.ndarray:
    codec = fit_codec(name, x)
    index = Index().add([str(i) for i in range(len(x))], x, codec)
    return index.search(asked, min(_K, len(x)), asymmetric=True).positions
