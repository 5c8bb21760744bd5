"""Rounding to grids: error bounds, agreement with the stored integers of hwsim.kernels, ranges, streams, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwbase import InputError
from hwsim.kernels import dequantise, quantise
from models.quantise import (
    OBSERVERS,
    SHARINGS,
    check_bits,
    codes,
    grid,
    least_error,
    min_max,
    observer,
    round_to,
    rounded,
    rows,
    side_by_side,
)

MATRICES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
)
BITS = st.integers(2, 8)


def block_of(per):
    return 4 if per == "group" else None


@pytest.mark.slow
@given(MATRICES, BITS, st.sampled_from(SHARINGS), st.booleans())
def test_error_is_at_most_half_a_step(values, bits, per, symmetric):
    found = rounded(values, bits, per=per, block=block_of(per), symmetric=symmetric)
    assert found.shape == values.shape and found.dtype == np.float32
    laid, off = rows(values, per, block_of(per)), rows(found - values, per, block_of(per))
    low, high = np.minimum(laid.min(1), 0.0), np.maximum(laid.max(1), 0.0)
    step = np.maximum(-low, high) / (2 ** (bits - 1) - 1) if symmetric else (high - low) / (2**bits - 1)
    assert (np.abs(off) <= 0.5001 * step[:, None] + 1e-6 * np.abs(laid).max()).all()


def test_ties_go_to_the_even_integer():
    halves = np.float32([[7.0, 0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5]])
    even = [7, 0, 2, 2, 4, 0, -2, -2]
    assert codes(halves, 4).tolist() == [even] and rounded(halves, 4).tolist() == [even]
    wide = np.float32([[0.0, 15.0, 0.5, 1.5, 2.5]])
    assert rounded(wide, 4, symmetric=False).tolist() == [[0, 15, 0, 2, 2]]
    # A zero point halfway between two integers is even too.
    for low, zero in [(-0.5, 0.0), (-1.5, 2.0), (-2.5, 2.0)]:
        assert grid(np.float64(low), np.float64(15.0 + low), 4, symmetric=False).zero == zero


@pytest.mark.slow
@given(MATRICES, BITS, st.sampled_from(SHARINGS))
def test_rounding_twice_changes_nothing(values, bits, per):
    once = rounded(values, bits, per=per, block=block_of(per))
    np.testing.assert_allclose(rounded(once, bits, per=per, block=block_of(per)), once, rtol=1e-5, atol=1e-30)


@pytest.mark.slow
@given(MATRICES, BITS, st.booleans(), st.sampled_from(["tensor", "channel", "group"]))
def test_values_are_those_of_the_stored_integers(values, bits, symmetric, per):
    name = f"int{bits}" if symmetric else f"uint{bits}"
    axis = 1 if per == "group" else 0
    stored = dequantise(quantise(values, name, per=per, axis=axis, block=block_of(per)))
    found = rounded(values, bits, per=per, block=block_of(per), symmetric=symmetric)
    # Both divide by the same float32 scale, one in float64: a value halfway may fall either way.
    laid, apart = rows(values, per, block_of(per)), rows(np.abs(stored - found), per, block_of(per))
    low, high = np.minimum(laid.min(1), 0.0), np.maximum(laid.max(1), 0.0)
    step = np.maximum(-low, high) / (2 ** (bits - 1) - 1) if symmetric else (high - low) / (2**bits - 1)
    same, next_door = apart <= 1e-5 * step[:, None] * 2**bits, np.abs(apart - step[:, None]) <= 1e-3 * step[:, None]
    assert (same | next_door).all()


def test_typical_weights_are_those_of_the_stored_integers_exactly():
    values = np.random.default_rng(0).standard_normal((64, 96), dtype=np.float32)
    for bits in range(2, 9):
        stored = dequantise(quantise(values, f"int{bits}", per="channel", axis=0))
        np.testing.assert_array_equal(rounded(values, bits), stored)


@pytest.mark.slow
@settings(max_examples=30)
@given(MATRICES, BITS, st.booleans())
def test_least_error_is_never_above_min_max(values, bits, symmetric):
    def error(ranges):
        off = (round_to(values, grid(*ranges, bits, symmetric=symmetric)) - values).astype(np.float64)
        return (off**2).sum(axis=1)

    assert (error(least_error(values, bits, symmetric=symmetric)) <= error(min_max(values)) * (1 + 1e-6)).all()


def test_clipping_pays_for_heavy_tails_and_few_bits():
    values = np.random.default_rng(1).laplace(size=(8, 4096)).astype(np.float32)

    def error(bits, **options):
        return float(np.square(rounded(values, bits, **options) - values).mean())

    for bits in (2, 3, 4):
        assert error(bits, method="mse") < 0.7 * error(bits)
    assert error(4) < error(4, per="tensor") and error(4, per="group", block=32) < error(4)
    positive = np.abs(values)
    off = [np.square(rounded(positive, 4, symmetric=s) - positive).mean() for s in (True, False)]
    assert off[1] < 0.5 * off[0]


def test_16_and_32_bits_leave_values():
    values = np.random.default_rng(2).standard_normal((3, 5), dtype=np.float32)
    for bits in (16, 32):
        np.testing.assert_array_equal(rounded(values, bits), values)


def test_convolution_kernels_keep_their_shape():
    values = np.random.default_rng(3).standard_normal((6, 5, 3, 3), dtype=np.float32)
    for per in SHARINGS:
        found = rounded(values, 8, per=per, block=16 if per == "group" else None)
        assert found.shape == values.shape
        np.testing.assert_allclose(found, values, atol=0.02)


def test_zeros_and_single_values():
    assert not rounded(np.zeros((2, 3), np.float32), 2).any()
    one = np.full((1, 1), 1e-45, np.float32)
    assert np.isfinite(rounded(one, 8)).all()
    largest = np.full((1, 2), np.finfo(np.float32).max, np.float32)
    np.testing.assert_allclose(rounded(largest, 8), largest, rtol=1e-6)


@pytest.mark.parametrize("bits", [0, 1, 9, 33, -4, 2.5, True, float("nan"), "four"])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(InputError, match="bits"):
        check_bits("bits", bits)
    with pytest.raises(InputError, match="bits"):
        rounded(np.ones((2, 2), np.float32), bits)


@pytest.mark.parametrize("values", [np.zeros((0, 4)), np.zeros((4, 0)), np.float32(1.0), [[np.nan]], [[np.inf, 1.0]]])
def test_values_that_cannot_be_rounded_are_refused(values):
    with pytest.raises(InputError):
        rounded(values, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per": "chanel"}, "did you mean 'channel'"),
        ({"method": "minmax"}, "did you mean 'min-max'"),
        ({"per": "group"}, "block"),
        ({"per": "group", "block": 0}, "block"),
        ({"per": "channel", "block": 4}, "block"),
    ],
)
def test_unknown_ways_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        rounded(np.ones((2, 8), np.float32), 4, **options)


# Streams


@pytest.mark.parametrize("kind", OBSERVERS)
def test_an_observer_of_one_batch_finds_its_range(kind):
    values = np.random.default_rng(4).uniform(-1, 3, 10_000)
    seen = observer(kind)
    seen.observe(values)
    low, high = seen.range(8, symmetric=False)
    assert low == pytest.approx(-1, abs=0.05) and high == pytest.approx(3, abs=0.05)


def test_a_moving_average_forgets():
    seen = observer("moving-average")
    seen.observe(np.array([-1.0, 1.0]))
    seen.observe(np.array([-101.0, 1.0]))
    assert seen.range(8, symmetric=True) == pytest.approx((-0.95 - 5.05, 1.0))


def test_extremes_hold_everything():
    seen = observer("extremes")
    for batch in ([0.0, 1.0], [-5.0, 0.5], [2.0]):
        seen.observe(np.array(batch))
    assert seen.range(4, symmetric=True) == (-5.0, 2.0)


def test_a_histogram_finds_the_range_that_a_search_over_all_values_finds():
    values = np.random.default_rng(5).laplace(size=(1, 40_000)).astype(np.float32)
    seen = observer("histogram")
    for batch in np.split(values[0], 8):
        seen.observe(batch)
    for bits in (3, 4, 6):

        def error(ranges, bits=bits):
            off = round_to(values, grid(*map(np.asarray, ranges), bits, symmetric=True)) - values
            return float(np.square(off).mean())

        assert error(seen.range(bits, symmetric=True)) < 1.02 * error(least_error(values, bits, symmetric=True))


@pytest.mark.slow
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_a_histogram_counts_every_value_however_its_reach_grows(values):
    seen = observer("histogram")
    for value in values:
        seen.observe(np.array([value]))
    assert seen._counts.sum() == len(values)
    low, high = seen.range(8, symmetric=False)
    assert min(values) <= low <= high <= max(values) or low == high == 0.0 or low * high <= 0


@pytest.mark.parametrize("kind", OBSERVERS)
def test_observers_refuse_nothing_and_nan(kind):
    with pytest.raises(InputError, match="observed"):
        observer(kind).range(8, symmetric=True)
    for bad in ([], [np.nan], [np.inf]):
        with pytest.raises(InputError, match="observed"):
            observer(kind).observe(np.array(bad))


def test_unknown_observers_are_refused():
    with pytest.raises(InputError, match="did you mean 'histogram'"):
        observer("histogramm")


def test_joined_inputs_keep_their_own_scales():
    random = np.random.default_rng(6)
    parts = [random.uniform(-1, 1, (2, 3, 4, 4)), random.uniform(-100, 100, (2, 5, 4, 4))]
    joined = np.concatenate(parts, axis=1).astype(np.float32)
    grids = [grid(np.asarray(p.min()), np.asarray(p.max()), 8, symmetric=False) for p in parts]
    found = round_to(joined, side_by_side(grids, [3, 5], ndim=4, axis=1))
    for part, to, where in zip(parts, grids, (slice(0, 3), slice(3, 8)), strict=True):
        np.testing.assert_array_equal(found[:, where], round_to(part.astype(np.float32), to))
    shared = round_to(joined, grid(np.asarray(joined.min()), np.asarray(joined.max()), 8, symmetric=False))
    assert np.abs(shared - joined)[:, :3].mean() > 20 * np.abs(found - joined)[:, :3].mean()


@pytest.mark.parametrize("options", [{}, {"per": "group", "block": 5}, {"symmetric": False}, {"method": "mse"}])
def test_codes_are_the_integers_behind_the_rounded_values(options):
    values = np.random.default_rng(3).normal(size=(4, 12)).astype(np.float32)
    found = codes(values, 4, **options)
    assert found.dtype == np.int32 and found.shape == values.shape
    near = rounded(values, 4, **options)
    # Of one scale, equal values have equal codes, and larger values larger ones.
    order = np.argsort(near[0, :5])
    assert (np.diff(found[0, :5][order]) >= 0).all()
    ratio = near[0, :5][found[0, :5] != 0] / found[0, :5][found[0, :5] != 0]
    assert ratio == pytest.approx(ratio[0])
    if options.get("symmetric", True):
        assert np.abs(found).max() <= 7


def test_values_that_are_left_have_no_codes():
    with pytest.raises(InputError, match="bits = 16: expected 2 to 8"):
        codes(np.ones((1, 1), np.float32), 16)
