"""Weight fabrics: areas, cycles and energies recomputed here, and how they move with their constants."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim
import models
from hwbase import InputError
from hwsim.weight_fabrics import (
    FABRICS,
    Setting,
    cells_per_weight,
    compare,
    fabric_book,
    fabric_format,
    rom,
    rom_cell_um2,
    sram,
)

N7 = hwsim.load_technology("n7")
BOOK = fabric_book()
FORMATS = ("int2", "int3", "int4", "int6", "int8")
NUMBERS = (
    "area_um2_per_weight",
    "cycles_per_token",
    "tokens_per_s_per_user",
    "energy_j_per_mac",
    "transistors_per_weight",
)


def setting(name="int4", technology=N7, **changed):
    read = BOOK.override(changed).reader()
    return Setting(fabric_format(name, technology), technology, read)


@pytest.mark.parametrize(
    ("name", "bits", "cells"),
    [
        *(("int4", 1, 4), ("int4", 2, 2), ("int4", 4, 1), ("int3", 4, 1), ("int6", 4, 2), ("int2", 4, 0.5)),
        *(("ternary", 1, 2), ("ternary", 2, 1), ("ternary", 3.169925, 0.5), ("fp4", 4, 1), ("int1", 3, 1 / 3)),
    ],
)
def test_cells_of_a_weight(name, bits, cells):
    assert cells_per_weight(fabric_format(name, N7), bits) == pytest.approx(cells)


def test_a_rom_of_one_transistor_a_weight_by_hand():
    # 16 lines in two layers, a tenth of an SRAM cell each; 256 weights share a unit of 8 x 5 + 24 adders.
    cost = rom("mask_rom", 4096, 4096, setting("int4"))
    assert cost.cell_um2_per_weight == pytest.approx(0.8 * 0.027 / 0.75)
    sum_bits = 8 + 4 + 12
    unit = (8 * 5 + sum_bits) * 28 + (8 + 4 + sum_bits) * 24
    assert cost.logic_um2_per_weight == pytest.approx(unit / 91.2 / 256)
    assert cost.transistors_per_weight == pytest.approx(1 + unit / 256)
    assert cost.cycles_per_token == 256
    cell_f = 0.5 * 0.14e-15 + np.sqrt(0.8 * 0.027) * 0.2e-15
    read_j = (256 * 0.2 + 1) * cell_f * 0.75**2
    assert cost.energy_j_per_mac == pytest.approx(read_j + unit * 0.16 * 0.14e-15 * 0.75**2)


def test_few_lines_leave_the_transistor():
    assert rom_cell_um2(N7, BOOK.reader(), 2, 2) == pytest.approx(0.3 * N7.sram_bitcell_um2)
    assert rom_cell_um2(N7, BOOK.reader(), 16, 2) == pytest.approx(0.8 * N7.sram_bitcell_um2)


@pytest.mark.parametrize("fabric", [name for name in FABRICS if name not in ("metal_embedding", "cell_embedding")])
def test_more_bits_never_take_less(fabric):
    rows = compare("llama-3-8b", "n7", FORMATS, fabrics=(fabric,)).rows
    for name in ("area_um2_per_weight", "memory_um2_per_weight", "energy_j_per_mac", "transistors_per_weight"):
        values = [getattr(row, name) for row in rows]
        assert values == sorted(values), name


@given(st.sampled_from(["mask_rom", "ternary_rom"]), st.floats(1, 1e5), st.floats(1, 1e5))
def test_more_sharing_never_takes_more_area_nor_fewer_cycles(fabric, one, other):
    few, many = sorted((one, other))
    costs = [rom(fabric, 4096, 4096, setting(**{f"{fabric}.weights_per_multiplier": each})) for each in (few, many)]
    assert costs[1].area_um2_per_weight <= costs[0].area_um2_per_weight
    assert costs[1].cycles_per_token >= costs[0].cycles_per_token


@given(st.floats(0.5, 8), st.floats(0.5, 8))
def test_denser_cells_hold_a_weight_in_fewer(one, other):
    plain, dense = sorted((one, other))
    weights = fabric_format("int6", N7)
    assert cells_per_weight(weights, dense) <= cells_per_weight(weights, plain)


def test_arrays_of_technologies_and_constants_are_element_by_element():
    densities, shares = np.array([60.0, 91.2, 120.0]), np.array([64.0, 256.0, 1024.0])
    many = dataclasses.replace(N7, logic_density_mtr_per_mm2=densities)
    table = compare("llama-3-8b", many, "int4", set={"mask_rom.weights_per_multiplier": shares})
    for i, (density, share) in enumerate(zip(densities, shares, strict=True)):
        one = dataclasses.replace(N7, logic_density_mtr_per_mm2=density)
        alone = compare("llama-3-8b", one, "int4", set={"mask_rom.weights_per_multiplier": share})
        for row, single in zip(table.rows, alone.rows, strict=True):
            for name in NUMBERS:
                value = np.broadcast_to(getattr(row, name), 3)[i]
                assert value == pytest.approx(getattr(single, name)), (row.fabric, name)
    assert len(table.to_frame()) == 3 * len(FABRICS)


def test_metal_and_cells_are_the_circuits_that_exist():
    rows = {row.fabric: row for row in compare("gpt-oss-120b", "n5-asplos26").rows}
    # The HN array of the published chips: as many weights, in as much silicon, but for slack and the split of inputs.
    design, technology = hwsim.load_design(), hwsim.load_technology()
    array_mm2, weights = hwsim.hn_array(models.load("gpt-oss-120b"), design, technology)
    metal = rows["metal_embedding"]
    assert metal.weight_count == pytest.approx(16 * weights, rel=0.01)
    assert metal.area_mm2 == pytest.approx(16 * array_mm2, rel=0.2)
    cells = rows["cell_embedding"]
    assert 9 < cells.area_um2_per_weight / metal.area_um2_per_weight < 16
    assert (metal.cycles_per_token, cells.cycles_per_token) == (8, 1)
    assert (metal.respin_masks, cells.full_set, metal.full_set) == (10, True, False)


def test_the_axis_of_area_cycles_and_masks():
    rows = {row.fabric: row for row in compare("llama-3-8b", "n7", "int4").rows}
    assert rows["mask_rom"].area_mm2 < rows["metal_embedding"].area_mm2 < rows["cell_embedding"].area_mm2
    assert rows["cell_embedding"].area_mm2 < rows["structured_asic"].area_mm2
    assert rows["mask_rom"].cycles_per_token > rows["metal_embedding"].cycles_per_token
    assert rows["mask_rom"].respin_masks == 2 and rows["sram"].respin_masks == rows["dram"].respin_masks == 0
    assert rows["sram"].refill_s < 1.0 < rows["mask_rom"].refill_s
    assert rows["dram"].memory_um2_per_weight > 0 == rows["sram"].memory_um2_per_weight


def test_dram_streams_all_weights_of_a_stack():
    row = compare("llama-3-8b", "n7", "int4", fabrics=("dram",)).rows[0]
    assert row.cycles_per_token == pytest.approx(24e9 / 819e9 * 1e9)
    # A model of experts reads only those that it uses.
    sparse = compare("gpt-oss-120b", "n7", "int4", fabrics=("dram",)).rows[0]
    assert sparse.tokens_per_s > 10 * row.tokens_per_s


def test_sram_is_the_mac_array():
    cost = sram(4096, 4096, setting("int4"))
    macs = np.ceil(4096 * 4096 / 561)
    circuit = hwsim.mac_array(4096, 4096, fabric_format("int4", N7), N7, macs=macs)
    assert cost.area_um2_per_weight == pytest.approx(circuit.area_mm2 * 1e6 / 4096**2)
    assert cost.energy_j_per_mac == pytest.approx(circuit.switching_j / 4096**2)


def test_power_at_a_rate():
    row = compare("llama-3-8b", "n7", "int4", fabrics=("mask_rom",)).rows[0]
    assert row.power_w(0.0) == row.leakage_w == pytest.approx(0.035 * row.area_mm2)
    assert row.power_w(1e4) - row.leakage_w == pytest.approx(1e4 * row.projection_j_per_token)
    assert row.projection_j_per_token == pytest.approx(row.energy_j_per_mac * row.weight_count)


def test_assumptions_are_kept():
    assert {"mask_rom.bits_per_cell", "host.bandwidth_bytes_per_s", "clock_hz"} <= compare().assumptions.keys()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fabrics": ("mask-rom",)}, r"unknown fabric 'mask-rom'.*mask_rom"),
        ({"formats": "int44"}, r"unknown weight format 'int44'"),
        ({"formats": "bf16"}, r"unknown weight format 'bf16'"),
        *(({name: ()}, f"{name} is empty") for name in ("technologies", "formats", "fabrics")),
        ({"technologies": "n77"}, "n77"),
        ({"model": "llama"}, "llama"),
        ({"clock_hz": 0}, "clock_hz = 0: expected"),
        ({"activation_bits": 2.5}, "activation_bits = 2.5: expected a whole number"),
        ({"slack": -1}, "slack = -1: expected"),
        ({"set": {"mask_rom.bits_per_cell": 0}}, "bits_per_cell = 0: expected"),
        ({"set": {"mask_rom.bits_per_cell": 9}}, "bits_per_cell = 9: expected"),
        ({"set": {"rom.array_efficiency": 0}}, "rom.array_efficiency = 0: expected"),
        ({"set": {"rom.array_efficiency": 2}}, "rom.array_efficiency = 2: expected"),
        ({"set": {"mask_rom.line_layers": 0}}, "line_layers = 0: expected"),
        ({"set": {"mask_rom.bits": 1}}, "mask_rom.bits"),
        ({"set": {"sram.weights_per_multiplier": 0.5}}, "sram.weights_per_multiplier = 0.5: expected"),
        ({"set": {"dram.stack_bandwidth_bytes_per_s": 0}}, "stack_bandwidth_bytes_per_s = 0: expected"),
        ({"fabrics": ("sram",), "set": {"mask_rom.bits_per_cell": 1}}, "mask_rom.bits_per_cell has no effect here"),
        ({"book": "n5"}, "'n5' is of kind 'technology': expected fabrics"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(InputError, match=message):
        compare(**given)


def test_ends_of_the_book_are_a_range():
    areas = [
        compare("llama-3-8b", "n7", "int4", fabrics=("mask_rom",), book=BOOK.at(level)).rows[0].area_um2_per_weight
        for level in ("low", "nominal", "high")
    ]
    # The low end shares a multiplier among few weights and has fewer bits a cell.
    assert len(set(areas)) == 3 and all(0.01 < area < 1.0 for area in areas)


@pytest.mark.parametrize("name", sorted(BOOK))
def test_every_constant_has_a_source_and_a_range_that_is_one(name):
    quantity = BOOK[name]
    assert quantity.source and quantity.year >= 2001
    assert quantity.at("low") <= quantity.nominal <= quantity.at("high")
