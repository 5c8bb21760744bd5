"""The document of a fleet's cost: its bill, both fleets over their life, carbon, and the effect of conventions."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import costmodel
from explorer.documents.conventions import conventions_table
from explorer.documents.document import Aside, Document, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table, frame_table, quantity_table, signed
from explorer.documents.theme import machine_name
from hwbase.numbers import counted, listed, mass, money, percent, plain, sentence, times, words
from hwsim.machine_books import DEFAULT_MACHINE

if TYPE_CHECKING:
    import pandas as pd

    from explorer.pricing.economics import CostAnswer

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
#: Labels of the inputs of a cost comparison.
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
#: Columns that fit a terminal.
_SHORT_EFFECTS = {
    name: _EFFECTS[name]
    for name in ("reading", "choice", "hardwired_low_usd", "gpu_usd", "ratio_low", "ratio_high", "carbon_ratio")
}
_CARBON_ROWS = (
    ("Scope 2: electricity", "scope2_t", mass),
    ("Scope 3: what was made", "scope3_t", mass),
    ("all scopes", "total_t", mass),
)


def cost_document(costs: "Sequence[CostAnswer]", command: str = "") -> Document:
    """Return the cost of a fleet as a document, for each set of conventions and each machine bought instead."""
    first = costs[0]
    regions = listed([costmodel.region_label(name) for name in dict.fromkeys(each.region for each in costs)])
    conventions = {each.convention: each for each in costs}
    built = {(each.convention, each.machine): each for each in costs}
    devices = listed([machine_name(name) for name in dict.fromkeys(each.device for each in costs)])
    fleets = tuple(table for each in costs for table in (tco_table(each), carbon_table(each)))
    notes = dict.fromkeys(sentence(note) for each in costs for note in (*each.notes, _evidence(each)))
    effects = tuple(effects_table(each.effect_rows, _SHORT_EFFECTS) for each in costs[:1] if each.effect_rows)
    inputs = {each.machine: inputs_table(each) for each in reversed(costs)}
    bills = (*map(bill_table, built.values()), *reversed(inputs.values()))
    return Document(
        f"{first.model}: cost of {counted(first.volume, 'system')}",
        f"Beside {devices} that generate as many tokens; convention {listed(list(conventions))}; grid: {regions}.",
        sections(
            Section("ownership", "Ownership and carbon", (*fleets, ratio_table(costs), *map(Aside, notes))),
            Section("bill", "Cost to build", bills, short=False),
            Section("conventions", "Effect of each convention", effects) if effects else None,
            Section(
                "choices", "Conventions", (conventions_table(*(c.conventions for c in conventions.values())),), False
            ),
            assumptions_section({_case(each): each.assumptions for each in costs}),
            reproduce_section(command),
        ),
        schema="cost" if len(costs) == 1 else "cost-rows",
        data=lambda: first.to_dict() if len(costs) == 1 else [each.to_dict() for each in costs],
        frame=partial(_frame, costs),
    )


def _frame(costs: "Sequence[CostAnswer]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat([each.to_frame() for each in costs], ignore_index=True)


def bill_table(costs: "CostAnswer") -> Table:
    """Return the bill of one hardwired system at each level."""
    bills = {level: pair.bill for level, pair in costs.comparison.pairs(costs.conventions.levels)}
    return quantity_table(f"Bill of one hardwired system, {_built(costs)}", _BILL_ROWS, bills, head="item")


def inputs_table(costs: "CostAnswer") -> Table:
    """Return the machine's inputs to the cost comparison."""
    rows = []
    for name, value in costs.inputs.items():
        label, unit = _INPUTS.get(name, (words(name), ""))
        rows.append((label, plain(value, unit=unit), unit))
    columns = (Column("input", numeric=False), Column("value"), Column("unit", numeric=False))
    own = f" {machine_name(costs.machine)}" if costs.machine != DEFAULT_MACHINE else ""
    return Table(f"Inputs from the machine{own}", columns, tuple(rows))


def tco_table(costs: "CostAnswer") -> Table:
    """Return the TCO of both fleets at each level, line by line."""
    cases = costs.comparison.pairs(costs.conventions.levels)
    fleets = {Column(level, group="hardwired"): pair.hardwired for level, pair in cases}
    fleets |= {Column(level, group="GPU"): pair.gpu for level, pair in cases}
    return quantity_table(f"Cost of both fleets over their life, {_case(costs)}", _TCO_ROWS, fleets, head="item")


def carbon_table(costs: "CostAnswer") -> Table:
    """Return the carbon of both fleets by scope at each level."""
    cases = costs.comparison.pairs(costs.conventions.levels)
    fleets = {Column(level, group="hardwired"): pair.hardwired_carbon for level, pair in cases}
    fleets |= {Column(level, group="GPU"): pair.gpu_carbon for level, pair in cases}
    return quantity_table(f"Carbon of both fleets over their life, {_case(costs)}", _CARBON_ROWS, fleets, head="scope")


def ratio_table(costs: "Sequence[CostAnswer]") -> Table:
    """Return the ratios of the GPU fleet's cost and carbon to the hardwired fleet's, by convention and level."""
    parts = [
        (each.convention, machine_name(each.machine), machine_name(each.device), costmodel.region_label(each.region))
        for each in costs
    ]
    # What all have in common is not repeated over every column.
    differing = [0, *(at for at in (1, 2, 3) if len({part[at] for part in parts}) > 1)]
    cases = {
        Column(level, group=", ".join(part[at] for at in differing)): pair
        for each, part in zip(costs, parts, strict=True)
        for level, pair in each.comparison.pairs(each.conventions.levels)
    }
    return quantity_table("GPU fleet over hardwired fleet", _RATIO_ROWS, cases, head="of")


def effects_table(effects: Sequence[Mapping[str, Any]], columns: Mapping[str, Column] = _EFFECTS) -> Table:
    """Return the effect of each accounting convention, from `costmodel.effect_rows`, in some of its columns."""
    formats: dict[str, Callable[[Any], str]] = dict.fromkeys((key for key in columns if key.endswith("_usd")), money)
    formats |= dict.fromkeys((key for key in columns if "ratio" in key and not key.endswith("_percent")), times)
    formats |= {key: signed for key in columns if key.endswith("_percent")}
    formats |= {"reading": words, "choice": words}
    return frame_table("Effect of each convention, changed alone", effects, columns, formats)


def _evidence(costs: "CostAnswer") -> str:
    return (
        f"evidence, {_case(costs)}: hardwired fleet {costs.evidence['hardwired']}, GPU fleet {costs.evidence['gpu']}, "
        f"their ratio {costs.evidence['ratio']}"
    )


def _case(costs: "CostAnswer") -> str:
    return f"{_built(costs)}, beside {machine_name(costs.device)}, {costmodel.region_label(costs.region)}"


def _built(costs: "CostAnswer") -> str:
    """Return the convention, and the hardwired machine unless it is the paper's."""
    return costs.convention + (f", {machine_name(costs.machine)}" if costs.machine != DEFAULT_MACHINE else "")
