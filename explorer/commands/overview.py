"""`hwsim --help`: the table of commands, printed without importing any of them."""

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from explorer.commands.contents import ABOUT, COMMANDS, OPTIONS


def show_overview() -> None:
    """Print the options of `hwsim` and its commands under their headings."""
    console = Console(highlight=False, markup=False)
    console.print(f"\n Usage: hwsim [OPTIONS] COMMAND [ARGS]...\n\n {ABOUT}\n")
    panels = {"Options": OPTIONS, **{name: {e.name: e.help for e in group} for name, group in COMMANDS.items()}}
    widest = max(len(name) for lines in panels.values() for name in lines)
    for title, lines in panels.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=widest, style="bold cyan", no_wrap=True)
        table.add_column()
        for name, text in lines.items():
            table.add_row(name, text)
        console.print(Panel(table, title=title, title_align="left", border_style="dim"))
