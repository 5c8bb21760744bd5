"""Chips: blocks by hand, the grid they ask for, and what moves them."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.chip import MOST_CHIPS, grids
from hwsim.circuits import neuron_transistors

SPECS = {name: models.load(name) for name in models.reference_names()}
DESIGN, PAPER, GATES = hwsim.load_design(), hwsim.load_technology(), hwsim.load_technology("n5")
NAMES = st.sampled_from(sorted(SPECS))
quick = settings(max_examples=40, deadline=None)


def test_blocks_by_hand(gpt, design, technology):
    chip = hwsim.build_chip(gpt, design, technology)
    figures = {block.name: (block.area_mm2, block.power_w) for block in chip.blocks}
    assert figures["VEX"] == pytest.approx((16384 * 1701e-6, 16384 * 2.02e-12 * 1e9))
    # 20,000 banks x 16 KB x 8 bits of two-port cells at 80 %; 80 TB/s at 0.134 pJ a bit.
    area = 20_000 * 16_384 * 8 * 2 * 0.021e-6 / 0.8
    assert figures["attention buffer"] == pytest.approx((area, 80e12 * 8 * 0.134e-12))
    assert figures["interconnect engine"] == pytest.approx((6 * 6.32, 6 * 2 * 128e9 * 8 * 4.04e-12))
    assert figures["HBM PHY"] == pytest.approx((52, 63)) and figures["control"] == (0.02, 0.01)
    hn = figures["HN array"][0]
    assert figures["HN array"][1] == pytest.approx(hn * 0.1342)
    assert chip.area_mm2 == pytest.approx(sum(a for a, _ in figures.values()))
    assert chip.power_w == pytest.approx(sum(p for _, p in figures.values()))
    assert chip.fits_reticle and chip.reticle_area_mm2 == 26 * 33


def test_hn_array_by_hand(gpt, design, gates):
    fmt = hwsim.weight_format("fp4", gates)

    def neurons(inputs, outputs, copies, layers):
        one = neuron_transistors(inputs, fmt, gates, 8, 0.065)
        return (outputs * one + inputs * 8 * 24) * copies * layers

    layer = [(720, 1024, 1), (720, 256, 1), (1024, 720, 1), (2880, 128, 1), (2880, 5760, 8), (2880, 2880, 8)]
    transistors = sum(neurons(*shape, 36) for shape in layer) + neurons(2880, 12568, 1, 1)
    area, weights = hwsim.hn_array(gpt, design, gates)
    assert area == pytest.approx(transistors / 138e6, rel=1e-12)
    assert weights == sum(i * o * c for i, o, c in layer) * 36 + 2880 * 12568


def test_table_frame(gpt, design, technology):
    chip = hwsim.build_chip(gpt, design, technology)
    frame = chip.to_frame()
    assert list(frame.columns) == ["block", "area_mm2", "power_w"] and len(frame) == 6
    assert frame["area_mm2"].sum() == pytest.approx(chip.area_mm2)


def test_sixteen_chips_for_the_published_model(gpt, design, technology):
    grid = hwsim.fit_design(gpt, design, technology)
    assert (grid.rows, grid.columns, grid.chips) == (4, 4, 16)
    # Twelve, the next smaller grid of that shape, would not fit.
    twelve = dataclasses.replace(design, rows=4, columns=3)
    assert not hwsim.build_chip(gpt, twelve, technology).fits_reticle


@pytest.mark.slow
@pytest.mark.parametrize("node", ["n16", "n7", "n5", "n3", "n2", "n5-asplos26"])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_dies_fit_the_reticle(name, node):
    technology = hwsim.load_technology(node)
    try:
        grid = hwsim.fit_design(SPECS[name], DESIGN, technology)
    except hwsim.InputError as error:
        # The largest networks on the oldest nodes need so many chips that their links alone overfill a die.
        assert "the blocks beside the HN array take" in str(error) and node in ("n16", "n7", "n5")
        return
    assert hwsim.build_chip(SPECS[name], grid, technology).fits_reticle


@pytest.mark.slow
@quick
@given(NAMES, st.floats(200, 2000))
def test_no_smaller_grid_would_do(name, density):
    technology = dataclasses.replace(GATES, logic_density_mtr_per_mm2=density)
    fitted = hwsim.fit_design(SPECS[name], DESIGN, technology)
    chips, rows = grids()
    smaller = chips < fitted.chips
    if not smaller.any():
        return
    # Grids of every shape, not of powers of two alone.
    rows = rows[smaller].astype(float)
    others = dataclasses.replace(DESIGN, rows=rows, columns=chips[smaller] / rows)
    assert not np.any(hwsim.build_chip(SPECS[name], others, technology).fits_reticle)


def test_grids_are_of_every_nearly_square_shape():
    chips, rows = grids()
    columns = chips // rows
    assert (rows * columns == chips).all() and (np.diff(chips) > 0).all() and chips[-1] == MOST_CHIPS
    assert ((columns >= rows) & (columns <= 2 * rows)).all()
    assert {6, 42, 45, 104} <= set(chips.tolist()) and not {3, 5, 7, 11} & set(chips.tolist())


def test_the_density_of_synthesis_takes_six_by_seven_chips(gpt):
    # Forty-eight, the next grid whose rows are a power of two, are slower and more.
    run = hwsim.simulate(gpt, technology="n5-synthesised", reading="pipelined")
    wide = hwsim.simulate(gpt, technology="n5-synthesised", reading="pipelined", set={"rows": 8, "columns": 6})
    assert run.chips == 42 and run.area_mm2 / run.chips == pytest.approx(857.5, abs=0.1)
    assert run.tokens_per_s / wide.tokens_per_s == pytest.approx(1.016, abs=0.001)


@quick
@given(NAMES, st.floats(200, 2000), st.floats(200, 2000))
@pytest.mark.slow
def test_chips_never_decrease_when_density_falls(name, one, other):
    low, high = sorted((one, other))
    chips = [
        hwsim.fit_design(SPECS[name], DESIGN, dataclasses.replace(GATES, logic_density_mtr_per_mm2=d)).chips
        for d in (low, high)
    ]
    assert chips[0] >= chips[1]


@pytest.mark.slow
@quick
@given(NAMES, st.lists(st.floats(200, 2000), min_size=3, max_size=3), st.integers(1, 30), st.integers(1, 30))
def test_fitting_an_array_is_a_loop(name, densities, rows, columns):
    # Whatever the grid of the design that is fitted: it does not matter where one starts.
    start = dataclasses.replace(DESIGN, rows=rows, columns=columns)
    array = dataclasses.replace(GATES, logic_density_mtr_per_mm2=np.array(densities))
    many = hwsim.fit_design(SPECS[name], start, array)
    for i, density in enumerate(densities):
        one = hwsim.fit_design(SPECS[name], DESIGN, dataclasses.replace(GATES, logic_density_mtr_per_mm2=density))
        assert (np.broadcast_to(many.rows, 3)[i], np.broadcast_to(many.columns, 3)[i]) == (one.rows, one.columns)


def test_a_machine_that_cannot_be_built_is_refused_at_once():
    # Kimi K2 from gate counts at 5 nm: beyond a thousand chips every chip more adds as much in links as it takes away.
    with pytest.raises(hwsim.InputError, match=r"kimi-k2 on .* chips: the blocks beside the HN array take"):
        hwsim.fit_design(SPECS["kimi-k2"], DESIGN, GATES)


@pytest.mark.parametrize("rows", [1, 4, 8])
def test_array_grows_with_the_weights(rows, technology):
    spec = SPECS["gpt-oss-120b"]
    design = dataclasses.replace(DESIGN, rows=rows, columns=4)

    def area(**changed):
        return hwsim.hn_array(dataclasses.replace(spec, **changed), design, technology)[0]

    base = area()
    assert area(layers=40) > base and area(experts=160) > base and area(vocab_size=300_000) > base
    assert area(expert_intermediate_size=2000) < base


@quick
@given(NAMES, st.integers(1, 64), st.integers(1, 64), st.floats(0, 1), st.floats(0, 1))
@pytest.mark.slow
def test_slack_never_shrinks_a_chip(name, rows, columns, one, other):
    low, high = sorted((one, other))
    areas = [
        hwsim.build_chip(
            SPECS[name], dataclasses.replace(DESIGN, rows=rows, columns=columns, popcnt_slack=slack), PAPER
        ).area_mm2
        for slack in (low, high)
    ]
    assert areas[0] <= areas[1]


@pytest.mark.parametrize(
    ("field", "block"),
    [
        ("vex_macs", "VEX"),
        ("buffer_banks", "attention buffer"),
        ("hbm_stacks", "HBM PHY"),
    ],
)
def test_twice_the_units_are_twice_the_block(gpt, design, technology, field, block):
    twice = dataclasses.replace(design, **{field: 2 * getattr(design, field)})
    one, two = (hwsim.build_chip(gpt, d, technology).block(block) for d in (design, twice))
    assert two.area_mm2 == pytest.approx(2 * one.area_mm2) and two.power_w == pytest.approx(2 * one.power_w)


def test_activations_cost_registers_not_popcnts(gpt, design, technology):
    wide = dataclasses.replace(design, activation_bits=16)
    one, two = (hwsim.build_chip(gpt, d, technology).block("HN array").area_mm2 for d in (design, wide))
    assert one < two < 1.5 * one


@given(st.integers(1, MOST_CHIPS))
def test_grid_for(chips):
    rows, columns = hwsim.grid_for(chips)
    assert rows * columns >= chips and rows * (columns - 1) < chips
    assert rows & (rows - 1) == 0
    # The nearest power of two to the side of the square: no side is more than about twice the other.
    assert 0.5 < columns / rows <= 2.0 or chips == 1
    assert isinstance(rows, int) and isinstance(columns, int)


def test_grid_for_arrays():
    chips = np.array([1, 2, 3, 8, 9, 16, 17, 48, 65536])
    rows, columns = hwsim.grid_for(chips)
    assert [(int(r), int(c)) for r, c in zip(rows, columns, strict=True)] == [hwsim.grid_for(int(n)) for n in chips]
    assert hwsim.grid_for(16) == (4, 4) and hwsim.grid_for(8) == (2, 4) and hwsim.grid_for(2) == (1, 2)


def test_more_chips_are_never_a_smaller_grid():
    rows, columns = hwsim.grid_for(np.arange(1, MOST_CHIPS + 1))
    assert np.all(np.diff(rows * columns) >= 0)


@pytest.mark.parametrize("chips", [0, -5, 1.5, math.nan, math.inf, "16", None, []])
def test_bad_chips(chips):
    with pytest.raises(hwsim.InputError, match="chips"):
        hwsim.grid_for(chips)


def test_too_many_chips(gpt, design):
    thin = dataclasses.replace(GATES, logic_density_mtr_per_mm2=0.01, link_area_mm2=0.0)
    with pytest.raises(hwsim.InputError, match=r"chips: expected at most 65,536"):
        hwsim.fit_design(gpt, design, thin)


def test_blocks_too_large_for_any_die(gpt, design):
    small = dataclasses.replace(GATES, reticle_width_mm=10.0)
    with pytest.raises(hwsim.InputError, match="the blocks beside the HN array take"):
        hwsim.fit_design(gpt, design, small)


def test_a_block_by_a_wrong_name(gpt, design, technology):
    with pytest.raises(hwsim.InputError, match="did you mean 'VEX'"):
        hwsim.build_chip(gpt, design, technology).block("vexx")
