"""What a report of one model says: its answer in brief, and its tables, whatever file they go into."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import costmodel
from explorer.documents.conventions import conventions_table
from explorer.documents.numbers import (
    context_label,
    counted,
    mass,
    money,
    percent,
    plain,
    pretty_unit,
    si,
    times,
    with_unit,
    words,
)
from explorer.documents.sources import (
    Quality,
    books_table,
    distinct,
    quality,
    quality_table,
    source_table,
    versions_said,
)
from explorer.documents.tables import LEVELS, Column, Table, flag, frame_table
from explorer.documents.theme import machine_name
from explorer.report.figures.fleet import levels_of, pairs
from explorer.report.scopes import boundary_said, carbon_scopes, scope_table
from explorer.report.tables import bill_table, effects_table, inputs_table, ratio_table, tco_table

if TYPE_CHECKING:
    from explorer.report.answer import Answer
    from hwsim.results import Check, SimResult

#: A resource that may overflow: what does not fit goes elsewhere at a price that the model counts.
_MAY_SPILL = ("KV in buffer",)
#: A resource that binds is full to within rounding.
_ROUNDING = 1e-9
#: Columns of the relatives.
_RELATIVES = {
    "machine": Column("machine", numeric=False),
    "area_mm2": Column("area", "mm²"),
    "weights_per_mm2": Column("weights", "1/mm²"),
    "transistors_per_weight": Column("transistors per weight"),
    "tokens_per_s_per_user": Column("one user", "tokens/s"),
    "power_w": Column("power", "W"),
    "energy_efficiency_ops_per_j": Column("efficiency", "operations/J"),
    "source": Column("source", numeric=False),
}


def brief(answer: "Answer") -> Table:
    """Return the answer in a few lines: how fast, large, hungry, expensive and dirty, published and believed."""
    ours, believed = answer.published, answer.pipelined
    costs = {cost.convention: cost.comparison for cost in (answer.cost, answer.other_cost)}
    first, second = costs.get("as-published", answer.cost.comparison), costs.get("corrected", answer.cost.comparison)

    def spread(comparison: Any, key: str, write: Callable[[Any], str]) -> str:
        low, nominal, high = (_get(pair, key) for _, pair in pairs(comparison, LEVELS))
        if comparison is not first:
            return f"{write(nominal)} (low {write(low)}, high {write(high)})"
        return write(low) if write(low) == write(high) else " to ".join(write(value) for value in sorted((low, high)))

    rows = (
        ("How fast", f"{plain(ours.tokens_per_s)} tokens/s", f"{plain(believed.tokens_per_s)} tokens/s"),
        ("bound by", words(ours.bound_by), words(believed.bound_by)),
        ("for one user", _per_user(ours), _per_user(believed)),
        ("How large", *(f"{counted(r.chips, 'chip')}, {plain(r.area_mm2)} mm²" for r in (ours, believed))),
        ("How hungry", *(f"{si(r.power_w, 'W')}, {si(r.energy_j_per_token, 'J')} per token" for r in (ours, believed))),
        ("How expensive, TCO", *(spread(c, "hardwired.total_usd", money) for c in (first, second))),
        ("matching GPUs, cost", *(spread(c, "tco_ratio", times) for c in (first, second))),
        ("How dirty, CO₂e", *(spread(c, "hardwired_carbon.total_t", mass) for c in (first, second))),
        ("matching GPUs, carbon", *(spread(c, "carbon_ratio", times) for c in (first, second))),
    )
    columns = (
        Column("question", numeric=False),
        Column("as the paper counts", numeric=False),
        Column("pipelined, conventions corrected", numeric=False),
    )
    return Table("The answer in brief", columns, rows)


def machines_of(answer: "Answer") -> dict[str, tuple[str, ...]]:
    """Return the machines of the headline, and which of "ours" and "published" there is anything of."""
    keys = dict.fromkeys(key for row in answer.headline for key in (*row.values, *row.published))
    sides = {
        key: tuple(
            side
            for side, of in (("ours", "values"), ("published", "published"))
            if any(getattr(row, of).get(key) is not None for row in answer.headline)
        )
        for key in keys
    }
    return {key: side for key, side in sides.items() if side}


def headline_table(answer: "Answer") -> Table:
    """Return the machines side by side, a column for ours and one for the published figure of each."""
    sides = [(key, side) for key, of in machines_of(answer).items() for side in of]
    heads = (Column(f"{machine_name(key)}: {side}") for key, side in sides)
    rows = []
    for line in answer.headline:
        unit = pretty_unit(line.unit)
        what = line.what.replace("mm2", "mm²")
        what = what if not unit or unit in what else f"{what} [{unit}]"
        cells = (plain((line.values if side == "ours" else line.published).get(key)) for key, side in sides)
        rows.append((what, *cells, line.evidence))
    columns = (Column("figure", numeric=False), *heads, Column("evidence", numeric=False))
    return Table(f"Headline figures at a context of {context_label(answer.context)}", columns, tuple(rows))


def report_tables(answer: "Answer") -> dict[str, Table | None]:
    costs = (answer.cost, answer.other_cost)
    by_convention = {cost.convention: cost.comparison for cost in costs}
    levels = levels_of(answer.cost.convention)
    effects = next((c.effects for c in costs if c.effects is not None), None)
    return {
        "checks": _checks_table(answer),
        "relatives": frame_table("Published hardwired relatives, beside ours", answer.relatives, _RELATIVES),
        "bill": bill_table(answer.cost.comparison, levels),
        "inputs": inputs_table(answer.cost.inputs),
        "tco": tco_table(answer.cost.comparison, levels),
        "ratios": ratio_table(by_convention),
        "effects": None if effects is None else effects_table(effects),
        "conventions": conventions_table(*(costmodel.conventions.named(c.convention) for c in costs)),
        "quality": quality_table(_quality(answer)),
        "assumptions": source_table(answer.constants),
        "books": books_table(answer.reproduction),
    }


def report_texts(answer: "Answer") -> dict[str, Any]:
    """Return what a report says in words: the quality of the constants, and the versions."""
    return {
        "quality": _quality(answer).said(),
        "versions": versions_said(answer.reproduction),
    }


@dataclass(frozen=True)
class ScopePart:
    """Carbon by scope under one convention: what is in it and on which basis, and the tonnes."""

    convention: str
    said: tuple[str, ...]
    table: Table

    def parts(self) -> tuple[str | Table, ...]:
        """Return the paragraphs and the table."""
        return (*self.said, self.table)


def scope_parts(answer: "Answer") -> tuple[ScopePart, ...]:
    """Return the carbon by scope under both conventions, the one asked for first."""
    found = (carbon_scopes(cost) for cost in (answer.cost, answer.other_cost))
    return tuple(ScopePart(one.convention, boundary_said(one), scope_table(one)) for one in found)


def _quality(answer: "Answer") -> Quality:
    return quality(quantity for _, quantity, _ in distinct(answer.constants))


def short_of(result: "SimResult") -> tuple[str, ...]:
    """Return the resources that cannot bear the load; one that may spill is not among them."""
    return tuple(check.name for check in result.checks if not _fits(check) and check.name not in _MAY_SPILL)


def _share(check: "Check") -> float:
    return float(check.demand) / float(check.capacity) if float(check.capacity) else float("inf")


def _fits(check: "Check") -> bool:
    return _share(check) <= 1.0 + _ROUNDING or bool(check.ok)


def _checks_table(answer: "Answer") -> Table:
    """Resources asked for and there, in both readings of the hardwired machine and on the other machines."""
    rows = []
    results = {"as published": answer.published, "pipelined": answer.pipelined}
    results |= {machine_name(key): result for key, result in answer.accelerators.items()}
    for name, result in results.items():
        for check in result.checks:
            share = _share(check)
            state = flag("pass" if _fits(check) else "spills" if check.name in _MAY_SPILL else "FAIL")
            need, have = (with_unit(value, check.unit) for value in (check.demand, check.capacity))
            rows.append((name, check.name, need, have, percent(share), state, check.note))
    columns = (
        Column("machine or reading", numeric=False),
        Column("resource", numeric=False),
        Column("asked for"),
        Column("there is"),
        Column("share"),
        Column("result", numeric=False),
        Column("note", numeric=False),
    )
    return Table("Does every resource bear the load?", columns, tuple(rows))


def _per_user(result: Any) -> str:
    return f"{plain(result.tokens_per_s_per_user)} tokens/s, {si(result.latency_s, 's')} per token"


def _get(record: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        record = getattr(record, name)
    return record
