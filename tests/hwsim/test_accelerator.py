"""The roofline of machines that keep weights in memory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models

SPECS = {name: models.load(name) for name in models.names()}
DEVICES = {name: hwsim.load_accelerator(name) for name in ("h100", "wse3")}
NAMES, MACHINES = st.sampled_from(sorted(SPECS)), st.sampled_from(sorted(DEVICES))
MACHINES_THAT_SIMULATE = hwsim.machines().query("simulate").name.tolist()
quick = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize("reading", hwsim.READINGS)
@pytest.mark.parametrize("machine", MACHINES_THAT_SIMULATE)
@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_model_on_every_machine(name, machine, reading):
    result = hwsim.simulate(name, machine, reading=reading)
    for figure in ("tokens_per_s", "latency_s", "time_to_first_token_s", "energy_j_per_token", "power_w", "area_mm2"):
        assert 0 < getattr(result, figure) < math.inf, figure
    assert sum(result.breakdown.values()) == pytest.approx(1.0)
    assert result.to_frame().shape[0] == 1 and result.to_json()


def test_dense_roofline_by_hand():
    # Llama-3-8B in BF16, one sequence at 1,000: weights but the embedding table, and K and V, once a token.
    spec, h100 = SPECS["llama-3-8b"], DEVICES["h100"]
    counts = models.parameters(spec)
    streamed = (counts.total - counts.embedding) * 2 + 1000 * 2 * 8 * 128 * 32 * 2
    result = hwsim.simulate_accelerator(spec, h100, context=1000)
    assert result.latency_s == pytest.approx(streamed / (3.35e12 * 0.8), rel=1e-9, abs=0)
    assert result.bound_by == "memory bandwidth" and result.chips == 1
    assert result.energy_j_per_token == pytest.approx(1300 * result.latency_s)


def test_large_batches_are_bound_by_compute():
    spec, h100 = SPECS["llama-3-8b"], DEVICES["h100"]
    result = hwsim.simulate_accelerator(spec, h100, context=1, batch=4096)
    active = models.parameters(spec).active + 2 * 32 * 128 * 32
    assert result.bound_by == "compute"
    assert result.tokens_per_s == pytest.approx(989.4e12 * 0.6 / (2 * active), rel=1e-9)


def test_experts_read_grow_with_the_batch():
    # One token uses 4 of 128 experts; of many, nearly all are used by someone.
    spec, h100 = SPECS["gpt-oss-120b"], DEVICES["h100"]
    one, many = (hwsim.simulate_accelerator(spec, h100, context=1, batch=b, devices=1) for b in (1, 256))
    stored = models.weight_bytes(spec)
    rate = 3.35e12 * 0.8
    rest = stored.total - stored.embedding - stored.experts
    assert one.latency_s == pytest.approx((rest + stored.experts * 4 / 128) / rate, rel=1e-4)
    assert many.latency_s == pytest.approx((rest + stored.experts) / rate, rel=1e-2)


@quick
@given(NAMES, MACHINES, st.integers(1, 200_000), st.integers(1, 512), st.integers(1, 512))
def test_batches_never_slow_a_given_fleet(name, machine, context, one, other):
    batches = np.sort([one, other])
    found = hwsim.simulate_accelerator(SPECS[name], DEVICES[machine], context=context, batch=batches, devices=16)
    assert found.tokens_per_s[1] >= found.tokens_per_s[0] * (1 - 1e-12)
    assert found.latency_s[1] >= found.latency_s[0] * (1 - 1e-12)


@quick
@given(NAMES, MACHINES, st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 512))
def test_context_never_speeds_a_given_fleet(name, machine, one, other, batch):
    contexts = np.sort([one, other])
    found = hwsim.simulate_accelerator(SPECS[name], DEVICES[machine], context=contexts, batch=batch, devices=16)
    assert found.tokens_per_s[1] <= found.tokens_per_s[0] * (1 + 1e-12)
    assert found.latency_s * found.tokens_per_s == pytest.approx([batch, batch])


@quick
@given(NAMES, MACHINES, st.integers(1, 10**6), st.integers(1, 4096))
def test_as_many_devices_as_hold_it(name, machine, context, batch):
    device = DEVICES[machine]
    result = hwsim.simulate_accelerator(SPECS[name], device, context=context, batch=batch)
    (memory,) = result.checks
    assert memory.ok and (result.chips == 1 or memory.demand > (result.chips - 1) * device.memory_bytes)
    assert result.area_mm2 == device.area_mm2 * result.chips and result.power_w == device.power_w * result.chips


def test_too_few_devices_fail_their_check():
    result = hwsim.simulate_accelerator(SPECS["llama-3.1-405b"], DEVICES["h100"], devices=1)
    assert not result.checks[0].ok


def test_measurements_are_never_used():
    assert hwsim.machine_book("h100")["measured_tokens_per_s"].nominal == 45
    one, two = (hwsim.simulate("gpt-oss-120b", "h100", set=change) for change in ({}, {"measured_tokens_per_s": 1e6}))
    assert one.to_dict() == two.to_dict() and "measured_tokens_per_s" not in one.assumptions


@pytest.mark.parametrize("machine", sorted(DEVICES))
def test_arrays_are_loops(machine):
    spec, device = SPECS["gpt-oss-120b"], DEVICES[machine]
    contexts, batches = np.array([[1], [2048], [10**6]]), np.array([1, 50, 4096])
    many = hwsim.simulate_accelerator(spec, device, context=contexts, batch=batches)
    for i in range(3):
        for j in range(3):
            one = hwsim.simulate_accelerator(spec, device, context=int(contexts[i, 0]), batch=int(batches[j]))
            for figure in ("tokens_per_s", "latency_s", "chips", "power_w", "time_to_first_token_s"):
                whole = np.broadcast_to(getattr(many, figure), (3, 3))
                assert whole[i, j] == pytest.approx(getattr(one, figure), rel=1e-12), figure
            assert many.bound_by[i, j] == one.bound_by
    assert many.to_frame().shape[0] == 9


@pytest.mark.parametrize("name", ["context", "batch", "prompt", "devices"])
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf, 1e30, "8", [], True])
def test_bad_workloads(name, value):
    with pytest.raises(hwsim.InputError, match=name):
        hwsim.simulate_accelerator(SPECS["gpt-oss-120b"], DEVICES["h100"], **{name: value})
