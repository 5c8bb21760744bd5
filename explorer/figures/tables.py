"""Tables for a page: typed columns, formatted cells, and the tables of cost, carbon and assumptions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from explorer.figures.fleets import LEVELS, levels_of, pairs
from explorer.figures.numbers import MISSING, compact, money, percent, plain, pretty_unit, times, words
from hwbase import Quantity

if TYPE_CHECKING:
    from costmodel.compare import Comparison

#: Sign and tone of each status, so that colour is never the only one.
STATUS_SIGNS = {
    "pass": ("✓", "good"),
    "FAIL": ("✗", "bad"),
    "spills": ("△", "warn"),
    "yes": ("✓", "good"),
    "no": ("✗", "bad"),
    "agrees": ("✓", "good"),
    "OUTSIDE": ("✗", "bad"),
    "misfit explained": ("△", "warn"),
    "input": ("→", "quiet"),
    "fitted": ("~", "quiet"),
    "not derivable": ("–", "quiet"),
}

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


@dataclass(frozen=True)
class Flag:
    """A status: its words, a sign and a tone ("good", "bad", "warn", "quiet")."""

    text: str
    sign: str
    tone: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Column:
    """A column's heading, its unit if it has one, and whether it holds numbers (right aligned)."""

    label: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table as text: the first cell of a row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Flag, ...], ...]


def flag(status: str) -> Flag:
    """Return the sign and tone of a status; one that is not known is shown quietly."""
    sign, tone = STATUS_SIGNS.get(status, ("•", "quiet"))
    return Flag(status, sign, tone)


def frame_table(
    caption: str,
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    formats: Mapping[str, Callable[[Any], str]] | None = None,
) -> Table:
    """Return the named columns of a frame as a table; `formats` says how a column is written (`plain` if not)."""
    write = formats or {}
    rows = tuple(
        tuple(write.get(key, plain)(value) for key, value in zip(columns, row, strict=True))
        for row in frame[list(columns)].itertuples(index=False, name=None)
    )
    return Table(caption, tuple(columns.values()), rows)


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


def assumption_table(assumptions: Mapping[str, Quantity]) -> Table:
    """Return every constant that was read: its range, unit, kind, year, source and note."""
    columns = (
        Column("name", numeric=False),
        *(Column(level) for level in ("low", "nominal", "high")),
        *(Column(label, numeric=False) for label in ("unit", "kind", "year", "source")),
    )
    rows = tuple(
        (
            name,
            *(compact(q.at(level)) for level in ("low", "nominal", "high")),
            pretty_unit(q.unit) or MISSING,
            q.kind,
            str(q.year),
            f"{q.source} ({q.note})" if q.note else q.source,
        )
        for name, q in sorted(assumptions.items())
    )
    return Table("Constants read for this page", columns, rows)


def signed(value: Any) -> str:
    """Return a change in percent with its sign: +1.2, −3.5, 0.0."""
    if value is None or pd.isna(value):
        return MISSING
    return "0.0" if abs(value) < 0.05 else f"{value:+,.1f}".replace("-", "−")


def _side_by_side(
    caption: str, heads: Sequence[str], lines: Iterable[tuple[str, str, Callable[[Any], str]]], records: Sequence[Any]
) -> Table:
    rows = tuple((label, *(write(getattr(r, key)) for r in records)) for label, key, write in lines)
    return Table(caption, (Column("item", numeric=False), *(Column(head) for head in heads)), rows)
