"""Toggles of the cells: by hand, against the kernel's own count of the same wires, and on bad input."""

import numpy as np
import pytest

from hwbase import InputError
from hwsim import kernels, rtl
from hwsim.rtl.toggles import cell_outputs, net_toggles

needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")


def random_neuron(inputs, vectors, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 16, inputs).astype(np.uint8), random.integers(-128, 128, (vectors, inputs))


def test_changes_are_counted_net_by_net():
    head = "$var wire 1 ! n0 $end\n$var wire 1 ! alias $end\n$var wire 4 # bus $end\n$var reg 1 $ r0 $end\n"
    body = "$enddefinitions $end\n#0\n$dumpvars\n0!\nb0 #\nx$\n$end\n#1\n1!\n1$\n#2\n0!\n0$\n#3\n0!\n"
    # From unknown to a value is a toggle of nothing that was there; a value that is written again is none.
    assert net_toggles(head + body) == {"n0": 2, "alias": 2, "r0": 1}
    assert net_toggles("") == {}


def test_every_net_has_the_cell_that_drives_it():
    codes, _ = random_neuron(40, 1)
    plan = rtl.metal_cells(rtl.ports_of(codes))
    kinds = list(cell_outputs(plan.verilog).values())
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        # Adders have two outputs each; an exclusive or of three bits is two gates behind one net.
        **{kind: plan.cells[kind] * 2 for kind in ("FA", "HA")},
        **{kind: plan.cells[kind] for kind in ("INV", "AND", "DFF")},
        "XOR": kinds.count("XOR"),
    }
    assert 0 < kinds.count("XOR") <= plan.cells["XOR"]


@needs_icarus
def test_registers_toggle_as_the_kernel_counts_them():
    codes, activations = random_neuron(50, 6)
    found = rtl.measure_toggles(codes, activations)
    seen = kernels.measure_activity(codes[:, None], activations.astype(np.int8))
    assert found.clocks == seen.clocks == 48 and not found.glitches
    # Flip-flops hold the counts and the accumulator; the kernel's accumulator keeps every bit that was shifted out.
    assert found.toggles["DFF"] >= seen.toggles.counts
    assert 0.05 < found.activity < 0.3


@needs_icarus
@pytest.mark.slow
def test_nothing_switches_on_zeros_and_glitches_only_add():
    codes, activations = random_neuron(60, 5, seed=1)
    still = rtl.measure_toggles(codes, np.zeros((3, 60), dtype=np.int64))
    # Only the accumulator's conditional complement moves, at the sign bit of every vector.
    assert still.toggles["HA"] == 0 and still.activity < 0.03
    calm, busy = (rtl.measure_toggles(codes, activations, glitches=glitches) for glitches in (False, True))
    assert busy.toggles["FA"] > calm.toggles["FA"] and busy.toggles["DFF"] == calm.toggles["DFF"]
    assert calm.cells == busy.cells and calm.transistors == busy.transistors
    assert calm.activity < busy.activity < 1.0
    assert 0.0 < calm.rate("FA") < 1.0


@pytest.mark.parametrize(
    ("codes", "activations"),
    [
        (np.zeros(0, dtype=np.uint8), np.zeros((1, 0), dtype=int)),
        (np.full(3, 16, dtype=np.uint8), np.zeros((1, 3), dtype=int)),
        (np.ones(3, dtype=np.uint8), np.zeros((0, 3), dtype=int)),
        (np.ones(3, dtype=np.uint8), np.full((1, 3), 128)),
        (np.ones(3, dtype=np.uint8), np.full((1, 3), np.nan)),
        (np.ones(3, dtype=np.uint8), np.zeros((1, 4), dtype=int)),
    ],
)
def test_what_is_no_neuron_is_refused(codes, activations):
    with pytest.raises(InputError):
        rtl.measure_toggles(codes, activations)
