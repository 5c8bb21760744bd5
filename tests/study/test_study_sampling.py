"""Samplers: the same rows in whatever pieces, in their strata, as scipy draws them; grids without repeats."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from explorer.study import sampling
from explorer.study.sampling import SAMPLERS, grid_size, sample
from explorer.study.space import parameter
from hwbase import InputError

SPACE = {
    "x": parameter("x", {"low": 0.5, "high": 2.0, "scale": "log", "levels": 3}),
    "kind": parameter("kind", ["a", "b"]),
    "n": parameter("n", {"low": 1, "high": 5, "whole": True, "when": {"kind": "a"}}),
    "flag": parameter("flag", {"choices": [True, False], "when": {"n": [1, 2]}, "otherwise": False}),
}
UNIT = {name: parameter(name, (0.0, 1.0)) for name in "uvw"}


def stacked(tables):
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SAMPLERS),
    st.integers(1, 60),
    st.integers(0, 3),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 9),
)
def test_pieces_do_not_show(sampler, points, seed, cuts, stretch):
    points = grid_size(SPACE) if sampler == "grid" else points
    ends = sorted({0, points, *(cut for cut in cuts if cut < points)})
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(sampling, "_STRETCH", stretch)
        whole = sample(SPACE, sampler, points, seed, 0, points)
        pieces = [sample(SPACE, sampler, points, seed, start, stop) for start, stop in itertools.pairwise(ends)]
    found = stacked(pieces)
    assert list(found) == list(whole) == ["point", *SPACE]
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name])
        assert {piece[name].dtype for piece in pieces} == {whole[name].dtype}


@pytest.mark.parametrize("points", [1, 7, 100, 1000])
def test_a_latin_hypercube_has_one_point_a_stratum(points):
    table = sample(UNIT, "latin-hypercube", points, 4, 0, points)
    for name in UNIT:
        assert sorted(np.floor(table[name] * points).astype(int)) == list(range(points))
    if points >= 100:
        assert abs(np.corrcoef(table["u"], table["v"])[0, 1]) < 0.3


@pytest.mark.parametrize("points", [1, 2, 33, 256])
def test_sobol_is_that_of_scipy(points):
    expected = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(9))
    whole = expected.random_base2(8)[:points]
    table = sample(UNIT, "sobol", points, 9, 0, points)
    np.testing.assert_array_equal(np.column_stack([table[name] for name in UNIT]), whole)


def test_sobol_says_nothing_of_balance(recwarn):
    sample(UNIT, "sobol", 100, 0, 0, 100)
    sample(UNIT, "sobol", 100, 0, 37, 91)
    assert not recwarn


@pytest.mark.parametrize("sampler", ["random", "latin-hypercube", "sobol"])
def test_seeds_matter_and_dimensions_differ(sampler):
    one, other = (sample(UNIT, sampler, 64, seed, 0, 64) for seed in (0, 1))
    assert not np.array_equal(one["u"], other["u"]) and not np.array_equal(one["u"], one["v"])


@pytest.mark.parametrize("sampler", ["random", "latin-hypercube", "sobol"])
def test_samples_are_uniform(sampler):
    table = sample(UNIT, sampler, 4096, 2, 0, 4096)
    for name in UNIT:
        counts, _ = np.histogram(table[name], bins=16, range=(0, 1))
        # 256 expected, give or take four standard deviations of a binomial.
        assert np.abs(counts - 256).max() <= 4 * np.sqrt(256)


def by_hand(space):
    """Each different combination once: what does not count makes no difference."""
    found = set()
    for x, kind, n, flag in itertools.product((0.5, 1.0, 2.0), "ab", range(1, 6), (True, False)):
        counts = kind == "a"
        found.add((x, kind, n if counts else None, flag if counts and n <= 2 else False))
    return found


def test_a_grid_has_each_different_combination_once():
    table = sample(SPACE, "grid", grid_size(SPACE), 0, 0, grid_size(SPACE))
    rows = [
        (x, kind, None if np.isnan(n) else n, flag)
        for x, kind, n, flag in zip(table["x"], table["kind"], table["n"], table["flag"], strict=True)
    ]
    # flag is False where it does not count and one of its choices where it does.
    assert len(rows) == 3 * (2 * 2 + 3 + 1)
    expected = [(*row[:3], row[3]) for row in by_hand(SPACE)]
    assert set(rows) == set(expected) and len(set(rows)) == len(rows)
    assert table["x"].min() == 0.5 and table["x"].max() == 2.0
    assert (np.diff(table["point"]) > 0).all()


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-12, 1e12), st.floats(1, 1e6), st.integers(1, 40), st.booleans())
@pytest.mark.slow
def test_grids_of_ranges(low, factor, levels, log):
    high = low * factor
    values = parameter("x", {"low": low, "high": high, "levels": levels, "log": log}).grid("x")
    assert len(values) <= levels and (np.diff(values) > 0).all()
    if levels > 1:
        assert values[0] == low and values[-1] == high
    if high > low * 1.001:
        assert len(values) == levels


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 50), st.integers(0, 200), st.integers(1, 60) | st.none(), st.booleans())
@pytest.mark.slow
def test_grids_of_whole_numbers(low, width, levels, log):
    given_range = {"low": low, "high": low + width, "whole": True, "log": log}
    values = parameter("n", given_range | ({} if levels is None else {"levels": levels})).grid("n")
    assert values.dtype == np.int64 and (np.diff(values) > 0).all()
    assert values.min() >= low and values.max() <= low + width
    if levels is None or levels > width:
        assert values.tolist() == list(range(low, low + width + 1))
    elif levels > 1:
        assert values[0] == low and values[-1] == low + width


def test_a_piece_of_a_grid_may_be_empty():
    space = {
        "kind": parameter("kind", ["a", "b"]),
        "n": parameter("n", {"low": 1, "high": 100, "whole": True, "when": {"kind": "a"}}),
    }
    assert grid_size(space) == 200
    assert len(sample(space, "grid", 200, 0, 110, 190)["point"]) == 0
    assert sample(space, "grid", 200, 0, 90, 190)["point"].tolist() == [*range(90, 101)]


def test_grids_need_levels():
    with pytest.raises(InputError, match=r"x\.levels is missing"):
        sample({"x": parameter("x", (0.0, 1.0))}, "grid", 1, 0, 0, 1)
    with pytest.raises(InputError, match="n: values of the grid = 1000001"):
        grid_size({"n": parameter("n", (0, 1_000_000))})


def test_unknown_samplers():
    with pytest.raises(InputError, match="sampler 'soboll'"):
        sample(UNIT, "soboll", 1, 0, 0, 1)
