"""Sections of a report on the fleet: what it costs to build and to own, its carbon, what each convention is worth."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from explorer.documents.conventions import conventions_table
from explorer.documents.document import Aside, Beside, Figure, Folded, Heading, Part, Section
from explorer.documents.tables import Column, Table, frame_table, quantity_table, signed
from explorer.documents.theme import machine_name
from explorer.pricing.economics import CostAnswer
from explorer.report.answer import Answer
from explorer.report.figures.fleet import (
    carbon_bars,
    carbon_frame,
    cost_waterfall,
    pairs,
    tco_bars,
    tco_frame,
    waterfall_frame,
)
from explorer.report.scopes import boundary_said, carbon_scopes, scope_table
from hwbase.numbers import counted, money, percent, plain, times, words

if TYPE_CHECKING:
    import pandas as pd


_BILL_ROWS = (
    ("good dies per wafer", "good_dies", plain),
    ("yield", "die_yield", percent),
    ("silicon of a chip", "wafer_usd", money),
    ("package and test of a chip", "package_usd", money),
    ("HBM of a chip", "hbm_usd", money),
    ("integration of a chip", "integration_usd", money),
    ("recurring, one chip", "recurring_usd", money),
    ("recurring, one system", "system_usd", money),
    ("shared masks", "shared_masks_usd", money),
    ("own masks of one chip", "own_masks_usd", money),
    ("all masks", "masks_usd", money),
    ("architecture", "architecture_usd", money),
    ("verification", "verification_usd", money),
    ("physical design", "physical_usd", money),
    ("IP", "ip_usd", money),
    ("NRE, masks and design", "nre_usd", money),
)
_TCO_ROWS = (
    ("systems or GPUs", "units", plain),
    ("IT power [MW]", "it_power_mw", partial(plain, unit="MW")),
    ("facility power [MW]", "facility_power_mw", partial(plain, unit="MW")),
    ("hardware, NRE included", "hardware_usd", money),
    ("network", "network_usd", money),
    ("data-centre construction", "construction_usd", money),
    ("capital", "capex_usd", money),
    ("electricity", "electricity_usd", money),
    ("maintenance", "maintenance_usd", money),
    ("operation", "opex_usd", money),
    ("re-spins", "respins_usd", money),
    ("TCO without re-spins", "static_usd", money),
    ("TCO", "total_usd", money),
    ("per million tokens", "usd_per_million_tokens", money),
)
_RATIO_ROWS = (
    ("TCO", "tco_ratio", times),
    ("TCO without re-spins", "static_tco_ratio", times),
    ("capital", "capex_ratio", times),
    ("operation", "opex_ratio", times),
    ("carbon", "carbon_ratio", times),
    ("carbon without re-spins", "static_carbon_ratio", times),
)
#: What goes into a comparison of costs, as people name it.
_INPUTS = {
    "chips": ("chips in a system", ""),
    "die_area_mm2": ("die", "mm²"),
    "hbm_gb_per_chip": ("HBM of a chip", "GB"),
    "chip_power_w": ("power of a chip", "W"),
    "system_power_w": ("stated power of a system", "W"),
    "tokens_per_s": ("speed of a system", "tokens/s"),
    "gpu_tokens_per_s": ("speed of a GPU", "tokens/s"),
    "gpus": ("GPUs that match", ""),
    "respins": ("re-spins", ""),
}
_EFFECTS = {
    "reading": Column("convention switched", numeric=False),
    "choice": Column("to", numeric=False),
    "hardwired_low_usd": Column("hardwired TCO, low"),
    "hardwired_high_usd": Column("hardwired TCO, high"),
    "gpu_usd": Column("GPU TCO, low"),
    "ratio_low": Column("TCO ratio, low"),
    "ratio_high": Column("TCO ratio, high"),
    "carbon_ratio": Column("carbon ratio"),
    "ratio_low_change_percent": Column("change of TCO ratio", "%"),
    "carbon_ratio_change_percent": Column("change of carbon ratio", "%"),
}
_TCO_COLUMNS = {
    "fleet": Column("fleet", numeric=False),
    "level": Column("case", numeric=False),
    "capex_usd": Column("capital"),
    "opex_usd": Column("operation"),
    "respins_usd": Column("re-spins"),
    "total_usd": Column("TCO"),
    "ratio": Column("GPU TCO over it"),
}
_CARBON_COLUMNS = {
    "fleet": Column("fleet", numeric=False),
    "level": Column("case", numeric=False),
    "scope2_t": Column("Scope 2", "t CO₂e"),
    "scope3_t": Column("Scope 3", "t CO₂e"),
    "total_t": Column("total", "t CO₂e"),
}
_STEPS = {"step": Column("step", numeric=False), "kind": Column("kind", numeric=False), "usd": Column("cost")}


def cost(answer: Answer) -> Section:
    """Return what one system and the fleet cost to build."""
    asked = answer.cost
    text = (
        f"{counted(asked.volume, 'system')}, convention {asked.convention}. Low and high read every constant at that "
        "end of its range: the paper's optimistic and pessimistic case with its own book, otherwise bounds that nobody "
        "expects all at once."
    )
    parts: list[Part] = [
        text,
        Beside(_waterfalls(asked)),
        Beside((bill_table(asked), inputs_table(asked.inputs))),
        *(Aside(f"{note[:1].upper()}{note[1:]}.") for note in asked.notes or ()),
        *(Folded(f"The same by convention {other.convention}", (bill_table(other),)) for other in answer.costs[1:]),
    ]
    return Section("cost", "Cost", tuple(parts), short=False)


def ownership(answer: Answer) -> Section:
    """Return what both fleets cost over their life, and what they emit."""
    asked = answer.cost
    comparison, levels = asked.comparison, asked.conventions.levels
    formats = {key: money for key in _TCO_COLUMNS if key.endswith("usd")} | {"ratio": times}
    tco = frame_table("Total cost of ownership", tco_frame(comparison, levels), _TCO_COLUMNS, formats)
    carbon = frame_table("Carbon over the life", carbon_frame(comparison, levels), _CARBON_COLUMNS)
    figures = (
        Figure("tco", partial(tco_bars, comparison, levels), "Total cost of ownership of both fleets, M$", tco, 5),
        Figure(
            "carbon", partial(carbon_bars, comparison, levels), "Carbon of both fleets by scope, log axis", carbon, 4
        ),
    )
    parts: tuple[Part, ...] = (
        f"The hardwired fleet beside {plain(comparison.gpus)} GPUs that generate as many tokens.",
        Beside(figures),
        tco_table(asked),
        ratio_table((*answer.costs, *answer.costs_beside)),
        *(Folded(f"The same by convention {other.convention}", (tco_table(other),)) for other in answer.costs[1:]),
        *(
            Folded(f"The same beside {machine_name(other.device)}, convention {other.convention}", (tco_table(other),))
            for other in answer.costs_beside
        ),
    )
    return Section("ownership", "Ownership and carbon", parts, short=False)


def scopes(answer: Answer) -> Section:
    """Return the carbon by scope under both conventions, the one asked for first."""
    parts: list[Part] = []
    for costs in by_convention(answer).values():
        carbon = carbon_scopes(costs)
        parts += [Heading(f"Convention {carbon.convention}"), *boundary_said(carbon), scope_table(carbon)]
    return Section("scopes", "Carbon by scope", tuple(parts), short=False)


def conventions(answer: Answer) -> Section:
    """Return the same fleet counted with one choice of a convention changed at a time."""
    effects = next((costs.effects for costs in by_convention(answer).values() if costs.effects is not None), None)
    parts: tuple[Part, ...] = ("Not computed for this page.",)
    if effects is not None:
        text = (
            "The same fleet counted with one choice changed at a time, so that the weight of each is visible. The "
            "first row is the paper's own way, the last row all changes together."
        )
        parts = (text, effects_table(effects))
    return Section("conventions", "What each convention is worth", parts, short=False)


def by_convention(answer: Answer) -> dict[str, CostAnswer]:
    """Return the costs by convention, the one asked for first."""
    return {costs.convention: costs for costs in answer.costs}


def conventions_used(answer: Answer) -> Table:
    """Return every choice of the conventions that the report shows."""
    return conventions_table(*(costs.conventions for costs in answer.costs))


def bill_table(costs: CostAnswer) -> Table:
    """Return the bill of one hardwired system at each level."""
    bills = {level: pair.bill for level, pair in pairs(costs.comparison, costs.conventions.levels)}
    return quantity_table(f"Bill of one hardwired system, {costs.convention}", _BILL_ROWS, bills, head="item")


def inputs_table(inputs: Mapping[str, Any]) -> Table:
    """Return what the machine brings to the comparison of costs."""
    rows = []
    for name, value in inputs.items():
        label, unit = _INPUTS.get(name, (words(name), ""))
        rows.append((label, plain(value, unit=unit), unit))
    columns = (Column("input", numeric=False), Column("value"), Column("unit", numeric=False))
    return Table("What the machine brings to it", columns, tuple(rows))


def tco_table(costs: CostAnswer) -> Table:
    """Return the TCO of both fleets at each level, line by line."""
    cases = pairs(costs.comparison, costs.conventions.levels)
    fleets = {Column(level, group="hardwired"): pair.hardwired for level, pair in cases}
    fleets |= {Column(level, group="GPU"): pair.gpu for level, pair in cases}
    return quantity_table(f"Cost of both fleets over their life, {costs.convention}", _TCO_ROWS, fleets, head="item")


def ratio_table(costs: Sequence[CostAnswer]) -> Table:
    """Return how many times the GPU fleet's cost and carbon the hardwired fleet's are, by convention and level."""
    devices = dict.fromkeys(each.device for each in costs)
    cases = {
        Column(level, group=each.convention + (f", {machine_name(each.device)}" if len(devices) > 1 else "")): pair
        for each in costs
        for level, pair in pairs(each.comparison, each.conventions.levels)
    }
    return quantity_table("GPU fleet over hardwired fleet", _RATIO_ROWS, cases, head="of")


def effects_table(effects: "pd.DataFrame") -> Table:
    """Return what each accounting convention is worth, from `costmodel.convention_effects`."""
    formats: dict[str, Callable[[Any], str]] = dict.fromkeys((key for key in _EFFECTS if key.endswith("_usd")), money)
    formats |= dict.fromkeys(("ratio_low", "ratio_high", "carbon_ratio"), times)
    formats |= {key: signed for key in _EFFECTS if key.endswith("_percent")}
    formats |= {"reading": words, "choice": words}
    return frame_table("What each convention is worth, switched alone", effects, _EFFECTS, formats)


def _waterfalls(costs: CostAnswer) -> tuple[Figure, ...]:
    cases = pairs(costs.comparison, costs.conventions.levels)
    most = max(float(pair.hardwired.total_usd) for _, pair in cases)
    figures = []
    for level, pair in cases:
        caption = f"From masks to TCO, {level} case"
        table = frame_table(caption, waterfall_frame(pair.bill, pair.hardwired), _STEPS, {"usd": money})
        draw = partial(cost_waterfall, pair.bill, pair.hardwired, most_usd=most)
        figures.append(Figure(f"waterfall-{level}", draw, caption, table, 2))
    return tuple(figures)
