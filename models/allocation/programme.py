"""Several budgets at once: a mixed-integer programme on what the prices of its linear relaxation leave open.

The linear programme prices each budget. With those prices the Lagrangian bound is computed here, not taken from the
solver, and an option whose reduced loss exceeds the gap can be left out. So a small programme is solved first, and
widened once to what its own solution has not excluded. Losses are counted above the bound and scaled to the gap: a
solver's absolute tolerances are then far below what is being decided.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from models.allocation.cbc import by_cbc
from models.allocation.errors import NoAllocationError
from models.allocation.hull import relax
from models.allocation.integers import Row, keeps
from models.allocation.matrices import one_each, scaled_losses, scaled_rows
from models.allocation.problem import Problem, relative_gap, unit_starts

#: Losses are scaled so that the gap is this; solvers tell differences down to about 1e-6.
_SCALED_GAP = 1e6
#: Seconds for the linear programme, within what its solver takes.
_LEAST_S, _MOST_S = 1e-3, 1e6
#: Units that the first small programme leaves open, for each row.
_FIRST_UNITS = 50
#: How often a row that a solver's rounding broke is tightened.
_TIGHTENED = 5
#: What HiGHS's dual tolerance may be wrong by for each unit, in scaled losses.
_DUAL_TOLERANCE = 1e-7
#: The second programme is this much wider than it need be, for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Prices:
    """Prices >= 0 of the rows (rows,), the `bound` they prove, and each option's loss above its unit's least (N,)."""

    prices: np.ndarray
    bound: float
    reduced: np.ndarray


def price(problem: Problem, rows: list[Row], deadline: float = math.inf) -> Prices:
    """Return the prices at which the linear relaxation is bound; raises `NoAllocationError` if that has no solution.

    One row is priced by its hulls. Prices that a solver could not find in time are zero, and bound all the same.
    """
    units, losses = problem.units, problem.losses
    costs = np.stack([row.costs for row in rows])
    if len(rows) == 1:
        prices = np.array([relax(units, rows[0].costs, losses, rows[0].limit).price])
    else:
        from scipy.optimize import linprog

        above, scale = scaled_losses(problem)
        matrix, limits, steps = scaled_rows(rows)
        result = linprog(
            above,
            A_ub=matrix,
            b_ub=limits,
            A_eq=one_each(units),
            b_eq=np.ones(problem.starts.size),
            bounds=(0, None),
            # Interior points: the simplex method takes minutes where these take seconds.
            method="highs-ipm",
            options={"time_limit": min(max(deadline - time.monotonic(), _LEAST_S), _MOST_S)},
        )
        if result.status == 2:
            raise NoAllocationError(proven=True)
        solved = result.status == 0
        prices = np.maximum(-result.ineqlin.marginals, 0.0) / steps / scale if solved else np.zeros(len(rows))
    charged = losses + prices @ costs
    least = np.minimum.reduceat(charged, problem.starts)
    allowed = math.fsum(p * row.limit for p, row in zip(prices, rows, strict=True))
    return Prices(prices, math.fsum(least.tolist()) - allowed, charged - least[units])


def by_programme(
    problem: Problem, rows: list[Row], tolerance: float, deadline: float, solver: str
) -> tuple[np.ndarray, float]:
    """Return (pick, bound) by HiGHS on the open options, or by CBC on all; raises `NoAllocationError`.

    Parameters
    ----------
    problem : Problem
        Units, losses and limits.
    rows : list of Row
        The limits in whole numbers.
    tolerance : float
        Greatest relative gap of an optimal allocation.
    deadline : float
        Time of `time.monotonic` at which to stop.
    solver : str
        "cbc", or anything else for HiGHS.
    """
    priced = price(problem, rows, deadline)
    if solver == "cbc":
        choice, proven = by_cbc(problem, rows, deadline)
        return choice, max(priced.bound, proven)
    width = _first_width(problem, priced, _FIRST_UNITS * len(rows))
    # One budget always has an allocation to start from.
    best = relax(problem.units, rows[0].costs, problem.losses, rows[0].limit).pick if len(rows) == 1 else None
    while True:
        within = priced.reduced <= width
        everything = bool(within.all())
        pick, core_bound = _core(problem, rows, priced, within, width, tolerance, deadline)
        if pick is not None and (best is None or problem.losses[pick].sum() < problem.losses[best].sum()):
            best = pick
        late = time.monotonic() > deadline
        if best is None:
            if everything or late:
                raise NoAllocationError(proven=everything and core_bound == math.inf)
            width = max(4.0 * width, float(np.min(priced.reduced[~within])))
            continue
        objective = math.fsum(problem.losses[best].tolist())
        # What lies beyond the width costs more than the width; what lies within is bounded by the solver.
        bound = max(priced.bound, min(core_bound, math.inf if everything else priced.bound + width))
        needed = (objective - priced.bound) * (1.0 + _ROUNDING)
        if late or relative_gap(objective, bound, problem.spread) <= tolerance or width == needed:
            return best, bound
        # The width that leaves nothing out; where it was wider, narrower makes the solver's tolerances finer.
        width = needed


def _first_width(problem: Problem, priced: Prices, units: int) -> float:
    """Reduced loss within which `units` units have a second option."""
    order = np.lexsort((priced.reduced, problem.units))
    several = problem.starts[np.bincount(problem.units) > 1]
    seconds = np.append(np.sort(priced.reduced[order[several + 1]]), 1.0)
    # Where so many cost nothing, the first that costs something.
    return float(next(s for s in seconds[min(units, seconds.size - 1) :] if s > 0.0))


def _core(
    problem: Problem,
    rows: list[Row],
    priced: Prices,
    within: np.ndarray,
    width: float,
    tolerance: float,
    deadline: float,
) -> tuple[np.ndarray | None, float]:
    """(best choice among the options `within`, bound on them): None and infinity if there provably is none."""
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    options = np.flatnonzero(within)
    units = problem.units[options]
    matrix, limits, steps = scaled_rows([replace(row, costs=row.costs[options]) for row in rows])
    scale = _SCALED_GAP / width
    no_slack = sparse.csr_matrix((problem.starts.size, len(rows)))
    # The programme's objective is at most the scaled gap, so this relative gap is at most the tolerance of the whole.
    enough = min(tolerance * abs(priced.bound) * scale / _SCALED_GAP, 1.0)
    for _ in range(_TIGHTENED):
        left = deadline - time.monotonic()
        if left <= 0:
            return None, -math.inf
        # Slack of a row has its price as loss, so that objective is exactly what lies above the bound.
        result = milp(
            np.concatenate([priced.reduced[options], priced.prices * steps]) * scale,
            integrality=np.concatenate([np.ones(options.size), np.zeros(len(rows))]),
            bounds=Bounds(0.0, np.concatenate([np.ones(options.size), np.full(len(rows), np.inf)])),
            constraints=[
                LinearConstraint(sparse.hstack([one_each(units), no_slack]), 1.0, 1.0),
                LinearConstraint(sparse.hstack([matrix, sparse.identity(len(rows))]), limits, limits),
            ],
            options={"mip_rel_gap": enough, "time_limit": left},
        )
        if result.status == 2:
            return None, math.inf
        bound = -math.inf if result.mip_dual_bound is None else float(result.mip_dual_bound)
        bound = priced.bound + (bound - _DUAL_TOLERANCE * problem.starts.size) / scale
        if result.x is None:
            return None, bound
        chosen = options[np.lexsort((-result.x[: options.size], units))[unit_starts(units)]]
        if keeps(rows, chosen):
            return chosen, bound
        over = [max(row.spent(chosen) - row.limit, 0) for row in rows]
        limits = limits - np.array(over) / steps
    return None, bound
