"""Pareto fronts in any number of objectives: exact, for millions of points; the knee; and dominators of a point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from hwbase import InputError, Record, unknown_name
from hwbase.record import plain

Direction = Literal["min", "max"]
#: Points compared with the front at once; the comparisons of a block fit a cache.
_BLOCK = 2048
#: Good points that are compared with all others first, to leave fewer for the exact comparison.
_PIVOTS = 64


@dataclass(frozen=True)
class Dominators(Record):
    """The front points that dominate a point, with the gain in each objective."""

    point: pd.Series
    better: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Return the point and its dominators as rows, in types of JSON."""
        return {"point": plain(self.point.to_dict()), "better": plain(self.better.to_dict(orient="records"))}

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each dominator; columns `OBJECTIVE_better_by` are shares of the point's value."""
        return self.better


def front_mask(costs: np.ndarray) -> np.ndarray:
    """Return which rows of `costs`, shape (points, objectives), no other row dominates; less is better.

    A row dominates another if it is nowhere worse and somewhere better; equal rows are kept together. Rows with a NaN
    are never on the front. Exact: good points first remove those that they dominate; the rest is compared in order of
    its sum, in which no row is dominated by a later one (sort-filter-skyline: Chomicki et al., ICDE 2003). Raises
    `InputError` unless there are two dimensions and an objective.
    """
    costs = np.asarray(costs, dtype=float)
    if costs.ndim != 2 or costs.shape[1] == 0:
        raise InputError(f"costs have the shape {costs.shape}: expected (points, objectives)")
    alive = np.flatnonzero(~np.isnan(costs).any(axis=1))
    mask = np.zeros(len(costs), dtype=bool)
    if not alive.size:
        return mask
    left = costs[alive]
    for pivot in _pivots(left):
        beaten = np.all(left >= pivot, axis=1) & np.any(left > pivot, axis=1)
        alive, left = alive[~beaten], left[~beaten]
    ranks = _ranks(left)
    order = np.argsort(ranks.sum(axis=1), kind="stable")
    alive, ranks = alive[order], ranks[order]
    kept = np.empty((0, ranks.shape[1]), dtype=ranks.dtype)
    for start in range(0, len(ranks), _BLOCK):
        block = ranks[start : start + _BLOCK]
        fresh = np.flatnonzero(~_beaten(block, kept))
        fresh = fresh[~_beaten(block[fresh], block[fresh])]
        mask[alive[start + fresh]] = True
        kept = np.concatenate([kept, block[fresh]])
    return mask


