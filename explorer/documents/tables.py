"""Tables for a page: typed columns, formatted cells, and the tables of cost, carbon and assumptions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from explorer.documents.columns import Column
from explorer.documents.numbers import MISSING, compact, plain, pretty_unit
from hwbase import Quantity

#: The levels of a book, and the two that a published case has.
LEVELS, PUBLISHED_LEVELS = ("low", "nominal", "high"), ("low", "high")
#: Sign and tone of each status, so that colour is never the only one.
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
    """A table as text: the first cell of a row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Flag, ...], ...]


def flag(status: str) -> Flag:
    """Return the sign and tone of a status; one that is not known is shown quietly."""
    sign, tone = STATUS_SIGNS.get(status, ("•", "quiet"))
    return Flag(status, sign, tone)


def frame_table(
    caption: str,
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    formats: Mapping[str, Callable[[Any], str]] | None = None,
) -> Table:
    """Return the named columns of a frame as a table; `formats` says how a column is written.

    Without one, a column of the registry writes its cells itself, and any other is `plain`.
    """
    write = {key: each.cell if each.name else plain for key, each in columns.items()} | dict(formats or {})
    rows = tuple(
        tuple(write[key](value) for key, value in zip(columns, row, strict=True))
        for row in frame[list(columns)].itertuples(index=False, name=None)
    )
    return Table(caption, tuple(columns.values()), rows)


def assumption_table(assumptions: Mapping[str, Quantity]) -> Table:
    """Return every constant that was read: its range, unit, kind, year, source and note."""
    columns = (
        Column("name", numeric=False),
        *(Column(level) for level in ("low", "nominal", "high")),
        *(Column(label, numeric=False) for label in ("unit", "kind", "year", "source")),
    )
    rows = tuple(
        (
            name,
            *(compact(q.at(level)) for level in ("low", "nominal", "high")),
            pretty_unit(q.unit) or MISSING,
            q.kind,
            str(q.year),
            f"{q.source} ({q.note})" if q.note else q.source,
        )
        for name, q in sorted(assumptions.items())
    )
    return Table("Constants read for this page", columns, rows)


def signed(value: Any) -> str:
    """Return a change in percent with its sign: +1.2, −3.5, 0.0."""
    if value is None or pd.isna(value):
        return MISSING
    return "0.0" if abs(value) < 0.05 else f"{value:+,.1f}".replace("-", "−")


__all__ = ["Column", "Flag", "Table", "assumption_table", "flag", "frame_table", "signed"]
