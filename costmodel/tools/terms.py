"""The terms of every tool's estimate of one good die, so that one term at a time can be replaced by another tool's."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from costmodel.silicon import good_dies, per_good_die_usd
from hwbase import Book, Quantity, Record, unknown_name
from hwbase.check import Number, fraction, positive

_MM2_PER_CM2 = 100.0
G_PER_KG = 1e3


@dataclass(frozen=True)
class DieCost(Record):
    """Dollars of one good die: wafer / good dies, then the package, over the yield of assembly."""

    gross_dies: Number
    die_yield: Number
    wafer_usd: Number
    package_usd: Number = 0.0
    assembly_yield: Number = 1.0
    rounded: bool = False
    """Whether good dies per wafer are rounded to a whole number."""

    @property
    def good_dies(self) -> Number:
        """Good dies of a wafer."""
        return good_dies(self.gross_dies, self.die_yield, rounded=self.rounded)

    @property
    def die_usd(self) -> Number:
        """One good die, in USD; raises `InputError` if no die of the call is good."""
        return per_good_die_usd(self.wafer_usd, self.good_dies)

    @property
    def total_usd(self) -> Number:
        """One good die in its package, in USD; raises `InputError` as `die_usd` does, and for a yield out of range."""
        usable = positive("assembly_yield", fraction("assembly_yield", self.assembly_yield))
        return (self.die_usd + self.package_usd) / usable


@dataclass(frozen=True)
class DieCarbon(Record):
    """Carbon of one good die: (silicon / yield + rim) x (grid x energy + gas + materials), then the package; in kg."""

    die_yield: Number
    silicon_cm2: Number
    """Wafer area charged to each die, good or bad: its own, or its share of the whole wafer."""
    grid_kg_per_kwh: Number
    epa_kwh_per_cm2: Number
    gpa_kg_per_cm2: Number
    mpa_kg_per_cm2: Number
    package_kg: Number = 0.0
    rim_cm2: Number = 0.0
    """Wafer area charged to each die, independent of yield."""
    gross_dies: Number | None = None
    """None where the tool counts no dies."""

    @property
    def per_cm2_kg(self) -> Number:
        """Energy, gas and materials of a cm2 of wafer."""
        return self.grid_kg_per_kwh * self.epa_kwh_per_cm2 + self.gpa_kg_per_cm2 + self.mpa_kg_per_cm2

    @property
    def die_kg(self) -> Number:
        """One good die; raises `InputError` for a yield that is not above 0 and at most 1."""
        usable = positive("die_yield", fraction("die_yield", self.die_yield))
        return (self.silicon_cm2 / usable + self.rim_cm2) * self.per_cm2_kg

    @property
    def total_kg(self) -> Number:
        """One good die in its package."""
        return self.die_kg + self.package_kg


@dataclass(frozen=True)
class Estimate:
    """A tool's figures of a die: dollars, carbon, or both; and the constants that it read."""

    cost: DieCost | None
    carbon: DieCarbon | None
    assumptions: dict[str, Quantity]


#: Terms that can be replaced, with their fields.
COST_TERMS = {
    "dies on a wafer": ("gross_dies",),
    "yield": ("die_yield",),
    "price of a wafer": ("wafer_usd",),
    "rounding of good dies": ("rounded",),
    "package and assembly": ("package_usd", "assembly_yield"),
}
CARBON_TERMS = {
    "wafer area of a die": ("silicon_cm2", "rim_cm2"),
    "yield": ("die_yield",),
    "energy per area": ("epa_kwh_per_cm2",),
    "grid": ("grid_kg_per_kwh",),
    "gas": ("gpa_kg_per_cm2",),
    "materials": ("mpa_kg_per_cm2",),
    "package": ("package_kg",),
}


def exchanged(theirs: Any, ours: Any, fields: tuple[str, ...]) -> Any:
    """Return `theirs` (a `DieCost` or `DieCarbon`) with `fields` taken from `ours`."""
    return dataclasses.replace(theirs, **{name: getattr(ours, name) for name in fields})


def tool_nodes(book: Book) -> list[str]:
    """Return the process nodes with constants in a tool's book, the oldest first: ["n28", ..., "n3"]."""
    names = {key.partition(".")[0] for key in book}
    return sorted((n for n in names if n[0] == "n" and n[1:].isdigit()), key=lambda n: -int(n[1:]))


def check_tool_node(book: Book, node: str) -> str:
    """Return `node`. Raises `InputError` if the tool of `book` has no constants for it."""
    if node not in tool_nodes(book):
        raise unknown_name(f"process node of {book.name}:", node, tool_nodes(book))
    return node


def mm2_to_cm2(area_mm2: Number) -> Number:
    """Return an area in cm2."""
    return area_mm2 / _MM2_PER_CM2
