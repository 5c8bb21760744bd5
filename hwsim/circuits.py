"""Three ways to multiply a vector by fixed weights: MAC array (MA), Cell-Embedding (CE), Metal-Embedding (ME).

Each model counts full adders, flip-flops and SRAM bits from the structure of the circuit, then takes area, delay
and energy from the technology. Structure: "Hardwired-Neuron Language Processing Units", ASPLOS '26,
doi 10.1145/3779212.3790169. All numeric arguments may be arrays; `inputs` and `outputs` broadcast.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import Number, count, non_negative, positive
from hwsim.distinct import on_distinct
from hwsim.technology import Technology
from hwsim.weights import WeightFormat, signed_digits


@dataclass(frozen=True)
class Circuit(Record):
    """Size, speed and energy of one operator. Energies are for one product; leakage is over its `cycles`.

    `switching_j` is the energy of the logic and of moving operands: SRAM reads in MA, wires in CE and ME.
    """

    kind: str
    transistors: Number
    sram_bits: Number
    area_mm2: Number
    logic_area_mm2: Number
    cycles: Number
    initiation_interval: Number
    switching_j: Number
    leakage_w: Number
    leakage_j: Number
    weights: Number

    @property
    def energy_j(self) -> Number:
        """Switching plus leakage of one product, in J."""
        return self.switching_j + self.leakage_j

    @property
    def weights_per_mm2(self) -> Number:
        """Weight density, weights per mm2 of the whole operator."""
        return self.weights / self.area_mm2

    @property
    def transistors_per_weight(self) -> Number:
        """Transistors of logic per weight."""
        return self.transistors / self.weights


def metal_embedding(
    inputs: Number,
    outputs: Number,
    weights: WeightFormat,
    technology: Technology,
    *,
    activation_bits: Number = 8,
    slack: Number = 0.0,
    clock_hz: Number = 1e9,
) -> Circuit:
    """Return the ME circuit: `outputs` Hardwired-Neurons of `inputs` weights each.

    A neuron has a POPCNT and a constant multiplier for each non-zero weight value, an adder tree over them and a
    shift-accumulator; activations arrive bit by bit. `slack` is the spare share of POPCNT ports (0.1 = 10 %), so
    that any histogram near the assumed one can be embedded in metal. Full adders of a POPCNT of c ports:
    c - ceil(log2(c + 1)).

    Parameters
    ----------
    inputs, outputs : int or array
        Inputs of each neuron, and neurons, > 0.
    weights : WeightFormat
        Values of a weight and their frequencies.
    technology : Technology
    activation_bits : int or array
        Bits of an activation, 1 to 64.
    slack : float or array
        Spare share of ports, 0 to 100.
    clock_hz : float or array
        Clock frequency, Hz.

    Returns
    -------
    Circuit
        Its numbers broadcast over the arrays among the inputs.

    Raises
    ------
    InputError
        For sizes that are not positive or a slack out of range.

    Examples
    --------
    >>> from hwsim.technology import load_technology
    >>> from hwsim.weights import weight_format
    >>> n5 = load_technology("n5")
    >>> neuron = metal_embedding(2880, 1024, weight_format("fp4", n5), n5)
    >>> round(float(neuron.transistors_per_weight), 1), int(neuron.initiation_interval)
    (28.7, 8)
    """
    n, m, a = _sizes(inputs, outputs, activation_bits)
    non_negative("slack", slack, high=100.0)
    # Each input is a shift register of a bits, shared by all neurons.
    transistors = m * neuron_transistors(n, weights, technology, a, slack) + n * a * technology.flip_flop_transistors
    # Adders, shift registers and the wires to the ports switch once in each bit plane.
    evaluations = transistors * a
    wires_j = _wires_j(n * m, weights, a, technology)
    drain = pipeline_cycles(neuron_levels(n, weights, slack), technology, clock_hz)
    cycles = np.maximum(operand_cycles(n, a, technology), a) + drain
    return _circuit("ME", n * m, transistors, 0.0, cycles, a, evaluations, wires_j, technology, clock_hz)


def neuron_transistors(
    inputs: Number, weights: WeightFormat, technology: Technology, activation_bits: Number, slack: Number
) -> Number:
    """Return the transistors of one Hardwired-Neuron, without the registers of its inputs.

    Parameters
    ----------
    inputs : int or array
        Weights of the neuron.
    weights : WeightFormat
    technology : Technology
    activation_bits : int or array
    slack : float or array
        Spare share of ports.

    Returns
    -------
    float or array
        Transistors; broadcasts.
    """
    adders, registers = on_distinct(
        lambda n, bits, spare: neuron_cells(n, weights, bits, spare), inputs, activation_bits, slack
    )
    return adders * technology.full_adder_transistors + registers * technology.flip_flop_transistors


def neuron_cells(
    inputs: Number, weights: WeightFormat, activation_bits: Number, slack: Number
) -> tuple[Number, Number]:
    """Return the cells of one Hardwired-Neuron, without the registers of its inputs.

    Parameters
    ----------
    inputs : int or array
        Weights of the neuron.
    weights : WeightFormat
    activation_bits : int or array
    slack : float or array
        Spare share of ports.

    Returns
    -------
    full_adders, flip_flops : float or array
        They broadcast.
    """
    n = np.asarray(inputs, dtype=float) * (1.0 + slack)
    popcnt: Number = 0.0
    constants: Number = 0.0
    counters: Number = 0.0
    for value, frequency, times in _regions(weights):
        ports = n * frequency
        bits = np.ceil(np.log2(ports + 1.0))
        popcnt = popcnt + times * np.maximum(ports - bits, 0.0)
        constants = constants + times * (signed_digits(value) - 1) * (bits + value.bit_length())
        counters = counters + times * bits
    regions = len(weights.nonzero[0])
    product_bits = _widest_count(n, weights) + weights.magnitude_bits
    accumulator_bits = product_bits + np.log2(regions) + activation_bits
    adders = popcnt + constants + (regions - 1) * (product_bits + 1.0) + accumulator_bits
    return adders, counters + accumulator_bits


def neuron_levels(inputs: Number, weights: WeightFormat, slack: Number) -> Number:
    """Return the full-adder delays through one Hardwired-Neuron.

    Carry-save levels reduce the widest region by 3:2, then a carry ripples through its count. The tree over the regions
    adds two levels for each doubling, and its sum a last carry.
    """
    n = np.asarray(inputs, dtype=float) * (1.0 + slack)
    widest = _widest_count(n, weights)
    tree = 2.0 * np.ceil(np.log2(len(weights.nonzero[0])))
    return carry_save_levels(n * np.max(weights.nonzero[1])) + 2.0 * widest + tree + weights.magnitude_bits


def _widest_count(ports: Number, weights: WeightFormat) -> Number:
    """Return the bits of the largest region's count."""
    return np.ceil(np.log2(ports * np.max(weights.nonzero[1]) + 1.0))


