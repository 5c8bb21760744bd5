"""RaBitQ, product, range and table codes: estimates within their bound, bits stored, and data of every shape."""

import itertools

import numpy as np
import pytest

from explorer.retrieval.index import Index
from explorer.retrieval.storage import load_index, save_index
from hwbase import InputError
from hwsim.kernels import codes_from_bytes, search_scaled
from models.binarize import codec_from_state, codec_state, fit_codec, round_query, unit
from models.binarize.ranges import normal_levels

FACTOR_BITS = 64
BITS = {
    "rabitq:1": 24 + FACTOR_BITS,
    "rabitq:8": 8 * 24 + FACTOR_BITS,
    "pca:16+rabitq:2": 2 * 16 + FACTOR_BITS,
    "turboquant:3": 3 * 24,
    "lvq:4": 4 * 24 + 64,
    "osq:1": 24 + 64,
    "pq:12": 4 * 12,
    "opq:3": 4 * 3,
    "projection:40+int8": 8 * 40,
    "float8-e5m2": 8 * 24,
}


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(3)
    return unit((rng.standard_normal((600, 24)) * np.linspace(2, 0.2, 24) + 0.3).astype(np.float32))


@pytest.fixture(scope="module")
def codecs(vectors):
    return {name: fit_codec(name, vectors) for name in BITS}


@pytest.mark.parametrize("name", BITS)
def test_stored_bits_count_everything_that_a_vector_needs(codecs, vectors, name):
    codec = codecs[name]
    rows = codec.encode(vectors)
    assert codec.bits_per_vector == BITS[name]
    assert 0 <= rows.shape[1] * 8 - BITS[name] < 8 * max(codec.planes, 1)
    assert codec.decode(rows).shape == codec.query(vectors).shape == (600, codec.dims)


@pytest.mark.parametrize("name", BITS)
def test_a_saved_codec_encodes_and_scores_as_before(codecs, vectors, name):
    codec = codecs[name]
    again = codec_from_state(*codec_state(codec))
    rows = codec.encode(vectors)
    assert (again.encode(vectors) == rows).all()
    queries = codec.query(vectors[:5])
    assert (again.scores(queries, rows) == codec.scores(queries, rows)).all()


@pytest.mark.parametrize("name", BITS)
def test_other_kinds_of_arrays_give_the_same_rows(codecs, vectors, name):
    rows = codecs[name].encode(vectors)
    assert (codecs[name].encode(vectors.astype(float)) == rows).all()
    wide = np.zeros((600, 48), np.float32)
    wide[:, ::2] = vectors
    assert (codecs[name].encode(wide[:, ::2]) == rows).all()
    assert (fit_codec(name, wide[:, ::2]).encode(vectors) == rows).all()
    # A power of two, so that scaling to length 1 rounds alike.
    assert (codecs[name].encode(vectors * 4) == rows).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_estimates_are_unbiased_and_within_their_bound(bits):
    rng = np.random.default_rng(bits)
    documents = unit((rng.standard_normal((1000, 96)) + 0.5).astype(np.float32))
    queries = unit(documents[:1000] + 0.1 * rng.standard_normal((1000, 96)).astype(np.float32))
    codec = fit_codec(f"rabitq:{bits}", documents)
    rows = codec.encode(documents)
    errors = codec.scores(codec.query(queries), rows) - queries @ documents.T
    factors = codec.store.factors(rows[:, -codec.store.extra_bytes :])
    apart = np.linalg.norm(codec.query(queries) - codec.store.mean, axis=1)
    # 1.9 standard deviations or more hold 94 % of normal errors; the paper's epsilon_0 says at least as many.
    assert (np.abs(errors) <= apart[:, None] * factors.bound).mean() > 0.94
    assert abs(errors.mean()) < 0.02 * errors.std()
    # The slope of the estimates on the truth is 1: reconstructions without the factor shrink towards the mean.
    true = queries @ documents.T
    slope = np.polyfit(true.ravel(), (true + errors).ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.01)


def test_more_bits_halve_the_error():
    rng = np.random.default_rng(0)
    documents = unit(rng.standard_normal((500, 128)).astype(np.float32))
    errors = []
    for bits in range(1, 9):
        codec = fit_codec(f"rabitq:{bits}", documents)
        scores = codec.scores(codec.query(documents[:50]), codec.encode(documents))
        errors.append((scores - documents[:50] @ documents.T).std())
    # Offsets of 16 bits bound what the last bits gain.
    assert all(after < 0.65 * before for before, after in itertools.pairwise(errors[:7]))


@pytest.mark.parametrize("bits,planes", [(1, 4), (1, 8), (3, 8), (8, 4), (2, 3)])
def test_scaled_search_is_the_brute_force_in_every_backend(bits, planes):
    rng = np.random.default_rng(bits + planes)
    documents = unit(rng.standard_normal((900, 70)).astype(np.float32))
    codec = fit_codec(f"rabitq:{bits}", documents)
    rows = codec.encode(documents)
    factors = codec.store.factors(rows[:, -codec.store.extra_bytes :])
    codes = codes_from_bytes(rows[:, : -codec.store.extra_bytes].reshape(900, bits, -1), 70)
    for size in (2, 9):
        asked, scales = round_query(codec.query(documents[:size]) - codec.store.mean, planes)
        queries = codes_from_bytes(asked.reshape(size, planes, -1), 70)
        answers = [
            search_scaled(codes, factors.factor, factors.offset, queries, scales, 20, backend=backend)
            for backend in ("numpy", "numba")
        ]
        assert (answers[0].ids == answers[1].ids).all()
        assert answers[0].scores == pytest.approx(answers[1].scores, abs=1e-12)
        exact = codec.scores(codec.query(documents[:size]), rows)
        gap = np.take_along_axis(exact, answers[0].ids, axis=1) - (answers[0].scores + (exact - exact).min())
        gap -= gap.mean(axis=1, keepdims=True)
        assert np.abs(gap).max() < {3: 0.12, 4: 0.06, 8: 0.004}[planes]


