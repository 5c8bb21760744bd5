"""Carbon statements by the GHG Protocol, by Software Carbon Intensity and by ISO 14067, all from one bill.

| standard | question | unit |
|---|---|---|
| ghg | what the operator of the fleet answers for, by scope (GHG Protocol Corporate Standard) | t over the life |
| sci | the rate of carbon of the service, (E x I + M) per R (ISO/IEC 21031:2024) | g per million tokens |
| iso14067 | the product up to the gate of its factory (ISO 14067:2018, cradle to gate) | kg per system |

Each line of the bill is inside a statement or outside it, by name, so the two always add up to the bill.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import costmodel
from costmodel import Carbon, ModuleCarbon, Tco
from explorer.documents.document import Document, Documented
from explorer.documents.theme import machine_name
from explorer.pricing.economics import CostAnswer
from explorer.pricing.prices import FOOTPRINT
from hwbase import InputError, Quantity, Record, unknown_name
from hwbase.arguments import checked

if TYPE_CHECKING:
    import pandas as pd

_KG_PER_T, _G_PER_T = 1e3, 1e6
ELECTRICITY, IN_USE, SPARES, RESPINS = "electricity", "modules in use", "spare modules", "modules of re-spins"
OUTSIDE = "outside"
#: Parts of a module: their field in `ModuleCarbon`, and the constants that each is computed from.
PARTS = {
    "dies": ("die_kg", ("{node}.epa", "{node}.gpa", "{node}.mpa", "{node}.d0", "wafer.", "yield.", "grid.{fab}_")),
    "packages": ("package_kg", ("package.area_factor", "package.energy_kwh_per_mm2", "grid.{fab}_")),
    "memory": ("hbm_kg", ("hbm.carbon",)),
    "boards": ("board_kg", ("board.power_delivery", "board.cooling", "board.pcb", "board.links")),
    "margin": ("margin_kg", ("board.margin",)),
}
WHOLE = "one published figure for a module"
_ELECTRICITY_OF = ("use.lifetime_hours", "use.utilisation", "datacentre.pue", "server.power_factor", "grid.{own}_")
#: Sizes of a module, and their names among the inputs of a cost answer.
_SIZES = {"die_area_mm2": "die_area_mm2", "hbm_gb": "hbm_gb_per_chip"}
#: Score of the data behind a line, by the kind of its constants: 1 is the best, 5 the worst.
SCORES = {"measured": 1, "vendor": 2, "paper": 2, "derived": 3, "analyst": 3, "fitted": 4, "assumed": 5}


@dataclass(frozen=True)
class Rules(Record):
    """What one standard counts, and how it divides it."""

    title: str
    unit: str
    basis: str
    """What a figure is for: "per million tokens"."""
    boundary: str
    allocation: str
    inside: dict[str, str]
    """Batches of the bill that are inside, and the heading of each."""


STANDARDS = {
    "ghg": Rules(
        "GHG Protocol: scopes of the fleet's operator",
        "t",
        "over the life of the fleet",
        "The operator's view. Scope 1 is zero: no fuel burnt on site and no refrigerant is modelled. Scope 2 is "
        "location-based. Scope 3 is category 2, capital goods.",
        "Nothing is divided: all of the fleet is the operator's.",
        {
            ELECTRICITY: "Scope 2",
            IN_USE: "Scope 3, category 2",
            SPARES: "Scope 3, category 2",
            RESPINS: "Scope 3, category 2",
        },
    ),
    "sci": Rules(
        "Software Carbon Intensity (ISO/IEC 21031)",
        "g",
        "per million tokens",
        "Energy and hardware that the service uses, E x I + M, per R = one million tokens. The grid's factor is "
        "location-based; no offsets and no certificates are subtracted. Spare modules stand idle and are outside.",
        "M is the embodied carbon times the reserved share of the hardware's life. Every module serves this model "
        "alone for all of its hours: those in use until weights change, those of re-spins from then on. The share is "
        "1.",
        {ELECTRICITY: "E x I", IN_USE: "M", RESPINS: "M"},
    ),
    "iso14067": Rules(
        "Product carbon footprint, cradle to gate (ISO 14067)",
        "kg",
        "per system",
        "One system, from raw materials to the gate of the factory. Use, spare systems and the systems of re-spins, "
        "which are products of their own, are outside.",
        "The modules in use are divided by the systems built. A wafer's carbon is divided by its good dies.",
        {IN_USE: "manufacture"},
    ),
}


@dataclass(frozen=True)
class BillLine(Record):
    """A line of the bill of a fleet, in t over its life, with its range and the score of its data.

    `t` is `count` x `kg` / 1000: modules and the carbon of a part of one, or MWh and the grid's kg per kWh x 1000.
    """

    fleet: str
    batch: str
    part: str
    t: float
    low_t: float
    high_t: float
    count: float
    kg: float
    score: float | None
    constants: tuple[str, ...]


@dataclass(frozen=True)
class StatementLine(Record):
    """A line of a statement in its unit: inside under a heading, or outside (heading "outside")."""

    heading: str
    batch: str
    part: str
    value: float
    low: float
    high: float
    score: float | None


@dataclass(frozen=True)
class Statement(Record):
    """One standard's statement of one fleet. `divisor` turns tonnes of the bill into the unit of its lines."""

    standard: str
    title: str
    fleet: str
    unit: str
    basis: str
    boundary: str
    allocation: str
    divisor: float
    total: float
    outside: float
    lines: tuple[StatementLine, ...]


