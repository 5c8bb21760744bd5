"""Switching activity of Hardwired-Neurons on real data: operations, clocks and bit toggles of each class of wires.

A toggle is a change of one wire between two consecutive clocks. Vectors follow each other without a gap, and all wires
start at zero (reset). The classes of wires are those of the circuit:

- inputs: one bit-serial wire an input, shared by all neurons;
- ports: the branches of the inputs, one POPCNT port for each weight that is not zero;
- counts: the binary outputs of the POPCNTs, ceil(log2(region + 1)) wires each;
- products: the outputs of the constant multipliers, as magnitudes (the tree subtracts those of negative regions);
- sums: the output of the adder tree, two's complement;
- accumulator: the register of the shift-accumulator, two's complement (see hwsim.kernels.trace).

Not counted: wires inside a POPCNT, a multiplier or the tree, glitches, and the clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number
from hwsim.kernels.hardwired import HardwiredWeights, prepare
from hwsim.kernels.planes import (
    CACHE_BYTES,
    HALVES,
    REGION_HALVES,
    bit_planes,
    check_activations,
    output_chunks,
    pack_words,
    region_counts,
)
from hwsim.kernels.trace import Clock
from hwsim.technology import Technology

#: Most bytes of counts in memory.
BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class Wires(Record):
    """A number for each class of wires: of wires, or of toggles."""

    inputs: int
    ports: int
    counts: int
    products: int
    sums: int
    accumulator: int

    def __add__(self, other: "Wires") -> "Wires":
        return Wires(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Activity(Record):
    """Operations and toggles of an array of Hardwired-Neurons for a stream of vectors.

    `clocks` is the number of bit planes, without the latency of the pipeline. `popcounts`, `constant_multiplies`,
    `additions` (of the trees) and `accumulations` are operations of the circuit, `multiply_accumulates` those of the
    matrix product. `toggles` and `wires` are numbers by class.
    """

    vectors: int
    clocks: int
    multiply_accumulates: int
    popcounts: int
    constant_multiplies: int
    additions: int
    accumulations: int
    toggles: Wires
    wires: Wires

    def factors(self) -> dict[str, float]:
        """Return the toggles per wire and clock by class, 0 to 1 (NaN where there is no wire or clock)."""
        factors: dict[str, float] = {}
        for field in fields(Wires):
            most = getattr(self.wires, field.name) * self.clocks
            factors[field.name] = getattr(self.toggles, field.name) / most if most else float("nan")
        return factors


def measure_activity(weight_codes: Any, activations: Any, activation_bits: int = 8) -> Activity:
    """Return the `Activity` of a stream of activations (..., inputs), in C order, through (inputs, outputs) weights.

    The result is exact; it is computed with packed POPCNTs, in about 50 ms a vector of 2,880 x 2,880 weights on a core.
    Arguments and errors are those of `hardwired_matvec`.
    """
    weights = weight_codes if isinstance(weight_codes, HardwiredWeights) else prepare(weight_codes)
    given = check_activations(activations, weights.inputs, activation_bits)
    vectors = given.reshape(int(np.prod(given.shape[:-1], dtype=np.int64)), weights.inputs)
    bits = int(activation_bits)
    fan_out = np.count_nonzero(HALVES[weights.codes], axis=1)
    toggles = Wires(0, 0, 0, 0, 0, 0)
    # Blocks of consecutive vectors, with the last one of the block before to compare with.
    step = max(1, BLOCK_BYTES // (32 * weights.inputs * bits + 1))
    for start in range(0, len(vectors), step):
        first = max(0, start - 1)
        block = np.ascontiguousarray(vectors[first : start + step])
        planes = bit_planes(block, bits).reshape(len(block) * bits, weights.inputs)
        toggles += _input_toggles(planes, fan_out, (start - first) * bits)
        toggles += _neuron_toggles(weights, pack_words(planes), bits, start - first)
    clocks, regions, outputs = len(vectors) * bits, len(REGION_HALVES), weights.outputs
    return Activity(
        vectors=len(vectors),
        clocks=clocks,
        multiply_accumulates=len(vectors) * weights.codes.size,
        popcounts=clocks * regions * outputs,
        constant_multiplies=clocks * regions * outputs,
        additions=clocks * (regions - 1) * outputs,
        accumulations=clocks * outputs,
        toggles=toggles,
        wires=count_wires(weights, bits),
    )


def trace_toggles(weights: HardwiredWeights, clocks: Iterable[Clock], activation_bits: int = 8) -> Wires:
    """Return the toggles of a trace, by comparing the wires of every clock with those of the clock before."""
    fan_out = np.count_nonzero(HALVES[weights.codes], axis=1)
    sum_bits, register_bits = register_widths(weights.inputs, activation_bits)
    before: Clock | None = None
    total = Wires(0, 0, 0, 0, 0, 0)
    for now in clocks:
        flips = now.plane if before is None else now.plane ^ before.plane
        total += Wires(
            inputs=int(flips.sum()),
            ports=int(flips @ fan_out),
            counts=_flipped(now.counts, 0 if before is None else before.counts),
            products=_flipped(np.abs(now.products), 0 if before is None else np.abs(before.products)),
            sums=_flipped(now.sums, 0 if before is None else before.sums, sum_bits),
            accumulator=_flipped(now.accumulator, 0 if before is None else before.accumulator, register_bits),
        )
        before = now
    return total


def count_wires(weights: HardwiredWeights, activation_bits: int = 8) -> Wires:
    """Return the number of wires of each class, with regions of the sizes that the weights need."""
    members = np.stack([np.count_nonzero(weights.codes == code, axis=0) for code in np.flatnonzero(HALVES)])
    count_bits = np.frexp(members)[1]
    product_bits = np.frexp(members * np.abs(REGION_HALVES)[:, None])[1]
    sum_bits, register_bits = register_widths(weights.inputs, activation_bits)
    return Wires(
        inputs=weights.inputs,
        ports=int(members.sum()),
        counts=int(count_bits.sum()),
        products=int(product_bits.sum()),
        sums=weights.outputs * sum_bits,
        accumulator=weights.outputs * register_bits,
    )


def register_widths(inputs: int, activation_bits: int) -> tuple[int, int]:
    """Return the bits of a neuron's sum and of its accumulator, sign included, wide enough for any weights."""
    sum_bits = (inputs * int(np.abs(HALVES).max())).bit_length() + 1
    return sum_bits, sum_bits + activation_bits


