"""What the array computes: tiles in NumPy bit for bit, and its Verilog to the clock."""

from dataclasses import replace
from itertools import product as combinations

import numpy as np
import pytest

from hwbase import InputError
from hwsim.npu.dataflow import DATAFLOWS
from hwsim.npu.design import load_npu
from hwsim.npu.elements import KINDS
from hwsim.npu.functional import run_tiles
from hwsim.npu.product import Product
from hwsim.npu.rtl import simulate_array
from hwsim.npu.tiling import ORDERS, Tiling, search
from hwsim.rtl.tools import has_tools

BOOK = load_npu()


@pytest.mark.parametrize("pe", KINDS)
@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(2, 8), (3, 5), (4, 8), (8, 8), (16, 16)])
def test_tiles_of_whole_numbers_are_the_product(pe, weight_bits, activation_bits):
    random = np.random.default_rng(weight_bits)
    design = replace(BOOK, pe=pe, array_rows=8, array_columns=4, accumulator_bits=48)
    layer = Product("layer", 21, 70, 19, weight_bits, activation_bits)
    a = random.integers(-(1 << activation_bits - 1), 1 << activation_bits - 1, (21, 70))
    b = random.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, (70, 19))
    for tiling in (search(design, layer), Tiling(8, 16, 4, ORDERS[3])):
        assert np.array_equal(run_tiles(design, layer, tiling, a, b), a @ b)


def test_sums_wrap_at_the_width_of_the_accumulator():
    layer = Product("layer", 1, 4, 1)
    a, b = np.full((1, 4), 127), np.full((4, 1), 127)
    tiling = Tiling(1, 4, 1, ORDERS[0])
    assert run_tiles(replace(BOOK, accumulator_bits=16), layer, tiling, a, b) == 4 * 127**2 - (1 << 16)
    with pytest.raises(InputError, match="activations: expected whole numbers from -128 to 127"):
        run_tiles(BOOK, layer, tiling, a + 1, b)


@pytest.mark.slow
@pytest.mark.skipif(not has_tools("iverilog", "vvp"), reason="needs Icarus Verilog: apt-get install iverilog")
def test_the_verilog_takes_the_clocks_of_the_model_and_gives_its_sums():
    array = replace(BOOK, array_rows=4, array_columns=3)
    layers = [
        Product("layer", tokens, inputs, outputs, weights, activations)
        for tokens, inputs, outputs, weights, activations in (
            *((5, 6, 7, 8, 8), (7, 20, 3, 4, 8), (1, 16, 9, 4, 4), (6, 33, 5, 2, 2)),
        )
    ]
    shapes = [
        (replace(array, dataflow=dataflow, fold_overlap=overlap), layer)
        for dataflow, overlap, layer in combinations(DATAFLOWS, (1, 0), layers)
    ]
    results = simulate_array(shapes)
    assert len(results) == 24
    assert [each.rtl_cycles for each in results] == [each.model_cycles for each in results]
    assert not any(each.wrong_sums for each in results)


def test_shapes_that_the_verilog_does_not_describe_are_refused():
    with pytest.raises(InputError, match="bit-serial elements of 8 bits"):
        simulate_array([(replace(BOOK, pe="bit-serial"), Product("layer", 1, 1, 1))])
    with pytest.raises(InputError, match="operands of at most 8 bits"):
        simulate_array([(BOOK, Product("layer", 1, 1, 1, 16))])
