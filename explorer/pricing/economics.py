"""Dollars and carbon of a hardwired model: `hwsim`'s machine (or the paper's own inputs) put into `costmodel`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import costmodel
import hwsim
import models
from explorer.papers.hnlpu_economics import published_design
from hwbase import Book, Quantity, Record, quantities_frame
from hwbase.check import count
from hwsim.simulation import hardwired
from hwsim.technology import DEFAULT_TECHNOLOGY

#: The model whose machine the paper describes: its published inputs are used as they stand.
PAPER_MODEL = "gpt-oss-120b"
#: The process whose prices the paper gives.
PAPER_NODE = "n5"
#: The constant that says how fast a GPU is, whatever the model.
GPU_SPEED = "h100.tokens_per_s"
#: The book that goes with a convention unless the caller names one.
BOOKS = {"as-published": "hnlpu-asplos26", "corrected": "default"}
#: Choices that the cost sheet shows together, as well as one by one.
GROUPS = {
    "maintenance on nodes, construction on IT power": {"maintenance_basis": "nodes", "construction_basis": "it"},
    "both, and the exact number of GPUs": {
        "maintenance_basis": "nodes",
        "construction_basis": "it",
        "gpu_count": "exact",
    },
}


@dataclass(frozen=True)
class CostAnswer(Record):
    """A hardwired fleet beside the GPUs that match it. `inputs` is what went into `costmodel.compare`."""

    model: str
    volume: int
    convention: str
    comparison: costmodel.Comparison
    inputs: dict[str, Any]
    notes: tuple[str, ...] = ()
    effects: pd.DataFrame | None = None
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)
    node: str = PAPER_NODE
    book: Book | None = field(default=None, repr=False, compare=False)
    """The cost book that it was computed from, overrides in place."""

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
            "inputs": {key: _number(value) for key, value in self.inputs.items()},
            "levels": levels,
            "effects": None if self.effects is None else self.effects.to_dict(orient="records"),
            "notes": list(self.notes),
            "assumptions": {name: quantity.__dict__ for name, quantity in self.assumptions.items()},
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row per level and fleet."""
        return self.comparison.to_frame()

    def sources(self) -> pd.DataFrame:
        """Return one row per constant read, with its source."""
        return quantities_frame(self.assumptions)

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()


def cost(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    volume: int = 1,
    convention: str = "as-published",
    context: int = 2048,
    technology: str = DEFAULT_TECHNOLOGY,
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    machine_set: Mapping[str, Any] | None = None,
    effects: bool = False,
) -> CostAnswer:
    """Return what `volume` hardwired machines for `model` cost and emit beside the GPUs that match them.

    `convention` "as-published" reproduces the paper's tables (its die, power and 2 M tokens/s are inputs for
    gpt-oss-120b; any other model brings its simulated machine); "corrected" is what we believe: the simulated machine
    in the `pipelined` reading at `context`, and the default book. `technology` names the book of the process (then the
    machine is simulated in either convention), `book` and `set` replace cost assumptions, `machine_set` those of the
    machine. `effects` adds what each convention is worth. Raises `InputError`.

    >>> comparison = cost("gpt-oss-120b", volume=50).comparison
    >>> round(float(comparison.high.tco_ratio), 1), round(float(comparison.low.tco_ratio), 1)
    (41.7, 80.4)
    """
    spec = models.load(model) if isinstance(model, str) else model
    volume = int(count("volume", volume, high=1e6))
    context = int(count("context", context, high=hwsim.MOST_CONTEXT))
    conventions = costmodel.conventions.named(convention)
    assumptions = costmodel.load_book(book or BOOKS[convention]).override(set or {})
    inputs, notes, used = machine_inputs(spec, conventions, assumptions, context, technology, machine_set or {})
    node = cost_node(Path(technology).stem, assumptions)
    if not Path(technology).stem.startswith(node):
        notes += (f"wafers and masks at the prices of {node}: the cost book has no node for {technology}",)
    comparison = costmodel.compare(assumptions, volume=volume, node=node, conventions=conventions, **inputs)
    table = None
    if effects:
        table = costmodel.convention_effects(assumptions, groups=GROUPS, volume=volume, node=node, **inputs)
    read = {**used, **comparison.low.bill.assumptions, **comparison.low.hardwired.assumptions}
    read |= comparison.low.gpu.assumptions | comparison.low.hardwired_carbon.assumptions
    # The speed of a GPU sets how many match, before any of their costs is counted.
    read |= comparison.low.gpu_carbon.assumptions | {GPU_SPEED: assumptions[GPU_SPEED]}
    return CostAnswer(spec.name, volume, convention, comparison, inputs, notes, table, read, node, assumptions)


def cost_node(technology: str, book: Book) -> str:
    """Return the node of the cost book that the technology called `technology` is built at.

    A technology is named after its node ("n5-asplos26" is built at n5); for one that is not, the paper's n5.
    """
    node = technology.partition("-")[0]
    return node if node in costmodel.nodes(book) else PAPER_NODE


def machine_inputs(
    spec: models.LLMSpec,
    conventions: costmodel.Conventions,
    book: Book,
    context: int,
    technology: str,
    machine_set: Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...], dict[str, Quantity]]:
    """Return (inputs of `costmodel.compare`, notes, constants read) for the machine that holds `spec`."""
    published = conventions.name == "as-published"
    if published and spec.name == PAPER_MODEL and technology == DEFAULT_TECHNOLOGY and not machine_set:
        note = "die area, power and 2 M tokens/s per system are the paper's own inputs; no resource check supports 2 M"
        return published_design(book), (note,), {}
    design, process, used = hardwired(spec, technology=technology, set=machine_set)
    reading = "as-published" if published else "pipelined"
    result = hwsim.simulate_hardwired(spec, design, process, context=context, reading=reading)
    chip = hwsim.build_chip(spec, design, process)
    inputs = {
        "chips": int(design.chips),
        "die_area_mm2": float(chip.area_mm2),
        "hbm_gb_per_chip": float(design.hbm_bytes) / 1e9,
        "chip_power_w": float(result.power_w / design.chips / design.power_overhead),
        "tokens_per_s": float(result.tokens_per_s),
    }
    note = f"{inputs['tokens_per_s']:,.0f} tokens/s per system: simulated, {reading} reading, context {context:,}"
    return inputs, (note,), used


def _figures(record: Record) -> dict[str, Any]:
    return {key: _number(value) for key, value in record.to_dict().items() if key != "assumptions"}


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
