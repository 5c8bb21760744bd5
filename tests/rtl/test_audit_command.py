"""`hwsim audit` from the command line."""

import json

import pytest

from hwsim import rtl

needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")
needs_yosys = pytest.mark.skipif(not rtl.has_tools("yosys"), reason="apt-get install yosys iverilog")


@pytest.mark.slow
@needs_icarus
@needs_yosys
def test_neurons_as_json(command):
    status, out, _ = command("audit", "neuron", "--inputs", "16", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["schema"] == "hwsim/audit-neuron/1"
    assert {row["inputs"] for row in answer["rows"]} == {16} and all(row["bit_exact"] for row in answer["rows"])
