"""Limits in whole numbers, so that rounding never decides whether a budget is kept.

Costs that are whole stay so. Decimals, as tables have them, become whole in units of their last digit. Anything else
is rounded up on a grid finer than double precision would sum it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.allocation.problem import Limit, Problem, unit_starts

#: A budget that was computed in floating point counts as reached within this share of itself.
ALLOWANCE = 1e-12
_MOST_DECIMALS = 15
#: Totals up to this are exact in double precision, and leave room in 64 bits.
_EXACT = 2**53


@dataclass(frozen=True)
class Row:
    """One side of a limit: sum of `costs` (N,) int64 >= 0 over the choice <= `limit`, each unit's least cost taken off.

    `slack` below zero says that not even the least costs keep it. `source` is the number of the limit, `sign` -1 where
    it is its lower side, `step` what one unit of cost is worth in the limit's own unit.
    """

    costs: np.ndarray
    limit: int
    source: int
    sign: int
    step: float

    def spent(self, pick: np.ndarray) -> int:
        """Return the exact sum of costs of the options `pick`."""
        return sum(self.costs[pick].tolist())


def integer_rows(problem: Problem) -> list[Row]:
    """Return the sides of the limits that can bind: those that some choice would break."""
    starts = unit_starts(problem.units)
    rows = []
    for source, limit in enumerate(problem.limits):
        for sign, side in ((1, limit.high), (-1, -limit.low)):
            if side == np.inf:
                continue
            costs, bound, step = whole(sign * np.asarray(limit.costs, dtype=float), side * limit.scale)
            least = np.minimum.reduceat(costs, starts)
            costs = costs - least[problem.units]
            left = bound - sum(least.tolist())
            if sum(np.maximum.reduceat(costs, starts).tolist()) > left:
                rows.append(Row(costs, left, source, sign, step / limit.scale))
    return rows


def whole(costs: np.ndarray, limit: float) -> tuple[np.ndarray, int, float]:
    """Return (int64 costs, whole limit, size of one unit): sum(costs) <= limit says what it said before."""
    total = float(np.abs(costs).sum())
    if total == 0.0:
        return np.zeros(costs.shape, dtype=np.int64), int(np.floor(np.clip(limit, -1.0, 1.0))), 1.0
    scale = _decimal_scale(costs, total)
    if scale is not None:
        scaled = np.rint(costs * scale).astype(np.int64)
        allowance = min(ALLOWANCE * abs(limit) * scale, 0.5)
    else:
        scale = _EXACT / 4.0 / total
        scaled = np.ceil(costs * scale).astype(np.int64)
        allowance = ALLOWANCE * total * scale
    # A limit far beyond all costs is clipped to one just beyond them.
    bound = int(np.floor(np.clip(limit * scale + allowance, -2.0 * total * scale - 1.0, 2.0 * total * scale + 1.0)))
    divisor = max(int(np.gcd.reduce(scaled)), 1)
    return scaled // divisor, bound // divisor, divisor / scale


def keeps(rows: Sequence[Row], pick: np.ndarray) -> bool:
    """Return whether the options `pick` keep all rows, in whole numbers."""
    return all(row.spent(pick) <= row.limit for row in rows)


def kept_sum(limit: Limit, pick: np.ndarray) -> float:
    """Return the sum of a limit's costs over `pick` in the limit's own unit, correctly rounded."""
    return math.fsum(np.asarray(limit.costs, dtype=float)[pick].tolist()) / limit.scale


def _decimal_scale(costs: np.ndarray, total: float) -> float | None:
    """Smallest power of ten that makes all costs whole, or None if there is none within double precision."""
    for digits in range(_MOST_DECIMALS + 1):
        scale = 10.0**digits
        if total * scale > (2**61 if digits == 0 else _EXACT):
            return None
        scaled = costs * scale
        if np.all(np.abs(scaled - np.rint(scaled)) <= 4.0 * np.spacing(np.abs(scaled))):
            return scale
    return None
