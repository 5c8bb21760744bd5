"""A process technology as a record of numbers, read from a technology book."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbase import Book, InputError, Record, book_names, load_book
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number

BOOKS = Path(__file__).parent / "books"
#: The default process: that of the HNLPU paper, with the density that its tables imply.
DEFAULT_TECHNOLOGY = "n5-asplos26"
_KIND = "technology"


@dataclass(frozen=True)
class Technology(Record):
    """Density, delay, energy and fixed blocks of a process. Any number may be an array; the books have the sources."""

    name: str
    logic_density_mtr_per_mm2: Number = sourced("1/mm**2", above=0.0, high=1e5)
    sram_bitcell_um2: Number = sourced("um**2", above=0.0)
    sram_two_port_ratio: Number = sourced("1", above=0.0)
    sram_array_efficiency: Number = sourced("1", above=0.0, high=1.0)
    sram_read_energy_j_per_bit: Number = sourced("J")
    full_adder_transistors: Number = sourced("transistor", above=0.0)
    flip_flop_transistors: Number = sourced("transistor", above=0.0)
    full_adder_delay_s: Number = sourced("s", above=0.0)
    switched_capacitance_f_per_transistor: Number = sourced("F")
    switching_activity: Number = sourced("1", low=0.0, high=1.0)
    input_toggles: Number = sourced("1", low=0.0, high=1.0)
    embedding_wire_f: Number = sourced("F")
    leakage_w_per_mm2: Number = sourced("W/mm**2")
    hn_static_w_per_mm2: Number = sourced("W/mm**2")
    supply_v: Number = sourced("V", above=0.0, high=10.0)
    routing_pitch_nm: Number = sourced("nm", above=0.0)
    routing_layers: Number = sourced("1", above=0.0)
    wire_capacitance_f_per_um: Number = sourced("F/um")
    vex_mac_area_um2: Number = sourced("um**2")
    vex_mac_energy_j: Number = sourced("J")
    link_area_mm2: Number = sourced("mm**2")
    link_energy_j_per_bit: Number = sourced("J")
    hbm_phy_area_mm2: Number = sourced("mm**2")
    hbm_phy_power_w: Number = sourced("W")
    control_area_mm2: Number = sourced("mm**2")
    control_power_w: Number = sourced("W")
    reticle_width_mm: Number = sourced("mm", above=0.0)
    reticle_height_mm: Number = sourced("mm", above=0.0)
    fp4_sigma: Number = sourced("1", above=0.0)
    usable_cycle: Number = sourced("1", above=0.0, high=1.0)
    sram_latency_cycles: Number = sourced("cycle")
    operand_bus_bits: Number = sourced("1", above=0.0)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))

    @property
    def reticle_area_mm2(self) -> Number:
        """Largest die that one exposure prints, in mm2."""
        return self.reticle_width_mm * self.reticle_height_mm

    @property
    def switching_j_per_transistor(self) -> Number:
        """Mean energy of one evaluation per transistor: activity x capacitance x supply squared, in J."""
        return self.switching_activity * self.switched_capacitance_f_per_transistor * np.square(self.supply_v)

    @property
    def wire_j_per_bit(self) -> Number:
        """Mean energy of an embedding wire while a bit passes, toggles x half of capacitance x supply squared, in J."""
        return 0.5 * self.input_toggles * self.embedding_wire_f * np.square(self.supply_v)

    def logic_area_mm2(self, transistors: Number) -> Number:
        """Area of `transistors` at the logic density, in mm2."""
        return transistors / (self.logic_density_mtr_per_mm2 * 1e6)

    def sram_area_mm2(self, bits: Number, two_port: bool = False) -> Number:
        """Area of `bits` of SRAM macros, in mm2: bit cells over array efficiency."""
        cell_um2 = self.sram_bitcell_um2 * (self.sram_two_port_ratio if two_port else 1.0)
        return bits * cell_um2 / self.sram_array_efficiency * 1e-6


def technology_book(technology: str | Path | Book = DEFAULT_TECHNOLOGY) -> Book:
    """Return the book of a technology by name or path; raises `InputError` for a book of another kind."""
    book = technology if isinstance(technology, Book) else load_book(technology, BOOKS)
    if book.kind != _KIND:
        raise InputError(f"{book.name!r} is of kind {book.kind!r}: expected a technology, such as {DEFAULT_TECHNOLOGY}")
    return book


def technology_names() -> list[str]:
    """Return the names of the technologies that come with the package, sorted."""
    return [name for name in book_names(BOOKS) if load_book(name, BOOKS).kind == _KIND]


def load_technology(name_or_path: str | Path = DEFAULT_TECHNOLOGY, reader: Reader | None = None) -> Technology:
    """Return the `Technology` of a book; `reader` records the constants that are read. Raises `InputError`."""
    reader = reader or technology_book(name_or_path).reader()
    return from_book(Technology, reader, name=reader.book.name)
