"""Methods of a result, derived from its inputs: readings, formulas with their constants, conventions, overrides."""

from collections.abc import Iterable, Mapping
from typing import Any

import hwsim
from costmodel import Conventions
from explorer.documents.conventions import DIES, YIELDS
from explorer.documents.document import Method
from explorer.documents.theme import machine_name
from hwbase import Book, Quantity
from hwbase.numbers import context_label, counted, money, plain, pretty_unit, words

_PAPER = "doi 10.1145/3779212.3790169"
_ACT = "Gupta et al., ISCA 2022"
_READINGS = {
    "as-published": (
        "A token's times on links, arrays and vector unit are added, as the breakdown of Figure 14 implies. Link time "
        "follows from the messages; the rest depends on constants fitted to that figure.",
        f"{_PAPER}, Table 2 and Figure 14",
    ),
    "pipelined": (
        "Resources overlap and nothing is fitted. The busiest resource sets the rate; latency is the path of an empty "
        "machine or the wait for a slot, whichever is longer.",
        f"structure of {_PAPER}; hwsim.occupancy",
    ),
    "roofline": (
        "A step reads and multiplies at measured kernel rates, plus exchanges and latencies. Efficiencies "
        "of GPUs are measured on kernels, their latencies fitted to measured serving points.",
        "Williams, Waterman and Patterson, Commun. ACM 52, 2009; hwsim.gpu.step, hwsim.wafer",
    ),
}


def reading_methods(runs: Iterable[hwsim.SimResult]) -> list[Method]:
    """Return the simulation method of `runs`, runs of one reading together."""
    by_reading: dict[str, list[hwsim.SimResult]] = {}
    for run in runs:
        by_reading.setdefault(run.reading, []).append(run)
    methods = []
    for reading, group in by_reading.items():
        text, reference = _READINGS[reading]
        ran = "; ".join(dict.fromkeys(_ran(run) for run in group))
        methods.append(Method(f"Speed, {reading}", text, reference, f"{ran}."))
    return methods


def technology_method(process: Book, weight_format: str, chip: hwsim.Chip) -> Method:
    """Return the method of sizing the silicon: the process, the weight format, the blocks."""
    return Method(
        "Silicon",
        f"Blocks sized from gate counts and the densities of {process.name} ({process.title}).",
        f"Metal-Embedding, {_PAPER}; hwsim.circuits, hwsim.chip",
        f"{plain(chip.hn_weights / 1e9)} billion weights of {weight_format} a chip in the wires of "
        f"{plain(chip.block('HN array').area_mm2)} mm² of neurons.",
    )


def cost_methods(conventions: Conventions, read: Mapping[str, Quantity], node: str, device: str) -> list[Method]:
    """Return the methods of the bill, the TCO and the carbon by `conventions`, with their constants.

    `node` and `device` are the prefixes of the constants of the process and of the bought machine.
    """
    room = ""
    if conventions.edge_and_scribe:
        room = f", {_with(read, 'wafer.edge_mm')} of edge and {_with(read, 'wafer.scribe_mm')} of scribe lane"
    rounded = "rounded" if conventions.round_good_dies else "not rounded"
    dies = Method(
        "Dies and yield",
        f"Gross dies of a wafer of {_with(read, 'wafer.diameter_mm')}{room}: {DIES[conventions.die_formula]}. Yield "
        f"{YIELDS[conventions.yield_model]} with x = A D0, D0 = {_with(read, f'{node}.d0_per_cm2')} at {node}; "
        f"good dies {rounded}.",
        f"costmodel.dies, costmodel.yields; {_source(read, f'{node}.d0_per_cm2')}",
    )
    masks = Method(
        "Masks and design",
        f"A set of {_with(read, f'{node}.mask_set_usd')} is {plain(_nominal(read, f'{node}.euv_masks'))} EUV masks at "
        f"the price of {plain(_nominal(read, 'masks.euv_weight'))} DUV masks each and "
        f"{plain(_nominal(read, f'{node}.duv_masks'))} DUV masks; "
        f"{_own_masks(read)} of these are every chip's own, the others shared. "
        "NRE is masks and design; a re-spin is own masks and a build.",
        f"{_PAPER}, Appendix B; costmodel.masks",
    )
    tco = Method(
        "Ownership",
        f"Capital, electricity at {_with(read, 'electricity.usd_per_kwh')} and a PUE of "
        f"{plain(_nominal(read, 'datacentre.pue'))}, maintenance and re-spins over "
        f"{plain(_nominal(read, 'use.lifetime_hours'))} hours at a discount rate of "
        f"{plain(_nominal(read, 'use.discount_rate_per_year'))} a year.",
        "costmodel.tco",
    )
    return [dies, masks, tco, _carbon_method(conventions, read, node, device)]


