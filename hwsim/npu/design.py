"""A spatial accelerator as a record of numbers: array, buffers, DRAM and default widths, read from its book."""

from dataclasses import dataclass
from pathlib import Path

from hwbase import Book, InputError, Record
from hwbase.books import Reader, check_fields, from_book, sourced
from hwsim.machine_books import machine_book
from hwsim.technology import Technology

#: The kind of its books, and the choices by name that a book makes.
KIND = "npu"
CHOICES = ("dataflow", "pe")


@dataclass(frozen=True)
class Npu(Record):
    """An array of `array_rows` x `array_columns` processing elements between three buffers and a DRAM.

    `pe_bits` is the widest operand of an element, `brick_bits` the narrowest of a fused one, `serial_lanes` the lanes
    of a bit-serial one. Each buffer is double: one half computes, the other is filled. With `fold_overlap` the next
    stationary operands are loaded while the present ones are used. `weight_bits`, `activation_bits` and
    `attention_bits` are the widths of products that no allocation names. Numbers are scalars.
    """

    name: str
    dataflow: str
    pe: str
    array_rows: float = sourced("1", low=1, high=65536, whole=True)
    array_columns: float = sourced("1", low=1, high=65536, whole=True)
    clock_hz: float = sourced("Hz", above=0.0, high=1e11)
    pe_bits: float = sourced("1", low=1, high=32, whole=True)
    brick_bits: float = sourced("1", low=1, high=32, whole=True)
    serial_lanes: float = sourced("lane", low=1, high=1024, whole=True)
    accumulator_bits: float = sourced("1", low=8, high=64, whole=True)
    fold_overlap: float = sourced("1", low=0, high=1, whole=True)
    input_buffer_bytes: float = sourced("B", above=0.0, high=1e12)
    weight_buffer_bytes: float = sourced("B", above=0.0, high=1e12)
    output_buffer_bytes: float = sourced("B", above=0.0, high=1e12)
    memory_bytes: float = sourced("B", above=0.0, high=1e18)
    memory_bandwidth_bytes_per_s: float = sourced("B/s", above=0.0, high=1e18)
    memory_efficiency: float = sourced("1", above=0.0, high=1.0)
    memory_channels: float = sourced("1", low=1, high=4096, whole=True)
    memory_burst_bytes: float = sourced("B", above=0.0, high=1e9)
    memory_latency_s: float = sourced("s", low=0.0, high=1.0)
    memory_energy_j_per_bit: float = sourced("J", low=0.0)
    memory_phy_mm2_per_channel: float = sourced("mm**2", low=0.0)
    other_area_share: float = sourced("1", low=0.0, high=10.0)
    weight_bits: float = sourced("1", low=1, high=32, whole=True)
    activation_bits: float = sourced("1", low=1, high=32, whole=True)
    attention_bits: float = sourced("1", low=1, high=32, whole=True)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))
        ratio = self.pe_bits / self.brick_bits
        if self.pe == "fused" and (ratio < 1 or 2 ** round(ratio).bit_length() != 2 * ratio):
            raise InputError(
                f"brick_bits = {self.brick_bits:g}: expected pe_bits = {self.pe_bits:g} over a power of two, as fused "
                "elements compose"
            )

    @property
    def bytes_per_cycle(self) -> float:
        """Bytes that DRAM delivers in a clock, all channels together."""
        return self.memory_bandwidth_bytes_per_s * self.memory_efficiency / self.clock_hz

    @property
    def burst_cycles(self) -> float:
        """Clocks in which one channel moves a burst."""
        return self.memory_burst_bytes * self.memory_channels / self.bytes_per_cycle

    @property
    def latency_cycles(self) -> float:
        """Clocks from the request of a tile to its first byte."""
        return self.memory_latency_s * self.clock_hz

    @property
    def buffer_bytes(self) -> float:
        """Bytes of all three buffers."""
        return self.input_buffer_bytes + self.weight_buffer_bytes + self.output_buffer_bytes


def load_npu(name_or_path: str | Path | Book = KIND, reader: Reader | None = None) -> Npu:
    """Return the `Npu` of a book by name or path; `reader` collects what was read.

    Raises `InputError` for a book that lacks a constant, a number out of range, or an unknown dataflow or element.
    """
    reader = reader or machine_book(name_or_path, (KIND,)).reader()
    choices = reader.book.header.choices
    if missing := [name for name in CHOICES if name not in choices]:
        raise InputError(f"book {reader.book.name} lacks {' and '.join(missing)} in its [book.choices]")
    design = from_book(Npu, reader, name=reader.book.name, **{name: choices[name] for name in CHOICES})
    from hwsim.npu.dataflow import check_dataflow
    from hwsim.npu.elements import check_kind

    check_dataflow(design.dataflow)
    check_kind(design.pe)
    return design


@dataclass(frozen=True)
class Area(Record):
    """Silicon of an accelerator by part, in mm2."""

    elements_mm2: float
    buffers_mm2: float
    memory_phy_mm2: float
    other_mm2: float

    @property
    def total_mm2(self) -> float:
        """The die."""
        return self.elements_mm2 + self.buffers_mm2 + self.memory_phy_mm2 + self.other_mm2


def area(design: Npu, technology: Technology) -> Area:
    """Return the silicon: elements at the logic density, SRAM macros, PHYs, and the share of all else on top."""
    from hwsim.npu.elements import transistors

    elements = design.array_rows * design.array_columns * technology.logic_area_mm2(transistors(design, technology))
    buffers = technology.sram_area_mm2(design.buffer_bytes * 8.0)
    phy = design.memory_channels * design.memory_phy_mm2_per_channel
    return Area(float(elements), float(buffers), float(phy), float(design.other_area_share * (elements + buffers)))
