"""The arrays of a chip in the fabric of its machine: area, power, and the cycles of a pass through a matrix.

In Metal-Embedding, the HNLPU's, a matrix is Hardwired-Neurons whose power does not depend on their work. In the others
it costs what `hwsim.weight_fabrics` says: a token takes energy for each weight that it meets, and leakage the rest.
"""

from typing import Any

import numpy as np

from hwbase.check import Number
from hwsim.circuits import neuron_levels, neuron_transistors, pipeline_cycles
from hwsim.design import HardwiredDesign
from hwsim.mapping import Matrix, matrices
from hwsim.pipeline import fullest_layers
from hwsim.technology import Technology
from hwsim.weight_fabrics.fabric import UM2_PER_MM2, FabricCost, Setting
from hwsim.weight_fabrics.kinds import fabric_format, matrix_cost
from hwsim.weight_fabrics.machine import METAL
from hwsim.weights import WeightFormat
from models import LLMSpec

#: Cycles for which a token occupies an array where every weight is a circuit of its own.
_AT_ONCE = 1


def array_format(design: HardwiredDesign, technology: Technology) -> WeightFormat:
    """Return the format of a machine's weights. Raises `InputError` for an unknown one."""
    return fabric_format(design.weight_format, technology)


def hn_array(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> tuple[Number, Number]:
    """Return (area in mm2, weights) of the arrays of one chip; of Metal-Embedding neurons and input registers."""
    if design.fabric != METAL:
        area_mm2: Number = 0.0
        held: Number = 0.0
        for matrix, cost in _costs(model, design, technology):
            area_mm2 = area_mm2 + cost.area_um2_per_weight * matrix.weights / UM2_PER_MM2
            held = held + matrix.weights
        return area_mm2, held
    fmt = array_format(design, technology)
    bits = design.activation_bits
    neurons: dict[Any, Number] = {}
    transistors: Number = 0.0
    weights: Number = 0.0
    for matrix in matrices(model, design.rows, design.columns, design.pipeline_stages):
        # Matrices that share an input vector, or its length, have the same neurons.
        key = id(matrix.inputs) if np.ndim(matrix.inputs) else float(matrix.inputs)
        if key not in neurons:
            neurons[key] = neuron_transistors(matrix.inputs, fmt, technology, bits, design.popcnt_slack)
        inputs = matrix.inputs * bits * technology.flip_flop_transistors
        transistors = transistors + (matrix.outputs * neurons[key] + inputs) * (matrix.copies * matrix.layers)
        weights = weights + matrix.weights
    return technology.logic_area_mm2(transistors), weights


def static_w_per_mm2(design: HardwiredDesign, technology: Technology) -> Number:
    """Return the power that arrays take at all times: all of Metal-Embedding's, the leakage of other fabrics."""
    return technology.hn_static_w_per_mm2 if design.fabric == METAL else technology.leakage_w_per_mm2


def dynamic_w(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> Number:
    """Return the power that the arrays of a mean chip take more while tokens follow each other without a gap."""
    if design.fabric == METAL:
        return 0.0
    energy_j = sum(
        cost.energy_j_per_mac * matrix.weights * matrix.active for matrix, cost in _costs(model, design, technology)
    )
    # The fullest stage has more layers than the mean.
    even = model.layers / (design.pipeline_stages * fullest_layers(model.layers, design.pipeline_stages))
    return energy_j * even * design.clock_hz / interval_cycles(design)


def interval_cycles(design: HardwiredDesign) -> Number:
    """Return the cycles for which a token occupies an array.

    Metal takes an activation bit by bit; a multiplier meets its weights one after the other.
    """
    if design.fabric == METAL:
        return design.activation_bits
    return design.fabric_constants.book.get(f"{design.fabric}.weights_per_multiplier", _AT_ONCE)


def pass_cycles(matrix: Matrix, design: HardwiredDesign, technology: Technology, fmt: WeightFormat) -> Number:
    """Return the cycles of a token through a matrix, from the first operand to the sum.

    Parameters
    ----------
    matrix : Matrix
    design : HardwiredDesign
    technology : Technology
    fmt : WeightFormat
        The format of the machine's weights.

    Returns
    -------
    int or array
    """
    if design.fabric == METAL:
        levels = neuron_levels(matrix.inputs, fmt, design.popcnt_slack)
        return design.activation_bits + pipeline_cycles(levels, technology, design.clock_hz)
    cost = matrix_cost(design.fabric, matrix.inputs, matrix.outputs, _setting(design, technology, fmt))
    return cost.cycles_per_token + cost.latency_cycles


def _costs(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> list[tuple[Matrix, FabricCost]]:
    setting = _setting(design, technology, array_format(design, technology))
    placed = matrices(model, design.rows, design.columns, design.pipeline_stages)
    return [(each, matrix_cost(design.fabric, each.inputs, each.outputs, setting)) for each in placed]


def _setting(design: HardwiredDesign, technology: Technology, fmt: WeightFormat) -> Setting:
    return Setting(
        weights=fmt,
        technology=technology,
        read=design.fabric_constants,
        activation_bits=design.activation_bits,
        clock_hz=design.clock_hz,
        slack=design.popcnt_slack,
    )
