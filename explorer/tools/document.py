"""The document of `hwsim compare-tools`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table, flag, frame_table
from explorer.tools.compare import ToolComparison, all_nodes, largest_exchange
from explorer.tools.figures import tool_dots, tools_over_area
from hwbase.columns import column
from hwbase.numbers import MISSING, Number, money, percent, plain, superscripts, times

#: Areas of the curves in their table.
_LISTED_AREAS = 8


def tools_document(result: ToolComparison, command: str) -> Document:
    """Return a comparison of tools as a document."""
    dies = list(dict.fromkeys((row.die_area_mm2, row.node) for row in result.rows))
    spread = (
        *(spread_text(result, area, at) for area, at in dies),
        "Ranges: ours with every constant at its low and high end; ACT by gas abatement and two years of grid, "
        "3D-Carbon by the grids of the world and of Taiwan. The other tools state no range.",
    )
    figures = (_dots(result, area, at) for area, at in dies)
    exchanged = (
        "Each term of a tool's figure is replaced by ours, alone; with all of them it is our figure. Terms multiply, "
        "so the changes do not add up."
    )
    exchanges = (exchange_table(result, "cost"), exchange_table(result, "carbon"), largest_table(result))
    nodes = f"The die of {plain(dies[0][0])} mm² at every node for which a tool has constants."
    checks = (
        "Figures that the tools' papers and repositories print, and those of their formulas and constants here. Only "
        "predictions can agree; a misfit is shown with its reason."
    )
    return Document(
        "One die, many tools",
        "The same die through the published formulas and constants of other tools, and through ours. Electricity of "
        f"the fab: {result.grid.replace('_', ' ')}.",
        sections(
            Section("tools", "What each tool says", (*spread, *figures, tool_table(result))),
            Section("includes", "What each figure includes", (includes_table(result),), short=False),
            Section("differences", "Causes of the differences", (exchanged, *exchanges)),
            Section("area", "Over the area of a die", (_curves(result, dies[0][1]),), short=False),
            Section(
                "nodes",
                "Over process nodes",
                (nodes, node_table(result, "cost_usd"), node_table(result, "carbon_kg")),
                short=False,
            ),
            Section("checks", "Published figures of the tools", (checks, check_table(result)), short=False),
            assumptions_section({"": result.assumptions}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        frame=result.to_frame,
        schema="compare-tools",
    )


def tool_table(result: ToolComparison) -> Table:
    """Return a row for each tool and die."""
    columns = {
        "name": Column("tool", numeric=False),
        "die_area_mm2": column("die_area_mm2"),
        "node": Column("node", numeric=False),
        "gross_dies": Column("gross dies"),
        "die_yield": Column("yield"),
        "die_usd": Column("cost of the die"),
        "cost_usd": Column("cost"),
        "die_kg": Column("carbon of the die", "kg CO₂e"),
        "carbon_kg": Column("carbon", "kg CO₂e"),
    }
    formats = {"die_yield": percent, "die_usd": money, "cost_usd": money}
    return frame_table(
        "One good die in its package, as far as the tool covers it", result.to_frame().astype(object), columns, formats
    )


def includes_table(result: ToolComparison) -> Table:
    """Return the contents of each tool's figures, or the reason why it is blank at a node."""
    rows = tuple(dict.fromkeys((row.name, row.node, row.includes) for row in result.rows))
    heads = (Column("tool", numeric=False), Column("node", numeric=False), Column("includes", numeric=False))
    return Table("What it includes", heads, rows)


def exchange_table(result: ToolComparison, quantity: str) -> Table:
    """Return the change of the tools' figures for the first die by each replaced term, one column a tool.

    `quantity` is "cost" or "carbon".
    """
    first, frame = result.rows[0], result.exchanges
    chosen = (frame["die_area_mm2"] == first.die_area_mm2) & (frame["node"] == first.node)
    frame = frame[chosen & (frame["quantity"] == quantity)]
    ratios = {(tool, term): ratio for tool, term, ratio in frame[["tool", "term", "ratio"]].itertuples(index=False)}
    names = list(dict.fromkeys(frame["tool"]))
    write = money if quantity == "cost" else _kg
    figures = frame.drop_duplicates("tool").set_index("tool")["theirs"]
    terms = sorted(dict.fromkeys(frame["term"]), key=lambda term: term == "all of them")
    rows = (
        ("its own figure", *(write(figures[name]) for name in names)),
        *((term, *(_change(ratios[name, term]) for name in names)) for term in terms),
    )
    caption = f"Change of the {quantity} with a term replaced by ours: {plain(first.die_area_mm2)} mm², {first.node}"
    return Table(caption, (Column("term", numeric=False), *(Column(name) for name in names)), rows)


def largest_table(result: ToolComparison) -> Table:
    """Return the one term of each tool with the largest effect, for every die."""
    frame = largest_exchange(result.exchanges)
    columns = {
        "tool": Column("tool", numeric=False),
        "die_area_mm2": column("die_area_mm2"),
        "node": Column("node", numeric=False),
        "quantity": Column("of", numeric=False),
        "term": Column("term", numeric=False),
        "ratio": Column("factor with our term"),
    }
    return frame_table("The term with the largest effect on a tool's figure", frame, columns, {"ratio": times})


