"""`hwsim compare-tools`: one die through the formulas and constants of other tools."""

from typing import Annotated

import typer

from explorer.commands.arguments import CostBook, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.tools.compare import DIE_MM2, NODE, compare_tools
from explorer.tools.document import tools_document
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
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """One die by the formulas of ACT, 3D-Carbon, ECO-CHIP, Chiplet Actuary, CATCH and the HNLPU paper, and by ours."""
    check_file(out)
    result = compare_tools(
        [_number(part) for part in area.split(",")],
        [part.strip() for part in node.split(",")],
        grid=grid,
        set=parse_overrides(settings),
        book=book,
    )
    deliver(tools_document(result, made_by()), out, as_json)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"area_mm2 = {text.strip()!r}: expected a number of mm2") from None
