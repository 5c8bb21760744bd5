"""The binary-scan engine: memory channels, lanes that compare, heaps for the best; gates, area and energy."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError, Record, load_book, unknown_name
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number, count
from hwsim.retrieval.device import ScanDevice
from hwsim.retrieval.index import ScanIndex
from hwsim.technology import BOOKS, Technology

MEMORIES = ("ddr5", "hbm3", "flash")
#: Kinds of lanes: XORs and population counts, or the tables of the published SDC kernel.
UNITS = ("popcount", "table")
ENGINE_BOOK = "bebr-engine"
#: The published table: 4 bits of a document choose one of 16 sums of 8 bits (BEBR, KDD '23, planes = 2).
_TABLE_BITS, _TABLE_ENTRIES, _TABLE_SUM_BITS, _TABLE_PLANES = 4, 16, 8, 2
_BYTE_BITS = 8
_UM_PER_MM = 1e3


@dataclass(frozen=True)
class Memory(Record):
    """One channel of a memory: a DIMM, a stack, a bus of NAND dies. Any number may be an array."""

    name: str
    bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    efficiency: Number = sourced("1", above=0.0, high=1.0)
    random_efficiency: Number = sourced("1", above=0.0, high=1.0)
    access_bytes: Number = sourced("B", low=1.0, high=1e9)
    channel_bytes: Number = sourced("B", above=0.0, high=1e18)
    energy_j_per_bit: Number = sourced("J", low=0.0, high=1.0)
    standing_w: Number = sourced("W", low=0.0, high=1e6)
    phy_area_mm2: Number = sourced("mm**2", low=0.0, high=1e6)
    latency_s: Number = sourced("s", low=0.0, high=1e3)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


@dataclass(frozen=True)
class ScanEngine(Record):
    """One card: `channels` of a memory stream past `lanes` lanes, `slots` queries have a heap each.

    A lane compares `lane_bits` bits of a document with one query in a cycle; lanes are distributed evenly over the
    queries. `unit` is one of `UNITS`. Any number may be an array.
    """

    memory: Memory
    unit: str
    channels: Number = sourced("1", low=1.0, high=1e6, whole=True)
    lanes: Number = sourced("lane", low=1.0, high=1e9, whole=True)
    clock_hz: Number = sourced("1/s", above=0.0, high=1e11)
    lane_bits: Number = sourced("1", low=1.0, high=1e5, whole=True)
    slots: Number = sourced("1", low=1.0, high=1e6, whole=True)
    most_k: Number = sourced("1", low=1.0, high=1e6, whole=True)
    buffer_bytes: Number = sourced("B", low=0.0, high=1e9)
    xor_transistors: Number = sourced("transistor", above=0.0, high=1e4)
    mux_transistors: Number = sourced("transistor", above=0.0, high=1e4)
    latch_transistors: Number = sourced("transistor", above=0.0, high=1e4)
    entry_bits: Number = sourced("1", low=1.0, high=1e4)
    norm_bits: Number = sourced("1", low=1.0, high=1e3)
    insert_cycles: Number = sourced("cycle", above=0.0, high=1e6)
    card_w: Number = sourced("W", low=0.0, high=1e6)
    link_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e15)
    link_latency_s: Number = sourced("s", low=0.0, high=1e3)
    fan_in: Number = sourced("1", low=2.0, high=1e6)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))
        if self.unit not in UNITS:
            raise unknown_name("lane unit", self.unit, UNITS)

    @property
    def memory_bytes(self) -> Number:
        """Capacity of the card, in B."""
        return self.channels * self.memory.channel_bytes


def load_engine(
    memory: str = "hbm3", *, unit: str = "popcount", reader: Reader | None = None, **given: Any
) -> ScanEngine:
    """Return the engine of the book with one of `MEMORIES`; `given` replaces fields, `reader` records constants.

    Raises `InputError` for unknown names and numbers out of range.
    """
    if memory not in MEMORIES:
        raise unknown_name("memory", memory, MEMORIES)
    reader = reader or load_book(ENGINE_BOOK, BOOKS).reader()
    # Channels and lanes depend on the memory, everything else on the engine.
    sizes = {
        name: given.pop(name) if name in given else reader(f"{memory}.{name}", unit_of)
        for name, unit_of in (("channels", "1"), ("lanes", "lane"))
    }
    channel = from_book(Memory, reader, prefix=f"{memory}.", name=memory)
    try:
        return from_book(ScanEngine, reader, prefix="engine.", memory=channel, unit=unit, **sizes, **given)
    except TypeError:
        known = ScanEngine.__dataclass_fields__
        raise unknown_name("field of the engine", next(n for n in given if n not in known), known) from None


def document_cycles(engine: ScanEngine, index: ScanIndex) -> Number:
    """Return the cycles of a lane for one document and one query.

    "popcount" compares every plane with every plane, `lane_bits` a cycle; "table" looks up all bits of the document,
    `lane_bits` a cycle. Raises `InputError` for tables and codes of other than two planes.
    """
    if engine.unit == "table":
        if np.any(np.asarray(index.planes) != _TABLE_PLANES):
            raise InputError(f"planes = {index.planes}: expected {_TABLE_PLANES} for lanes of tables")
        return np.ceil(np.asarray(index.bits) / engine.lane_bits)
    return np.ceil(index.compared_bits / engine.lane_bits)


def lane_transistors(engine: ScanEngine, index: ScanIndex, technology: Technology) -> Number:
    """Return the transistors of one lane.

    Both kinds register the document's bits, add into an accumulator of the score's bits, multiply by the norm if there
    are several planes, and compare with the query's limit. "popcount": a register for the query, an XOR and a full
    adder a bit (a count of n bits takes just under n), a pipeline register in every second adder. "table": for 4 bits,
    16 latched sums of 8 bits, 15 x 8 multiplexers, and adders with a register each.
    """
    adder, flip_flop = technology.full_adder_transistors, technology.flip_flop_transistors
    score = index.score_bits
    several = np.where(np.asarray(index.planes) > 1, 1.0, 0.0)
    shared = flip_flop * engine.lane_bits + score * (2.0 * adder + flip_flop + several * engine.norm_bits * adder)
    if engine.unit == "table":
        table = _TABLE_ENTRIES * _TABLE_SUM_BITS * engine.latch_transistors
        choice = (_TABLE_ENTRIES - 1) * _TABLE_SUM_BITS * engine.mux_transistors
        return shared + np.ceil(engine.lane_bits / _TABLE_BITS) * (
            table + choice + _TABLE_SUM_BITS * (adder + flip_flop)
        )
    return shared + engine.lane_bits * (engine.xor_transistors + adder + 1.5 * flip_flop)


def engine_areas_mm2(engine: ScanEngine, index: ScanIndex, technology: Technology) -> dict[str, Number]:
    """Return the area of the die by part, in mm2: lanes, heaps (SRAM), buffers (SRAM), memory PHY, link, control."""
    return {
        "lanes": technology.logic_area_mm2(engine.lanes * lane_transistors(engine, index, technology)),
        "heaps": technology.sram_area_mm2(engine.slots * engine.most_k * engine.entry_bits),
        "buffers": technology.sram_area_mm2(engine.channels * engine.buffer_bytes * _BYTE_BITS),
        "memory PHY": engine.channels * engine.memory.phy_area_mm2,
        "link": technology.link_area_mm2 + 0.0 * np.asarray(engine.channels),
        "control": technology.control_area_mm2 + 0.0 * np.asarray(engine.channels),
    }


def engine_device(engine: ScanEngine, index: ScanIndex, technology: Technology, *, k: Number) -> ScanDevice:
    """Return the rates of one card for `index` and the `k` best.

    A comparison charges its lane in each of its cycles, and a wire of the lane's length for every bit that moves to the
    next lane. A heap of n entries takes log2(n) levels an insertion. Raises `InputError` for a `k` beyond the heap.
    """
    count("k", k, high=float(np.min(np.asarray(engine.most_k))))
    cycles = document_cycles(engine, index)
    transistors = lane_transistors(engine, index, technology)
    levels = np.ceil(np.log2(np.asarray(k) + 1.0))
    areas = engine_areas_mm2(engine, index, technology)
    side_um = np.sqrt(technology.logic_area_mm2(transistors)) * _UM_PER_MM
    wire_j = 0.5 * technology.input_toggles * technology.wire_capacitance_f_per_um * side_um
    wire_j = wire_j * np.square(technology.supply_v) * engine.lane_bits
    channel = engine.memory
    bandwidth = engine.channels * channel.bandwidth_bytes_per_s
    logic_mm2 = sum(areas[part] for part in ("lanes", "heaps", "buffers"))
    return ScanDevice(
        name=f"engine, {channel.name}",
        stream_bytes_per_s=bandwidth * channel.efficiency,
        random_bytes_per_s=bandwidth * channel.random_efficiency,
        access_bytes=channel.access_bytes,
        memory_bytes=engine.memory_bytes,
        slots=engine.slots,
        comparisons_per_s=engine.lanes * engine.clock_hz / cycles,
        heaps=engine.slots,
        slices=1,
        insert_s=levels * engine.insert_cycles / engine.clock_hz,
        start_s=channel.latency_s,
        link_bytes_per_s=engine.link_bytes_per_s,
        link_latency_s=engine.link_latency_s,
        fan_in=engine.fan_in,
        standing_w=engine.channels * channel.standing_w
        + technology.leakage_w_per_mm2 * logic_mm2
        + technology.control_power_w
        + engine.card_w,
        area_mm2=sum(areas.values()),
        j_per_byte=_BYTE_BITS * channel.energy_j_per_bit,
        j_per_comparison=cycles * (transistors * technology.switching_j_per_transistor + wire_j),
        # Two children read and one written a level.
        j_per_insert=3.0 * levels * engine.entry_bits * technology.sram_read_energy_j_per_bit,
        j_per_link_byte=_BYTE_BITS * technology.link_energy_j_per_bit,
        comparison=engine.unit,
    )


def matching_lanes(engine: ScanEngine, index: ScanIndex) -> int:
    """Return the fewest lanes that match the channels when every slot holds a query; scalars only."""
    stream = float(engine.channels * engine.memory.bandwidth_bytes_per_s * engine.memory.efficiency)
    documents_per_s = stream / float(index.code_bytes)
    return math.ceil(
        documents_per_s * float(engine.slots) * float(document_cycles(engine, index)) / float(engine.clock_hz)
    )
