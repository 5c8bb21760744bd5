"""Clocks of a product on a spatial accelerator: closed form, events, tilings, elements."""

from dataclasses import replace
from itertools import product as combinations

import numpy as np
import pytest

from hwbase import InputError
from hwsim.npu.dataflow import DATAFLOWS, Shape, folding
from hwsim.npu.design import load_npu
from hwsim.npu.elements import KINDS, lanes, passes
from hwsim.npu.events import run_events
from hwsim.npu.product import Product
from hwsim.npu.run import run_network, run_product
from hwsim.npu.tiling import ORDERS, Tiling, fits, search, sizes
from hwsim.npu.timing import tiles, timing
from hwsim.technology import load_technology

BOOK = load_npu()
N5 = load_technology("n5")
#: Closed form against events.
TOLERANCE = 0.02


def random_case(random):
    """Return an accelerator and a product; few tiles, so that events stay quick."""
    design = replace(
        BOOK,
        dataflow=str(random.choice(DATAFLOWS)),
        pe=str(random.choice(KINDS)),
        array_rows=int(random.choice([8, 16, 32, 64, 128])),
        array_columns=int(random.choice([8, 16, 32, 64])),
        input_buffer_bytes=float(2 ** random.integers(15, 21)),
        weight_buffer_bytes=float(2 ** random.integers(15, 21)),
        output_buffer_bytes=float(2 ** random.integers(16, 21)),
        memory_bandwidth_bytes_per_s=float(10 ** random.uniform(9.7, 12)),
        memory_channels=int(random.choice([1, 2, 4, 8])),
        fold_overlap=int(random.integers(0, 2)),
    )
    widths = {"weight_bits": int(random.choice([2, 4, 8, 16])), "activation_bits": int(random.choice([4, 8]))}
    outputs = int(random.integers(8, 700))
    if random.random() < 0.4:
        side, kernel = int(random.choice([8, 16, 32])), int(random.choice([1, 3]))
        inputs = int(random.integers(4, 150)) * kernel**2
        return design, Product("layer", side**2, inputs, outputs, kernel=kernel, width=side, **widths)
    return design, Product("layer", int(random.integers(1, 500)), int(random.integers(8, 900)), outputs, **widths)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_closed_form_and_events_agree_and_causes_sum_to_all_clocks(seed):
    design, product = random_case(np.random.default_rng(seed))
    walk = tiles(design, product, search(design, product))
    clocks = timing(design, product, walk)
    if len(walk.tokens) < 400:
        events = run_events(design, walk)
        assert clocks.cycles == pytest.approx(events.cycles, rel=TOLERANCE)
        assert events.array_cycles <= events.cycles * (1 + 1e-9)
    parts = clocks.useful_cycles + clocks.idle_cycles + clocks.fill_cycles + clocks.stall_cycles
    assert parts == pytest.approx(clocks.cycles)
    assert min(clocks.useful_cycles, clocks.idle_cycles, clocks.fill_cycles, clocks.stall_cycles) >= -1e-6


def test_closed_form_and_events_agree_on_a_layer():
    product = Product("layer", 1024, 640, 640, weight_bits=4)
    walk = tiles(BOOK, product, search(BOOK, product))
    assert timing(BOOK, product, walk).cycles == pytest.approx(run_events(BOOK, walk).cycles, rel=TOLERANCE)


def test_tiles_cover_a_product_and_move_what_they_must():
    design = replace(BOOK, input_buffer_bytes=16384.0, weight_buffer_bytes=16384.0, output_buffer_bytes=65536.0)
    product = Product("layer", 300, 500, 200)
    for order in ORDERS:
        walk = tiles(design, product, Tiling(64, 128, 64, order))
        assert np.sum(walk.tokens * walk.inputs * walk.outputs) == product.macs
        finished = walk.store_bytes[~walk.partial].sum()
        assert finished == product.tokens * product.outputs
        # Whatever leaves unfinished comes back once.
        assert walk.load_bytes["sums"].sum() == walk.store_bytes[walk.partial].sum()
        assert walk.load_bytes["weights"].sum() >= product.weights
        assert walk.load_bytes["inputs"].sum() >= product.tokens * product.inputs


