"""Break-even points: ratios of the GPUs' cost and carbon to the hardwired fleet's along one axis, with bands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import models
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import PAPER_MODEL
from explorer.uncertainty.analyse import RATIOS
from explorer.uncertainty.axes import AXES, Axis, axis_named
from explorer.uncertainty.distributions import correlated_shares, factors_of
from explorer.uncertainty.propagate import attempt, samples_of, unit_sequence
from explorer.uncertainty.results import PERCENTILES
from explorer.uncertainty.scenario import Machine, Scenario, check_ranges, chosen
from hwbase import InputError, Quantity, Record, quantities_frame
from hwbase.arguments import checked, record_of
from hwbase.books import refuse_unread
from hwbase.values import read_integer

#: Share of draws that cross more than once from which one crossing says too little.
_MANY = 0.5


@dataclass(frozen=True)
class Crossing(Record):
    """The place where a ratio crosses 1 along an axis, over the draws.

    `pays` is "above" where hardwiring pays above the crossing, "below" where it does below, "" where the ratio does not
    depend on the axis. A draw that pays everywhere (`always`) or nowhere (`never`) on the axis counts as a crossing
    beyond its ends, so percentiles there are infinite. `several` is the share of draws with more than one crossing; the
    first counts.
    """

    pays: str
    p5: float
    p50: float
    p95: float
    nominal: float
    always: float
    never: float
    several: float
    intervals: tuple[tuple[float, float], ...] = ()
    """Stretches of the axis in which the nominal ratio is above 1; an end of the axis is infinite."""


@dataclass(frozen=True)
class Curve(Record):
    """A ratio along an axis: nominal, percentiles over the draws, and the share of draws in which it is above 1."""

    axis: Axis
    output: str
    x: np.ndarray
    nominal: np.ndarray
    p5: np.ndarray
    p50: np.ndarray
    p95: np.ndarray
    probability: np.ndarray
    crossing: Crossing
    infeasible: int

    def sentence(self) -> str:
        """Return the break-even as a sentence."""
        return in_words(self)


@dataclass(frozen=True)
class BreakEven(Documented):
    """Curves of every ratio over every axis."""

    curves: tuple[Curve, ...]
    samples: int
    seed: int
    subject: Mapping[str, Any] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each point of a curve: axis, output, x, nominal, p5, p50, p95, probability."""
        names = ("x", "nominal", "p5", "p50", "p95", "probability")
        parts = [
            pd.DataFrame({name: getattr(c, name) for name in names}).assign(axis=c.axis.name, output=c.output)
            for c in self.curves
        ]
        return pd.concat(parts, ignore_index=True)[["axis", "output", *names]]

    def crossings(self) -> pd.DataFrame:
        """Return a row for each curve: axis, unit, output, the fields of its `Crossing`, and its sentence."""
        rows = [
            {"axis": c.axis.name, "unit": c.axis.unit, "output": c.output}
            | c.crossing.to_dict()
            | {"says": c.sentence()}
            for c in self.curves
        ]
        return pd.DataFrame(rows)

    def curve(self, axis: str, output: str) -> Curve:
        """Return one curve."""
        return next(c for c in self.curves if (c.axis.name, c.output) == (axis, output))

    def sources(self) -> pd.DataFrame:
        """Return one row for each constant that was read, with its source."""
        return quantities_frame(self.quantities)

    def to_dict(self) -> dict[str, Any]:
        """Return crossings and curves as plain values."""
        curves = [{**c.to_dict(), "says": c.sentence()} for c in self.curves]
        return {**self.subject, "samples": self.samples, "seed": self.seed, "curves": curves}

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.uncertainty.document import break_even_document

        return break_even_document(self, command)


