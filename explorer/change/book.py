"""The book of changes, and overrides shared between it and others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwbase import Book, InputError, load_book
from hwsim.technology import BOOKS

BOOK = "change"


def change_book(book: str | Path | Book = BOOK) -> Book:
    """Return the book of changes by name or path; raises `InputError` for a book of another kind."""
    loaded = book if isinstance(book, Book) else load_book(book, BOOKS)
    if loaded.kind != BOOK:
        raise InputError(f"{loaded.name!r} is of kind {loaded.kind!r}: expected change, such as {BOOK}")
    return loaded


def split_books(
    overrides: Mapping[str, Any], change: Book, fabrics: Book
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return (overrides of changes, of tables of fabrics, the rest).

    A name goes to the book that has its table, which refuses it with the nearest name if it lacks it.
    """
    shares: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})
    tables = [{name.partition(".")[0] for name in book if "." in name} for book in (change, fabrics)]
    for name, value in overrides.items():
        table = name.partition(".")[0]
        place = next((place for place, known in enumerate(tables) if "." in name and table in known), 2)
        shares[place][name] = value
    return shares
