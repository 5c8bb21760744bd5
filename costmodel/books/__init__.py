"""The cost books (TOML) and their loader."""

from collections.abc import Mapping
from pathlib import Path

import hwbase
from hwbase import Book, Quantity

FOLDER = Path(__file__).parent


def load_book(
    name_or_path: str | Path = "default", *, beside: Mapping[str, Mapping[str, Quantity]] | None = None
) -> Book:
    """Return a cost book by name ("default", "hnlpu-asplos26") or by the path of a TOML file.

    `beside` holds constants of bought devices by the name of a cost book, as in `hwbase.load_book`; the books here have
    none. Raises `InputError` for a missing book or one that breaks a rule of `hwbase.books`.
    """
    return hwbase.load_book(name_or_path, FOLDER, beside=beside)


def book_names() -> list[str]:
    """Return the names of the package's cost books."""
    return hwbase.book_names(FOLDER)
