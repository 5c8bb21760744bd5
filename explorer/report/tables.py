"""explorer/report/tables.py."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from explorer.documents.numbers import money, percent, plain, times, words
from explorer.documents.tables import LEVELS, Column, Table, frame_table, signed
from explorer.report.figures.fleet import levels_of, pairs

if TYPE_CHECKING:
    from costmodel.comparison import Comparison


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
    ("IT power [MW]", "it_power_mw", plain),
    ("facility power [MW]", "facility_power_mw", plain),
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
    ("TCO", "tco_ratio"),
    ("TCO without re-spins", "static_tco_ratio"),
    ("capital", "capex_ratio"),
    ("operation", "opex_ratio"),
    ("carbon", "carbon_ratio"),
    ("carbon without re-spins", "static_carbon_ratio"),
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


def bill_table(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> Table:
    """Return the bill of one hardwired system at each level."""
    bills = [pair.bill for _, pair in pairs(comparison, levels)]
    return _side_by_side("Bill of one hardwired system", levels, _BILL_ROWS, bills)


def inputs_table(inputs: Mapping[str, Any]) -> Table:
    """Return what the machine brings to the comparison of costs."""
    rows = []
    for name, value in inputs.items():
        label, unit = _INPUTS.get(name, (words(name), ""))
        rows.append((label, plain(value), unit))
    columns = (Column("input", numeric=False), Column("value"), Column("unit", numeric=False))
    return Table("What the machine brings to it", columns, tuple(rows))


def tco_table(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> Table:
    """Return the TCO of both fleets at each level, line by line."""
    heads = [f"{fleet}, {level}" for fleet in ("hardwired", "GPU") for level in levels]
    costs = [pair.hardwired for _, pair in pairs(comparison, levels)] + [p.gpu for _, p in pairs(comparison, levels)]
    return _side_by_side("Cost of both fleets over their life", heads, _TCO_ROWS, costs)


def ratio_table(comparisons: Mapping[str, "Comparison"]) -> Table:
    """Return how many times the GPU fleet's cost and carbon the hardwired fleet's are, by convention and level."""
    cases = {
        f"{name}, {level}": pair
        for name, comparison in comparisons.items()
        for level, pair in pairs(comparison, levels_of(name))
    }
    rows = tuple((label, *(plain(getattr(pair, key)) for pair in cases.values())) for label, key in _RATIO_ROWS)
    heads = (Column(name, "×") for name in cases)
    return Table("GPU fleet over hardwired fleet", (Column("of", numeric=False), *heads), rows)


def effects_table(effects: pd.DataFrame) -> Table:
    """Return what each accounting convention is worth, from `costmodel.convention_effects`."""
    columns = {
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
    formats: dict[str, Callable[[Any], str]] = dict.fromkeys((key for key in columns if key.endswith("_usd")), money)
    formats |= dict.fromkeys(("ratio_low", "ratio_high", "carbon_ratio"), times)
    formats |= {key: signed for key in columns if key.endswith("_percent")}
    formats |= {"reading": words, "choice": words}
    return frame_table("What each convention is worth, switched alone", effects, columns, formats)


def _side_by_side(
    caption: str, heads: Sequence[str], lines: Iterable[tuple[str, str, Callable[[Any], str]]], records: Sequence[Any]
) -> Table:
    rows = tuple((label, *(write(getattr(r, key)) for r in records)) for label, key, write in lines)
    return Table(caption, (Column("item", numeric=False), *(Column(head) for head in heads)), rows)
