"""One budget, exactly: dynamic programming over the few options that a bound leaves open.

An option whose reduced loss (its loss + price x cost, above its unit's least) exceeds the gap cannot be part of a
better allocation. What remains is listed unit by unit as states (cost, loss) of which none is both dearer and worse
than another, and a state whose own bound reaches the best allocation is dropped. Pisinger, "A minimal algorithm for
the multiple-choice knapsack problem", European Journal of Operational Research 83(2), 1995.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from models.allocation.exchange import exchange
from models.allocation.hull import Relaxation
from models.allocation.problem import unit_starts

#: States kept after a unit; those with the highest bounds go first, and the bound says so.
MOST_STATES = 200_000
#: States kept over all units, for tracing choices back: 12 bytes each.
_MOST_TRACED = 20_000_000
#: Reduced losses are differences of sums: this share of what they are made of is rounding.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class _Layer:
    """Options of one open unit relative to its base: `options` int array, `extra` cost, `reduced` loss."""

    unit: int
    options: np.ndarray
    extra: np.ndarray
    reduced: np.ndarray


@dataclass(frozen=True)
class _Known:
    """What a search starts from: the best `pick` so far, `best` above the bound, and how far to go."""

    pick: np.ndarray
    best: float
    tolerance: float
    deadline: float


def improve(
    units: np.ndarray,
    costs: np.ndarray,
    losses: np.ndarray,
    limit: int,
    relaxation: Relaxation,
    tolerance: float = 0.0,
    deadline: float = math.inf,
) -> tuple[np.ndarray, float]:
    """Return (pick, bound): the best allocation, or one within `tolerance` of the best, and a bound on the best.

    `costs` are whole, `tolerance` is in units of loss, and `deadline` a time of `time.monotonic`. Where states had to
    be dropped for want of room or time, the bound is what they might have led to.

    Parameters
    ----------
    units : ndarray of int, (N,)
        Unit of each option: 0, 0, ..., 1, 1, ... in order.
    costs : ndarray of int, (N,)
        Whole costs, 0 for the cheapest option of each unit.
    losses : ndarray, (N,)
        Losses of the options.
    limit : int
        Budget: the greatest sum of costs.
    relaxation : Relaxation
        What `relax` returns for the same arguments.
    tolerance : float
        Distance from the best allocation that will do, in units of loss. Default 0.
    deadline : float
        Time of `time.monotonic` at which to stop. Default never.
    """
    starts = unit_starts(units)
    charged = losses + relaxation.price * costs
    least = np.minimum.reduceat(charged, starts)
    reduced = charged - least[units]
    rounding = _ROUNDING * float(np.abs(least).sum() + abs(relaxation.price) * limit)
    tolerance = max(tolerance, rounding)
    base = _base(units, reduced, costs)
    room = limit - int(costs[base].sum())
    # The better the allocation that is known, the fewer options are left to look at.
    pick = exchange(units, costs, losses, limit, relaxation.pick)
    best = float(losses[pick].sum()) - relaxation.bound
    if best <= tolerance:
        return pick, relaxation.bound
    layers = _layers(units, reduced, costs, reduced <= best + rounding, base)
    return _search(layers, base, room, relaxation, _Known(pick, best, tolerance, deadline))


def _base(units: np.ndarray, reduced: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """The option of least reduced loss of each unit, the cheaper of equals."""
    order = np.lexsort((costs, reduced, units))
    return order[unit_starts(units)]


def _layers(
    units: np.ndarray, reduced: np.ndarray, costs: np.ndarray, open_options: np.ndarray, base: np.ndarray
) -> list[_Layer]:
    """Units with more than their base open, those that are cheapest to change first."""
    candidates = np.flatnonzero(open_options)
    several = np.bincount(units[candidates], minlength=base.size) > 1
    candidates = candidates[several[units[candidates]]]
    if candidates.size == 0:
        return []
    owners, where = np.unique(units[candidates], return_index=True)
    parts = zip(owners.tolist(), np.split(candidates, where[1:]), strict=True)
    layers = [_Layer(unit, part, costs[part] - costs[base[unit]], reduced[part]) for unit, part in parts]
    return sorted(layers, key=lambda layer: float(np.partition(layer.reduced, 1)[1]))


def _search(
    layers: list[_Layer], base: np.ndarray, room: int, relaxation: Relaxation, known: _Known
) -> tuple[np.ndarray, float]:
    """Everything is counted from the base and the bound: a state has spent `cost` of `room`, and lost `reduced`.

    A finished state's objective is bound + reduced + price x (room - cost).
    """
    price, best, tolerance = relaxation.price, known.best, known.tolerance
    # The least and the most that later layers can still add to the cost.
    low = np.cumsum([0, *(int(layer.extra.min()) for layer in reversed(layers))])[::-1]
    high = np.cumsum([0, *(int(layer.extra.max()) for layer in reversed(layers))])[::-1]
    cost, reduced = np.zeros(1, dtype=np.int64), np.zeros(1)
    most = min(MOST_STATES, max(_MOST_TRACED // max(len(layers), 1), 1000))
    trail: list[tuple[np.ndarray, np.ndarray]] = []
    dropped, winner = np.inf, None
    if room >= 0 and price * room < best:
        best, winner = price * room, (0, 0)
    for depth, layer in enumerate(layers, start=1):
        if time.monotonic() > known.deadline:
            dropped = min(dropped, float(reduced.min()))
            break
        width = layer.extra.size
        cost = (cost[:, None] + layer.extra).ravel()
        reduced = (reduced[:, None] + layer.reduced).ravel()
        reach = reduced + price * np.maximum(room - cost - high[depth], 0)
        possible = cost + low[depth] <= room
        hopeful = possible & (reach < best - tolerance)
        dropped = min(dropped, float(np.min(reach[possible & ~hopeful], initial=np.inf)))
        kept = np.flatnonzero(hopeful)
        kept = kept[_undominated(cost[kept], (reduced - price * cost)[kept])]
        if kept.size > most:
            order = np.argpartition(reach[kept], most)
            dropped = min(dropped, float(reach[kept[order[most:]]].min()))
            kept = kept[np.sort(order[:most])]
        trail.append((kept // width, kept % width))
        cost, reduced = cost[kept], reduced[kept]
        if kept.size == 0:
            break
        value = np.where(cost <= room, reduced + price * (room - cost), np.inf)
        if value.min() < best:
            # Later units keep their base.
            best, winner = float(value.min()), (depth, int(value.argmin()))
    pick = known.pick if winner is None else _trace(layers, base, trail, *winner)
    return pick, relaxation.bound + max(min(best, dropped), 0.0)


def _undominated(cost: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Places, in order, of the states that no other matches in both cost and loss."""
    order = np.lexsort((loss, cost))
    loss = loss[order]
    if order.size == 0:
        return order
    better = np.append(True, loss[1:] < np.minimum.accumulate(loss)[:-1])
    return np.sort(order[better])


def _trace(
    layers: list[_Layer], base: np.ndarray, trail: list[tuple[np.ndarray, np.ndarray]], depth: int, state: int
) -> np.ndarray:
    """The options that led to a state, the base elsewhere."""
    pick = base.copy()
    for layer, (parents, choices) in zip(reversed(layers[:depth]), reversed(trail[:depth]), strict=True):
        pick[layer.unit] = layer.options[choices[state]]
        state = int(parents[state])
    return pick
