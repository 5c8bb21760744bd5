"""Processing elements: how many products one forms at once, in how many steps, from how many cells.

| kind | a product of w x a bits |
|---|---|
| bit-parallel | one multiplier; operands wider than it are cut into digits, one step for each pair of digits |
| bit-serial | weights bit by bit against whole activations, several lanes side by side (Stripes, MICRO 2016) |
| fused | small multipliers that compose: those that narrow operands leave form further products of the same sum |

Fused elements follow Bit Fusion (Sharma et al., ISCA 2018, section 3): an element of 8 bits made of multipliers of 2
bits forms 1 product of 8 x 8 bits, 4 of 4 x 4 or 16 of 2 x 2 in a step. Lanes lie along the inputs of a sum.
"""

import numpy as np

from hwbase import unknown_name
from hwbase.check import Number
from hwsim.npu.design import Npu
from hwsim.technology import Technology

KINDS = ("bit-parallel", "bit-serial", "fused")


def check_kind(kind: str) -> str:
    """Return the kind of a processing element; raises `InputError` for an unknown one."""
    if kind not in KINDS:
        raise unknown_name("kind of processing element:", kind, KINDS)
    return kind


def composed_bits(design: Npu, bits: Number) -> Number:
    """Return the width that an operand takes in a fused element: the next of brick_bits, 2 brick_bits ... pe_bits."""
    doublings = np.ceil(np.log2(np.maximum(np.asarray(bits, float) / design.brick_bits, 1.0)))
    return np.minimum(design.brick_bits * 2.0**doublings, design.pe_bits)


def lanes(design: Npu, weight_bits: Number, activation_bits: Number) -> Number:
    """Return the products of one sum that an element forms side by side."""
    if design.pe == "fused":
        weights, activations = composed_bits(design, weight_bits), composed_bits(design, activation_bits)
        return np.floor((design.pe_bits / weights) * (design.pe_bits / activations))
    one = np.ones(np.broadcast_shapes(np.shape(weight_bits), np.shape(activation_bits)))[()]
    return one * design.serial_lanes if design.pe == "bit-serial" else one


def passes(design: Npu, weight_bits: Number, activation_bits: Number) -> Number:
    """Return the clocks of one step of an element: pairs of digits, or bits of the weight."""
    activation_digits = np.ceil(np.asarray(activation_bits, float) / design.pe_bits)
    weights = np.asarray(weight_bits, float)
    weight_digits = weights if design.pe == "bit-serial" else np.ceil(weights / design.pe_bits)
    return activation_digits * weight_digits


def cells(design: Npu) -> tuple[float, float]:
    """Return the full adders of an element's multipliers and their sum, and of its accumulator with all flip-flops.

    Multipliers of w x a bits take w x a full adders. Fused ones have a bit more on each side, for signs, and an adder
    of 2 pe_bits for each multiplier but one. Bit-serial lanes have one adder of pe_bits each. Registers hold the
    operands that pass through, the next stationary operand and the sum.
    """
    bits, brick = design.pe_bits, design.brick_bits
    if design.pe == "fused":
        bricks = (bits / brick) ** 2
        adders = bricks * (brick + 1.0) ** 2 + (bricks - 1.0) * 2.0 * bits
        operand = bits * bits / brick
        registers = 3.0 * operand
    elif design.pe == "bit-serial":
        adders = design.serial_lanes * bits
        registers = design.serial_lanes * (bits + 2.0)
    else:
        adders, registers = bits * bits, 3.0 * bits
    return float(adders), float(registers)


def transistors(design: Npu, technology: Technology) -> Number:
    """Return the transistors of one element."""
    adders, registers = cells(design)
    total = adders + design.accumulator_bits
    stored = registers + design.accumulator_bits
    return total * technology.full_adder_transistors + stored * technology.flip_flop_transistors


def step_energy_j(design: Npu, technology: Technology, weight_bits: Number, activation_bits: Number) -> Number:
    """Return the switching energy of one clock of an element at these widths, in J.

    A bit-parallel multiplier whose upper bits are idle switches w x a of its cells; the others use all of theirs.
    """
    adders, registers = cells(design)
    share: Number = 1.0
    if design.pe == "bit-parallel":
        used = np.minimum(weight_bits, design.pe_bits) * np.minimum(activation_bits, design.pe_bits)
        share = used / design.pe_bits**2
    active = (adders * share + design.accumulator_bits) * technology.full_adder_transistors
    stored = (registers + design.accumulator_bits) * technology.flip_flop_transistors
    return (active + stored) * technology.switching_j_per_transistor
