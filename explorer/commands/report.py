"""`hwsim report`: the whole answer for one model, several side by side, or the results of a study."""

import sys
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    FabRegion,
    Machines,
    OutputTokens,
    OwnReading,
    PromptTokens,
    Region,
    Set,
    Volume,
    Weights,
    need_count,
    on_machines,
    parse_overrides,
    split_names,
    with_regions,
)
from explorer.commands.output import FILE, AsJson, check_file, made_by
from explorer.commands.progress import progress_bar
from explorer.documents import rows, terminal
from explorer.documents.document import Document
from explorer.documents.files import PAGES, check_report_name, write_document
from explorer.pricing.economics import PAPER_MODEL
from explorer.report.answer import Answer, answer
from explorer.report.document import report_document
from explorer.writing import json_text
from hwbase import Book, InputError
from hwbase.books import refuse_unread
from hwsim.machine_books import machine_book
from hwsim.simulation import VARIED
from hwsim.technology import DEFAULT_TECHNOLOGY

#: Where the page goes unless the user names a file.
_PAGE = "report.html"


def report_command(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            help="A model of `hwsim models`, a TOML spec, a Hugging Face config.json, or a study's results; "
            "several models are put side by side."
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", help=f"{FILE} A page opens with the probability that it pays.")
    ] = None,
    on: Machines = None,
    context: Context = "2048",
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = "0",
    volume: Volume = "50",
    convention: Convention = "as-published",
    weights: Weights = "fp4",
    reading: OwnReading = None,
    technology: Annotated[
        list[str] | None,
        typer.Option("--technology", help="Technology book, such as n5-synthesised; several are put side by side."),
    ] = None,
    standard: Annotated[
        str | None,
        typer.Option(
            "--standard",
            help="Carbon statements alone: ghg, sci or iso14067, comma-separated; by the first convention.",
        ),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Also simulate the paper's claims request by request; takes seconds.")
    ] = False,
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
) -> None:
    """Simulate, cost and carbon in one: a summary on the terminal, the whole answer as a page beside it."""
    named, out = out, out or _PAGE
    check_file(out)
    models, technologies = model or [PAPER_MODEL], technology or [DEFAULT_TECHNOLOGY]
    command, today = made_by(), date.today().isoformat()
    if len(models) == 1 and (study := _study(models[0], command, today)) is not None:
        write_document(study, out)
        Console().print(f"wrote {out}", highlight=False, soft_wrap=True)
        return
    constants = with_regions(parse_overrides(settings), region, fab_region)
    shared: dict[str, Any] = {
        "on": on_machines(on),
        "context": need_count("context", context),
        "prompt_tokens": need_count("prompt_tokens", prompt_tokens),
        "output_tokens": need_count("output_tokens", output_tokens),
        "volume": need_count("volume", volume),
        "convention": split_names(convention, "--convention"),
        "weights": weights,
        "reading": reading,
        "set": constants,
        "book": book,
        "events": events,
        "command": command,
        "date": today,
    }
    if standard is not None:
        document = _statements(standard, models, technologies, shared)
    elif len(models) * len(technologies) > 1:
        document = _several(models, technologies, shared)
    else:
        result = answer(models[0], technology=technologies[0], **shared)
        _refuse_unread(constants, [result])
        wants = named is not None and check_report_name(named) in PAGES
        document = report_document(result, _likelihood(result, shared) if wants else "")
    write_document(document, out)
    if as_json:
        sys.stdout.write(json_text(rows.data(document)))
        return
    terminal.show(Console(), document, out)


def _several(models: list[str], technologies: list[str], shared: dict[str, Any]) -> Document:
    from explorer.report.side_by_side import compare_models
    from explorer.report.side_by_side_document import side_by_side_document

    comparison = compare_models(models, technologies, **shared)
    _refuse_unread(shared["set"], comparison.answers.values())
    return side_by_side_document(comparison)


def _refuse_unread(constants: Mapping[str, Any], answers: Iterable[Answer]) -> None:
    """Raise `InputError` for a constant that no answer reads, of a hardwired machine or in a cost."""
    read: list[Mapping[str, Any]] = []
    for each in answers:
        costs = (each.cost, each.other_cost, *each.more_costs)
        read += [each.published.assumptions, *(costed.assumptions for costed in costs)]
    refuse_unread(constants, *read)


def _likelihood(result: Answer, shared: dict[str, Any]) -> str:
    """Return how likely the hardwired fleet of an answer costs less, in one sentence; it takes a few seconds."""
    from costmodel import CORRECTED
    from explorer.pricing.prices import machines_of, without_foreign
    from explorer.uncertainty.likelihood import DRAWS, likelihood

    # Drawn by the conventions that we believe, beside the machine that they set there unless the user names one.
    machine, others = machines_of(shared["on"], VARIED, CORRECTED)
    priced = [other for other in others if other.section("costs")]
    fields = ("context", "prompt_tokens", "output_tokens", "volume", "weights", "book")
    with progress_bar() as report:
        report("draws", 0, DRAWS)
        try:
            return likelihood(
                result.model,
                on=_named(machine, shared["on"]),
                beside=_named(priced[0], shared["on"]) if priced else None,
                technology=result.technology,
                set=without_foreign(shared["set"], priced[1:]),
                **{name: shared[name] for name in fields},
            )
        except InputError as error:
            return f"How likely hardwiring costs less was not drawn: {error}."


def _named(book: Book, names: list[str] | None) -> str:
    """Return the name or path by which a machine was given; a default one has its own name."""
    return next((name for name in names or () if machine_book(name).name == book.name), book.name)


def _statements(standard: str, models: list[str], technologies: list[str], shared: dict[str, Any]) -> Document:
    from costmodel.conventions import named
    from explorer.pricing.economics import cost
    from explorer.pricing.prices import machines_of
    from explorer.report.standards import carbon_statements

    if len(models) * len(technologies) > 1 or shared["events"]:
        raise InputError("--standard states one fleet: expected one model, one technology and no --events")
    names = split_names(standard, "--standard")
    conventions = named(shared["convention"][0])
    machine, others = machines_of(shared["on"], VARIED, conventions)
    priced = [other for other in others if other.section("costs")]
    if len(priced) > 1:
        raise InputError(f"--standard states two fleets: expected one of {', '.join(each.name for each in priced)}")
    own = ("context", "prompt_tokens", "output_tokens", "volume", "weights", "reading", "set", "book")
    costed = cost(
        models[0],
        on=machine,
        beside=priced[0] if priced else others[0],
        technology=technologies[0],
        convention=conventions,
        **{name: shared[name] for name in own},
    )
    refuse_unread(shared["set"], costed.assumptions)
    statements = carbon_statements(costed, names, year=date.fromisoformat(shared["date"]).year)
    return statements.document(shared["command"])


def _study(folder: str, command: str, date: str) -> Document | None:
    """Return the document of the study with results in `folder`, None if it is another folder."""
    try:
        if not Path(folder).is_dir():
            return None
    except OSError:  # a name that no file system takes
        return None
    from explorer.commands.study import open_result
    from explorer.study.document import study_document
    from explorer.study.store import is_study

    return study_document(open_result(folder), command, date) if is_study(folder) else None
