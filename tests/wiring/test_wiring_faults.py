"""Faults: exact meaning of each kind, nothing at rate 0, everything at rate 1, and errors in proportion in between."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import InputError, wiring
from hwsim.kernels.hardwired import hardwired_matvec
from hwsim.kernels.planes import HALVES

SEEDS = st.integers(0, 2**32 - 1)
RATES = ("wire", "input", "region_zero", "region_one", "neuron")


def case(seed, inputs=30, outputs=6):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 16, (inputs, outputs), dtype=np.uint8)
    return codes, random.integers(-128, 128, (4, inputs)).astype(np.int8)


def broken(codes, **arrays):
    return dataclasses.replace(wiring.no_faults(*codes.shape), **arrays)


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_no_faults_change_nothing(seed):
    codes, x = case(seed)
    faults = wiring.draw_faults(*codes.shape, seed, **dict.fromkeys(RATES, 0.0))
    assert faults.broken == 0
    assert np.array_equal(wiring.faulty_matvec(codes, x, faults), hardwired_matvec(codes, x))
    assert np.array_equal(wiring.faulty_codes(codes, faults), codes)


@pytest.mark.parametrize("kind", ["wire", "input", "region_zero", "neuron"])
def test_everything_broken_is_silent(kind):
    codes, x = case(1)
    faults = wiring.draw_faults(*codes.shape, 0, **{kind: 1.0})
    assert not wiring.faulty_matvec(codes, x, faults).any()
    # A dead neuron is silent whatever else is stuck.
    dead = wiring.draw_faults(*codes.shape, 0, neuron=1.0, region_one=1.0)
    assert not wiring.faulty_matvec(codes, x, dead).any()


@given(SEEDS, st.integers(0, 29), st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_a_broken_wire_takes_its_product_away(seed, i, j):
    codes, x = case(seed)
    wires = np.zeros(codes.shape, bool)
    wires[i, j] = True
    lost = hardwired_matvec(codes, x) - wiring.faulty_matvec(codes, x, broken(codes, wires=wires))
    expected = np.zeros_like(lost)
    expected[:, j] = x[:, i].astype(int) * int(HALVES[codes[i, j]])
    assert np.array_equal(lost, expected)


@given(SEEDS, st.integers(0, 29))
@settings(deadline=None, max_examples=20)
def test_a_lost_input_is_an_activation_of_zero(seed, i):
    codes, x = case(seed)
    silent = x.copy()
    silent[:, i] = 0
    lost = broken(codes, inputs=np.arange(30) == i)
    assert np.array_equal(wiring.faulty_matvec(codes, x, lost), hardwired_matvec(codes, silent))


@given(SEEDS, st.integers(0, 13), st.integers(1, 8))
@settings(deadline=None, max_examples=40)
@pytest.mark.slow
def test_stuck_regions_by_simulating_the_planes(seed, region, bits):
    codes, x = case(seed)
    x = (x >> (8 - bits)).astype(np.int8)
    stuck = np.zeros((14, 6), bool)
    stuck[region, 2] = True
    regions = wiring.region_map(codes)
    ports = int((regions[:, 2] == region).sum())
    planes = [(x.astype(int) >> k) & 1 for k in range(bits)]
    weights = [1 << k for k in range(bits - 1)] + [-(1 << (bits - 1))]
    for name, count in (("stuck_at_zero", 0), ("stuck_at_one", (1 << ports.bit_length()) - 1)):
        expected = np.zeros((4, 6), int)
        for plane, weight in zip(planes, weights, strict=True):
            for r in range(14):
                counts = plane @ (regions == r)
                if r == region:
                    counts[:, 2] = count
                expected += weight * int(wiring.regions.REGION_HALVES[r]) * counts
        found = wiring.faulty_matvec(codes, x, broken(codes, **{name: stuck}), bits)
        assert np.array_equal(found, expected)
    both = broken(codes, stuck_at_zero=stuck, stuck_at_one=stuck)
    zero = broken(codes, stuck_at_zero=stuck)
    assert np.array_equal(wiring.faulty_matvec(codes, x, both), wiring.faulty_matvec(codes, x, zero))


@pytest.mark.slow
def test_small_rates_do_harm_in_proportion():
    codes, _ = case(0, 400, 200)
    x = np.random.default_rng(3).integers(-128, 128, (8, 400)).astype(np.int8)
    exact = hardwired_matvec(codes, x)

    def error(kind, rate):
        found = [
            wiring.faulty_matvec(codes, x, wiring.draw_faults(400, 200, seed, **{kind: rate})) for seed in range(30)
        ]
        return np.mean([(f - exact).astype(float) ** 2 for f in found])

    # A lost product is independent of the others: the mean squared error is rate x mean square of a result.
    for kind, rate in (("wire", 0.004), ("neuron", 0.02)):
        assert error(kind, rate) == pytest.approx(rate * np.mean(exact.astype(float) ** 2), rel=0.3)
        assert error(kind, 2 * rate) / error(kind, rate) == pytest.approx(2.0, rel=0.3)


def test_rates_are_met_and_seeds_repeat():
    faults = wiring.draw_faults(500, 400, 7, wire=0.01, region_one=0.1, neuron=0.05, input=0.02)
    assert faults.wires.mean() == pytest.approx(0.01, rel=0.1)
    assert faults.stuck_at_one.mean() == pytest.approx(0.1, rel=0.15)
    again = wiring.draw_faults(500, 400, 7, wire=0.01, region_one=0.1, neuron=0.05, input=0.02)
    assert np.array_equal(faults.wires, again.wires) and np.array_equal(faults.neurons, again.neurons)
    assert not np.array_equal(faults.wires, wiring.draw_faults(500, 400, 8, wire=0.01).wires)


def test_what_cannot_be_is_refused():
    codes, x = case(0)
    with pytest.raises(InputError, match="rate of wires"):
        wiring.draw_faults(3, 3, 0, wire=1.5)
    with pytest.raises(InputError, match="shape"):
        wiring.faulty_matvec(codes, x, wiring.no_faults(3, 3))
    with pytest.raises(InputError, match="stuck_at_zero"):
        broken(codes, stuck_at_zero=np.zeros((3, 3), bool))
    with pytest.raises(InputError, match="kind of fault"):
        wiring.measure_over_faults(lambda c: 1.0, {"m": codes}, kinds=["cable"])
    with pytest.raises(InputError, match="without faults"):
        wiring.measure_over_faults(lambda c: 0.0, {"m": codes})
    with pytest.raises(InputError, match="allowed_ratio"):
        wiring.tolerable_rates(None, 1.0)


def test_tolerable_rate_of_a_known_curve():
    codes = {"m": np.ones((100, 100), np.uint8)}

    def measure(given):
        return 1.0 + 10.0 * (given["m"] == 0).mean()

    frame = wiring.measure_over_faults(
        measure, codes, kinds=["wire", "neuron"], rates=(0.01, 0.03, 0.1), seeds=range(4)
    )
    assert frame[frame["rate"] == 0]["ratio"].tolist() == [1.0, 1.0]
    for allowed in (1.02, 1.3):
        assert wiring.tolerable_rates(frame, allowed)["wire"] == pytest.approx((allowed - 1) / 10, rel=0.1)
    assert wiring.tolerable_rates(frame, 50.0) == pytest.approx({"wire": 0.1, "neuron": 0.1})
