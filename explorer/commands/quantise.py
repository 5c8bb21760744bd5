"""The command `hwsim quantise`: weights rounded so that a network keeps its quality, in a folder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from explorer.commands.arguments import need_count
from explorer.commands.output import AsJson, emit
from explorer.commands.progress import progress_bar
from explorer.inference.text import CALIBRATION_LENGTH, CALIBRATION_WINDOWS, read_text
from explorer.quantise import quantise
from hwbase.numbers import plain, si
from models.inference import DEFAULT_MODEL
from models.quantise import COMPENSATIONS


def quantise_command(
    out: Annotated[str, typer.Option("--out", help="A folder, which keeps what is done when a run is interrupted.")],
    model: Annotated[str, typer.Argument(help="A model whose weights a package brings, or a path to yours.")] = (
        DEFAULT_MODEL
    ),
    weights: Annotated[str, typer.Option("--weights", help="mxfp4, nvfp4, int4, int4-g32, int3-g32, uint4-g64 ...")] = (
        "mxfp4"
    ),
    method: Annotated[str, typer.Option("--method", help=f"One of {', '.join(COMPENSATIONS)}.")] = "rotation+gptq",
    seed: Annotated[str, typer.Option("--seed", help="Of rotations and calibration windows.")] = "0",
    windows: Annotated[str, typer.Option("--windows", help="Windows of calibration text.")] = str(CALIBRATION_WINDOWS),
    length: Annotated[str, typer.Option("--length", help="Tokens of a window.")] = str(CALIBRATION_LENGTH),
    text: Annotated[str | None, typer.Option("--text", help="A UTF-8 calibration text of your own.")] = None,
    weights_file: Annotated[
        str | None,
        typer.Option("--weights-file", help="A GGUF file of your own, or a folder of safetensors with a config.json."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Round the weights of a real language model to a format, compensated on calibration text; nothing is trained."""
    content = None if text is None else read_text(text)
    with progress_bar() as report:
        result = quantise(
            model,
            weights,
            method,
            out=out,
            seed=need_count("seed", seed),
            windows=need_count("windows", windows),
            length=need_count("length", length),
            text=content,
            source=Path(text or "").name,
            path=weights_file,
            report=report,
        )
    if as_json:
        emit(result, "quantise")
        return
    error = (
        ""
        if result.loss_ratio != result.loss_ratio
        else (f"; error of the layers' outputs {plain(result.loss_ratio)} times that of searched rounding")
    )
    Console().print(
        f"wrote {plain(result.matrices)} matrices in {result.format} "
        f"({plain(result.bits_per_weight)} bits a weight) by {result.method} to {out} "
        f"in {si(result.seconds, unit='s')}{error}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
