"""Bits for each layer: the least loss within budgets, with a bound that proves it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.allocation.quantities import Constraint, parse_constraint, quantity
from explorer.allocation.table import NAMES, drop_gaps, matching, read_layers, unread
from explorer.allocation.table import allow as allow_bits
from explorer.documents.document import Document, Documented
from hwbase import InputError, unknown_name
from hwbase.arguments import checked
from hwbase.check import real
from models.allocation import Limit, Problem, Solution, solve, tie
from models.allocation import front as solve_front
from models.allocation.integers import kept_sum
from models.allocation.solve import TOLERANCE

#: Default time limit of a solver in seconds.
TIME_LIMIT_S = 60.0

Layers = str | Path | pd.DataFrame


@dataclass(frozen=True)
class Allocation(Documented):
    """The bits of every layer. `bound` is a lower bound of the objective; `gap` is relative to it.

    `status` is "optimal" where the gap is proven to be within `tolerance`, else "feasible". `spent` maps every limit to
    the amount spent, `limits` to its (low, high); `mean_bits` is None for a table without sizes. `table` has a row for
    each layer.
    """

    bits: dict[str, float]
    objective: float
    bound: float
    gap: float
    mean_bits: float | None
    status: str
    act_bits: dict[str, float] | None
    tolerance: float
    objective_name: str
    solver: str
    seconds: float
    limits: dict[str, tuple[float, float]]
    spent: dict[str, float]
    notes: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields without `table`, which repeats them."""
        data = super().to_dict()
        del data["table"]
        return data

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each layer: layer, bits, and the chosen option's other columns."""
        return self.table

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.allocation.document import allocation_document

        return allocation_document(self, command)


@dataclass(frozen=True)
class _Stated:
    """A table as a problem; `member` (rows,) is the tied option of each row, -1 for none."""

    frame: pd.DataFrame
    problem: Problem
    member: np.ndarray
    notes: tuple[str, ...]


@checked
def allocate(
    layers: Layers,
    budget: float | None = None,
    *,
    unit: str = "mean-bits",
    two_sided: float = 0.0,
    constraints: Iterable[str | Constraint] = (),
    groups: Mapping[str, float] | None = None,
    objective: str = "loss",
    ties: Iterable[Sequence[str]] = (),
    allow: Mapping[str, Iterable[float]] | None = None,
    tolerance: float = TOLERANCE,
    time_limit_s: float = TIME_LIMIT_S,
    solver: str = "own",
) -> Allocation:
    """Return the bits of every layer that minimise the sum of `objective` within all budgets.

    The dual form takes a cost as the objective, with a constraint on the loss. A budget computed in floating point is
    kept to one part in 10^12, whole numbers exactly.

    Parameters
    ----------
    layers : str, Path or DataFrame
        A CSV file or a frame in the long form of `explorer.allocation.table`.
    budget : float, optional
        Limit of the sum over all layers, in `unit`.
    unit : str
        A quantity of `explorer.allocation.quantities` for `budget` and `groups`; the mean bits of a weight by default.
    two_sided : float
        Makes each budget the interval budget +- `two_sided`; 0 makes budgets upper limits.
    constraints : iterable of str or Constraint
        Further limits such as "ms<=3".
    groups : mapping of str to float, optional
        Budgets of single groups of layers, in `unit`.
    objective : str
        The column or quantity whose sum is minimised.
    ties : iterable of sequence of str
        Layers that share a choice, as do those with equal names in a column `tie`.
    allow : mapping of str to iterable of float, optional
        Allowed bits of layers or patterns of layers; by default all options.
    tolerance : float
        Relative gap at which the solver stops.
    time_limit_s : float
        Time limit of the solver in s.
    solver : str
        "own", or another solver of `models.allocation.solve`.

    Returns
    -------
    Allocation

    Raises
    ------
    InputError
        For an invalid table, name or number, and for infeasible budgets: the message names the budget and the
        least value that can be reached.

    Examples
    --------
    >>> layers = pd.DataFrame({"layer": ["a", "a", "b", "b"], "bits": [4, 8, 4, 8], "size": [10, 10, 10, 10]})
    >>> layers["loss"] = [0.5, 0.1, 0.9, 0.2]
    >>> result = allocate(layers, budget=6)
    >>> result.bits, result.status
    ({'a': 4, 'b': 8}, 'optimal')
    """
    start = time.perf_counter()
    limits = _budgets(budget, unit, two_sided, groups, constraints)
    stated = _state(layers, limits, objective, ties, allow or {})
    solution = solve(stated.problem, tolerance=tolerance, time_limit_s=time_limit_s, solver=solver)
    return _answer(stated, solution, objective, tolerance, time.perf_counter() - start)