def switching_energy_j(activity: Activity, technology: Technology) -> Number:
    """Return the energy of the toggles, in J: C V^2 / 2 each, with the capacitance C of the cell that drives the wire.

    A port drives its wire (`embedding_wire_f`) and a full adder of the POPCNT; a flip-flop drives inputs and counts; a
    full adder drives products and sums; the accumulator has a full adder and a flip-flop. The capacitance of a cell is
    its transistors x `switched_capacitance_f_per_transistor`. This is a lower bound: it omits the wires that
    `measure_activity` does not count.
    """
    cell = technology.switched_capacitance_f_per_transistor
    adder, register = cell * technology.full_adder_transistors, cell * technology.flip_flop_transistors
    toggles = activity.toggles
    switched = (
        toggles.inputs * register
        + toggles.ports * (technology.embedding_wire_f + adder)
        + toggles.counts * register
        + (toggles.products + toggles.sums) * adder
        + toggles.accumulator * (adder + register)
    )
    return 0.5 * switched * np.square(technology.supply_v)


def _input_toggles(planes: np.ndarray, fan_out: np.ndarray, skip: int) -> Wires:
    rows = planes if skip == 0 else planes[skip - 1 :]
    flips = np.count_nonzero(rows[1:] ^ rows[:-1], axis=0)
    if skip == 0:
        flips = flips + rows[0]
    return Wires(int(flips.sum()), int(flips @ fan_out), 0, 0, 0, 0)


def _neuron_toggles(weights: HardwiredWeights, words: np.ndarray, bits: int, warm: int) -> Wires:
    """Return the toggles inside the neurons, without those of the first `warm` vectors."""
    sum_bits, register_bits = register_widths(weights.inputs, bits)
    total = Wires(0, 0, 0, 0, 0, 0)
    budget = max(CACHE_BYTES, BLOCK_BYTES // max(1, len(words)))
    for chosen in output_chunks(weights.outputs, len(REGION_HALVES) * 8, budget):
        counts = region_counts(weights.masks[:, :, chosen], words)
        sums = np.einsum("krm,r->km", counts, REGION_HALVES)
        registers = _registers(sums, bits)
        skip = warm * bits
        total += Wires(
            inputs=0,
            ports=0,
            counts=_stream(counts, skip),
            products=_stream(counts * np.abs(REGION_HALVES)[:, None].astype(np.int32), skip),
            sums=_stream(sums, skip, sum_bits),
            accumulator=_stream(registers, skip, register_bits),
        )
    return total


def _registers(sums: np.ndarray, bits: int) -> np.ndarray:
    """Return the shift-accumulator after each clock, int64 (clocks, outputs), from the sums of the planes."""
    aligned = np.left_shift(sums, bits - 1).reshape(-1, bits, sums.shape[1])
    registers = np.empty_like(aligned)
    register = np.zeros_like(aligned[:, 0])
    for bit in range(bits):
        register = (register >> 1) + (aligned[:, bit] if bit < bits - 1 else -aligned[:, bit])
        registers[:, bit] = register
    return registers.reshape(sums.shape)


def _stream(values: np.ndarray, skip: int, width: int = 64) -> int:
    """Return the toggles along axis 0, counted from reset, or from the last of `skip` rows that are not counted."""
    rows = values if skip == 0 else values[skip - 1 :]
    start = _flipped(rows[0], 0, width) if skip == 0 else 0
    return start + _flipped(rows[1:], rows[:-1], width)


def _flipped(now: np.ndarray, before: np.ndarray | int, width: int = 64) -> int:
    """Return how many wires differ between two states of two's-complement numbers on `width` wires."""
    flips = np.bitwise_xor(now, before)
    if flips.dtype.kind != "i":
        raise InputError(f"wires hold {flips.dtype}: expected integers")
    mask = flips.dtype.type((1 << min(width, flips.dtype.itemsize * 8 - 1)) - 1)
    return int(np.bitwise_count(flips & mask).sum(dtype=np.int64))
