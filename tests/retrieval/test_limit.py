"""LIMIT: the collection's shape, small cases by enumeration, and what moment curves and optimisation express."""

import json
from itertools import combinations

import numpy as np
import pytest

from explorer.retrieval.collection import read_collection, read_texts
from explorer.retrieval.studies.limit import (
    expressed,
    limit_collection,
    limit_study,
    moment_curve,
    most_documents,
    optimised,
    warning,
)
from hwbase import InputError


def test_the_collection_is_shaped_as_published():
    small = limit_collection(small=True)
    assert len(small.documents.ids) == 46 and len(small.queries.ids) == 1000
    assert {len(graded) for graded in small.grades} == {2} and len({tuple(g) for g in small.grades}) == 1000
    for query, graded in zip(small.queries.texts[::97], small.grades[::97], strict=True):
        thing = query.removeprefix("Who likes ").removesuffix("?")
        having = {
            i
            for i, text in enumerate(small.documents.texts)
            if thing in text.replace(".", ",").split(" ")[2:] or f" {thing}," in text.replace(".", ",")
        }
        assert having == set(graded)
    assert all(text.count(",") == 49 for text in small.documents.texts)


@pytest.mark.parametrize(("documents", "k"), [(46, 2), (12, 3), (9, 1)])
def test_twice_k_dimensions_express_every_set(documents, k):
    rows, queries = moment_curve(documents, k)
    assert rows.shape == (documents, 2 * k)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    assert expressed(rows.astype(np.float32), combinations(range(documents), k), queries.astype(np.float32)) == 1.0


def test_optimisation_needs_more_dimensions_than_construction():
    assert optimised(8, 1, 2, rounds=200) == 1.0
    few, enough = optimised(8, 2, 2, rounds=150), optimised(8, 2, 5, rounds=300)
    assert few < 0.9 < enough


def test_few_bits_by_enumeration():
    # With one answer every code word is its own nearest.
    assert [most_documents(bits, 1) for bits in (1, 2, 3)] == [2, 4, 8]
    # Two bits: no query of two signs puts two of three first, and apart from the third, in every way.
    counts = [most_documents(bits, 2) for bits in (2, 3, 4)]
    assert counts == sorted(counts)
    for bits, count in zip((2, 3, 4), counts, strict=True):
        # Never more sets than queries.
        assert count * (count - 1) // 2 <= 2**bits


def test_warnings_name_bits_and_training():
    assert warning(8, 2, 10) is None
    text = warning(4, 2, 46)
    assert "4 bits" in text and "training" in text and "Dimensions alone set no such limit" in text


def test_the_study_has_a_row_a_case():
    frame = limit_study(6, 1, dims=(2, 3), codecs=("float32", "sign")).to_frame()
    assert frame["expressed"].tolist()[:3] == [1.0, 1.0, 1.0] and frame["expressed"].iloc[3] < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimised(1, 1, 2), "documents = 1"),
        (lambda: optimised(5, 5, 2), "k = 5"),
        (lambda: moment_curve(5, 5), "k = 5"),
        (lambda: most_documents(6, 1), "bits = 6"),
        (lambda: limit_study(500, 5), "k = 5: 500 documents have 255,244,687,600 sets of 5, expected at most 200,000"),
        (lambda: moment_curve(500, 5), "expected at most 200,000"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_command_writes_a_collection_and_warns(command, tmp_path):
    arguments = ("--documents", "6", "--k", "1", "--dims", "2", "--bits", "2", "--json")
    status, out, _ = command("retrieve", "limit", *arguments, "--write", str(tmp_path / "limit"), "--small")
    answer = json.loads(out)
    assert status == 0 and answer["rows"][0]["expressed"] == 1 and "2 bits express" in answer["notes"][-1]
    texts = read_texts(tmp_path / "limit" / "documents.jsonl", "documents")
    queries = read_texts(tmp_path / "limit" / "queries.jsonl", "queries")
    again = read_collection(texts, queries, tmp_path / "limit" / "qrels.tsv")
    assert again.grades == limit_collection(small=True).grades
    (tmp_path / "limit" / "mine.txt").write_text("keep me")
    status, _, error = command("retrieve", "limit", *arguments, "--write", str(tmp_path / "limit"), "--small")
    assert status == 2 and "mine.txt" in error
    status, _, error = command("retrieve", "limit", "--small")
    assert status == 2 and "--small without --write" in error
