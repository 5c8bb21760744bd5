"""`hwsim models`: the networks that are known by name, or the figures of one."""

from typing import Annotated

import typer
from rich.console import Console

import models
from explorer.commands import terminal
from explorer.commands.output import AsJson, Out, emit

OneModel = Annotated[
    str | None, typer.Argument(help="One of them, a TOML spec, a Hugging Face config.json, or a checkpoint's index.")
]


def models_command(model: OneModel = None, as_json: AsJson = False, out: Out = None) -> None:
    """The models that are known by name, with their parameter counts; or all that is known of one."""
    if model is not None:
        summary = models.summarise(models.load(model))
        if as_json or out:
            emit(summary, "model", out)
        else:
            terminal.show_model(Console(), summary)
        return
    frame = models.zoo_frame()
    if as_json or out:
        emit(frame.to_dict(orient="records"), "models", out)
    else:
        terminal.show_models(Console(), frame)
