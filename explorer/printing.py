"""Tables of a page, printed on a terminal."""

from rich.console import Console
from rich.table import Table as Shown

from explorer.figures.tables import Table


def show_table(console: Console, table: Table) -> None:
    """Print a table of a page: its caption, its columns with their units, its rows."""
    shown = Shown(title=table.caption)
    for column in table.columns:
        head = f"{column.label} {column.unit}".strip()
        shown.add_column(head, justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(str, row))
    console.print(shown)
