"""The lane of the scan engine: distances of NumPy at the stated clocks, and transistors beside the engine's model."""

import numpy as np
import pytest

import hwsim
from hwbase import InputError
from hwsim import rtl

needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")


def pairs(words, bits=64, count=8):
    random = np.random.default_rng(words)
    codes, queries = (random.random((count, words * bits)) < 0.5 for _ in range(2))
    codes[0], queries[0] = False, True
    codes[1] = queries[1]
    return codes, queries


@needs_icarus
@pytest.mark.parametrize("words", [1, 3])
@pytest.mark.parametrize("stages", [2, 3, 5])
def test_distances_are_those_of_numpy_at_the_stated_clocks(words, stages):
    codes, queries = pairs(words)
    result = rtl.simulate_scan(codes, queries, bits=64, stages=stages)
    assert result.passed and result.products.tolist() == (codes != queries).sum(axis=1).tolist()
    plan = rtl.scan_lane(64, words, stages=stages)
    assert plan.stages <= stages
    assert result.clocks.tolist() == [words * (k + 1) + plan.stages - 1 for k in range(len(codes))]


def test_a_lane_takes_an_adder_and_an_exclusive_or_a_bit():
    plan, technology = rtl.scan_lane(256, 2), hwsim.load_technology("n5")
    assert plan.cells["XOR"] == 256 and 245 <= plan.cells["FA"] <= 256
    logic = rtl.drawn_transistors(plan.cells).logic
    assert logic == pytest.approx(256 * (technology.full_adder_transistors + 10), rel=0.05)


@pytest.mark.parametrize("shape", [((2, 64), (3, 64)), ((2, 60), (2, 60)), ((0, 64), (0, 64)), ((64,), (64,))])
def test_codes_that_are_none(shape):
    codes, queries = (np.zeros(each, dtype=bool) for each in shape)
    with pytest.raises(InputError, match="expected \\(pairs, words x 64\\)"):
        rtl.simulate_scan(codes, queries, bits=64)
