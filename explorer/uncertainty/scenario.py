"""The hardwired machine and its fleet as a function of the constants that it reads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.pricing.economics import PAPER_MODEL
from explorer.pricing.evaluate import evaluate
from explorer.pricing.prices import bought, cost_book
from explorer.pricing.rates import RATE, Workload, with_rate
from explorer.uncertainty.distributions import Distribution, distributions
from hwbase import Book, Correlation, Evidence, Quantity, Record, unknown_name
from hwbase.books import WatchedBook, share_overrides
from hwbase.patterns import matching
from hwsim.simulation import hardwired
from hwsim.technology import DEFAULT_TECHNOLOGY

#: Counts whose unit does not show it.
WHOLE = ("use.respins",)
#: Constants whose low, nominal and high are discrete choices: number formats.
LEVELS = ("link_element_bytes", "kv_element_bytes")
#: Constants that shape a circuit and must be one number in a call, so they are drawn as levels too.
ONE_A_CALL = ("fp4_sigma",)


@dataclass(frozen=True)
class Scenario(Record):
    """A fleet of hardwired machines and the GPUs that match it: all choices that are not uncertain.

    `set` pins constants of any book (they then have no range); `book` replaces the convention's cost book, `beside` the
    machine that the convention sets beside the hardwired one.
    """

    model: str | Path | models.LLMSpec = PAPER_MODEL
    volume: int = 50
    context: int = 2048
    prompt_tokens: int = 0
    output_tokens: int = 0
    on: str = hwsim.DEFAULT_MACHINE
    beside: str | None = None
    technology: str = DEFAULT_TECHNOLOGY
    convention: str = "corrected"
    reading: str = "pipelined"
    weights: str = "fp4"
    die_formula: str = "exact"
    book: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Kept when another scenario differs in the convention alone.
        object.__setattr__(self, "beside", bought(self.beside, costmodel.conventions.named(self.convention)))

    @property
    def workload(self) -> Workload:
        """What both fleets serve."""
        return Workload(self.context, self.prompt_tokens, self.output_tokens)

    def changed(self, changes: Mapping[str, Any]) -> "Scenario":
        """Return this scenario with other choices; a key that is not a field pins a constant."""
        own = {f.name for f in fields(self)} - {"set"}
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {key: value for key, value in changes.items() if key in own}
        pinned = {key: value for key, value in changes.items() if key not in own}
        return Scenario(**(values | {"set": {**self.set, **pinned}}))

    def described(self) -> dict[str, Any]:
        """Return the choices as plain values."""
        named = self.model.name if isinstance(self.model, models.LLMSpec) else str(self.model)
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"model": named, "set": dict(self.set)}


@dataclass(frozen=True)
class Machine:
    """A scenario with its books loaded: the constants that it reads, and its figures for any values of them."""

    scenario: Scenario
    spec: models.LLMSpec
    costs: Book
    technology: Book
    pinned: dict[str, Any]
    """Constants of the machine's own book that are pinned."""
    read: dict[str, Quantity]
    """Every constant read, of all three books."""

    @classmethod
    def of(cls, scenario: Scenario) -> "Machine":
        """Return the machine of a scenario. Raises `InputError` for unknown names and designs that cannot be built."""
        spec = scenario.model if isinstance(scenario.model, models.LLMSpec) else models.load(scenario.model)
        conventions = costmodel.conventions.named(scenario.convention)
        other = hwsim.machine_book(bought(scenario.beside, conventions))
        costs = cost_book(scenario.book or conventions.book, [other], spec)
        technology, machine = hwsim.technology_book(scenario.technology), hwsim.design_book(scenario.on)
        for_costs, for_technology, for_machine = share_overrides(scenario.set or {}, costs, technology, machine)
        costs = with_rate(costs.override(for_costs), other, spec, scenario.workload)
        technology = technology.override(for_technology)
        watched = WatchedBook(costs.header, costs.quantities, correlations=costs.correlations)
        subject = cls(scenario, spec, watched, technology, for_machine, {})
        subject({})
        built = hardwired(spec, weights=scenario.weights, technology=technology, book=machine.override(for_machine))[2]
        rate = f"{other.name}.{RATE}"
        read = {name: costs[name] for name in costs if name in {*watched.asked, rate}} | built
        return cls(scenario, spec, costs, technology, for_machine, read)

    def quantities(self) -> dict[str, Quantity]:
        """Return the constants with a range that were read."""
        return {n: q for n, q in self.read.items() if np.ndim(q.nominal) == 0 and q.at("low") < q.at("high")}

    @property
    def correlations(self) -> tuple[Correlation, ...]:
        """Return the correlations in the books."""
        return (
            *self.costs.correlations,
            *self.technology.correlations,
            *hwsim.design_book(self.scenario.on).correlations,
        )

    def shapes(self) -> dict[str, str]:
        """Return the shapes of constants with discrete values."""
        return {name: "levels" for name in (*LEVELS, *ONE_A_CALL) if name in self.read}

    def whole(self) -> tuple[str, ...]:
        """Return the constants that are counts, independent of their unit."""
        counts = {f.name for f in fields(hwsim.HardwiredDesign) if f.metadata.get("limits", {}).get("whole")}
        return tuple(name for name in self.read if name in counts or name in WHOLE)

    def spreads(
        self, quantities: Mapping[str, Quantity], shape: str = "triangular", shapes: Mapping[str, str] | None = None
    ) -> dict[str, Distribution]:
        """Return the distributions of `quantities`, with the machine's own counts and levels."""
        own = {name: how for name, how in self.shapes().items() if name in quantities} | dict(shapes or {})
        return distributions(quantities, shape, own, [name for name in self.whole() if name in quantities])

    def __call__(self, values: Mapping[str, Any], **over: Any) -> dict[str, np.ndarray]:
        """Return the columns of `evaluate` with the GPUs; `over` replaces the scenario's volume or context."""
        varied = {**self.pinned, **values}
        apart = [name for name in ONE_A_CALL if np.ndim(varied.get(name, 0.0))]
        if not apart:
            return self._columns(varied, over)
        points = len(varied[apart[0]])
        parts = np.unique(np.stack([varied[name] for name in apart], axis=1), axis=0)
        joined: dict[str, np.ndarray] = {}
        for part in parts:
            chosen = np.all([varied[name] == value for name, value in zip(apart, part, strict=True)], axis=0)
            one = {n: v[chosen] if np.ndim(v) else v for n, v in varied.items()} | dict(
                zip(apart, part.tolist(), strict=True)
            )
            outer = {n: v[chosen] if np.ndim(v) else v for n, v in over.items()}
            for name, columns in self._columns(one, outer).items():
                joined.setdefault(name, np.empty(points, dtype=columns.dtype))[chosen] = columns
        return joined

    def evidence(self) -> dict[str, Evidence]:
        """Return the evidence of each numeric column at the nominal point."""
        return dict(self._frame(self.pinned, {}, evidence=True).attrs["evidence"])

    def _columns(self, varied: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, np.ndarray]:
        frame = self._frame(varied, over, evidence=False)
        arrays = {name for name, value in {**varied, **over}.items() if np.ndim(value)}
        return {str(name): frame[name].to_numpy() for name in frame if name not in arrays}

    def _frame(self, varied: Mapping[str, Any], over: Mapping[str, Any], *, evidence: bool) -> pd.DataFrame:
        choice = self.scenario
        served = {name: getattr(choice, name) for name in ("context", "prompt_tokens", "output_tokens", "volume")}
        return evaluate(
            self.spec,
            varied,
            **{**served, **over},
            reading=choice.reading,
            convention=choice.convention,
            on=choice.on,
            technology=self.technology,
            weights=choice.weights,
            die_formula=choice.die_formula,
            book=self.costs,
            beside=choice.beside,
            strict=False,
            evidence=evidence,
        )


def chosen(quantities: Mapping[str, Quantity], only: Iterable[str]) -> dict[str, Quantity]:
    """Return quantities whose name matches a pattern of `only` (such as "n5.*"), or all if it is empty.

    Raises `InputError` for a pattern without a match.
    """
    names: set[str] = set()
    for pattern in (every := tuple(only)):
        matches = matching(pattern, quantities)
        if not matches:
            raise unknown_name("constant that is read here and has a range:", pattern, quantities)
        names.update(matches)
    return {name: quantity for name, quantity in quantities.items() if not every or name in names}


def check_ranges(function: Callable[[dict[str, Any]], Any], quantities: Mapping[str, Quantity]) -> None:
    """Raise the `InputError` of `function` for an end of a range that it never accepts, all else nominal.

    A design that cannot be built is no such error: the function reports it in a column, and such draws are counted.
    """
    alone = np.eye(len(quantities), dtype=bool)
    for level in ("low", "high"):
        ends = ((name, q.at(level), q.nominal) for name, q in quantities.items())
        function({name: np.where(at, end, nominal) for at, (name, end, nominal) in zip(alone, ends, strict=True)})
