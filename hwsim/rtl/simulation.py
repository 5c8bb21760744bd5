"""Testbenches for Icarus Verilog: the neurons' Verilog run on vectors, the results read back."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import integer
from hwsim.rtl.cell import cell_neuron, plain_cell_neuron
from hwsim.rtl.metal import CODE_HALVES, CellPlan, check_codes, metal_cells, metal_neuron, ports_of
from hwsim.rtl.netlist import ADDER_CELLS
from hwsim.rtl.synthesis import Adders, mapped_verilog
from hwsim.rtl.tools import run_tool, workspace
from hwsim.rtl.transistors import gate_models

_HEAD = """\
// Reads vectors.hex and expected.hex, prints "RESULT <product in halves>" per vector, then PASS or FAIL.
module tb;
  localparam VECTORS = {vectors}, INPUTS = {inputs}, WIDTH = {width}, OUT = {out};
  reg [INPUTS*WIDTH-1:0] vectors [0:VECTORS-1];
  reg signed [OUT-1:0] expected [0:VECTORS-1];
  reg clk = 0;
  wire signed [OUT-1:0] y;
  integer k, wrong = 0;

  task check(input integer index);
    begin
      $display("RESULT %0d", y);
      if (y !== expected[index]) wrong = wrong + 1;
    end
  endtask

  task tick;
    begin
      #{half_clock} clk = 1;
      #{half_clock} clk = 0;
    end
  endtask

"""

_TAIL = """\
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
    for (k = 0; k <= VECTORS * WIDTH; k = k + 1) begin
      for (i = 0; i < INPUTS; i = i + 1)
        x[i] = k < VECTORS * WIDTH ? vectors[k / WIDTH][i * WIDTH + k % WIDTH] : 1'b0;
      first = k > 0 && (k - 1) % WIDTH == 0;
      last = k > 0 && (k - 1) % WIDTH == WIDTH - 1;
      tick;
      if (last) check((k - 1) / WIDTH);
    end
"""

_CELL = """\
  reg [INPUTS*WIDTH-1:0] x = 0;
  ce_neuron dut(.clk(clk), .x(x), .y(y));

  initial begin
    $readmemh("vectors.hex", vectors);
    $readmemh("expected.hex", expected);
    for (k = 0; k < VECTORS; k = k + 1) begin
      x = vectors[k];
      tick;
      check(k);
    end
"""


@dataclass(frozen=True)
class SimulatedProducts(Record):
    """Outputs of a simulated neuron, in halves (vectors,), and whether its testbench passed."""

    circuit: str
    products: np.ndarray
    passed: bool


def simulate_metal(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    ports: dict[int, int] | None = None,
    activation_bits: int = 8,
    adders: Adders | None = None,
    timeout_s: float = 120.0,
) -> SimulatedProducts:
    """Return the products of the ME neuron wired for `codes` (inputs,), with `activations` (vectors, inputs).

    `ports` per region default to the histogram of the codes. `adders` ("cells" or "gates") simulates the synthesised
    netlist in place of the drawn cells. Raises `InputError` for values out of range, a region with too few ports, or a
    missing tool.
    """
    array = check_codes(codes)
    sizes = ports_of(array) if ports is None else ports
    plan = metal_cells(sizes, activation_bits)
    verilog = _circuit(plan, adders, timeout_s) + metal_neuron(array, plan, sizes)
    return _simulate("ME", verilog, array, activations, activation_bits, plan.output_bits, timeout_s)


def simulate_cell(
    codes: np.ndarray,
    activations: np.ndarray,
    *,
    activation_bits: int = 8,
    plain: bool = False,
    adders: Adders | None = None,
    timeout_s: float = 120.0,
) -> SimulatedProducts:
    """Return the products of the CE neuron's Verilog for `codes` (inputs,) with `activations` (vectors, inputs).

    `plain` takes the neuron as plain Verilog, `adders` its synthesised netlist. Raises `InputError` for values out of
    range or a missing tool.
    """
    array = check_codes(codes)
    plan = (plain_cell_neuron if plain else cell_neuron)(array, activation_bits, name="ce_neuron")
    verilog = _circuit(plan, adders, timeout_s)
    return _simulate("CE", verilog, array, activations, activation_bits, plan.output_bits, timeout_s)


def testbench_text(circuit: str, vectors: int, inputs: int, width: int, out: int, half_clock: int = 1) -> str:
    """Return the self-checking testbench for a neuron "ME" or "CE" with `out` output bits.

    It reads `vectors` lines of `inputs` x `width` bits and as many expected products. `half_clock` is in delay units.
    """
    head = _HEAD.format(vectors=vectors, inputs=inputs, width=width, out=out, half_clock=half_clock)
    return head + {"ME": _METAL, "CE": _CELL}[circuit] + _TAIL


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


def _simulate(
    circuit: str,
    verilog: str,
    codes: np.ndarray,
    activations: np.ndarray,
    activation_bits: int,
    out: int,
    timeout_s: float,
) -> SimulatedProducts:
    files = testbench_files(circuit, verilog, codes, activations, activation_bits, out)
    with workspace(files) as folder:
        run_tool("iverilog", ["-g2005", "-s", "tb", "-o", "tb.vvp", "design.v", "tb.v"], folder, timeout_s)
        printed = run_tool("vvp", ["-N", "tb.vvp"], folder, timeout_s).splitlines()
    products = [int(line.split()[1]) for line in printed if line.startswith("RESULT ") and "x" not in line]
    return SimulatedProducts(circuit, np.array(products, dtype=np.int64), "PASS" in printed)


def testbench_files(
    circuit: str,
    verilog: str,
    codes: np.ndarray,
    activations: np.ndarray,
    activation_bits: int,
    out: int,
    half_clock: int = 1,
) -> dict[str, str]:
    """Return the files (name: text) of a simulation: the design, its testbench, the vectors and expected products."""
    array = check_activations(activations, codes.size, activation_bits)
    expected = array @ CODE_HALVES[codes]
    return {
        "design.v": verilog,
        "tb.v": testbench_text(circuit, len(array), codes.size, activation_bits, out, half_clock),
        "vectors.hex": "".join(f"{_packed(row, activation_bits):x}\n" for row in array.tolist()),
        "expected.hex": "".join(f"{value & (1 << out) - 1:x}\n" for value in expected.tolist()),
    }


def _packed(values: list[int], width: int) -> int:
    """Return one integer with value i on bits i x width, two's complement."""
    mask = (1 << width) - 1
    return sum((value & mask) << i * width for i, value in enumerate(values))
