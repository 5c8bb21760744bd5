"""Simulation and synthesis for real: the Verilog against the kernel, the counts against the circuit model."""

import time

import numpy as np
import pytest

import hwsim
from explorer.audit.neuron import audit_neuron
from hwbase import InputError, load_book
from hwsim import rtl
from hwsim.circuits import neuron_cells, neuron_transistors
from hwsim.kernels.hardwired import hardwired_matvec
from hwsim.rtl.metal import CODE_HALVES
from hwsim.technology import BOOKS

FP4 = hwsim.weight_format("fp4", hwsim.load_technology("n5"))
#: Versions of Yosys and ABC differ by about this.
VERSIONS = 0.02
needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")
needs_yosys = pytest.mark.skipif(not rtl.has_tools("yosys"), reason="apt-get install yosys iverilog")


def vectors(inputs, random, bits=8):
    return np.vstack([rtl.corner_vectors(inputs, bits), rtl.random_vectors(random, inputs, bits)])


def kernel(codes, activations, bits=8):
    dtype = np.int8 if bits <= 8 else np.int16
    return hardwired_matvec(codes[:, None], activations.astype(dtype), bits)[:, 0]


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize(("inputs", "random"), [(16, 200), (64, 60), (256, 12)])
def test_verilog_equals_the_kernel(inputs, random):
    codes = np.random.default_rng(inputs).integers(0, 16, inputs).astype(np.uint8)
    activations = vectors(inputs, random)
    expected = activations @ CODE_HALVES[codes]
    assert np.array_equal(kernel(codes, activations), expected)
    for found in (
        rtl.simulate_metal(codes, activations),
        rtl.simulate_cell(codes, activations),
        rtl.simulate_cell(codes, activations, plain=True),
    ):
        assert found.passed
        assert np.array_equal(found.products, expected)


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize("code", range(16))
def test_every_code_alone_and_every_activation(code):
    codes = np.full(1, code, dtype=np.uint8)
    activations = np.arange(-128, 128)[:, None]
    expected = kernel(codes, activations)
    assert np.array_equal(rtl.simulate_metal(codes, activations).products, expected)
    assert np.array_equal(rtl.simulate_cell(codes, activations).products, expected)


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize("bits", [2, 5, 12, 16])
def test_other_activation_widths(bits):
    codes = np.random.default_rng(bits).integers(0, 16, 20).astype(np.uint8)
    activations = vectors(20, 30, bits)
    expected = kernel(codes, activations, bits)
    assert np.array_equal(rtl.simulate_metal(codes, activations, activation_bits=bits).products, expected)
    assert np.array_equal(rtl.simulate_cell(codes, activations, activation_bits=bits).products, expected)


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize("code", [7, 15])
def test_largest_sums_do_not_overflow(code):
    codes = np.full(85, code, dtype=np.uint8)
    activations = vectors(85, 4)
    expected = kernel(codes, activations)
    assert np.abs(expected).max() == 85 * 12 * 128
    assert np.array_equal(rtl.simulate_metal(codes, activations).products, expected)
    assert np.array_equal(rtl.simulate_cell(codes, activations).products, expected)


@needs_icarus
def test_spare_ports_count_nothing():
    codes = rtl.quota_codes(64, FP4)
    activations = vectors(64, 10)
    found = rtl.simulate_metal(codes, activations, ports=rtl.region_ports(64, FP4, slack=0.5))
    assert np.array_equal(found.products, kernel(codes, activations))


@needs_icarus
def test_a_wrong_neuron_is_found_out(monkeypatch):
    # The cells drawn without the subtraction of the sign bit give products that the testbench rejects.
    codes = rtl.quota_codes(16, FP4)
    monkeypatch.setattr("hwsim.rtl.netlist.Netlist.xor", lambda self, *bits: bits[0])
    assert not rtl.simulate_metal(codes, vectors(16, 4)).passed


@pytest.mark.slow
@needs_icarus
@needs_yosys
@pytest.mark.parametrize("adders", ["cells", "gates"])
def test_the_synthesised_netlist_still_equals_the_kernel(adders):
    codes = rtl.quota_codes(32, FP4)
    activations = vectors(32, 20)
    for found in (
        rtl.simulate_metal(codes, activations, adders=adders),
        rtl.simulate_cell(codes, activations, adders=adders),
    ):
        assert np.array_equal(found.products, kernel(codes, activations))


@pytest.mark.slow
@needs_yosys
def test_synthesis_finds_the_adders_that_were_drawn():
    plan = rtl.metal_cells(rtl.region_ports(64, FP4))
    found = rtl.synthesise(plan, "cells")
    assert {name: found.cells[name] for name in ("FA", "HA", "DFF")} == {
        name: plan.cells[name] for name in ("FA", "HA", "DFF")
    }
    dissolved = rtl.synthesise(plan, "gates")
    assert "FA" not in dissolved.cells and dissolved.cells["DFF"] == plan.cells["DFF"]
    assert 0.8 < dissolved.transistors().total / found.transistors().total < 1.1


