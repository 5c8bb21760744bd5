"""`hwsim reproduce`: published figures and ours."""

from typing import Annotated

import typer

from explorer.commands.arguments import MachineBook, Set, parse_count, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, check_kept, deliver, made_by
from explorer.papers.document import scoreboard_document
from explorer.papers.reproduce import PAPERS, reproduce
from explorer.serving.gpu_board import board_of_points, gpu_board
from explorer.serving.gpu_document import gpu_document
from hwbase import InputError, unknown_name

#: Exit status where a prediction is outside its stated tolerance.
FAILED = 1
#: The scoreboard of measured GPUs, besides those of papers.
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
    out: OutFile = None,
) -> None:
    """Compare every published figure with ours; exit 1 if a prediction is outside its stated tolerance."""
    check_kept(out, points)
    check_file(out)
    overrides = parse_overrides(settings)
    defaults = {"machine": on, "engine": engine, "format": number_format, "tp": parse_count("gpus", gpus)}
    if paper == GPUS:
        board = board_of_points(points, overrides, defaults) if points else gpu_board(overrides)
        deliver(gpu_document(board, made_by()), out, as_json)
        return
    if points or any(value is not None for value in defaults.values()):
        raise InputError(f"--points, --on, --engine, --format and --gpus are of measured GPUs: expected {GPUS!r}")
    if paper not in PAPERS:
        raise unknown_name("paper", paper, (*PAPERS, GPUS))
    papers = reproduce(paper, book=book, set=overrides)
    deliver(scoreboard_document(papers, made_by()), out, as_json)
    if not papers.summary["ok"]:
        raise typer.Exit(FAILED)
