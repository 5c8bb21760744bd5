"""Verilog of a Metal-Embedding neuron: cells that do not depend on the weights, and the wires that do.

Activations arrive bit by bit, least significant first. Every region (one per non-zero weight value) counts the ones on
its ports; the counts are multiplied by their constants, summed, and accumulated with a shift; the last bit plane, the
sign of two's complement, is subtracted. Structure: "Hardwired-Neuron Language Processing Units", ASPLOS '26,
doi 10.1145/3779212.3790169, Metal-Embedding.

Timing: bit plane t is on `x` before clock edge t. The control bits `first` and `last` (shared by all neurons, so
generated outside) mark the planes 0 and `activation_bits` - 1 as they reach the accumulator, `control_clocks` after
they were on `x`. `stages` - 1 clocks after the last plane, `y` holds the product in units of one half. Two stages have
registers after the counts and in the accumulator. With more, no stage is deeper than it must be; where a carry that
ripples through the accumulator would bound the clock, it keeps sums and carries apart.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import integer, real
from hwsim.kernels.planes import HALVES
from hwsim.rtl.netlist import ZERO, Bits, Netlist
from hwsim.rtl.staging import staged
from hwsim.weights import WeightFormat

#: Values of the FP4 codes 0..15 in halves, wide enough to multiply by.
CODE_HALVES = HALVES.astype(np.int64)
#: The regions of a neuron: the 14 non-zero values, in halves.
REGIONS = tuple(sorted({int(value) for value in CODE_HALVES if value}, key=lambda v: (abs(v), -v)))


@dataclass(frozen=True)
class CellPlan(Record):
    """A netlist and its properties before synthesis.

    `cells` by kind; `depths` are the full-adder delays of each stage between registers, `output_bits` the width of the
    product; control bits come `control_clocks` after the bit plane, or operand, that they mark.
    """

    name: str
    verilog: str
    cells: dict[str, int]
    depths: tuple[int, ...]
    output_bits: int
    control_clocks: int = 0

    @property
    def stages(self) -> int:
        """Registers between an input and the product."""
        return max(len(self.depths), 1)


def check_codes(codes: np.ndarray) -> np.ndarray:
    """Return weight codes of one neuron (inputs,) as uint8. Raises `InputError` unless all are in 0..15."""
    array = np.asarray(codes)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"weight codes have shape {array.shape}: expected one neuron, (inputs,)")
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 15:
        raise InputError("weight codes: expected whole numbers from 0 to 15")
    return array.astype(np.uint8)


def check_ports(ports: dict[int, int]) -> dict[int, int]:
    """Return `ports` in the order of `REGIONS`. Raises `InputError` for a value that is not FP4, or without ports."""
    unknown = [value for value in ports if value not in REGIONS]
    if unknown:
        raise InputError(f"region {unknown[0]!r}: expected a non-zero FP4 value in halves, one of {REGIONS}")
    known = {value: integer(f"ports of region {value}", ports.get(value, 0), low=0, high=1e6) for value in REGIONS}
    if not any(known.values()):
        raise InputError("a neuron without ports: expected at least one region with a port")
    return known


def region_ports(inputs: int, weights: WeightFormat, slack: float = 0.0) -> dict[int, int]:
    """Return the ports of each region, by value in halves: `inputs` x frequency x (1 + `slack`), rounded up.

    Ports depend on the format, not on the weights of one neuron. Raises `InputError` for a format other than FP4.
    """
    n = integer("inputs", inputs, high=1e6)
    spare = 1.0 + real("slack", slack, high=100.0, low=0.0)
    values, frequencies = weights.nonzero
    if not set(values.tolist()) <= set(REGIONS):
        raise InputError(f"weight format {weights.name!r}: expected fp4")
    ports = zip(values.tolist(), np.ceil(n * frequencies * spare - 1e-9).astype(int).tolist(), strict=True)
    return check_ports(dict(ports))


def ports_of(codes: np.ndarray) -> dict[int, int]:
    """Return the fewest ports that hold the weights `codes` (inputs,): their histogram.

    A neuron with zero weights only gets a single port, tied to 0. Raises `InputError` for codes outside 0..15.
    """
    values, counts = np.unique(CODE_HALVES[check_codes(codes)], return_counts=True)
    ports = {value: times for value, times in zip(values.tolist(), counts.tolist(), strict=True) if value}
    return check_ports(ports or {REGIONS[0]: 1})


def metal_cells(
    ports: dict[int, int], activation_bits: int = 8, name: str = "hn_cells", *, stages: int = 2, levels: int = 0
) -> CellPlan:
    """Return the cells of a neuron with `ports` per region (value in halves: ports), independent of weights.

    `stages` is the most registers between a bit plane and the product, 2 or more; `levels`, in its place, the most
    full-adder delays of a stage. Raises `InputError` for invalid ports, widths or stages.
    """
    regions = check_ports(ports)
    steps = integer("activation_bits", activation_bits, low=2, high=32)

    def build(deepest: int) -> CellPlan:
        ways = (False, True) if deepest else (False,)
        plans = [_metal_cells(regions, steps, name, deepest, saved) for saved in ways]
        return min(plans, key=lambda plan: (plan.stages, plan.cells["DFF"]))

    return staged(build, stages, levels, fewest=2)


def _metal_cells(
    regions: dict[int, int], steps: int, name: str, levels: int = 0, saved_carries: bool = False
) -> CellPlan:
    """Return the cells with at most `levels` full-adder delays in a stage (0: two stages).

    Carries are saved in the accumulator where they cannot ripple within `levels`, or if wanted.
    """
    net = Netlist(name, levels=levels)
    inputs = {value: net.input(port_name(value), size) for value, size in regions.items()}
    first, last = net.held_input("first", 1)[0], net.held_input("last", 1)[0]
    counts = {value: net.count_ones(bits) for value, bits in inputs.items() if bits}
    held = counts if levels else {value: net.register(bits) for value, bits in counts.items()}
    sides = [[net.times(b, abs(v)) for v, b in held.items() if (v > 0) == positive] for positive in (True, False)]
    plane_sum, width = _difference(net, sides, regions)
    # A complement, then a carry through every bit and the sign.
    saved = saved_carries or 0 < levels < width + 2
    accumulate = _accumulate_saved if saved else _accumulate
    result, control_clocks = accumulate(net, plane_sum, width, steps, first, last)
    net.output("y", result)
    return CellPlan(name, net.text(), dict(net.cells), net.depths, len(result), control_clocks)


def _difference(net: Netlist, sides: list[list[Bits]], regions: dict[int, int]) -> tuple[Bits, int]:
    """Return the sum of the positive regions minus that of the negative ones, and its width in two's complement."""
    most = max(sum(abs(v) * n for v, n in regions.items() if (v > 0) == side) for side in (True, False))
    width = most.bit_length() + 1
    plus, minus = (net.sum(side) for side in sides)
    return net.subtract(plus, minus, width), width


