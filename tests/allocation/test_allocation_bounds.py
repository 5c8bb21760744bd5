"""The bounds of allocations under several limits, against programmes of SciPy's that share no code with them."""

import math
import time

import numpy as np
import pytest
import scipy.optimize
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from hwbase import InputError
from models.allocation import Limit, Problem, solve
from models.allocation import programme as programme_module
from models.allocation.errors import NoAllocationError
from models.allocation.integers import integer_rows
from models.allocation.programme import by_programme, price


def problem_of(seed, units=12, limits=2, spread=3.0, share=0.3, two_sided=False, most_cost=1000):
    """Losses that fall with the option and differ by orders of magnitude; whole costs in any order."""
    rng = np.random.default_rng(seed)
    losses = np.sort(rng.lognormal(0.0, spread, (units, 4)), axis=1)[:, ::-1].ravel()
    budgets = []
    for number in range(limits):
        costs = rng.integers(1, most_cost, (units, 4))
        low, high = int(costs.min(axis=1).sum()), int(costs.max(axis=1).sum())
        budget = float(int(low + share * (high - low)))
        least = float(int(low + 0.5 * share * (high - low))) if two_sided else -math.inf
        budgets.append(Limit(f"c{number}", costs.ravel().astype(float), high=budget, low=least))
    return Problem(np.repeat(np.arange(units), 4), losses, tuple(budgets))


def matrices(problem):
    """(one option of each unit, costs of the limits)."""
    ones = sparse.csr_matrix((np.ones(problem.units.size), (problem.units, np.arange(problem.units.size))))
    return ones, np.stack([limit.costs for limit in problem.limits])


def linear_optimum(problem):
    """Least loss where options may be taken in parts: SciPy's simplex method on the problem as it stands."""
    ones, costs = matrices(problem)
    sides = np.array([*(x.high for x in problem.limits), *(-x.low for x in problem.limits)])
    result = linprog(
        problem.losses,
        A_ub=np.concatenate([costs, -costs])[np.isfinite(sides)],
        b_ub=sides[np.isfinite(sides)],
        A_eq=ones,
        b_eq=np.ones(problem.starts.size),
        bounds=(0.0, 1.0),
        method="highs-ds",
    )
    return result.fun


def whole_optimum(problem):
    """Least loss of all allocations, or None where none keeps the limits: SciPy's milp on the problem as it stands."""
    ones, costs = matrices(problem)
    result = milp(
        problem.losses,
        integrality=np.ones(problem.units.size),
        bounds=Bounds(0.0, 1.0),
        constraints=[
            LinearConstraint(ones, 1.0, 1.0),
            LinearConstraint(costs, [x.low for x in problem.limits], [x.high for x in problem.limits]),
        ],
        options={"mip_rel_gap": 0.0},
    )
    return None if result.x is None else math.fsum(problem.losses[result.x > 0.5])


