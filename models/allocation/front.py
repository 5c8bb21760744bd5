"""Every budget at once: the whole curve of least loss against cost."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hwbase import InputError
from hwbase.check import number
from models.allocation.hull import steps
from models.allocation.integers import whole
from models.allocation.problem import Problem
from models.allocation.solve import TOLERANCE, solve

#: More budgets than this in one call is a mistake.
_MOST_BUDGETS = 100_000


def front(
    problem: Problem,
    budgets: Sequence[float] | np.ndarray | None = None,
    *,
    tolerance: float = TOLERANCE,
    time_limit_s: float = 60.0,
    solver: str = "own",
) -> pd.DataFrame:
    """Return the front of loss over the problem's first limit: a row for each budget, or for each corner.

    With `budgets`, in the unit of that limit, each is solved with all other limits kept; those that nothing keeps are
    left out. Without, the problem must have that limit alone, and the rows are the corners of the front's lower hull,
    all of them optimal: between two corners the front lies above the line that joins them. Columns: budget, cost (what
    is spent of it), objective, bound, gap, status. Raises `InputError`.

    Parameters
    ----------
    problem : Problem
        Its first limit is the one that varies.
    budgets : array_like, optional
        Budgets in the unit of that limit; the corners of the hull unless given.
    tolerance : float
        Greatest relative gap of an optimal allocation. Default 1e-9.
    time_limit_s : float
        Seconds for each budget. Default 60.
    solver : str
        As in `solve`. Default "own".
    """
    if not problem.limits:
        raise InputError("a front needs a budget: expected at least one limit")
    if budgets is None:
        if len(problem.limits) > 1:
            raise InputError(f"the corners of a front hold for one limit, not {len(problem.limits)}: expected budgets")
        return _corners(problem)
    grid = np.atleast_1d(number("budgets", budgets, low=-1e30))
    if grid.ndim > 1:
        raise InputError(f"budgets has shape {grid.shape}: expected a list of numbers")
    if grid.size > _MOST_BUDGETS:
        raise InputError(f"{grid.size:,} budgets: expected at most {_MOST_BUDGETS:,}")
    axis, others = problem.limits[0], problem.limits[1:]
    rows, reason = [], ""
    for budget in grid:
        limited = replace(problem, limits=(replace(axis, high=float(budget), low=-np.inf), *others))
        try:
            result = solve(limited, tolerance=tolerance, time_limit_s=time_limit_s, solver=solver)
        except InputError as error:
            reason = str(error)
            continue
        cost = float(np.asarray(axis.costs)[result.pick].sum() / axis.scale)
        rows.append((float(budget), cost, result.objective, result.bound, result.gap, result.status))
    if not rows:
        raise InputError(f"no budget of the front can be kept: {reason}")
    return _frame(rows)


def _corners(problem: Problem) -> pd.DataFrame:
    axis = problem.limits[0]
    costs, _, _ = whole(np.asarray(axis.costs, dtype=float), 0.0)
    path = steps(problem.units, costs, problem.losses)
    start = path.hull[path.first]
    paid = np.cumsum(np.diff(np.asarray(axis.costs, dtype=float)[path.hull])[path.inner])
    cost = (np.asarray(axis.costs)[start].sum() + np.append(0.0, paid)) / axis.scale
    loss = problem.losses[start].sum() - np.append(0.0, np.cumsum(path.saved))
    # Steps of one slope lie on one line: the corner is at its end.
    slopes = path.slopes
    corner = np.append(True, np.append(slopes[1:] < slopes[:-1], True)[: slopes.size]) if slopes.size else [True]
    return _frame([(c, c, x, x, 0.0, "optimal") for c, x in zip(cost[corner], loss[corner], strict=True)])


def _frame(rows: Sequence[tuple[float, float, float, float, float, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["budget", "cost", "objective", "bound", "gap", "status"])
