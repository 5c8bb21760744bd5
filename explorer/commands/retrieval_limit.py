"""`hwsim retrieve limit`: what so many dimensions or bits can express, and the LIMIT collection."""

from typing import Annotated

import typer

from explorer.commands.arguments import need_count, parse_count
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.retrieval.studies.limit import limit_collection, limit_study, write_collection
from hwbase import InputError


def limit_command(
    documents: Annotated[str, typer.Option("--documents", help="Documents whose top-k sets are all asked for.")] = "16",
    k: Annotated[str, typer.Option("--k", help="Documents of a set.")] = "2",
    dims: Annotated[str, typer.Option("--dims", help="Dimensions to optimise, such as 2,4,8.")] = "2,3,4,6,8,12",
    bits: Annotated[str | None, typer.Option("--bits", help="Warn if codes of so many bits are too few.")] = None,
    collection: Annotated[
        str | None, typer.Option("--write", help="Also write the LIMIT collection to this folder, for retrieve eval.")
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="Of the collection only the 46 asked for (with --write).")
    ] = False,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Which sets of best documents vectors can express, by optimisation and by construction."""
    check_file(out)
    if small and collection is None:
        raise InputError("--small without --write: expected a folder for the collection")
    sizes = [need_count("dims", part) for part in dims.split(",")]
    if collection is not None:
        write_collection(limit_collection(small), collection)
    with progress_bar() as report:
        result = limit_study(
            need_count("documents", documents),
            need_count("k", k),
            dims=sizes,
            bits=parse_count("bits", bits),
            report=report,
        )
    deliver(result.document(made_by()), out, as_json)