@dataclass(frozen=True)
class CarbonStatements(Documented):
    """The bills of both fleets of a cost answer, and statements of each; `expired` constants are past their year."""

    model: str
    volume: int
    convention: str
    region: str
    fab_region: str
    level: str
    year: int
    bill: tuple[BillLine, ...]
    statements: tuple[Statement, ...]
    inputs: dict[str, dict[str, float | None]]
    """By fleet: the quantities that the lines are computed from; those of a die are None for one published figure."""
    nodes: dict[str, str]
    """By fleet: the process node of its dies, "" for one published figure."""
    expired: tuple[str, ...]
    assumptions: dict[str, Quantity]

    def to_dict(self) -> dict[str, Any]:
        """Return the statements, the bill, and the constants with their ranges and sources."""
        constants = {name: vars(quantity) for name, quantity in self.assumptions.items()}
        return super().to_dict() | {"assumptions": constants}

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each line of each statement."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"standard": each.standard, "fleet": each.fleet, **line.to_dict()}
                | {"unit": each.unit, "basis": each.basis}
                for each in self.statements
                for line in each.lines
            ]
        )

    def document(self, command: str = "") -> Document:
        """Return the statements as a document."""
        from explorer.report.standards_document import statements_document

        return statements_document(self, command)


@checked
def carbon_statements(
    answer: CostAnswer, standards: Iterable[str] = tuple(STANDARDS), *, year: int
) -> CarbonStatements:
    """Return carbon statements of both fleets of a cost answer.

    Parameters
    ----------
    answer : CostAnswer
        The fleets, as `explorer.cost` returns them.
    standards : iterable of str
        Names of `STANDARDS`.
    year : int
        The year of the statement; constants that were valid until an earlier one are named.

    Returns
    -------
    CarbonStatements

    Raises
    ------
    InputError
        For an unknown or a repeated standard.

    Examples
    --------
    >>> from explorer import cost
    >>> (sci,) = carbon_statements(cost(volume=50, convention="corrected"), ["sci"], year=2026).statements[:1]
    >>> sci.fleet, sci.unit, sci.basis
    ('hardwired', 'g', 'per million tokens')
    """
    chosen = list(standards)
    for name in chosen:
        if name not in STANDARDS:
            raise unknown_name("standard", name, STANDARDS)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"standards = {', '.join(chosen) or 'none'}: expected each of {', '.join(STANDARDS)} once")
    levels = dict(answer.comparison.levels())
    bill: list[BillLine] = []
    statements: list[Statement] = []
    inputs: dict[str, dict[str, float | None]] = {}
    nodes: dict[str, str] = {}
    for fleet, parts in (("hardwired", _hardwired), (machine_name(answer.device), _bought)):
        cases = {name: parts(pair) for name, pair in levels.items()}
        lines = _bill(fleet, answer, {name: (carbon, module) for name, (_, carbon, module) in cases.items()})
        tco, carbon, module = cases[answer.conventions.headline]
        systems = answer.volume if fleet == "hardwired" else float(carbon.modules)
        divisors = {"ghg": 1.0, "sci": float(carbon.million_tokens) / _G_PER_T, "iso14067": systems / _KG_PER_T}
        bill += lines
        statements += [_statement(name, fleet, lines, divisors[name]) for name in chosen]
        sizes = {name: answer.inputs.get(key) for name, key in _SIZES.items()} | {"dies": 1.0}
        if fleet != "hardwired":
            sizes = {name: _constant(answer, f"{answer.device}.{name}") for name in _SIZES}
            sizes["dies"] = _constant(answer, f"{answer.device}.dies") or 1.0
        inputs[fleet] = _inputs(tco, carbon, module, systems) | sizes
        nodes[fleet] = _node(module) if module is not None else ""
    header = answer.book.header
    return CarbonStatements(
        model=answer.model,
        volume=answer.volume,
        convention=answer.convention,
        region=header.region,
        fab_region=header.fab_region,
        level=answer.conventions.headline,
        year=year,
        bill=tuple(bill),
        statements=tuple(statements),
        inputs=inputs,
        nodes=nodes,
        expired=expired(answer.assumptions, year),
        assumptions=answer.assumptions,
    )


def expired(constants: Mapping[str, Quantity], year: int) -> tuple[str, ...]:
    """Return the names of the constants that were valid until an earlier year."""
    return tuple(name for name, q in constants.items() if q.valid_until is not None and q.valid_until < year)


