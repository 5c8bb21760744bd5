"""Verilog of a Cell-Embedding neuron: a constant multiplier per weight and a bit-parallel adder tree.

The baseline of "Hardwired-Neuron Language Processing Units", ASPLOS '26, doi 10.1145/3779212.3790169: weights are
silicon cells. `cell_neuron` optimises it: zero weights vanish, powers of two are wires, the others take one adder;
positive and negative weights have a tree each, joined by one subtraction. Activations are in offset binary (sign bit
inverted), so the trees need no sign extension; the constant that this adds is removed at the end. `plain_cell_neuron`
leaves the arithmetic to the synthesis tool.
"""

import numpy as np

from hwbase.check import integer
from hwsim.rtl.metal import CODE_HALVES, CellPlan, check_codes
from hwsim.rtl.netlist import ONE, ZERO, Bits, Netlist
from hwsim.rtl.staging import staged


def cell_neuron(
    codes: np.ndarray, activation_bits: int = 8, name: str = "ce_neuron", *, stages: int = 1, levels: int = 0
) -> CellPlan:
    """Return the CE neuron for the weights `codes` (inputs,): activation i on bits i x `activation_bits` of `x`.

    The product, in halves, is in the register `y` at most `stages` clocks after `x`; `levels`, in its place, is the
    most full-adder delays of a stage. Raises `InputError` for codes outside 0..15 or stages below 1.
    """
    values = CODE_HALVES[check_codes(codes)]
    width = integer("activation_bits", activation_bits, low=2, high=32)
    return staged(lambda deepest: _cell_neuron(values, width, name, deepest), stages, levels, fewest=1)


def _cell_neuron(values: np.ndarray, width: int, name: str, levels: int) -> CellPlan:
    net = Netlist(name, levels=levels)
    wires = net.input("x", values.size * width)
    sides: list[list[Bits]] = [[], []]
    for index, value in enumerate(values.tolist()):
        if value:
            bits = wires[index * width : (index + 1) * width]
            offset = [*bits[:-1], net.invert(bits[-1])]
            sides[value < 0].append(net.times(offset, abs(value)))
    out_bits = _output_bits(values, width)
    total = _joined(net, sides, out_bits, int(values.sum()) << width - 1)
    net.output("y", net.register(total))
    return CellPlan(name, net.text(), dict(net.cells), net.depths, out_bits)


def plain_cell_neuron(codes: np.ndarray, activation_bits: int = 8, name: str = "ce_plain") -> CellPlan:
    """Return the CE neuron as plain Verilog, a sum of products by constants, for the synthesis tool to optimise.

    Same ports and timing as `cell_neuron`; its cells are unknown before synthesis. Raises `InputError` for codes
    outside 0..15.
    """
    values = CODE_HALVES[check_codes(codes)]
    width = integer("activation_bits", activation_bits, low=2, high=32)
    out_bits = _output_bits(values, width)
    terms = [f"({v}) * $signed(x[{i * width} +: {width}])" for i, v in enumerate(values.tolist()) if v]
    text = (
        f"module {name}(\n  input clk,\n  input [{values.size * width - 1}:0] x,\n"
        f"  output reg signed [{out_bits - 1}:0] y\n);\n"
        f"  always @(posedge clk) y <= {' + '.join(terms) or '0'};\nendmodule\n"
    )
    return CellPlan(name, text, {}, (), out_bits)


def _output_bits(values: np.ndarray, width: int) -> int:
    largest = int(np.abs(values).sum()) << width - 1
    return max(largest.bit_length() + 1, 2)


def _joined(net: Netlist, sides: list[list[Bits]], width: int, offset: int) -> Bits:
    """Return the positive minus the negative sum, minus the `offset` of offset binary; two's complement of `width`."""
    plus, minus = (net.sum(side) for side in sides)
    if offset:
        # The constant is one more operand on the side where it is positive.
        constant = [ONE if abs(offset) >> i & 1 else ZERO for i in range(abs(offset).bit_length())]
        plus, minus = (plus, net.add(minus, constant)) if offset > 0 else (net.add(plus, constant), minus)
    return net.subtract(plus, minus, width)
