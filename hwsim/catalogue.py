"""All machines in a table: what each is, what it has, and which simulators its book suffices for."""

import numpy as np
import pandas as pd

from hwbase import Book
from hwbase.books import missing_fields
from hwsim.events.serve import SERVERS
from hwsim.machine_books import machine_book, machine_names
from hwsim.simulation import SIMULATORS

#: Constants shown, with their units; NaN where a book does not state one.
_CONSTANTS = {
    "memory_bytes": "B",
    "memory_bandwidth_bytes_per_s": "B/s",
    "peak_ops_per_s": "1/s",
    "power_w": "W",
    "area_mm2": "mm**2",
}


def machines() -> pd.DataFrame:
    """Return a row a machine that comes with the package, sorted by name.

    Columns: name, label, kind, title, then the constants of `memory_bytes`, `memory_bandwidth_bytes_per_s`,
    `peak_ops_per_s`, `power_w` and `area_mm2` of one unit (NaN where the book states none), and whether the book
    suffices for `simulate` and for `serve`.
    """
    return pd.DataFrame([_row(machine_book(name)) for name in machine_names()])


def _row(book: Book) -> dict[str, object]:
    row: dict[str, object] = {"name": book.name, "label": book.header.label, "kind": book.kind, "title": book.title}
    row |= {name: float(book.value(name, unit)) if name in book else np.nan for name, unit in _CONSTANTS.items()}
    for answer, table in (("simulate", SIMULATORS), ("serve", SERVERS)):
        row[answer] = book.kind in table and not any(missing_fields(need, book) for need in table[book.kind].needs)
    return row