@checked
def break_even(
    model: str | Path | models.LLMSpec = PAPER_MODEL,
    *,
    axes: Iterable[str] = tuple(AXES),
    low: float | None = None,
    high: float | None = None,
    points: int = 41,
    only: Iterable[str] = (),
    shape: str = "triangular",
    shapes: Mapping[str, str] | None = None,
    samples: int = 1024,
    seed: int = 0,
    independent: bool = False,
    progress: Callable[[float], None] | None = None,
    **choices: Any,
) -> BreakEven:
    """Return the TCO and carbon ratios (GPUs over hardwired) along each of `axes`, with all other constants drawn.

    An axis is one of `AXES` or a constant that the model reads, over its range; `low` and `high` replace its ends. The
    draws are the same at every point of an axis, so that each draw has its own break-even. Along "respins" the count
    follows from updates a year and each draw's lifetime; along "lifetime" the number of re-spins stays as drawn.
    `choices` are fields of `Scenario` (volume, technology, set, ...), all other options and errors those of `analyse`.
    """
    names = list(axes)
    if len(names) == 1 and names[0] in choices:
        raise InputError(f"{names[0]} has no effect here: it is what the axis varies")
    scenario = record_of(Scenario, model, **choices)
    machine = Machine.of(scenario)
    refuse_unread(scenario.set or {}, machine.read)
    made = [axis_named(name, machine.read, low, high, machine.costs.header.region) for name in names]
    if len(made) == 1 and made[0].constant in (scenario.set or {}):
        raise InputError(f"{made[0].constant} has no effect here: it is what the axis varies")
    size, steps = samples_of(samples), read_integer("points", points, low=2, high=10_000)
    reason = machine({})["failure"][0]
    if not pd.isna(reason):
        raise InputError(f"the nominal point is infeasible: {reason}")
    drawn = chosen(machine.quantities(), only)
    check_ranges(machine, drawn)
    spreads = machine.spreads(drawn, shape, shapes)
    factors = factors_of(list(spreads), () if independent else machine.correlations)
    shares = correlated_shares(factors, unit_sequence(max(len(spreads), 1), size, seed))
    values = {name: spread.at(shares[name]) for name, spread in spreads.items()}
    show = progress or (lambda share: None)
    curves: list[Curve] = []
    for axis in made:
        curves += _along(machine, axis, steps, values, size)
        show(len(curves) / (len(made) * len(RATIOS)))
    return BreakEven(tuple(curves), size, seed, scenario.described(), machine.read)


def _along(machine: Machine, axis: Axis, points: int, values: Mapping[str, Any], size: int) -> list[Curve]:
    x = axis.values(points)
    # Report a value that the machine refuses at once.
    machine(axis.put({}, x, machine.read), **({axis.name: x} if axis.constant is None else {}))
    at_nominal, _ = _ratios(machine, axis, x, {}, 1)
    ratios, infeasible = _ratios(machine, axis, x, values, size)
    curves = []
    for output in RATIOS:
        ratio = ratios[output]
        # No band is drawn where every draw failed.
        somewhere = np.isfinite(ratio).any(axis=1)
        bands = np.full((len(PERCENTILES), len(x)), np.nan)
        bands[:, somewhere] = np.nanpercentile(ratio[somewhere], PERCENTILES, axis=1)
        share = np.full(len(x), np.nan)
        share[somewhere] = (ratio[somewhere] > 1.0).sum(axis=1) / np.isfinite(ratio[somewhere]).sum(axis=1)
        crossing = cross(x, ratio, at_nominal[output][:, 0], axis.log)
        middle = at_nominal[output][:, 0]
        curves.append(Curve(axis, output, x, middle, bands[0], bands[1], bands[2], share, crossing, infeasible))
    return curves


def _ratios(
    machine: Machine, axis: Axis, x: np.ndarray, values: Mapping[str, Any], size: int
) -> tuple[dict[str, np.ndarray], int]:
    """Return each ratio, shape (points of the axis, draws), and the number of infeasible points."""
    along = np.repeat(x, size)
    tiled = {name: np.tile(value, len(x)) for name, value in values.items()}
    inputs = axis.put(tiled, along, machine.read) | {"": along}

    def function(part: dict[str, Any]) -> dict[str, np.ndarray]:
        here = part.pop("")
        return machine(part, **({axis.name: here} if axis.constant is None else {}))

    outputs = attempt(function, inputs, along.size)
    blank = np.full(along.size, np.nan)
    shaped = {output: outputs.columns.get(output, blank).reshape(len(x), size) for output in RATIOS}
    return shaped, int(np.count_nonzero(outputs.reasons != ""))


