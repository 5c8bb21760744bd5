"""Tables in notebooks: labels and units of the column registry, at most a screen long."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from hwbase.columns import Column, column

#: Rows that a screen shows.
MOST_ROWS = 24
#: Lists up to this length are shown whole, of longer ones so many values.
_LONGEST_LIST, _SHOWN_VALUES = 6, 3


def html_table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    numeric: Sequence[bool],
    most_rows: int = MOST_ROWS,
) -> str:
    """Return a table as HTML with all texts escaped.

    Parameters
    ----------
    caption : str
        Caption of the table.
    heads : sequence of str
        Headings of the columns.
    rows : sequence of sequences
        Cells, a row each.
    numeric : sequence of bool
        Columns that stand at the right.
    most_rows : int
        Rows shown; a last row says how many there are where that is more.
    """

    def line(tag: str, cells: Iterable[object]) -> str:
        sides = ("right" if right else "left" for right in numeric)
        parts = zip(cells, sides, strict=False)
        return "".join(f"<{tag} style='text-align:{side}'>{escape(str(cell))}</{tag}>" for cell, side in parts)

    lines = [line("td", row) for row in rows[:most_rows]]
    if len(rows) > most_rows:
        lines.append(line("td", [f"... {len(rows)} rows"]))
    body = "".join(f"<tr>{each}</tr>" for each in lines)
    return f"<table><caption>{escape(caption)}</caption><tr>{line('th', heads)}</tr>{body}</table>"


def values_table(caption: str, values: Mapping[str, Sequence[Any]], heads: Sequence[str] = ("value",)) -> str:
    """Return named values as HTML: a row a name with its label, a column a head, values with their units."""
    rows = [(column(name).label, *(value_text(column(name), each) for each in row)) for name, row in values.items()]
    return html_table(caption, ("quantity", *heads), rows, (False, *(True for _ in heads)))


def value_text(entry: Column, value: Any) -> str:
    """Return a value of a column with its unit; of a long list the first values and how many there are."""
    if isinstance(value, Mapping):
        return f"{len(value):,} entries"
    if isinstance(value, (list, tuple)):
        if any(isinstance(each, (Mapping, list, tuple)) for each in value):
            return f"{len(value):,} entries"
        texts = [value_text(entry, each) for each in value[:_LONGEST_LIST]]
        more = len(value) > _LONGEST_LIST
        return ", ".join([*texts[:_SHOWN_VALUES], f"... {len(value):,} values"] if more else texts)
    return entry.text(value)