@checked
def allocation_front(
    layers: Layers,
    budgets: Sequence[float] | np.ndarray | None = None,
    *,
    unit: str = "mean-bits",
    constraints: Iterable[str | Constraint] = (),
    objective: str = "loss",
    ties: Iterable[Sequence[str]] = (),
    allow: Mapping[str, Iterable[float]] | None = None,
    tolerance: float = TOLERANCE,
    time_limit_s: float = TIME_LIMIT_S,
    solver: str = "own",
) -> pd.DataFrame:
    """Return the front of `objective` over `unit`: a row for each of `budgets`, or for each corner of its hull.

    Parameters
    ----------
    layers : str, Path or DataFrame
        The table, as in `allocate`.
    budgets : sequence of float, optional
        Limits in `unit`; None gives the corners of the front's convex hull.
    unit, objective : str
        The limited quantity and the minimised one.
    constraints : iterable of str or Constraint
        Further limits, as in `allocate`.
    ties : iterable of sequence of str
        Layers that share a choice.
    allow : mapping of str to iterable of float, optional
        Allowed bits of layers or patterns of layers; by default all options.
    tolerance : float
        Relative gap at which the solver stops.
    time_limit_s : float
        Time limit of the solver in s.
    solver : str
        The solver, as in `allocate`.

    Returns
    -------
    pandas.DataFrame
        Columns budget, cost, objective, bound, gap, status, as in `models.allocation.front`.

    Raises
    ------
    InputError
        As `allocate` does.
    """
    limits = [Constraint(unit, high=np.inf), *_parsed(constraints)]
    stated = _state(layers, limits, objective, ties, allow or {})
    return solve_front(stated.problem, budgets, tolerance=tolerance, time_limit_s=time_limit_s, solver=solver)


def _budgets(
    budget: float | None,
    unit: str,
    two_sided: float,
    groups: Mapping[str, float] | None,
    constraints: Iterable[str | Constraint],
) -> list[Constraint]:
    half = real("two_sided", two_sided, low=0.0)
    budgets: list[tuple[str | None, str, float]] = [] if budget is None else [(None, "budget", budget)]
    budgets += [(group, f"budget of group {group!r}", value) for group, value in (groups or {}).items()]
    limits = []
    for group, name, value in budgets:
        middle = real(name, value, low=-1e30)
        limits.append(Constraint(unit, middle - half if half else -np.inf, middle + half, group))
    limits += _parsed(constraints)
    if not limits:
        raise InputError("no budget is given: expected a budget, one of a group, or a constraint")
    return limits


def _parsed(constraints: Iterable[str | Constraint]) -> list[Constraint]:
    if isinstance(constraints, str):
        constraints = [constraints]
    return [parse_constraint(constraint) if isinstance(constraint, str) else constraint for constraint in constraints]