def _hardwired(pair: costmodel.Pair) -> tuple[Tco, Carbon, ModuleCarbon | None]:
    return pair.hardwired, pair.hardwired_carbon, pair.hardwired_module


def _bought(pair: costmodel.Pair) -> tuple[Tco, Carbon, ModuleCarbon | None]:
    return pair.gpu, pair.gpu_carbon, pair.gpu_module


def _node(module: ModuleCarbon) -> str:
    return next(name.split(".")[0] for name in module.assumptions if name.endswith(".epa_kwh_per_cm2"))


def _constant(answer: CostAnswer, name: str) -> float | None:
    quantity = answer.assumptions.get(name)
    return None if quantity is None else float(quantity.at(answer.conventions.headline))


def _bill(fleet: str, answer: CostAnswer, cases: Mapping[str, tuple[Carbon, ModuleCarbon | None]]) -> list[BillLine]:
    """Return the lines of one fleet, whose carbon and module at each level are `cases`."""
    columns = {name: _amounts(carbon, module) for name, (carbon, module) in cases.items()}
    read = answer.assumptions
    modules = [module for _, module in cases.values() if module is not None]
    names = {"node": _node(modules[0]) if modules else "", "fab": answer.book.header.fab_region, "own": answer.region}
    lines = []
    for (batch, part), (count, kg) in columns[answer.conventions.headline].items():
        if not any(column[batch, part][0] for column in columns.values()):
            continue
        tonnes = [amount * each / _KG_PER_T for amount, each in (c[batch, part] for c in columns.values())]
        patterns = _ELECTRICITY_OF if batch == ELECTRICITY else PARTS[part][1] if part in PARTS else ()
        starts = tuple(pattern.format(**names) for pattern in patterns)
        used = tuple(name for name in read if starts and name.startswith(starts))
        if part == WHOLE:
            used = (FOOTPRINT if fleet == "hardwired" else f"{answer.device}.module_carbon_kg",)
        t = count * kg / _KG_PER_T
        score = _score(read[name] for name in used)
        lines.append(BillLine(fleet, batch, part, t, min(tonnes), max(tonnes), count, kg, score, used))
    return lines


def _amounts(carbon: Carbon, module: ModuleCarbon | None) -> dict[tuple[str, str], tuple[float, float]]:
    """Return (count, kg of each) by batch and part."""
    energy_mwh = float(carbon.facility_energy_mwh)
    grid = float(carbon.operational_t) / energy_mwh if energy_mwh else 0.0
    amounts = {(ELECTRICITY, "of the machines, at the meter"): (energy_mwh, grid * _KG_PER_T)}
    counts = {
        IN_USE: float(carbon.modules),
        SPARES: float(carbon.spare_modules),
        RESPINS: float(carbon.rebuilt_modules),
    }
    if module is None:
        made = float(carbon.embodied_t) * _KG_PER_T / (counts[IN_USE] + counts[SPARES])
        parts = {WHOLE: made}
    else:
        parts = {name: float(np.asarray(getattr(module, field))) for name, (field, _) in PARTS.items()}
    return amounts | {(batch, part): (count, kg) for batch, count in counts.items() for part, kg in parts.items()}


def _score(constants: Iterable[Quantity]) -> float | None:
    """Return the mean score of constants, None where none has one (those set by the user have none)."""
    scores = [SCORES[str(q.kind)] for q in constants if str(q.kind) in SCORES]
    return sum(scores) / len(scores) if scores else None


def _statement(name: str, fleet: str, bill: Sequence[BillLine], divisor: float) -> Statement:
    rules = STANDARDS[name]
    lines = tuple(
        StatementLine(
            rules.inside.get(line.batch, OUTSIDE),
            line.batch,
            line.part,
            line.t / divisor,
            line.low_t / divisor,
            line.high_t / divisor,
            line.score,
        )
        for line in bill
    )
    return Statement(
        name,
        rules.title,
        fleet,
        rules.unit,
        "per device" if name == "iso14067" and fleet != "hardwired" else rules.basis,
        rules.boundary,
        rules.allocation,
        divisor,
        sum(line.value for line in lines if line.heading != OUTSIDE),
        sum(line.value for line in lines if line.heading == OUTSIDE),
        lines,
    )


def _inputs(tco: Tco, carbon: Carbon, module: ModuleCarbon | None, systems: float) -> dict[str, float | None]:
    """Return the quantities that the lines of one fleet are computed from, at the shown level."""
    of_carbon = ("modules", "spare_modules", "rebuilt_modules", "facility_energy_mwh", "million_tokens")
    counted = {name: float(getattr(carbon, name)) for name in of_carbon}
    made = {name: None if module is None else float(getattr(module, name)) for name in ("gross_dies", "die_yield")}
    return {"systems": systems, "facility_power_mw": float(tco.facility_power_mw)} | counted | made
