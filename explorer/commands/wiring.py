"""The command `hwsim wiring`: a real model's weights as wires, on the terminal, as JSON and as a page."""

import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console

from explorer.commands.arguments import need_count
from explorer.commands.output import AsJson, Out, emit
from explorer.commands.progress import progress_bar
from explorer.commands.terminal import show_frame
from explorer.documents.numbers import percent, plain
from explorer.wiring.faults import DEFAULT_TOKENS, SEEDS
from explorer.wiring.figures import kind_name, silicon_name
from explorer.wiring.page import write_wiring_page
from explorer.wiring.study import WiringStudy, wiring_study
from hwbase import InputError
from hwsim.technology import DEFAULT_TECHNOLOGY
from models.inference import DEFAULT_MODEL


def wiring_command(
    model: Annotated[str, typer.Argument(help="A model whose weights a package brings, or a name for yours.")] = (
        DEFAULT_MODEL
    ),
    weights_file: Annotated[
        str | None, typer.Option("--weights-file", help="A GGUF file of your own (Llama family).")
    ] = None,
    technology: Annotated[
        str, typer.Option("--technology", help="Technology book, such as n5-synthesised.")
    ] = DEFAULT_TECHNOLOGY,
    faults: Annotated[bool, typer.Option("--faults", help="Also perplexity under faults (minutes).")] = False,
    tokens: Annotated[str, typer.Option("--tokens", help="Tokens scored under faults.")] = str(DEFAULT_TOKENS),
    seeds: Annotated[str, typer.Option("--seeds", help="Draws of faults at each rate.")] = str(len(SEEDS)),
    page: Annotated[str | None, typer.Option("--page", help="Write the study as a page (HTML) to this file.")] = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Real weights as wires: slack, tracks, block scales, and what broken wires do to the model and to yield."""
    for path in (page, out):
        # Said now, not after minutes of work.
        if path is not None and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
            raise InputError(f"cannot write {path!r}: expected a file in a folder that exists")
    size, draws = need_count("tokens", tokens), need_count("seeds", seeds)
    with progress_bar() as report:
        study = wiring_study(
            model,
            weights_file=weights_file,
            technology=technology,
            faults=faults,
            tokens=size,
            draws=draws,
            command=" ".join(["hwsim", *sys.argv[1:]]),
            report=report,
        )
    if page is not None:
        write_wiring_page(study, page)
    if as_json or out:
        emit(study, out)
        return
    console = Console()
    show_wiring(console, study)
    if page is not None:
        console.print(f"\nwrote {page}", highlight=False, soft_wrap=True)


def show_wiring(console: Console, study: WiringStudy) -> None:
    """Print a study: slack and tracks as tables, faults where they were measured, and what follows."""
    slack = study.slack[study.slack["fit_share"] == 1.0]
    view = slack.assign(silicon=slack["slice_ports"].map(silicon_name), slack=slack["slack"].map(percent))
    view = view.assign(area=slack["area_ratio"].map(lambda ratio: f"+{percent(ratio - 1.0)}"))
    show_frame(console, "Spare ports so that all neurons fit", view[["neurons", "inputs", "silicon", "slack", "area"]])
    rows = [
        (silicon_name(s.slice_ports), percent(s.low), percent(s.nominal), percent(s.high), plain(s.cluster_inputs))
        for s in study.measured
    ]
    names = ["silicon", "99.9 % fit", "all fit", "all fit, routed", "in clusters of"]
    title = f"Slack of neurons of {study.stand_in_inputs:,} inputs ({study.technology})"
    show_frame(console, title, pd.DataFrame(rows, columns=names))
    nominal = study.routing[study.routing["slice_ports"] == study.nominal.slice_ports]
    tracks = pd.DataFrame(
        {
            "inputs": nominal["inputs"],
            "slack": nominal["slack"].map(percent),
            "um2 per weight": nominal["area_um2_per_weight"],
            "tracks taken": nominal["utilisation"].map(lambda share: percent(share, 0)),
            "wires per mm2 and layer": nominal["wires_per_mm2_per_layer"],
        }
    )
    show_frame(console, f"Wires of clusters, {silicon_name(study.nominal.slice_ports)}", tracks)
    if study.faults is not None:
        borne = study.faults.tolerance
        shown = borne[["tolerable_rate", "tolerable_faults", "d0_tolerable_per_cm2", "expected_faults"]]
        shown = shown.rename(
            columns=lambda name: name.replace("_", " ").replace("d0", "defects").replace("per cm2", "/cm2")
        )
        shown.insert(0, "kind", borne["kind"].map(kind_name))
        show_frame(console, "Faults that a chip bears", shown)
    for line in study.findings:
        console.print(line, highlight=False)
