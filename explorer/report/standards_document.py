"""The document of carbon statements: for each standard its lines, its boundary, and what is outside."""

import costmodel
from explorer.documents.document import Document, Part, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table
from explorer.report.standards import OUTSIDE, SCORES, BillLine, CarbonStatements, Statement
from hwbase.numbers import MISSING, compact, counted, listed, mass, plain

_INPUTS = {
    "systems": "systems or devices",
    "modules": "modules in use",
    "spare_modules": "spare modules",
    "rebuilt_modules": "modules of re-spins",
    "facility_power_mw": "power at the meter [MW]",
    "facility_energy_mwh": "energy at the meter over the life [MWh]",
    "million_tokens": "tokens over the life [million]",
    "die_area_mm2": "dies of a module [mm²]",
    "dies": "dies of a module",
    "hbm_gb": "memory of a module [GB]",
    "gross_dies": "dies of a wafer",
    "die_yield": "yield of a die",
}


def statements_document(statements: CarbonStatements, command: str = "") -> Document:
    """Return carbon statements as a document: each statement, the bill behind all of them, and the constants."""
    fleets = list(dict.fromkeys(line.fleet for line in statements.bill))
    standards = dict.fromkeys(each.standard for each in statements.statements)
    own, fab = (costmodel.region_label(region) for region in (statements.region, statements.fab_region))
    return Document(
        f"{statements.model}: carbon of {counted(statements.volume, 'system')}",
        f"Beside {fleets[1]} that generate as many tokens; convention {statements.convention}; grid: {own}, fabs: "
        f"{fab}; {statements.year}. {_summary(statements)}",
        sections(
            *(_section([each for each in statements.statements if each.standard == name]) for name in standards),
            Section("bill", "The bill behind the statements", tuple(_bill(statements, fleet) for fleet in fleets)),
            Section("quality", "Data", _quality(statements)),
            assumptions_section({statements.convention: statements.assumptions}),
            reproduce_section(command),
        ),
        schema="carbon-statements",
        data=statements.to_dict,
        frame=statements.to_frame,
    )


def _summary(statements: CarbonStatements) -> str:
    """Return the totals in one sentence for each standard."""
    parts = []
    for name in dict.fromkeys(each.standard for each in statements.statements):
        totals = [each for each in statements.statements if each.standard == name]
        values = listed([f"{each.fleet} {_amount(each.total, each.unit)}" for each in totals])
        parts.append(f"{name}: {values} {totals[0].basis}.")
    return " ".join(parts)


def _amount(value: float, unit: str) -> str:
    return f"{compact(value)} {unit} CO₂e"


def _section(statements: list[Statement]) -> Section:
    first = statements[0]
    parts: list[Part] = [first.boundary, f"Allocation: {first.allocation}"]
    return Section(first.standard, first.title, (*parts, *(_table(each) for each in statements)))


def _table(statement: Statement) -> Table:
    order = sorted(statement.lines, key=lambda line: line.heading == OUTSIDE)
    rows = [
        (
            f"{line.batch}: {line.part}",
            line.heading,
            compact(line.value),
            f"{compact(line.low)} to {compact(line.high)}",
            _score(line.score),
        )
        for line in order
    ]
    rows.append(("inside", "total", compact(statement.total), "", ""))
    rows.append(("outside", OUTSIDE, compact(statement.outside), "", ""))
    unit = f"{statement.unit} CO₂e {statement.basis}"
    columns = (
        Column("line", numeric=False),
        Column("counts as", numeric=False),
        Column(unit),
        Column("constants at their lows to highs"),
        Column("data score"),
    )
    return Table(f"{statement.title}, {statement.fleet}", columns, tuple(rows))


def _bill(statements: CarbonStatements, fleet: str) -> Table:
    lines = [line for line in statements.bill if line.fleet == fleet]
    rows = [(f"{line.batch}: {line.part}", *_factors(line), mass(line.t)) for line in lines]
    rows.append(("all lines", "", "", mass(sum(line.t for line in lines))))
    heads = ("how many", "of each, CO₂e", "over the life, CO₂e")
    columns = (Column("line", numeric=False), *map(Column, heads))
    return Table(f"Bill of carbon, {fleet}", columns, tuple(rows))


def _factors(line: BillLine) -> tuple[str, str]:
    unit = "MWh" if line.batch == "electricity" else ""
    return plain(line.count, unit=unit), f"{compact(line.kg)} kg"


def _quality(statements: CarbonStatements) -> tuple[Part, ...]:
    scores = ", ".join(f"{kind} {score}" for kind, score in SCORES.items())
    text = (
        f"A line's data score is the mean over the constants that it is computed from, by their kind: {scores}. "
        "Its interval is from all constants at their low ends to all at their high ends."
    )
    parts: list[Part] = [text]
    if statements.expired:
        late = listed([f"{name} ({statements.assumptions[name].valid_until})" for name in statements.expired])
        parts.append(f"In {statements.year} these constants are past the year that they were valid until: {late}.")
    rows = tuple(
        (label, *(_input(statements.inputs[fleet][name]) for fleet in statements.inputs))
        for name, label in _INPUTS.items()
    )
    columns = (Column("quantity", numeric=False), *map(Column, statements.inputs))
    return (*parts, Table("Quantities behind the lines", columns, rows))


def _input(value: float | None) -> str:
    return MISSING if value is None else compact(value)


def _score(score: float | None) -> str:
    return MISSING if score is None else compact(score)
