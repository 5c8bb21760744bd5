"""Dollars and carbon of a hardwired model: the machine of `hwsim`, or the paper's own inputs, priced by `costmodel`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import costmodel
import hwsim
import models
from explorer.documents.document import Document, Documented
from explorer.pricing.prices import (
    Convention,
    Machine,
    bought,
    card,
    cost_book,
    device,
    node_of,
    published_system,
    replaced_book,
)
from explorer.pricing.rates import (
    DECODING,
    PAPER_MODEL,
    POWER,
    SERVICE,
    SHARE,
    Workload,
    bought_with,
    power_evidence,
    rate_evidence,
    with_rate,
)
from hwbase import Book, Evidence, Quantity, Record, evidence_of, quantities_frame
from hwbase.arguments import checked
from hwbase.books import refuse_old, share_overrides
from hwbase.record import plain
from hwbase.values import read_integer
from hwsim.chip import links_usd_per_chip
from hwsim.hardwired import reading_for
from hwsim.simulation import hardwired

if TYPE_CHECKING:
    import pandas as pd

_GB = 1e9
#: Choices that the cost sheet changes together, besides one by one.
GROUPS = {
    "maintenance on nodes, construction on IT power": {"maintenance_basis": "nodes", "construction_basis": "it"},
    "both, and the exact number of GPUs": {
        "maintenance_basis": "nodes",
        "construction_basis": "it",
        "gpu_count": "exact",
    },
}


@dataclass(frozen=True)
class CostAnswer(Documented):
    """A hardwired fleet and the devices that match it. `inputs` are the arguments of `costmodel.compare`."""

    model: str
    volume: int
    convention: str
    comparison: costmodel.Comparison
    inputs: dict[str, Any]
    notes: tuple[str, ...] = ()
    effect_rows: tuple[dict[str, Any], ...] = ()
    """The effect of each convention, if computed; `effects` is their frame."""
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)
    node: str = ""
    """The node of the prices of wafers and masks."""
    book: Book = field(repr=False, compare=False, kw_only=True)
    """The cost book with overrides in place."""
    machine: str = hwsim.DEFAULT_MACHINE
    """The hardwired machine."""
    device: str = hwsim.DEFAULT_GPU
    """The machine bought instead."""
    conventions: costmodel.Conventions = costmodel.AS_PUBLISHED
    """How it was counted."""
    workload: Workload = DECODING
    """What both fleets serve."""
    evidence: dict[str, Evidence] = field(default_factory=dict)
    """Of the figures of the "hardwired" fleet, of the "gpu" fleet, and of the "ratio" of both."""

    @property
    def pair(self) -> costmodel.Pair:
        """Both fleets at the level that the conventions show first."""
        pair: costmodel.Pair = getattr(self.comparison, self.conventions.headline)
        return pair

    @property
    def region(self) -> str:
        """The grid of both fleets."""
        return self.book.header.region

    def to_dict(self) -> dict[str, Any]:
        """Return the figures level by level, the inputs, the ratios and the sources."""
        levels = {}
        for name, pair in self.comparison.levels():
            levels[name] = {
                "bill": _figures(pair.bill),
                "nre_usd": float(pair.bill.nre_usd),
                "respin_usd": float(pair.bill.respin_usd(self.volume)),
                "hardwired": _figures(pair.hardwired)
                | {"usd_per_million_tokens": float(pair.hardwired.usd_per_million_tokens)},
                "gpu": _figures(pair.gpu) | {"usd_per_million_tokens": float(pair.gpu.usd_per_million_tokens)},
                "hardwired_carbon": _figures(pair.hardwired_carbon),
                "gpu_carbon": _figures(pair.gpu_carbon),
                "tco_ratio": float(pair.tco_ratio),
                "static_tco_ratio": float(pair.static_tco_ratio),
                "capex_ratio": float(pair.capex_ratio),
                "opex_ratio": float(pair.opex_ratio),
                "carbon_ratio": float(pair.carbon_ratio),
                "static_carbon_ratio": float(pair.static_carbon_ratio),
            }
        return {
            "model": self.model,
            "volume": self.volume,
            "convention": self.convention,
            "gpus": float(self.comparison.gpus),
            "machine": self.machine,
            "device": self.device,
            "region": self.region,
            "workload": self.workload.to_dict(),
            "evidence": self.evidence,
            "inputs": {key: _number(value) for key, value in self.inputs.items()},
            "levels": levels,
            "effects": plain(self.effect_rows) or None,
            "notes": list(self.notes),
            "assumptions": {name: quantity.__dict__ for name, quantity in self.assumptions.items()},
        }

    @property
    def effects(self) -> "pd.DataFrame | None":
        """The effect of each convention, one row each; None if not computed."""
        import pandas as pd

        return pd.DataFrame(list(self.effect_rows)) if self.effect_rows else None

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each level and fleet."""
        subject: dict[str, Any] = {
            "model": self.model,
            "volume": self.volume,
            "convention": self.convention,
            "machine": self.machine,
            "device": self.device,
            "region": self.region,
        }
        frame = self.comparison.to_frame()
        for place, (name, value) in enumerate(subject.items()):
            frame.insert(place, name, value)
        return frame

    def sources(self) -> "pd.DataFrame":
        """Return one row for each constant read, with its source."""
        return quantities_frame(self.assumptions)

    def document(self, command: str = "") -> Document:
        """Return the answer as a document."""
        from explorer.pricing.document import cost_document

        return cost_document([self], command)


