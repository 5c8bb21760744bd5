"""`hwsim compare-serving`: a trace on one hardwired machine and on the GPU fleet that meets the same target."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

import hwsim
from costmodel.conventions import named
from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    FabRegion,
    Machines,
    Model,
    OutputTokens,
    PromptTokens,
    Region,
    Set,
    Technology,
    Volume,
    Weights,
    need_count,
    on_machines,
    parse_count,
    parse_overrides,
    with_regions,
)
from explorer.commands.output import (
    AsJson,
    OutRun,
    check_file,
    check_kept,
    check_out,
    deliver,
    emit,
    made_by,
    write_out,
)
from explorer.commands.progress import progress_bar
from explorer.documents import terminal
from explorer.pricing.prices import machines_of
from explorer.serving.comparison import CHAT, GPUS_TOGETHER, VOLUMES, serve_comparison
from explorer.serving.comparison_document import comparison_document, comparison_files, json_data
from explorer.serving.interactivity import POINTS, interactivity
from explorer.serving.traffic import LONGEST
from hwbase import Book, InputError
from hwbase.books import refuse_unread
from hwbase.errors import shown
from hwbase.values import read_value
from hwsim.events.fleet import Target
from hwsim.events.serve import SERVERS
from hwsim.events.traffic import poisson, read_trace
from hwsim.technology import DEFAULT_TECHNOLOGY


def compare_serving_command(
    model: Model = "gpt-oss-120b",
    traffic: Annotated[
        str | None, typer.Option("--traffic", help="CSV of arrival, prompt and output tokens, a line a request.")
    ] = None,
    speeds: Annotated[
        str | None,
        typer.Option("--interactivity", help="In place of traffic: tokens/s that a user is promised, LOW:HIGH."),
    ] = None,
    context: Context = "2048",
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = "0",
    limit: Annotated[str | None, typer.Option("--limit", help="Only the file's first requests.")] = None,
    load: Annotated[
        list[float] | None,
        typer.Option("--load", help="Also with the trace made so dense that the machine is busy for this share."),
    ] = None,
    percentile: Annotated[
        float, typer.Option("--percentile", help="Share of requests that must meet the limits, in %.")
    ] = CHAT.percentile,
    first_s: Annotated[
        float, typer.Option("--first", help="Seconds to the first token, at most.")
    ] = CHAT.time_to_first_token_s,
    between_s: Annotated[
        float, typer.Option("--between", help="Seconds between output tokens, at most.")
    ] = CHAT.time_per_output_token_s,
    gpus: Annotated[str, typer.Option("--gpus", help="GPUs that may share the model, comma-separated.")] = ",".join(
        map(str, GPUS_TOGETHER)
    ),
    built: Annotated[
        str, typer.Option("--built", help="Systems over which masks and design are spread, comma-separated.")
    ] = ",".join(map(str, VOLUMES)),
    on: Machines = None,
    volume: Volume = "50",
    technology: Technology = DEFAULT_TECHNOLOGY,
    weights: Weights = "fp4",
    convention: Convention = "corrected",
    gpu_settings: Annotated[
        list[str] | None, typer.Option("--gpu-set", help="Override a constant of the GPU: key=value.")
    ] = None,
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutRun = None,
) -> None:
    """Percentiles, fleets, dollars and carbon of a trace, or of promises, on a hardwired machine and on GPUs."""
    if speeds is not None:
        if traffic is not None:
            raise InputError("--traffic and --interactivity: expected one of them")
        check_file(out)
        fronts = interactivity(
            model,
            on=on_machines(on),
            speeds=_range(speeds),
            context=context,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            volume=need_count("volume", volume),
            technology=technology,
            weights=weights,
            convention=convention,
            book=book,
            set=with_regions(parse_overrides(settings), region, fab_region),
        )
        deliver(fronts.document(made_by()), out, as_json)
        return
    if traffic is None:
        raise InputError("--traffic is missing: expected a file of requests, or --interactivity LOW:HIGH")
    check_kept(out, traffic)
    check_out(out)
    target = Target(percentile, first_s, between_s)
    sent = read_trace(traffic, longest=LONGEST)
    sent = sent if limit is None else sent.first(parse_count("limit", limit) or 0)
    for_gpus, together = parse_overrides(gpu_settings, "--gpu-set"), _counts("gpus", gpus)
    if for_gpus:
        _, beside = machines_of(on_machines(on), SERVERS, named(convention))
        refuse_unread(for_gpus, *(_read(model, gpu, together, for_gpus) for gpu in beside))
    with progress_bar() as report:
        result = serve_comparison(
            sent,
            model,
            on=on_machines(on),
            target=target,
            loads=(None, *(load or ())),
            gpus_together=together,
            volumes=_counts("built", built),
            convention=convention,
            gpu_set=for_gpus,
            book=book,
            set=with_regions(parse_overrides(settings), region, fab_region),
            report=report,
        )
    document = comparison_document(result, made_by())
    if out is not None:
        write_out(out, document, lambda: comparison_files(result, document))
    if as_json:
        emit(json_data(result), "compare-serving")
        return
    terminal.show(Console(), document, out)


def _read(model: str, gpu: Book, together: list[int], constants: dict[str, Any]) -> Mapping[str, Any]:
    """Return the constants that one request reads on as few GPUs as serve it. Raises the last `InputError`."""
    one = poisson(1.0, 1, prompt=1, output=2)
    *fewer, most = sorted(together)
    for each in fewer:
        try:
            return hwsim.serve(model, one, gpu, gpus=each, set=constants).assumptions
        except InputError:
            continue
    return hwsim.serve(model, one, gpu, gpus=most, set=constants).assumptions


def _range(text: str) -> np.ndarray:
    """Return speeds from "LOW:HIGH", in even ratios."""
    low, colon, high = text.partition(":")
    ends = [read_value("--interactivity", end.strip(), "token/s") for end in (low, high)] if colon else []
    if not colon or not 0 < ends[0] < ends[1]:
        raise InputError(f"--interactivity {shown(text)}: expected LOW:HIGH in tokens/s, such as 10:500")
    return np.geomspace(ends[0], ends[1], POINTS)


def _counts(name: str, text: str) -> list[int]:
    parts = [parse_count(name, part) for part in text.split(",")]
    if not parts or None in parts:
        raise InputError(f"--{name} {text!r}: expected whole numbers such as 1,2,4")
    return [part for part in parts if part is not None]
