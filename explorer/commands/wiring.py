"""The command `hwsim wiring`: a real model's weights as wires, on the terminal, as JSON and as a page."""

from typing import Annotated

import typer

from explorer.commands.arguments import ProcessBook, Set, Technology, need_count, read_process
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.wiring.faults import DEFAULT_TOKENS, SEEDS
from explorer.wiring.study import wiring_study
from hwsim.technology import DEFAULT_TECHNOLOGY
from models.inference import DEFAULT_MODEL


def wiring_command(
    model: Annotated[str, typer.Argument(help="A model whose weights a package brings, or a name for yours.")] = (
        DEFAULT_MODEL
    ),
    weights_file: Annotated[
        str | None, typer.Option("--weights-file", help="A GGUF file of your own (Llama family).")
    ] = None,
    technology: Technology = DEFAULT_TECHNOLOGY,
    settings: Set = None,
    book: ProcessBook = None,
    faults: Annotated[bool, typer.Option("--faults", help="Also perplexity under faults (minutes).")] = False,
    tokens: Annotated[str, typer.Option("--tokens", help="Tokens scored under faults.")] = str(DEFAULT_TOKENS),
    seeds: Annotated[str, typer.Option("--seeds", help="Draws of faults at each rate.")] = str(len(SEEDS)),
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Real weights as wires: slack, tracks, block scales, and what broken wires do to the model and to yield."""
    check_file(out)
    size, draws = need_count("tokens", tokens), need_count("seeds", seeds)
    with progress_bar() as report:
        study = wiring_study(
            model,
            weights_file=weights_file,
            technology=read_process(technology, book, settings),
            faults=faults,
            tokens=size,
            draws=draws,
            command=made_by(),
            report=report,
        )
    deliver(study.document(), out, as_json)
