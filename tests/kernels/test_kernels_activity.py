"""The trace's registers and the activity counters, by hand and against each other."""

import dataclasses

import numpy as np
import pytest

import hwsim
from hwbase import InputError
from hwsim import kernels
from hwsim.kernels import activity as activity_module
from hwsim.kernels.references import adder_tree


def test_registers_of_one_neuron_by_hand():
    # Weights 0.5 and -6 (codes 1, 15), activations 1 = 01 and -2 = 10 of two bits: 1 x 1 + (-2) x (-12) = 25 halves.
    first, second = kernels.trace(np.array([[1], [15]], np.uint8), np.array([1, -2], np.int8), 2)
    regions = list(kernels.REGION_CODES)
    one, minus_six = regions.index(1), regions.index(15)
    assert first.plane.tolist() == [True, False]
    assert second.plane.tolist() == [False, True]
    assert (first.counts[one, 0], first.counts[minus_six, 0], first.counts.sum()) == (1, 0, 1)
    assert (second.products[minus_six, 0], second.sums[0]) == (-12, -12)
    # R = 1 << 1, then (2 >> 1) - (-12 << 1).
    assert (first.accumulator[0], first.value[0]) == (2, 1)
    assert (second.accumulator[0], second.value[0], second.last) == (25, 25, True)


def test_toggles_of_one_neuron_by_hand():
    seen = kernels.measure_activity(np.array([[1], [0]], np.uint8), np.array([[1, -1]], np.int8), 2)
    # Input 0 goes 0 1 0, input 1 goes 0 1 1; only input 0 has a port; its count, product and sum go 0 1 0.
    # The accumulator goes 0, 1 << 1, 1: one bit up, then one down and one up.
    assert seen.toggles == kernels.Wires(inputs=3, ports=2, counts=2, products=2, sums=2, accumulator=3)
    # Sum: 24 halves at most and a sign, 6 bits; accumulator: 2 more.
    assert seen.wires == kernels.Wires(inputs=2, ports=1, counts=1, products=1, sums=6, accumulator=8)
    assert (seen.clocks, seen.vectors, seen.multiply_accumulates) == (2, 1, 2)
    assert seen.factors()["inputs"] == 3 / 4


@pytest.mark.parametrize("block_bytes", [1 << 26, 3000])
@pytest.mark.parametrize(
    ("inputs", "outputs", "batch", "bits"),
    [(1, 1, 1, 8), (150, 5, 20, 8), (9, 3, 4, 16), (5, 0, 2, 8), (0, 3, 2, 8), (65, 4, 0, 8), (64, 4, 3, 1)],
)
def test_counted_toggles_equal_traced_ones(inputs, outputs, batch, bits, block_bytes, rng, monkeypatch):
    monkeypatch.setattr(activity_module, "BLOCK_BYTES", block_bytes)
    codes = rng.integers(0, 16, (inputs, outputs)).astype(np.uint8)
    activations = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (batch, inputs)).astype(np.int16)
    weights = kernels.prepare(codes)
    counted = kernels.measure_activity(weights, activations, bits)
    assert counted.toggles == kernels.trace_toggles(weights, kernels.trace(weights, activations, bits), bits)
    for toggled, wires in zip(dataclasses.astuple(counted.toggles), dataclasses.astuple(counted.wires), strict=True):
        assert toggled <= wires * counted.clocks


def test_the_accumulator_is_wide_enough(rng):
    weights = kernels.prepare(np.full((37, 1), 7, np.uint8))
    _, register = activity_module.register_widths(37, 8)
    for activations in (np.full(37, -128), np.full(37, 127), np.full(37, -1)):
        for clock in kernels.trace(weights, activations):
            assert -(1 << (register - 1)) <= clock.accumulator[0] < 1 << (register - 1)


def test_random_bits_toggle_half_the_time(rng):
    seen = kernels.measure_activity(rng.integers(0, 16, (64, 8)), rng.integers(-128, 128, (200, 64)))
    assert seen.factors()["inputs"] == pytest.approx(0.5, abs=0.01)


def test_constant_zero_switches_nothing():
    seen = kernels.measure_activity(np.full((64, 8), 3, np.uint8), np.zeros((5, 64), np.int8))
    assert seen.toggles == kernels.Wires(0, 0, 0, 0, 0, 0)
    assert kernels.switching_energy_j(seen, hwsim.load_technology("n5")) == 0.0


def test_energy_grows_with_supply_and_wire(rng):
    technology = hwsim.load_technology("n5")
    seen = kernels.measure_activity(rng.integers(0, 16, (64, 8)), rng.integers(-128, 128, (4, 64)))
    energy = kernels.switching_energy_j(seen, technology)
    doubled = dataclasses.replace(technology, supply_v=2 * technology.supply_v)
    assert kernels.switching_energy_j(seen, doubled) == pytest.approx(4 * energy)
    without = kernels.switching_energy_j(seen, dataclasses.replace(technology, embedding_wire_f=0.0))
    port = 0.5 * seen.toggles.ports * 7.8e-15 * technology.supply_v**2
    assert energy - without == pytest.approx(port)
    with pytest.raises(InputError, match="embedding_wire_f"):
        dataclasses.replace(technology, embedding_wire_f=-1.0)


def test_tree_adds_neighbours():
    levels = [level[:, 0].tolist() for level in adder_tree(np.array([[1], [2], [3], [4], [5]]))]
    assert levels == [[1, 2, 3, 4, 5], [3, 7, 5], [10, 5], [15]]


def test_trace_refuses_a_whole_model():
    with pytest.raises(InputError, match="clock by clock"):
        kernels.trace(np.zeros((5000, 5000), np.uint8), np.zeros(5000, np.int8))


def test_records_turn_into_json(rng):
    seen = kernels.measure_activity(rng.integers(0, 16, (4, 2)), rng.integers(-128, 128, (1, 4)))
    assert '"toggles"' in seen.to_json()
    assert next(kernels.trace(np.ones((2, 1), np.uint8), np.ones(2, np.int8))).to_dict()["sums"] == [2]
