"""What a weight costs in a fabric: area, cycles, energy, and what a new model changes."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol

from hwbase import Record
from hwbase.check import Number, count, non_negative, positive
from hwsim.technology import Technology
from hwsim.weights import WeightFormat

UM2_PER_MM2 = 1e6


class Constants(Protocol):
    """Constants by name and unit: a `Reader`, or those that a machine has read."""

    @property
    def book(self) -> Container[str]:
        """The names."""

    def __call__(self, name: str, unit: str, /) -> Number:
        """Return the constant of that name."""


@dataclass(frozen=True)
class Setting:
    """What matrices of a fabric are built for; numbers may be arrays.

    `read` reads the book of fabrics, `slack` is the spare share of Metal-Embedding's ports, and `model_weights` are the
    weights that a host loads. Raises `InputError` for numbers out of range.
    """

    weights: WeightFormat
    technology: Technology
    read: Constants
    activation_bits: Number = 8
    clock_hz: Number = 1e9
    slack: Number = 0.0
    model_weights: Number = 1.0

    def __post_init__(self) -> None:
        count("activation_bits", self.activation_bits, high=64)
        positive("clock_hz", self.clock_hz, high=1e12)
        non_negative("slack", self.slack, high=100.0)
        positive("model_weights", self.model_weights)


@dataclass(frozen=True)
class FabricCost(Record):
    """A matrix in one fabric, by weight and by multiply-accumulate. Every number may be an array."""

    fabric: str
    cell_um2_per_weight: Number
    """Cells that hold the weight, decoders and sense amplifiers included; 0 where the circuit is the weight."""
    logic_um2_per_weight: Number
    """Logic: the weight's own, or its share of a multiplier."""
    memory_um2_per_weight: Number
    """Other dies, stacked or beside: DRAM."""
    transistors_per_weight: Number
    cycles_per_token: Number
    """Cycles for which the matrix is busy with one token."""
    latency_cycles: Number
    """Cycles from the last operand to the sum, in addition."""
    energy_j_per_mac: Number
    """Switching, reads and wires; leakage is of the area."""
    respin_masks: Number
    """Masks that change with the weights; of `full_set` fabrics all."""
    refill_s: Number
    """Time until other weights run: a re-spin, or a load from the host."""
    full_set: bool = False
    pooled: bool = False
    """Whether the multipliers serve all matrices in turn, rather than each its own."""

    @property
    def area_um2_per_weight(self) -> Number:
        """Area on the chip, in um2."""
        return self.cell_um2_per_weight + self.logic_um2_per_weight
