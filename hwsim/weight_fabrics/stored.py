"""Weights in cells that multipliers read: mask ROM of any bits a transistor, SRAM, DRAM.

A multiplier that serves s weights takes s cycles for a token, and each weight bears 1/s of its area. `docs/models/
weight-fabrics.md` has the equations; every constant is of the book `weight-fabrics`.
"""

import numpy as np

from hwbase.check import Number, number, positive
from hwsim.circuits import accumulator_bits, carry_save_levels, mac_array, mac_transistors, pipeline_cycles
from hwsim.technology import Technology
from hwsim.weight_fabrics.fabric import UM2_PER_MM2, Constants, FabricCost, Setting
from hwsim.weights import WeightFormat
from models.memory import BITS_PER_BYTE

#: Rounding of logarithms, so that two ternary weights fit a cell of nine levels.
_ROUNDING = 1e-4
_SRAM_TRANSISTORS = 6.0
#: Most bits of one cell.
MOST_CELL_BITS = 8.0


def cells_per_weight(weights: WeightFormat, bits_per_cell: Number) -> Number:
    """Return the cells of a weight: a whole number where it fills one or more, 1/k where k weights fit in one.

    Parameters
    ----------
    weights : WeightFormat
        Of which the number of values counts.
    bits_per_cell : float or array
        log2 of the levels of a cell, above 0 and at most 8.

    Returns
    -------
    float or array

    Raises
    ------
    InputError
        For bits out of range.

    Examples
    --------
    >>> from hwsim.weights import ternary_format
    >>> [float(cells_per_weight(ternary_format(), bits)) for bits in (1, 2, 3.169925)]
    [2.0, 1.0, 0.5]
    """
    bits = np.asarray(number("bits_per_cell", bits_per_cell, above=0.0, high=MOST_CELL_BITS), dtype=float)
    needed = np.log2(len(weights.values))
    whole = np.ceil(needed / bits - _ROUNDING)
    together = np.maximum(np.floor(bits / needed + _ROUNDING), 1.0)
    return np.where(whole > 1.0, whole, 1.0 / together)[()]


def rom_cell_um2(technology: Technology, read: Constants, lines: Number, line_layers: Number) -> Number:
    """Return the area of a ROM transistor that connects to one of `lines`: its own, or that of its tracks.

    Parameters
    ----------
    technology : Technology
    read : Constants
        Of the book of fabrics.
    lines : float or array
        Signal lines that pass over a cell.
    line_layers : float or array
        Metal layers that share them.

    Returns
    -------
    float or array
        um2, without the periphery of the array.
    """
    tracks = positive("lines", lines) / positive("line_layers", line_layers) * read("rom.line_sram_ratio", "1")
    return technology.sram_bitcell_um2 * np.maximum(read("rom.transistor_sram_ratio", "1"), tracks)


