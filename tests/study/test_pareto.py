"""Fronts, knees and who beats whom: against their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explorer import pareto
from explorer.pareto import dominators, front, front_mask, knee
from hwbase import InputError


def by_definition(costs):
    """Row by row: on the front unless another is nowhere worse and somewhere better; rows with NaN never."""
    usable = ~np.isnan(costs).any(axis=1)
    mask = usable.copy()
    for i in np.flatnonzero(usable):
        better = (costs <= costs[i]).all(axis=1) & (costs < costs[i]).any(axis=1)
        mask[i] = not better[usable].any()
    return mask


#: Few different values, so that ties and copies are common; and the awkward ones.
AWKWARD = st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, -3.0, 1e300, 5e-324, np.inf, -np.inf, np.nan])
TABLES = st.integers(1, 5).flatmap(
    lambda k: hnp.arrays(
        float, st.tuples(st.integers(0, 40), st.just(k)), elements=AWKWARD | st.floats(-5, 5, width=16)
    )
)


@settings(max_examples=300, deadline=None)
@given(TABLES)
@pytest.mark.slow
def test_fronts_are_as_defined(costs):
    assert front_mask(costs).tolist() == by_definition(costs).tolist()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(1, 4))
def test_blocks_do_not_show(costs, block):
    patch = pytest.MonkeyPatch()
    with patch.context() as changed:
        changed.setattr(pareto, "_BLOCK", block)
        changed.setattr(pareto, "_PIVOTS", 1)
        assert front_mask(costs).tolist() == by_definition(costs).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("spread", ["normal", "lognormal", "coarse"])
def test_larger_tables(objectives, spread):
    rng = np.random.default_rng(objectives)
    costs = rng.normal(size=(700, objectives))
    costs = {"normal": costs, "lognormal": np.exp(5 * costs), "coarse": np.round(costs)}[spread]
    assert (front_mask(costs) == by_definition(costs)).all()


@pytest.mark.slow
def test_a_long_front_crosses_blocks():
    """All points of a line are on the front, however many blocks they fill; whatever lies above is not."""
    x = np.linspace(0, 1, 5000)
    costs = np.concatenate([np.column_stack([x, 1 - x]), np.column_stack([x, 1.001 - x])])
    order = np.random.default_rng(0).permutation(len(costs))
    expected = (np.arange(len(costs)) < 5000)[order]
    assert (front_mask(costs[order]) == expected).all()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(TABLES, st.randoms(use_true_random=False))
def test_order_does_not_matter(costs, random):
    order = list(range(len(costs)))
    random.shuffle(order)
    assert front_mask(costs[order]).tolist() == front_mask(costs)[order].tolist()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(TABLES, st.integers(-8, 8))
def test_units_do_not_matter(costs, power):
    """A power of two changes no comparison of floats that stay normal."""
    costs = np.where(np.abs(costs) < 1e-300, 0.0, np.where(np.abs(costs) > 1e290, np.sign(costs) * 1e200, costs))
    assert front_mask(costs * 2.0**power).tolist() == front_mask(costs).tolist()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda k: st.tuples(
            hnp.arrays(float, st.tuples(st.integers(1, 30), st.just(k)), elements=AWKWARD),
            st.lists(st.sampled_from(["min", "max"]), min_size=k, max_size=k),
        )
    )
)
def test_directions_and_infinities(case):
    """Frames: what is maximised counts negative, and infinity is no value."""
    values, directions = case
    objectives = {f"c{i}": direction for i, direction in enumerate(directions)}
    frame = pd.DataFrame(values, columns=list(objectives), index=[f"row {i}" for i in range(len(values))])
    signs = np.array([-1.0 if direction == "max" else 1.0 for direction in directions])
    costs = np.where(np.isfinite(values), values * signs, np.nan)
    assert list(front(frame, objectives).index) == list(frame.index[by_definition(costs)])


def test_equal_rows_stay_together():
    assert front_mask(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 2.0], [2.0, 1.0]])).tolist() == [True, True, False, True]


def test_whole_numbers_and_flags_are_compared_too():
    frame = pd.DataFrame({"n": [3, 1, 2], "ok": [True, True, False]})
    assert front(frame, {"n": "min"})["n"].tolist() == [1]
    assert front(frame, {"n": "min", "ok": "min"})["n"].tolist() == [1, 2]


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_the_knee_of_a_known_curve(scale):
    """x**2 + y**2 = 1 bulges most towards its ideal, seen from above, in the middle; y = 1/x too, in logarithms."""
    angle = np.linspace(0, np.pi / 2, 201)
    circle = pd.DataFrame({"x": (1 - np.sin(angle)) * scale, "y": 1 - np.cos(angle)})
    assert knee(circle, {"x": "min", "y": "min"}) == 100
    corner = pd.DataFrame({"x": [1.0, 2.0, 100.0], "y": [100.0, 3.0, 1.0]}) * scale
    assert knee(corner, {"x": "min", "y": "min"}) == 1


def test_the_knee_of_what_is_maximised():
    frame = pd.DataFrame({"speed": [1.0, 9.0, 10.0], "cost": [1.0, 2.0, 9.0]})
    assert knee(frame, {"speed": "max", "cost": "min"}) == 1


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(float, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-1e308, 1e308)),
    st.lists(st.sampled_from(["min", "max"]), min_size=3, max_size=3),
)
def test_every_front_has_a_knee(values, directions):
    objectives = dict(zip("abc", directions, strict=True))
    best = front(pd.DataFrame(values, columns=list("abc")), objectives)
    assert knee(best, objectives) in best.index


def test_the_knee_of_one_point_and_of_none():
    one = pd.DataFrame({"x": [3.0]}, index=["only"])
    assert knee(one, {"x": "min"}) == "only"
    with pytest.raises(InputError, match="front is empty"):
        knee(pd.DataFrame({"x": [np.nan]}), {"x": "min"})


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(hnp.arrays(float, st.tuples(st.integers(2, 30), st.just(3)), elements=st.integers(-4, 4).map(float)))
def test_dominators_dominate(values):
    objectives = {"a": "min", "b": "max", "c": "min"}
    frame = pd.DataFrame(values, columns=list(objectives))
    best = front(frame, objectives)
    signs = np.array([1.0, -1.0, 1.0])
    for label in frame.index:
        found = dominators(frame, objectives, label)
        assert set(found.better.index) <= set(best.index)
        assert found.better.empty == (label in best.index)
        mine = values[label] * signs
        for other in found.better.index:
            theirs = values[other] * signs
            assert (theirs <= mine).all() and (theirs < mine).any()
        shares = found.to_frame()[[f"{name}_better_by" for name in objectives]].to_numpy()
        assert not (shares < 0).any()


def test_how_much_better():
    frame = pd.DataFrame({"cost": [2.0, 1.0, 4.0], "speed": [10.0, 10.0, 5.0]}, index=[5, 6, 7])
    found = dominators(frame, {"cost": "min", "speed": "max"}, 7)
    assert list(found.better.index) == [6]
    assert found.better["cost_better_by"].tolist() == [0.75] and found.better["speed_better_by"].tolist() == [1.0]
    assert found.point["cost"] == 4.0


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ({}, "objectives are empty"),
        ({"coast": "min"}, "did you mean 'cost'"),
        ({"cost": "mix"}, "did you mean 'mi"),
        ({"text": "min"}, "text is not a number"),
    ],
)
def test_bad_objectives(objectives, said):
    frame = pd.DataFrame({"cost": [1.0], "text": ["a"]})
    for function in (front, knee):
        with pytest.raises(InputError, match=said):
            function(frame, objectives)


def test_bad_points():
    frame = pd.DataFrame({"cost": [1.0, np.nan]})
    with pytest.raises(InputError, match="point = 9: expected one of the 2 points"):
        dominators(frame, {"cost": "min"}, 9)
    with pytest.raises(InputError, match="point 1 has no value in cost"):
        dominators(frame, {"cost": "min"}, 1)


@pytest.mark.parametrize("shape", [(3,), (3, 0), (2, 2, 2)])
def test_bad_shapes(shape):
    with pytest.raises(InputError, match="expected \\(points, objectives\\)"):
        front_mask(np.zeros(shape))


def test_nothing_in_nothing_out():
    assert front_mask(np.empty((0, 2))).shape == (0,)
    assert front(pd.DataFrame({"x": []}), {"x": "min"}).empty
