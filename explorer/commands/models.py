"""`hwsim models`: the networks that are known by name."""

from rich.console import Console

import models
from explorer.commands import terminal
from explorer.commands.output import AsJson, Out, emit


def models_command(as_json: AsJson = False, out: Out = None) -> None:
    """The models that are known by name, with their parameter counts."""
    frame = models.zoo_frame()
    if as_json or out:
        emit(frame.to_dict(orient="records"), out)
    else:
        terminal.show_models(Console(), frame)
