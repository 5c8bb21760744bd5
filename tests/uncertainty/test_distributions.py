"""From ranges to distributions, and from stated correlations to draws that have them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from explorer.uncertainty import SHAPES, Distribution, distribution, distributions, factors_of
from explorer.uncertainty.distributions import correlated_shares
from explorer.uncertainty.propagate import unit_sequence
from hwbase import Correlation, InputError, Quantity

SHARES = (np.arange(20_000) + 0.5) / 20_000
SIZES = st.floats(-1e6, 1e6, allow_subnormal=False)


def ranged(low, nominal, high, unit="1"):
    return Quantity(nominal, unit, "a source", "assumed", 2025, low, high)


def related(*names, rho):
    return Correlation(names, rho, "why", "assumed", 2025)


# One quantity


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@given(st.lists(SIZES, min_size=3, max_size=3).map(sorted))
def test_draws_keep_to_the_range_and_rise_with_their_share(shape, range_):
    low, nominal, high = range_
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-300))
    draws = distribution(ranged(low, nominal, high), shape).at(np.linspace(0, 1, 101))
    assert draws.min() == low and draws.max() == high
    assert (np.diff(draws) >= -1e-12 * max(abs(low), abs(high))).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_nan_stands_for_nominal(shape):
    assert distribution(ranged(1, 2, 5), shape).at([np.nan, 0.0, 1.0]).tolist() == [2, 1, 5]


@pytest.mark.slow
@pytest.mark.parametrize(("low", "nominal", "high"), [(1, 2, 5), (1, 1, 5), (1, 5, 5), (-3, 0, 0.5)])
def test_triangles_are_those_of_scipy(low, nominal, high):
    """Where a range is less than a decade."""
    reference = stats.triang((nominal - low) / (high - low), loc=low, scale=high - low)
    assert distribution(ranged(low, nominal, high)).at(SHARES) == pytest.approx(reference.ppf(SHARES), abs=1e-12)


def test_a_pert_distribution_has_its_mean():
    draws = distribution(ranged(1, 2, 6), "pert").at(SHARES)
    assert draws.mean() == pytest.approx((1 + 4 * 2 + 6) / 6, rel=1e-5)


def test_uniform_ignores_nominal():
    assert distribution(ranged(1, 1, 5), "uniform").at([0.0, 0.25, 0.5]).tolist() == [1, 2, 3]


def test_levels():
    draws = distribution(ranged(1, 2, 4), "levels").at(SHARES)
    values, counts = np.unique(draws, return_counts=True)
    assert values.tolist() == [1, 2, 4] and (counts / SHARES.size).tolist() == [0.25, 0.5, 0.25]


def test_a_decade_is_taken_in_logarithms():
    wide, narrow = (distribution(ranged(1.0, 3.0, high)) for high in (10.0, 9.9))
    assert wide.log and not narrow.log
    reference = stats.triang(np.log(3) / np.log(10), scale=np.log(10))
    assert np.log(wide.at(SHARES)) == pytest.approx(reference.ppf(SHARES), abs=1e-12)
    # What may be zero or negative has no logarithm.
    assert not distribution(ranged(0.0, 3.0, 100.0)).log and not distribution(ranged(-1.0, 3.0, 100.0)).log


def test_counts_are_whole_by_unit_or_by_name():
    masks, spins = distribution(ranged(12, 14, 15, "mask")), distribution(ranged(0, 2, 2), whole=True)
    assert masks.whole and np.unique(masks.at(SHARES)).tolist() == [12, 13, 14, 15]
    values, counts = np.unique(spins.at(SHARES), return_counts=True)
    # A triangle on [-0.5, 2.5] with its peak at 2, rounded.
    edges = stats.triang(2.5 / 3.0, loc=-0.5, scale=3.0).cdf([0.5, 1.5])
    expected = np.diff([0.0, *edges, 1.0])
    assert values.tolist() == [0, 1, 2] and counts / SHARES.size == pytest.approx(expected, abs=1e-3)


def test_only_ranges_are_drawn():
    found = distributions({"a": ranged(1, 2, 3), "b": ranged(2, 2, 2), "c": Quantity(4, "1", "s", "assumed", 2025)})
    assert list(found) == ["a"] and found["a"] == Distribution(1, 2, 3)


def test_shapes_of_single_names():
    quantities = {"a": ranged(1, 2, 3), "b": ranged(1, 2, 3)}
    found = distributions(quantities, "uniform", {"b": "pert"}, whole=["a"])
    assert [(d.shape, d.whole) for d in found.values()] == [("uniform", True), ("pert", False)]


@pytest.mark.parametrize(
    ("quantity", "options", "said"),
    [
        (ranged(1, 2, 3), {"shape": "triangle"}, "did you mean 'triangular'"),
        (ranged(1, 2, 3), {"shapes": {"a": "nomal"}}, "unknown shape"),
        (ranged(1, 2, 3), {"shapes": {"b": "uniform"}}, "unknown quantity 'b'"),
        (ranged(1, 2, 3), {"whole": ["b"]}, "unknown quantity 'b'"),
        (ranged(1, 2.5, 3), {"whole": ["a"]}, "a: nominal = 2.5: expected a whole number"),
        (ranged(1, 2.5, 3, "mask"), {}, "a: nominal = 2.5"),
        (ranged(1, 2, np.inf), {}, "a: high = inf"),
        (ranged(np.nan, 2, 3), {}, "a: low = nan"),
        (ranged(3, 2, 4), {}, "a: low = 3, nominal = 2, high = 4"),
        (ranged(1, np.array([1, 2]), 3), {}, "a is a list"),
    ],
)
def test_bad_quantities(quantity, options, said):
    with pytest.raises(InputError, match=said):
        distributions({"a": quantity}, **options)


# Several at once


def test_what_nothing_joins_is_a_factor_each():
    factors = factors_of(["a", "b"], [related("a", "c", rho=0.9)])
    assert [f.name for f in factors] == ["a", "b"] and [f.members for f in factors] == [("a",), ("b",)]


def test_chains_of_correlations_make_one_factor():
    names = ["t.a", "t.b", "t.c", "u", "v"]
    factors = factors_of(
        names, [related("t.a", "t.b", rho=0.5), related("t.b", "t.c", rho=-0.5), related("u", "v", rho=0)]
    )
    assert [f.members for f in factors] == [("t.a", "t.b", "t.c"), ("u",), ("v",)]
    assert factors[0].name == "t.*" and factors[0].signs == (1, 1, -1)
    assert factors[0].end(high=True) == {"t.a": 1.0, "t.b": 1.0, "t.c": 0.0}
    assert factors[0].end(high=False) == {"t.a": 0.0, "t.b": 0.0, "t.c": 1.0}


@pytest.mark.parametrize("rho", [-1.0, -0.7, -0.2, 0.3, 0.9, 1.0])
def test_draws_have_the_correlation_and_stay_uniform(rho):
    """Spearman's correlation of a Gaussian copula is 6/pi asin(rho/2)."""
    (factor,) = factors_of(["a", "b"], [related("a", "b", rho=rho)])
    shares = factor.shares(unit_sequence(2, 2**14, seed=3))
    found = stats.spearmanr(shares["a"], shares["b"]).statistic
    assert found == pytest.approx(6 / np.pi * np.arcsin(rho / 2), abs=0.01)
    for values in shares.values():
        assert stats.kstest(values, "uniform").statistic < 0.005


def test_groups_are_independent_of_one_another():
    factors = factors_of(["a", "b", "c", "d"], [related("a", "b", rho=0.8), related("c", "d", rho=0.8)])
    shares = correlated_shares(factors, unit_sequence(4, 2**12, seed=1))
    assert list(shares) == ["a", "b", "c", "d"]
    table = stats.spearmanr(np.stack(list(shares.values()), axis=1)).statistic
    assert table[0, 1] > 0.7 and table[2, 3] > 0.7 and abs(table[:2, 2:]).max() < 0.03


def test_a_sequence_of_zeros_and_ones_stays_finite():
    (factor,) = factors_of(["a", "b"], [related("a", "b", rho=0.5)])
    assert all(np.isfinite(v).all() for v in factor.shares(np.array([[0.0, 1.0], [1.0, 0.0]])).values())


def test_two_groups_of_one_table_have_names_of_their_own():
    names = [f"t.{letter}" for letter in "abcdef"]
    pairs = [related("t.a", "t.b", "t.c", rho=0.5), related("t.d", "t.e", "t.f", rho=0.5)]
    assert [f.name for f in factors_of(names, pairs)] == ["t.*", "t.d + 2 more"]
