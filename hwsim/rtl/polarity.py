"""A POPCNT from adders that invert their outputs, as those of many libraries do, with the fewest inverters.

The full adder is self-dual: of three inverted bits an inverting adder gives sum and carry that are not inverted (Weste
and Harris, CMOS VLSI Design, 4th ed., sec. 11.2.1). A tree that takes three bits of one polarity at a time needs an
inverter only where a column has none left, and at its outputs. Inverted bits meet at a half adder of NOR and exclusive
or.
"""

from collections import Counter, deque
from dataclasses import dataclass

from hwbase import Record
from hwbase.check import integer

INVERTING_CELLS = """\
module FAN(input a, input b, input c, output sn, output cn);
  assign sn = ~(a ^ b ^ c);
  assign cn = ~((a & b) | (c & (a ^ b)));
endmodule

module HAN(input a, input b, output sn, output cn);
  assign sn = ~(a ^ b);
  assign cn = ~(a & b);
endmodule

module HAP(input an, input bn, output s, output c);
  assign s = an ^ bn;
  assign c = ~(an | bn);
endmodule
"""


@dataclass(frozen=True)
class PopcntPlan(Record):
    """A POPCNT of inverting adders: its Verilog, input `x` and output `y`, and its cells by kind."""

    name: str
    verilog: str
    cells: dict[str, int]
    output_bits: int


def inverting_popcnt(ports: int, *, by_polarity: bool = True, name: str = "popcnt") -> PopcntPlan:
    """Return a POPCNT of `ports` bits from inverting adders.

    `by_polarity` groups bits of one polarity; without it an inverter stands behind every output of an adder. Raises
    `InputError` for a number of ports that is not positive.
    """
    width = integer("ports", ports, high=1e6)
    cells: Counter[str] = Counter()
    lines: list[str] = []

    def invert(net: str) -> str:
        cells["INV"] += 1
        lines.append(f"wire i{cells['INV']} = ~{net};")
        return f"i{cells['INV']}"

    def add(nets: list[str], inverted: bool) -> tuple[str, str]:
        kind = "FAN" if len(nets) == 3 else "HAP" if inverted else "HAN"
        number = cells.total()
        cells[kind] += 1
        lines.append(f"wire s{number}, c{number};")
        lines.append(f"{kind} u{number}({', '.join([*nets, f's{number}', f'c{number}'])});")
        return f"s{number}", f"c{number}"

    # Bits of each weight, plain ones and inverted ones.
    columns = [(deque(f"x[{i}]" for i in range(width)), deque[str]())] + [
        (deque[str](), deque[str]()) for _ in range(width.bit_length())
    ]
    total = []
    for place in range(width.bit_length()):
        column = columns[place]
        while (left := len(column[0]) + len(column[1])) > 1:
            inverted = len(column[1]) > len(column[0])
            taken = column[inverted]
            # Mixed bits meet only where neither polarity has enough.
            while len(taken) < min(left, 3):
                taken.append(invert(column[not inverted].popleft()))
            nets = [taken.popleft() for _ in range(min(left, 3))]
            s, c = add(nets, inverted)
            if not by_polarity and not inverted:
                s, c, inverted = invert(s), invert(c), True
            column[not inverted].append(s)
            columns[place + 1][not inverted].append(c)
        total.append(column[0][0] if column[0] else invert(column[1][0]))
    body = "".join(f"  {line}\n" for line in lines)
    head = f"module {name}(input [{width - 1}:0] x, output [{len(total) - 1}:0] y);\n"
    text = f"{head}{body}  assign y = {{{', '.join(reversed(total))}}};\nendmodule\n"
    return PopcntPlan(name, text, dict(cells), len(total))
