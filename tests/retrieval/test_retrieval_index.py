"""Indexes: add, delete, update, filters, lists, rescoring, versions; and on disk: whole, or refused, or as before."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from explorer.retrieval.index import Index
from explorer.retrieval.lists import fit_lists
from explorer.retrieval.storage import MANIFEST, load_index, save_index
from hwbase import InputError
from models.binarize import RecurrentBinarizer, Training, fit_codec, unit

SIZE, DIMS = 400, 32


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(8)
    return unit((rng.standard_normal((SIZE, DIMS)) + 0.2).astype(np.float32))


@pytest.fixture(scope="module")
def queries(vectors):
    rng = np.random.default_rng(9)
    return unit(vectors[:20] + 0.05 * rng.standard_normal((20, DIMS)).astype(np.float32))


@pytest.fixture(scope="module")
def ids():
    return tuple(f"d{i}" for i in range(SIZE))


@pytest.fixture(scope="module")
def index(vectors, ids):
    tags = [("even",) if i % 2 == 0 else ("odd", "third") if i % 3 == 0 else ("odd",) for i in range(SIZE)]
    sign, fine = fit_codec("sign", vectors), fit_codec("int8", vectors)
    return Index().add(ids, vectors, sign, rescore=fine, tags=tags)


def by_hand(codec, vectors, queries, k, allowed=None):
    kept, asked = unit(codec.decode(codec.encode(vectors))), unit(codec.decode(codec.encode(queries)))
    scores = (asked @ kept.T).round(5)
    if allowed is not None:
        scores[:, ~allowed] = -9
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.slow
def test_search_is_that_of_the_codes(index, vectors, queries):
    found = index.search(queries, 10)
    assert found.positions.tolist() == by_hand(index.segments[0].codec, vectors, queries, 10).tolist()
    assert found.ids[3][0] == f"d{found.positions[3, 0]}" and (np.diff(found.scores, axis=1) <= 0).all()


@pytest.mark.parametrize("name", ["float32", "int8", "pca:8+float8"])
def test_stores_without_bits_are_searched_too(vectors, queries, ids, name):
    codec = fit_codec(name, vectors)
    found = Index().add(ids, vectors, codec).search(queries, 5)
    expected = codec.query(queries) @ unit(codec.decode(codec.encode(vectors))).T
    np.testing.assert_allclose(found.scores, -np.sort(-expected, axis=1)[:, :5], rtol=1e-5)


def test_rescoring_sorts_by_the_finer_form(index, vectors, queries):
    exact = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :10]

    def overlap(found):
        return np.mean([len(set(a) & set(b)) for a, b in zip(found.positions.tolist(), exact.tolist(), strict=True)])

    plain, rescored = index.search(queries, 10), index.search(queries, 10, rescore=100)
    assert overlap(rescored) > overlap(plain) + 1
    whole = index.search(queries, 10, rescore=SIZE)
    np.testing.assert_allclose(whole.scores, np.take_along_axis(queries @ vectors.T, exact, axis=1), atol=0.01)


def test_filters_leave_only_what_they_name(index, vectors, queries):
    mask = np.arange(SIZE) % 5 == 0
    codec = index.segments[0].codec
    assert index.search(queries, 7, mask=mask).positions.tolist() == by_hand(codec, vectors, queries, 7, mask).tolist()
    odd = index.search(queries, 7, tag="odd").positions
    assert (odd % 2 == 1).all() and odd.tolist() == by_hand(
        codec, vectors, queries, 7, np.arange(SIZE) % 2 == 1
    ).tolist()
    both = index.search(queries, 90, tag="third", mask=mask)
    assert set(both.positions[0].tolist()) == {i for i in range(SIZE) if i % 2 and i % 3 == 0 and i % 5 == 0}
    nothing = index.search(queries, 7, mask=np.zeros(SIZE, bool))
    assert nothing.positions.shape == (20, 0) and nothing.ids == ((),) * 20


def test_delete_and_update_change_only_what_they_name(index, vectors, queries, ids):
    codec, fine = index.segments[0].codec, index.segments[0].fine_codec
    less = index.delete(["d3", "d0"])
    assert less.size == SIZE - 2 and "d3" not in less.ids and index.size == SIZE
    assert all("d0" not in found and "d3" not in found for found in less.search(queries, 50).ids)
    moved = index.update(["d5"], vectors[7:8], codec, rescore=fine)
    assert moved.size == SIZE and moved.ids[-1] == "d5"
    answer = moved.search(vectors[7:8], 2)
    # Equal codes: the one that was added first comes first.
    assert answer.ids == (("d7", "d5"),) and answer.scores[0, 0] == answer.scores[0, 1]
    assert index.delete(list(ids)).segments == ()


@pytest.mark.slow
def test_versions_live_together(vectors, queries, ids):
    settings = Training(epochs=2, batch=90, learning_rate=3e-3)
    shape = RecurrentBinarizer(hidden=32, training=settings)
    old = fit_codec("bebr:1x32", vectors, trained=shape)
    new = fit_codec("bebr:2x32", vectors, trained=shape, compatible_with=old.store)
    both = Index().add(ids[:200], vectors[:200], old, version="old").add(ids[200:], vectors[200:], new, version="new")
    assert both.versions == {"old": 200, "new": 200}
    for ask in (None, "new", "old"):
        found = both.search(queries, 10, ask_with=ask)
        assert found.positions.shape == (20, 10) and (found.positions < 200).any()
    # New queries against old codes: the cosine of what both stand for.
    asked, kept = unit(new.decode(new.encode(queries))), unit(old.decode(old.encode(vectors[:200])))
    crossed = both.search(queries, SIZE, ask_with="new")
    for row, column in ((0, 3), (5, 77)):
        place = crossed.positions[row].tolist().index(column)
        assert crossed.scores[row, place] == pytest.approx(float(asked[row] @ kept[column]), abs=1e-5)
    with pytest.raises(InputError, match="version 'old' is bebr:1x32"):
        both.add(["x"], vectors[:1], new, version="old")
    with pytest.raises(InputError, match="did you mean 'new'"):
        both.search(queries, 1, ask_with="now")


def test_lists_narrow_the_search_and_all_of_them_are_the_whole(index, vectors, queries, ids):
    codec = index.segments[0].codec
    listed = Index(lists=fit_lists(vectors, 12)).add(ids, vectors, codec)
    assert len(set(listed.segments[0].places.tolist())) > 6
    whole = index.search(queries, 10)
    every = listed.search(queries, 10, probes=12)
    assert every.positions.tolist() == whole.positions.tolist()
    shares = [
        np.mean([len(set(a) & set(b)) for a, b in zip(found.positions.tolist(), whole.positions.tolist(), strict=True)])
        for found in (listed.search(queries, 10, probes=n) for n in (1, 4, 12))
    ]
    assert shares[0] < shares[1] < shares[2] == 10
    few = listed.search(queries, SIZE, probes=1, mask=np.arange(SIZE) < 40)
    assert (few.positions < 40).all() and all(len(found) == 40 for found in few.ids)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i, x, c: i.add(["d1"], x[:1], c), "id 'd1' is in the index already"),
        (lambda i, x, c: i.add(["x", "x"], x[:2], c), "id 'x' is given twice"),
        (lambda i, x, c: i.add(["x"], x[:2], c), "1 ids, 2 embeddings: expected as many of each"),
        (lambda i, x, c: i.add(["x"], x[:1], c, tags=[(), ()]), "and 2 tags"),
        (lambda i, x, c: i.add([""], x[:1], c), "expected a name"),
        (lambda i, x, c: i.add(["x"], x[:1, :9], c), "have 9 dimensions: expected 32"),
        (lambda i, x, c: i.add(["x"], x[:1] * np.nan, c), "NaN or infinity in row 0"),
        (lambda i, x, c: i.delete(["zz"]), "id 'zz' is not in the index"),
        (lambda i, x, c: i.update(["zz"], x[:1], c), "id 'zz' is not in the index"),
        (lambda i, x, c: i.search(x, 0), "k = 0"),
        (lambda i, x, c: i.search(x[:, :9], 1), "queries have 9 dimensions: expected 32"),
        (lambda i, x, c: i.search(x * np.inf, 1), "NaN or infinity"),
        (lambda i, x, c: i.search(x, 1, mask=np.ones(3, bool)), "mask is bool of shape (3,)"),
        (lambda i, x, c: i.search(x, 1, mask=np.ones(SIZE)), "mask is float64"),
        (lambda i, x, c: i.search(x, 1, tag="ood"), "did you mean 'odd'"),
        (lambda i, x, c: i.search(x, 1, probes=2), "the index has no lists"),
        (lambda i, x, c: i.search(x, 10, rescore=5), "rescore = 5"),
        (lambda i, x, c: i.add(["x"], x[:1], c).search(x, 1, rescore=5), "without a form to rescore with"),
        (lambda i, x, c: Index().search(x, 1), "the index is empty"),
        (lambda i, x, c: fit_lists(x, SIZE + 1), "expected at most the 400"),
        (lambda i, x, c: fit_lists(x, 0), "lists = 0"),
    ],
)
def test_bad_input_is_named(index, vectors, call, message):
    with pytest.raises(InputError) as error:
        call(index, vectors, index.segments[0].codec)
    assert message in str(error.value)


@pytest.mark.slow
def test_an_index_comes_back_as_it_was(index, vectors, queries, ids, tmp_path):
    codec = fit_codec(
        "bebr:2x24", vectors, trained=RecurrentBinarizer(hidden=16, training=Training(epochs=1, batch=90))
    )
    listed = (
        Index(lists=fit_lists(vectors, 5)).add(ids[:300], vectors[:300], codec).add(ids[300:], vectors[300:], codec)
    )
    for made in (index, listed):
        again = load_index(save_index(made, tmp_path / "made"))
        assert again.ids == made.ids and again.versions == made.versions and again.bytes == made.bytes
        before, after = made.search(queries, 9), again.search(queries, 9)
        assert (before.positions == after.positions).all() and (before.scores == after.scores).all()
        assert [[field.values(i) for i in range(field.size)] for field in again.fields.values()] == [
            [field.values(i) for i in range(field.size)] for field in made.fields.values()
        ]
        # Mapped, not read: the arrays rest on the file and cannot be written to.
        assert not again.segments[0].data.flags.writeable
    # Whoever may read the manifest may read the arrays.
    assert len({file.stat().st_mode for file in (tmp_path / "made").iterdir()}) == 1
    names = {file.name for file in (tmp_path / "made").iterdir()}
    assert names == {MANIFEST, *json.loads((tmp_path / "made" / MANIFEST).read_text())["files"]}
    grown = load_index(tmp_path / "made").add(["new"], vectors[:1], codec)
    assert load_index(save_index(grown, tmp_path / "made")).ids[-1] == "new"


@pytest.fixture
def saved(index, tmp_path):
    return save_index(index, tmp_path / "index")


def test_truncated_and_changed_files_are_refused(saved):
    for file in sorted(saved.glob("*.npy")):
        data = file.read_bytes()
        for broken, message in (
            (data[:-3], "truncated"),
            (b"", "truncated"),
            (data[:-1] + b"\x7f", "was changed"),
        ):
            if broken == data:
                continue
            file.write_bytes(broken)
            with pytest.raises(InputError, match=message):
                load_index(saved)
        file.unlink()
        with pytest.raises(InputError, match="cannot be read"):
            load_index(saved)
        file.write_bytes(data)
    load_index(saved)


def test_a_changed_manifest_is_refused(saved):
    path = saved / MANIFEST
    text = path.read_text()
    for broken, message in (
        (text[: len(text) // 2], "no whole manifest.json"),
        ("[]", "not an index manifest"),
        (text.replace('"d17"', '"d99999"'), "SHA-256 differs"),
        (text.replace('"version": 1,', '"version": 2,', 1), "not an index manifest of version 1"),
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match=message):
            load_index(saved)
    path.unlink()
    with pytest.raises(InputError, match="expected the folder of an index"):
        load_index(saved)


def test_an_index_does_not_replace_other_files(index, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    for place, message in (
        ("mine", "holds files that do not belong to an index"),
        ("file", "expected a folder"),
        ("no/where", "No such"),
    ):
        with pytest.raises(InputError, match=message):
            save_index(index, tmp_path / place)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    # What a first writer that was killed left behind is no obstacle.
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / f"{'0' * 32}.npy").write_bytes(b"")
    (tmp_path / "begun" / ".abc.part").write_bytes(b"")
    assert load_index(save_index(index, tmp_path / "begun")).ids == index.ids
    assert len(list((tmp_path / "begun").glob("*part"))) == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills a process by signal")
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_killed_writer_leaves_the_old_index(saved, index, queries, after):
    # The writer kills itself after that many arrays, or (0) just before the manifest would be replaced.
    script = f"""
        import os, signal, sys
        import numpy as np
        from explorer.retrieval import storage
        index = storage.load_index(sys.argv[1])
        codec = index.segments[0].codec
        rows = np.random.default_rng(0).standard_normal((50, {DIMS}))
        grown = index.add([f"n{{i}}" for i in range(50)], rows, codec, rescore=index.segments[0].fine_codec)
        put, done = storage._put, []
        def counted(*arguments):
            done.append(put(*arguments))
            if len(done) == {after}:
                os.kill(os.getpid(), signal.SIGKILL)
            return done[-1]
        storage._put = counted
        if {after} == 0:
            storage.write_text = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        storage.save_index(grown, sys.argv[1])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(saved)], capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    again = load_index(saved)
    assert again.ids == index.ids
    assert (again.search(queries, 5).positions == index.search(queries, 5).positions).all()
    # The next writer cleans up what the killed one left.
    save_index(again, saved)
    assert {p.name for p in saved.iterdir()} == {MANIFEST, *json.loads((saved / MANIFEST).read_text())["files"]}


