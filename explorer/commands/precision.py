"""The commands `hwsim sensitivity` and `hwsim fronts`."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from explorer.commands.arguments import need_count
from explorer.commands.output import RUN, AsJson, OutFile, check_file, check_out, deliver, emit, made_by, write_out
from explorer.commands.progress import progress_bar
from explorer.documents.terminal import show
from explorer.precision.compensated import COMPENSATED
from explorer.precision.document import STUDY_FILES, sensitivity_document, study_document, study_files, summary
from explorer.precision.models import MAKERS, maker
from explorer.precision.networks import Layer, grouped
from explorer.precision.published import PUBLISHED_FILES, SDXL, published_document, published_files, published_fronts
from explorer.precision.sensitivity import WHAT, sensitivity
from explorer.precision.study import front_study, held_out_amount
from explorer.writing import FILES
from hwbase import InputError
from models.quantise import METHODS, SHARINGS

WeightsFile = Annotated[
    str | None, typer.Option("--weights-file", help="A network file of your own: GGUF (Llama family), or ONNX.")
]


def sensitivity_command(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join(MAKERS)}.")],
    bits: Annotated[str, typer.Option("--bits", help="Widths, such as 2,4,8.")] = "2,4,8",
    what: Annotated[str, typer.Option("--what", help=f"One of {', '.join(WHAT)}.")] = "weights",
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="A loss, or one for each group: attention=recall,feed-forward=kl.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Layers of a group by name: content=*ffn*,*attn2*. Repeat it.")
    ] = None,
    per: Annotated[str, typer.Option("--per", help=f"Weights that share a range: {', '.join(SHARINGS)}.")] = "channel",
    block: Annotated[str | None, typer.Option("--block", help="Length of a group with --per group.")] = None,
    ranges: Annotated[
        str, typer.Option("--ranges", help=f"Of weights: {', '.join((*METHODS, *COMPENSATED))}.")
    ] = "min-max",
    asymmetric: Annotated[bool, typer.Option("--asymmetric", help="Weights with a zero point.")] = False,
    fused: Annotated[
        bool, typer.Option("--fused", help="Mark layers that read one input (column tie), for one choice of bits.")
    ] = False,
    weights_file: WeightsFile = None,
    cache: Annotated[str | None, typer.Option("--cache", help="A folder that keeps what is measured.")] = None,
    jobs: Annotated[str, typer.Option("--jobs", help="Processes that measure.")] = "1",
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """The loss of rounding each layer of a real network alone, measured; `hwsim allocate` reads the CSV."""
    widths = tuple(need_count("bits", text) for text in bits.split(","))
    check_file(out)
    rounding = {"per": per, "method": ranges, "symmetric": not asymmetric}
    if block is not None:
        rounding["block"] = need_count("block", block)
    rule = _assignments("--group", group)
    with printed_warnings(), progress_bar() as report:
        result = sensitivity(
            maker(model, path=weights_file, rounding=rounding),
            bits=widths,
            what=what,
            metrics=_metrics(metrics),
            regroup=partial(_regrouped, rule=rule) if rule else None,
            fused=fused,
            cache=cache,
            jobs=need_count("jobs", jobs),
            report=report,
        )
    deliver(sensitivity_document(result, made_by()), out, as_json)


def fronts_command(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join([*MAKERS, SDXL])}.")],
    out: Annotated[str, typer.Option("--out", help=RUN)],
    held_out: Annotated[
        str | None, typer.Option("--held-out", help="Windows or images that allocations are judged by.")
    ] = None,
    weights_file: WeightsFile = None,
    cache: Annotated[str | None, typer.Option("--cache", help="A folder that keeps what is measured.")] = None,
    jobs: Annotated[str, typer.Option("--jobs", help="Processes that measure sensitivities.")] = "1",
    as_json: AsJson = False,
) -> None:
    """Spend budgets of bits on a real network by several schemes, and measure each allocation on held-out inputs.

    Takes an hour or more on one core; with --cache an interrupted run continues. sdxl-turbo is not run:
    its fronts are predicted from published sensitivities.
    """
    if model == SDXL:
        check_out(out, (*FILES, *PUBLISHED_FILES))
        _published(out, as_json)
        return
    check_out(out, (*FILES, *STUDY_FILES))
    with printed_warnings(), progress_bar() as report:
        result = front_study(
            model,
            held_out=held_out_amount(model, None if held_out is None else need_count("held-out", held_out)),
            cache=cache,
            jobs=need_count("jobs", jobs),
            command=made_by(),
            report=report,
            path=weights_file,
        )
    document = study_document(result)
    write_out(out, document, lambda: study_files(result, document))
    if as_json:
        emit(summary(result), "fronts")
        return
    console = Console()
    show(console, document)
    console.print(f"\nwrote {out}", highlight=False, soft_wrap=True)


def _published(out: str, as_json: bool) -> None:
    result = published_fronts(command=made_by())
    document = published_document(result)
    write_out(out, document, lambda: published_files(result, document))
    if as_json:
        emit(result, "fronts-published")
        return
    console = Console()
    show(console, document)
    console.print(f"\nwrote {out}", highlight=False, soft_wrap=True)


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print each warning as one line on standard error, without the source line that a user does not need."""
    console = Console(stderr=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: console.print(
            f"hwsim: {message}", highlight=False, soft_wrap=True, markup=False
        )
        yield


def _regrouped(layers: Sequence[Layer], rule: Mapping[str, Sequence[str]]) -> tuple[Layer, ...]:
    return grouped(layers, rule)


def _metrics(text: str | None) -> list[str] | dict[str, str] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not any("=" in part for part in parts):
        return parts
    pairs = [part.partition("=") for part in parts]
    if not all(group and metric for group, _, metric in pairs):
        raise InputError(f"--metrics {text!r}: expected a loss, or GROUP=LOSS for each group")
    return {group: metric for group, _, metric in pairs}


def _assignments(option: str, texts: Sequence[str] | None) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for text in texts or ():
        name, _, patterns = text.partition("=")
        several = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
        if not name.strip() or not several:
            raise InputError(f"{option} {text!r}: expected NAME=PATTERN,PATTERN")
        rows.setdefault(name.strip(), []).extend(several)
    return rows
