"""Options of serving on GPUs: drafted tokens that a step verifies, and prompts that are partly in the cache."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim
import models
from hwbase import InputError
from hwsim.accelerator import load_accelerator
from hwsim.events.traffic import closed_loop
from hwsim.gpu.loop import loop_times
from hwsim.gpu.rate import best_rate
from hwsim.gpu.speculation import tokens_per_step
from hwsim.gpu.split import Split
from hwsim.gpu.staging import staging_s
from hwsim.gpu.step import StepModel

SPEC, B200 = models.load("gpt-oss-120b"), load_accelerator("b200")
ONE = Split(1, 1)
FREE = {"draft_time_share": 0.0}


def step_of(**changed):
    return StepModel(SPEC, dataclasses.replace(B200, **changed), ONE)


@given(st.integers(0, 12), st.floats(0.0, 1.0))
def test_tokens_of_a_step_are_the_sum_of_what_is_accepted(drafted, acceptance):
    assert tokens_per_step(drafted, acceptance) == pytest.approx(sum(acceptance**k for k in range(drafted + 1)))


def test_no_draft_and_no_prefix_are_as_before():
    plain, same = step_of(), step_of(drafted_tokens=0, draft_acceptance=0.9, cached_prompt_share=0.0)
    for one, other in (
        (plain.decode(8.0, 4096.0), same.decode(8.0, 4096.0)),
        (plain.prefill(1000.0), same.prefill(1000.0)),
    ):
        assert one == other


def test_drafts_that_are_never_accepted_gain_nothing():
    """A single sequence is bound by what it reads: verifying costs next to nothing, and gains nothing."""
    plain = StepModel(models.load("llama-3-8b"), B200, ONE).decode(1.0, 2048.0).seconds
    for share in (0.0, 0.1):
        device = dataclasses.replace(B200, drafted_tokens=3, draft_acceptance=0.0, draft_time_share=share)
        drafted = StepModel(models.load("llama-3-8b"), device, ONE).decode(1.0, 2048.0).seconds
        assert drafted == pytest.approx((1.0 + 3 * share) * plain, rel=1e-3)


def test_drafts_that_are_always_accepted_divide_a_step():
    spec = models.load("llama-3-8b")
    device = dataclasses.replace(B200, drafted_tokens=3, draft_acceptance=1.0, **FREE)
    plain, drafted = (StepModel(spec, each, ONE).decode(1.0, 2048.0).seconds for each in (B200, device))
    assert drafted == pytest.approx(plain / 4.0, rel=1e-3)


def test_drafts_help_few_sequences_more_than_many():
    sequences = np.array([1.0, 16.0, 256.0, 4096.0])
    gain = step_of().decode(sequences, 512.0).seconds / step_of(drafted_tokens=4).decode(sequences, 512.0).seconds
    assert gain[0] > 1.2 and gain[-1] < gain[0]


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_a_cached_prefix_shortens_prompts(share):
    plain, cached = step_of().prefill(20_000.0), step_of(cached_prompt_share=share).prefill(20_000.0)
    assert cached.compute_s < plain.compute_s and cached.seconds < plain.seconds
    # What is read anew attends to the whole prompt.
    assert cached.attention_s > (1.0 - share) ** 2 * plain.attention_s


@pytest.mark.parametrize(
    "changed",
    [
        {"drafted_tokens": 1},
        {"drafted_tokens": 4, "draft_acceptance": 0.6},
        {"cached_prompt_share": 0.5},
        {"drafted_tokens": 2, "cached_prompt_share": 0.8},
    ],
)
@pytest.mark.parametrize("users", [1, 16])
def test_closed_form_and_events_agree(changed, users):
    traffic = closed_loop(users, 8 * users, prompt=1024, output=512)
    served = hwsim.serve("gpt-oss-120b", traffic, "b200", gpus=1, set=changed)
    loop = loop_times(step_of(**changed), users, 1024, 512, rounds=8)
    (middle,) = served.percentiles((50,)).loc["time per output token"]
    assert middle == pytest.approx(loop.time_per_output_token_s, rel=0.05)
    rate = users * 512 / (loop.time_to_first_token_s + 511 * loop.time_per_output_token_s)
    assert served.output_tokens_per_s == pytest.approx(rate, rel=0.05)


def test_they_reach_every_door():
    plain, drafted = (hwsim.simulate("gpt-oss-120b", "b200", batch=1, set=each) for each in ({}, {"drafted_tokens": 3}))
    assert drafted.tokens_per_s > 1.2 * plain.tokens_per_s
    promise = {"time_per_token_s": 0.02, "sequences": 256}
    device = dataclasses.replace(B200, cached_prompt_share=0.9)
    work = {"context": 1, "prompt_tokens": 8192, "output_tokens": 256}
    rates = [best_rate(SPEC, each, **work, **promise).tokens_per_s for each in (B200, device)]
    assert rates[1] > 1.5 * rates[0]


@pytest.mark.parametrize(
    ("name", "value"), [("drafted_tokens", 1.5), ("draft_acceptance", 1.1), ("cached_prompt_share", 1.0)]
)
def test_bad_options(name, value):
    with pytest.raises(InputError, match=name):
        hwsim.simulate("gpt-oss-120b", "b200", set={name: value})


def test_one_stage_is_as_before_and_more_hold_more():
    plain = hwsim.simulate("gpt-oss-120b", "b200", batch=64, gpus=2)
    assert (
        hwsim.simulate("gpt-oss-120b", "b200", batch=64, gpus=2, set={"pipeline_stages": 1}).tokens_per_s
        == plain.tokens_per_s
    )
    staged = hwsim.simulate("deepseek-v3", "h100", batch=32, gpus=16, set={"pipeline_stages": 2})
    assert staged.chips == 16 and staged.feasible and "2 stages" in staged.notes[0]
    with pytest.raises(InputError, match="gpus = 8"):
        hwsim.simulate("deepseek-v3", "h100", batch=32, gpus=8)


def test_a_stage_generates_as_a_group_that_holds_the_network():
    """Two stages of one GPU with two batches: each as fast as a batch on one GPU, but for what is handed on."""
    alone = hwsim.simulate("gpt-oss-120b", "b200", batch=64, gpus=1)
    staged = hwsim.simulate("gpt-oss-120b", "b200", batch=128, gpus=2, set={"pipeline_stages": 2})
    assert staged.tokens_per_s == pytest.approx(2 * alone.tokens_per_s, rel=0.01)
    assert alone.latency_s < staged.latency_s < 1.01 * alone.latency_s
    assert staged.power_w == pytest.approx(2 * alone.power_w, rel=0.01)


def test_stages_spare_a_dense_network_the_exchanges_between_nodes():
    h100 = load_accelerator("h100")
    most, staged = (
        max(
            hwsim.simulate("llama-3.1-405b", "h100", context=8192, batch=batch, gpus=16, **how).tokens_per_s / 16
            for batch in batches
        )
        for batches, how in ((range(8, 40), {}), (range(20, 60, 2), {"set": {"pipeline_stages": 2}}))
    )
    assert staged > 1.3 * most
    # The fleet takes as many stages as serve most within the promise.
    spec, promise = models.load("llama-3.1-405b"), {"time_per_token_s": 0.2, "sequences": 256, "context": 8192}
    best = best_rate(spec, h100, **promise)
    fixed = {p: best_rate(spec, dataclasses.replace(h100, pipeline_stages=p), **promise) for p in (2, 4, 8)}
    assert best.stages > 1 and best.tokens_per_s == max(each.tokens_per_s for each in fixed.values())
    assert best == fixed[int(best.stages)] and f"pipeline stages {best.stages:g}" in best.describe()


def test_what_fits_a_gpu_gains_nothing_from_stages():
    work = {"time_per_token_s": 0.2, "sequences": 256, "context": 8192}
    best, two = (best_rate(SPEC, dataclasses.replace(B200, **each), **work) for each in ({}, {"pipeline_stages": 2}))
    assert best.stages == 1 and two.stages == 2 and two.tokens_per_s < best.tokens_per_s


def test_stages_never_lose_and_longer_contexts_need_them():
    spec, context = models.load("qwen3-32b"), np.array([2048, 16384, 65536])
    best = best_rate(spec, B200, context=context, time_per_token_s=0.1, sequences=256)
    alone = [hwsim.simulate("qwen3-32b", "b200", context=x, batch=4, gpus=1).tokens_per_s for x in context]
    assert (best.tokens_per_s >= alone).all() and (np.diff(best.stages) >= 0).all() and best.stages[-1] > 1


def test_stages_wait_for_the_one_with_most_layers():
    """61 layers over two stages: 31 and 30."""
    spec = models.load("deepseek-v3")
    two, alone = dataclasses.replace(B200, pipeline_stages=2, all_reduce_latency_s=0.0), Split(1, 1)
    links = spec.hidden_size * B200.activation_bytes / (B200.nvlink_bandwidth_bytes_per_s * B200.nvlink_efficiency)
    assert staging_s(spec, two, alone, 1.0, 1) == pytest.approx(62 / 61 - 1 + links)
    slower = spec.hidden_size * B200.activation_bytes / B200.network_bandwidth_bytes_per_s
    assert staging_s(spec, two, Split(8, 1), 1.0, 1) == pytest.approx(62 / 61 - 1 + slower)
    assert staging_s(spec, B200, alone, 1.0, 1) == 0.0


def test_stages_have_no_events():
    with pytest.raises(InputError, match="pipeline_stages = 2"):
        hwsim.serve("gpt-oss-120b", closed_loop(1, 1, prompt=8, output=8), "b200", gpus=1, set={"pipeline_stages": 2})
    with pytest.raises(InputError, match="multiple of pipeline_stages"):
        hwsim.simulate("gpt-oss-120b", "b200", gpus=2, set={"pipeline_stages": 4})
