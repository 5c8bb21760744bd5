"""Verilog of the unit of a MAC array: an activation times an FP4 weight that arrives with it, accumulated.

The baseline of "Hardwired-Neuron Language Processing Units", ASPLOS '26, doi 10.1145/3779212.3790169, whose weights are
in SRAM. The weight is decoded to a sign and four bits of halves; the activation is in offset binary, so that the rows
of the multiplier need no sign extension, and the offset is subtracted with them. The product is complemented where the
weight is negative, and the 1 that completes it joins the sum as a carry.
"""

from hwbase.check import integer
from hwsim.rtl.metal import CODE_HALVES, CellPlan
from hwsim.rtl.netlist import ZERO, Bits, Netlist
from hwsim.rtl.staging import staged

#: Bits of the largest weight in halves.
_MAGNITUDE_BITS = int(CODE_HALVES.max()).bit_length()


def mac_unit(
    inputs: int, activation_bits: int = 8, name: str = "mac_unit", *, stages: int = 2, levels: int = 0
) -> CellPlan:
    """Return a multiply-accumulate unit whose sum holds `inputs` products, in halves.

    `first` marks the operands that start a sum, `control_clocks` after they were on `x` and `w`. `stages` is the most
    registers between operands and the sum; two are one after the product and the sum itself. `levels`, in its place, is
    the most full-adder delays of a stage. Sums and carries are kept apart where a carry that ripples would bound the
    clock. Raises `InputError` for sizes that are not positive or stages below 2.
    """
    most = integer("inputs", inputs, high=1e6) * int(CODE_HALVES.max())
    width = integer("activation_bits", activation_bits, low=2, high=32)
    bits = (most << width - 1).bit_length() + 1

    def build(deepest: int) -> CellPlan:
        ways = (False, True) if deepest else (False,)
        plans = [_mac_unit(width, bits, name, deepest, saved) for saved in ways]
        return min(plans, key=lambda plan: (plan.stages, plan.cells["DFF"]))

    return staged(build, stages, levels, fewest=2)


def _mac_unit(width: int, bits: int, name: str, levels: int = 0, saved_carries: bool = False) -> CellPlan:
    net = Netlist(name, levels=levels)
    x, w, first = net.input("x", width), net.input("w", 4), net.held_input("first", 1)[0]
    product = [net.xor(bit, w[3]) for bit in _product(net, x, _halves(net, w))]
    negative = w[3]
    if not levels:
        *product, negative = net.register([*product, negative])
    sum_in = _save if saved_carries or 0 < levels < bits else _ripple
    result, control_clocks = sum_in(net, product, negative, bits, first)
    net.output("y", result)
    return CellPlan(name, net.text(), dict(net.cells), net.depths, bits, control_clocks)


def _halves(net: Netlist, code: Bits) -> Bits:
    """Return the magnitude of an FP4 code in halves: 0, 1, 2, 3, 4, 6, 8, 12."""
    mantissa, low, high, _ = code
    even, odd = net.and_not(low, high), net.and_not(high, low)
    both = net.and_(high, low)
    # At most one of two terms is 1 in each bit.
    return [
        net.and_not(mantissa, high),
        net.xor(even, net.and_(odd, mantissa)),
        net.xor(odd, net.and_(both, mantissa)),
        both,
    ]


def _product(net: Netlist, x: Bits, magnitude: Bits) -> Bits:
    """Return activation times magnitude in two's complement."""
    offset = [*x[:-1], net.invert(x[-1])]
    rows = [[ZERO] * i + [net.and_(bit, row) for bit in offset] for i, row in enumerate(magnitude)]
    return net.subtract(net.sum(rows), [ZERO] * (len(x) - 1) + magnitude, len(x) + _MAGNITUDE_BITS)


def _ripple(net: Netlist, product: Bits, negative: str, bits: int, first: str) -> tuple[Bits, int]:
    """Return the sum that adds the product, and its stage."""
    *product, negative = net.align([*product, negative], bits)
    held = net.wires(bits)
    total = net.add_signed([net.and_not(bit, first) for bit in held], product, bits, carry=negative)
    stage = net.stage(total)
    net.register(total, into=held, stage=stage)
    return held, stage


def _save(net: Netlist, product: Bits, negative: str, bits: int, first: str) -> tuple[Bits, int]:
    """Return the sum of an accumulator that keeps sums and carries apart, added up behind it, and its stage."""
    *product, negative = net.align([*product, negative], 1)
    saved, carried = net.wires(bits), net.wires(bits - 1)
    wide = [*product, *[product[-1]] * (bits - len(product))]
    sums, carries = [], []
    for bit, s, c in zip(wide, saved, [None, *carried], strict=True):
        total, carry = net.full_adder(net.and_not(s, first), negative if c is None else net.and_not(c, first), bit)
        sums.append(total)
        carries.append(carry)
    stage = net.stage(sums)
    net.register(sums, into=saved, stage=stage)
    net.register(carries[:-1], into=carried, stage=stage)
    return net.register(net.add(saved, [ZERO, *carried])[:bits]), stage
