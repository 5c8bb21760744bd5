"""`hwsim layers`: how many metal layers should carry the weights."""

from typing import Annotated

import typer

from explorer.commands.arguments import Model, ProcessBook, Set, Technology, need_count, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.wiring.layers import LAYERS, VOLUMES, study_layers
from explorer.wiring.routing import PAPER_UTILISATION
from hwbase.values import read_value
from hwsim.technology import DEFAULT_TECHNOLOGY


def layers_command(
    model: Model = "gpt-oss-120b",
    layers: Annotated[str, typer.Option("--layers", help="Numbers of metal layers, comma-separated.")] = ",".join(
        map(str, LAYERS)
    ),
    pitch: Annotated[
        str | None, typer.Option("--pitch", help="Pitch of their tracks, such as 40nm; default: the technology's.")
    ] = None,
    volumes: Annotated[str, typer.Option("--volumes", help="Systems built, comma-separated.")] = ",".join(
        map(str, VOLUMES)
    ),
    utilisation: Annotated[
        str, typer.Option("--utilisation", help="Share of the tracks that can be routed.")
    ] = f"{PAPER_UTILISATION:g}",
    technology: Technology = DEFAULT_TECHNOLOGY,
    settings: Set = None,
    book: ProcessBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Metal layers that carry the weights: slack and area against masks, in dollars by volume and re-spins."""
    check_file(out)
    with progress_bar() as report:
        study = study_layers(
            model,
            layers=[need_count("layers", part) for part in layers.split(",")],
            pitch_nm=None if pitch is None else read_value("pitch_nm", pitch, "nm"),
            volumes=[need_count("volumes", part) for part in volumes.split(",")],
            most_utilisation=read_value("utilisation", utilisation, "1"),
            technology=book or technology,
            set=parse_overrides(settings),
            report=report,
        )
    deliver(study.document(made_by()), out, as_json)