def _state(
    layers: Layers,
    limits: list[Constraint],
    objective: str,
    ties: Iterable[Sequence[str]],
    allowed: Mapping[str, Iterable[float]],
) -> _Stated:
    """Return the problem of a table and its limits, with tied layers as one."""
    frame = allow_bits(read_layers(layers), allowed)
    needed = {name: quantity(frame, name).values for name in dict.fromkeys([objective, *(c.name for c in limits)])}
    frame, notes = drop_gaps(frame, needed)
    notes += unread(frame, needed)
    # Options of a layer side by side, layers in the order of their first line.
    units = pd.factorize(frame["layer"])[0]
    frame = frame.iloc[np.argsort(units, kind="stable")]
    units = np.sort(units)
    names = list(dict.fromkeys(frame["layer"]))
    least = quantity(frame, objective)
    losses = least.values.to_numpy() / least.scale
    stated = [_limit(frame, limit) for limit in limits]
    choices = ["bits", *(["act_bits"] if "act_bits" in frame else [])]
    labels = frame.groupby(choices, sort=True).ngroup().to_numpy()
    groups = _tied(frame, names, ties)
    member = np.arange(units.size)
    if len(set(groups.tolist())) < len(names):
        columns = [losses, *(np.asarray(limit.costs) for limit in stated)]
        member, units, (losses, *costs) = tie(units, labels, groups, columns, names)
        stated = [Limit(s.name, c, s.high, s.low, s.scale) for s, c in zip(stated, costs, strict=True)]
    return _Stated(frame, Problem(units, losses, tuple(stated)), member, notes)


def _limit(frame: pd.DataFrame, constraint: Constraint) -> Limit:
    part, name = frame, constraint.name
    if constraint.group is not None:
        if "group" not in frame:
            raise InputError(f"there is no column 'group', which the budget of {constraint.group!r} needs")
        part, name = frame[frame["group"] == constraint.group], f"{name} of {constraint.group}"
        if part.empty:
            raise unknown_name("group", constraint.group, set(frame["group"]))
    spent = quantity(part, constraint.name)
    return Limit(
        name,
        spent.values.reindex(frame.index, fill_value=0.0).to_numpy(),
        high=constraint.high,
        low=constraint.low,
        scale=spent.scale,
    )


def _tied(frame: pd.DataFrame, names: list[str], ties: Iterable[Sequence[str]]) -> np.ndarray:
    """Return the group of each layer, int array (layers,); ties that share a layer are joined."""
    sets = [[layer for name in names_of for layer in matching(frame, name)] for names_of in ties]
    if "tie" in frame:
        tied = frame[frame["tie"] != ""]
        sets += [list(dict.fromkeys(layers)) for _, layers in tied.groupby("tie")["layer"]]
    number_of = {name: number for number, name in enumerate(names)}
    groups = np.arange(len(names))
    for members in sets:
        inside = np.isin(groups, groups[[number_of[name] for name in members]])
        groups[inside] = groups[inside].min()
    return groups


def _answer(stated: _Stated, solution: Solution, objective: str, tolerance: float, seconds: float) -> Allocation:
    frame, problem = stated.frame, stated.problem
    chosen = frame[np.isin(stated.member, solution.pick)]
    act = dict(zip(chosen["layer"], map(_plain, chosen["act_bits"]), strict=True)) if "act_bits" in frame else None
    mean = None
    if "size" in chosen:
        weights = pd.to_numeric(chosen["size"], errors="coerce")
        if weights.sum() > 0:
            mean = kept_sum(
                Limit("", (chosen["bits"] * weights).to_numpy(), scale=float(weights.sum())), np.arange(len(chosen))
            )
    table = chosen.assign(**{name: _numeric(chosen[name]) for name in chosen.columns.difference(list(NAMES))})
    return Allocation(
        bits=dict(zip(chosen["layer"], map(_plain, chosen["bits"]), strict=True)),
        objective=solution.objective,
        bound=solution.bound,
        gap=solution.gap,
        mean_bits=mean,
        status=solution.status,
        act_bits=act,
        tolerance=tolerance,
        objective_name=objective,
        solver=solution.solver,
        seconds=seconds,
        limits={limit.name: (limit.low, limit.high) for limit in problem.limits},
        spent={limit.name: kept_sum(limit, solution.pick) for limit in problem.limits},
        notes=stated.notes,
        table=table.reset_index(drop=True),
    )


def _numeric(cells: pd.Series) -> pd.Series:
    """Return numbers as numbers, whole ones as integers; other cells unchanged."""
    try:
        values = pd.to_numeric(cells)
    except (TypeError, ValueError):
        return cells
    return values.astype(int) if (values == np.rint(values)).all() and values.abs().max() < 2**53 else values


def _plain(bits: float) -> float:
    return int(bits) if bits == int(bits) else float(bits)
