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
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from models.allocation.cbc import by_cbc
from models.allocation.errors import NoAllocationError
from models.allocation.integers import Row, keeps
from models.allocation.matrices import one_each, scaled_rows
from models.allocation.problem import Problem, relative_gap, unit_starts

#: Losses are scaled so that the gap is this; solvers tell differences down to about 1e-6.
_SCALED_GAP = 1e6
#: Reduced losses, as a share of all: what the first small programme takes in.
_FIRST_SHARE = 0.02
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


def price(problem: Problem, rows: list[Row]) -> Prices:
    """Return the prices at which the linear relaxation is bound; raises `NoAllocationError` if that has no solution."""
    units, losses = problem.units, problem.losses
    scale = max(float(np.ptp(losses)), np.finfo(float).tiny)
    matrix, limits, steps = scaled_rows(rows)
    found = linprog(
        losses / scale,
        A_ub=matrix,
        b_ub=limits,
        A_eq=one_each(units),
        b_eq=np.ones(problem.starts.size),
        bounds=(0, None),
        method="highs",
    )
    if found.status == 2:
        raise NoAllocationError(proven=True)
    prices = np.zeros(len(rows))
    if found.status == 0:
        prices = np.maximum(-found.ineqlin.marginals, 0.0) * scale / steps
    costs = np.stack([row.costs for row in rows])
    charged = losses + prices @ costs
    least = np.minimum.reduceat(charged, problem.starts)
    allowed = math.fsum(p * row.limit for p, row in zip(prices, rows, strict=True))
    return Prices(prices, math.fsum(least.tolist()) - allowed, charged - least[units])


def by_programme(
    problem: Problem, rows: list[Row], tolerance: float, deadline: float, solver: str
) -> tuple[np.ndarray, float]:
    """Return (pick, bound) by HiGHS on the open options, or by CBC on all; raises `NoAllocationError`."""
    priced = price(problem, rows)
    if solver == "cbc":
        return by_cbc(problem, rows, deadline), priced.bound
    width = _FIRST_SHARE * max(float(priced.reduced.max()), float(np.ptp(problem.losses))) or 1.0
    best: np.ndarray | None = None
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
        found = milp(
            np.concatenate([priced.reduced[options], priced.prices * steps]) * scale,
            integrality=np.concatenate([np.ones(options.size), np.zeros(len(rows))]),
            bounds=Bounds(0.0, np.concatenate([np.ones(options.size), np.full(len(rows), np.inf)])),
            constraints=[
                LinearConstraint(sparse.hstack([one_each(units), no_slack]), 1.0, 1.0),
                LinearConstraint(sparse.hstack([matrix, sparse.identity(len(rows))]), limits, limits),
            ],
            options={"mip_rel_gap": enough, "time_limit": left},
        )
        if found.status == 2:
            return None, math.inf
        bound = -math.inf if found.mip_dual_bound is None else float(found.mip_dual_bound)
        bound = priced.bound + (bound - _DUAL_TOLERANCE * problem.starts.size) / scale
        if found.x is None:
            return None, bound
        chosen = options[np.lexsort((-found.x[: options.size], units))[unit_starts(units)]]
        if keeps(rows, chosen):
            return chosen, bound
        over = [max(row.spent(chosen) - row.limit, 0) for row in rows]
        limits = limits - np.array(over) / steps
    return None, bound
