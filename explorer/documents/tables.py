"""Tables for a page: typed columns, formatted cells, and the tables of cost, carbon and assumptions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase.columns import Column, column, is_known
from hwbase.numbers import MISSING, Number, plain

if TYPE_CHECKING:
    import pandas as pd

#: The levels of a book, and the two of a published case.
LEVELS, PUBLISHED_LEVELS = ("low", "nominal", "high"), ("low", "high")
#: Sign and tone of each status, so that colour is never the only cue.
STATUS_SIGNS = {
    "pass": ("✓", "good"),
    "FAIL": ("✗", "bad"),
    "spills": ("△", "warn"),
    "yes": ("✓", "good"),
    "no": ("✗", "bad"),
    "agrees": ("✓", "good"),
    "OUTSIDE": ("✗", "bad"),
    "misfit explained": ("△", "warn"),
    "input": ("→", "quiet"),
    "fitted": ("~", "quiet"),
    "not derivable": ("–", "quiet"),
}


@dataclass(frozen=True)
class Flag:
    """A status: its words, a sign and a tone ("good", "bad", "warn", "quiet")."""

    text: str
    sign: str
    tone: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """A table as text: the first cell of a row is its heading. A `Number` keeps the value behind the text.

    `style` is the layout on a page: "brief" for the answer in short, "sources" for constants with long sources.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Flag, ...], ...]
    style: str = ""


def flag(status: str) -> Flag:
    """Return the sign and tone of a status; an unknown one is quiet."""
    sign, tone = STATUS_SIGNS.get(status, ("•", "quiet"))
    return Flag(status, sign, tone)


def frame_table(
    caption: str,
    frame: "pd.DataFrame | Sequence[Mapping[str, Any]]",
    columns: Mapping[str, Column],
    formats: Mapping[str, Callable[[Any], str]] | None = None,
) -> Table:
    """Return the named columns of a frame, or of rows, as a table; `formats` maps columns to functions for cells.

    Without a function, a column of the registry formats its cells itself, and any other uses `plain`.
    """
    write = {key: each.cell if each.name else plain for key, each in columns.items()} | dict(formats or {})
    lines = (
        ([row.get(key) for key in columns] for row in frame)
        if isinstance(frame, Sequence)
        else frame[list(columns)].itertuples(index=False, name=None)
    )
    rows = tuple(tuple(_cell(write[key], value) for key, value in zip(columns, line, strict=True)) for line in lines)
    return Table(caption, tuple(columns.values()), rows)


def scaled_table(caption: str, frame: "pd.DataFrame", columns: Mapping[str, Column] | None = None) -> Table:
    """Return a frame as a table: columns of the registry, each in a unit that suits its values ("latency, µs").

    `columns` replaces columns of the registry by name. A column that the registry does not list stands at the right if
    it holds numbers.
    """
    heads: list[Column] = []
    cells = []
    for name in map(str, frame):
        entry, scale = (columns or {}).get(name, _column_of(name, frame[name])).scaled(frame[name])
        # Two columns of one label are told apart by their names.
        same = any(entry.label == head.label for head in heads)
        heads.append(replace(entry, label=f"{entry.label} ({name})") if same else entry)
        cells.append([_cell(partial(entry.cell_of, scale=scale), value) for value in frame[name]])
    return Table(caption, tuple(heads), tuple(zip(*cells, strict=True)))


def _column_of(name: str, values: "pd.Series") -> Column:
    entry = column(name)
    numbers = values.dtype.kind in "iufc" or all(is_number(value) or value is None for value in values)
    return entry if is_known(name) or numbers else replace(entry, numeric=False)


def quantity_table(
    caption: str,
    lines: Iterable[tuple[Any, ...]],
    records: Mapping[str, Any] | Mapping[Column, Any],
    *,
    head: str = "figure",
    style: str = "",
) -> Table:
    """Return one row a quantity and one column a record.

    Parameters
    ----------
    caption
        Caption of the table.
    lines
        Rows: (label, function from a record to its cell), or (label, dotted field, function from its value to a cell).
    records
        Records by column heading.
    head
        Heading of the first column.
    style
        Layout on a page, see `Table`.
    """
    rows = tuple((label, *(_quantity(record, *get) for record in records.values())) for label, *get in lines)
    heads = (each if isinstance(each, Column) else Column(each) for each in records)
    return Table(caption, (Column(head, numeric=False), *heads), rows, style)


def _quantity(record: Any, get: Any, write: Any = None) -> str | Flag:
    return get(record) if write is None else _cell(write, dotted(record, get))


def dotted(record: Any, path: str) -> Any:
    """Return the field of a record at a dotted `path` such as "hardwired.total_usd"."""
    for name in path.split("."):
        record = getattr(record, name)
    return record


def _cell(write: Callable[[Any], str | Flag], value: Any) -> str | Flag:
    """Return `value` written by `write`, with the number behind it."""
    text = write(value)
    if isinstance(text, str) and not isinstance(text, Number) and is_number(value):
        return Number(text, float(value))
    return text


def is_number(value: Any) -> bool:
    """Return whether a value is one number, NaN included, and not a truth value."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def signed(value: Any) -> str:
    """Return a change in percent with its sign: +1.2, −3.5, 0.0."""
    if value is None or value != value:
        return MISSING
    return Number("0.0" if abs(value) < 0.05 else f"{value:+,.1f}".replace("-", "−"), value, "%")


__all__ = [
    "Column",
    "Flag",
    "Table",
    "dotted",
    "flag",
    "frame_table",
    "is_number",
    "quantity_table",
    "scaled_table",
    "signed",
]
