"""Documents in a terminal: the short sections, with tables in which colour is never the only cue."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from explorer.documents.document import (
    Aside,
    Beside,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Folded,
    Heading,
    Methods,
    Note,
    Part,
    Searched,
)
from explorer.documents.tables import Flag, Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Words of the first column stay whole up to this width.
_WIDEST_WORD = 32
#: Width of the first column of a table of many columns, if needed.
_HEAD_WIDTH = 20
#: Columns of a screen that any table fits.
_UNBOUNDED = 10_000
_STYLES = {"good": "green", "bad": "bold red", "warn": "magenta", "quiet": "dim"}


def show(console: "Console", document: Document) -> None:
    """Print the short sections of a document, and the titles of the others."""
    from rich.text import Text

    console.print(Text(document.title, style="bold"), soft_wrap=True)
    if document.lead:
        _paragraph(console, document.lead)
    for section in document.sections:
        if section.short:
            console.print()
            show_parts(console, section.parts, title=section.title)
    left_out = [section.title for section in document.sections if not section.short]
    if left_out:
        console.print()
        _paragraph(console, f"In a file (--out) also: {', '.join(left_out)}.", style="dim")


def show_parts(console: "Console", parts: Iterable[Part], title: str = "") -> None:
    """Print parts of a document under a title."""
    from rich.text import Text

    if title:
        console.print(Text(title, style="bold underline"))
    for part in parts:
        match part:
            case str():
                _paragraph(console, part)
            case Aside() | Code():
                _paragraph(console, part.text, style="dim")
            case Heading():
                console.print(Text(part.text, style="bold"))
            case Bullets():
                for line in part.lines:
                    _paragraph(console, f"- {line}")
            case Facts():
                pairs = (Text(f"{name}: ").append_text(_cell(value)) for name, value in part.pairs)
                console.print(Text(", ").join(pairs), soft_wrap=not console.is_terminal)
            case Note():
                _paragraph(console, part.text, head=part.title)
            case Methods():
                for step in part.steps:
                    _paragraph(console, step.full_text, head=step.name)
            case Table():
                show_table(console, part)
            case Figure():
                _paragraph(console, f"Figure: {part.caption}", style="dim")
            case Folded():
                _paragraph(console, f"{part.title}{f': {part.count}' if part.count else ''}", style="dim")
            case Beside() | Searched():
                show_parts(console, part.parts)


def show_table(console: "Console", table: Table) -> None:
    """Print a table: its caption, its columns with their units, its rows."""
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(title=Text(table.caption))
    for column in table.columns:
        label = f"{column.group}:\n{column.label}" if column.group else column.label
        head = f"{label} {column.shown_unit}".strip()
        grid.add_column(
            Text(head),
            justify="right" if column.numeric else "left",
            overflow="fold",
        )
    for row in table.rows:
        grid.add_row(*(_cell(value) for value in row))
    if console.measure(grid, options=console.options.update(width=_UNBOUNDED)).maximum > console.width:
        # Other columns give way before the words of the first do.
        grid.columns[0].width = _head_width(table)
    console.print(grid)


def _head_width(table: Table) -> int:
    heads = [str(row[0]) for row in table.rows]
    longest = max((len(word) for head in heads for word in head.split()), default=0)
    return max(min(longest, _WIDEST_WORD), min(max(map(len, heads), default=0), _HEAD_WIDTH))


def _paragraph(console: "Console", text: str, style: str = "", head: str = "") -> None:
    from rich.text import Text

    line = Text(f"{head}. ", style="bold") if head else Text()
    # Whole lines for a file or a pipe, wrapped words for a screen.
    console.print(line.append(text, style=style or "not bold"), soft_wrap=not console.is_terminal)


def _cell(value: str | Flag) -> "Text":
    from rich.text import Text

    if isinstance(value, Flag):
        return Text(f"{value.sign} {value.text}", style=_STYLES.get(value.tone, ""))
    return Text(value)