def _regions(weights: WeightFormat) -> list[tuple[int, float, int]]:
    """Return (magnitude, frequency, number) of the non-zero regions; equal ones, such as +v and -v, are one entry."""
    values, frequencies = weights.nonzero
    alike = Counter((int(abs(v)), round(float(f), 12)) for v, f in zip(values, frequencies, strict=True))
    return [(value, frequency, times) for (value, frequency), times in alike.items()]


def cell_embedding(
    inputs: Number,
    outputs: Number,
    weights: WeightFormat,
    technology: Technology,
    *,
    activation_bits: Number = 8,
    clock_hz: Number = 1e9,
) -> Circuit:
    """Return the CE circuit: a constant multiplier per weight and an adder tree per output, bit-parallel.

    A multiplier by a constant with d signed digits takes d - 1 adders of the activation's width. A product by 2^t x odd
    has as many live bits as the activation and the odd part, since its trailing zeros are wires; level k of the tree
    adds operands of k - 1 bits more. Zero weights take nothing.

    Parameters
    ----------
    inputs, outputs : int or array
        Inputs of each output, and outputs, > 0.
    weights : WeightFormat
        Values of a weight and their frequencies.
    technology : Technology
    activation_bits : int or array
        Bits of an activation, 1 to 64.
    clock_hz : float or array
        Clock frequency, Hz.

    Returns
    -------
    Circuit
        Its numbers broadcast over the arrays among the inputs.

    Raises
    ------
    InputError
        For sizes that are not positive.
    """
    n, m, a = _sizes(inputs, outputs, activation_bits)
    used = n * (1.0 - weights.zero_fraction)
    digits = np.array([max(signed_digits(v) - 1, 0) for v in weights.values])
    multiplier = float((digits * weights.histogram).sum()) * a
    live_bits = a + weights.odd_part_bits
    # Sum over levels k of (live_bits + k - 1) / 2^k per operand tends to live_bits + 1.
    tree = np.maximum(used - 1.0, 0.0) * (live_bits + 1.0)
    sum_bits = accumulator_bits(n, weights, a)
    adders = n * multiplier + tree
    registers = n * a / m + sum_bits
    transistors = m * (adders * technology.full_adder_transistors + registers * technology.flip_flop_transistors)
    levels = carry_save_levels(used) + sum_bits + a
    cycles = operand_cycles(n, a, technology) + pipeline_cycles(levels, technology, clock_hz)
    # Operands take the same wire length whether bits arrive in turn on one wire or together on several.
    wires_j = _wires_j(n * m, weights, a, technology)
    return _circuit("CE", n * m, transistors, 0.0, cycles, 1.0, transistors, wires_j, technology, clock_hz)


