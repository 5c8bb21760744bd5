"""The Verilog as text, the plan of its cells, and the transistor table: no tool needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwbase import InputError
from hwsim import rtl
from hwsim.kernels.hardwired import codes_to_halves
from hwsim.rtl.metal import CODE_HALVES, REGIONS
from hwsim.rtl.netlist import ZERO, Netlist
from hwsim.rtl.synthesis import parse_stat
from hwsim.rtl.transistors import _FUNCTIONS, TABLES, genlib

FP4 = hwsim.weight_format("fp4", hwsim.load_technology("n5"))


def test_codes_mean_what_the_kernel_says():
    assert np.array_equal(codes_to_halves(np.arange(16, dtype=np.uint8)), CODE_HALVES)
    assert len(REGIONS) == 14 and 0 not in REGIONS


@pytest.mark.parametrize("inputs", [64, 256])
def test_other_weights_change_the_wiring_only(inputs):
    ports = rtl.region_ports(inputs, FP4, slack=0.1)
    plan = rtl.metal_cells(ports)
    first, second = (rtl.quota_codes(inputs, FP4, seed) for seed in (1, 2))
    assert not np.array_equal(first, second)
    assert plan.verilog == rtl.metal_cells(rtl.region_ports(inputs, FP4, slack=0.1)).verilog
    assert rtl.metal_wiring(first, ports) != rtl.metal_wiring(second, ports)
    shared = [rtl.metal_neuron(codes, plan, ports).split("endmodule")[1] for codes in (first, second)]
    assert shared[0] == shared[1]


def test_wiring_by_hand():
    # Codes: +0.5, -0.5, 0, -0, +0.5 against two ports each; the spare port of -0.5 is tied to 0.
    text = rtl.metal_wiring(np.array([1, 9, 0, 8, 1], dtype=np.uint8), {1: 2, -1: 2})
    assert "assign plus_1 = {x[4], x[0]};" in text
    assert f"assign minus_1 = {{{ZERO}, x[1]}};" in text
    assert "x[2]" not in text and "x[3]" not in text


def test_too_few_ports_name_the_region():
    with pytest.raises(InputError, match=r"weight -6 occurs 3 times: its region has 2 ports"):
        rtl.metal_wiring(np.full(3, 15, dtype=np.uint8), {-12: 2})


@pytest.mark.parametrize("codes", [[16], [-1], [0.5], [], [[1, 2]]])
def test_codes_that_are_none(codes):
    with pytest.raises(InputError):
        rtl.cell_neuron(np.array(codes))


@pytest.mark.parametrize("ports", [{}, {5: 1}, {1: -1}, {1: 2.5}, {1: 0}])
def test_ports_that_are_none(ports):
    with pytest.raises(InputError):
        rtl.metal_cells(ports)


@pytest.mark.parametrize("bits", [0, 1, 33, 8.5])
def test_activation_widths_that_are_none(bits):
    with pytest.raises(InputError):
        rtl.metal_cells({1: 3}, bits)


@given(st.integers(1, 3000))
@settings(max_examples=30, deadline=None)
def test_quota_fits_ports_without_slack(inputs):
    codes = rtl.quota_codes(inputs, FP4)
    ports = rtl.region_ports(inputs, FP4)
    assert codes.shape == (inputs,) and codes.dtype == np.uint8
    assert all(times <= ports[value] for value, times in rtl.ports_of(codes).items() if np.any(codes))


@pytest.mark.parametrize("ports", [1, 3, 7, 15, 31, 63, 127])
def test_popcnt_takes_the_full_adders_of_the_circuit_model(ports):
    net = Netlist("popcnt")
    total = net.count_ones(net.input("x", ports))
    assert len(total) == ports.bit_length()
    # Adders with two inputs left over are half adders; for 2^k - 1 ports there are none.
    assert net.cells["FA"] == ports - ports.bit_length() and net.cells["HA"] == 0


def test_constants_vanish_from_the_cells():
    net = Netlist("folded", clocked=False)
    a, b, c = net.input("x", 3)
    assert net.full_adder(a, ZERO, ZERO) == (a, ZERO)
    net.full_adder(a, b, ZERO)
    net.full_adder(a, b, c)
    assert dict(net.cells) == {"HA": 1, "FA": 1}
    assert net.times([a, b], 4) == [ZERO, ZERO, a, b]
    assert net.add([], []) == [] and net.sum([]) == [ZERO]


def test_depth_is_the_longest_chain_of_adders():
    net = Netlist("chain", clocked=False)
    x = net.input("x", 8)
    assert net.depth(x) == 0
    assert net.depth(net.add(x[:4], x[4:])) == 4
    assert net.depth(net.register(net.add(x[:4], x[4:]))) == 0


def test_names_are_checked():
    with pytest.raises(InputError, match="module name"):
        rtl.cell_neuron(np.array([1]), name="a; drop")


def test_transistors_by_hand():
    found = rtl.count_transistors({"FA": 10, "INV": 3, "DFF": 2})
    assert (found.logic, found.registers, found.total) == (286, 48, 334)
    assert rtl.count_transistors({"FA": 10}, rtl.PASS_TRANSISTOR).total == 140
    with pytest.raises(InputError, match="'LUT4'"):
        rtl.count_transistors({"LUT4": 1})


def test_library_holds_every_gate_at_its_transistors():
    for table in TABLES.values():
        text = genlib(table)
        assert all(f"GATE {name} {table[name]} " in text for name in _FUNCTIONS)
    assert set(rtl.PASS_TRANSISTOR) == set(rtl.STATIC_CMOS)
    assert all(rtl.PASS_TRANSISTOR[name] <= size for name, size in rtl.STATIC_CMOS.items())


def test_book_and_table_count_alike():
    book = hwsim.load_technology("n5")
    assert rtl.STATIC_CMOS["FA"] == book.full_adder_transistors
    assert rtl.STATIC_CMOS["DFF"] == book.flip_flop_transistors


@pytest.mark.parametrize("text", ["", "no json", '{"modules": {}}', '{"modules": {"\\\\m": {}}}'])
def test_statistics_that_are_none(text):
    with pytest.raises(InputError, match="no statistics"):
        parse_stat(text or "{", "m")


def test_statistics_are_renamed_and_free_cells_left_out():
    cells = '{"$_DFF_P_": 2, "$_NOT_": 1, "ONE": 4, "\\\\FA": 3}'
    text = f'noise {{"modules": {{"\\\\m": {{"num_cells_by_type": {cells}}}}}}}'
    assert parse_stat(text, "m") == {"DFF": 2, "FA": 3, "INV": 1}


def test_missing_tools_give_the_install_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"yosys is not installed: apt-get install .* or pip install 'hwsim\[rtl\]'"):
        rtl.find_tool("yosys")
    with pytest.raises(InputError, match="iverilog is not installed: apt-get install yosys iverilog"):
        rtl.simulate_cell(np.array([1]), np.array([[1]]))
    assert not rtl.has_tools("yosys")


@pytest.mark.parametrize("activations", [[[128]], [[-129]], [[0.5]], [[1, 2]], [1], np.empty((0, 1), int)])
def test_activations_that_are_none(activations):
    with pytest.raises(InputError, match="activations"):
        rtl.simulate_metal(np.array([1]), np.array(activations))
