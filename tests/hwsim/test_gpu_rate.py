"""The best server of a fleet of GPUs within a promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from hwbase import InputError
from hwsim.accelerator import load_accelerator
from hwsim.gpu.rate import best_rate
from hwsim.gpu.split import Split, memory
from hwsim.gpu.step import StepModel

SPEC, H100, B200 = models.load("gpt-oss-120b"), load_accelerator("h100"), load_accelerator("b200")
PROMISE = {"time_per_token_s": 0.04, "sequences": 256}


def test_the_best_server_is_one_that_the_step_model_describes():
    best = best_rate(SPEC, H100, context=2048, **PROMISE)
    split = Split(best.tensor, best.replicas)
    step_s = StepModel(SPEC, H100, split).decode(best.sequences, 2048.0).seconds
    assert best.time_per_output_token_s == pytest.approx(step_s)
    assert best.tokens_per_s == pytest.approx(best.sequences / step_s / best.gpus)
    assert memory(SPEC, H100, split, 2048, best.sequences).fits and step_s <= 0.04


@pytest.mark.parametrize("context", [2048, 65536])
@pytest.mark.parametrize("promise_s", [0.04, 0.02, 0.01])
def test_no_other_server_of_a_node_generates_more(context, promise_s):
    """Every number of sequences on every split; the search may miss the best number by a sixteenth of a step."""
    best = best_rate(SPEC, H100, context=context, time_per_token_s=promise_s, sequences=256)
    sequences = np.arange(1.0, 257.0)
    for tensor in (1, 2, 4, 8):
        split = Split(tensor, 1)
        step_s = StepModel(SPEC, H100, split).decode(sequences, float(context)).seconds
        allowed = (step_s <= promise_s) & memory(SPEC, H100, split, context, sequences).fits
        assert (sequences / step_s / tensor * allowed <= best.tokens_per_s * 1.01).all()


@pytest.mark.slow
def test_arrays_are_points_one_by_one():
    contexts, promises = np.array([2048, 65536, 262144]), np.array([[0.04], [0.01], [1e-5]])
    together = best_rate(SPEC, H100, context=contexts, time_per_token_s=promises, sequences=256)
    assert together.tokens_per_s.shape == (3, 3) and np.isnan(together.tokens_per_s[2]).all()
    for row, promise in enumerate(promises[:2, 0]):
        for column, context in enumerate(contexts):
            alone = best_rate(SPEC, H100, context=context, time_per_token_s=promise, sequences=256)
            assert together.tokens_per_s[row, column] == alone.tokens_per_s


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(64, 100_000), st.floats(0.005, 0.2))
def test_longer_contexts_and_shorter_promises_generate_no_more(context, promise):
    rates = best_rate(
        SPEC,
        H100,
        context=np.array([context, 2 * context, context]),
        time_per_token_s=np.array([promise, promise, promise / 2]),
        sequences=256,
    ).tokens_per_s
    assert not rates[1] > rates[0] and not rates[2] > rates[0]


def test_several_nodes_share_what_no_node_holds():
    best = best_rate(models.load("deepseek-v3"), H100, context=2048, **PROMISE)
    assert best.gpus == 16 and best.tokens_per_s > 0
    assert best_rate(models.load("deepseek-v3"), B200, context=2048, **PROMISE).gpus == 8


def test_prompts_take_their_share():
    decoding = best_rate(SPEC, H100, context=1536, **PROMISE)
    served = best_rate(SPEC, H100, context=1, prompt_tokens=1024, output_tokens=1024, **PROMISE)
    long = best_rate(SPEC, H100, context=1, prompt_tokens=8192, output_tokens=1024, **PROMISE)
    assert decoding.tokens_per_s > served.tokens_per_s > long.tokens_per_s > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": 0}, "context = 0"),
        ({"time_per_token_s": 0.0}, "time_per_token_s = 0"),
        ({"sequences": 1.5}, "sequences = 1.5"),
        ({"prompt_tokens": -1}, "prompt"),
    ],
)
def test_bad_workloads(changes, message):
    with pytest.raises(InputError, match=message):
        best_rate(SPEC, H100, **({"context": 2048} | PROMISE | changes))