@checked
def cost(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    volume: int = 1,
    convention: Convention = "as-published",
    context: int = 2048,
    prompt_tokens: int = 0,
    output_tokens: int = 0,
    on: Machine = hwsim.DEFAULT_MACHINE,
    beside: Machine | None = None,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    reading: str | None = None,
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    effects: bool = False,
    machine_set: None = None,
) -> CostAnswer:
    """Return the cost and emissions of `volume` hardwired machines for `model`, and of the machines that match them.

    Parameters
    ----------
    model : str or LLMSpec
        A model, as in `hwsim.simulate`.
    volume : int
        Systems built.
    convention : str, Path or Conventions
        A set of conventions by name, or by the path of a TOML file. "as-published" reproduces the paper's tables: its
        die, power and 2 M tokens/s are inputs for its own machine and model, any other brings its simulated machine.
        "corrected" is our own estimate: the simulated machine in the pipelined reading, and the default book.
    context : int
        Positions of a sequence at which both machines decode, unless prompts are counted too.
    prompt_tokens, output_tokens : int
        Tokens of a prompt and of an answer: both machines then serve such requests, and output tokens are counted.
    on : str, Path or Book
        The hardwired machine.
    beside : str, Path or Book, optional
        The machine bought instead; by default the convention's.
    technology : str, Path or Book
        The process, whose book names the node that wafers and masks are priced at. With any but the paper's the machine
        is simulated in either convention.
    weights : str
        Format of the hardwired weights, as in `hwsim.simulate`.
    reading : str, optional
        The reading of the hardwired machine; by default the convention's.
    book : str or Path, optional
        The cost book; by default the convention's.
    set : mapping of str to number, array or str
        Constants of the cost book, the machine, the technology or the servers of bought GPUs to override; "region" and
        "fab_region" name the grids that fleets run on and chips are made on.
    effects : bool
        Adds the effect of each convention.
    machine_set : None
        An older name, which is refused: use `set`.

    Returns
    -------
    CostAnswer

    Raises
    ------
    InputError
        For invalid input.

    Examples
    --------
    >>> comparison = cost("gpt-oss-120b", volume=50).comparison
    >>> round(float(comparison.high.tco_ratio), 1), round(float(comparison.low.tco_ratio), 1)
    (41.7, 80.4)
    """
    spec = models.spec_of(model)
    refuse_old(machine_set=machine_set)
    volume = read_integer("volume", volume, high=1e6)
    workload = Workload.read(context, prompt_tokens, output_tokens)
    conventions = costmodel.conventions.named(convention)
    other = hwsim.machine_book(bought(beside, conventions))
    instead = device(other)
    costs = cost_book(book or conventions.book, [other], spec)
    books = costs, hwsim.design_book(on), hwsim.technology_book(technology)
    rest, for_bought, (other,) = bought_with(set or {}, [other], *books)
    for_costs, for_machine = costs_and_machine(rest, costs, on, technology)
    published = is_published(spec, conventions, on, technology, weights, reading, workload, for_machine)
    assumptions = with_rate(costs.override(for_costs), other, spec, workload, published=published)
    built = priced_system(
        spec,
        conventions,
        assumptions,
        on=on,
        technology=technology,
        weights=weights,
        reading=reading,
        workload=workload,
        set=for_machine,
    )
    fleet: dict[str, Any] = {"volume": volume, "tokens_per_s": built.tokens_per_s, "card": card()}
    comparison = costmodel.compare(assumptions, built.system, instead, conventions=conventions, **fleet)
    rows: tuple[dict[str, Any], ...] = ()
    if effects:
        rows = tuple(costmodel.effect_rows(assumptions, built.system, instead, groups=GROUPS, **fleet))
    low = comparison.low
    read = built.assumptions.copy()
    for part in (low.bill, low.hardwired, low.gpu, low.hardwired_carbon, low.gpu_carbon):
        read |= part.assumptions
    # The speed of a GPU sets how many match, before any of their costs is counted.
    speed = f"{instead.name}.tokens_per_s"
    read |= {speed: assumptions[speed]}
    notes = (*replaced_book(conventions, book, [other]), *built.notes)
    if assumptions[speed].kind == "derived":
        read |= {name: assumptions[name] for name in SERVICE}
        read |= {name: other[name] for name in for_bought}
        notes += (
            f"{assumptions[speed].nominal:,.0f} tokens/s for one {other.header.label}: {assumptions[speed].source}",
        )
    read |= {name: assumptions[name] for name in (POWER,) if f"{instead.name}.{SHARE}" in read}
    own = evidence_of(built.assumptions.values())
    # As many GPUs as generate what the systems do: their fleet rests on the rates of both, and on its power.
    both = evidence_of([own, rate_evidence(assumptions, other), *power_evidence(assumptions, other, conventions)])
    return CostAnswer(
        spec.name,
        volume,
        conventions.name,
        comparison,
        built.inputs(),
        notes,
        rows,
        read,
        built.system.node,
        book=assumptions,
        machine=hwsim.design_book(on).name,
        device=instead.name,
        conventions=conventions,
        workload=workload,
        evidence={"hardwired": own, "gpu": both, "ratio": both},
    )


