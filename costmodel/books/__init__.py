"""The cost assumption books (TOML) and how to load them."""

from collections.abc import Mapping
from pathlib import Path

import hwbase
from hwbase import Book, Quantity

FOLDER = Path(__file__).parent


def load_book(
    name_or_path: str | Path = "default", *, beside: Mapping[str, Mapping[str, Quantity]] | None = None
) -> Book:
    """Return the cost book of that name ("default", "hnlpu-asplos26") or the one in the TOML file of that path.

    `beside` gives constants of bought devices by the name of a cost book, as in `hwbase.load_book`: the books here know
    of none. Raises `InputError` for a book that is missing or breaks a rule of `hwbase.books`.
    """
    return hwbase.load_book(name_or_path, FOLDER, beside=beside)


def book_names() -> list[str]:
    """Return the names of the cost books that come with the package."""
    return hwbase.book_names(FOLDER)