@pytest.mark.slow
@pytest.mark.parametrize("most_cost", [1000, 100_000_000])
@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("limits", [1, 2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_prices_prove_the_bound_of_the_linear_programme(seed, limits, two_sided, most_cost):
    # Costs in the millions are scaled for the solver, and the prices are scaled back.
    problem = problem_of(seed, units=40, limits=limits, spread=1.0, two_sided=two_sided, most_cost=most_cost)
    rows = integer_rows(problem)
    priced = price(problem, rows)
    assert priced.bound == pytest.approx(linear_optimum(problem), rel=1e-7)
    assert np.all(priced.prices >= 0.0)
    least = np.minimum.reduceat(priced.reduced, problem.starts)
    assert least == pytest.approx(np.zeros(40), abs=1e-12) and np.all(priced.reduced >= 0.0)
    # The bound is that of these prices: it falls as a budget's price is charged, and rises as its costs are.
    spent = sum(p * row.costs for p, row in zip(priced.prices, rows, strict=True))
    charged = np.minimum.reduceat(problem.losses + spent, problem.starts).sum()
    budget = sum(p * row.limit for p, row in zip(priced.prices, rows, strict=True))
    assert priced.bound == pytest.approx(charged - budget, rel=1e-12)


def test_without_time_for_prices_the_bound_is_that_of_no_limits():
    problem = problem_of(1, units=200)
    priced = price(problem, integer_rows(problem), deadline=time.monotonic() - 1.0)
    least = np.minimum.reduceat(problem.losses, problem.starts).sum()
    assert least * (1.0 - 1e-12) <= priced.bound <= linear_optimum(problem) * (1.0 + 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.05, 1e-3, 1e-9])
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("first_units", [1, 2, 50])
def test_no_allocation_beats_the_bound_however_few_options_are_tried(monkeypatch, seed, first_units, tolerance):
    # With one unit open at first, the best allocation of the core is often not the best of all.
    monkeypatch.setattr(programme_module, "_FIRST_UNITS", first_units)
    problem = problem_of(seed)
    best = whole_optimum(problem)
    rows = integer_rows(problem)
    if best is None:
        with pytest.raises(NoAllocationError) as caught:
            by_programme(problem, rows, tolerance, time.monotonic() + 60.0, "highs")
        assert caught.value.proven
        return
    pick, bound = by_programme(problem, rows, tolerance, time.monotonic() + 60.0, "highs")
    objective = problem.losses[pick].sum()
    assert bound <= best * (1.0 + 1e-9) and best <= objective * (1.0 + 1e-9)
    # What is left between the two is what was asked for, so the bound is no idle one either.
    assert objective - bound <= (tolerance + 1e-8) * objective


def test_what_a_solver_rounds_beyond_a_limit_is_taken_off_it(monkeypatch):
    problem = problem_of(0)
    rows = integer_rows(problem)
    limits = []

    def loose_at_first(losses, *, constraints, **options):
        limits.append(constraints[1].ub.copy())
        if len(limits) == 1:
            wider = np.array([float(row.limit) for row in rows]) * 1.5
            constraints = [constraints[0], LinearConstraint(constraints[1].A, wider, wider)]
        return milp(losses, constraints=constraints, **options)

    monkeypatch.setattr(scipy.optimize, "milp", loose_at_first)
    monkeypatch.setattr(programme_module, "_FIRST_UNITS", problem.starts.size)
    pick, _ = by_programme(problem, rows, 1e-9, time.monotonic() + 60.0, "highs")
    assert all(row.spent(pick) <= row.limit for row in rows)
    assert len(limits) > 1 and np.all(limits[1] <= limits[0]) and np.any(limits[1] < limits[0])


def test_what_was_not_searched_is_not_called_impossible():
    problem = problem_of(0)
    with pytest.raises(NoAllocationError) as caught:
        by_programme(problem, integer_rows(problem), 1e-9, time.monotonic() - 1.0, "highs")
    assert not caught.value.proven


@pytest.mark.slow
@pytest.mark.parametrize("limits", [2, 3])
@pytest.mark.parametrize("tolerance", [0.05, 1e-9])
@pytest.mark.parametrize("seed", range(6))
def test_allocations_under_several_limits_are_certified(seed, tolerance, limits):
    problem = problem_of(seed, units=30, limits=limits, spread=1.0, two_sided=seed % 2 == 1)
    best = whole_optimum(problem)
    if best is None:
        with pytest.raises(InputError, match="no allocation keeps"):
            solve(problem, tolerance=tolerance)
        return
    result = solve(problem, tolerance=tolerance)
    assert result.bound <= best * (1.0 + 1e-9) and best <= result.objective * (1.0 + 1e-9)
    assert result.gap == pytest.approx((result.objective - result.bound) / result.objective, rel=1e-6, abs=1e-15)
    assert result.status == "optimal" and result.gap <= tolerance
    assert result.objective <= best * (1.0 + tolerance + 1e-9)


@pytest.mark.slow
def test_the_bound_of_six_hundred_units_lies_below_their_objective():
    problem = problem_of(1, units=600, spread=1.0, share=0.4)
    loose, tight = solve(problem, tolerance=0.05), solve(problem, tolerance=1e-3)
    relaxed = linear_optimum(problem)
    for result in (loose, tight):
        assert relaxed * (1.0 - 1e-9) <= result.bound < result.objective
    # Neither bound may exceed what the other found.
    assert loose.bound <= tight.objective and tight.bound <= loose.objective


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pulp")
@pytest.mark.parametrize("seed", range(4))
def test_a_complete_search_of_cbc_is_a_bound(seed):
    """Linear prices alone would leave a gap of several percent beside an answer that is proven."""
    pytest.importorskip("pulp", reason="PuLP is not installed")
    problem = problem_of(seed, units=30, spread=1.0)
    result = solve(problem, solver="cbc")
    best = whole_optimum(problem)
    assert result.objective == pytest.approx(best, rel=1e-9)
    assert linear_optimum(problem) * (1.0 - 1e-7) <= result.bound <= best * (1.0 + 1e-12)
    assert result.gap < 1e-6
