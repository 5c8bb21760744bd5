"""`hwsim respins`: how often to put a newer model into silicon."""

from typing import Annotated

import typer

from costmodel.conventions import named
from explorer.change.respins import EVERY, respins
from explorer.change.respins_document import respins_document
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
    split_names,
    with_regions,
)
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.pricing.prices import machines_of
from explorer.pricing.rates import RATED
from hwbase import InputError
from hwsim.technology import DEFAULT_TECHNOLOGY


def respins_command(
    model: Model = "gpt-oss-120b",
    fabrics: Annotated[
        str, typer.Option("--fabrics", help="Fabrics with masks of their own, such as metal_embedding,mask_rom.")
    ] = "metal_embedding,mask_rom,cell_embedding",
    every: Annotated[
        str, typer.Option("--every", help="Policies: 0 never, 1 each release, k every k-th, comma-separated.")
    ] = ",".join(map(str, EVERY)),
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Adapters keep a share of the demand that each release draws.")
    ] = False,
    samples: Annotated[
        str, typer.Option("--samples", help="Draws over the ranges of constants, a power of two; 0 for none.")
    ] = "0",
    seed: Annotated[str, typer.Option("--seed", help="Of the draws.")] = "0",
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
    """Re-spins at each release, at some or at none, in dollars and carbon, beside GPUs that take every release."""
    check_file(out)
    machine, others = machines_of(on_machines(on), ("hardwired", *RATED), named(convention))
    if len(others) > 1:
        raise InputError(f"--on {on}: expected one hardwired machine, and one beside it")
    result = respins(
        model,
        fabrics=split_names(fabrics, "--fabrics"),
        every=[need_count("every", each) for each in split_names(every, "--every")],
        adapters=adapters,
        samples=need_count("samples", samples),
        seed=need_count("seed", seed),
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
    deliver(respins_document(result, made_by()), out, as_json)
