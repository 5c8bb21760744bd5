"""The quality of the constants behind a result: a grade for each kind, counted."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import hwsim
from explorer.documents.tables import LEVELS, Column, Table
from hwbase import Book, Quantity, Record
from hwbase.numbers import MISSING, compact, counted, percent, pretty_unit
from hwbase.record import finite, plain

#: Packages that affect numbers or figures.
PACKAGES = ("numpy", "scipy", "pandas", "ml_dtypes", "simpy", "pint", "plotly")
_SHOWN_DIGITS = 16


@dataclass(frozen=True)
class BookUse(Record):
    """A book that a result was computed from. `sha256` is that of its constants, independent of its file."""

    role: str
    name: str
    title: str
    constants: int
    sha256: str


@dataclass(frozen=True)
class Reproduction(Record):
    """Everything needed to run again. `date` is a given date, or empty."""

    command: str
    version: str
    date: str
    python: str
    system: str
    packages: dict[str, str]
    books: tuple[BookUse, ...]
    overrides: dict[str, str]


def book_use(role: str, book: Book) -> BookUse:
    """Return a book's entry in a report: its role, its name and a digest of its constants."""
    return BookUse(role, book.name, book.title, len(book), book_sha256(book))


def book_sha256(book: Mapping[str, Quantity]) -> str:
    """Return the SHA-256 of the constants of a book, in hexadecimal; equal numbers and sources give equal digests."""
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
    """Return the data to run `command` again: versions of Python and of the packages that matter."""
    return Reproduction(
        command=command,
        version=version,
        date=date,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}".strip(),
        packages={name: number for name in PACKAGES if (number := _version(name))},
        books=books,
        overrides={name: str(value) for name, value in (overrides or {}).items()},
    )


def books_table(reproduction: Reproduction) -> Table:
    """Return the books that a result was computed from, with the beginning of their digests."""
    rows = tuple(
        (use.role, use.name, use.title, str(use.constants), use.sha256[:_SHOWN_DIGITS]) for use in reproduction.books
    )
    columns = (
        Column("for", numeric=False),
        Column("book", numeric=False),
        Column("title", numeric=False),
        Column("constants"),
        Column("SHA-256 of its constants", numeric=False),
    )
    return Table("Books", columns, rows)


def versions_text(reproduction: Reproduction) -> str:
    """Return the versions in one sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in reproduction.packages.items())
    when = f" Made on {reproduction.date}." if reproduction.date else ""
    return f"hwsim {reproduction.version}, Python {reproduction.python} on {reproduction.system}, {packages}.{when}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


#: Kinds from the best known to the least: (grade, description).
GRADES = {
    "measured": ("high", "measured, or a statistic of measurements"),
    "vendor": ("good", "stated by the manufacturer"),
    "paper": ("good", "printed in a paper or in the parameters of its tool"),
    "derived": ("fair", "computed or inferred from other published numbers"),
    "analyst": ("fair", "estimated by a third party"),
    "fitted": ("fitted", "adjusted to match a published figure"),
    "assumed": ("low", "assumed, with the reason in its source"),
    "user": ("yours", "set by the user"),
}


@dataclass(frozen=True)
class Quality(Record):
    """The number of constants read, by kind."""

    constants: int
    by_kind: dict[str, int]

    @property
    def assumed(self) -> int:
        """Constants without a published value."""
        return self.by_kind.get("assumed", 0)

    def sentence(self) -> str:
        """Return the quality in one sentence."""
        if not self.constants:
            return "No constants were read."
        parts = ", ".join(f"{count} {kind}" for kind, count in self.by_kind.items())
        share = percent(self.assumed / self.constants, 0)
        return f"{counted(self.constants, 'constant')}: {parts}. {share} are assumed."


def grade(kind: str) -> str:
    """Return the grade of a kind: high, good, fair, low, fitted or yours."""
    return GRADES.get(kind, ("unknown", ""))[0]


def quality(quantities: Iterable[Quantity]) -> Quality:
    """Return the number of `quantities` of each kind, the best kinds first."""
    kinds = Counter(str(quantity.kind) for quantity in quantities)
    order = [kind for kind in GRADES if kinds[kind]] + sorted(kinds.keys() - GRADES.keys())
    return Quality(sum(kinds.values()), {kind: kinds[kind] for kind in order})


def quality_table(quality: Quality) -> Table:
    """Return one row a kind: description, grade, number of constants, and share."""
    rows = tuple(
        (kind, *GRADES.get(kind, ("unknown", "")), str(count), percent(count / quality.constants, 0))
        for kind, count in quality.by_kind.items()
    )
    heads = (Column("kind", numeric=False), Column("quality", numeric=False), Column("what it says", numeric=False))
    return Table("Quality of the constants", (*heads, Column("constants"), Column("share")), rows)


def source_table(groups: Mapping[str, Mapping[str, Quantity]], caption: str = "Constants that were read") -> Table:
    """Return every constant that was read: range, unit, kind, quality, year, source, and reading groups."""
    several = len(groups) > 1
    labels = ("unit", "kind, quality", "year", "source")
    columns = (
        Column("name", numeric=False),
        *([Column("read for", numeric=False)] if several else []),
        *(Column(level) for level in LEVELS),
        *(Column(label, numeric=False) for label in labels),
    )
    rows = tuple(
        (
            name,
            *(["; ".join(read_by)] if several else []),
            *(compact(value) for value in (q.at("low"), q.nominal, q.at("high"))),
            pretty_unit(q.unit) or MISSING,
            q.kind if grade(q.kind) == q.kind else f"{q.kind}, {grade(q.kind)}",
            str(q.year),
            f"{q.source} ({q.note})" if q.note else q.source,
        )
        for name, q, read_by in distinct(groups)
    )
    return Table(caption, columns, rows, "sources")


def distinct(groups: Mapping[str, Mapping[str, Quantity]]) -> list[tuple[str, Quantity, tuple[str, ...]]]:
    """Return (name, quantity, groups that read it) for every constant that differs, by name.

    Groups may read the same name from two books: equal numbers from the same source are one constant, others are two.
    """
    rows: list[tuple[str, Quantity, list[str]]] = []
    for group, quantities in groups.items():
        for name, quantity in quantities.items():
            same = next((g for n, q, g in rows if n == name and _same(q, quantity)), None)
            if same is None:
                rows.append((name, quantity, [group]))
            else:
                same.append(group)
    return [(name, quantity, tuple(read_by)) for name, quantity, read_by in sorted(rows, key=lambda row: row[0])]


def _same(one: Quantity, other: Quantity) -> bool:
    return str(one) == str(other)
