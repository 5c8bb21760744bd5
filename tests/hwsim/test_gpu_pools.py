"""Prompts read on GPUs of their own."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwbase import InputError
from hwsim.accelerator import load_accelerator
from hwsim.events.traffic import closed_loop
from hwsim.gpu.loop import loop_times
from hwsim.gpu.pools import prompt_pool, transfer_gpu_s
from hwsim.gpu.rate import best_rate
from hwsim.gpu.split import Split
from hwsim.gpu.step import StepModel

SPEC, LLAMA = models.load("gpt-oss-120b"), models.load("llama-3-8b")
H100, B200 = load_accelerator("h100"), load_accelerator("b200")
WORK = {"context": 1, "prompt_tokens": 8192, "output_tokens": 1024, "sequences": 256}
FREE = {"network_bandwidth_bytes_per_s": 1e18, "prefill_pool_load": 0.99}


def apart(device, **changed):
    return dataclasses.replace(device, separate_pools=1, **changed)


@pytest.mark.parametrize("device", [H100, B200], ids=["h100", "b200"])
@pytest.mark.parametrize("spec", [SPEC, LLAMA], ids=lambda spec: spec.name)
def test_decoding_that_no_prompt_interrupts_keeps_tight_promises_with_more(spec, device):
    for promise in (0.01, 0.015):
        together, pools = (
            best_rate(spec, each, **WORK, time_per_token_s=promise) for each in (device, apart(device, **FREE))
        )
        assert pools.tokens_per_s >= together.tokens_per_s and pools.time_per_output_token_s <= promise


@pytest.mark.parametrize("sequences", [1, 16, 128])
def test_a_token_takes_no_longer_than_where_prompts_are_read_between(sequences):
    step = StepModel(LLAMA, B200, Split(1, 1))
    together = loop_times(step, sequences, 8192, 1024)
    assert step.decode(sequences, 8192 + 512).seconds <= together.time_per_output_token_s * (1 + 1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(16, 60_000), st.integers(2, 4096))
def test_pools_are_balanced(prompt, output):
    device = apart(B200)
    work = {"context": 1, "prompt_tokens": prompt, "output_tokens": output, "sequences": 256}
    best = best_rate(LLAMA, device, **work, time_per_token_s=0.05)
    pool = prompt_pool(LLAMA, device, [[Split(size, 1) for size in (8, 4, 2, 1)]], np.array([float(prompt)]))
    prompts_per_s = best.prompt_gpus / pool.gpu_s[0]
    answers_per_s = best.tokens_per_s * (best.gpus + best.prompt_gpus) / output
    assert prompts_per_s == pytest.approx(answers_per_s)
    context = prompt + output // 2
    decoding = best_rate(LLAMA, B200, context=context, sequences=256, time_per_token_s=0.05)
    assert best.time_per_output_token_s == pytest.approx(decoding.time_per_output_token_s, rel=0.02)
    assert best.tokens_per_s < 1.01 * decoding.tokens_per_s * output / (output - 1.0)


def test_a_cache_crosses_the_network_before_the_first_token():
    slow, fast = (
        best_rate(SPEC, apart(H100, network_bandwidth_bytes_per_s=speed), **WORK, time_per_token_s=0.02)
        for speed in (25e9, 50e9)
    )
    sent_s = transfer_gpu_s(SPEC, H100, 8192)
    assert sent_s == pytest.approx(models.kv_bytes_per_sequence(SPEC, 8192, H100.kv_element_bytes) / 50e9)
    wait_s = slow.time_to_first_token_s - fast.time_to_first_token_s
    assert wait_s == pytest.approx(sent_s / min(fast.gpus, 1))
    # It is no bottleneck, and one where it takes longer than the prompt.
    assert slow.tokens_per_s == pytest.approx(fast.tokens_per_s)
    crawling = best_rate(SPEC, apart(H100, network_bandwidth_bytes_per_s=1e8), **WORK, time_per_token_s=0.02)
    assert crawling.tokens_per_s < 0.5 * fast.tokens_per_s


def test_short_prompts_are_read_together_and_the_load_is_planned():
    prompt = np.array([512.0])
    one, many = (
        prompt_pool(SPEC, dataclasses.replace(H100, prefill_pool_tokens=tokens), [[Split(2, 1)]], prompt)
        for tokens in (512, 8192)
    )
    assert many.gpu_s < 0.6 * one.gpu_s and many.first_token_s > one.first_token_s
    idle = prompt_pool(SPEC, dataclasses.replace(H100, prefill_pool_load=0.4), [[Split(2, 1)]], prompt)
    assert idle.gpu_s == pytest.approx(2.0 * many.gpu_s) and idle.power_share < many.power_share


def test_without_prompts_nothing_changes_and_points_stand_alone():
    decoding = {"context": 4096, "sequences": 256, "time_per_token_s": 0.02}
    assert best_rate(SPEC, apart(B200), **decoding) == best_rate(SPEC, B200, **decoding)
    prompts, answers = np.array([0, 1024, 8192]), np.array([0, 1024, 1024])
    both = best_rate(
        SPEC, apart(B200), **WORK | {"prompt_tokens": prompts, "output_tokens": answers}, time_per_token_s=0.02
    )
    alone = best_rate(SPEC, apart(B200), **WORK, time_per_token_s=0.02)
    assert both.tokens_per_s[2] == alone.tokens_per_s and both.prompt_gpus[0] == 0.0 < both.prompt_gpus[1]
    never = best_rate(SPEC, apart(B200), **WORK, time_per_token_s=1e-6)
    assert np.isnan(never.tokens_per_s)


def test_a_simulation_adds_the_transfer():
    plain, pools = (
        hwsim.simulate("llama-3-8b", "b200", context=8192, batch=4, gpus=1, set=each)
        for each in ({}, {"separate_pools": 1})
    )
    sent_s = transfer_gpu_s(LLAMA, B200, 8192)
    assert pools.time_to_first_token_s - plain.time_to_first_token_s == pytest.approx(sent_s)
    assert pools.tokens_per_s == plain.tokens_per_s


def test_they_have_no_events_and_no_loop():
    with pytest.raises(InputError, match="separate_pools = 1"):
        hwsim.serve("llama-3-8b", closed_loop(1, 1, prompt=8, output=8), "b200", gpus=1, set={"separate_pools": 1})
    with pytest.raises(InputError, match="separate_pools = 1"):
        loop_times(StepModel(LLAMA, apart(B200), Split(1, 1)), 4, 1024, 1024)
