"""`hwsim reproduce`: published figures beside ours."""

from typing import Annotated

import typer
from rich.console import Console

from explorer.commands.arguments import MachineBook, Set, parse_count, parse_overrides
from explorer.commands.output import AsJson, Out, emit, made_by
from explorer.documents.terminal import show
from explorer.papers.document import scoreboard_document
from explorer.papers.reproduce import PAPERS, reproduce
from explorer.serving.gpu_board import GpuBoard, board_of_points, gpu_board
from hwbase import InputError, unknown_name

#: Exit status where a prediction is outside its stated tolerance.
FAILED = 1
#: The scoreboard of measured GPUs, beside those of papers.
GPUS = "gpus"


def reproduce_command(
    paper: Annotated[str, typer.Argument(help=f"One of {', '.join((*PAPERS, GPUS))}.")] = "hnlpu",
    points: Annotated[
        str | None,
        typer.Option("--points", help="Your own measurements (gpus): a CSV, or JSON of vllm bench serve or GuideLLM."),
    ] = None,
    on: Annotated[str | None, typer.Option("--on", help="Machine, where a file of points states none.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="Engine, where it states none.")] = None,
    number_format: Annotated[str | None, typer.Option("--format", help="Format, where it states none.")] = None,
    gpus: Annotated[str | None, typer.Option("--gpus", help="GPUs, where it states none.")] = None,
    settings: Set = None,
    book: MachineBook = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Compare every published figure with ours; exit 1 if a prediction is outside its stated tolerance."""
    overrides = parse_overrides(settings)
    defaults = {"machine": on, "engine": engine, "format": number_format, "tp": parse_count("gpus", gpus)}
    if paper == GPUS:
        board = board_of_points(points, overrides, defaults) if points else gpu_board(overrides)
        if as_json or out:
            emit(board, "reproduce-gpus", out)
        else:
            show_gpus(Console(), board)
        return
    if points or any(value is not None for value in defaults.values()):
        raise InputError(f"--points, --on, --engine, --format and --gpus are of measured GPUs: expected {GPUS!r}")
    if paper not in PAPERS:
        raise unknown_name("paper", paper, (*PAPERS, GPUS))
    papers = reproduce(paper, book=book, set=overrides)
    if as_json or out:
        emit(papers, "reproduce", out)
    else:
        show(Console(), scoreboard_document(papers, made_by()))
    if not papers.summary["ok"]:
        raise typer.Exit(FAILED)


def show_gpus(console: Console, board: GpuBoard) -> None:
    """Print the rows of a scoreboard of GPUs, what keeps points from an answer, and the summary."""
    frame = board.to_frame()
    reasons = frame.pop("why") if "why" in frame else None
    console.print(
        frame.to_string(float_format="{:.3g}".format, na_rep="", index=False), highlight=False, soft_wrap=True
    )
    if reasons is not None:
        for line, reason in reasons.dropna().items():
            console.print(f"line {int(str(line)) + 1}: {reason}", highlight=False, markup=False, soft_wrap=True)
    for kind, figures in board.summary.items():
        if isinstance(figures, dict):
            shown = (f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
            console.print(f"{kind}: {', '.join(shown)}", highlight=False, soft_wrap=True)
