"""The search: every design of a space in closed form, block by block, and the front of those that meet all limits."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from explorer.designs.constraints import Constraint, Tally, meet_all, nothing_left, upper_limit
from explorer.designs.evaluation import PRICES, Case
from explorer.designs.space import MAPPING, Space
from explorer.pareto import Direction, costs_of, front_mask
from explorer.progress import Report
from hwbase import InputError
from hwbase.numbers import counted

#: Designs evaluated together: enough work for each NumPy call that threads hardly wait for each other.
BLOCK = 32768
#: Fronts of blocks that are joined at once.
_JOINED = 64
#: Of designs that are equal in all objectives, the one with the least of these stands, in this order.
_TIES = ("area_mm2", "power_w", "chips")
#: Choices that decide the area of a chip.
_SIZING = ("grid_topology", "stage_topology", "link_class", "stage_link_class", "fabric")
#: Mappings kept for a message where none fits.
_MISFITS = 64


@dataclass(frozen=True)
class Searched:
    """The front of a search as a frame, a row a design, the best first; designs tried, and those that meet all."""

    front: pd.DataFrame
    tried: int
    feasible: int


@dataclass(frozen=True)
class _Block:
    """Some designs of one set of choices: mappings (M,) by parts (K,)."""

    mappings: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    choices: dict[str, str]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.mappings["rows"]), len(next(iter(self.parts.values()))) if self.parts else 1


def search(
    case: Case,
    space: Space,
    objectives: Mapping[str, Direction],
    constraints: Sequence[Constraint],
    *,
    workers: int,
    report: Report,
) -> Searched:
    """Return the front of all designs of `space` that meet all `constraints`.

    Parameters
    ----------
    case : Case
        What the designs share.
    space : Space
        The designs.
    objectives : mapping of str to "min" or "max"
        Columns.
    constraints : sequence of Constraint
        Conditions.
    workers : int
        Threads, each of which takes a block of designs.
    report : callable
        Called with (what, designs done, designs in all).

    Returns
    -------
    Searched

    Raises
    ------
    InputError
        If no design meets all constraints; the sentence says which rules out all of them.
    """
    space = space.with_mappings(_fitting(case, space, constraints))
    blocks = list(_blocks(space))
    total, done, feasible = sum(each.shape[0] * each.shape[1] for each in blocks), 0, 0
    tallies = [Tally() for _ in constraints]
    fronts: list[pd.DataFrame] = []

    def run(block: _Block) -> tuple[pd.DataFrame, int, list[Tally]]:
        return _evaluated(case, block, objectives, constraints)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for block, (front, met, noted) in zip(blocks, pool.map(run, blocks), strict=True):
            done, feasible = done + block.shape[0] * block.shape[1], feasible + met
            tallies = [one.plus(other) for one, other in zip(tallies, noted, strict=True)]
            fronts += [front] if len(front) else []
            if len(fronts) > _JOINED:
                fronts = [_front(pd.concat(fronts, ignore_index=True), objectives)]
            report("designs", done, total)
    if not fronts:
        most = max(int(np.prod([each[-1] for each in block.mappings.values()])) for block in blocks)
        raise nothing_left(constraints, tallies, f"{counted(total, 'design')} of up to {counted(most, 'chip')}")
    whole = _front(pd.concat(fronts, ignore_index=True), objectives)
    return Searched(whole, total, feasible)


def _fitting(case: Case, space: Space, constraints: Sequence[Constraint]) -> np.ndarray:
    """Return the mappings whose smallest chip fits the reticle and the silicon there may be; the nearest, if none."""
    least = {name: np.min(values) for name, values in space.parts.items()}
    chips = space.mappings["rows"] * space.mappings["columns"] * space.mappings["pipeline_stages"]
    # The links and the fabric that take the least area count.
    die_mm2 = np.full(space.sizes[0], np.inf)
    kinds = {tuple(chosen[name] for name in _SIZING) for chosen, _ in space.variants()}
    if not kinds:
        # Say what one of the designs lacks.
        case.designs(dict.fromkeys(MAPPING, 1), {name: names[0] for name, names in space.choices.items()})
        raise InputError(f"no mapping of {case.spec.name} has these topologies and links: expected others to vary")
    for kind in sorted(kinds):
        choices = dict(zip(_SIZING, kind, strict=True))
        kept = space.differ(choices)
        part = space.with_mappings(kept).mappings
        die_mm2[kept] = np.minimum(die_mm2[kept], case.chip({**part, **least}, choices).area_mm2)
    most_mm2 = upper_limit(constraints, "area_mm2")
    excess = die_mm2 / np.max(case.technology.reticle_area_mm2)
    if most_mm2 is not None:
        excess = np.maximum(excess, die_mm2 * chips / most_mm2)
    if np.any(excess <= 1.0):
        return excess <= 1.0
    return np.argsort(excess, kind="stable")[:_MISFITS]


def _blocks(space: Space) -> Iterator[_Block]:
    for choices, part in space.variants():
        mappings, sets = part.sizes
        step = min(sets, BLOCK)
        tall = max(BLOCK // step, 1)
        for start in range(0, mappings, tall):
            rows = {name: values[start : start + tall] for name, values in part.mappings.items()}
            for first in range(0, sets, step):
                yield _Block(rows, {n: v[first : first + step] for n, v in part.parts.items()}, choices)


def _evaluated(
    case: Case, block: _Block, objectives: Mapping[str, Direction], constraints: Sequence[Constraint]
) -> tuple[pd.DataFrame, int, list[Tally]]:
    """Return (the front of a block, how many of its designs meet all constraints, the tally of each constraint)."""
    points = block.shape[0] * block.shape[1]
    # The closed form computes what depends on the mapping alone once for each mapping.
    constants = {name: values[:, None] for name, values in block.mappings.items()} | block.parts
    wanted = {*objectives}.union(*(each.columns for each in constraints))
    figures = case.figures(constants, block.choices, wanted)

    def flat(values: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(values), block.shape).ravel()

    columns = {name: flat(values) for name, values in {**constants, **figures, **block.choices}.items()}
    # Prices take longer than all else together: only designs that meet all other constraints have them.
    later = [each for each in constraints if each.columns & {*PRICES}]
    now = [each for each in constraints if each not in later]
    met, noted = meet_all(now, columns, points)
    tallies = dict(zip(now, noted, strict=True))
    chosen = np.flatnonzero(met)
    columns = {name: values[chosen] for name, values in columns.items()}
    if wanted & {*PRICES} and len(chosen):
        names = (*block.mappings, *block.parts)
        columns |= case.prices({name: columns[name] for name in names}, block.choices, len(chosen))
        if later:
            met, noted = meet_all(later, columns, len(chosen))
            tallies |= dict(zip(later, noted, strict=True))
            columns = {name: values[met] for name, values in columns.items()}
    frame = pd.DataFrame(columns, copy=False)
    return _front(frame, objectives), len(frame), [tallies.get(each, Tally()) for each in constraints]


def _front(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> pd.DataFrame:
    """Return the front of a frame, the best by the first objective first; of equal designs the smallest stands."""
    if frame.empty:
        return frame
    costs = costs_of(frame, objectives)
    kept = np.flatnonzero(front_mask(costs))
    best, costs = frame.iloc[kept], costs[kept]
    keys = [best[name].to_numpy(dtype=float) for name in reversed(_TIES)]
    order = np.lexsort([*keys, *costs.T[::-1]])
    best, costs = best.iloc[order], costs[order]
    fresh = np.ones(len(best), dtype=bool)
    fresh[1:] = np.any(costs[1:] != costs[:-1], axis=1)
    return best[fresh].reset_index(drop=True)