@pytest.mark.parametrize("name", ["sign", "recurrent:2", "rotation:64", "int8", "float32", "centre+sign"])
def test_a_document_of_zeros_is_never_found_and_a_query_of_zeros_finds_nothing(name, tmp_path):
    x = np.random.default_rng(0).standard_normal((20, 64)).astype(np.float32)
    x[5] = 0
    names = [f"d{i}" for i in range(20)]
    codec = fit_codec(name, x)
    searched = Index().add(names, x, codec)
    asked = np.stack([np.ones(64, np.float32), x[3], np.zeros(64, np.float32)])
    for index in (searched, load_index(save_index(searched, tmp_path / "index")), searched.delete(["d0"])):
        result = index.search(asked[:2], 20, asymmetric=codec.planes == 0)
        assert not any("d5" in found for found in result.ids) and len(result.ids[0]) == index.size - 1
        nothing = index.search(asked[2:], 20, asymmetric=codec.planes == 0)
        assert nothing.ids == ((),) and (nothing.scores == -np.inf).all()


@pytest.mark.parametrize("factor", [1e20, 1e-24, 1e-37])
def test_lengths_beyond_the_range_of_float32_do_not_matter(factor):
    x = np.random.default_rng(0).standard_normal((20, 32)).astype(np.float32)
    far = x * np.float32(factor)
    result = (
        Index().add([f"d{i}" for i in range(20)], far, fit_codec("float32", far)).search(far[:3], 1, asymmetric=True)
    )
    assert result.ids == (("d0",), ("d1",), ("d2",)) and np.allclose(result.scores, 1.0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((3, 8), 1e300), "expected finite numbers of float32"),
        (np.full((3, 8), 1e-300), "are 0 in float32 in row 0"),
        (np.ones((3, 8), np.uint8), "packed bits or codes"),
        (np.ones((3, 8), np.int8), "packed bits or codes"),
        (np.ma.masked_less(np.arange(24.0).reshape(3, 8), 2), "masked"),
    ],
)
def test_embeddings_that_are_no_vectors_are_refused(x, message):
    with pytest.raises(InputError, match=message):
        fit_codec("float32", x)


