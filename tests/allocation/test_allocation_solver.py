"""The solvers against brute force, their bounds against every allocation, and what they say where there is none."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError
from models.allocation import SOLVERS, Limit, Problem, front, lower_hull, relax, solve, tie
from models.allocation import dynamic as dynamic_module
from models.allocation.dynamic import improve
from models.allocation.integers import whole

INF = math.inf


def every(problem):
    """(objective, picks) of all allocations that keep all limits, best first."""
    options = [np.flatnonzero(problem.units == unit) for unit in range(problem.starts.size)]
    found = []
    for pick in itertools.product(*options):
        chosen = list(pick)
        sums = [math.fsum(np.asarray(x.costs, float)[chosen]) / x.scale for x in problem.limits]
        if all(
            x.low - 1e-12 * abs(x.low) <= s <= x.high + 1e-12 * abs(x.high)
            for x, s in zip(problem.limits, sums, strict=True)
        ):
            found.append((math.fsum(problem.losses[chosen]), chosen))
    return sorted(found)


@st.composite
def problems(draw, most_limits=3, whole_costs=None):
    widths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    units = np.repeat(np.arange(len(widths)), widths)
    n = units.size
    scale = draw(st.sampled_from([1e-9, 1.0, 1e9]))
    # Few distinct values make ties and equal losses common; signs and order are free.
    loss = st.one_of(st.integers(-3, 3).map(float), st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3)))
    losses = scale * np.array(draw(st.lists(loss, min_size=n, max_size=n)))
    limits = []
    for number in range(draw(st.integers(0, most_limits))):
        kind = whole_costs if whole_costs is not None else draw(st.booleans())
        cost = st.integers(0, 12) if kind else st.floats(0, 12, allow_nan=False).map(lambda x: round(x, 2))
        costs = np.array(draw(st.lists(cost, min_size=n, max_size=n)), dtype=float)
        # Budgets at totals that can be reached, and between them.
        near = float(sum(costs[draw(st.integers(s, e - 1))] for s, e in _ranges(units)))
        low, high = sorted([near, near + draw(st.sampled_from([0.0, 0.5, 5.0, -1.5]))])
        sides = draw(st.sampled_from(["high", "low", "both"]))
        limits.append(Limit(f"c{number}", costs, INF if sides == "low" else high, -INF if sides == "high" else low))
    return Problem(units, losses, tuple(limits))


def _ranges(units):
    starts = np.flatnonzero(np.diff(units, prepend=-1))
    return zip(starts.tolist(), [*starts[1:].tolist(), units.size], strict=True)


def check(problem, found, best):
    """What every solution must be: a choice for each unit, within limits, above its bound, best if it says so."""
    assert np.array_equal(problem.units[found.pick], np.arange(problem.starts.size))
    assert found.objective == pytest.approx(math.fsum(problem.losses[found.pick]), rel=1e-12, abs=1e-300)
    for limit in problem.limits:
        spent = math.fsum(np.asarray(limit.costs, float)[found.pick]) / limit.scale
        assert limit.low - 1e-12 * abs(limit.low) <= spent <= limit.high + 1e-12 * abs(limit.high)
    dust = 1e-12 * float(np.abs(problem.losses).sum())
    assert found.bound <= best + dust and found.bound <= found.objective
    assert best <= found.objective + dust
    if found.status == "optimal":
        assert found.gap <= 1e-9
        assert found.objective - best <= 1e-9 * max(abs(best), 1e-3 * problem.spread) + dust


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(problems())
def test_own_solver_is_never_wrong(problem):
    allocations = every(problem)
    if not allocations:
        with pytest.raises(InputError, match=r"cannot be kept|no allocation keeps"):
            solve(problem)
        return
    found = solve(problem)
    check(problem, found, allocations[0][0])
    assert found.status == "optimal"


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(problems(most_limits=1, whole_costs=True))
def test_one_budget_is_never_wrong(problem):
    allocations = every(problem)
    if not allocations:
        with pytest.raises(InputError):
            solve(problem)
        return
    found = solve(problem)
    check(problem, found, allocations[0][0])
    assert found.status == "optimal"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(problems())
def test_highs_is_never_wrong(problem):
    allocations = every(problem)
    if not allocations:
        with pytest.raises(InputError):
            solve(problem, solver="highs")
        return
    check(problem, solve(problem, solver="highs"), allocations[0][0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pulp")
def test_cbc_never_claims_more_than_is_proven():
    pytest.importorskip("pulp", reason="PuLP is not installed")
    problem = knapsack(30, 3, seed=1)
    found, own = solve(problem, solver="cbc"), solve(problem)
    check(problem, found, own.objective)
    assert found.objective == pytest.approx(own.objective, rel=1e-9) and found.bound <= own.objective


def knapsack(layers, bits, seed, share=0.45):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1000, 1_000_000, layers)
    widths = np.sort(rng.choice(np.arange(1, 17), bits, replace=False))
    losses = (rng.lognormal(0, 2, (layers, 1)) * 2.0 ** (-2.0 * widths) * rng.lognormal(0, 0.2, (layers, bits))).ravel()
    costs = (sizes[:, None] * widths).ravel()
    low, high = sizes.sum() * widths[0], sizes.sum() * widths[-1]
    limit = Limit("bits", costs, high=float(int(low + share * (high - low))))
    return Problem(np.repeat(np.arange(layers), bits), losses, (limit,))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_dynamic_programming_and_highs_agree(seed):
    problem = knapsack(40 + 10 * seed, 2 + seed % 4, seed, share=0.1 + 0.07 * seed)
    own, highs = solve(problem), solve(problem, solver="highs")
    assert own.status == highs.status == "optimal"
    assert own.objective == pytest.approx(highs.objective, rel=1e-9)


def test_a_large_instance_is_certified():
    found = solve(knapsack(2000, 5, 1), tolerance=1e-6)
    assert found.status == "optimal" and found.gap <= 1e-6


@pytest.mark.slow
def test_states_that_were_dropped_widen_the_bound(monkeypatch):
    # Subset sums: every allocation is as good as its cost, so nothing is ever dominated.
    rng = np.random.default_rng(5)
    sizes = rng.integers(10**7, 10**8, 24)
    costs = np.stack([np.zeros(24, dtype=int), sizes], axis=1).ravel()
    problem = Problem(np.repeat(np.arange(24), 2), -costs.astype(float), (Limit("c", costs, float(sizes.sum() // 2)),))
    exact = solve(problem)
    monkeypatch.setattr(dynamic_module, "MOST_STATES", 20)
    found = solve(problem, tolerance=0.0)
    assert found.bound <= exact.objective <= found.objective and exact.bound <= exact.objective
    assert (found.status == "feasible") == (found.gap > 0)


def test_time_runs_out_honestly():
    relaxation_only = solve(knapsack(500, 4, 9), tolerance=0.0, time_limit_s=1e-9)
    exact = solve(knapsack(500, 4, 9))
    assert relaxation_only.bound <= exact.objective <= relaxation_only.objective
    assert relaxation_only.status == "optimal" or relaxation_only.gap > 0


@pytest.mark.parametrize("scale", [1e-25, 1e-9, 1.0, 1e9, 1e25])
def test_scale_of_losses_changes_nothing(scale):
    problem = knapsack(60, 3, 4)
    scaled = Problem(problem.units, problem.losses * scale, problem.limits)
    assert np.array_equal(solve(scaled).pick, solve(problem).pick)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e6])
def test_scale_of_costs_changes_nothing(scale):
    problem = knapsack(60, 3, 4)
    limit = problem.limits[0]
    scaled = Limit(limit.name, np.asarray(limit.costs) * scale, limit.high * scale)
    found = solve(Problem(problem.units, problem.losses, (scaled,)))
    assert found.objective == pytest.approx(solve(problem).objective, rel=1e-9)


def test_equal_losses_take_the_cheaper():
    limit = Limit("c", np.array([8.0, 2.0, 4.0, 3.0]), high=100.0)
    found = solve(Problem(np.array([0, 0, 0, 1]), np.zeros(4), (limit,)))
    assert found.objective == found.bound == 0.0 and found.gap == 0.0 and found.status == "optimal"


def test_a_budget_met_exactly_is_met():
    costs = np.array([0.1, 0.2, 0.1, 0.2, 0.1, 0.2])
    problem = Problem(np.repeat(np.arange(3), 2), np.array([1.0, 0.0] * 3), (Limit("c", costs, high=0.1 + 0.2 + 0.2),))
    assert solve(problem).objective == 1.0


def test_a_two_sided_budget_can_force_spending():
    costs = np.array([1.0, 5.0, 1.0, 5.0])
    losses = np.array([0.0, 1.0, 0.0, 2.0])
    problem = Problem(np.array([0, 0, 1, 1]), losses, (Limit("c", costs, high=7.0, low=5.0),))
    assert solve(problem).objective == 1.0


def test_limits_on_different_units_are_solved_apart():
    one, other = knapsack(300, 3, 1), knapsack(300, 3, 2)
    units = np.concatenate([one.units, other.units + 300])
    zeros = np.zeros(900)
    limits = (
        Limit("first", np.concatenate([one.limits[0].costs, zeros]), one.limits[0].high),
        Limit("second", np.concatenate([zeros, other.limits[0].costs]), other.limits[0].high),
    )
    found = solve(Problem(units, np.concatenate([one.losses, other.losses]), limits))
    assert found.status == "optimal"
    assert found.objective == pytest.approx(solve(one).objective + solve(other).objective, rel=1e-9)


# Where there is no allocation


def test_one_impossible_limit_says_what_is_possible():
    costs = np.array([2.0, 3.0, 2.0, 3.0])
    units, losses = np.array([0, 0, 1, 1]), np.zeros(4)
    with pytest.raises(InputError, match=r"size <= 3 cannot be kept: the least possible is 4"):
        solve(Problem(units, losses, (Limit("size", costs, high=3.0),)))
    with pytest.raises(InputError, match=r"size >= 7 cannot be kept: the most possible is 6"):
        solve(Problem(units, losses, (Limit("size", costs, low=7.0),)))
    with pytest.raises(InputError, match=r"mean <= 1 cannot be kept: the least possible is 2"):
        solve(Problem(units, losses, (Limit("mean", costs, high=1.0, scale=2.0),)))


def test_limits_that_exclude_each_other_say_how_far():
    units = np.array([0, 0, 1, 1])
    size, ms = np.array([1.0, 2.0, 1.0, 2.0]), np.array([2.0, 1.0, 2.0, 1.0])
    with pytest.raises(InputError) as caught:
        solve(Problem(units, np.zeros(4), (Limit("size", size, high=2.0), Limit("ms", ms, high=2.0))))
    message = str(caught.value)
    assert "with the others kept, size reaches 4 (asked: size <= 2)" in message and "ms reaches 4" in message


def test_what_it_says_is_possible_is():
    problem = knapsack(50, 3, 7)
    limit = problem.limits[0]
    with pytest.raises(InputError) as caught:
        solve(Problem(problem.units, problem.losses, (Limit("bits", limit.costs, high=1.0, scale=3.0),)))
    least = float(str(caught.value).rsplit(" ", 1)[1])
    assert solve(Problem(problem.units, problem.losses, (Limit("bits", limit.costs, high=least, scale=3.0),)))


def test_a_window_that_nothing_hits():
    units, costs = np.array([0, 0]), np.array([1.0, 3.0])
    with pytest.raises(InputError, match="no allocation keeps"):
        solve(Problem(units, np.zeros(2), (Limit("c", costs, high=2.5, low=1.5),)))
    with pytest.raises(InputError, match="low <= high"):
        solve(Problem(units, np.zeros(2), (Limit("c", costs, high=1.0, low=2.0),)))


# Pieces


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(problems(most_limits=0), st.integers(0, 50))
def test_relaxation_bounds_and_keeps_its_budget(problem, limit):
    rng = np.random.default_rng(limit)
    costs = rng.integers(0, 20, problem.units.size)
    costs -= np.minimum.reduceat(costs, problem.starts)[problem.units]
    found = relax(problem.units, costs, problem.losses, limit)
    assert costs[found.pick].sum() <= limit
    best = every(Problem(problem.units, problem.losses, (Limit("c", costs, high=float(limit)),)))[0][0]
    dust = 1e-12 * float(np.abs(problem.losses).sum())
    assert found.bound <= best + dust <= problem.losses[found.pick].sum() + 2 * dust
    pick, bound = improve(problem.units, costs, problem.losses, limit, found)
    assert problem.losses[pick].sum() == pytest.approx(best, rel=1e-9, abs=dust) and bound <= best + dust


def test_lower_hull_leaves_out_the_dominated_and_the_inner():
    units = np.zeros(6, dtype=int)
    costs = np.array([5, 1, 3, 2, 4, 3])
    losses = np.array([0.0, 10.0, 4.0, 9.0, 5.0, 11.0])
    assert lower_hull(units, costs, losses).tolist() == [1, 2, 0]


def test_whole_numbers():
    costs, limit, step = whole(np.array([0.25, 0.5, 1.0]), 1.0)
    assert (costs * step).tolist() == [0.25, 0.5, 1.0] and limit * step == 1.0
    costs, limit, _ = whole(np.array([64, 128, 640]), 1000.0)
    assert costs.tolist() == [1, 2, 10] and limit == 15
    irrational = np.sqrt(np.arange(2.0, 50.0))
    costs, limit, step = whole(irrational, float(irrational.sum()))
    assert np.all(costs * step >= irrational * (1 - 1e-12)) and costs.sum() <= limit


def test_ties_sum_what_they_join():
    units, labels = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 1])
    members, joined, (losses,) = tie(units, labels, np.array([0, 0, 2]), [np.arange(5.0)], ["q", "k", "o"])
    assert joined.tolist() == [0, 1] and losses.tolist() == [3.0, 4.0] and members.tolist() == [-1, 0, 0, -1, 1]
    with pytest.raises(InputError, match="'q', 'k' have no choice in common"):
        tie(np.array([0, 1]), np.array([0, 1]), np.array([0, 0]), [], ["q", "k"])


def test_front_is_least_loss_everywhere():
    problem = knapsack(40, 3, 2)
    limit = problem.limits[0]
    mean = Problem(problem.units, problem.losses, (Limit("b", limit.costs, scale=1e6),))
    corners = front(mean)
    assert np.all(np.diff(corners["cost"]) > 0) and np.all(np.diff(corners["objective"]) < 0)
    slopes = np.diff(corners["objective"]) / np.diff(corners["cost"])
    assert np.all(np.diff(slopes) > 0)
    at = front(mean, corners["cost"].to_numpy()[::9] * (1 + 1e-13))
    assert at["objective"].to_numpy() == pytest.approx(corners["objective"].to_numpy()[::9], rel=1e-9)
    between = front(mean, np.linspace(corners["cost"].min(), corners["cost"].max(), 23))
    line = np.interp(between["budget"], corners["cost"], corners["objective"])
    assert np.all(between["objective"] >= line * (1 - 1e-9)) and np.all(between["cost"] <= between["budget"])


@pytest.mark.parametrize(
    "bad",
    [
        {"units": np.array([], dtype=int), "losses": np.array([])},
        {"units": np.array([1, 2]), "losses": np.zeros(2)},
        {"units": np.array([0, 2]), "losses": np.zeros(2)},
        {"units": np.array([0, 0]), "losses": np.array([0.0, np.nan])},
        {"units": np.array([0, 0]), "losses": np.array([0.0, 1e31])},
        {"units": np.array([0, 0]), "losses": np.zeros(3)},
        {"units": np.array([0, 0]), "losses": np.zeros(2), "limits": (Limit("c", np.zeros(3)),)},
        {"units": np.array([0, 0]), "losses": np.zeros(2), "limits": (Limit("c", np.array([0.0, np.inf])),)},
        {"units": np.array([0, 0]), "losses": np.zeros(2), "limits": (Limit("c", np.zeros(2), high=np.nan),)},
        {"units": np.array([0, 0]), "losses": np.zeros(2), "limits": (Limit("c", np.zeros(2), scale=0.0),)},
    ],
)
def test_bad_problems(bad):
    with pytest.raises(InputError):
        Problem(**bad)


@pytest.mark.parametrize("bad", [{"solver": "glpk"}, {"tolerance": -1.0}, {"tolerance": np.nan}, {"time_limit_s": 0.0}])
def test_bad_ways_to_solve(bad):
    with pytest.raises(InputError):
        solve(knapsack(3, 2, 1), **bad)
    assert SOLVERS == ("own", "highs", "cbc")