@pytest.mark.slow
def test_the_search_finds_the_best_of_all_tilings():
    design = replace(
        BOOK,
        array_rows=32,
        array_columns=32,
        input_buffer_bytes=8192.0,
        weight_buffer_bytes=8192.0,
        output_buffer_bytes=16384.0,
    )
    product = Product("layer", 64, 96, 64)
    tried = sizes(design, product)
    options = [each for each in combinations(ORDERS, *tried.values()) if fits(design, product, Shape(*each[1:]))]
    clocks = []
    for place in np.random.default_rng(0).choice(len(options), 60, replace=False):
        order, *tile = options[place]
        clocks.append(timing(design, product, tiles(design, product, Tiling(*map(int, tile), order))).cycles)
    best = timing(design, product, tiles(design, product, search(design, product))).cycles
    assert best <= min(clocks) * 1.02


def test_elements_trade_bits_for_products():
    rate = [
        float(lanes(BOOK, w, a) / passes(BOOK, w, a)) for w, a in ((8, 8), (4, 8), (4, 4), (3, 2), (2, 2), (16, 16))
    ]
    assert rate == [1, 2, 4, 8, 16, 0.25]
    serial, parallel = replace(BOOK, pe="bit-serial"), replace(BOOK, pe="bit-parallel")
    assert [float(lanes(serial, w, 8) / passes(serial, w, 8)) for w in (8, 4, 3, 1)] == [1, 2, 8 / 3, 8]
    assert [float(lanes(parallel, w, 8) / passes(parallel, w, 8)) for w in (2, 8, 16)] == [1, 1, 0.5]


def test_a_fold_takes_the_clocks_that_scale_sim_states():
    """Without overlap, on a full array: 2 R + C + T - 2 a fold (Samajdar et al., ISPASS 2020, equation 1)."""
    design = replace(BOOK, array_rows=32, array_columns=16, fold_overlap=0)
    for dataflow, steps in (("weight", 100), ("output", 64), ("row", 48)):
        fold = folding(replace(design, dataflow=dataflow), Shape(100 if dataflow == "weight" else 32, 64, 48))
        used_columns = min(float(fold.columns), 16)
        folds = float(fold.row_folds * fold.column_folds)
        assert float(fold.cycles) == folds * (2 * 32 + used_columns + steps - 2)


@pytest.mark.parametrize(
    ("array", "dataflow", "product", "cycles"),
    [
        ((16, 16), "weight", (77, 64, 77), 2459),
        ((32, 16), "weight", (50, 70, 50), 1535),
        ((8, 32), "weight", (77, 64, 77), 2951),
        ((16, 16), "row", (50, 70, 50), 1919),
        ((32, 16), "row", (77, 64, 77), 1549),
    ],
)
def test_clocks_are_those_of_scale_sim_which_counts_from_0(array, dataflow, product, cycles):
    """Compute cycles that SCALE-Sim 3.0.0 reports."""
    design = replace(BOOK, array_rows=array[0], array_columns=array[1], dataflow=dataflow, fold_overlap=0)
    assert float(folding(design, Shape(*product)).cycles) == cycles + 1


def test_a_network_is_the_sum_of_its_products_and_fewer_bits_cost_less():
    layer = Product("layer", 256, 320, 640)
    one = run_product(BOOK, N5, layer, area_mm2=1.0)
    network = run_network("two", [layer, replace(layer, name="again", repeats=3)], BOOK, N5)
    assert network.cycles == pytest.approx(4 * one.timing.cycles)
    assert sum(network.shares().values()) == pytest.approx(1.0)
    fewer = run_network("two", [replace(layer, weight_bits=4)], BOOK, N5)
    assert fewer.cycles < one.timing.cycles and fewer.energy_j < network.energy_j / 4


def test_a_tile_larger_than_the_buffers_is_refused():
    layer = Product("layer", 256, 320, 640)
    with pytest.raises(InputError, match=r"layer: a tile of 256 x 320 x 640 .* weight_buffer_bytes .* expected"):
        run_product(
            replace(BOOK, weight_buffer_bytes=1024.0), N5, layer, area_mm2=1.0, tiling=Tiling(256, 320, 640, ORDERS[0])
        )
    with pytest.raises(InputError, match="half of output_buffer_bytes of npu is 1 B"):
        search(replace(BOOK, output_buffer_bytes=2.0), layer)


def test_elements_that_cannot_be_composed_are_refused():
    with pytest.raises(InputError, match="brick_bits = 3"):
        replace(BOOK, brick_bits=3)
