"""Embeddings, tags and sizes at the edges: the right answer, or a clear refusal."""

import json

import numpy as np
import pytest

from explorer.retrieval.index import Index
from hwbase import InputError
from models.binarize import fit_codec, unit

X = np.random.default_rng(8).standard_normal((120, 32)).astype(np.float32)
NAMES = [f"d{i}" for i in range(120)]
CODECS = (
    "float32",
    "int8",
    "int4",
    "sign",
    "recurrent:2",
    "rabitq:1",
    "rabitq:4",
    "lvq:4",
    "osq:2",
    "turboquant:2",
    "pq:8",
)


def nearest(documents, queries, name, k=7):
    codec = fit_codec(name, documents)
    index = Index().add(NAMES[: len(documents)], documents, codec)
    return index.search(queries, k, asymmetric=not codec.planes).ids


@pytest.mark.parametrize("name", CODECS)
def test_other_types_layouts_and_lengths_give_the_same_answer(name):
    expected = nearest(X, X[:5], name)
    assert nearest(X.astype(float), X[:5].astype(float), name) == expected
    assert nearest(np.asfortranarray(X), X[:5], name) == expected
    assert nearest(np.repeat(X, 2, axis=0)[::2], X[:5], name) == expected
    # Powers of two, which rounding leaves alone.
    lengths = 2.0 ** np.random.default_rng(0).integers(-6, 7, (120, 1)).astype(np.float32)
    assert nearest(X * lengths, 4 * X[:5], name) == expected


@pytest.mark.parametrize("name", CODECS)
def test_one_document_and_equal_documents_are_found(name):
    assert nearest(X[:1], X[:2], name) == (("d0",), ("d0",))
    same = np.repeat(X[:1], 9, axis=0)
    # Products of equal rows may differ in the last place, so the order among them is not certain.
    assert len(set(nearest(same, X[:1], name, 3)[0])) == 3 and len(nearest(same, X[:1], name, 20)[0]) == 9


@pytest.mark.parametrize("name", CODECS)
def test_sparse_skewed_and_padded_vectors_find_their_neighbours(name):
    # Signs about zero are all equal where no coordinate is below it; about the mean they are not.
    name = "centre+sign" if name == "sign" else name
    random = np.random.default_rng(4)
    sparse = np.where(random.random((120, 32)) < 0.2, random.exponential(1, (120, 32)), 0).astype(np.float32)
    sparse[:, 0] += 0.01
    padded = np.concatenate([X[:, :16], np.zeros((120, 16), np.float32)], axis=1)
    for rows in (sparse, padded, np.abs(X) ** 3):
        found = nearest(rows, rows, name, 10)
        exact = np.argsort(-(unit(rows) @ unit(rows).T), axis=1)[:, :10]
        shares = [
            len({int(key[1:]) for key in own} & set(best)) / 10 for own, best in zip(found, exact.tolist(), strict=True)
        ]
        assert all(own for own in found) and np.mean(shares) > (
            0.25 if name in ("centre+sign", "rabitq:1", "osq:2") else 0.4
        )


def test_parts_that_do_not_divide_and_filters_that_leave_little():
    with pytest.raises(InputError, match="parts = 5: expected a divisor of the 32 dimensions, such as 4"):
        fit_codec("pq:5", X)
    index = Index().add(NAMES, X, fit_codec("sign", X), tags=[("a",) if i < 3 else () for i in range(120)])
    found = index.search(X[:2], 10, tag="a")
    assert [len(ids) for ids in found.ids] == [3, 3] and found.matching == 3
    with pytest.raises(InputError, match="the filter is empty"):
        index.search(X[:2], 10, filter="")
    none = index.search(X[:2], 10, filter="tag = a and tag != a")
    assert none.ids == ((), ()) and none.matching == 0


def test_tags_of_mixed_types_are_names_and_others_are_refused(tmp_path, command):
    good = [{"id": 1, "text": "x", "tags": [2020, "a"]}, {"id": 2, "text": "", "tag": "a"}, {"id": 3, "text": "y"}]
    np.save(tmp_path / "x.npy", X[:3])
    paths = ("--corpus", str(tmp_path / "docs.jsonl"), "--out", str(tmp_path / "ix"))
    build = ("retrieve", "build", *paths, "--embeddings", str(tmp_path / "x.npy"))
    query = ("retrieve", "query", "--index", str(tmp_path / "ix"), "--embeddings", str(tmp_path / "x.npy"))
    (tmp_path / "docs.jsonl").write_text("\n".join(map(json.dumps, good)))
    assert command(*build)[0] == 0
    for how in (("--tag", "2020"), ("--filter", "tag = 2020"), ("--filter", "tag in ('2020', a) and not tag = '2020'")):
        status, out, _ = command(*query, *how, "--json")
        found = {hit["id"] for hit in json.loads(out)["rows"][0]["found"]}
        assert status == 0 and found == ({"2"} if "not" in how[1] else {"1"})
    for bad in ([True], [["a"]], [{}], [1.5], [""], {"a": 1}):
        (tmp_path / "docs.jsonl").write_text(json.dumps(good[0] | {"tags": bad}))
        status, _, error = command(*build)
        assert status == 2 and "tags = " in error
