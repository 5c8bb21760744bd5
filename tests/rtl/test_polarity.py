"""POPCNTs of inverting adders: exact, and with few inverters."""

import numpy as np
import pytest

from hwbase import InputError
from hwsim import rtl
from hwsim.rtl.polarity import INVERTING_CELLS, inverting_popcnt
from hwsim.rtl.tools import run_tool, workspace

needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")

TESTBENCH = """\
module tb;
  reg [{top}:0] vectors [0:{last}], x;
  wire [{out}:0] y;
  integer k;
  popcnt dut(x, y);
  initial begin
    $readmemh("vectors.hex", vectors);
    for (k = 0; k <= {last}; k = k + 1) begin
      x = vectors[k];
      #1 $display("%0d", y);
    end
  end
endmodule
"""


@needs_icarus
@pytest.mark.parametrize("by_polarity", [True, False])
@pytest.mark.parametrize("ports", [1, 2, 3, 7, 40, 129])
def test_the_count_is_exact(ports, by_polarity):
    random = np.random.default_rng(ports)
    bits = np.vstack([np.zeros(ports), np.ones(ports), random.random((30, ports)) < 0.5]).astype(int)
    plan = inverting_popcnt(ports, by_polarity=by_polarity)
    files = {
        "design.v": INVERTING_CELLS + plan.verilog,
        "tb.v": TESTBENCH.format(top=ports - 1, last=len(bits) - 1, out=plan.output_bits - 1),
        "vectors.hex": "".join(f"{int(''.join(map(str, row)), 2):x}\n" for row in bits),
    }
    with workspace(files) as folder:
        run_tool("iverilog", ["-g2005", "-s", "tb", "-o", "tb.vvp", "design.v", "tb.v"], folder, 60.0)
        counts = [int(line) for line in run_tool("vvp", ["-N", "tb.vvp"], folder, 60.0).split()]
    assert counts == bits.sum(axis=1).tolist()


def test_grouping_by_polarity_needs_few_inverters():
    plain, grouped = (inverting_popcnt(430, by_polarity=choice) for choice in (False, True))
    assert grouped.cells["FAN"] == plain.cells["FAN"]
    assert grouped.cells["INV"] < 0.1 * plain.cells["INV"]


def test_no_ports():
    with pytest.raises(InputError, match="ports"):
        inverting_popcnt(0)