def node_table(result: ToolComparison, quantity: str) -> Table:
    """Return tools by nodes, for the first die: `quantity` is "cost_usd" or "carbon_kg"."""
    frame = result.over_nodes.dropna(subset=[quantity])
    nodes = [node for node in all_nodes() if node in set(frame["node"])]
    values = {(tool, node): value for tool, node, value in frame[["tool", "node", quantity]].itertuples(index=False)}
    write = money if quantity == "cost_usd" else plain
    rows = tuple(
        (tool, *(write(values[tool, node]) if (tool, node) in values else MISSING for node in nodes))
        for tool in dict.fromkeys(frame["tool"])
    )
    caption = "Dollars of a good die" if quantity == "cost_usd" else "Carbon of a good die, kg CO₂e"
    return Table(caption, (Column("tool", numeric=False), *(Column(node) for node in nodes)), rows)


def check_table(result: ToolComparison) -> Table:
    """Return the published figures with ours."""
    frame = result.checks.to_frame()
    columns = {
        "group": Column("tool", numeric=False),
        "what": Column("figure", numeric=False),
        "paper": Column("published"),
        "ours": Column("ours"),
        "unit": Column("unit", numeric=False),
        "rel_err": Column("error"),
        "evidence": Column("evidence", numeric=False),
        "status": Column("status", numeric=False),
        "note": Column("source and note", numeric=False),
    }
    formats: dict[str, Callable[[Any], Any]] = {"rel_err": lambda v: percent(v, 2), "status": flag}
    formats |= {"what": superscripts, "unit": _unit}
    return frame_table("Published figures and ours", frame, columns, formats)


def spread_text(result: ToolComparison, area_mm2: float, node: str) -> str:
    """Return the spread of the tools for one die, as a sentence."""
    rows = [row for row in result.rows if (row.die_area_mm2, row.node) == (area_mm2, node)]
    parts = []
    for what, key, write in (("dollars", "cost_usd", money), ("carbon", "carbon_kg", _kg)):
        ordered = sorted((value, row.name) for row in rows if (value := getattr(row, key)) is not None)
        if len(ordered) > 1:
            (low, least), (high, most) = ordered[0], ordered[-1]
            parts.append(f"{what} differ {times(high / low)}, from {write(low)} ({least}) to {write(high)} ({most})")
    if not parts:
        return f"{plain(area_mm2)} mm² at {node}: fewer than two tools have constants."
    return f"{plain(area_mm2)} mm² at {node}: {' and '.join(parts)}."


def _dots(result: ToolComparison, area_mm2: float, node: str) -> Figure:
    frame = result.to_frame().astype(object)
    frame = frame[(frame["die_area_mm2"] == area_mm2) & (frame["node"] == node)]
    columns = {
        "name": Column("tool", numeric=False),
        "cost_usd": Column("cost"),
        "cost_low_usd": Column("low"),
        "cost_high_usd": Column("high"),
        "carbon_kg": Column("carbon", "kg CO₂e"),
        "carbon_low_kg": Column("low", "kg CO₂e"),
        "carbon_high_kg": Column("high", "kg CO₂e"),
    }
    formats = dict.fromkeys(("cost_usd", "cost_low_usd", "cost_high_usd"), money)
    caption = f"A good die of {plain(area_mm2)} mm² at {node} by tool, low to high"
    table = frame_table(caption, frame, columns, formats)
    name = f"dots-{plain(area_mm2).replace('.', '-').replace(',', '')}-{node}"
    return Figure(name, partial(tool_dots, result, area_mm2, node), caption, table, 4)


def _curves(result: ToolComparison, node: str) -> Figure:
    areas = sorted(result.over_areas["die_area_mm2"].unique())
    listed = areas[:: max(len(areas) // _LISTED_AREAS, 1)]
    frame = result.over_areas[result.over_areas["die_area_mm2"].isin(listed)]
    columns = {
        "tool": Column("tool", numeric=False),
        "die_area_mm2": column("die_area_mm2"),
        "cost_usd": Column("cost"),
        "carbon_kg": Column("carbon", "kg CO₂e"),
    }
    caption = f"Dollars and carbon per mm² of good die against its area at {node}, log axes"
    table = frame_table(caption, frame, columns, {"cost_usd": money})
    return Figure("curves", partial(tools_over_area, result, node), caption, table, 3)


def _change(ratio: float | None) -> str:
    if ratio is None or pd.isna(ratio):
        return MISSING
    changed = 100.0 * (ratio - 1.0)
    return Number("0" if abs(changed) < 0.05 else f"{changed:+,.1f} %".replace("-", "−"), changed, "%")


def _kg(value: float) -> str:
    return Number(f"{plain(value)} kg", value, "kg")


def _unit(unit: str) -> str:
    return {"1": "", "USD": "$", "kgCO2e": "kg CO₂e", "kgCO2e/cm2": "kg CO₂e/cm²"}.get(unit, unit)
