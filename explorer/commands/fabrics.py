"""`hwsim fabrics`: where the weights of a model may live."""

from typing import Annotated

import typer

from explorer.commands.arguments import CostBook, Model, Set, parse_overrides, split_names
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.fabrics.document import fabrics_document
from explorer.fabrics.prices import weight_fabrics
from hwsim.technology import DEFAULT_TECHNOLOGY


def fabrics_command(
    model: Model = "gpt-oss-120b",
    technologies: Annotated[
        str, typer.Option("--technology", help="Technology books, such as n7,n5, comma-separated.")
    ] = DEFAULT_TECHNOLOGY,
    formats: Annotated[
        str, typer.Option("--weights", help="Formats: fp4, ternary, int1 .. int8, comma-separated.")
    ] = "fp4",
    fabrics: Annotated[
        str | None, typer.Option("--fabrics", help="Fabrics, such as mask_rom,sram; all by default.")
    ] = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Metal, cells, ROM, vias, SRAM and DRAM for the weights of a model: area, cycles, energy, masks, dollars."""
    check_file(out)
    result = weight_fabrics(
        model,
        split_names(technologies, "--technology"),
        split_names(formats, "--weights"),
        fabrics=None if fabrics is None else split_names(fabrics, "--fabrics"),
        book=book or "default",
        set=parse_overrides(settings),
    )
    deliver(fabrics_document(result, made_by()), out, as_json)
