"""The measured studies by name, and what each is given: a collection, its embeddings, and pairs to train on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.progress import Report
from explorer.retrieval.collection import Collection, Texts
from explorer.retrieval.embedding import embed
from explorer.retrieval.sources import SOURCES, source
from explorer.retrieval.studies.bits import bits_study
from explorer.retrieval.studies.depth import depth_study
from explorer.retrieval.studies.filtering import filter_study
from explorer.retrieval.studies.measured import Measured
from explorer.retrieval.studies.vectors import sampled, vectors_study
from explorer.retrieval.study import training_words
from hwbase import unknown_name
from hwbase.check import integer
from models.embedding import SentenceEncoder, read_encoder

#: Queries that are drawn; fewer are taken from these, so that all studies train on the same pairs.
_DRAWN = 4000
#: Documents of studies that embed tokens or stop the encoder early, answers included.
_FEW_DOCUMENTS = 2000


@dataclass(frozen=True, eq=False)
class Given:
    """A collection of `SOURCES` with `queries` of its queries, embedded when asked for; `cache` keeps embeddings."""

    name: str
    queries: int
    cache: str | None = None
    report: Report | None = None

    def collection(self) -> Collection:
        """Return the collection with the queries of this study."""
        drawn = source(self.name, max(self.queries, _DRAWN))
        kept = sorted(np.random.default_rng(0).permutation(len(drawn.grades))[: self.queries].tolist())
        queries = Texts(tuple(drawn.queries.ids[i] for i in kept), tuple(drawn.queries.texts[i] for i in kept))
        return Collection(drawn.name, drawn.documents, queries, tuple(drawn.grades[i] for i in kept))

    def embedded(self, texts: Texts) -> np.ndarray:
        """Return the embeddings of texts."""
        return embed(texts.texts, cache=self.cache, report=self.report)

    def training(self, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return pairs of (queries, documents) that share no answer with any query that is drawn."""
        drawn = source(self.name, max(self.queries, _DRAWN))
        return training_words(self.name, drawn, documents, self.cache, self.report)


def _bits(given: Given) -> Measured:
    collection = given.collection()
    documents = given.embedded(collection.documents)
    asked = given.embedded(collection.queries)
    return bits_study(collection, documents, asked, training=given.training(documents), report=given.report)


def _filters(given: Given) -> Measured:
    collection = given.collection()
    documents, asked = given.embedded(collection.documents), given.embedded(collection.queries)
    return filter_study(documents, asked, most_queries=given.queries, report=given.report)


def _vectors(given: Given) -> Measured:
    collection = sampled(given.collection(), _FEW_DOCUMENTS)
    return vectors_study(collection, SentenceEncoder(read_encoder()), report=given.report)


def _depth(given: Given) -> Measured:
    weights = read_encoder()

    def embedded(texts: Sequence[str], layers: int) -> np.ndarray:
        return embed(texts, encoder=SentenceEncoder(weights, layers), cache=given.cache, report=given.report)

    return depth_study(sampled(given.collection(), _FEW_DOCUMENTS), embedded, weights.layers)


#: Studies by what they are of.
SUBJECTS: dict[str, Callable[[Given], Measured]] = {
    "bits": _bits,
    "filters": _filters,
    "vectors": _vectors,
    "depth": _depth,
}


def measure(
    subject: str, name: str, *, queries: int = 1000, cache: str | None = None, report: Report | None = None
) -> Measured:
    """Return the study of `subject`, one of `SUBJECTS`, on the collection `name` with `queries` of its queries.

    Raises `InputError` for other names, or with the install command for a missing package.
    """
    if subject not in SUBJECTS:
        raise unknown_name("subject of a study", subject, SUBJECTS)
    if name not in SOURCES:
        raise unknown_name("collection", name, SOURCES)
    return SUBJECTS[subject](Given(name, integer("queries", queries), cache, report))
