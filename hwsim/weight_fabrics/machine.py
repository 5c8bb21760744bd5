"""The fabric of a machine's arrays as a choice of its book, with the constants of all fabrics beside its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from hwbase import Book, InputError, Reader, Record, load_book, unknown_name
from hwbase.check import Number
from hwsim.machine_books import with_table
from hwsim.technology import BOOKS
from hwsim.weight_fabrics.compare import BOOK
from hwsim.weight_fabrics.kinds import FABRICS, TERNARY

#: The fabric of the HNLPU, which a machine has unless its book names another.
METAL = "metal_embedding"
#: Fabrics that a hardwired machine may have: its weights stay on its chips.
ON_CHIP = tuple(name for name in FABRICS if name != "dram")
#: The table of the constants of fabrics beside those of a machine.
TABLE = "fabrics"
#: The machine states its own.
_OF_THE_MACHINE = "clock_hz"
#: Other tables whose constants a fabric reads.
_SHARED = {"mask_rom": ("rom",), "ternary_rom": ("rom",), "sram": ("host",)}


@dataclass(frozen=True)
class FabricConstants(Record):
    """Constants of the fabrics by name, such as "mask_rom.bits_per_cell"; called as a `Reader` is."""

    book: Mapping[str, Number] = field(default_factory=dict)

    def __call__(self, name: str, unit: str) -> Number:
        """Return the constant of that name, whose unit was checked when it was read."""
        return self.book[name]

    def respin_masks(self, fabric: str) -> Number | None:
        """Return the masks that a new model changes: all where infinite, None where the cost book says how many."""
        if fabric == METAL:
            return None
        return np.inf if fabric == "cell_embedding" else self.book.get(f"{fabric}.respin_masks", 0.0)


def check_fabric(fabric: str, weights: str) -> None:
    """Check that a machine can have `fabric`, and that the fabric holds `weights`. Raises `InputError`."""
    if fabric not in ON_CHIP:
        if fabric in FABRICS:
            raise InputError(
                f"fabric = {fabric!r}: its weights are not on the chips, expected some of {', '.join(ON_CHIP)}"
            )
        raise unknown_name("fabric", fabric, ON_CHIP)
    if fabric == "ternary_rom" and weights != TERNARY:
        raise InputError(f"weights = {weights!r}: a ternary ROM holds weights of three values, expected {TERNARY!r}")


def tables_of(fabric: str) -> tuple[str, ...]:
    """Return the tables of the book of fabrics that a machine with `fabric` reads; none in metal."""
    return () if fabric == METAL else (fabric, *_SHARED.get(fabric, ()))


@cache
def _fabrics() -> Book:
    return load_book(BOOK, BOOKS)


def with_fabrics(machine: Book) -> Book:
    """Return the book of a machine with the constants of all fabrics beside its own, as "fabrics.FABRIC.NAME".

    Those that the machine's book states stand. Raises `InputError` for one that no fabric has.
    """
    known = {name: quantity for name, quantity in _fabrics().items() if name != _OF_THE_MACHINE}
    return with_table(machine, TABLE, known)


def read_fabrics(reader: Reader, fabric: str) -> FabricConstants:
    """Return the constants of all fabrics of a machine's book; `reader` records those that `fabric` reads."""
    silent = Reader(reader.book, {})
    read_by = tables_of(fabric)
    return FabricConstants(
        {
            name: (reader if name.partition(".")[0] in read_by else silent)(f"{TABLE}.{name}", quantity.unit)
            for name, quantity in _fabrics().items()
            if f"{TABLE}.{name}" in reader.book
        }
    )


def machine_fabrics(machine: Book) -> Book:
    """Return the book of fabrics with the constants that a machine's book states."""
    stated = machine.section(TABLE)
    return replace(_fabrics(), quantities={**_fabrics().quantities, **stated})
