"""`hwsim uncertainty` and `hwsim break-even`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from costmodel.conventions import named
from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    FabRegion,
    Machines,
    Model,
    OutputTokens,
    PromptTokens,
    Reading,
    Region,
    Set,
    Technology,
    Volume,
    Weights,
    need_count,
    on_machines,
    parse_overrides,
    with_regions,
)
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.documents.files import PAGES, check_report_name
from explorer.pricing.economics import PAPER_MODEL
from explorer.pricing.prices import machines_of
from explorer.uncertainty.analyse import analyse
from explorer.uncertainty.axes import AXES
from explorer.uncertainty.breakeven import break_even
from explorer.uncertainty.distributions import SHAPES
from explorer.uncertainty.document import break_even_document, ratios_of, uncertainty_document
from explorer.uncertainty.promises import promise_map
from explorer.uncertainty.results import Uncertainty
from hwbase import InputError, unknown_name
from hwsim.machine_books import DEFAULT_MACHINE, machine_book
from hwsim.simulation import VARIED
from hwsim.technology import DEFAULT_TECHNOLOGY

_PERCENT = 100
_PARTS = ("model", "volume", "context", "technology", "convention", "reading", "weights")

#: Choices that are whole numbers.
_WORKLOAD = ("context", "prompt_tokens", "output_tokens")
_COUNTS = ("volume", *_WORKLOAD)

Only = Annotated[
    list[str] | None, typer.Option("--only", help="Vary only constants that match, such as 'n5.*'; repeat for more.")
]
Shape = Annotated[
    list[str] | None,
    typer.Option("--shape", help=f"Distribution: {', '.join(SHAPES)}; of one constant as name=shape."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the scrambled Sobol sequence.")]
Independent = Annotated[bool, typer.Option("--independent", help="Ignore the correlations that books state.")]


def uncertainty_command(
    model: Model = PAPER_MODEL,
    volume: Volume = "50",
    context: Context = "2048",
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = "0",
    technology: Technology = DEFAULT_TECHNOLOGY,
    convention: Convention = "corrected",
    on: Machines = None,
    reading: Reading = "pipelined",
    weights: Weights = "fp4",
    samples: Annotated[str, typer.Option("--samples", help="Draws, a power of two.")] = "4096",
    seed: Seed = 0,
    shape: Shape = None,
    only: Only = None,
    independent: Independent = False,
    output: Annotated[
        list[str] | None, typer.Option("--output", help="An output to explain, such as tco_usd; repeat for more.")
    ] = None,
    versus: Annotated[
        list[str] | None,
        typer.Option("--versus", help=f"A second machine that differs in key=value: {', '.join(_PARTS)}, a constant."),
    ] = None,
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Whether hardwiring pays over every range of the books at once: percentiles, Sobol indices, tornado."""
    check_file(out)
    usual, shapes = _shapes(shape)
    workload = (context, prompt_tokens, output_tokens)
    constants = with_regions(parse_overrides(settings), region, fab_region)
    choices = _choices(on, volume, workload, technology, convention, reading, weights, constants, book)
    common: dict[str, Any] = {"only": only or (), "shape": usual, "shapes": shapes, "seed": seed}
    common |= {"independent": independent}
    with _progress() as progress:
        result = analyse(
            model,
            **common,
            samples=need_count("samples", samples),
            versus=_versus(versus),
            progress=progress,
            **choices,
        )
        shown = _outputs(result, output)
        turns = (
            break_even(model, **common, progress=progress, **choices)
            if out is not None and check_report_name(out) in PAGES
            else None
        )
    deliver(uncertainty_document(result, made_by(), turns, shown), out, as_json)


