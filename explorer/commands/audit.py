"""`hwsim audit`: the circuit models against synthesis, and against the switching of a real model."""

from typing import Annotated

import typer

from explorer.audit.document import layout_document, neuron_document, switching_document, timing_document
from explorer.audit.layout import audit_layout
from explorer.audit.neuron import audit_neuron
from explorer.audit.switching import DEFAULT_TOKENS, DEFAULT_VECTORS, switching
from explorer.audit.timing import SIZES, audit_timing, waveform
from explorer.commands.arguments import ProcessBook, Set, Technology, need_count, read_process
from explorer.commands.inference import WeightsFile
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.inference.text import read_text
from explorer.writing import write_text
from hwbase.values import read_value
from hwsim import rtl


def neuron_command(
    inputs: Annotated[str, typer.Option("--inputs", help="Sizes of the neuron, comma-separated.")] = "64,256,1024",
    slack: Annotated[float, typer.Option("--slack", help="Spare share of POPCNT ports.")] = 0.0,
    technology: Technology = "n5",
    settings: Set = None,
    book: ProcessBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Simulate and synthesise a hardwired neuron beside the circuit model and the paper (needs yosys, iverilog)."""
    check_file(out)
    sizes = [need_count("inputs", part) for part in inputs.split(",")]
    process = read_process(technology, book, settings)
    with progress_bar() as report:
        result = audit_neuron(sizes, slack=slack, technology=process, report=report)
    deliver(neuron_document(result, made_by()), out, as_json)


def activity_command(
    tokens: Annotated[str, typer.Option("--tokens", help="Tokens of the text that are read.")] = str(DEFAULT_TOKENS),
    vectors: Annotated[str, typer.Option("--vectors", help="The last so many tokens are counted.")] = str(
        DEFAULT_VECTORS
    ),
    text: Annotated[str | None, typer.Option("--text", help="A UTF-8 text of your own.")] = None,
    gates: Annotated[
        bool | None, typer.Option("--gates/--no-gates", help="Simulate neurons cell by cell (default: if possible).")
    ] = None,
    weights_file: WeightsFile = None,
    technology: Technology = "n5",
    settings: Set = None,
    book: ProcessBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """How often the wires and cells of hardwired neurons switch on a real model's data, and the energy of it."""
    check_file(out)
    content = None if text is None else read_text(text)
    with progress_bar() as report:
        result = switching(
            tokens=need_count("tokens", tokens),
            vectors=need_count("vectors", vectors),
            path=weights_file,
            text=content,
            technology=read_process(technology, book, settings),
            gates=gates,
            report=report,
        )
    deliver(switching_document(result, made_by()), out, as_json)


def timing_command(
    inputs: Annotated[str, typer.Option("--inputs", help="Sizes of the neuron, comma-separated.")] = ",".join(
        map(str, SIZES)
    ),
    stages: Annotated[str, typer.Option("--stages", help="Further numbers of stages, comma-separated.")] = "",
    clock: Annotated[str, typer.Option("--clock", help="The clock to reach, such as 1.2GHz.")] = "1 GHz",
    liberty: Annotated[
        str | None, typer.Option("--liberty", help="A folder of Liberty files; its full adder sets the delay.")
    ] = None,
    vcd: Annotated[
        str | None,
        typer.Option("--vcd", help="Also write a waveform of the first ME neuron, in its most stages, for GTKWave."),
    ] = None,
    technology: Technology = "n5",
    settings: Set = None,
    book: ProcessBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Fastest clock of a neuron by its pipeline stages, and the registers that a clock costs."""
    check_file(out)
    if vcd is not None:
        rtl.find_tool("iverilog")
    sizes = [need_count("inputs", part) for part in inputs.split(",")]
    process = read_process(technology, book, settings)
    with progress_bar() as report:
        result = audit_timing(
            sizes,
            stages=[need_count("stages", part) for part in stages.split(",") if part.strip()],
            target_hz=read_value("clock", clock, "Hz"),
            technology=process,
            liberty=liberty,
            report=report,
        )
    if vcd is not None:
        deepest = max(row.stages for row in result.rows if (row.circuit, row.inputs) == ("ME", sizes[0]))
        write_text(waveform(sizes[0], deepest, technology=process), vcd)
    deliver(timing_document(result, made_by()), out, as_json)


def layout_command(
    inputs: Annotated[str, typer.Option("--inputs", help="Sizes of the neuron, comma-separated.")] = "64,256",
    circuits: Annotated[str, typer.Option("--circuits", help="ME, CE or both.")] = "ME,CE",
    library: Annotated[str, typer.Option("--library", help="Cells that qflow brings.")] = rtl.DEFAULT_LIBRARY,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Place and route neurons with qflow: area, wire per weight, and the checks of the layout (minutes)."""
    check_file(out)
    with progress_bar() as report:
        result = audit_layout(
            [need_count("inputs", part) for part in inputs.split(",")],
            circuits=[part.strip() for part in circuits.split(",")],
            library=library,
            report=report,
        )
    deliver(layout_document(result, made_by()), out, as_json)
