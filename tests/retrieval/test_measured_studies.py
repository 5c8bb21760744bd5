"""Studies of retrieval on small random collections: what their rows must satisfy whatever the data."""

import numpy as np
import pytest

from explorer.retrieval.collection import Collection, Texts
from explorer.retrieval.studies.bits import bits_study
from explorer.retrieval.studies.depth import depth_study
from explorer.retrieval.studies.filtering import RELATIONS, filter_study
from explorer.retrieval.studies.subjects import measure
from explorer.retrieval.studies.vectors import sampled, vectors_study
from hwbase import InputError
from models.binarize import unit

RANDOM = np.random.default_rng(2)
DOCUMENTS = unit(RANDOM.standard_normal((500, 48)).astype(np.float32) * np.linspace(2, 0.4, 48, dtype=np.float32))
QUERIES = unit(DOCUMENTS[:40] + 0.1 * RANDOM.standard_normal((40, 48)).astype(np.float32))


def texts(prefix, size):
    return Texts(tuple(f"{prefix}{i}" for i in range(size)), tuple("x" for _ in range(size)))


COLLECTION = Collection("random", texts("d", 500), texts("q", 40), tuple({i: 1.0} for i in range(40)))


def test_ways_to_filter_agree_and_lists_lose_little():
    result = filter_study(DOCUMENTS, QUERIES, codec="rabitq:4", shares=(0.01, 0.5), most_queries=12)
    frame = result.to_frame()
    assert len(frame) == 2 * len(RELATIONS) * 4
    same = frame[frame["way"] != "lists"].groupby(["selectivity", "relation"])["recall@10"]
    assert (same.nunique() == 1).all() and frame["recall@10"].min() > 0.6
    wide = frame[frame["way"].isin(["before", "after"])].pivot_table(
        index=["selectivity", "relation"], columns="way", values="compared_share"
    )
    # A small share is scanned alone; far from the queries even the whole must be scanned.
    assert wide.loc[(0.01, "random"), "before"] == pytest.approx(0.01) and (wide["after"] >= wide["before"]).all()
    assert "recall@10" in result._repr_html_()


def test_codecs_at_equal_bits_are_paired_with_the_first():
    cases = {1.0: ("itq:48", "rabitq:1", "turboquant:1"), 4.0: ("rabitq:4", "lvq:4")}
    frame = bits_study(COLLECTION, DOCUMENTS, QUERIES, cases=cases).to_frame().set_index("codec")
    frame = frame[~frame.index.str.startswith("faiss")]
    assert frame["gain"].isna().tolist() == [True, False, False, True, False]
    paired = frame.loc["turboquant:1"]
    assert paired["gain_low"] <= paired["gain"] <= paired["gain_high"]
    assert paired["gain"] == pytest.approx(paired["recall@10"] - frame.loc["itq:48", "recall@10"])
    assert (frame["rescored_recall@10"] >= frame["recall@10"] - 0.05).all()
    # Bounds of finer codes leave fewer candidates open.
    rows = frame["rescored_per_query"]
    assert rows["rabitq:4"] < rows["rabitq:1"] < rows["lvq:4"] == 400


@pytest.mark.parametrize(
    ("subject", "name", "message"), [("bit", "definitions", "'bits'"), ("bits", "webst", "webster")]
)
def test_unknown_subjects_and_collections_are_refused(subject, name, message):
    with pytest.raises(InputError, match=message):
        measure(subject, name)


class Letters:
    """An encoder of letters: a vector for each, so that sets share vectors where texts share letters."""

    def embed_tokens(self, texts, report=None):
        table = unit(np.random.default_rng(0).standard_normal((128, 24)).astype(np.float32))
        return [table[[ord(letter) for letter in text]] for text in texts]


def test_many_vectors_are_compared_with_one_by_bytes():
    random = np.random.default_rng(1)
    words = ["".join(random.choice(list("abcdefghijklmnop"), 7)) for _ in range(60)]
    documents = Texts(tuple(f"d{i}" for i in range(60)), tuple(words))
    queries = Texts(tuple(f"q{i}" for i in range(20)), tuple(word[:4] for word in words[:20]))
    collection = Collection("letters", documents, queries, tuple({i: 1.0} for i in range(20)))
    frame = vectors_study(collection, Letters(), encodings=((20, 3, 0),)).to_frame()
    rows = frame.set_index(["vectors", "codec"])
    exact = rows.loc[("chamfer", "float32")]
    assert exact["overlap@10"] == 1 and exact["bytes"] == 7 * 24 * 4 and exact["recall@10"] > 0.9
    assert rows.loc[("chamfer", "int8"), "overlap@10"] > 0.9
    # Rescoring undoes what the encoding loses, up to its 100 candidates: here all documents.
    again = rows[rows.index.get_level_values(0).str.endswith("rescored")].iloc[0]
    # Equal similarities are in another order.
    assert again["overlap@10"] == pytest.approx(rows.loc[("chamfer", "int8"), "overlap@10"], abs=0.05)
    few = sampled(collection, 30)
    assert len(few.documents.ids) == 30 and few.grades == tuple({i: 1.0} for i in range(20))


def test_an_encoder_that_stops_early_or_is_cut_finds_less():
    noise = np.random.default_rng(3).standard_normal((6, 540, 48)).astype(np.float32)

    def embed(texts, layers):
        first = 0 if len(texts) == 500 else 500
        rows = (DOCUMENTS, QUERIES)[first > 0]
        return unit(rows + noise[layers - 1, first : first + len(texts)] * (3 - layers) / 4)

    frame = depth_study(COLLECTION, embed, 3, dims=(6, 48)).to_frame()
    assert frame["layers"].tolist() == [1, 1, 2, 2, 3, 3] and frame["bytes"].tolist() == [12, 96] * 3
    whole = frame[frame["dims"] == 48]["recall@10"]
    assert whole.is_monotonic_increasing and whole.iloc[-1] == 1.0
    assert frame["recall@10"].iloc[-2] < frame["recall@10"].iloc[-1]
    with pytest.raises(InputError, match="dims = 49"):
        depth_study(COLLECTION, embed, 1, dims=(49,))