def front(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> pd.DataFrame:
    """Return the rows of `frame` that no other row dominates in `objectives` (column -> "min" or "max").

    Rows keep their order and index. Raises `InputError` for an unknown column or direction, or a column of text.
    """
    return frame[front_mask(costs_of(frame, objectives))]


def knee(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> Any:
    """Return the index label of the row of a front that is farthest towards the ideal point.

    Each objective is scaled to the front's own range (its logarithm where all are of one sign and span a factor of ten
    or more), so the extremes lie on the plane of sum 1; the knee is farthest below it (Das, Structural Optimization
    18, 1999). Raises `InputError` for an empty front, and as `front` does.
    """
    costs = costs_of(frame, objectives)
    usable = ~np.isnan(costs).any(axis=1)
    if not usable.any():
        raise InputError("the front is empty: there is no knee")
    scaled = np.column_stack([_scaled(column, usable) for column in costs.T])
    return frame.index[int(np.argmin(np.where(usable, scaled.sum(axis=1), np.inf)))]


def dominators(frame: pd.DataFrame, objectives: Mapping[str, Direction], label: Any) -> Dominators:
    """Return the front points of `frame` that dominate the row `label`, the largest gains first.

    Raises `InputError` for an unknown row, and as `front` does.
    """
    if label not in frame.index:
        raise InputError(f"point = {label!r}: expected one of the {len(frame):,} points of the study")
    best = front(frame, objectives)
    own_costs, other_costs = costs_of(frame.loc[[label]], objectives)[0], costs_of(best, objectives)
    if np.isnan(own_costs).any():
        raise InputError(f"point {label} has no value in {', '.join(objectives)}: it failed or is not comparable")
    beats = np.all(other_costs <= own_costs, axis=1) & np.any(other_costs < own_costs, axis=1)
    with np.errstate(all="ignore"):
        gains = (own_costs - other_costs[beats]) / np.abs(own_costs)
    better = best[beats].copy()
    for i, name in enumerate(objectives):
        better.insert(i, f"{name}_better_by", gains[:, i])
    order = np.argsort(-np.nansum(gains, axis=1), kind="stable")
    return Dominators(frame.loc[label], better.iloc[order])


def costs_of(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> np.ndarray:
    """Return the objectives' columns as costs, shape (rows, objectives): maximised columns change sign.

    Infinities are taken as NaN. Raises `InputError` for an unknown name or direction.
    """
    if not objectives:
        raise InputError("objectives are empty: expected a column and 'min' or 'max'")
    columns = []
    for name, direction in objectives.items():
        if name not in frame.columns:
            raise unknown_name("objective", name, frame.columns)
        if direction not in get_args(Direction):
            raise unknown_name(f"direction of {name}:", direction, get_args(Direction))
        try:
            values = frame[name].to_numpy(dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"objective {name} is not a number: expected a column of numbers") from None
        columns.append(np.where(np.isfinite(values), -values if direction == "max" else values, np.nan))
    return np.column_stack(columns)


def _ranks(costs: np.ndarray) -> np.ndarray:
    """Return dense ranks by column: they compare like the costs, and their sums neither overflow nor round."""
    return np.column_stack([np.unique(column, return_inverse=True)[1] for column in costs.T]).astype(np.int64)


def _pivots(costs: np.ndarray) -> np.ndarray:
    """Return a few rows that are good in all objectives or best in one."""
    low, high = costs.min(axis=0), costs.max(axis=0)
    with np.errstate(all="ignore"):
        # A logarithm where possible, so that one outlier does not make all others look equal. Infinities only make the
        # choice of rows worse, not the result.
        level = np.log(costs) if np.all(low > 0) else (costs - low) / np.where(high > low, high - low, 1.0)
    good: Sequence[np.ndarray] = [level.sum(axis=1), level.max(axis=1), *level.T]
    each = max(_PIVOTS // len(good), 1)
    chosen = [np.argpartition(score, min(each, len(score) - 1))[:each] for score in good]
    pivots = np.unique(np.concatenate(chosen))
    # The best in all objectives first, to leave fewer for the next.
    return costs[pivots[np.argsort(good[0][pivots])]]


def _beaten(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of `rows` are dominated by one of `others`."""
    beaten = np.zeros(len(rows), dtype=bool)
    for start in range(0, len(others), _BLOCK):
        part = others[start : start + _BLOCK]
        left = np.flatnonzero(~beaten)
        no_worse = np.ones((left.size, len(part)), dtype=bool)
        better = np.zeros_like(no_worse)
        for column in range(rows.shape[1]):
            own_costs, other_costs = rows[left, column, None], part[None, :, column]
            no_worse &= other_costs <= own_costs
            better |= other_costs < own_costs
        beaten[left] = (no_worse & better).any(axis=1)
    return beaten


def _scaled(column: np.ndarray, usable: np.ndarray) -> np.ndarray:
    values = column[usable]
    low, high = values.min(), values.max()
    if np.sign(low) * np.sign(high) > 0 and max(abs(low), abs(high)) / 10.0 >= min(abs(low), abs(high)):
        # -log|c| grows with c where costs are negative (an objective that is maximised).
        column = np.sign(low) * np.log(np.abs(np.where(usable, column, low)))
        low, high = column[usable].min(), column[usable].max()
    # Halves, because the difference of two floats may overflow.
    span = high / 2 - low / 2
    return (column / 2 - low / 2) / span if span > 0 else np.zeros_like(column)
