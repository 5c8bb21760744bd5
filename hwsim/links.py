"""Classes of links between chips: on a package, on a board, over fibre. One machine may have links of two classes.

A machine's own link, the class `OWN`, is that of its book and its technology; the others are tables of `links.toml`.
All figures are of one direction and one end of a link.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from hwbase import Book, Record, load_book
from hwbase.books import Reader, from_book, sourced
from hwbase.check import Number
from hwsim.machine_books import with_table
from hwsim.technology import BOOKS

#: The class of the link that the machine's book describes itself.
OWN = "own"
#: The table of the constants of links beside those of a machine.
LINKS = "links"


@dataclass(frozen=True)
class LinkClass(Record):
    """One class of links; `reach_mm` from edge to edge of two dies.

    A class on a package joins dies and their stacks of memory, `stack_mm2` each, on at most `package_mm2`.

    Energy and area of a machine's own link are None: the technology has them. A class whose `switch_latency_s` is not
    finite has no switch.
    """

    name: str
    bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    latency_s: Number = sourced("s", low=0.0, high=1.0)
    energy_j_per_bit: Number | None = sourced("J", default=None, low=0.0, high=1e-6)
    area_mm2: Number | None = sourced("mm**2", default=None, low=0.0, high=1e4)
    price_usd: Number = sourced("USD", default=0.0, low=0.0, high=1e9)
    reach_mm: Number = sourced("mm", default=np.inf, above=0.0)
    package_mm2: Number = sourced("mm**2", default=np.inf, above=0.0)
    stack_mm2: Number = sourced("mm**2", default=0.0, low=0.0, high=1e4)
    switch_latency_s: Number = sourced("s", default=np.inf, low=0.0)
    switch_energy_j_per_bit: Number = sourced("J", default=0.0, low=0.0, high=1e-6)
    switch_port_usd: Number = sourced("USD", default=0.0, low=0.0, high=1e9)

    @property
    def has_switch(self) -> bool:
        """Whether there are switches for such links."""
        return bool(np.all(np.isfinite(self.switch_latency_s)))


@dataclass(frozen=True)
class LinkTable(Record):
    """Classes of links by name, without a machine's own."""

    classes: Mapping[str, LinkClass] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the classes."""
        return list(self.classes)

    def __contains__(self, name: str) -> bool:
        return name in self.classes

    def __getitem__(self, name: str) -> LinkClass:
        return self.classes[name]


@cache
def _package_links() -> Book:
    return load_book(LINKS, BOOKS)


@cache
def class_names() -> tuple[str, ...]:
    """Return the names of all classes, `OWN` first."""
    return (OWN, *dict.fromkeys(name.partition(".")[0] for name in _package_links()))


def with_links(machine: Book) -> Book:
    """Return the book of a machine with the constants of all classes beside its own, as "links.CLASS.NAME".

    Those that the machine's book states stand. Raises `InputError` for one that no class has.
    """
    return with_table(machine, LINKS, _package_links())


def read_classes(reader: Reader, chosen: tuple[str, ...]) -> LinkTable:
    """Return every class that a machine's book has; `reader` records the constants of those that are `chosen`."""
    silent = Reader(reader.book, {})
    known = [name for name in class_names() if f"{LINKS}.{name}.latency_s" in reader.book]
    return LinkTable(
        {
            name: from_book(LinkClass, reader if name in chosen else silent, f"{LINKS}.{name}.", name=name)
            for name in known
        }
    )
