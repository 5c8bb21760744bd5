"""The cost assumption books (TOML) and how to load them."""

from pathlib import Path

import hwbase
from hwbase import Book

FOLDER = Path(__file__).parent


def load_book(name_or_path: str | Path = "default") -> Book:
    """Return the cost book of that name ("default", "hnlpu-asplos26") or the one in the TOML file of that path.

    Raises `InputError` for a book that is missing or breaks a rule of `hwbase.books`.
    """
    return hwbase.load_book(name_or_path, FOLDER)


def book_names() -> list[str]:
    """Return the names of the cost books that come with the package."""
    return hwbase.book_names(FOLDER)