@pytest.mark.parametrize("codec", ["float8", "float16", "int8"])
def test_a_later_document_beyond_the_first_ones_saturates(codec):
    """What is stored of it is a number, so that it can be found."""
    random = np.random.default_rng(0)
    first = random.standard_normal((50, 384)).astype(np.float32)
    fitted = fit_codec(codec, first)
    later = np.zeros((1, 384), np.float32)
    later[0, 0] = 1.0
    index = Index().add([f"d{i}" for i in range(50)], first, fitted).add(["later"], later, fitted)
    assert np.isfinite(fitted.decode(fitted.encode(later))).all()
    result = index.search(later, 1, asymmetric=True)
    if codec != "int8":
        assert result.ids == (("later",),) and result.scores[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_a_tag_is_not_answered_by_what_a_probe_holds():
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 16)).astype(np.float32)
    lists = fit_lists(x, 4)
    far = lists.nearest(x, 4)[:, 3]
    query = x[:1]
    away = np.flatnonzero(lists.nearest(x, 1)[:, 0] == far[0])[:10]
    tags = [("rare",) if i in away else () for i in range(400)]
    index = Index(lists=lists).add([f"d{i}" for i in range(400)], x, fit_codec("int8", x), tags=tags)
    result = index.search(query, 5, tag="rare", probes=1, asymmetric=True)
    whole = index.search(query, 5, tag="rare", probes=4, asymmetric=True)
    assert len(result.ids[0]) == 5 and result.ids == whole.ids
