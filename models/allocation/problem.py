"""What is to be chosen: units with options, their losses, and limits on sums of costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwbase import InputError, Record
from hwbase.check import ABSURD, number, positive

Status = Literal["optimal", "feasible"]
#: A gap is relative to the objective, but to no less than this share of all that the choice can change.
LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Limit(Record):
    """A limit on the sum of `costs` (N,) over the chosen options: low <= sum / scale <= high.

    `scale` turns a sum into the unit that `name`, `low` and `high` speak of: the number of weights for mean bits.
    """

    name: str
    costs: np.ndarray
    high: float = np.inf
    low: float = -np.inf
    scale: float = 1.0


@dataclass(frozen=True)
class Problem(Record):
    """One option of each unit is chosen so that the sum of `losses` is least and every limit is kept.

    `units` int array (N,) says whose option each is: 0, 0, 0, 1, 1, ... without a gap; `losses` (N,) are finite, of
    either sign and in any order. Raises `InputError` for anything else.
    """

    units: np.ndarray
    losses: np.ndarray
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        units = np.asarray(self.units)
        if units.size == 0:
            raise InputError("there is nothing to choose: expected at least one option")
        steps = np.diff(units)
        if units.ndim != 1 or units[0] != 0 or not np.isin(steps, (0, 1)).all():
            raise InputError("units: expected 0, 0, ..., 1, 1, ... in order and without a gap")
        number("losses", self.losses, low=-ABSURD)
        for limit in self.limits:
            number(f"costs of {limit.name}", limit.costs, low=-ABSURD)
            positive(f"scale of {limit.name}", limit.scale)
            if np.isnan(limit.low) or np.isnan(limit.high) or limit.low > limit.high:
                raise InputError(f"{limit.name} from {limit.low:g} to {limit.high:g}: expected low <= high")
        for what, values in (("losses", self.losses), *((f"costs of {x.name}", x.costs) for x in self.limits)):
            if np.shape(values) != units.shape:
                raise InputError(f"{what} has shape {np.shape(values)}: expected {units.shape}")

    @property
    def starts(self) -> np.ndarray:
        """First option of each unit, int array (units,)."""
        return unit_starts(self.units)

    @property
    def spread(self) -> float:
        """Sum over units of largest minus least loss: all that the choice can change."""
        starts = self.starts
        return float(np.sum(np.maximum.reduceat(self.losses, starts) - np.minimum.reduceat(self.losses, starts)))


@dataclass(frozen=True)
class Solution(Record):
    """`pick` int array (units,): the option chosen for each. `bound` is below every allocation's objective.

    `gap` is (objective - bound) / |objective|; `status` is "optimal" only where it is within the tolerance asked for.
    """

    pick: np.ndarray
    objective: float
    bound: float
    gap: float
    status: Status
    solver: str
    notes: tuple[str, ...] = ()


def unit_starts(units: np.ndarray) -> np.ndarray:
    """Return the first option of each unit of sorted `units` (N,), int array (units,)."""
    return np.flatnonzero(np.diff(units, prepend=-1))


def relative_gap(objective: float, bound: float, spread: float) -> float:
    """Return (objective - bound) / |objective|; where the objective is next to nothing, over a share of `spread`."""
    difference = max(objective - bound, 0.0)
    return difference / max(abs(objective), LEAST_SHARE * spread) if difference else 0.0


def tie(
    units: np.ndarray, labels: np.ndarray, groups: np.ndarray, columns: Sequence[np.ndarray], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return (members, units, columns) where the units of a group share one choice.

    `labels` (N,) int says which choice an option is, the same for alike options of different units; `groups` (units,)
    int gives each unit its group, `names` its name. Tied options are those whose label every unit of the group has;
    their `columns` (each (N,)) are summed. `members` (N,) is the tied option that each given option belongs to, -1 for
    none. Raises `InputError` if the units of a group have no label in common.

    Parameters
    ----------
    units : ndarray of int, (N,)
        Unit of each option, in order.
    labels : ndarray of int, (N,)
        The choice that an option is; alike options of different units have one label.
    groups : ndarray of int, (units,)
        Group of each unit.
    columns : sequence of ndarray, each (N,)
        What is summed over the tied options.
    names : sequence of str
        Name of each unit, for messages.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    kinds = int(labels.max()) + 1
    distinct, member, counts = np.unique(group[units] * kinds + labels, return_inverse=True, return_counts=True)
    owner = distinct // kinds
    whole = counts == sizes[owner]
    missing = np.setdiff1d(np.arange(sizes.size), owner[whole])
    if missing.size:
        tied = ", ".join(repr(names[unit]) for unit in np.flatnonzero(group == missing[0]).tolist())
        raise InputError(f"tied layers {tied} have no choice in common: expected one that all of them have")
    index = np.where(whole, np.cumsum(whole) - 1, -1)
    summed = []
    for column in columns:
        total = np.zeros(distinct.size, dtype=column.dtype)
        np.add.at(total, member, column)
        summed.append(total[whole])
    return index[member], owner[whole], summed