def _own_masks(read: Mapping[str, Quantity]) -> str:
    """Return how many masks carry weights: those of the machine's fabric where it has another than the cost book's."""
    of_fabric = [name for name in read if name.startswith("fabrics.")]
    stated = [name for name in of_fabric if name.endswith(".respin_masks")]
    if of_fabric and not stated:
        return "None"
    return plain(_nominal(read, stated[0] if stated else "masks.per_chip_duv_masks"))


def override_methods(read: Mapping[str, Quantity]) -> list[Method]:
    """Return the overridden constants as a method, if there are any."""
    changed = {name: quantity for name, quantity in read.items() if quantity.kind == "user"}
    if not changed:
        return []
    parts = "; ".join(f"{name} = {_value(q)} ({q.note or q.source})" for name, q in sorted(changed.items()))
    return [Method("Overridden", f"{counted(len(changed), 'constant')} set by hand: {parts}.")]


def levels_method(levels: Iterable[str], *, published: bool) -> Method:
    """Return the meaning of the levels: the paper's two cases if the book is its own (`published`), or bounds."""
    if published:
        text = "Low and high are the optimistic and the pessimistic case of the paper, nominal the middle of the two."
    else:
        text = "Low and high read every constant at that end of its range at once: bounds, not a forecast."
    return Method("Ranges", f"Levels shown: {', '.join(levels)}. {text}")


def _carbon_method(conventions: Conventions, read: Mapping[str, Quantity], node: str, device: str) -> Method:
    if conventions.module_carbon == "gpu":
        own, card = f"{device}.module_carbon_kg", f"{hwsim.DEFAULT_GPU}.module_carbon_kg"
        modules = f"Every module, hardwired or not, is {_with(read, card)}"
        if own != card:
            modules = (
                f"A hardwired module is {_with(read, card)}, as the GPU of the paper; one bought {_with(read, own)}"
            )
        return Method("Carbon", f"{modules}; electricity emits {_grid(read)}.", _source(read, card))
    return Method(
        "Carbon",
        "A good die is its share of the wafer × (grid × energy + gas + materials) / yield, with "
        f"{_with(read, f'{node}.epa_kwh_per_cm2')}, {_with(read, f'{node}.gpa_kg_per_cm2')} and "
        f"{_with(read, f'{node}.mpa_kg_per_cm2')}, yield {YIELDS[conventions.carbon_yield_model]}; then package, "
        f"memory at {_with(read, 'hbm.carbon_kg_per_gb')}, board, and a margin of "
        f"{plain(100 * (_nominal(read, 'board.margin') - 1.0))} %. Electricity emits {_grid(read)}.",
        f"{_ACT}; 3D-Carbon, DAC 2024; costmodel.carbon",
    )


def _ran(run: hwsim.SimResult) -> str:
    name = machine_name(run.machine).partition(",")[0]
    return f"{name}: {counted(run.batch, 'sequence')} at {context_label(run.context)}, bound by {words(run.bound_by)}"


def _grid(read: Mapping[str, Quantity]) -> str:
    grids = [(name, quantity) for name, quantity in read.items() if name.startswith("grid.")]
    text = (f"{plain(q.nominal)} g/kWh ({n.removeprefix('grid.').removesuffix('_g_per_kwh')})" for n, q in grids)
    return ", ".join(text) or "what was given"


def _nominal(read: Mapping[str, Quantity], name: str) -> float:
    return float(read[name].nominal) if name in read else float("nan")


def _value(quantity: Quantity) -> str:
    """Return the nominal value with its unit, and the range if there is one."""
    unit = pretty_unit(quantity.unit)
    write = money if quantity.unit == "USD" else plain
    text = write(quantity.nominal) if write is money else f"{plain(quantity.nominal)} {unit}".strip()
    low, high = quantity.at("low"), quantity.at("high")
    return text if low == high else f"{text} ({write(low)} to {write(high)})"


def _with(read: Mapping[str, Quantity], name: str) -> str:
    return _value(read[name]) if name in read else plain(None)


def _source(read: Mapping[str, Any], name: str) -> str:
    return read[name].source if name in read else ""
