"""`hwsim design`: the hardwired machine to build for a model."""

from typing import Annotated, Any

import typer
from rich.console import Console

from explorer.commands.arguments import (
    CONSTANTS,
    MACHINE,
    Context,
    Convention,
    CostBook,
    Model,
    OutputTokens,
    PromptTokens,
    Set,
    Technology,
    Volume,
    Weights,
    need_count,
    parse_overrides,
)
from explorer.commands.output import AsJson, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.designs.book import check_book_name
from explorer.designs.evaluation import COOLING
from explorer.designs.run import CONSTRAINTS, OBJECTIVES, TRACE_OBJECTIVES, design
from explorer.designs.serving import PROMISES
from explorer.pricing.rates import PAPER_MODEL
from explorer.serving.traffic import traffic_from
from hwbase import InputError
from hwsim.events.traffic import Traffic
from hwsim.machine_books import DEFAULT_MACHINE
from hwsim.technology import DEFAULT_TECHNOLOGY


def design_command(
    model: Model = PAPER_MODEL,
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            help=f"A column, as NAME or NAME=max; repeat it. By default {' and '.join(OBJECTIVES)}, with a trace "
            f"{', '.join(TRACE_OBJECTIVES)}.",
        ),
    ] = None,
    constraints: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            help=f"A condition, such as 'latency_alone_s <= 30 us'; repeat it. By default '{CONSTRAINTS[0]}'.",
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="Values of a constant or a choice: vex_macs=16384,32768; repeat it.", rich_help_panel=MACHINE
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            "--on", help="The machine, or book (TOML), that has all that does not vary.", rich_help_panel=MACHINE
        ),
    ] = DEFAULT_MACHINE,
    uneven: Annotated[
        bool, typer.Option("--uneven", help="Divide heads and experts in fractions too.", rich_help_panel=MACHINE)
    ] = False,
    cooling: Annotated[
        str,
        typer.Option("--cooling", help=f"{' or '.join(COOLING)}: the most power per area.", rich_help_panel=MACHINE),
    ] = COOLING[0],
    context: Context = "2048",
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = "0",
    traffic: Annotated[
        str | None,
        typer.Option("--traffic", help="A trace (CSV) that the machine has to serve, in place of a context."),
    ] = None,
    promises: Annotated[
        list[str] | None,
        typer.Option("--promise", help=f"To users of the trace, such as '{PROMISES[0]}'; repeat it."),
    ] = None,
    percentile: Annotated[
        float, typer.Option("--percentile", help="Share of requests that must have what is promised, in %.")
    ] = 99.0,
    limit: Annotated[str | None, typer.Option("--limit", help="Only the trace's first requests.")] = None,
    kept: Annotated[
        str | None, typer.Option("--resume", help="A file (JSON) of machines that served the trace, to go on from.")
    ] = None,
    technology: Technology = DEFAULT_TECHNOLOGY,
    weights: Weights = "fp4",
    volume: Volume = "50",
    convention: Convention = "corrected",
    settings: Set = None,
    book: CostBook = None,
    confirm: Annotated[
        str, typer.Option("--confirm", help="So many of the best are simulated token by token too.")
    ] = "1",
    workers: Annotated[str, typer.Option("--workers", help="Threads.", rich_help_panel=CONSTANTS)] = "2",
    as_json: AsJson = False,
    out: Annotated[
        str | None, typer.Option("--out", help="A machine's book (.toml), for the best machine; --on takes it.")
    ] = None,
    page: Annotated[
        str | None, typer.Option("--page", help="A file, by its name: .html, .md, .csv, .parquet or .json.")
    ] = None,
) -> None:
    """The machine to build for a model: the best mapping, chips and parts towards objectives, within limits."""
    check_file(page)
    if out is not None:
        check_book_name(out)
    with progress_bar() as report:
        result = design(
            model,
            objectives=_objectives(objectives),
            traffic=_trace(traffic, limit),
            promises=tuple(promises or PROMISES),
            percentile=percentile,
            kept=kept,
            constraints=tuple(constraints or CONSTRAINTS),
            on=on,
            technology=technology,
            weights=weights,
            context=need_count("context", context),
            prompt_tokens=need_count("prompt_tokens", prompt_tokens),
            output_tokens=need_count("output_tokens", output_tokens),
            vary=_steps(vary),
            uneven=uneven,
            cooling=cooling,
            volume=need_count("volume", volume),
            convention=convention,
            book=book,
            set=parse_overrides(settings),
            confirm=need_count("confirm", confirm),
            workers=need_count("workers", workers),
            progress=report,
        )
    if out is not None:
        result.write_book(out)
    deliver(result.document(made_by()), page, as_json)
    if out is not None and not as_json:
        Console().print(f"wrote {out}", highlight=False, soft_wrap=True)


def _trace(path: str | None, limit: str | None) -> Traffic | None:
    """Return the first requests of a trace; None without one. Raises `InputError`."""
    if path is None:
        if limit is not None:
            raise InputError(f"--limit {limit} has no effect without a file: expected --traffic")
        return None
    return traffic_from(path, limit=None if limit is None else need_count("limit", limit))


def _objectives(texts: list[str] | None) -> dict[str, Any] | None:
    """Return objectives, written NAME or NAME=max, with their directions or None. Raises `InputError`."""
    if not texts:
        return None
    objectives: dict[str, Any] = {}
    for text in texts:
        name, _, direction = (part.strip() for part in text.partition("="))
        if name in objectives:
            raise InputError(f"--objective {name} is given twice: expected once")
        objectives[name] = direction or None
    return objectives


def _steps(texts: list[str] | None) -> dict[str, Any]:
    """Return what varies, written NAME=a,b,c, or NAME alone for the values that are declared. Raises `InputError`."""
    steps: dict[str, Any] = {}
    for text in texts or ():
        name, equals, values = (part.strip() for part in text.partition("="))
        if name in steps:
            raise InputError(f"--vary {name} is given twice: expected once")
        listed = [value.strip() for value in values.split(",")]
        if equals and not all(listed):
            raise InputError(f"--vary {text!r}: expected values separated by commas, such as vex_macs=16384,32768")
        steps[name] = listed if equals else None
    return steps
