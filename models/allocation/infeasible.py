"""Why no allocation keeps the limits, and what could be reached: one sentence for a user."""

import time
from dataclasses import replace

import numpy as np

from models.allocation.errors import NoAllocationError
from models.allocation.integers import Row, kept_sum
from models.allocation.problem import Limit, Problem
from models.allocation.programme import by_programme

#: Seconds that finding what could be reached may take, for each limit.
_PATIENCE_S = 10.0


def explain(problem: Problem, rows: list[Row], proven: bool) -> str:
    """Return the limits that cannot be kept with the nearest that can; `proven` says that there is no allocation."""
    if not proven:
        return "no allocation was found in the time given: expected more time, or wider limits"
    alone = [row for row in rows if row.limit < 0]
    if alone:
        return "; ".join(_alone(problem, row) for row in alone)
    reachable = [_together(problem, rows, row) for row in rows]
    return "; ".join(["no allocation keeps all limits together", *(text for text in reachable if text)])


def _alone(problem: Problem, row: Row) -> str:
    limit = problem.limits[row.source]
    extreme = kept_sum(limit, _cheapest(problem, row))
    return f"{_limit_text(limit, row)} cannot be kept: {_side(row)} possible is {_shown(extreme, row)}"


def _together(problem: Problem, rows: list[Row], row: Row) -> str:
    """The least of one limit while the others are kept, or nothing where that too is impossible."""
    others = [other for other in rows if other is not row]
    costs_only = replace(problem, losses=row.costs.astype(float))
    try:
        pick, _ = by_programme(costs_only, others, 0.0, time.monotonic() + _PATIENCE_S, "highs")
    except NoAllocationError:
        return ""
    limit = problem.limits[row.source]
    reached = _shown(kept_sum(limit, pick), row)
    return f"with the others kept, {limit.name} reaches {reached} (asked: {_limit_text(limit, row)})"


def _cheapest(problem: Problem, row: Row) -> np.ndarray:
    return np.lexsort((row.costs, problem.units))[problem.starts]


def _limit_text(limit: Limit, row: Row) -> str:
    return f"{limit.name} <= {limit.high:.12g}" if row.sign > 0 else f"{limit.name} >= {limit.low:.12g}"


def _side(row: Row) -> str:
    return "the least" if row.sign > 0 else "the most"


def _shown(value: float, row: Row) -> str:
    """To nine digits, rounded so that asking for what is shown succeeds."""
    if value == 0.0 or not np.isfinite(value):
        return f"{value:g}"
    digit = 10.0 ** (np.floor(np.log10(abs(value))) - 8)
    away = np.ceil if row.sign > 0 else np.floor
    return f"{away(value / digit - row.sign * 1e-6) * digit:.9g}"
