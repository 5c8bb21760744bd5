"""`hwsim reproduce`: published figures beside ours."""

from typing import Annotated

import typer
from rich.console import Console

from explorer.commands import terminal
from explorer.commands.arguments import Set, parse_overrides
from explorer.commands.output import AsJson, Out, emit
from explorer.papers.reproduce import PAPERS, reproduce

#: Exit status where a prediction is outside its stated tolerance.
FAILED = 1


def reproduce_command(
    paper: Annotated[str, typer.Argument(help=f"One of {', '.join(PAPERS)}.")] = "hnlpu",
    settings: Set = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Compare every published figure with ours; exit 1 if a prediction is outside its stated tolerance."""
    board = reproduce(paper, set=parse_overrides(settings))
    if as_json or out:
        emit(board, out)
    else:
        terminal.show_scoreboard(Console(), board)
    if not board.summary["ok"]:
        raise typer.Exit(FAILED)
