"""A module of Verilog built bit by bit from full adders, half adders, inverters, gates and flip-flops.

The builder folds constants (a full adder with an input tied to 0 becomes a half adder, and so on), so its counts are
those of a careful design. It tracks the depth of every net, in full-adder delays, and places registers where a stage
would become deeper than a limit: every cell in the first stage where it fits, its operands delayed to that stage.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from hwbase import InputError

ZERO = "1'b0"
ONE = "1'b1"

#: Behaviour of the two adder cells; synthesis either keeps them as cells or flattens them into gates.
ADDER_CELLS = """\
module FA(input a, input b, input c, output s, output co);
  assign s = a ^ b ^ c;
  assign co = (a & b) | (c & (a ^ b));
endmodule

module HA(input a, input b, output s, output co);
  assign s = a ^ b;
  assign co = a & b;
endmodule
"""

#: A bus of single-bit nets, least significant first.
Bits = list[str]


class Netlist:
    """One module under construction. `cells` counts the placed cells: FA, HA, XOR, AND, INV, DFF.

    `levels` is the most full-adder delays of a stage (0: no limit, the caller places the registers). Nets without a
    stage, constants and those of `wires` and `held_input`, may be read in any stage.
    """

    def __init__(self, name: str, clocked: bool = True, levels: int = 0) -> None:
        """Start a module called `name`, with an input `clk` if `clocked`. Raises `InputError` for an invalid name."""
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise InputError(f"module name {name!r}: expected letters, digits and underscores")
        self.name = name
        self.cells: Counter[str] = Counter()
        self._ports: list[str] = ["input clk"] if clocked else []
        self._nets: list[str] = []
        self._registers: list[str] = []
        self._body: list[str] = []
        self._depth: dict[str, int] = {}
        self._inverted: dict[str, str] = {}
        self._levels = levels
        #: Stage of each net that has one, deepest path of each stage, and each net one clock later.
        self._stage: dict[str, int] = {}
        self._deepest: Counter[int] = Counter()
        self._later: dict[str, str] = {}

    def input(self, name: str, width: int) -> Bits:
        """Add an input bus of `width` bits (1 for none) and return its bits."""
        if width < 1:
            return []
        bits = self.held_input(name, width)
        self._stage.update(dict.fromkeys(bits, 0))
        return bits

    def held_input(self, name: str, width: int) -> Bits:
        """Add an input bus of `width` bits that is given at the clocks of the stage that reads it."""
        self._ports.append(f"input [{width - 1}:0] {name}")
        return [f"{name}[{i}]" for i in range(width)]

    def output(self, name: str, bits: Sequence[str]) -> None:
        """Add an output bus that carries `bits`."""
        self._ports.append(f"output [{len(bits) - 1}:0] {name}")
        self._body.append(f"assign {name} = {{{', '.join(reversed(bits))}}};")

    def depth(self, bits: Iterable[str]) -> int:
        """Return the full-adder delays from a register or an input to the latest of `bits`."""
        return max((self._depth.get(bit, 0) for bit in bits), default=0)

    def stage(self, bits: Iterable[str]) -> int:
        """Return the stage of the latest of `bits`: registers between it and the inputs."""
        return max((self._stage.get(bit, 0) for bit in bits), default=0)

    @property
    def depths(self) -> tuple[int, ...]:
        """Deepest path of each stage, in full-adder delays."""
        last = max([*self._deepest, *(stage - 1 for stage in self._stage.values())], default=0)
        return tuple(self._deepest[stage] for stage in range(last + 1))

    def align(self, bits: Sequence[str], levels: int = 0) -> Bits:
        """Return `bits` in the first stage that has all of them and room for `levels` more full-adder delays."""
        stage = self.stage(bits)
        deepest = self.depth(bit for bit in bits if self._stage.get(bit) == stage)
        if self._levels and deepest + levels > self._levels:
            stage += 1
        return [self._delayed(bit, stage) for bit in bits]

    def _delayed(self, bit: str, stage: int) -> str:
        """Return `bit` in `stage`, through a chain of registers that its readers share."""
        while self._stage.get(bit, stage) < stage:
            if bit not in self._later:
                self._later[bit] = self._hold(bit, self._declare(self._registers))
            bit = self._later[bit]
        return bit

    def full_adder(self, a: str, b: str, c: str) -> tuple[str, str]:
        """Return (sum, carry) of three bits; smaller cells where an input is 0."""
        live = [bit for bit in (a, b, c) if bit != ZERO]
        if len(live) < 3:
            return self._half_adder(live)
        a, b, c = live = self.align(live, 1)
        s, co = self._net(live, 1), self._net(live, 1)
        self._place("FA", f"(.a({a}), .b({b}), .c({c}), .s({s}), .co({co}));")
        return s, co

    def _half_adder(self, live: list[str]) -> tuple[str, str]:
        if len(live) < 2:
            return (live[0] if live else ZERO), ZERO
        live = self.align(live, 1)
        s, co = self._net(live, 1), self._net(live, 1)
        self._place("HA", f"(.a({live[0]}), .b({live[1]}), .s({s}), .co({co}));")
        return s, co

    def xor(self, *bits: str) -> str:
        """Return the exclusive or of `bits`."""
        live = [bit for bit in bits if bit != ZERO]
        if len(live) < 2:
            return live[0] if live else ZERO
        live = self.align(live, 1)
        self.cells["XOR"] += len(live) - 1
        return self._assign(" ^ ".join(live), live, 1)

    def and_(self, a: str, b: str) -> str:
        """Return 1 where both bits are."""
        if ZERO in (a, b):
            return ZERO
        a, b = self.align([a, b])
        self.cells["AND"] += 1
        return self._assign(f"{a} & {b}", [a, b], 0)

    def and_not(self, bit: str, mask: str) -> str:
        """Return `bit` where `mask` is 0, else 0."""
        if bit == ZERO:
            return ZERO
        bit, mask = self.align([bit, mask])
        self.cells["AND"] += 1
        return self._assign(f"{bit} & ~{mask}", [bit, mask], 0)

    def invert(self, bit: str) -> str:
        """Return the complement of `bit`; repeated calls share one inverter."""
        if bit in (ZERO, ONE):
            return ONE if bit == ZERO else ZERO
        if bit not in self._inverted:
            self.cells["INV"] += 1
            self._inverted[bit] = self._assign(f"~{bit}", [bit], 0)
        return self._inverted[bit]

    def add(self, a: Sequence[str], b: Sequence[str], carry: str = ZERO) -> Bits:
        """Return the sum of two unsigned numbers and a carry: a ripple of full adders, one bit wider than the wider."""
        width = max(len(a), len(b))
        total: Bits = []
        for x, y in zip(_extend(a, width, ZERO), _extend(b, width, ZERO), strict=True):
            s, carry = self.full_adder(x, y, carry)
            total.append(s)
        return total if carry == ZERO else [*total, carry]

    def add_signed(self, a: Sequence[str], b: Sequence[str], width: int, carry: str = ZERO) -> Bits:
        """Return the sum of two two's-complement numbers, `width` bits (the carry out of the last is dropped)."""
        total: Bits = []
        pairs = list(zip(_extend(a, width, a[-1]), _extend(b, width, b[-1]), strict=True))
        for x, y in pairs[:-1]:
            s, carry = self.full_adder(x, y, carry)
            total.append(s)
        return [*total, self.xor(*pairs[-1], carry)]

    def subtract(self, a: Sequence[str], b: Sequence[str], width: int) -> Bits:
        """Return `a` - `b` of two unsigned numbers in two's complement, `width` bits: a + not b + 1."""
        carry = ONE
        total: Bits = []
        for i, (x, y) in enumerate(zip(_extend(a, width, ZERO), _extend(b, width, ZERO), strict=True)):
            if i == width - 1:
                total.append(self.xor(*([x, self.invert(y), carry] if y != ZERO else [x, self.invert(carry)])))
            elif y == ZERO and carry == ONE:
                total.append(x)  # x + 1 + 1: the sum is x, the carry stays
            else:
                s, carry = self.full_adder(x, self.invert(y), carry)
                total.append(s)
        return total

    def count_ones(self, bits: Sequence[str]) -> Bits:
        """Return the number of 1s in `bits`: a carry-save tree, column by column, three bits at a time."""
        columns: list[deque[str]] = [deque(bits)]
        total: Bits = []
        for index in range(len(bits).bit_length()):
            column = columns[index]
            columns.append(deque())
            while len(column) > 1:
                taken = [column.popleft() for _ in range(min(3, len(column)))]
                s, carry = self.full_adder(*_extend(taken, 3, ZERO))
                column.append(s)
                if carry != ZERO:
                    columns[index + 1].append(carry)
            total.append(column[0] if column else ZERO)
        return total

    def sum(self, operands: Iterable[Bits]) -> Bits:
        """Return the sum of unsigned numbers: a tree that always adds the two narrowest."""
        queue = sorted((list(bits) for bits in operands), key=len)
        while len(queue) > 1:
            a, b = queue.pop(0), queue.pop(0)
            total = self.add(a, b)
            at = next((i for i, bits in enumerate(queue) if len(bits) > len(total)), len(queue))
            queue.insert(at, total)
        return queue[0] if queue else [ZERO]

    def times(self, bits: Sequence[str], constant: int) -> Bits:
        """Return an unsigned number times `constant` >= 1: one adder per further 1 in its binary form."""
        shifts = [i for i in range(constant.bit_length()) if constant >> i & 1]
        return self.sum([[ZERO] * shift + list(bits) for shift in shifts])

    def wires(self, width: int) -> Bits:
        """Return `width` nets to be driven later by `register`."""
        return [self._declare(self._registers) for _ in range(width)]

    def register(self, bits: Sequence[str], into: Bits | None = None, stage: int = 0) -> Bits:
        """Return `bits` one clock later (a constant 0 needs no flip-flop).

        `into` names the nets to drive; `stage` is that of bits that have none.
        """
        bits, held = self.align(bits), []
        stage = max(self.stage(bits), stage) + 1
        for index, bit in enumerate(bits):
            if bit == ZERO and into is None:
                held.append(ZERO)
                continue
            held.append(self._hold(bit, into[index] if into else self._declare(self._registers)))
        self._stage.update(dict.fromkeys((bit for bit in held if bit != ZERO), stage))
        return held

    def _hold(self, bit: str, q: str) -> str:
        """Place a flip-flop from `bit` to `q`, and return `q`."""
        self.cells["DFF"] += 1
        self._body.append(f"always @(posedge clk) {q} <= {bit};")
        if bit in self._stage:
            self._stage[q] = self._stage[bit] + 1
        return q

    def text(self) -> str:
        """Return the module as Verilog."""
        head = f"module {self.name}(\n  " + ",\n  ".join(self._ports) + "\n);\n"
        lines = [*_declarations("wire", self._nets), *_declarations("reg", self._registers), *self._body]
        return head + "".join(f"  {line}\n" for line in lines) + "endmodule\n"

    def _place(self, cell: str, connections: str) -> None:
        self.cells[cell] += 1
        self._body.append(f"{cell} u{self.cells['FA'] + self.cells['HA']} {connections}")

    def _assign(self, expression: str, sources: Iterable[str], delay: int) -> str:
        net = self._net(sources, delay)
        self._body.append(f"assign {net} = {expression};")
        return net

    def _net(self, sources: Iterable[str], delay: int) -> str:
        net = self._declare(self._nets)
        # Sources are in one stage, or in none.
        sources = list(sources)
        self._depth[net] = self.depth(sources) + delay
        stages = [self._stage[bit] for bit in sources if bit in self._stage]
        if stages:
            self._stage[net] = stages[0]
            self._deepest[stages[0]] = max(self._deepest[stages[0]], self._depth[net])
        return net

    def _declare(self, kind: list[str]) -> str:
        kind.append(f"{'r' if kind is self._registers else 'n'}{len(kind)}")
        return kind[-1]


def _extend(bits: Sequence[str], width: int, with_bit: str) -> Bits:
    return [*bits, *[with_bit] * (width - len(bits))][:width]


def _declarations(kind: str, names: Sequence[str]) -> list[str]:
    return [f"{kind} {', '.join(names[i : i + 12])};" for i in range(0, len(names), 12)]
