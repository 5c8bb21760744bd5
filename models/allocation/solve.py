"""The front door: splits a problem into independent parts, solves each, and certifies the whole."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.check import non_negative, positive
from models.allocation.dynamic import improve
from models.allocation.errors import NoAllocationError
from models.allocation.hull import relax
from models.allocation.infeasible import explain
from models.allocation.integers import Row, integer_rows, keeps
from models.allocation.problem import Limit, Problem, Solution, relative_gap
from models.allocation.programme import by_programme

Solver = Literal["own", "highs", "cbc"]
SOLVERS: tuple[str, ...] = get_args(Solver)
#: A gap within this is a proof, as far as sums of doubles can prove.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class _Part:
    """Units that share limits, and the rows that can bind on them; `options` are their places in the whole."""

    problem: Problem
    rows: list[Row]
    options: np.ndarray


def solve(
    problem: Problem, *, tolerance: float = TOLERANCE, time_limit_s: float = 60.0, solver: str = "own"
) -> Solution:
    """Return the allocation of least loss that keeps every limit, with a bound that no allocation can beat.

    "own" solves one budget by hull, price and dynamic programming, and several by a mixed-integer programme (HiGHS) on
    what the prices of the linear programme leave open; "highs" always takes the programme; "cbc" hands it whole to CBC
    through PuLP. `status` is "optimal" only if the gap is proven to be within `tolerance`, otherwise "feasible". Raises
    `InputError` if no allocation keeps the limits (saying which one and what could be reached), or if none was found
    in time.

    Parameters
    ----------
    problem : Problem
        Units, losses and limits.
    tolerance : float
        Greatest relative gap of an optimal allocation, 0 to 1. Default 1e-9.
    time_limit_s : float
        Seconds to search. Default 60.
    solver : str
        One of `SOLVERS`. Default "own".

    Examples
    --------
    >>> units, bits = np.array([0, 0, 1, 1]), np.array([4.0, 8.0, 4.0, 8.0])
    >>> losses = np.array([0.5, 0.1, 0.9, 0.2])
    >>> result = solve(Problem(units, losses, (Limit("bits", bits, high=12.0),)))
    >>> result.pick.tolist(), round(result.objective, 6), result.status
    ([0, 3], 0.7, 'optimal')
    """
    if solver not in SOLVERS:
        raise unknown_name("solver", solver, SOLVERS)
    non_negative("tolerance", tolerance, high=1.0)
    positive("time_limit_s", time_limit_s)
    deadline = time.monotonic() + time_limit_s
    pick = np.empty(problem.starts.size, dtype=np.int64)
    bounds = []
    rows = integer_rows(problem)
    for part in _parts(problem, rows):
        try:
            part_pick, bound = _solve_part(part, tolerance, deadline, solver)
        except NoAllocationError as failure:
            raise InputError(explain(problem, rows, failure.proven)) from None
        pick[problem.units[part.options[part_pick]]] = part.options[part_pick]
        bounds.append(bound)
    objective = math.fsum(problem.losses[pick].tolist())
    bound = min(math.fsum(bounds), objective)
    gap = relative_gap(objective, bound, problem.spread)
    return Solution(pick, objective, bound, gap, "optimal" if gap <= tolerance else "feasible", solver)


def _parts(problem: Problem, rows: list[Row]) -> Iterator[_Part]:
    """Units that no row connects are problems of their own."""
    count = problem.starts.size
    touched = [np.unique(problem.units[row.costs > 0]) for row in rows]
    edges = np.concatenate([np.empty(0, dtype=np.int64), *touched])
    ends = np.repeat(count + np.arange(len(rows)), [t.size for t in touched])
    size = count + len(rows)
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    graph = sparse.coo_matrix((np.ones(edges.size), (edges, ends)), shape=(size, size))
    parts, label = connected_components(graph, directed=False)
    if parts == 1:
        yield _Part(problem, rows, np.arange(problem.units.size))
        return
    # Units that no row touches have no limits, so they are solved together.
    free = np.setdiff1d(np.arange(count), edges)
    label[free] = parts
    for part in np.unique(label):
        own = [row for number, row in enumerate(rows) if label[count + number] == part]
        options = np.flatnonzero(label[:count][problem.units] == part)
        if options.size == 0:
            # A row that no unit can change, and that does not hold.
            raise InputError(explain(problem, rows, proven=True))
        units = np.unique(problem.units[options], return_inverse=True)[1]
        inside = Problem(units, problem.losses[options], _only(problem, options))
        yield _Part(inside, [replace(row, costs=row.costs[options]) for row in own], options)


def _only(problem: Problem, options: np.ndarray) -> tuple[Limit, ...]:
    return tuple(replace(limit, costs=np.asarray(limit.costs)[options]) for limit in problem.limits)


def _solve_part(part: _Part, tolerance: float, deadline: float, solver: str) -> tuple[np.ndarray, float]:
    units, losses = part.problem.units, part.problem.losses
    if any(row.limit < 0 for row in part.rows):
        raise NoAllocationError(proven=True)
    if not part.rows:
        pick = np.lexsort((losses, units))[part.problem.starts]
        return pick, math.fsum(losses[pick].tolist())
    if solver != "own":
        return by_programme(part.problem, part.rows, tolerance, deadline, solver)
    bounds = []
    for row in part.rows:
        # If the best allocation within one budget keeps the others, it is the best within all.
        relaxation = relax(units, row.costs, losses, row.limit)
        slack = tolerance * abs(float(losses[relaxation.pick].sum()))
        pick, bound = improve(units, row.costs, losses, row.limit, relaxation, slack, deadline)
        if keeps(part.rows, pick):
            return pick, bound
        bounds.append(bound)
    pick, bound = by_programme(part.problem, part.rows, tolerance, deadline, solver)
    return pick, max(bound, *bounds)
