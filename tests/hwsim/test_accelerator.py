"""Machines that keep weights in memory, in closed form: GPUs and wafers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.events.gpu.node import serve_accelerator
from hwsim.wafer import load_wafer, simulate_wafer

SPECS = {name: models.load(name) for name in models.reference_names()}
RUN = {
    "h100": lambda spec, **given: hwsim.simulate_accelerator(spec, H100, **given),
    "wse3": lambda spec, **given: simulate_wafer(spec, WSE3, **given),
}
H100, WSE3 = hwsim.load_accelerator("h100"), load_wafer("wse3")
MACHINES_THAT_SIMULATE = hwsim.machines().query("simulate").name.tolist()
NAMES, MACHINES = st.sampled_from(sorted(SPECS)), st.sampled_from(sorted(RUN))
quick = settings(max_examples=60, deadline=None)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [name for name in MACHINES_THAT_SIMULATE if name != hwsim.DEFAULT_MACHINE])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_model_on_every_machine(name, machine):
    result = hwsim.simulate(name, machine)
    for figure in ("tokens_per_s", "latency_s", "time_to_first_token_s", "energy_j_per_token", "power_w", "area_mm2"):
        assert 0 < getattr(result, figure) < math.inf, figure
    assert sum(result.breakdown.values()) == pytest.approx(1.0)
    assert result.to_frame().shape[0] == 1 and result.to_json()
    assert isinstance(result.chips, (int, float, np.number)) and result.chips == int(result.chips)


@pytest.mark.slow
@quick
@given(NAMES, MACHINES, st.integers(1, 4096), st.integers(1, 64), st.integers(1, 64))
def test_batches_never_slow_a_given_fleet(name, machine, context, one, other):
    batches = np.sort([one, other])
    found = RUN[machine](SPECS[name], context=context, batch=batches, devices=64)
    assert found.tokens_per_s[1] >= found.tokens_per_s[0] * (1 - 1e-12)
    assert found.latency_s[1] >= found.latency_s[0] * (1 - 1e-12)


@pytest.mark.slow
@quick
@given(NAMES, MACHINES, st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 16))
def test_context_never_speeds_a_given_fleet(name, machine, one, other, batch):
    contexts = np.sort([one, other])
    # One split of the GPUs serves both.
    found = RUN[machine](SPECS[name], context=contexts, batch=batch, devices=128)
    assert found.latency_s * found.tokens_per_s == pytest.approx([batch, batch])
    if machine == "wse3":
        assert found.tokens_per_s[1] <= found.tokens_per_s[0] * (1 + 1e-12)


def test_what_events_rule_out_is_refused():
    deepseek = SPECS["deepseek-v3"]
    # Under a tensor split every GPU holds the whole latent of every sequence, 295 GB of 72.
    for gpus, reason in (
        (8, "100.8 GB of weights"),
        (13, "divides neither 128 heads nor 256 experts"),
        (16, "in 72.0 GB"),
    ):
        with pytest.raises(hwsim.InputError, match=reason):
            hwsim.simulate_accelerator(deepseek, H100, context=65536, batch=64, devices=gpus)
    fewest = hwsim.simulate_accelerator(deepseek, H100, context=65536, batch=64)
    assert fewest.chips == 32 and "experts over 32 GPUs" in fewest.notes[0]
    assert fewest.checks[0].ok
    with pytest.raises(hwsim.InputError, match="gpus = 1"):
        hwsim.simulate_accelerator(SPECS["llama-3.1-405b"], H100, devices=1)
    with pytest.raises(hwsim.InputError, match="expected at least 19"):
        simulate_wafer(SPECS["llama-3.1-405b"], WSE3, devices=1)


def test_arrays_say_which_points_do_not_fit():
    found = hwsim.simulate_accelerator(SPECS["llama-3-70b"], H100, context=4096, batch=np.array([1, 256]), devices=4)
    assert np.isfinite(found.tokens_per_s[0]) and np.isnan(found.tokens_per_s[1])
    assert found.checks[0].ok.tolist() == [True, False]


@pytest.mark.parametrize("name", ["gpt-oss-120b", "llama-3-8b", "deepseek-v3"])
@pytest.mark.parametrize("batch", [1, 16])
def test_events_agree_where_nothing_queues(name, batch):
    gpus, output = 16, 101
    served = serve_accelerator(SPECS[name], hwsim.closed_loop(batch, batch, prompt=1, output=output), gpus=gpus)
    run = hwsim.simulate_accelerator(SPECS[name], H100, context=1 + output // 2, batch=batch, devices=gpus, prompt=1)
    assert np.nanmean(served.time_per_output_token_s) == pytest.approx(run.latency_s, rel=0.05)
    # The first prompt is read alone; it has the first token when the closed form says.
    first = np.min(served.time_to_first_token_s)
    assert first == pytest.approx(run.time_to_first_token_s, rel=0.05)


@pytest.mark.parametrize("machine", sorted(RUN))
def test_arrays_are_loops(machine):
    spec = SPECS["gpt-oss-120b"]
    contexts, batches = np.array([[1], [2048], [10**6]]), np.array([1, 50, 4096])
    many = RUN[machine](spec, context=contexts, batch=batches)
    for i in range(3):
        for j in range(3):
            one = RUN[machine](spec, context=int(contexts[i, 0]), batch=int(batches[j]))
            for figure in ("tokens_per_s", "latency_s", "chips", "power_w", "time_to_first_token_s"):
                whole = np.broadcast_to(getattr(many, figure), (3, 3))
                assert whole[i, j] == pytest.approx(getattr(one, figure), rel=1e-12), figure
            assert many.bound_by[i, j] == one.bound_by
    assert many.to_frame().shape[0] == 9


def test_gpus_can_be_given():
    runs = [hwsim.simulate("gpt-oss-120b", "h100", gpus=gpus) for gpus in (1, 2, 4, 8)]
    assert [run.chips for run in runs] == [1, 2, 4, 8]
    times = [run.latency_s for run in runs]
    assert times == sorted(times, reverse=True)
    with pytest.raises(hwsim.InputError, match="which its model sizes"):
        hwsim.simulate("gpt-oss-120b", gpus=4)
    faster, slower = (hwsim.simulate("llama-3-70b", "h100", engine=engine) for engine in ("trtllm", "vllm"))
    assert faster.latency_s < slower.latency_s
    with pytest.raises(hwsim.InputError, match="did you mean 'trtllm'"):
        hwsim.simulate("llama-3-70b", "h100", engine="trtlm")


def test_measurements_are_never_used():
    assert hwsim.machine_book("h100")["measured_tokens_per_s"].nominal == 45
    one, two = (hwsim.simulate("gpt-oss-120b", "h100", set=change) for change in ({}, {"measured_tokens_per_s": 1e6}))
    assert one.to_dict() == two.to_dict() and "measured_tokens_per_s" not in one.assumptions


#: Tokens/s of one user as published, and by how much we may be off. Llama-3-70B was published with the first release.
PUBLISHED = {"gpt-oss-120b": (2059, 2), "llama-3-8b": (1800, 2), "llama-3.1-405b": (969, 2), "llama-3-70b": (450, 2.5)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_one_user_of_a_wafer(name):
    published, factor = PUBLISHED[name]
    ours = simulate_wafer(SPECS[name], WSE3).tokens_per_s
    assert published / factor < ours < published * factor


def test_regions_of_a_wafer_work_at_once():
    spec = SPECS["llama-3-8b"]
    one, full = (simulate_wafer(spec, WSE3, batch=batch) for batch in (1, spec.layers))
    assert full.latency_s == pytest.approx(one.latency_s) and full.tokens_per_s == pytest.approx(32 * one.tokens_per_s)


@pytest.mark.parametrize("machine", sorted(RUN))
@pytest.mark.parametrize("name", ["context", "batch", "prompt", "devices"])
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf, 1e30, "8", [], True])
def test_bad_workloads(machine, name, value):
    # A user knows the number of GPUs as `gpus`.
    known = "gpus|devices" if name == "devices" else name
    with pytest.raises(hwsim.InputError, match=known):
        RUN[machine](SPECS["gpt-oss-120b"], **{name: value})