def mac_array(
    inputs: Number,
    outputs: Number,
    weights: WeightFormat,
    technology: Technology,
    *,
    macs: Number = 1024,
    activation_bits: Number = 8,
    clock_hz: Number = 1e9,
) -> Circuit:
    """Return the MA circuit: `macs` multiply-accumulate units fed with weights from an SRAM that holds them all.

    A generic multiplier takes a x b full adders, its accumulator product + log2(inputs) bits. Every weight is read
    from SRAM once a product. `area_mm2` includes the SRAM; `logic_area_mm2` is that of the MACs.

    Parameters
    ----------
    inputs, outputs : int or array
        Inputs of each output, and outputs, > 0.
    weights : WeightFormat
        Values of a weight and their frequencies.
    technology : Technology
    macs : int or array
        Multiply-accumulate units.
    activation_bits : int or array
        Bits of an activation, 1 to 64.
    clock_hz : float or array
        Clock frequency, Hz.

    Returns
    -------
    Circuit
        Its numbers broadcast over the arrays among the inputs.

    Raises
    ------
    InputError
        For sizes that are not positive.
    """
    n, m, a = _sizes(inputs, outputs, activation_bits)
    units = count("macs", macs)
    bits = n * m * weights.bits
    transistors = units * mac_transistors(n, weights, technology, a)
    passes = np.ceil(n * m / units)
    cycles = operand_cycles(n, a, technology) + passes + technology.sram_latency_cycles
    reads_j = bits * technology.sram_read_energy_j_per_bit
    return _circuit("MA", n * m, transistors, bits, cycles, passes, transistors * passes, reads_j, technology, clock_hz)


def mac_transistors(inputs: Number, weights: WeightFormat, technology: Technology, activation_bits: Number) -> Number:
    """Return the transistors of one multiply-accumulate unit, its operand and sum registers included.

    Parameters
    ----------
    inputs : int or array
        Products of a sum, which set the width of the accumulator.
    weights : WeightFormat
    technology : Technology
    activation_bits : int or array

    Returns
    -------
    float or array
        Transistors; broadcasts.
    """
    sum_bits = accumulator_bits(inputs, weights, activation_bits)
    adders = activation_bits * (weights.magnitude_bits + 1.0) + sum_bits
    registers = activation_bits + weights.bits + sum_bits
    return adders * technology.full_adder_transistors + registers * technology.flip_flop_transistors


def accumulator_bits(inputs: Number, weights: WeightFormat, activation_bits: Number) -> Number:
    """Return the bits of a sum of `inputs` products."""
    return activation_bits + weights.magnitude_bits + np.log2(np.maximum(inputs, 1.0))


def operand_cycles(inputs: Number, activation_bits: Number, technology: Technology) -> Number:
    """Return the cycles to bring one activation vector over the operand bus of a stand-alone operator."""
    return np.ceil(inputs * activation_bits / technology.operand_bus_bits)


def carry_save_levels(operands: Number) -> Number:
    """Return the levels of a 3:2 carry-save tree over `operands` (each level leaves two thirds of them)."""
    return np.ceil(np.log(np.maximum(operands, 2.0) / 2.0) / np.log(1.5)) + 1.0


def pipeline_cycles(levels: Number, technology: Technology, clock_hz: Number) -> Number:
    """Return the cycles that `levels` full-adder delays take at `clock_hz`."""
    per_cycle = technology.usable_cycle / (positive("clock_hz", clock_hz, high=1e12) * technology.full_adder_delay_s)
    return np.ceil(levels / per_cycle)


def _wires_j(connections: Number, weights: WeightFormat, activation_bits: Number, technology: Technology) -> Number:
    """Return the energy of bringing an operand to every weight that is not zero, in J a product."""
    return connections * (1.0 - weights.zero_fraction) * activation_bits * technology.wire_j_per_bit


def _sizes(inputs: Number, outputs: Number, activation_bits: Number) -> tuple[Number, Number, Number]:
    n, m = positive("inputs", inputs, high=1e9), positive("outputs", outputs, high=1e9)
    return n, m, count("activation_bits", activation_bits, high=64)


def _circuit(
    kind: str,
    weights: Number,
    transistors: Number,
    sram_bits: Number,
    cycles: Number,
    interval: Number,
    evaluations: Number,
    moving_j: Number,
    technology: Technology,
    clock_hz: Number,
) -> Circuit:
    logic = technology.logic_area_mm2(transistors)
    area = logic + technology.sram_area_mm2(sram_bits)
    leakage_w = area * technology.leakage_w_per_mm2
    return Circuit(
        kind=kind,
        transistors=transistors,
        sram_bits=sram_bits,
        area_mm2=area,
        logic_area_mm2=logic,
        cycles=cycles,
        initiation_interval=interval,
        switching_j=evaluations * technology.switching_j_per_transistor + moving_j,
        leakage_w=leakage_w,
        leakage_j=leakage_w * cycles / positive("clock_hz", clock_hz, high=1e12),
        weights=weights,
    )
