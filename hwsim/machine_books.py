"""The registry of machines: a book for each, whose kind says which simulator runs it.

A new machine is one TOML file, in `hwsim/books` or anywhere: a `[book]` table with a `kind`, or with `extends` and the
constants that differ from those of another machine. Nothing else names a machine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from hwbase import Book, Header, InputError, Quantity, book_names, load_book, unknown_name
from hwsim.technology import BOOKS

#: The machine of the HNLPU paper and the two that the paper compares it with, for callers that name none.
DEFAULT_MACHINE = "hnlpu"
DEFAULT_OPPONENTS = ("h100", "wse3")
DEFAULT_GPU = DEFAULT_OPPONENTS[0]

#: Headers of books from elsewhere by name and by path, so that pages can name their machines as the books do.
_OTHERS: dict[str, Header] = {}

#: The table of a machine's book with what it costs and emits.
COSTS = "costs"

#: Kinds of machine, and the word for one unit of each.
KINDS = {
    "hardwired": "chip",
    "gpu": "GPU",
    "wafer": "wafer",
    "cpu": "server",
    "scan-engine": "engine",
    "fixed-model": "chip",
    "npu": "chip",
}


def machine_book(machine: str | Path | Book = DEFAULT_MACHINE, kinds: Iterable[str] = KINDS) -> Book:
    """Return the book of a machine by name, in any case, or by the path of a TOML file.

    Raises `InputError` for a name that no machine of these `kinds` has, and for a book of another kind.

    >>> machine_book("H100").title
    'NVIDIA H100 SXM5 80 GB'
    """
    kind_names = tuple(kinds)
    if isinstance(machine, Book):
        book = machine
    else:
        is_file = isinstance(machine, (str, Path)) and Path(machine).suffix == ".toml"
        if not is_file and str(machine).lower() not in map(str.lower, book_names(BOOKS)):
            raise unknown_name("machine", machine, machine_names(kind_names))
        book = load_book(machine, BOOKS)
        if is_file:
            _OTHERS[book.name] = _OTHERS[str(machine)] = book.header
    if book.kind not in kind_names:
        expected = " or ".join(repr(kind) for kind in kind_names)
        raise InputError(f"machine {book.name!r} is of kind {book.kind!r}: expected one of kind {expected}")
    return book


def with_table(machine: Book, table: str, known: Mapping[str, Quantity]) -> Book:
    """Return the book of a machine with the quantities `known` beside its own, as "TABLE.NAME".

    Those that the machine's book states stand. Raises `InputError` for one in `table` that is not known.
    """
    stated = machine.section(table)
    if known.keys() == stated.keys() and all(stated[name].unit == quantity.unit for name, quantity in known.items()):
        # They stand beside its own already.
        return machine
    beside = {f"{table}.{name}": quantity for name, quantity in known.items()}
    for name, quantity in stated.items():
        full = f"{table}.{name}"
        if full not in beside:
            raise unknown_name(f"constant in {machine.name}:", full, beside)
        beside[full] = quantity.to(beside[full].unit, f"{machine.name}: {full}")
    return replace(machine, quantities={**machine.quantities, **beside})


def machine_header(name: str) -> Header | None:
    """Return what the book of a machine says of itself: a book of the package, or one loaded before in this process."""
    return _package_header(name.lower()) or _OTHERS.get(name)


@cache
def _package_header(lower_name: str) -> Header | None:
    """Return the header of a book of the package by its name in lower case, None if there is none."""
    known = {each.lower(): each for each in book_names(BOOKS)}.get(lower_name)
    return load_book(known, BOOKS).header if known else None


def machine_costs(machine: str | Path | Book) -> dict[str, dict[str, Quantity]]:
    """Return what a machine costs and emits: constants by name, in sets by the name of the cost book of each.

    Every set has the area and the memory that the machine's book states, as `die_area_mm2` and `hbm_gb`.
    """
    book = machine_book(machine)
    stated = {"die_area_mm2": ("area_mm2", "mm**2"), "hbm_gb": ("memory_bytes", "GB")}
    sizes = {name: book[of].to(unit) for name, (of, unit) in stated.items() if of in book}
    sets: dict[str, dict[str, Quantity]] = {}
    for name, quantity in book.section(COSTS).items():
        cost_book, _, constant = name.partition(".")
        sets.setdefault(cost_book, dict(sizes))[constant] = quantity
    return sets


def machine_names(kinds: Iterable[str] = KINDS) -> list[str]:
    """Return the names of the machines of these `kinds` that come with the package, sorted."""
    kind_names = tuple(kinds)
    return [name for name in book_names(BOOKS) if load_book(name, BOOKS).kind in kind_names]
