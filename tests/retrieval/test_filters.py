"""Filters: expressions over fields, and searches that leave documents out, equal to brute force on every mask."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.retrieval.collection import read_texts
from explorer.retrieval.fields import join_fields, read_field
from explorer.retrieval.filters import check_filter, matching
from explorer.retrieval.index import Index
from explorer.retrieval.lists import fit_lists
from explorer.retrieval.scanning import WAYS
from explorer.retrieval.storage import load_index, save_index
from hwbase import InputError
from hwsim.kernels import pack_codes, search
from models.binarize import fit_codec, unit

ROWS = (
    {"year": 1999, "lang": "en", "tag": ["a", "b"], "class": "x", "date": "2020-01-05"},
    {"year": 2020, "lang": "fr", "tag": ["c"], "class": "y", "date": "2021-03-01"},
    {"year": 2021.5, "lang": None, "tag": [], "class": "new-york", "date": None},
    {"year": None, "lang": "en", "tag": ["b", "2020"], "class": None, "date": "2019-12-31"},
)
FIELDS = {name: read_field([row[name] for row in ROWS], name) for name in ROWS[0]}


@pytest.mark.parametrize(
    ("expression", "documents"),
    [
        ("year >= 2020", [1, 2]),
        ("year >= 2020 and (lang = 'en' or tag in (a, c))", [1]),
        ("YEAR >= 2020".replace("YEAR", "year") + " AND NOT lang == fr", [2]),
        ("tag = b", [0, 3]),
        ("tag in (b)", [0, 3]),
        ("'b' in tag", [0, 3]),
        ("tag not in [a, c]", [2, 3]),
        ("tag != b", [1, 2]),
        ("tag = 2020", [3]),
        ("1999 <= year < 2021", [0, 1]),
        ("2020 < year", [2]),
        ("year = -1 or year in (1999, 2021.5)", [0, 2]),
        ("class = 'new-york' or class = x", [0, 2]),
        ("date < '2020-06-01'", [0, 3]),
        ("not (year < 2020 or year >= 2020)", [3]),
        ("lang = en\n and tag = b", [0, 3]),
    ],
)
def test_expressions_hold_for_the_documents_that_they_name(expression, documents):
    assert np.flatnonzero(matching(expression, FIELDS)).tolist() == documents
    check_filter(expression)
    twice = {name: join_fields([field, field.take(np.array([2, 0]))]) for name, field in FIELDS.items()}
    again = [4 + place for place, document in enumerate((2, 0)) if document in documents]
    assert np.flatnonzero(matching(expression, twice)).tolist() == documents + again


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "the filter is empty"),
        ("  ", "the filter is empty"),
        ("year >=", "do not fit together"),
        ("year >= 2020)", "do not fit together"),
        ("(" * 300 + "year = 1" + ")" * 300, "do not fit together"),
        ("year = 1 or " * 400 + "year = 1", "expected at most 4,000"),
        ("yeer = 1", "did you mean 'year'"),
        ("tag = bb", "tag"),
        ("lang = 'EN'", "did you mean 'en'"),
        ("year = 'n.d.'", "year holds numbers only"),
        ("year > 'n.d.'", "year holds numbers only"),
        ("lang > 3", "lang holds names only"),
        ("tag = new-york", "quote names"),
        ("tag in ()", "expected a value between the brackets"),
        ("year", "expected comparisons"),
        ("year + 1 = 2", "expected a field on one side"),
        ("f(year) = 2", "expected a field on one side"),
        ("year = 1 < lang", "about one field only"),
        ("1 < year != 3", "about one field only"),
        ("year is 3", "do not fit together"),
        ("year = 1j", "expected a number"),
        ("year = 1e999", "expected a number"),
        ("year = 2 # x", "has no meaning"),
        ("tag = f'{x}'", "expected"),
        ("lambda: 3", "do not fit together"),
        ("year = 2; year", "do not fit together"),
        ("__import__('os')", "expected comparisons"),
    ],
)
def test_expressions_that_cannot_be_read_are_refused(expression, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        matching(expression, FIELDS)


TERMS = st.sampled_from(["year >= 2000", "year < 2021", "tag = a", "tag in (b, c)", "lang != en", "'b' in tag"])


@given(
    st.recursive(
        TERMS,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            inner.map(lambda t: f"not ({t})"),
        ),
        max_leaves=6,
    )
)
def test_expressions_mean_what_python_means(expression):
    def by_hand(row):
        year = row["year"] if row["year"] is not None else float("nan")
        values = {
            "year >= 2000": year >= 2000,
            "year < 2021": year < 2021,
            "tag = a": "a" in row["tag"],
            "tag in (b, c)": bool({"b", "c"} & set(row["tag"])),
            "lang != en": row["lang"] != "en",
            "'b' in tag": "b" in row["tag"],
        }
        text = expression
        for term, value in values.items():
            text = text.replace(term, str(value))
        return eval(text)

    assert matching(expression, FIELDS).tolist() == [by_hand(row) for row in ROWS]


SIZE, DIMS = 300, 24
X = unit(np.random.default_rng(3).standard_normal((SIZE, DIMS)).astype(np.float32))
# Equal vectors, so that ties occur, and one without a direction.
X[40:60] = X[20:40]
X[7] = 0
ASKED = unit(X[::50] + 0.3 * np.random.default_rng(4).standard_normal((6, DIMS)).astype(np.float32))
NAMES = [f"d{i}" for i in range(SIZE)]
LISTS = fit_lists(X[8:], 6)
CODECS = {name: fit_codec(name, X) for name in ("sign", "recurrent:2", "rabitq:2", "int8", "pq:8")}
INDEXES = {name: Index().add(NAMES, X, codec) for name, codec in CODECS.items()}
LISTED = {name: Index(lists=LISTS).add(NAMES, X, codec) for name, codec in CODECS.items()}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(CODECS)),
    st.sampled_from(WAYS),
    st.sampled_from(["auto", "numpy"]),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.003, 0.02, 0.3, 1.0]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_a_filter_equals_a_brute_force_filter(name, way, backend, k, share, run, seed):
    random = np.random.default_rng(seed)
    mask = random.random(SIZE) < share
    if run:
        # Documents that match in a row, so that whole blocks do not.
        mask = np.arange(SIZE) < share * SIZE
    asymmetric = CODECS[name].planes == 0
    whole = INDEXES[name].search(ASKED, SIZE, asymmetric=asymmetric, backend=backend)
    expected = [[i for i in row if i >= 0 and mask[i]][:k] for row in whole.positions.tolist()]
    found = INDEXES[name].search(ASKED, k, mask=mask, filtering=way, asymmetric=asymmetric, backend=backend)
    assert [[i for i in row if i >= 0] for row in found.positions.tolist()] == expected
    assert found.matching == mask.sum() and found.compared <= 8 * SIZE * len(ASKED)
    listed = LISTED[name].search(ASKED, k, mask=mask, filtering=way, probes=6, asymmetric=asymmetric, backend=backend)
    assert [[i for i in row if i >= 0] for row in listed.positions.tolist()] == expected
    # Fewer lists may miss the best, but never find fewer than there are, nor one that is left out.
    few = LISTED[name].search(ASKED, k, mask=mask, filtering=way, probes=1, asymmetric=asymmetric, backend=backend)
    assert [len(row) for row in few.ids] == [len(row) for row in expected]
    assert mask[few.positions[few.positions >= 0]].all()


@pytest.mark.parametrize("planes", [1, 2])
def test_scans_skip_blocks_without_a_match(planes):
    random = np.random.default_rng(0)
    codes = pack_codes(random.random((planes, 5000, 70)) < 0.5)
    asked = codes.take(np.arange(3))
    mask = np.zeros(5000, bool)
    mask[[3, 4100, 4101]] = True
    for how in ({"backend": "numpy"}, {"backend": "auto"}, {"method": "product"}):
        hits = search(codes, asked, 10, mask=mask, **how)
        assert sorted(hits.ids[0].tolist()) == [3, 4100, 4101]
        assert search(codes, asked, 10, mask=np.zeros(5000, bool), **how).ids.shape == (3, 0)
    with pytest.raises(InputError, match="mask is bool of shape"):
        search(codes, asked, 1, mask=mask[:9])


def test_work_of_a_filter_is_counted():
    mask = np.arange(SIZE) < 6
    counts = {way: INDEXES["sign"].search(ASKED, 5, mask=mask, filtering=way).compared for way in WAYS[1:]}
    # One block of 512 holds all documents, and 250 of them are enough to find 5 of 6 only for some queries.
    assert counts["before"] < counts["inside"] == SIZE * len(ASKED) <= counts["after"]


def test_fields_survive_storage_deletion_and_other_segments(tmp_path):
    codec = CODECS["int8"]
    index = (
        Index()
        .add(NAMES[:4], X[:4], codec, tags=[row["tag"] for row in ROWS], fields={"year": [r["year"] for r in ROWS]})
        .add(["e"], X[4:5], codec, tags=[("a",)], fields={"size": [3]})
    )
    for each in (index, load_index(save_index(index, tmp_path / "index"))):
        assert np.flatnonzero(each.matching("tag = a or year >= 2021")).tolist() == [0, 2, 4]
        assert np.flatnonzero(each.delete(["d0"]).matching("tag = a or year >= 2021 or size = 3")).tolist() == [1, 3]
        assert each.search(X[:1], 9, filter="tag = b", tag="a").ids == (("d0",),)
    with pytest.raises(InputError, match="field 'year' has 1 values: expected 2"):
        Index().add(NAMES[:2], X[:2], codec, fields={"year": [1]})
    with pytest.raises(InputError, match="in document 1: expected a number, a name"):
        Index().add(NAMES[:2], X[:2], codec, fields={"year": [1, {}]})
    with pytest.raises(InputError, match="filtering"):
        index.search(X[:1], 1, tag="a", filtering="first")


def test_the_command_line_filters(tmp_path, command):
    lines = [{"id": f"d{i}", "text": "t", **row, "url": {"x": 1}, "mixed": [1, "z"]} for i, row in enumerate(ROWS)]
    (tmp_path / "docs.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    np.save(tmp_path / "docs.npy", X[:4])
    np.save(tmp_path / "asked.npy", X[3:4])
    texts = read_texts(Path(tmp_path / "docs.jsonl"), "documents", tagged=True)
    assert "url" not in texts.fields and texts.fields["year"] == (1999, 2020, 2021.5, None)
    base = ["--embeddings", str(tmp_path / "docs.npy"), "--codec", "int8", "--out", str(tmp_path / "ix"), "--json"]
    assert command("retrieve", "build", "--corpus", str(tmp_path / "docs.jsonl"), *base)[0] == 0
    query = ["--index", str(tmp_path / "ix"), "--embeddings", str(tmp_path / "asked.npy"), "--json"]
    asked = ["retrieve", "query", *query]
    for expression, ids in (
        ("mixed = z and tag in (b, c)", {"d0", "d1", "d3"}),
        ("year > 3000", set()),
        ("class != y", {"d0", "d2", "d3"}),
    ):
        status, out, _ = command(*asked, "--filter", expression)
        answer = json.loads(out)["rows"][0]
        assert status == 0
        assert {hit["id"] for hit in answer["found"]} == ids and answer["searched"] == len(ids)
    for expression, message in (("", "the filter is empty"), ("author = me", "field of the documents 'author'")):
        status, _, err = command(*asked, "--filter", expression)
        assert status == 2 and message in err
