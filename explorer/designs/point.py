"""One design, as a user chooses it: its figures, its prices, and what of it does not fit."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from explorer.designs.completion import BLOCK_MM2, completed
from explorer.designs.constraints import Constraint, read_constraints
from explorer.designs.evaluation import ALONE, ALWAYS, BUSY, FIGURES, READING, Case, constants_of
from explorer.designs.result import DesignSearch
from explorer.designs.space import MAPPING, mappings_up_to, parts_of
from explorer.pareto import Direction
from explorer.pricing.prices import Machine
from hwbase import InputError, Quantity
from hwbase.columns import column
from hwbase.numbers import with_unit
from hwsim.design import CHOICES, HardwiredDesign

#: What a design that was chosen by hand is listed by.
OBJECTIVES: dict[str, Direction] = {"tokens_per_s": "max", "latency_alone_s": "min"}


def point_of(case: Case, values: Mapping[str, Any]) -> pd.Series:
    """Return a design as a row: its constants and choices, figures, busy shares, areas of blocks, and prices.

    Parameters
    ----------
    case : Case
    values : mapping of str to number or str
        Constants and choices in place of those of the machine's book; what is in proportion to another constant
        follows it.

    Returns
    -------
    pandas.Series

    Raises
    ------
    InputError
        For a design that cannot be computed, such as one of more stages than layers.
    """
    choices = {name: str(values.get(name, getattr(case.design, name))) for name in CHOICES}
    numbers = {name: value for name, value in values.items() if name not in CHOICES}
    parts = parts_of(case.design, {name: [value] for name, value in numbers.items()})
    constants = {name: numbers[name] for name in MAPPING if name in numbers}
    constants |= {name: each[0] for name, each in parts.items()}
    row: dict[str, Any] = {**constants, **choices, **case.figures(constants, choices, (*ALONE, *BUSY))}
    for block in case.chip(constants, choices).blocks:
        row[f"{BLOCK_MM2}.{block.name.replace(' ', '_').lower()}"] = block.area_mm2
    row |= case.prices(constants, choices, 1)
    return pd.Series({name: np.ravel(value)[0] for name, value in row.items()})


def misfits(case: Case, point: pd.Series) -> list[str]:
    """Return what of a design breaks the limits of every machine, a short text each."""
    columns = {name: np.array([point[name]]) for name in point.index}
    limits = read_constraints(ALWAYS, {*FIGURES, *HardwiredDesign.__dataclass_fields__})
    return [text for limit in limits if not limit.holds(columns, 1)[0] for text in _excess(case, point, limit)]


def uneven(case: Case, point: pd.Series) -> bool:
    """Return whether heads or experts do not divide evenly over the chips, and are counted in fractions."""
    grid = {name: [int(point[name])] for name in MAPPING}
    try:
        mappings_up_to(case.spec, int(point["chips"]), grid, uneven=False)
    except InputError:
        return True
    return False


def as_search(
    case: Case, on: Machine, point: pd.Series, own: pd.Series, assumptions: Mapping[str, Quantity]
) -> DesignSearch:
    """Return a design as the result of a search that tried nothing else: with a page, pictures and a book.

    Parameters
    ----------
    case : Case
    on : str, Path or Book
        The machine's book, as the user gave it.
    point : pandas.Series
        The design, a row of `point_of`.
    own : pandas.Series
        The machine of the book, another such row.
    assumptions : mapping of str to Quantity
        The constants that were read.

    Returns
    -------
    DesignSearch

    Raises
    ------
    InputError
        For a design that breaks a limit.
    """
    broken = misfits(case, point)
    if broken:
        raise InputError(f"the design does not fit: {'; '.join(broken)}")
    chosen = [name for name in point.index if name in HardwiredDesign.__dataclass_fields__]
    rows = [completed(case, pd.DataFrame([each[chosen].to_dict()])) for each in (point, own)]
    return DesignSearch(
        model=case.spec.name,
        machine=case.setting.machine.name,
        on=on,
        technology=case.setting.technology.name,
        weights=case.setting.weights,
        workload=case.workload,
        volume=case.volume,
        convention=case.setting.conventions.name,
        objectives=OBJECTIVES,
        constraints=ALWAYS,
        varied={name: [point[name]] for name in chosen},
        tried=1,
        feasible=1,
        front=rows[0],
        own=rows[1],
        set={name: value for name, value in case.set.items() if name not in chosen},
        assumptions={**assumptions, **case.package.quantities},
    )


def _excess(case: Case, point: pd.Series, limit: Constraint) -> Iterator[str]:
    """Yield by what a design breaks a limit: both sides of a comparison, or a resource asked for too much."""
    if isinstance(limit.tree, ast.Compare):
        sides = [each.id for each in (limit.tree.left, *limit.tree.comparators) if isinstance(each, ast.Name)]
        more, less = (f"{column(name).label} {column(name).text(point[name])}" for name in sides)
        yield f"{more} is above {less}"
        return
    constants = {name: values[0] for name, values in constants_of(point.to_frame().T).items()}
    run = hwsim.simulate_hardwired(
        case.spec,
        case.designs(constants, {name: point[name] for name in CHOICES}),
        case.technology,
        context=case.workload.mean_context,
        reading=READING,
    )
    for check in run.checks:
        if not np.all(check.bears):
            yield f"{check.name} {with_unit(check.demand, check.unit)} is above {with_unit(check.capacity, check.unit)}"
