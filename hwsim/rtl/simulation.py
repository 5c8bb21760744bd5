"""Testbenches for Icarus Verilog: the neurons' Verilog run on vectors, the results read back."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import integer
from hwsim.rtl.cell import cell_neuron, plain_cell_neuron
from hwsim.rtl.mac import mac_unit
from hwsim.rtl.metal import CODE_HALVES, CellPlan, check_codes, metal_cells, metal_neuron, ports_of
from hwsim.rtl.netlist import ADDER_CELLS
from hwsim.rtl.synthesis import Adders, mapped_verilog
from hwsim.rtl.tools import run_tool, workspace
from hwsim.rtl.transistors import gate_models

_HEAD = """\
// Reads vectors.hex and expected.hex, prints "RESULT <product in halves> <clocks>" per vector, then PASS or FAIL.
module tb;
  localparam VECTORS = {vectors}, INPUTS = {inputs}, WIDTH = {width}, OUT = {out};
  localparam STAGES = {stages}, CONTROL = {control};
  reg [INPUTS*WIDTH-1:0] vectors [0:VECTORS-1];
  reg signed [OUT-1:0] expected [0:VECTORS-1];
  reg clk = 0;
  wire signed [OUT-1:0] y;
  integer k, wrong = 0, clocks = 0;

  task check(input integer index);
    begin
      $display("RESULT %0d %0d", y, clocks);
      if (y !== expected[index]) wrong = wrong + 1;
    end
  endtask

  task tick;
    begin
      #{half_clock} clk = 1;
      #{half_clock} clk = 0;
      clocks = clocks + 1;
    end
  endtask

"""

#: Prints the verdict.
TESTBENCH_TAIL = """\
    if (wrong == 0) $display("PASS");
    else $display("FAIL %0d", wrong);
    $finish;
  end
endmodule
"""

#: Vectors follow each other without a gap: a product every WIDTH clocks.
_METAL = """\
  reg first = 0, last = 0;
  reg [INPUTS-1:0] x = 0;
  integer i;
  hn_neuron dut(.clk(clk), .first(first), .last(last), .x(x), .y(y));

  initial begin
    $readmemh("vectors.hex", vectors);
    $readmemh("expected.hex", expected);
    for (k = 0; k < VECTORS * WIDTH + STAGES - 1; k = k + 1) begin
      for (i = 0; i < INPUTS; i = i + 1)
        x[i] = k < VECTORS * WIDTH ? vectors[k / WIDTH][i * WIDTH + k % WIDTH] : 1'b0;
      first = k >= CONTROL && (k - CONTROL) % WIDTH == 0;
      last = k >= CONTROL && (k - CONTROL) % WIDTH == WIDTH - 1;
      tick;
      if (k >= STAGES - 1 && (k - STAGES + 1) % WIDTH == WIDTH - 1) check((k - STAGES + 1) / WIDTH);
    end
"""

#: A product every clock.
_CELL = """\
  reg [INPUTS*WIDTH-1:0] x = 0;
  ce_neuron dut(.clk(clk), .x(x), .y(y));

  initial begin
    $readmemh("vectors.hex", vectors);
    $readmemh("expected.hex", expected);
    for (k = 0; k < VECTORS + STAGES - 1; k = k + 1) begin
      x = k < VECTORS ? vectors[k] : 0;
      tick;
      if (k >= STAGES - 1) check(k - STAGES + 1);
    end
"""

#: An operand and its weight every clock, a product every INPUTS clocks.
_MAC = """\
  reg [WIDTH-1:0] x = 0;
  reg [3:0] codes [0:INPUTS-1], w = 0;
  reg first = 0;
  mac_unit dut(.clk(clk), .first(first), .x(x), .w(w), .y(y));

  initial begin
    $readmemh("vectors.hex", vectors);
    $readmemh("codes.hex", codes);
    $readmemh("expected.hex", expected);
    for (k = 0; k < VECTORS * INPUTS + STAGES - 1; k = k + 1) begin
      x = k < VECTORS * INPUTS ? vectors[k / INPUTS][k % INPUTS * WIDTH +: WIDTH] : 0;
      w = codes[k % INPUTS];
      first = k >= CONTROL && (k - CONTROL) % INPUTS == 0;
      tick;
      if (k >= STAGES - 1 && (k - STAGES + 1) % INPUTS == INPUTS - 1) check((k - STAGES + 1) / INPUTS);
    end
