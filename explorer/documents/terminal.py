"""Documents in a terminal: the short sections, with tables in which colour is never the only cue."""

from collections.abc import Iterable, Sequence
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
from explorer.documents.tables import Column, Flag, Table
from hwbase.numbers import listed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

#: Words of the first column stay whole up to this width.
_WIDEST_WORD = 32
#: Characters of a column's border and padding.
_BORDER = 3
#: Width that a column of texts has at least, if they are as long, and the widest table in a pipe or a file.
_TEXT_WIDTH, _WIDEST_TABLE = 20, 160
#: Rows of a table that is printed in parts.
_FEW_ROWS = 16
#: Columns of a screen that any table fits.
_UNBOUNDED = 10_000
_STYLES = {"good": "green", "bad": "bold red", "warn": "magenta", "quiet": "dim"}


def show(console: "Console", document: Document, written: str | None = None) -> None:
    """Print the short sections of a document, and the titles of the others, which the file `written` has if given."""
    from rich.text import Text

    console.print(Text(document.title, style="bold"), soft_wrap=True)
    if document.lead:
        _paragraph(console, document.lead)
    for section in document.sections:
        if section.short:
            console.print()
            show_parts(console, section.parts, title=section.title)
    left_out = [section.title for section in document.sections if not section.short]
    more = listed(left_out)
    if written is not None:
        console.print()
        note = Text(f"wrote {written}") + Text(f", which has more: {more}" if more else "", style="dim")
        console.print(note, highlight=False, soft_wrap=True)
    elif more:
        console.print()
        _paragraph(console, f"In a file (--out) also: {more}.", style="dim")


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
    """Print a table: its caption, its columns with their units, its rows.

    On a screen that is too narrow, a table of few rows is printed in parts that fit, each with the first column; one of
    many rows is printed row by row, each value with its label. A pipe or a file has one line a row.
    """
    width = console.width
    if not console.is_terminal:
        whole = _grid(table, range(len(table.columns)))
        natural = console.measure(whole, options=console.options.update(width=_UNBOUNDED)).maximum
        width = min(natural, _WIDEST_TABLE)
    parts = _parts(table, width)
    if len(parts) > 1 and (len(table.rows) > _FEW_ROWS or not console.is_terminal):
        _rows(console, table)
        return
    screen, console.width = console.width, width
    for part in parts:
        console.print(_grid(table, part, width))
    console.width = screen


def _grid(table: Table, places: Sequence[int], width: int = _UNBOUNDED) -> "Grid":
    """Return some columns of a table, by their places, in a width that their least widths fit."""
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(title=Text(table.caption))
    widths = _widths(table, places, width)
    for place in places:
        column = table.columns[place]
        grid.add_column(
            Text(_head(column)),
            justify="right" if column.numeric else "left",
            overflow="fold",
            width=widths[place],
        )
    for row in table.rows:
        grid.add_row(*(_cell(row[place]) for place in places))
    return grid


def _widths(table: Table, places: Sequence[int], width: int) -> dict[int, int]:
    """Return the widths of columns: the least that each needs, then what is left to those that would take more."""
    from rich.cells import cell_len

    widths = {place: _least(table, place) for place in places}
    left = width - 1 - sum(widths.values()) - _BORDER * len(places)
    wanted = {}
    for place in places:
        texts = [_head(table.columns[place]), *(_cell(row[place]).plain for row in table.rows)]
        wanted[place] = max(cell_len(line) for text in texts for line in text.splitlines() or [""])
    for place in sorted(places, key=lambda place: wanted[place] - widths[place]):
        more = max(0, min(left, wanted[place] - widths[place]))
        widths[place] += more
        left -= more
    return widths


def _rows(console: "Console", table: Table) -> None:
    """Print a table row by row: the first value, then the others with their labels, indented."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(table.caption, style="italic"))
    heads = [" ".join(_head(column).split()) for column in table.columns]
    for row in table.rows:
        console.print(_cell(row[0]), soft_wrap=True)
        pairs = (Text(f"{head}: ").append_text(_cell(value)) for head, value in zip(heads[1:], row[1:], strict=True))
        line = Text("; ").join(pairs)
        if console.is_terminal:
            console.print(Padding(line, (0, 0, 0, 2)))
        else:
            console.print(Text("  ").append_text(line), soft_wrap=True)


def _head(column: Column) -> str:
    label = f"{column.group}:\n{column.label}" if column.group else column.label
    return f"{label} {column.shown_unit}".strip()


def _least(table: Table, place: int) -> int:
    """Return the width of a column whose words and numbers stay whole, and whose texts have a few words a line."""
    from rich.cells import cell_len

    column = table.columns[place]
    cells = [_cell(row[place]).plain for row in table.rows]
    words = [word for text in (_head(column), *(() if column.numeric else cells)) for word in text.split()]
    lines = [cell_len(line) for text in cells for line in text.splitlines()]
    whole = lines if column.numeric else [min(length, _TEXT_WIDTH) for length in lines]
    return max([1, *(min(cell_len(word), _WIDEST_WORD) for word in words), *whole])


def _parts(table: Table, width: int) -> list[list[int]]:
    """Return the places of columns in parts that fit a width, each with the first; columns of a group stay together."""
    widths = [_least(table, place) + _BORDER for place in range(len(table.columns))]
    groups: list[list[int]] = []
    for place in range(1, len(table.columns)):
        heading = table.columns[place].group
        if groups and heading and table.columns[groups[-1][-1]].group == heading:
            groups[-1].append(place)
        else:
            groups.append([place])
    parts: list[list[int]] = [[0]]
    for group in groups:
        # A group that fits no screen is broken, and a column that fits none is wrapped.
        together = sum(widths[place] for place in [0, *group]) < width
        runs: list[list[int]] = [group] if together else [[place] for place in group]
        for run in runs:
            if len(parts[-1]) > 1 and sum(widths[place] for place in [*parts[-1], *run]) >= width:
                parts.append([0])
            parts[-1] += run
    return parts


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