def rom(fabric: str, inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of a matrix in the ROM that the table `fabric` of the book describes.

    A cell of L levels connects to one of L lines unless the book states fewer. A read discharges one bit line over its
    rows, by the swing that a sense amplifier needs. A multiplier follows every `weights_per_multiplier` weights; the
    sums of the multipliers of an output go through an adder tree, which is counted in time but not in area.

    Parameters
    ----------
    fabric : str
        "mask_rom" or "ternary_rom".
    inputs, outputs : int or array
        Sizes of the matrix.
    setting : Setting

    Returns
    -------
    FabricCost

    Raises
    ------
    InputError
        For sizes that are not positive, and bits out of range.
    """
    n, read, technology = positive("inputs", inputs, high=1e9), setting.read, setting.technology
    bits = read(f"{fabric}.bits_per_cell", "bit")
    stated = f"{fabric}.lines_per_cell"
    lines = read(stated, "1") if stated in read.book else np.exp2(bits)
    cells = cells_per_weight(setting.weights, bits)
    cell_um2 = rom_cell_um2(technology, read, lines, read(f"{fabric}.line_layers", "1"))
    share = _sharing(f"{fabric}.weights_per_multiplier", read)
    unit = mac_transistors(n, setting.weights, technology, setting.activation_bits)
    # A cell of a bit line is a drain and its side of wire; the row's gate and wire are as much again for each cell.
    wire_f = np.sqrt(cell_um2) * technology.wire_capacitance_f_per_um
    cell_f = 0.5 * technology.switched_capacitance_f_per_transistor + wire_f
    charged = read(f"{fabric}.rows_per_bitline", "1") * read("rom.bitline_swing", "1") + 1.0
    read_j = np.maximum(cells, 1.0) * charged * cell_f * np.square(technology.supply_v)
    efficiency = read("rom.array_efficiency", "1")
    return FabricCost(
        fabric=fabric,
        cell_um2_per_weight=cells * cell_um2 / number("rom.array_efficiency", efficiency, above=0.0, high=1.0),
        logic_um2_per_weight=technology.logic_area_mm2(unit) * UM2_PER_MM2 / share,
        memory_um2_per_weight=0.0,
        transistors_per_weight=cells + unit / share,
        cycles_per_token=share,
        latency_cycles=_summing_cycles(n, n / share, setting),
        energy_j_per_mac=read_j + unit * technology.switching_j_per_transistor,
        respin_masks=read(f"{fabric}.respin_masks", "mask"),
        refill_s=read(f"{fabric}.respin_s", "s"),
    )


def sram(inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of a matrix in SRAM beside multipliers: `hwsim.circuits.mac_array` at the book's sharing.

    Raises `InputError` for sizes that are not positive.
    """
    technology, share = setting.technology, _sharing("sram.weights_per_multiplier", setting.read)
    held = positive("inputs", inputs, high=1e9) * positive("outputs", outputs, high=1e9)
    circuit = mac_array(
        inputs,
        outputs,
        setting.weights,
        technology,
        macs=np.maximum(np.ceil(held / share), 1.0),
        activation_bits=setting.activation_bits,
        clock_hz=setting.clock_hz,
    )
    return FabricCost(
        fabric="sram",
        cell_um2_per_weight=technology.sram_area_mm2(circuit.sram_bits) * UM2_PER_MM2 / held,
        logic_um2_per_weight=circuit.logic_area_mm2 * UM2_PER_MM2 / held,
        memory_um2_per_weight=0.0,
        transistors_per_weight=_SRAM_TRANSISTORS * setting.weights.bits + circuit.transistors_per_weight,
        cycles_per_token=circuit.initiation_interval,
        latency_cycles=technology.sram_latency_cycles + _summing_cycles(inputs, inputs / share, setting),
        energy_j_per_mac=circuit.switching_j / held,
        respin_masks=0.0,
        refill_s=_load_s(setting),
    )


def dram(inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of a matrix in stacks of DRAM, with the multipliers that keep up with their bandwidth.

    Each stack is full, and all stacks hold a share of every matrix. Raises `InputError` for sizes that are not
    positive.
    """
    n, read, technology = positive("inputs", inputs, high=1e9), setting.read, setting.technology
    stack = positive("dram.stack_bytes", read("dram.stack_bytes", "B"))
    bandwidth = positive("dram.stack_bandwidth_bytes_per_s", read("dram.stack_bandwidth_bytes_per_s", "B/s"))
    bits = setting.weights.bits
    held, share = stack * BITS_PER_BYTE / bits, stack / bandwidth * setting.clock_hz
    unit = mac_transistors(n, setting.weights, technology, setting.activation_bits)
    return FabricCost(
        fabric="dram",
        cell_um2_per_weight=technology.hbm_phy_area_mm2 * UM2_PER_MM2 / held,
        logic_um2_per_weight=technology.logic_area_mm2(unit) * UM2_PER_MM2 / share,
        memory_um2_per_weight=bits * read("dram.bit_um2", "um**2"),
        transistors_per_weight=unit / share,
        cycles_per_token=share,
        latency_cycles=_summing_cycles(n, 1.0, setting),
        energy_j_per_mac=bits * read("dram.read_j_per_bit", "J") + unit * technology.switching_j_per_transistor,
        respin_masks=0.0,
        refill_s=_load_s(setting),
        pooled=True,
    )


def _sharing(name: str, read: Constants) -> Number:
    return number(name, read(name, "1"), low=1.0, high=1e9)


def _summing_cycles(inputs: Number, operands: Number, setting: Setting) -> Number:
    """Return the cycles in which the partial sums of `operands` multipliers become one."""
    levels = carry_save_levels(operands) + accumulator_bits(inputs, setting.weights, setting.activation_bits)
    return pipeline_cycles(levels, setting.technology, setting.clock_hz)


def _load_s(setting: Setting) -> Number:
    """Return the time in which the host loads a model."""
    model_bytes = setting.model_weights * setting.weights.bits / BITS_PER_BYTE
    return model_bytes / positive("host.bandwidth_bytes_per_s", setting.read("host.bandwidth_bytes_per_s", "B/s"))