def _accumulate(net: Netlist, addend: Bits, width: int, steps: int, first: str, last: str) -> tuple[Bits, int]:
    """Return the shift-accumulator and its stage: high = (high + addend) / 2, the bits shifted out below.

    The last addend is subtracted. The high part stays within the range of the addend, so `width` bits hold it and
    `steps` bits those shifted out.
    """
    high, low = net.wires(width), net.wires(steps)
    signed = [net.xor(bit, last) for bit in net.align(addend, width + 2)]
    started = [net.and_not(bit, first) for bit in high]
    total = net.add_signed(started, signed, width + 1, carry=last)
    stage = net.stage(total)
    net.register(total[1:], into=high)
    net.register([*low[1:], total[0]], into=low, stage=stage)
    return [*low, *high], stage


def _accumulate_saved(net: Netlist, addend: Bits, width: int, steps: int, first: str, last: str) -> tuple[Bits, int]:
    """Return the product of a shift-accumulator that keeps sums and carries apart, and the accumulator's stage.

    The addend's sign bit is inverted, which adds 2^(width - 1) to it: no sign is extended. Over all planes, with the 1
    that `first` puts into the top bit, that is 2^(width - 1 + steps), so the product's top bit is inverted at the end.
    The 1 that completes the negated last addend is added to its lowest bit, `steps` - 1.
    """
    saved, carried, low = net.wires(width - 1), net.wires(width), net.wires(steps)
    # A complement, then an adder, in one stage.
    signed = [net.xor(bit, last) for bit in net.align(addend, 2)]
    signed[-1] = net.invert(signed[-1])
    sums, carries = [], []
    for bit, s, c in zip(signed, [*saved, None], carried, strict=True):
        total, carry = net.full_adder(first if s is None else net.and_not(s, first), net.and_not(c, first), bit)
        sums.append(total)
        carries.append(carry)
    stage = net.stage(sums)
    net.register(sums[1:], into=saved, stage=stage)
    net.register(carries, into=carried, stage=stage)
    net.register([*low[1:], sums[0]], into=low, stage=stage)
    # Adding 1 to a bit inverts it, and carries the bit.
    high, carry = [], low[-1]
    for s, c in zip([*saved, ZERO], carried, strict=True):
        total, carry = net.full_adder(s, c, carry)
        high.append(total)
    return net.register([*low[:-1], net.invert(low[-1]), *high[:-1], net.invert(high[-1])]), stage