"""


@dataclass(frozen=True)
class SimulatedProducts(Record):
    """Outputs of a simulated neuron, in halves (vectors,), and whether its testbench passed.

    `clocks` (vectors,) are those from the first operand to each product.
    """

    circuit: str
    products: np.ndarray
    passed: bool
    clocks: np.ndarray


def simulate_metal(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    ports: dict[int, int] | None = None,
    activation_bits: int = 8,
    stages: int = 2,
    adders: Adders | None = None,
    timeout_s: float = 120.0,
) -> SimulatedProducts:
    """Return the products of the ME neuron wired for `codes` (inputs,), with `activations` (vectors, inputs).

    `ports` per region default to the histogram of the codes, `stages` is that of `metal_cells`. `adders` ("cells" or
    "gates") simulates the synthesised netlist in place of the drawn cells. Raises `InputError` for values out of range,
    a region with too few ports, or a missing tool.
    """
    array = check_codes(codes)
    sizes = ports_of(array) if ports is None else ports
    plan = metal_cells(sizes, activation_bits, stages=stages)
    verilog = _circuit(plan, adders, timeout_s) + metal_neuron(array, plan, sizes)
    return simulate_plan("ME", plan, verilog, array, activations, activation_bits, timeout_s)


def metal_waveform(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    ports: dict[int, int] | None = None,
    activation_bits: int = 8,
    stages: int = 2,
    timeout_s: float = 120.0,
) -> str:
    """Return the waveform of the ME neuron of `simulate_metal`, a value change dump (IEEE 1364, section 18).

    It has the inputs, the ports of the regions, every net and register, and the product. Raises `InputError` as
    `simulate_metal` does.
    """
    array = check_codes(codes)
    sizes = ports_of(array) if ports is None else ports
    plan = metal_cells(sizes, activation_bits, stages=stages)
    verilog = _circuit(plan, None, timeout_s) + metal_neuron(array, plan, sizes)
    files = testbench_files("ME", plan, verilog, array, activations, activation_bits)
    dump = '  initial begin\n    $dumpfile("wave.vcd");\n    $dumpvars(0, tb.clk);\n    $dumpvars(2, dut);\n'
    files["tb.v"] = files["tb.v"].replace("  initial begin\n", dump, 1)
    with workspace(files) as folder:
        run_tool("iverilog", ["-g2005", "-s", "tb", "-o", "tb.vvp", "design.v", "tb.v"], folder, timeout_s)
        run_tool("vvp", ["-N", "tb.vvp"], folder, timeout_s)
        return (folder / "wave.vcd").read_text(encoding="utf-8")


def simulate_cell(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    activation_bits: int = 8,
    stages: int = 1,
    plain: bool = False,
    adders: Adders | None = None,
    timeout_s: float = 120.0,
) -> SimulatedProducts:
    """Return the products of the CE neuron's Verilog for `codes` (inputs,) with `activations` (vectors, inputs).

    `plain` takes the neuron as plain Verilog, of one stage; `adders` its synthesised netlist. Raises `InputError` for
    values out of range or a missing tool.
    """
    array = check_codes(codes)
    name = "ce_neuron"
    if plain:
        plan = plain_cell_neuron(array, activation_bits, name)
    else:
        plan = cell_neuron(array, activation_bits, name, stages=stages)
    return simulate_plan("CE", plan, _circuit(plan, adders, timeout_s), array, activations, activation_bits, timeout_s)


def simulate_mac(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    activation_bits: int = 8,
    stages: int = 2,
    adders: Adders | None = None,
    timeout_s: float = 120.0,
) -> SimulatedProducts:
    """Return the sums of a multiply-accumulate unit given `codes` (inputs,) and `activations` (vectors, inputs).

    `stages` is that of `mac_unit`; `adders` takes its synthesised netlist. Raises `InputError` for values out of range
    or a missing tool.
    """
    array = check_codes(codes)
    plan = mac_unit(array.size, activation_bits, stages=stages)
    return simulate_plan("MA", plan, _circuit(plan, adders, timeout_s), array, activations, activation_bits, timeout_s)


def testbench_text(circuit: str, plan: CellPlan, vectors: int, inputs: int, width: int, half_clock: int = 1) -> str:
    """Return the self-checking testbench for the `plan` of a neuron "ME", "CE" or "MA".

    It reads `vectors` lines of `inputs` x `width` bits and as many expected products. `half_clock` is in delay units.
    """
    head = _HEAD.format(
        vectors=vectors,
        inputs=inputs,
        width=width,
        out=plan.output_bits,
        stages=plan.stages,
        control=plan.control_clocks,
        half_clock=half_clock,
    )
    return head + {"ME": _METAL, "CE": _CELL, "MA": _MAC}[circuit] + TESTBENCH_TAIL


def check_activations(activations: np.ndarray, inputs: int, activation_bits: int) -> np.ndarray:
    """Return activations (vectors, inputs) as int64. Raises `InputError` for another shape or a value too wide."""
    width = integer("activation_bits", activation_bits, low=2, high=32)
    array = np.asarray(activations)
    if array.ndim != 2 or array.shape[1] != inputs or not array.shape[0]:
        raise InputError(f"activations have shape {array.shape}: expected (vectors, {inputs})")
    limit = 1 << width - 1
    if not np.issubdtype(array.dtype, np.integer) or array.min() < -limit or array.max() >= limit:
        raise InputError(f"activations: expected whole numbers from {-limit} to {limit - 1}")
    return array.astype(np.int64)


def _circuit(plan: CellPlan, adders: Adders | None, timeout_s: float) -> str:
    """Return the module as drawn, or as mapped, with the cells it uses."""
    if adders is None:
        return ADDER_CELLS + plan.verilog
    return ADDER_CELLS + gate_models() + mapped_verilog(plan, adders, timeout_s=timeout_s)


def simulate_plan(
    circuit: str,
    plan: CellPlan,
    verilog: str,
    codes: np.ndarray,
    activations: np.ndarray,
    activation_bits: int = 8,
    timeout_s: float = 120.0,
) -> SimulatedProducts:
    """Return what a neuron that is drawn already gives: its `plan`, and the `verilog` of all modules below its top.

    Parameters
    ----------
    circuit : str
        "ME", "CE" or "MA".
    plan : CellPlan
    verilog : str
    codes : uint8 array (inputs,)
        Its weights.
    activations : int array (vectors, inputs)
    activation_bits : int, default 8
    timeout_s : float, default 120
        Limit of each tool, s.

    Raises
    ------
    InputError
        For values out of range or a missing tool.
    """
    files = testbench_files(circuit, plan, verilog, codes, activations, activation_bits)
    return run_testbench(circuit, files, timeout_s)


def run_testbench(circuit: str, files: dict[str, str], timeout_s: float) -> SimulatedProducts:
    """Run a testbench, and return the results that it prints."""
    with workspace(files) as folder:
        run_tool("iverilog", ["-g2005", "-s", "tb", "-o", "tb.vvp", "design.v", "tb.v"], folder, timeout_s)
        printed = run_tool("vvp", ["-N", "tb.vvp"], folder, timeout_s).splitlines()
    lines = [line.split()[1:] for line in printed if line.startswith("RESULT ") and "x" not in line.lower()]
    products, clocks = np.array(lines, dtype=np.int64).reshape(-1, 2).T
    return SimulatedProducts(circuit, products, "PASS" in printed, clocks)


def testbench_files(
    circuit: str,
    plan: CellPlan,
    verilog: str,
    codes: np.ndarray,
    activations: np.ndarray,
    activation_bits: int,
    half_clock: int = 1,
) -> dict[str, str]:
    """Return the files (name: text) of a simulation: the design, its testbench, the vectors and expected products."""
    array = check_activations(activations, codes.size, activation_bits)
    expected = array @ CODE_HALVES[codes]
    return {
        "design.v": verilog,
        "tb.v": testbench_text(circuit, plan, len(array), codes.size, activation_bits, half_clock),
        "codes.hex": "".join(f"{code:x}\n" for code in codes.tolist()),
        "vectors.hex": "".join(f"{_packed(row, activation_bits):x}\n" for row in array.tolist()),
        "expected.hex": "".join(f"{value & (1 << plan.output_bits) - 1:x}\n" for value in expected.tolist()),
    }


def _packed(values: list[int], width: int) -> int:
    """Return one integer with value i on bits i x width, two's complement."""
    mask = (1 << width) - 1
    return sum((value & mask) << i * width for i, value in enumerate(values))
