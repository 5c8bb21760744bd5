"""The `hwsim` command. Exit status: 0 success, 1 a comparison failed, 2 bad input."""

import sys
from typing import Annotated

import typer
from rich.console import Console

import hwsim
import models
from explorer.commands import terminal
from explorer.commands.allocate import allocate_command
from explorer.commands.arguments import need_count, parse_overrides
from explorer.commands.audit import audit_app
from explorer.commands.compare_serving import compare_serving_command
from explorer.commands.compare_tools import compare_tools_command
from explorer.commands.hardwire import hardwire_command
from explorer.commands.inference import infer_command, quality_command
from explorer.commands.machines import machines_command
from explorer.commands.output import AsJson, Out, emit
from explorer.commands.precision import fronts_command, sensitivity_command
from explorer.commands.report import report_command
from explorer.commands.retrieve import retrieve_app
from explorer.commands.scan import scan_command
from explorer.commands.simulate import simulate_command
from explorer.commands.study import study_app
from explorer.commands.uncertainty import break_even_command, uncertainty_command
from explorer.commands.wiring import wiring_command
from explorer.papers.reproduce import PAPERS, reproduce
from explorer.pricing.economics import cost
from hwbase import InputError
from hwsim.technology import DEFAULT_TECHNOLOGY

#: What a wrong command line raises: click's base error, wherever this version of typer keeps it.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]
BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130

app = typer.Typer(
    name="hwsim",
    help="What if we built this chip for this model: how fast, how much energy, silicon, dollars and carbon?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console()

Model = Annotated[str, typer.Argument(help="A model of `hwsim models`, a TOML spec, or a Hugging Face config.json.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a constant: key=value, with a unit if you like.")
]
UserBook = Annotated[str | None, typer.Option("--book", help="An assumption book (TOML) that extends one of ours.")]
Context = Annotated[str, typer.Option("--context", help="Positions a sequence has, such as 2048 or 64K.")]
Technology = Annotated[str, typer.Option("--technology", help="Technology book, such as n5-synthesised.")]
Volume = Annotated[str, typer.Option("--volume", help="Systems built.")]
Convention = Annotated[str, typer.Option("--convention", help="as-published or corrected.")]


app.command("report")(report_command)


@app.command("reproduce")
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
        terminal.show_scoreboard(console, board)
    if not board.summary["ok"]:
        raise typer.Exit(FAILED)


app.command("simulate")(simulate_command)
app.command("compare-serving")(compare_serving_command)


@app.command("cost")
def cost_command(
    model: Model = "gpt-oss-120b",
    volume: Volume = "1",
    convention: Convention = "as-published",
    context: Context = "2048",
    technology: Technology = DEFAULT_TECHNOLOGY,
    settings: Set = None,
    book: UserBook = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Dollars and carbon of a fleet of hardwired machines, beside the GPUs that match it."""
    found = cost(
        model,
        volume=need_count("volume", volume),
        convention=convention,
        context=need_count("context", context),
        technology=technology,
        book=book,
        set=parse_overrides(settings),
        effects=True,
    )
    if as_json or out:
        emit(found, out)
    else:
        terminal.show_cost(console, found)


@app.command("models")
def models_command(as_json: AsJson = False, out: Out = None) -> None:
    """The models that are known by name, with their parameter counts."""
    frame = models.zoo_frame()
    if as_json or out:
        emit(frame.to_dict(orient="records"), out)
    else:
        terminal.show_models(console, frame)


app.command("machines")(machines_command)


@app.command()
def assumptions(
    book: Annotated[str, typer.Argument(help="A book of costs, of a machine or of a technology, by name or file.")],
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Every constant of an assumption book, with range, unit, year, kind and source."""
    loaded = terminal.find_book(book)
    if as_json or out:
        emit(loaded.to_frame().to_dict(orient="records"), out)
    else:
        terminal.show_book(console, loaded)


app.command("infer")(infer_command)
app.command("allocate")(allocate_command)
app.command("quality")(quality_command)
app.command("wiring")(wiring_command)
app.command("sensitivity")(sensitivity_command)
app.command("fronts")(fronts_command)
app.command("hardwire")(hardwire_command)
app.command("scan")(scan_command)
app.command("compare-tools")(compare_tools_command)
app.command("uncertainty")(uncertainty_command)
app.command("break-even")(break_even_command)
app.add_typer(audit_app, name="audit")
app.add_typer(study_app, name="study")
app.add_typer(retrieve_app, name="retrieve")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False) -> None:
    """What if we built this chip for this model?"""
    if version:
        typer.echo(f"hwsim {hwsim.__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends in one sentence on standard error and exit status 2."""
    try:
        status = app(args=arguments, standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except UsageError as error:
        _fail(error.format_message())  # type: ignore[attr-defined]
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", status=INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(0)
    else:
        # Some versions of typer return an interrupt's status in place of raising it.
        if status == INTERRUPTED:
            _fail("interrupted", status=INTERRUPTED)
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int = BAD_INPUT) -> None:
    sys.stderr.write(f"hwsim: {message}\n")
    sys.exit(status)