def break_even_command(
    model: Model = PAPER_MODEL,
    axis: Annotated[
        list[str] | None,
        typer.Option("--axis", help=f"{', '.join(AXES)} (all of them by default), or any constant; repeat for more."),
    ] = None,
    low: Annotated[float | None, typer.Option("--from", help="Low end of the axis, if there is one.")] = None,
    high: Annotated[float | None, typer.Option("--to", help="High end of the axis, if there is one.")] = None,
    points: Annotated[str, typer.Option("--points", help="Points of a curve.")] = "41",
    volume: Volume = "50",
    context: Context = "2048",
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = "0",
    technology: Technology = DEFAULT_TECHNOLOGY,
    convention: Convention = "corrected",
    on: Machines = None,
    reading: Reading = "pipelined",
    weights: Weights = "fp4",
    samples: Annotated[str, typer.Option("--samples", help="Draws, a power of two.")] = "1024",
    seed: Seed = 0,
    shape: Shape = None,
    only: Only = None,
    independent: Independent = False,
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Where hardwiring begins to pay: volume, lifetime, re-spins, utilisation, electricity, grid, with bands."""
    if (low is not None or high is not None) and len(axis or ()) != 1:
        raise InputError("--from and --to need one --axis: expected --axis volume, or another")
    check_file(out)
    usual, shapes = _shapes(shape)
    workload = (context, prompt_tokens, output_tokens)
    constants = with_regions(parse_overrides(settings), region, fab_region)
    choices = _choices(on, volume, workload, technology, convention, reading, weights, constants, book)
    if len(axis or ()) == 1:
        choices.pop((axis or [])[0], None)
    with _progress() as progress:
        result = break_even(
            model,
            axes=axis or tuple(AXES),
            low=low,
            high=high,
            points=need_count("points", points),
            only=only or (),
            independent=independent,
            shape=usual,
            shapes=shapes,
            samples=need_count("samples", samples),
            seed=seed,
            progress=progress,
            **choices,
        )
        shared = {name: value for name, value in choices.items() if name != "volume"}
        promises = None if axis else promise_map(model, seed=seed, **shared)
    deliver(break_even_document(result, made_by(), promises), out, as_json)


def _choices(
    on: str | None,
    volume: str,
    workload: tuple[str, str, str],
    technology: str,
    convention: str,
    reading: str,
    weights: str,
    constants: dict[str, Any],
    book: str | None,
) -> dict[str, Any]:
    return _machines(on_machines(on) or [], convention) | {
        "volume": need_count("volume", volume),
        **{name: need_count(name, text) for name, text in zip(_WORKLOAD, workload, strict=True)},
        "technology": technology,
        "convention": convention,
        "reading": reading,
        "weights": weights,
        "set": constants,
        "book": book,
    }


def _machines(names: list[str], convention: str) -> dict[str, str | None]:
    """Return the hardwired machine, and the one that is bought beside it, if named."""
    machine, others = machines_of(names, VARIED, named(convention))
    if len(others) > 1:
        raise InputError(
            f"--on {','.join(names)}: expected a hardwired machine and one that is bought beside it, since bands and "
            "break-evens are of two fleets; a run for each shows several"
        )
    hard = next((name for name in names if machine_book(name).kind == machine.kind), DEFAULT_MACHINE)
    return {"on": hard, "beside": next((name for name in names if name != hard), None)}


def _versus(pairs: list[str] | None) -> dict[str, Any]:
    changes = parse_overrides(pairs, "--versus")
    counts = {key: need_count(key, changes[key]) for key in _COUNTS if key in changes}
    return changes | counts


def _shapes(texts: list[str] | None) -> tuple[str, dict[str, str]]:
    """Return the default shape and those of single constants."""
    usual = [item for item in texts or [] if "=" not in item]
    if len(usual) > 1:
        raise InputError(f"--shape {' --shape '.join(usual)}: expected one, and name=shape for single constants")
    single = parse_overrides([item for item in texts or [] if "=" in item], "--shape")
    return (usual or [SHAPES[0]])[0], single


def _outputs(result: Uncertainty, names: list[str] | None) -> tuple[str, ...]:
    for name in names or ():
        if name not in result.names:
            raise unknown_name("output", name, result.names)
    return tuple(names or ratios_of(result))


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Show the share done on standard error if that is a terminal."""
    with progress_bar() as report:
        yield lambda share: report("evaluations, %", round(_PERCENT * share), _PERCENT)