def metal_wiring(codes: np.ndarray, ports: dict[int, int], name: str = "hn_wiring") -> str:
    """Return the module that wires inputs `x` to region ports for the weights `codes`; spare ports are tied to 0.

    This is the only part of a neuron that depends on its weights: metal without cells. Inputs of weight zero are not
    connected. Raises `InputError` naming a region with too few ports.
    """
    array = check_codes(codes)
    values = CODE_HALVES[array]
    regions = check_ports(ports)
    outputs = [f"input [{array.size - 1}:0] x"]
    lines = []
    for value, size in regions.items():
        wired = np.flatnonzero(values == value)
        if len(wired) > size:
            raise InputError(f"weight {value / 2:+g} occurs {len(wired)} times: its region has {size} ports")
        if size:
            outputs.append(f"output [{size - 1}:0] {port_name(value)}")
            sources = [*(f"x[{i}]" for i in wired), *[ZERO] * (size - len(wired))]
            lines.append(f"assign {port_name(value)} = {{{', '.join(reversed(sources))}}};")
    body = "".join(f"  {line}\n" for line in lines)
    return f"module {name}(\n  " + ",\n  ".join(outputs) + f"\n);\n{body}endmodule\n"


def metal_neuron(codes: np.ndarray, plan: CellPlan, ports: dict[int, int], name: str = "hn_neuron") -> str:
    """Return the wiring for `codes` and the module `name` that joins it to the cells of `plan` (not included)."""
    inputs, top = check_codes(codes).size, plan.output_bits - 1
    regions = {port_name(value): size for value, size in check_ports(ports).items() if size}
    wires = "".join(f"  wire [{size - 1}:0] {region};\n" for region, size in regions.items())
    joined = ", ".join(f".{region}({region})" for region in regions)
    return (
        f"{metal_wiring(codes, ports)}\n"
        f"module {name}(input clk, input first, input last, input [{inputs - 1}:0] x, output [{top}:0] y);\n{wires}"
        f"  hn_wiring wiring(.x(x), {joined});\n"
        f"  {plan.name} cells(.clk(clk), .first(first), .last(last), {joined}, .y(y));\nendmodule\n"
    )


def port_name(value: int) -> str:
    """Return the Verilog name of the region of `value` halves."""
    return f"{'plus' if value > 0 else 'minus'}_{abs(value)}"
