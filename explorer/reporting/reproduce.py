"""What it takes to make a result again: the command, the versions, and a digest of every book."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import hwsim
from explorer.figures.tables import Column, Table
from hwbase import Book, Quantity, Record
from hwbase.record import finite, plain

#: Packages that numbers or pictures depend on.
PACKAGES = ("numpy", "scipy", "pandas", "ml_dtypes", "simpy", "pint", "plotly")
_SHOWN_DIGITS = 16


@dataclass(frozen=True)
class BookUse(Record):
    """A book that a result was computed from. `sha256` is of its constants, wherever its file lies."""

    role: str
    name: str
    title: str
    constants: int
    sha256: str


@dataclass(frozen=True)
class Reproduction(Record):
    """Everything to run again. `date` is the day that whoever asked gave, or empty."""

    command: str
    version: str
    date: str
    python: str
    system: str
    packages: dict[str, str]
    books: tuple[BookUse, ...]
    overrides: dict[str, str]


def book_use(role: str, book: Book) -> BookUse:
    """Return what a report says of a book: its role, its name and a digest of its constants."""
    return BookUse(role, book.name, book.title, len(book), book_sha256(book))


def book_sha256(book: Mapping[str, Quantity]) -> str:
    """Return the SHA-256 of the constants of a book, in hexadecimal: the same for the same numbers and sources."""
    content = {name: plain(vars(quantity)) for name, quantity in sorted(book.items())}
    return hashlib.sha256(json.dumps(finite(content), sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def reproduction(
    command: str,
    books: tuple[BookUse, ...] = (),
    *,
    overrides: Mapping[str, Any] | None = None,
    date: str = "",
    version: str = hwsim.__version__,
) -> Reproduction:
    """Return what it takes to run `command` again here: versions of Python and of the packages that matter."""
    return Reproduction(
        command=command,
        version=version,
        date=date,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}".strip(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        books=books,
        overrides={name: str(value) for name, value in (overrides or {}).items()},
    )


def books_table(found: Reproduction) -> Table:
    """Return the books that a result was computed from, with the beginning of their digests."""
    rows = tuple((use.role, use.name, use.title, str(use.constants), use.sha256[:_SHOWN_DIGITS]) for use in found.books)
    columns = (
        Column("for", numeric=False),
        Column("book", numeric=False),
        Column("title", numeric=False),
        Column("constants"),
        Column("SHA-256 of its constants", numeric=False),
    )
    return Table("Books", columns, rows)


def versions_said(found: Reproduction) -> str:
    """Return the versions in one sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in found.packages.items())
    when = f" Made on {found.date}." if found.date else ""
    return f"hwsim {found.version}, Python {found.python} on {found.system}, {packages}.{when}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
