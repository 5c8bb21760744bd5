"""The command `hwsim hardwire`: least NRE at a perplexity floor."""

from typing import Annotated

import typer
from rich.console import Console

from explorer.commands.arguments import CostBook, FabRegion, Set, need_count, parse_overrides, split_names, with_regions
from explorer.commands.output import AsJson, OutRun, check_out, emit, made_by, write_out
from explorer.commands.precision import WeightsFile, printed_warnings
from explorer.commands.progress import progress_bar
from explorer.documents.terminal import show
from explorer.precision.compensated import COMPENSATED
from explorer.precision.silicon import PROCESSES, WIDTHS, silicon_fronts
from explorer.precision.silicon_document import SILICON_FILES, silicon_document, silicon_files
from hwbase import InputError
from models.inference import DEFAULT_MODEL
from models.quantise import METHODS


def hardwire_command(
    model: Annotated[str, typer.Argument(help="A language model.")] = DEFAULT_MODEL,
    perplexity: Annotated[
        list[str] | None, typer.Option("--perplexity", help="What held-out perplexity may be at most (repeatable).")
    ] = None,
    processes: Annotated[
        str, typer.Option("--processes", help="Technology books, such as n16,n5; the part before - is the node.")
    ] = ",".join(PROCESSES),
    bits: Annotated[str, typer.Option("--bits", help="Widths to choose from.")] = ",".join(map(str, WIDTHS)),
    windows: Annotated[str, typer.Option("--windows", help="Windows of 128 tokens that are held out.")] = "24",
    ranges: Annotated[
        str, typer.Option("--ranges", help=f"Of weights: {', '.join((*METHODS, *COMPENSATED))}.")
    ] = "min-max",
    systems: Annotated[str, typer.Option("--systems", help="How many are built.")] = "1000",
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    weights_file: WeightsFile = None,
    cache: Annotated[str | None, typer.Option("--cache", help="A folder that keeps what is measured.")] = None,
    jobs: Annotated[str, typer.Option("--jobs", help="Processes that measure sensitivities.")] = "1",
    as_json: AsJson = False,
    out: OutRun = None,
) -> None:
    """A language model in metal: least silicon, masks and dollars at a perplexity floor, measured on held-out text."""
    check_out(out, SILICON_FILES)
    with printed_warnings(), progress_bar() as report:
        result = silicon_fronts(
            model,
            floors=None if perplexity is None else [_floor(text) for text in perplexity],
            processes=split_names(processes, "--processes"),
            bits=tuple(need_count("bits", text) for text in bits.split(",")),
            held_out={"windows": need_count("windows", windows)},
            rounding={"method": ranges},
            book=book or "default",
            set=with_regions(parse_overrides(settings), None, fab_region),
            systems=need_count("systems", systems),
            path=weights_file,
            cache=cache,
            jobs=need_count("jobs", jobs),
            command=made_by(),
            report=report,
        )
    document = silicon_document(result)
    if out is not None:
        write_out(out, document, lambda: silicon_files(result, document))
    if as_json:
        emit(result, "hardwire")
        return
    console = Console()
    show(console, document)
    if out is not None:
        console.print(f"\nwrote {out}", highlight=False, soft_wrap=True)


def _floor(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"perplexity = {text!r}: expected a number") from None
