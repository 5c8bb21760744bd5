"""The typer side of the command line: groups whose commands are imported when they run."""

import gc
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from explorer.commands.applies import check_applies, restrictions
from explorer.commands.contents import ABOUT, COMMANDS, GROUPS, Entry
from hwbase import InputError

#: The base error of a wrong command line, in whichever module this version of typer has it.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]
INTERRUPTED = 130


class CheckedCommand(TyperCommand):
    """A command that refuses options that do not apply to its machine or mode, and whose help states when they apply.

    `path` is set once: the name of the command in the table of `explorer.commands.applies`.
    """

    path: str = ""

    def restrict(self, path: str) -> "CheckedCommand":
        """Return the command, with its place in the table and its conditions in the help of its options."""
        self.path = path
        for parameter in self.params:
            conditions = " and ".join(restrictions(path, str(parameter.name)))
            if conditions and hasattr(parameter, "help"):
                parameter.help = f"{parameter.help or ''} Only {conditions}.".strip()
        return self

    def invoke(self, ctx: Any) -> Any:
        """Check the options against each other, then run."""
        typed = [p for p in self.params if getattr(ctx.get_parameter_source(p.name), "name", "") == "COMMANDLINE"]
        check_applies(self.path, {str(p.name): _spelled(p, ctx.params[p.name]) for p in typed}, ctx.params)
        return super().invoke(ctx)


def _spelled(parameter: Any, value: Any) -> str:
    """Return an option as it was typed: --window, or --no-window."""
    names = parameter.secondary_opts if value is False and parameter.secondary_opts else parameter.opts
    return str(names[0])


class LazyCommand(TyperCommand):
    """A command in a group's list, whose function is loaded when its arguments are parsed."""

    def __init__(self, entry: Entry, panel: str | None = None, group: str = "") -> None:
        super().__init__(entry.name, help=entry.help, rich_help_panel=panel)
        self.target = entry.target
        self.path = f"{group} {entry.name}".strip()
        self.loaded: Any = None

    def load(self) -> Any:
        """Return the command: the annotations of its function are the options, its docstring is the help."""
        if self.loaded is not None:
            return self.loaded
        module, _, function = self.target.partition(":")
        # Modules are no garbage: the collector need not look for any among them, now or later.
        gc.disable()
        command_function = getattr(import_module(f"explorer.commands.{module}"), function)
        gc.enable()
        gc.freeze()
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        app.command(self.name, cls=CheckedCommand)(command_function)
        command: Any = typer.main.get_command(app)
        self.loaded = command.restrict(self.path)
        return self.loaded

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse `args` as the loaded command does."""
        return self.load().make_context(info_name, args, parent=parent, **extra)


@cache
def command_line() -> Any:
    """Return the whole command line with its groups, built from tables only."""
    app = typer.Typer(name="hwsim", no_args_is_help=True, rich_markup_mode="rich")
    app.callback(invoke_without_command=True, help=ABOUT)(_root)
    root: Any = typer.main.get_command(app)
    for panel, entries in COMMANDS.items():
        for entry in entries:
            root.add_command(LazyCommand(entry, panel) if entry.target else _group(entry, panel))
    return root


def _group(entry: Entry, panel: str) -> TyperGroup:
    return TyperGroup(
        name=entry.name,
        help=entry.help,
        commands={inner.name: LazyCommand(inner, group=entry.name) for inner in GROUPS[entry.name]},
        rich_help_panel=panel,
        rich_markup_mode="rich",
        no_args_is_help=True,
    )


def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Options before a command; `explorer.commands.app` answers them where they come first."""


def run(arguments: list[str]) -> int:
    """Run a command and return its exit status. Raises `InputError` for a wrong command line.

    Raises `KeyboardInterrupt` if the user interrupts it.
    """
    try:
        status = command_line().main(args=arguments, prog_name="hwsim", standalone_mode=False)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            # A group without a command: its help is printed.
            return 0
        raise InputError(error.format_message()) from None  # type: ignore[attr-defined]
    except typer.Abort:
        raise KeyboardInterrupt from None
    # Some versions of typer return an interrupt's status in place of raising it.
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0
