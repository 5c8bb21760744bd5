"""`hwsim machines`: the machines that models can run on."""

from rich.console import Console

import hwsim
from explorer.commands.output import AsJson, Out, emit
from explorer.commands.terminal import show_machines


def machines_command(as_json: AsJson = False, out: Out = None) -> None:
    """The machines that are known by name, with their key figures; a book (TOML) of your own works as well."""
    frame = hwsim.machines()
    if as_json or out:
        emit(frame.to_dict(orient="records"), "machines", out)
    else:
        show_machines(Console(), frame)
