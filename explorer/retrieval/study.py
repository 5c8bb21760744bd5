"""Quality against bits on real text: every codec on one collection, with intervals, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.progress import Report
from explorer.retrieval.collection import Collection
from explorer.retrieval.embedding import embed
from explorer.retrieval.evaluate import Evaluation, Search, difference, evaluate
from explorer.retrieval.sources import SOURCES, source
from hwbase import Book, unknown_name

#: (family, codec, search settings); each family is a line of the figure.
CASES: tuple[tuple[str, str, Search], ...] = (
    ("floats and integers", "float32", Search()),
    ("floats and integers", "float16", Search()),
    ("floats and integers", "float8", Search()),
    ("floats and integers", "int8", Search()),
    ("floats and integers", "int4", Search()),
    ("truncated", "pca:256+float8", Search()),
    ("truncated", "pca:128+float8", Search()),
    ("truncated", "pca:64+float8", Search()),
    ("truncated", "pca:128+int4", Search()),
    ("truncated", "matryoshka:128+float8", Search()),
    ("signs", "sign", Search()),
    ("signs", "centre+sign", Search()),
    ("signs", "itq:128", Search()),
    ("signs", "itq:256", Search()),
    ("signs", "itq:384", Search()),
    ("signs", "rotation:768", Search()),
    ("signs", "rotation:1152", Search()),
    ("signs, query in floats", "sign", Search(asymmetric=True)),
    ("signs, query in floats", "itq:256", Search(asymmetric=True)),
    ("signs, best 400 again by int8", "sign", Search(rescore=400)),
    ("recurrent, untrained", "recurrent:2", Search()),
    ("recurrent, untrained", "recurrent:3", Search()),
    ("recurrent, untrained", "itq:256+recurrent:2", Search()),
    ("recurrent, untrained", "itq:128+recurrent:2", Search()),
    ("rabitq", "pca:192+rabitq:1", Search()),
    ("rabitq", "rabitq:1", Search()),
    ("rabitq", "rabitq:2", Search()),
    ("rabitq", "rabitq:4", Search()),
    ("product", "pq:48", Search()),
    ("product", "opq:48", Search()),
    ("product", "opq:96", Search()),
    ("product", "opq:192", Search()),
    ("scalar after rotation or centring", "turboquant:1", Search()),
    ("scalar after rotation or centring", "turboquant:2", Search()),
    ("scalar after rotation or centring", "turboquant:4", Search()),
    ("scalar after rotation or centring", "osq:1", Search()),
    ("scalar after rotation or centring", "osq:2", Search()),
    ("scalar after rotation or centring", "lvq:4", Search()),
    ("trained hash", "bebr:1x256", Search()),
    ("trained hash", "bebr:1x512", Search()),
    ("recurrent, trained", "bebr:2x128", Search()),
    ("recurrent, trained", "bebr:2x256", Search()),
)
#: Pairs of codecs compared query by query: as many bits trained and untrained, and against floats.
COMPARED = (
    ("bebr:2x256", "bebr:1x512"),
    ("bebr:2x128", "bebr:1x256"),
    ("bebr:2x256", "itq:256+recurrent:2"),
    ("bebr:2x128", "itq:128+recurrent:2"),
    ("bebr:1x256", "itq:256"),
    ("itq:128+recurrent:2", "itq:256"),
    ("bebr:2x256", "float32"),
    ("bebr:2x128", "float32"),
    ("itq:256+recurrent:2", "float32"),
    ("bebr:2x256", "opq:96"),
    ("bebr:2x256", "rabitq:1"),
    ("bebr:2x256", "rabitq:2"),
    ("bebr:2x128", "opq:48"),
    ("bebr:2x128", "pca:192+rabitq:1"),
    ("recurrent:2", "rabitq:2"),
    ("recurrent:2", "opq:192"),
    ("itq:256+recurrent:2", "rabitq:1"),
)
#: Most pairs of word and definition for training; none shares a word or an answer with the queries.
_TRAINING_PAIRS = 30_000
_SEED = 1


@dataclass(frozen=True)
class Study(Documented):
    """Evaluations with the family of each. `training_pairs` is 0 where codecs learned from neighbours."""

    collection: str
    training_pairs: int
    families: tuple[str, ...]
    results: tuple[Evaluation, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each codec: bits scanned, bytes held, and mean, low and high of each metric."""
        rows = []
        for family, result in zip(self.families, self.results, strict=True):
            row: dict[str, object] = {
                "collection": self.collection,
                "family": family,
                "codec": result.codec,
                "bits": result.bits_per_vector,
                "bytes": result.index_bytes / result.documents,
                "asymmetric": result.search.asymmetric,
                "rescore": result.search.rescore,
            }
            for name, estimate in result.metrics.items():
                row |= {name: estimate.mean, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
            rows.append(row)
        return pd.DataFrame(rows)

    def differences(self) -> pd.DataFrame:
        """Return one row for each pair of `COMPARED`: the gain of `codec` over `other`, with interval, by metric."""
        plain = {result.codec: result for result in self.results if result.search == Search()}
        rows = []
        for codec, other in COMPARED:
            if codec in plain and other in plain:
                row: dict[str, object] = {"codec": codec, "other": other}
                for name, e in difference(plain[codec], plain[other]).items():
                    row |= {name: e.mean, f"{name}_low": e.low, f"{name}_high": e.high}
                rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and the differences as rows."""
        return super().to_dict() | {"differences": self.differences().to_dict(orient="records")}

    def document(self, command: str = "", book: Book | None = None) -> Document:
        """Return the result as a document, priced by a cost book."""
        from explorer.retrieval.document import study_document

        return replace(study_document(self.to_frame(), command, book=book), data=self.to_dict, schema="retrieve-study")


def study(
    name: str,
    *,
    queries: int | None = 4000,
    cases: Sequence[tuple[str, str, Search]] = CASES,
    cache: str | None = None,
    report: Report | None = None,
) -> Study:
    """Return the evaluation of every case on the collection `name` of `SOURCES` with `queries` of its queries.

    None takes all queries. Raises `InputError` for another name, or with the install command for a missing package.
    """
    if name not in SOURCES:
        raise unknown_name("collection", name, SOURCES)
    collection = source(name, queries)
    queries_vectors = embed(collection.queries.texts, cache=cache, report=report)
    documents = embed(collection.documents.texts, cache=cache, report=report)
    training = None
    if any(codec.startswith("bebr") for _, codec, _ in cases):
        training = training_words(name, collection, documents, cache, report)
    results = []
    for number, (_, codec, search) in enumerate(cases):
        if report is not None:
            report(codec, number, len(cases))
        results.append(evaluate(collection, documents, queries_vectors, codec, search=search, training=training))
    pairs = 0 if training is None else len(training[0])
    return Study(collection.name, pairs, tuple(family for family, _, _ in cases), tuple(results))


def training_words(
    name: str, collection: Collection, documents: np.ndarray, cache: str | None, report: Report | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (queries, documents) of words that share no answer with the queries; None if there are too few."""
    ids = set(collection.queries.ids)
    answers = {document for graded in collection.grades for document in graded}
    everything = source(name, None)
    free = [
        row
        for row, (key, graded) in enumerate(zip(everything.queries.ids, everything.grades, strict=True))
        if key not in ids and not answers & graded.keys()
    ]
    fewest = 1000
    if len(free) < fewest:
        return None
    rng = np.random.default_rng(_SEED)
    chosen = np.sort(rng.permutation(free)[:_TRAINING_PAIRS]).tolist()
    left = embed([everything.queries.texts[row] for row in chosen], cache=cache, report=report)
    right = [int(rng.choice(list(everything.grades[row]))) for row in chosen]
    return left, documents[right]
