"""One budget, relaxed: convex hulls, the best price of a unit of cost, a bound, and a first allocation.

With a price on cost the units fall apart, and the sum of each unit's least loss + price x cost, less price x budget, is
below every allocation that keeps the budget. Sorting the slopes of the units' lower hulls finds the price at which this
bound is highest: Sinha and Zoltners, "The Multiple-Choice Knapsack Problem", Operations Research 27(3), 1979.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import Record
from models.allocation.problem import unit_starts


@dataclass(frozen=True)
class Relaxation(Record):
    """`price` of a unit of cost, the `bound` it gives, and `pick` int array (units,), which keeps the budget."""

    price: float
    bound: float
    pick: np.ndarray


def lower_hull(units: np.ndarray, costs: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return the options on each unit's lower hull, int array: cost rising, loss falling ever more slowly.

    All units at once. A point above the chord of two others is on no hull, so any number of points may go in a pass.
    """
    hull = np.lexsort((losses, costs, units))
    while True:
        unit, cost, loss = units[hull], costs[hull], losses[hull]
        same = unit[1:] == unit[:-1]
        worse = np.append(False, same & (loss[1:] >= loss[:-1]))
        if worse.any():
            hull = hull[~worse]
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (loss[1:] - loss[:-1]) / (cost[1:] - cost[:-1])
        above = np.zeros(hull.size, dtype=bool)
        above[1:-1] = same[1:] & same[:-1] & (slope[:-1] >= slope[1:])
        if not above.any():
            return hull
        hull = hull[~above]


@dataclass(frozen=True)
class Steps(Record):
    """Steps along the hulls from least cost to least loss, best first: losses saved and costs paid, `units` (steps,).

    `hull` int array of options, `first` the place in it of each unit's cheapest, `inner` (steps,) of each step's start.
    """

    hull: np.ndarray
    first: np.ndarray
    inner: np.ndarray
    units: np.ndarray
    saved: np.ndarray
    paid: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """Loss saved a unit of cost, falling, (steps,)."""
        return self.saved / self.paid


def steps(units: np.ndarray, costs: np.ndarray, losses: np.ndarray) -> Steps:
    """Return the steps of all units in the order in which a growing budget takes them."""
    hull = lower_hull(units, costs, losses)
    unit, cost, loss = units[hull], costs[hull], losses[hull]
    inner = np.flatnonzero(unit[1:] == unit[:-1])
    saved, paid = loss[inner] - loss[inner + 1], cost[inner + 1] - cost[inner]
    order = np.argsort(-(saved / paid), kind="stable")
    inner = inner[order]
    return Steps(hull, unit_starts(unit), inner, unit[inner], saved[order], paid[order])


def relax(units: np.ndarray, costs: np.ndarray, losses: np.ndarray, limit: int) -> Relaxation:
    """Return the relaxation of: least sum of losses with sum of `costs` (whole, each unit's least is 0) <= `limit`.

    Parameters
    ----------
    units : ndarray of int, (N,)
        Unit of each option, in order.
    costs : ndarray of int, (N,)
        Whole costs, 0 for the cheapest option of each unit.
    losses : ndarray, (N,)
        Losses of the options.
    limit : int
        Budget: the greatest sum of costs.
    """
    path = steps(units, costs, losses)
    taken = int(np.searchsorted(np.cumsum(path.paid), limit, side="right"))
    price = float(path.slopes[taken]) if taken < path.paid.size else 0.0
    level = np.bincount(path.units[:taken], minlength=path.first.size)
    left = limit - int(path.paid[:taken].sum())
    # What is left of the budget goes to later steps that fit; a unit whose step does not fit takes none after it.
    blocked = np.zeros(level.size, dtype=bool)
    for unit, paid in zip(path.units[taken:].tolist(), path.paid[taken:].tolist(), strict=True):
        if blocked[unit]:
            continue
        if paid <= left:
            left -= paid
            level[unit] += 1
        else:
            blocked[unit] = True
    bound = priced_bound(units, losses, costs * price, price * limit)
    return Relaxation(price, bound, path.hull[path.first + level])


def priced_bound(units: np.ndarray, losses: np.ndarray, charges: np.ndarray, allowed: float) -> float:
    """Return the Lagrangian bound for `charges` (N,), each option's price x cost, and `allowed`, price x limit.

    It holds for any prices >= 0.

    Parameters
    ----------
    units : ndarray of int, (N,)
        Unit of each option, in order.
    losses : ndarray, (N,)
        Losses of the options.
    charges : ndarray, (N,)
        Price x cost of each option, summed over limits.
    allowed : float
        Price x limit, summed over limits.
    """
    return float(np.minimum.reduceat(losses + charges, unit_starts(units)).sum() - allowed)
