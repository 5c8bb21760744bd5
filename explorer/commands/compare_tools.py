"""`hwsim compare-tools`: one die through the formulas and constants of other tools."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from explorer.commands.arguments import parse_overrides
from explorer.commands.output import AsJson, emit
from explorer.commands.terminal import show_table
from explorer.tools.compare import DIE_MM2, NODE, compare_tools
from explorer.tools.page import exchange_table, render_tools, spread_text, tool_table
from explorer.writing import write_text
from hwbase import InputError


def compare_tools_command(
    area: Annotated[str, typer.Option("--area", help="Area of a die in mm2; several with commas.")] = str(DIE_MM2),
    node: Annotated[str, typer.Option("--node", help="Process node, n28 to n2; several with commas.")] = NODE,
    grid: Annotated[
        str | None, typer.Option("--grid", help="Region of every fab's electricity, such as taiwan or tw.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a constant of a tool: act.fab.yield=0.5.")
    ] = None,
    book: Annotated[str | None, typer.Option("--book", help="A cost book (TOML) for our row.")] = None,
    as_json: AsJson = False,
    out: Annotated[str | None, typer.Option("--out", help="Write to this file: .html, .csv, otherwise JSON.")] = None,
) -> None:
    """What ACT, 3D-Carbon, ECO-CHIP, Chiplet Actuary, CATCH and the HNLPU paper say of one die, beside ours."""
    found = compare_tools(
        [_number(part) for part in area.split(",")],
        [part.strip() for part in node.split(",")],
        grid=grid,
        set=parse_overrides(settings),
        book=book,
    )
    if out is not None and Path(out).suffix.lower() in (".html", ".htm"):
        write_text(render_tools(found, " ".join(["hwsim", *sys.argv[1:]])), out)
        if not as_json:
            Console().print(f"wrote {out}", highlight=False, soft_wrap=True)
            return
        out = None
    if as_json or out:
        emit(found, out)
        return
    console = Console()
    show_table(console, tool_table(found, short=True))
    for at in dict.fromkeys((row.die_area_mm2, row.node) for row in found.rows):
        console.print(spread_text(found, *at), highlight=False)
    for quantity in ("cost", "carbon"):
        show_table(console, exchange_table(found, quantity))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"area_mm2 = {text.strip()!r}: expected a number of mm2") from None
