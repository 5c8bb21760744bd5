"""`hwsim assumptions`: the constants of a book."""

from typing import Annotated

import typer
from rich.console import Console

from explorer.commands import terminal
from explorer.commands.arguments import Set, parse_overrides
from explorer.commands.output import AsJson, Out, emit


def assumptions_command(
    book: Annotated[str, typer.Argument(help="A book of costs, of a machine or of a technology, by name or file.")],
    settings: Set = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Every constant of an assumption book, with range, unit, year, kind and source."""
    constants = terminal.find_book(book).override(parse_overrides(settings))
    if as_json or out:
        emit(constants.to_frame().to_dict(orient="records"), "assumptions", out)
    else:
        terminal.show_book(Console(), constants)