@pytest.mark.slow
@needs_yosys
def test_weights_do_not_change_the_metal_cells_but_do_change_cell_embedding():
    few, many = np.full(64, 1, dtype=np.uint8), np.full(64, 3, dtype=np.uint8)
    light, heavy = (rtl.synthesise(rtl.cell_neuron(codes)).transistors().total for codes in (few, many))
    assert heavy > 1.5 * light  # times three takes an adder per weight, times one none


@needs_yosys
def test_bad_choices_and_time_limits():
    plan = rtl.metal_cells({1: 3})
    with pytest.raises(InputError, match="adders"):
        rtl.synthesise(plan, "luts")
    with pytest.raises(InputError, match="transistor table"):
        rtl.synthesise(plan, table="bicmos")
    with pytest.raises(InputError, match=r"longer than 0\.001 s"):
        rtl.synthesise(plan, timeout_s=0.001)


@pytest.mark.slow
@needs_yosys
def test_time_up_ends_what_yosys_started_too():
    plan = rtl.plain_cell_neuron(rtl.quota_codes(128, FP4))
    start = time.monotonic()
    with pytest.raises(InputError, match="yosys took longer than 4 s"):
        rtl.synthesise(plan, "gates", timeout_s=4)
    assert time.monotonic() - start < 8  # not until ABC, which holds the same pipe, has finished


@pytest.mark.slow
@needs_icarus
@needs_yosys
def test_audit_of_small_neurons():
    found = audit_neuron((16, 32), plain_inputs=16, vectors=4)
    frame = found.to_frame()
    assert len(frame) == 9 and frame["bit_exact"].all()
    assert set(frame["circuit"]) == {"ME", "CE", "CE plain"}
    assert len(found.ratio_frame()) == 5 and found.findings
    # Even with the leanest adders the paper's transistors a weight are too few.
    leanest = [row.pass_transistor_per_weight for row in found.rows if (row.circuit, row.adders) == ("ME", "cells")]
    assert all(each is not None and each > found.rows[0].paper_per_weight for each in leanest)
    assert "NaN" not in found.to_json()


@pytest.mark.parametrize("given", [{"inputs": ()}, {"inputs": (0,)}, {"vectors": -1}, {"plain_inputs": -1}])
def test_audit_of_nothing(given):
    with pytest.raises(InputError):
        audit_neuron(**given)


@pytest.mark.slow
@needs_icarus
@needs_yosys
def test_neurons_of_the_papers_size_take_what_the_book_records():
    """1,024 inputs: bit-exact, and the recorded transistors; dissolving CE's adders takes minutes and is left out."""
    codes = rtl.quota_codes(1024, FP4)
    activations = vectors(1024, 2)
    expected = activations @ CODE_HALVES[codes]
    for simulate in (rtl.simulate_metal, rtl.simulate_cell):
        assert np.array_equal(simulate(codes, activations).products, expected)
    metal, cell = rtl.metal_cells(rtl.region_ports(1024, FP4)), rtl.cell_neuron(codes)
    per_weight = {
        ("me", "nominal"): rtl.synthesise(metal, "gates").transistors().total / 1024,
        ("me", "high"): rtl.synthesise(metal, "cells").transistors().total / 1024,
        ("ce", "high"): rtl.synthesise(cell, "cells").transistors().total / 1024,
    }
    recorded = load_book("synthesis", BOOKS)
    for (circuit, end), found in per_weight.items():
        known = recorded[f"operator_{circuit}_transistors"]
        assert found == pytest.approx(known.nominal if end == "nominal" else known.high, rel=VERSIONS)
    assert 9 < per_weight["ce", "high"] / per_weight["me", "high"] < 11
    # The circuit model counts more than synthesis needs, by a fifth at most.
    model = neuron_transistors(1024, FP4, hwsim.load_technology("n5"), 8, 0.0) / 1024
    assert all(0 < model / per_weight["me", end] - 1 < 0.2 for end in ("nominal", "high"))
    assert per_weight["me", "high"] == pytest.approx(model, rel=0.1)


@pytest.mark.slow
@needs_yosys
def test_the_synthesised_technology_is_what_synthesis_gives():
    """The widest neurons of gpt-oss-120b: transistors a weight, and for each full adder of the circuit model."""
    inputs, technology = 2880, hwsim.load_technology("n5")
    book, recorded = hwsim.technology_book("n5-synthesised")["full_adder_transistors"], load_book("synthesis", BOOKS)
    adders, registers = neuron_cells(inputs, FP4, 8, 0.0)
    plan = rtl.metal_cells(rtl.region_ports(inputs, FP4), 8)
    for way, per_adder, layer in (
        ("gates", book.nominal, recorded["layer_me_transistors"].nominal),
        ("cells", book.high, recorded["layer_me_transistors"].high),
    ):
        total = rtl.synthesise(plan, way).transistors().total
        assert total / inputs == pytest.approx(layer, rel=VERSIONS)
        assert (total - registers * technology.flip_flop_transistors) / adders == pytest.approx(per_adder, rel=VERSIONS)
