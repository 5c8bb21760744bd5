"""Transistors of cells, as one table from which the mapper's library is generated."""

from collections.abc import Mapping
from dataclasses import dataclass

from hwbase import InputError, Record

#: Transistors of static complementary CMOS cells, and the function of the combinational ones (genlib syntax).
#: Source: Weste and Harris, CMOS VLSI Design, 4th ed.: sec. 1.4 (2 per input of a NAND, NOR or compound gate), 9.2 and
#: 11.2 (28-transistor mirror adder with output inverters), 10.3 (transmission-gate flip-flop, local clock inverters).
#: XOR2 is NOR2 + AOI21; HA is XOR2 + AND2; the flip-flop is the 24 of the technology books.
STATIC_CMOS: dict[str, int] = {
    "INV": 2,
    "NAND2": 4,
    "NOR2": 4,
    "AND2": 6,
    "OR2": 6,
    "NAND3": 6,
    "NOR3": 6,
    "AOI21": 6,
    "OAI21": 6,
    "AOI22": 8,
    "OAI22": 8,
    "XOR2": 10,
    "XNOR2": 10,
    "MUX2": 12,
    "FA": 28,
    "HA": 16,
    "DFF": 24,
}

#: The same cells drawn with pass transistors and transmission gates: the fewest transistors that are in use, slower and
#: weaker. Weste and Harris, sec. 9.2.4 and 11.2.1 (14-transistor adders: Shams and Bayoumi, IEEE TCAS-II 47, 2000).
PASS_TRANSISTOR: dict[str, int] = STATIC_CMOS | {"XOR2": 6, "XNOR2": 6, "MUX2": 6, "FA": 14, "HA": 10, "DFF": 16}

#: Kinds of cell of a netlist before synthesis -> their name in the tables.
DRAWN_CELLS = {"FA": "FA", "HA": "HA", "XOR": "XOR2", "AND": "AND2", "INV": "INV", "DFF": "DFF"}

TABLES = {"static-cmos": STATIC_CMOS, "pass-transistor": PASS_TRANSISTOR}

_FUNCTIONS = {
    "INV": "!A",
    "NAND2": "!(A*B)",
    "NOR2": "!(A+B)",
    "AND2": "A*B",
    "OR2": "A+B",
    "NAND3": "!(A*B*C)",
    "NOR3": "!(A+B+C)",
    "AOI21": "!(A*B+C)",
    "OAI21": "!((A+B)*C)",
    "AOI22": "!(A*B+C*D)",
    "OAI22": "!((A+B)*(C+D))",
    "XOR2": "A*!B+!A*B",
    "XNOR2": "A*B+!A*!B",
    "MUX2": "A*!C+B*C",
}


@dataclass(frozen=True)
class TransistorCount(Record):
    """Transistors of a netlist: of its combinational cells, of its flip-flops, and both."""

    logic: int
    registers: int

    @property
    def total(self) -> int:
        """Logic and registers."""
        return self.logic + self.registers


def count_transistors(cells: Mapping[str, int], table: Mapping[str, int] = STATIC_CMOS) -> TransistorCount:
    """Return the transistors of `cells` (name: count) by `table`. Raises `InputError` for an unknown cell."""
    unknown = sorted(set(cells) - set(table))
    if unknown:
        raise InputError(f"no transistor count for cell {unknown[0]!r}: expected one of {', '.join(table)}")
    registers = cells.get("DFF", 0) * table["DFF"]
    return TransistorCount(sum(table[name] * times for name, times in cells.items()) - registers, registers)


def drawn_transistors(cells: Mapping[str, int], table: Mapping[str, int] = STATIC_CMOS) -> TransistorCount:
    """Return the transistors of a netlist before synthesis, by kind of cell (see `Netlist`)."""
    return count_transistors({DRAWN_CELLS[kind]: times for kind, times in cells.items()}, table)


def genlib(table: Mapping[str, int] = STATIC_CMOS) -> str:
    """Return the combinational cells as a genlib library whose areas are transistors, for the technology mapper."""
    gates = [
        f"GATE {name} {table[name]} Y={function}; PIN * UNKNOWN 1 999 1 0 1 0" for name, function in _FUNCTIONS.items()
    ]
    return "\n".join(["GATE ZERO 0 Y=CONST0;", "GATE ONE 0 Y=CONST1;", *gates]) + "\n"


def gate_models() -> str:
    """Return the combinational cells as Verilog modules, so that a mapped netlist can be simulated."""
    modules = [
        "module ZERO(output Y);\n  assign Y = 1'b0;\nendmodule\n",
        "module ONE(output Y);\n  assign Y = 1'b1;\nendmodule\n",
    ]
    for name, function in _FUNCTIONS.items():
        pins = "".join(f"input {pin}, " for pin in "ABCD" if pin in function)
        logic = function.translate({ord("!"): "~", ord("*"): "&", ord("+"): "|"})
        modules.append(f"module {name}({pins}output Y);\n  assign Y = {logic};\nendmodule\n")
    return "\n".join(modules)
