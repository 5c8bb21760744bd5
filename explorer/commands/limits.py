"""`hwsim limits`: how far a machine goes within promises."""

from typing import Annotated

import typer

from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    Machines,
    Model,
    Set,
    Technology,
    Volume,
    Weights,
    on_machines,
    parse_overrides,
)
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.pricing.rates import PAPER_MODEL
from explorer.serving.limits import limits
from hwsim.events.gpu.node import NODE_GPUS
from hwsim.technology import DEFAULT_TECHNOLOGY


def limits_command(
    model: Model = PAPER_MODEL,
    on: Machines = None,
    context: Context = "2048",
    users: Annotated[str, typer.Option("--users", help="Users at once, for the longest context.")] = "1",
    latency: Annotated[
        str | None, typer.Option("--latency", help="Most time between two tokens of a user, such as '40 ms'.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--first", help="Most time to the first token of a prompt as long as the context.")
    ] = None,
    dollars: Annotated[str | None, typer.Option("--dollars", help="Most dollars per million tokens.")] = None,
    gpus: Annotated[str, typer.Option("--gpus", help="Bought devices that share the model.")] = str(NODE_GPUS),
    volume: Volume = "50",
    convention: Convention = "corrected",
    technology: Technology = DEFAULT_TECHNOLOGY,
    weights: Weights = "fp4",
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """The longest context, most users and best rate of a machine within promises of latency, dollars and memory."""
    check_file(out)
    result = limits(
        model,
        on=on_machines(on),
        context=context,
        users=users,
        latency_s=latency,
        time_to_first_token_s=first,
        usd_per_million_tokens=dollars,
        gpus=gpus,
        volume=volume,
        convention=convention,
        technology=technology,
        weights=weights,
        book=book,
        set=parse_overrides(settings),
    )
    deliver(result.document(made_by()), out, as_json)
