"""How good the constants behind a result are: a grade for each kind, counted."""

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


#: Kinds from the best known to the least: (grade, what the kind says of where the number comes from).
GRADES = {
    "measured": ("high", "measured, or a statistic of measurements"),
    "vendor": ("good", "stated by the maker of the thing"),
    "paper": ("good", "printed in a paper or in the parameters of its tool"),
    "derived": ("fair", "computed or inferred from other published numbers"),
    "analyst": ("fair", "estimated by a third party"),
    "fitted": ("fitted", "adjusted until a published figure came out"),
    "assumed": ("low", "assumed, with the reason in its source"),
    "user": ("yours", "set by whoever ran this"),
}


@dataclass(frozen=True)
class Quality(Record):
    """How many of the constants read are of each kind."""

    constants: int
    by_kind: dict[str, int]

    @property
    def assumed(self) -> int:
        """Constants that nobody publishes."""
        return self.by_kind.get("assumed", 0)

    def said(self) -> str:
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
    """Return how many of `quantities` are of each kind, the best kinds first."""
    kinds = Counter(str(quantity.kind) for quantity in quantities)
    order = [kind for kind in GRADES if kinds[kind]] + sorted(kinds.keys() - GRADES.keys())
    return Quality(sum(kinds.values()), {kind: kinds[kind] for kind in order})


def quality_table(found: Quality) -> Table:
    """Return a row a kind: what it means, its grade, how many constants, and their share."""
    rows = tuple(
        (kind, *GRADES.get(kind, ("unknown", "")), str(count), percent(count / found.constants, 0))
        for kind, count in found.by_kind.items()
    )
    heads = (Column("kind", numeric=False), Column("quality", numeric=False), Column("what it says", numeric=False))
    return Table("Quality of the constants", (*heads, Column("constants"), Column("share")), rows)


def source_table(groups: Mapping[str, Mapping[str, Quantity]], caption: str = "Constants that were read") -> Table:
    """Return every constant: its range, unit, kind, quality, year, source, and what read it where there are several."""
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

    Two groups may read the same name from two books: equal numbers from the same source are one constant, others two.
    """
    found: list[tuple[str, Quantity, list[str]]] = []
    for group, quantities in groups.items():
        for name, quantity in quantities.items():
            same = next((g for n, q, g in found if n == name and _same(q, quantity)), None)
            if same is None:
                found.append((name, quantity, [group]))
            else:
                same.append(group)
    return [(name, quantity, tuple(read_by)) for name, quantity, read_by in sorted(found, key=lambda row: row[0])]


def _same(one: Quantity, other: Quantity) -> bool:
    return str(one) == str(other)