@checked
def cross(x: np.ndarray, ratio: np.ndarray, nominal: np.ndarray, log: bool = False) -> Crossing:
    """Return where `ratio`, shape (points, draws), crosses 1 along `x`.

    The crossing is interpolated in the logarithm of the ratio, and of x if `log`.

    Draws with a gap are left out.
    """
    whole = ratio[:, np.isfinite(ratio).all(axis=0)]
    heights, scale = np.log(whole), np.log(x) if log else x
    rises = float(np.mean(heights[-1] - heights[0])) if heights.size else 0.0
    pays = "" if np.allclose(heights, heights[0], rtol=0.0, atol=1e-12) else "above" if rises >= 0.0 else "below"
    places, changes = _places(scale, heights, pays)
    alone, _ = _places(scale, np.log(nominal)[:, None], pays)
    back = np.exp if log else (lambda value: value)
    # Percentiles next to the infinities of always and never are values of draws, without interpolation.
    ranks = np.percentile(places, PERCENTILES, method="inverted_cdf") if places.size else np.full(3, np.nan)
    p5, p50, p95 = (float(back(rank)) if np.isfinite(rank) else float(rank) for rank in ranks)
    over = heights > 0.0
    always, never = (float(np.mean(held)) if held.size else np.nan for held in (over.all(axis=0), ~over.any(axis=0)))
    middle = float(back(alone[0])) if np.isfinite(alone[0]) else float(alone[0])
    return Crossing(
        pays,
        p5,
        p50,
        p95,
        middle,
        always=always,
        never=never,
        several=float(np.mean(changes > 1)) if changes.size else 0.0,
        intervals=_intervals(scale, np.log(nominal), back),
    )


def _intervals(scale: np.ndarray, heights: np.ndarray, back: Callable[[Any], Any]) -> tuple[tuple[float, float], ...]:
    """Return the stretches in which `heights` is above 0, from linear pieces; gaps (NaN) are not above."""
    over = heights > 0.0
    ends: list[float] = [-np.inf] if over[0] else []
    for at in np.flatnonzero(over[1:] != over[:-1]):
        whole = np.isfinite(heights[at]) and np.isfinite(heights[at + 1])
        share = heights[at] / (heights[at] - heights[at + 1]) if whole else 0.0
        ends.append(float(back(scale[at] + share * (scale[at + 1] - scale[at]))))
    ends += [np.inf] if over[-1] else []
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def _places(scale: np.ndarray, heights: np.ndarray, pays: str) -> tuple[np.ndarray, np.ndarray]:
    """Return where each draw first crosses 0 (infinite if it does not), and the number of its crossings."""
    over = heights > 0.0
    turns = over[1:] != over[:-1]
    changes = turns.sum(axis=0)
    first, draws = np.argmax(turns, axis=0), np.arange(heights.shape[1])
    before, after = heights[first, draws], heights[np.minimum(first + 1, len(scale) - 1), draws]
    step = np.where(changes > 0, before - after, 1.0)
    places = scale[first] + np.where(changes > 0, before, 0.0) / step * (scale[first + 1] - scale[first])
    # Pays everywhere: the crossing lies beyond the end where paying begins.
    beyond = np.where(over[0], -np.inf, np.inf) * (-1.0 if pays == "below" else 1.0)
    gap = np.isnan(heights).any(axis=0)
    return np.where(gap, np.nan, np.where(changes > 0, places, beyond)), changes


def in_words(curve: Curve) -> str:
    """Return the crossing of a curve as a sentence."""
    crossing, axis = curve.crossing, curve.axis
    if np.isnan(crossing.always):
        return "no draw is feasible at every point of the axis"
    if not crossing.pays:
        return f"does not depend on it; pays in {crossing.always:.0%} of draws"
    if crossing.always == 1.0:
        return "pays everywhere in every draw"
    if crossing.never == 1.0:
        return "pays nowhere in any draw"

    def place(value: float) -> str:
        if not np.isfinite(value):
            return f"below {axis.low:,.4g}" if value < 0 else f"above {axis.high:,.4g}"
        return f"{value:,.3g}"

    ranks = f"{place(crossing.p50)} (5 to 95 %: {place(crossing.p5)} to {place(crossing.p95)})"
    if len(crossing.intervals) > 1 or crossing.several > _MANY:
        parts = " and ".join(f"from {place(low)} to {place(high)}" for low, high in crossing.intervals)
        return f"pays {parts or 'nowhere'} at nominal; {crossing.several:.0%} of draws cross more than once"
    shares = f"always in {crossing.always:.0%}, never in {crossing.never:.0%} of draws"
    return f"breaks even at {ranks}, pays {crossing.pays} it; {shares}".replace("at below", "below").replace(
        "at above", "above"
    )
