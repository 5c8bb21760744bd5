"""Uncertainty of a hardwired fleet and the GPUs that match it, over the ranges of every constant that it reads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import models
from explorer.pricing.economics import PAPER_MODEL
from explorer.uncertainty.propagate import propagate
from explorer.uncertainty.results import Uncertainty
from explorer.uncertainty.scenario import Machine, Scenario, check_ranges, chosen
from hwbase import Correlation, Evidence, Quantity, evidence_of
from hwbase.arguments import checked, record_of
from hwbase.books import refuse_unread
from hwbase.correlations import merge_correlations

#: Prefix of the second machine's columns and constants.
OTHER = "versus."
#: Figures of the GPU fleet, and of the second machine, divided by the first one's; above 1 the first is better.
RATIOS = ("tco_ratio", "carbon_ratio")
_PER_TOKEN = ("usd_per_million_tokens", "kg_per_million_tokens")
VERSUS_RATIOS = ("versus_usd_per_token_ratio", "versus_carbon_per_token_ratio")


@checked
def analyse(
    model: str | Path | models.LLMSpec = PAPER_MODEL,
    *,
    only: Iterable[str] = (),
    shape: str = "triangular",
    shapes: Mapping[str, str] | None = None,
    samples: int = 4096,
    seed: int = 0,
    versus: Mapping[str, Any] | None = None,
    independent: bool = False,
    progress: Callable[[float], None] | None = None,
    **choices: Any,
) -> Uncertainty:
    """Return the spread of hardwired machines for `model`, and of the GPUs that match them, over the books' ranges.

    `choices` are fields of `Scenario`: volume, context, technology, convention, reading, book, and `set`, which pins
    constants. Every constant with a range that the model reads, of the cost book, the machine's and the technology's,
    is drawn (see `propagate` for samples, seed and shapes); with `only`, just those that match its patterns ("n5.*").
    The outputs are the columns of `explorer.evaluate` with `beside="gpu"`.

    `versus` is a second machine with the same draws, given by its differences, such as {"technology":
    "n5-synthesised"}, {"model": "qwq-32b"}, {"volume": 10} or a constant. Its outputs begin with "versus.";
    `VERSUS_RATIOS` are its dollars and carbon a token divided by the first machine's.
    `independent` ignores the correlations that books state. Raises `InputError` as `propagate` and `evaluate` do.
    """
    scenario = record_of(Scenario, model, **choices)
    pair = Pair(Machine.of(scenario), Machine.of(scenario.changed(versus)) if versus else None)
    for machine in pair.machines:
        refuse_unread(machine.scenario.set or {}, *(each.read for each in pair.machines))
    quantities = pair.quantities(only)
    check_ranges(pair, quantities)
    result = propagate(
        pair,
        quantities,
        correlations=() if independent else pair.correlations,
        samples=samples,
        seed=seed,
        shape=shape,
        shapes={name: how for name, how in pair.shapes().items() if name in quantities} | dict(shapes or {}),
        whole=[name for name in pair.whole() if name in quantities],
        together={own: name for own, name in pair.together.items() if own in quantities and name in quantities},
        progress=progress,
    )
    subject = scenario.described() | ({"versus": dict(versus)} if versus else {})
    return replace(result, subject=subject, quantities=pair.first.read | quantities, evidence=pair.evidence())


@dataclass(frozen=True)
class Pair:
    """One machine, or two that share the draws of their constants.

    Where a constant has another range in the second machine, it is called "versus.NAME" and moves with the first's.
    """

    first: Machine
    second: Machine | None

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Return one machine or two."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def own_names(self) -> dict[str, str]:
        """Return the names of the second machine's ranged constants here, by their names in the books."""
        if self.second is None:
            return {}
        ranged = self.second.quantities()
        return {n: n if self.first.read.get(n) == quantity else OTHER + n for n, quantity in ranged.items()}

    @property
    def together(self) -> dict[str, str]:
        """Return the constants of the second machine that share the draws of the first's, in a range of their own."""
        return {own: name for name, own in self.own_names.items() if own != name}

    @property
    def correlations(self) -> tuple[Correlation, ...]:
        """Return the correlations of the first machine's books, then those that the second's add."""
        if self.second is None:
            return self.first.correlations
        return merge_correlations(self.second.correlations, self.first.correlations)

    def quantities(self, only: Iterable[str]) -> dict[str, Quantity]:
        """Return the ranged constants of both that match a pattern of `only`."""
        first, second = self.first.quantities(), self.second.quantities() if self.second else {}
        kept = chosen(second | first, only)
        own = self.own_names
        return {n: q for n, q in first.items() if n in kept} | {own[n]: q for n, q in second.items() if n in kept}

    def evidence(self) -> dict[str, Evidence]:
        """Return the evidence of the first machine's outputs, of the second's, and of the ratios of both."""
        first = self.first.evidence()
        if self.second is None:
            return first
        second = self.second.evidence()
        ratios = {
            ratio: evidence_of([first[name], second[name]])
            for ratio, name in zip(VERSUS_RATIOS, _PER_TOKEN, strict=True)
        }
        return first | {OTHER + name: label for name, label in second.items()} | ratios

    def shapes(self) -> dict[str, str]:
        """Return the shapes of constants with discrete values."""
        second = self.second.shapes() if self.second else {}
        own = self.own_names
        return self.first.shapes() | {own[name]: shape for name, shape in second.items() if name in own}

    def whole(self) -> tuple[str, ...]:
        """Return the constants that are counts."""
        own = self.own_names
        second = self.second.whole() if self.second else ()
        return (*self.first.whole(), *(own[name] for name in second if name in own))

    def __call__(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the first machine's columns, then the second's, and their ratios."""
        ranged = self.first.quantities()
        columns = self.first({name: value for name, value in values.items() if name in ranged})
        if self.second is None:
            return columns
        others = self.second({name: values[own] for name, own in self.own_names.items() if own in values})
        failure = np.where(pd.isna(columns["failure"]), others["failure"], columns["failure"])
        beside = {OTHER + name: column for name, column in others.items() if name != "failure"}
        ratios = {ratio: others[name] / columns[name] for ratio, name in zip(VERSUS_RATIOS, _PER_TOKEN, strict=True)}
        return columns | beside | ratios | {"failure": failure}
