"""Packed codes and their exact search against a naive reference, in every backend and formulation."""

from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwbase import InputError
from hwsim import kernels
from hwsim.kernels import code_values, codes_from_bytes, codes_to_bytes, join_codes, pack_codes, search, unpack_codes
from hwsim.kernels.scan import digits_that_fit, squared_norms

WAYS = [("numpy", "popcount"), ("numpy", "product"), ("numpy", "packed"), ("auto", "auto")]
if find_spec("numba") is not None:
    WAYS.append(("numba", "auto"))


def naive(codes, queries, k):
    """(ids, exact keys): Hamming distances, or minus the signed squared cosines as fractions, compared exactly."""
    documents = code_values(codes).astype(int)
    rows = code_values(queries).astype(int) if isinstance(queries, kernels.Codes) else queries.astype(int)
    hamming = isinstance(queries, kernels.Codes) and len(queries.planes) == len(codes.planes) == 1
    found = []
    for row in rows:
        products = documents @ row
        if hamming:
            keys = [int(n) for n in (codes.bits - products) // 2]
        else:
            squares = (documents**2).sum(axis=1)
            keys = [-Fraction(int(p) * abs(int(p)), int(d)) for p, d in zip(products, squares, strict=True)]
        best = sorted(range(len(keys)), key=lambda i: (keys[i], i))[:k]
        found.append(([int(i) for i in best], [keys[i] for i in best]))
    return found


@st.composite
def collections(draw):
    """(codes, queries, k): random, few distinct, all equal or opposite codes; sizes that are no multiple of 64."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits = draw(st.one_of(st.integers(1, 9), st.sampled_from([63, 64, 65, 127, 130, 200, 256])))
    size, count = draw(st.sampled_from([0, 1, 2, 40, 333])), draw(st.integers(0, 5))
    planes, query_planes = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    kind = draw(st.sampled_from(["random", "few", "equal", "opposite"]))
    signs = rng.random((planes, size, bits)) < 0.5
    if kind == "few" and size:
        signs = signs[:, rng.integers(0, min(size, 3), size)]
    if kind in ("equal", "opposite"):
        signs[:] = True
    if query_planes:
        asked = rng.random((query_planes, count, bits)) < 0.5
        if kind in ("equal", "opposite"):
            asked[:] = kind == "equal"
        queries = pack_codes(asked)
    else:
        queries = rng.integers(-128, 128, (count, bits)).astype(np.int8)
        if kind == "opposite":
            queries[:] = -128
    return pack_codes(signs), queries, draw(st.sampled_from([1, 2, 10, 500]))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(collections())
@pytest.mark.slow
def test_every_way_finds_exactly_the_nearest(case):
    codes, queries, k = case
    expected = naive(codes, queries, k)
    for backend, method in WAYS:
        coded = isinstance(queries, kernels.Codes)
        hamming = coded and len(queries.planes) == len(codes.planes) == 1
        if method == "packed" and not hamming:
            continue
        found = search(codes, queries, k, backend=backend, method=method)
        assert found.ids.tolist() == [ids for ids, _ in expected], (backend, method)
        if hamming:
            assert found.measure == "hamming" and found.scores.tolist() == [keys for _, keys in expected]
            continue
        rows = code_values(queries).astype(float) if coded else queries
        for row, scores, (_, keys) in zip(rows, found.scores, expected, strict=True):
            exact = np.array([-np.sign(float(key)) * abs(float(key)) ** 0.5 for key in keys])
            norm = np.linalg.norm(row) if coded else 1.0
            np.testing.assert_allclose(scores, exact / norm, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "planes"), [(256, 1), (250, 1), (96, 2)])
@pytest.mark.parametrize("count", [1, 17, 70])
def test_ways_agree_over_many_blocks(rng, bits, planes, count):
    size = 70_000
    # Near duplicates, so that ties cross the borders of blocks.
    signs = (rng.random((planes, 500, bits)) < 0.5)[:, rng.integers(0, 500, size)]
    codes, queries = pack_codes(signs), pack_codes(rng.random((planes, count, bits)) < 0.5)
    answers = [
        search(codes, queries, 100, backend=backend, method=method)
        for backend, method in WAYS
        if planes == 1 or method != "packed"
    ]
    for other in answers[1:]:
        assert (other.ids == answers[0].ids).all() and (other.scores == answers[0].scores).all()
    distances = (code_values(codes)[None, :3000] != 0).sum()
    assert distances == 3000 * bits
    if planes == 1:
        row = np.flatnonzero(unpack_codes(queries)[0, 0][None] != unpack_codes(codes)[0])
        every = np.bincount(row // bits, minlength=size)
        assert answers[0].ids[0].tolist() == np.lexsort((np.arange(size), every))[:100].tolist()


@pytest.mark.slow
def test_worst_cases_stay_exact_in_packed_sums():
    # Queries of all ones or none make the largest partial sums; documents opposite to them the largest digit.
    for bits in (255, 256, 1024, 2048, 4100):
        signs = np.zeros((9, bits), bool)
        signs[1], signs[2, ::2], signs[3, : bits // 2] = True, True, True
        codes = pack_codes(signs)
        packed = search(codes, codes, 9, backend="numpy", method="packed")
        plain = search(codes, codes, 9, backend="numpy", method="popcount")
        assert (packed.ids == plain.ids).all() and (packed.scores == plain.scores).all()
        assert plain.scores.max() == bits


def test_digits_of_a_float32_follow_the_bound():
    assert digits_that_fit(256, np.array([3, 128, 253])) == 3
    assert digits_that_fit(256, np.array([2])) == digits_that_fit(1024, np.array([512])) == 2
    assert digits_that_fit(4095, np.array([4095])) == 2
    assert digits_that_fit(4096, np.array([4096])) == 1


@pytest.mark.slow
def test_popcount_identities_are_the_products_of_the_vectors(rng):
    # 4 <b_q, b_d> = 9m - 2 (4 H00 + 2 H01 + 2 H10 + H11) and 4 |b_d|^2 = 5m + 4 (m - 2 H(c0, c1)).
    bits = 512
    signs = rng.random((2, 2, bits)) < 0.5
    q, d = ((2.0 * s[0] - 1) + (2.0 * s[1] - 1) / 2 for s in (signs[:, 0], signs[:, 1]))
    h = [[int((signs[i, 0] ^ signs[j, 1]).sum()) for j in range(2)] for i in range(2)]
    assert 4 * (q @ d) == 9 * bits - 2 * (4 * h[0][0] + 2 * h[0][1] + 2 * h[1][0] + h[1][1])
    codes = pack_codes(signs)
    crossed = int((signs[0, 1] ^ signs[1, 1]).sum())
    assert squared_norms(codes)[1] == 4 * (d @ d) == 5 * bits + 4 * (bits - 2 * crossed)
    assert search(codes, codes, 2).scores[0].max() == pytest.approx(1.0, abs=1e-15)


def test_float_queries_rank_by_cosine(rng):
    codes = pack_codes(rng.random((2, 5000, 96)) < 0.5)
    queries = rng.standard_normal((4, 96)).astype(np.float32)
    values = code_values(codes).astype(float)
    cosines = queries @ (values / np.linalg.norm(values, axis=1, keepdims=True)).T
    found = search(codes, queries, 20)
    np.testing.assert_allclose(found.scores, -np.sort(-cosines, axis=1)[:, :20], rtol=2e-6)
    np.testing.assert_allclose(np.take_along_axis(cosines, found.ids, axis=1), found.scores, rtol=2e-6)


@given(st.integers(1, 200), st.integers(0, 7), st.integers(1, 4), st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_packing_round_trips(bits, size, planes, seed):
    signs = np.random.default_rng(seed).random((planes, size, bits)) < 0.5
    codes = pack_codes(signs)
    assert (unpack_codes(codes) == signs).all()
    again = codes_from_bytes(codes_to_bytes(codes), bits)
    assert (again.planes == codes.planes).all()
    joined = join_codes([codes, codes.take(slice(0, 1))])
    assert joined.size == size + min(size, 1) and codes.bits_per_vector == bits * planes


def test_the_sign_of_zero_is_plus():
    assert unpack_codes(pack_codes(np.array([[0.0, -0.0, -1e-30, 2.0]]))).tolist() == [[[True, True, False, True]]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: search(c, pack_codes(np.ones((1, 9))), 1), "queries have 9 bits: expected 8"),
        (lambda c: search(c, np.ones((1, 9), np.float32), 1), "queries have 9 bits"),
        (lambda c: search(c, np.full((1, 8), np.nan), 1), "NaN or infinity"),
        (lambda c: search(c, np.full((1, 8), np.inf), 1), "NaN or infinity"),
        (lambda c: search(c, np.ones((1, 8), np.int32), 1), "expected Codes, or int8 or floats"),
        (lambda c: search(c, np.ones(8), 1), "expected Codes, or int8 or floats"),
        (lambda c: search(c, c, 0), "k = 0"),
        (lambda c: search(c, c, float("nan")), "k = nan"),
        (lambda c: search(c, c, 1, backend="nump"), "did you mean 'numpy'"),
        (lambda c: search(c, c, 1, method="pack"), "did you mean 'packed'"),
        (lambda c: search(c, np.ones((1, 8)), 1, method="popcount"), "cannot serve these queries"),
        (lambda c: search(c, np.ones((1, 8)), 1, method="packed"), "cannot serve these queries"),
        (lambda c: search(c, c, 1, backend="numba", method="packed"), "is one of NumPy"),
        (lambda c: pack_codes(np.full((1, 8), np.nan)), "signs hold NaN"),
        (lambda c: pack_codes(np.ones(8)), "expected (vectors, bits)"),
        (lambda c: pack_codes(np.ones((2, 0))), "bits = 0"),
        (lambda c: codes_from_bytes(np.ones((1, 1, 2), np.uint8), 8), "expected uint8 of (vectors, planes, 1)"),
        (lambda c: codes_from_bytes(np.full((1, 1, 1), 255, np.uint8), 7), "bits set beyond bit 6"),
        (lambda c: kernels.Codes(np.zeros((9, 1, 1), np.uint64), 8), "1 to 8"),
        (lambda c: search(kernels.Codes(np.zeros((5, 1, 1), np.uint64), 8), c, 1), "expected at most 4 to compare"),
        (lambda c: join_codes([c, pack_codes(np.ones((1, 9)))]), "expected the same in all"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError) as error:
        call(pack_codes(np.ones((3, 8))))
    assert message in str(error.value)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float32])
def test_bits_that_are_held_as_numbers_are_refused(dtype):
    """Numbers are signs, so 0 and 1 would both be +1."""
    bits = np.array([[0, 1, 1, 0]])
    with pytest.raises(InputError, match="only 0 and 1"):
        pack_codes(bits.astype(dtype))
    assert unpack_codes(pack_codes(bits.astype(bool)))[0].astype(int).tolist() == bits.tolist()
    assert unpack_codes(pack_codes(2 * bits.astype(dtype) - 1))[0].astype(int).tolist() == bits.tolist()
    assert pack_codes(np.ones((1, 4), dtype)).size == 1
