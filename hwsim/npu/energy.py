"""Energy of a product by level: elements, buffers, DRAM, leakage."""

from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwsim.npu.design import Npu
from hwsim.npu.elements import step_energy_j
from hwsim.npu.product import Product
from hwsim.npu.tiling import element_rates
from hwsim.npu.timing import Tiles
from hwsim.technology import Technology

_BITS_PER_BYTE = 8.0


@dataclass(frozen=True)
class Energy(Record):
    """Joules of one product by level; `leakage_j` is that of the whole die over the product's time."""

    elements_j: float
    buffers_j: float
    memory_j: float
    leakage_j: float

    @property
    def total_j(self) -> float:
        """Joules of all levels."""
        return self.elements_j + self.buffers_j + self.memory_j + self.leakage_j


@dataclass(frozen=True)
class Traffic(Record):
    """Bytes between DRAM and buffers by operand, and bits read and written in the buffers by the array."""

    weight_bytes: float
    input_bytes: float
    sum_bytes: float
    output_bytes: float
    array_bits: float

    @property
    def memory_bytes(self) -> float:
        """Bytes to and from DRAM."""
        return self.weight_bytes + self.input_bytes + self.sum_bytes + self.output_bytes


def traffic(design: Npu, product: Product, walk: Tiles) -> Traffic:
    """Return the bytes and bits that the tiles of a product move.

    The array reads the operand that stays once a fold, the one that streams once a fold across, and reads and writes
    sums once a fold along the rows, unless they stay.
    """
    fold, weight_bits, bits = walk.fold, product.weight_bits, product.activation_bits
    weights = walk.inputs * walk.outputs * weight_bits
    inputs = walk.tokens * walk.inputs * bits
    sums = 2.0 * walk.tokens * walk.outputs * design.accumulator_bits
    if design.dataflow == "weight":
        read = weights + inputs * fold.column_folds + sums * fold.row_folds
    elif design.dataflow == "output":
        read = weights * fold.row_folds + inputs * fold.column_folds + sums
    else:
        read = product.input_elements(walk.tokens, walk.inputs) * bits + weights * fold.column_folds
        read = read + sums * fold.row_folds
    partial = float(np.sum(walk.store_bytes[walk.partial]))
    return Traffic(
        weight_bytes=float(np.sum(walk.load_bytes["weights"])),
        input_bytes=float(np.sum(walk.load_bytes["inputs"])),
        sum_bytes=float(np.sum(walk.load_bytes["sums"])) + partial,
        output_bytes=float(np.sum(walk.store_bytes)) - partial,
        array_bits=float(np.sum(read)),
    )


def energy(
    design: Npu, technology: Technology, product: Product, walk: Tiles, *, cycles: float, area_mm2: float
) -> Energy:
    """Return the joules of a product.

    Parameters
    ----------
    design : Npu
    technology : Technology
    product : Product
    walk : Tiles
        Its tiles.
    cycles : float
        Its clocks, for leakage.
    area_mm2 : float
        The die, for leakage.

    Returns
    -------
    Energy
        Elements that a fold does not use are gated. A bit to or from DRAM also passes a buffer once.
    """
    _, clocks = element_rates(design, product)
    steps = np.sum(walk.fold.rows * walk.fold.columns * walk.fold.steps) * clocks
    moved = traffic(design, product, walk)
    memory_bits = moved.memory_bytes * _BITS_PER_BYTE
    return Energy(
        elements_j=float(steps * step_energy_j(design, technology, product.weight_bits, product.activation_bits)),
        buffers_j=float((moved.array_bits + memory_bits) * technology.sram_read_energy_j_per_bit),
        memory_j=float(memory_bits * design.memory_energy_j_per_bit),
        leakage_j=float(area_mm2 * technology.leakage_w_per_mm2 * cycles / design.clock_hz),
    )