def costs_and_machine(
    overrides: Mapping[str, Any], costs: Book, on: Machine, technology: str | Path | Book
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (overrides of the cost book, those of the machine or the technology).

    Raises `InputError` for a name that is in none of the three, with the nearest name of all.
    """
    books = costs, hwsim.design_book(on), hwsim.technology_book(technology)
    for_costs, for_machine, for_process = share_overrides(overrides, *books)
    return for_costs, for_machine | for_process


@dataclass(frozen=True)
class PricedSystem:
    """A hardwired machine as an input of `costmodel`, with notes on the source of its numbers."""

    system: costmodel.System
    tokens_per_s: float
    notes: tuple[str, ...]
    assumptions: dict[str, Quantity]
    latency_s: float = math.nan
    """Between two tokens of a sequence; NaN where the paper's numbers do not say."""

    def inputs(self) -> dict[str, Any]:
        """Return the numbers by name, without those not stated."""
        stated = {name: value for name, value in vars(self.system).items() if value is not None and name != "node"}
        return stated | {"tokens_per_s": self.tokens_per_s}


def is_published(
    spec: models.LLMSpec,
    conventions: costmodel.Conventions,
    on: Machine,
    technology: str | Path | Book,
    weights: str,
    reading: str | None,
    workload: Workload,
    set: Mapping[str, Any] | None,
) -> bool:
    """Return whether the paper's own numbers are used: by its conventions, for its machine, model and process as is."""
    papers = (PAPER_MODEL, hwsim.DEFAULT_MACHINE, hwsim.DEFAULT_TECHNOLOGY, "fp4", None, DECODING)
    machine, process = hwsim.design_book(on), hwsim.technology_book(technology)
    chosen = (spec.name, machine.name, process.name, weights, reading, workload)
    return conventions.published_system and chosen == papers and not set


def priced_system(
    spec: models.LLMSpec,
    conventions: costmodel.Conventions,
    costs: Book,
    *,
    on: Machine = hwsim.DEFAULT_MACHINE,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    reading: str | None = None,
    workload: Workload = DECODING,
    set: Mapping[str, Any] | None = None,
) -> PricedSystem:
    """Return the hardwired machine that holds `spec`, or the paper's own numbers where the conventions say so.

    Parameters are those of `cost`. Raises `InputError` as `hwsim.simulate` and `node_of` do.
    """
    process, machine = hwsim.technology_book(technology), hwsim.design_book(on)
    if is_published(spec, conventions, machine, process, weights, reading, workload, set):
        note = "die area, power and 2 M tokens/s per system are the paper's own inputs; no resource check supports 2 M"
        read = costs.reader()
        system, tokens_per_s = published_system(read, process)
        return PricedSystem(system, tokens_per_s, (note,), read.used)
    design, made, used = hardwired(spec, weights=weights, technology=process, book=machine, set=set)
    reading = reading or reading_for(design, conventions.reading)

    def at(context: Any) -> hwsim.SimResult:
        return hwsim.simulate_hardwired(spec, design, made, context=context, reading=reading)

    run = at(workload.mean_context)
    rate = float(workload.output_rate(run, at))
    note = f"{rate:,.0f} tokens/s per system: simulated, {reading} reading, {workload.describe()}"
    short = (f"these figures cannot be reached, for want of {', '.join(run.short_of)}",) if not run.feasible else ()
    system = system_of(run, design, node_of(process, costs))
    return PricedSystem(system, rate, (*short, note), used, float(run.latency_s))


def system_of(run: hwsim.SimResult, design: hwsim.HardwiredDesign, node: str) -> costmodel.System:
    """Return a simulated hardwired machine as an input of `costmodel`; numbers or arrays, like those of the run."""
    return costmodel.System(
        chips=run.chips,
        die_area_mm2=run.area_mm2 / run.chips,
        hbm_gb_per_chip=design.hbm_bytes / _GB,
        chip_power_w=run.power_w / run.chips / design.power_overhead,
        node=node,
        links_usd_per_chip=links_usd_per_chip(design),
        own_masks=design.fabric_constants.respin_masks(design.fabric),
    )


def _figures(record: Record) -> dict[str, Any]:
    return {key: _number(value) for key, value in record.to_dict().items() if key != "assumptions"}


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
