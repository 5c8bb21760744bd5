"""Switching of the cells of a Metal-Embedding neuron on real data: its Verilog is simulated and every net counted.

Two delay models bound the truth: without delays nothing glitches; with a unit delay in every adder each late carry
counts. Wires to the ports, the clock and the input registers are not in the cells' netlist.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwsim.rtl.metal import check_codes, metal_cells, metal_neuron, ports_of
from hwsim.rtl.netlist import ADDER_CELLS
from hwsim.rtl.simulation import check_activations, testbench_files
from hwsim.rtl.tools import run_tool, workspace
from hwsim.rtl.transistors import DRAWN_CELLS, STATIC_CMOS, drawn_transistors

#: Outputs of each kind; a cell's energy is divided among them.
_OUTPUTS = {"FA": 2, "HA": 2}
_ADDER = re.compile(r"(FA|HA) \w+ \(.*\.s\((\w+)\), \.co\((\w+)\)\);")
_GATE = re.compile(r"assign (n\d+) = (.*);")
_FLIP_FLOP = re.compile(r"always @\(posedge clk\) (r\d+) <=")


@dataclass(frozen=True)
class CellToggles(Record):
    """Switching of one neuron over `clocks` clocks: cells and toggles of their outputs, by kind of cell.

    `glitches` is true if every adder had its own delay, so that intermediate values count too.
    """

    inputs: int
    clocks: int
    glitches: bool
    cells: dict[str, int]
    toggles: dict[str, int]

    @property
    def activity(self) -> float:
        """Share of the transistors whose capacitance is charged in a clock: the `switching_activity` of a technology.

        A toggle of a cell's output switches its share of the cell's transistors; every second toggle charges.
        """
        switched = sum(
            STATIC_CMOS[DRAWN_CELLS[kind]] * self.toggles[kind] / _OUTPUTS.get(kind, 1) for kind in self.cells
        )
        return 0.5 * switched / (self.transistors * self.clocks)

    @property
    def transistors(self) -> int:
        """Transistors of the cells, static CMOS."""
        return drawn_transistors(self.cells).total

    def rate(self, kind: str) -> float:
        """Return the toggles per output and clock of cells of that kind."""
        return self.toggles[kind] / (self.cells[kind] * _OUTPUTS.get(kind, 1) * self.clocks)


def measure_toggles(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    ports: dict[int, int] | None = None,
    activation_bits: int = 8,
    glitches: bool = False,
    timeout_s: float = 120.0,
) -> CellToggles:
    """Return the toggles of the cells of the neuron wired for `codes` (inputs,), for `activations` (vectors, inputs).

    Vectors follow each other without a gap; all nets start at 0. `ports` per region default to the histogram of the
    codes. Raises `InputError` for values out of range, a missing tool, or a product that is not exact.
    """
    array = check_codes(codes)
    given = check_activations(activations, array.size, activation_bits)
    sizes = ports_of(array) if ports is None else ports
    plan = metal_cells(sizes, activation_bits)
    kinds = cell_outputs(plan.verilog)
    adders = ADDER_CELLS.replace("assign ", "assign #1 ") if glitches else ADDER_CELLS
    # Half a clock is longer than any path of the plan.
    verilog = adders + plan.verilog + metal_neuron(array, plan, sizes)
    half_clock = 2 * sum(plan.depths) + 4
    files = testbench_files("ME", plan, verilog, array, given, activation_bits, half_clock)
    files["tb.v"] = files["tb.v"].replace("  initial begin\n", _DUMP, 1)
    with workspace(files) as folder:
        run_tool("iverilog", ["-g2005", "-s", "tb", "-o", "tb.vvp", "design.v", "tb.v"], folder, timeout_s)
        printed = run_tool("vvp", ["-N", "tb.vvp"], folder, timeout_s).splitlines()
        changes = net_toggles((folder / "nets.vcd").read_text(encoding="utf-8"))
    if "PASS" not in printed:
        raise InputError("the simulated product is not exact: its toggles are meaningless")
    toggles: Counter[str] = Counter(dict.fromkeys(plan.cells, 0))
    for net, kind in kinds.items():
        toggles[kind] += changes.get(net, 0)
    return CellToggles(array.size, len(given) * activation_bits, glitches, dict(plan.cells), dict(toggles))


def cell_outputs(verilog: str) -> dict[str, str]:
    """Return the kind of cell that drives each net of a netlist written by `Netlist`."""
    kinds: dict[str, str] = {}
    for line in verilog.splitlines():
        if adder := _ADDER.search(line):
            kinds |= dict.fromkeys(adder.groups()[1:], adder[1])
        elif gate := _GATE.search(line):
            kinds[gate[1]] = "INV" if gate[2].startswith("~") else "AND" if "&" in gate[2] else "XOR"
        elif flip_flop := _FLIP_FLOP.search(line):
            kinds[flip_flop[1]] = "DFF"
    return kinds


def net_toggles(vcd: str) -> dict[str, int]:
    """Return the changes of each one-bit net between 0 and 1 in a value change dump (IEEE 1364, section 18).

    >>> net_toggles("$var wire 1 ! n0 $end\\n$enddefinitions $end\\n#0\\n0!\\n#1\\n1!\\n#2\\n0!\\n")
    {'n0': 2}
    """
    head, _, body = vcd.partition("$enddefinitions")
    names: dict[str, list[str]] = {}
    for code, name in re.findall(r"\$var \w+ 1 (\S+) (\S+) \$end", head):
        names.setdefault(code, []).append(name)
    values: dict[str, str] = {}
    changes: Counter[str] = Counter()
    for line in body.splitlines():
        if line[:1] in ("0", "1") and line[1:] in names:
            code = line[1:]
            changes[code] += values.get(code, line[0]) != line[0]
            values[code] = line[0]
    return {name: changes[code] for code, alike in names.items() for name in alike}


_DUMP = """\
  initial begin
    $dumpfile("nets.vcd");
    $dumpvars(1, dut.cells);
"""