def test_an_index_of_rabitq_codes_is_saved_and_found_again(vectors, tmp_path):
    ids = [f"d{n}" for n in range(600)]
    index = Index().add(ids, vectors, fit_codec("rabitq:4", vectors), rescore=fit_codec("int8", vectors))
    assert index.bytes == 600 * (8 * 4 + 8 + 24)
    found = index.search(vectors[:50], 10)
    assert (found.positions[:, 0] == np.arange(50)).all()
    again = load_index(save_index(index, tmp_path / "index"))
    assert (again.search(vectors[:50], 10).positions == found.positions).all()
    whole = np.sort(-(vectors[:50] @ vectors.T), axis=1)[:, :10]
    rescored = index.delete(["d599"]).search(vectors[:50], 10, rescore=40)
    assert rescored.scores == pytest.approx(-whole, abs=0.02)
    asked = index.search(vectors[:50], 10, asymmetric=True)
    assert asked.scores == pytest.approx(found.scores, abs=0.02)


def test_levels_of_a_normal_variable_are_those_of_max():
    # Max, IRE Trans. Information Theory 6, 1960, table I.
    assert normal_levels(1)[1] == pytest.approx(0.7980, abs=1e-3)
    assert normal_levels(2)[2:] == pytest.approx([0.4528, 1.510], abs=1e-3)
    assert normal_levels(3)[4:] == pytest.approx([0.2451, 0.7560, 1.344, 2.152], abs=1e-3)


DATA = {
    "skewed": lambda rng: rng.lognormal(0, 2, (300, 24)),
    "sparse": lambda rng: rng.random((300, 24)) * (rng.random((300, 24)) < 0.15) + np.eye(24)[rng.integers(0, 24, 300)],
    "constant": lambda rng: np.ones((300, 24)),
    "padded": lambda rng: np.pad(rng.standard_normal((300, 12)), ((0, 0), (0, 12))),
    "single": lambda rng: rng.standard_normal((1, 24)),
    "zero among others": lambda rng: np.concatenate([np.zeros((1, 24)), rng.standard_normal((99, 24))]),
}
#: Least cosine of what is stored with the vector, on average over vectors.
CLOSE = {
    "float8-e5m2": 0.99,
    "float32": 0.999,
    "float8": 0.99,
    "int8": 0.99,
    "int4": 0.9,
    "sign": 0.3,
    "recurrent:2": 0.4,
    "rabitq:1": 0.7,
    "rabitq:4": 0.98,
    "rabitq:8": 0.999,
    "turboquant:4": 0.98,
    "lvq:8": 0.99,
    "osq:4": 0.9,
    "pq:12": 0.9,
    "opq:12": 0.9,
}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", CLOSE)
def test_every_store_fits_data_of_every_shape(name, data):
    x = DATA[data](np.random.default_rng(7)).astype(np.float32)
    codec = fit_codec(name, x)
    rows = codec.encode(x)
    decoded = unit(codec.decode(rows))
    assert np.isfinite(decoded).all() and np.isfinite(codec.scores(codec.query(x), rows)).all()
    real = x.any(axis=1)
    cosines = (decoded * codec.query(x))[real].sum(axis=1)
    assert cosines.mean() > CLOSE[name]
    found = Index().add([str(n) for n in range(len(x))], x, codec).search(x[-1:], 1)
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize(
    "name,message",
    [
        ("pq:7", "parts = 7: expected a divisor of the 24 dimensions, such as 6"),
        ("opq:5", "parts = 5: expected a divisor of the 24 dimensions"),
        ("pq:48", "parts = 48"),
        ("pq", "expected pq:PARTS"),
        ("rabitq", "expected rabitq:BITS"),
        ("rabitq:9", "bits = 9"),
        ("rabitq:0", "bits = 0"),
        ("lvq:2x3", "expected lvq:BITS"),
        ("turboquant:12", "bits = 12"),
        ("rabitQ1", "rabitq"),
    ],
)
def test_bad_sizes_are_named(vectors, name, message):
    with pytest.raises(InputError, match=message):
        fit_codec(name, vectors)


def test_counts_that_differ_are_refused(vectors):
    codec = fit_codec("rabitq:1", vectors)
    rows = codec.encode(vectors)
    codes = codes_from_bytes(rows[:, : -codec.store.extra_bytes].reshape(600, 1, -1), 24)
    ones = np.ones(600)
    with pytest.raises(InputError, match="expected 600"):
        search_scaled(codes, ones[:5], ones, np.ones((1, 24), np.float32), np.ones(1), 3)
    with pytest.raises(InputError, match="queries have 23 bits"):
        search_scaled(codes, ones, ones, np.ones((1, 23), np.float32), np.ones(1), 3)
