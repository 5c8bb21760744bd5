"""Carbon by scope of the GHG Protocol, from the view of the data centre's operator, with its boundary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel import Carbon, Conventions, ModuleCarbon, region_label
from explorer.documents.tables import Column, Table
from explorer.pricing.economics import CostAnswer
from hwbase import Quantity, Record
from hwbase.header import Header
from hwbase.numbers import mass, percent, plain

if TYPE_CHECKING:
    import pandas as pd

#: Labels of the parts of a module.
_PARTS = {
    "die_kg": "dies",
    "package_kg": "packages",
    "hbm_kg": "memory",
    "board_kg": "boards: power delivery, cooling, circuit board, links",
    "margin_kg": "margin for parts not counted",
}
_NOT_SPLIT = "modules, by one published figure"
#: Emissions that no figure here contains.
OUTSIDE = (
    "masks and their making",
    "the computing of design and training",
    "the data-centre building, its cooling plant and its network",
    "hosts, chassis and racks around the modules",
    "transport and installation",
    "end of life",
    "staff",
)


@dataclass(frozen=True)
class ScopeRow(Record):
    """Tonnes of one category of one fleet at one level, over the life of the fleet."""

    fleet: str
    level: str
    scope: int
    category: str
    t: float


@dataclass(frozen=True)
class CarbonScopes(Record):
    """A fleet's carbon by scope. `basis` is that of Scope 2; `inside` and `outside` describe the boundary."""

    convention: str
    rows: tuple[ScopeRow, ...]
    basis: str
    method: str
    inside: tuple[str, ...]
    outside: tuple[str, ...]

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each fleet, level, scope and category."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])

    def total(self, fleet: str, level: str) -> float:
        """Return the tonnes of all scopes."""
        return sum(row.t for row in self.rows if (row.fleet, row.level) == (fleet, level))


def carbon_scopes(answer: CostAnswer) -> CarbonScopes:
    """Return the carbon of both fleets of a cost answer by scope and category, at the levels of its book."""
    conventions = answer.conventions
    rows: list[ScopeRow] = []
    for level in conventions.levels:
        pair = getattr(answer.comparison, level)
        for fleet, carbon, module in (
            ("hardwired", pair.hardwired_carbon, pair.hardwired_module),
            ("GPU", pair.gpu_carbon, pair.gpu_module),
        ):
            rows += _rows(fleet, level, carbon, _shares(module))
    read = answer.comparison.nominal.hardwired_carbon.assumptions
    return CarbonScopes(
        convention=answer.convention,
        rows=tuple(rows),
        basis=_basis(read, answer.book.header, conventions),
        method=_method(conventions),
        inside=_inside(read, conventions),
        outside=OUTSIDE if conventions.spares_embodied else (*OUTSIDE, "spare systems (by this convention)"),
    )


def scope_table(scopes: CarbonScopes) -> Table:
    """Return scopes and categories against fleets and levels, each with its share of the column."""
    columns = sorted(dict.fromkeys((row.fleet, row.level) for row in scopes.rows), key=lambda c: c[0] == "GPU")
    lines = list(dict.fromkeys((row.scope, row.category) for row in scopes.rows))
    tonnes = {(r.fleet, r.level, r.scope, r.category): r.t for r in scopes.rows}
    totals = {column: scopes.total(*column) for column in columns}

    def cell(column: tuple[str, str], line: tuple[int, str]) -> str:
        value = tonnes.get((*column, *line))
        if value is None:
            return plain(None)
        if not value:
            return plain(0)
        return f"{mass(value)} ({percent(value / totals[column])})" if totals[column] else mass(value)

    rows = [(f"Scope {line[0]}: {line[1]}", *(cell(column, line) for column in columns)) for line in lines]
    rows.append(("all scopes", *(mass(totals[column]) for column in columns)))
    heads = (Column(f"{fleet}, {level}", "CO₂e") for fleet, level in columns)
    caption = f"Carbon by scope over the life of the fleets, {scopes.convention}"
    return Table(caption, (Column("scope", numeric=False), *heads), tuple(rows))


def boundary_text(scopes: CarbonScopes) -> tuple[str, ...]:
    """Return the boundary in sentences: the view, the basis of Scope 2, inclusions and exclusions."""
    return (
        "Scopes are those of the data centre's operator. Scope 1 is zero: no fuel burnt on site and no refrigerant "
        f"is modelled. {scopes.basis}",
        f"{scopes.method} Inside: {'; '.join(scopes.inside)}.",
        f"Outside, for want of published figures or by choice: {'; '.join(scopes.outside)}.",
    )


def _rows(fleet: str, level: str, carbon: Carbon, shares: Mapping[str, float]) -> list[ScopeRow]:
    rows = [
        ScopeRow(fleet, level, 1, "fuel and refrigerants, none modelled", 0.0),
        ScopeRow(fleet, level, 2, "electricity, location-based", float(carbon.scope2_t)),
    ]
    rows += [ScopeRow(fleet, level, 3, part, float(carbon.embodied_t) * share) for part, share in shares.items()]
    rows.append(ScopeRow(fleet, level, 3, "modules built again by re-spins", float(carbon.respins_t)))
    return rows


def _shares(module: ModuleCarbon | None) -> dict[str, float]:
    """Return the shares of a module's parts in its carbon; one share where it is one published figure."""
    if module is None:
        return {_NOT_SPLIT: 1.0}
    return {name: float(getattr(module, part)) / float(module.total_kg) for part, name in _PARTS.items()}


def _basis(read: Mapping[str, Quantity], costs: Header, conventions: Conventions) -> str:
    own = read.get(f"grid.{costs.region}_g_per_kwh")
    if own is None:
        return "Scope 2 uses a given intensity, so it is market-based."
    text = (
        f"Scope 2 is location-based, independent of the operator's contracts: {plain(own.nominal)} g/kWh (grid: "
        f"{region_label(costs.region)}, {own.year}; {own.source})."
    )
    if "lifecycle" in own.source:
        text += (
            " That factor covers the power plants' whole life, so the fuel's own supply chain (Scope 3, category 3) is"
        )
        text += " inside Scope 2 here."
    fab = read.get(f"grid.{costs.fab_region}_g_per_kwh")
    if conventions.module_carbon == "rebuilt" and fab is not None:
        text += f" Fabs run on {plain(fab.nominal)} g/kWh ({region_label(costs.fab_region)}, {fab.year}; {fab.source})."
    return text


def _method(conventions: Conventions) -> str:
    if conventions.module_carbon == "gpu":
        return "Scope 3 is capital goods (category 2): one published figure for a GPU card stands for every module."
    return "Scope 3 is capital goods (category 2), each module counted from its parts."


def _inside(read: Mapping[str, Quantity], conventions: Conventions) -> tuple[str, ...]:
    pue, life, use = (read.get(name) for name in ("datacentre.pue", "use.lifetime_hours", "use.utilisation"))
    hours = "" if life is None else f" over {plain(life.nominal)} hours"
    load = "" if use is None else f" at {percent(use.nominal, 0)} of full power"
    factor = "" if pue is None else f", cooling and conversion by a PUE of {plain(pue.nominal)}"
    spares = "; spare systems" if conventions.spares_embodied else ""
    return (
        f"electricity of the machines{hours}{load}{factor}",
        f"the modules{spares}",
        "modules that re-spins replace",
    )
