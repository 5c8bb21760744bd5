"""`hwsim adapt`: adapters, drafts, cascades and GPUs for prompts beside a hardwired model."""

from typing import Annotated

import typer

from costmodel.conventions import named
from explorer.change.adapt import adapt
from explorer.change.adapt_document import adapt_document
from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    FabRegion,
    Machines,
    Model,
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
from explorer.pricing.prices import machines_of
from explorer.pricing.rates import RATED
from hwbase import InputError
from hwsim.technology import DEFAULT_TECHNOLOGY


def adapt_command(
    model: Model = "gpt-oss-120b",
    small: Annotated[
        str | None,
        typer.Option("--small", help="A smaller model of the same vocabulary, to draft and to answer first."),
    ] = None,
    adapter_memory: Annotated[str, typer.Option("--adapter-memory", help="Where adapters lie: sram or hbm.")] = "sram",
    prompt_tokens: Annotated[
        str, typer.Option("--prompt-tokens", help="Tokens of a prompt, of the service with prompts on GPUs.")
    ] = "1024",
    output_tokens: Annotated[
        str, typer.Option("--output-tokens", help="Tokens of an answer, of the service with prompts on GPUs.")
    ] = "1024",
    volume: Volume = "50",
    on: Machines = None,
    convention: Convention = "corrected",
    context: Context = "2048",
    technology: Technology = DEFAULT_TECHNOLOGY,
    weights: Weights = "fp4",
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Adapters, a draft, a cascade, and GPUs that read prompts: speed, energy, silicon, dollars and carbon."""
    check_file(out)
    machine, others = machines_of(on_machines(on), ("hardwired", *RATED), named(convention))
    if len(others) > 1:
        raise InputError(f"--on {on}: expected one hardwired machine, and one beside it")
    result = adapt(
        model,
        small=small,
        adapter_memory=adapter_memory,
        prompt_tokens=need_count("prompt_tokens", prompt_tokens),
        output_tokens=need_count("output_tokens", output_tokens),
        volume=need_count("volume", volume),
        convention=convention,
        context=need_count("context", context),
        on=machine,
        beside=others[0],
        technology=technology,
        weights=weights,
        book=book,
        set=with_regions(parse_overrides(settings), region, fab_region),
    )
    deliver(adapt_document(result, made_by()), out, as_json)
