"""Verilog of a lane of the binary-scan engine: a code against a query, one exclusive or a bit, and the ones counted.

Distances of codes longer than a lane are added up over the clocks between `first` marks.
"""

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from hwsim.rtl.metal import CellPlan
from hwsim.rtl.netlist import ADDER_CELLS, Netlist
from hwsim.rtl.simulation import TESTBENCH_TAIL, SimulatedProducts, run_testbench
from hwsim.rtl.staging import staged

#: A word of a code and of its query every clock, a distance every WORDS clocks.
_SCAN = """\
module tb;
  localparam VECTORS = {vectors}, WORDS = {words}, WIDTH = {width}, OUT = {out};
  localparam STAGES = {stages}, CONTROL = {control};
  reg [WIDTH-1:0] codes [0:VECTORS*WORDS-1], queries [0:VECTORS*WORDS-1], x = 0, q = 0;
  reg [OUT-1:0] expected [0:VECTORS-1];
  reg clk = 0, first = 0;
  wire [OUT-1:0] y;
  integer k, wrong = 0;
  scan_lane dut(.clk(clk), .first(first), .x(x), .q(q), .y(y));

  initial begin
    $readmemh("codes.hex", codes);
    $readmemh("queries.hex", queries);
    $readmemh("expected.hex", expected);
    for (k = 0; k < VECTORS * WORDS + STAGES - 1; k = k + 1) begin
      x = k < VECTORS * WORDS ? codes[k] : 0;
      q = k < VECTORS * WORDS ? queries[k] : 0;
      first = k >= CONTROL && (k - CONTROL) % WORDS == 0;
      #1 clk = 1;
      #1 clk = 0;
      if (k >= STAGES - 1 && (k - STAGES + 1) % WORDS == WORDS - 1) begin
        $display("RESULT %0d %0d", y, k + 1);
        if (y !== expected[(k - STAGES + 1) / WORDS]) wrong = wrong + 1;
      end
    end
"""
_SCAN += TESTBENCH_TAIL.replace("{", "{{").replace("}", "}}")


def scan_lane(
    bits: int = 256, words: int = 1, name: str = "scan_lane", *, stages: int = 2, levels: int = 0
) -> CellPlan:
    """Return a lane that gives the Hamming distance of codes of `words` words of `bits` bits, one word a clock.

    A code is on `x` and its query on `q`; `first` marks the words that start a code, `control_clocks` after they were
    on `x`. `stages` is the most registers between a word and its distance, 2 or more (after the count and in the sum),
    and `levels`, in its place, the most full-adder delays of a stage, no fewer than the bits of a distance. Raises
    `InputError` for sizes that are not positive.
    """
    width, parts = integer("bits", bits, high=1 << 16), integer("words", words, high=1 << 16)
    out_bits = (width * parts).bit_length()
    return staged(lambda deepest: _scan_lane(width, out_bits, name, deepest), stages, levels, fewest=2)


def _scan_lane(width: int, out_bits: int, name: str, levels: int) -> CellPlan:
    # The carry of a sum ripples within one stage.
    net = Netlist(name, levels=max(levels, out_bits) if levels else 0)
    code, query, first = net.input("x", width), net.input("q", width), net.held_input("first", 1)[0]
    count = net.count_ones([net.xor(a, b) for a, b in zip(code, query, strict=True)])
    count = net.align(count, out_bits) if levels else net.register(count)
    held = net.wires(out_bits)
    total = net.add([net.and_not(bit, first) for bit in held], count)[:out_bits]
    stage = net.stage(total)
    net.register(total, into=held, stage=stage)
    net.output("y", held)
    return CellPlan(name, net.text(), dict(net.cells), net.depths, out_bits, stage)


def simulate_scan(
    codes: np.ndarray, queries: np.ndarray, *, bits: int = 256, stages: int = 2, timeout_s: float = 120.0
) -> SimulatedProducts:
    """Return the Hamming distances of a scan lane for `codes` and `queries`, each booleans (pairs, words x `bits`).

    The lane takes a word of `bits` bits a clock; `passed` is whether every distance is that of NumPy. Raises
    `InputError` for other shapes or a missing tool.
    """
    given, asked = np.asarray(codes, dtype=bool), np.asarray(queries, dtype=bool)
    if given.ndim != 2 or given.shape != asked.shape or not given.size or given.shape[1] % bits:
        raise InputError(
            f"codes and queries have shapes {given.shape}, {asked.shape}: expected (pairs, words x {bits})"
        )
    words = given.shape[1] // bits
    plan = scan_lane(bits, words, stages=stages)
    expected = (given != asked).sum(axis=1)
    lines = [
        "".join(f"{int(''.join(map(str, word[::-1])), 2):x}\n" for word in array.reshape(-1, bits).astype(int))
        for array in (given, asked)
    ]
    text = _SCAN.format(
        words=words,
        vectors=len(given),
        width=bits,
        out=plan.output_bits,
        stages=plan.stages,
        control=plan.control_clocks,
    )
    files = {
        "design.v": ADDER_CELLS + plan.verilog,
        "tb.v": text,
        "codes.hex": lines[0],
        "queries.hex": lines[1],
        "expected.hex": "".join(f"{value:x}\n" for value in expected.tolist()),
    }
    return run_testbench("scan", files, timeout_s)
