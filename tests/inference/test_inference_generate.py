"""Generation on a tiny random network: greedy, sampled by seed, stopped, and with input that cannot be used."""

import numpy as np
import pytest

from hwbase import InputError
from models.inference import Sampling, Transformer, generate, pick


def test_greedy_takes_the_likeliest_each_time(model):
    found = list(generate(model, [3, 5, 7], max_tokens=6))
    tokens = [3, 5, 7]
    for token in found:
        assert token == int(model.forward(tokens)[-1].argmax())
        tokens.append(token)
    assert len(found) == 6


def test_the_seed_decides(model):
    def sample(seed, **options):
        chosen = Sampling(temperature=1.0, seed=seed, **options)
        return list(generate(model, [3, 5, 7], max_tokens=20, sampling=chosen))

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert sample(3, top_k=1) == list(generate(model, [3, 5, 7], max_tokens=20))
    assert sample(4, top_p=1e-9) == sample(3, top_k=1)


@pytest.mark.slow
def test_sampling_follows_the_distribution():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))

    def shares(**options):
        random = np.random.default_rng(0)
        picked = [pick(logits, Sampling(temperature=1.0, **options), random) for _ in range(4000)]
        return np.bincount(picked, minlength=4) / 4000

    np.testing.assert_allclose(shares(), [0.5, 0.3, 0.15, 0.05], atol=0.03)
    np.testing.assert_allclose(shares(top_k=2), [0.625, 0.375, 0, 0], atol=0.03)
    np.testing.assert_allclose(shares(top_p=0.9), [0.526, 0.316, 0.158, 0], atol=0.03)
    np.testing.assert_allclose(shares(top_p=1.0), [0.5, 0.3, 0.15, 0.05], atol=0.03)
    cold = Sampling(temperature=1e-30)
    assert pick(logits * 1e4, cold, np.random.default_rng(0)) == 0


def test_stop_tokens_end_and_are_not_yielded(model):
    free = list(generate(model, [3, 5, 7], max_tokens=8))
    stop = free[4]
    assert list(generate(model, [3, 5, 7], max_tokens=8, stop=[stop])) == free[: free.index(stop)]


def test_a_cache_goes_on(model):
    whole = list(generate(model, [3, 5, 7, 9], max_tokens=5))
    cache = model.cache()
    model.forward([3, 5], cache)
    assert list(generate(model, [7, 9], max_tokens=5, cache=cache)) == whole
    assert cache.length == 8


def test_input_is_checked_at_the_call(model):
    with pytest.raises(InputError, match="prompt is empty"):
        generate(model, [])
    with pytest.raises(InputError, match="prompt of 96 tokens is too long: expected fewer than the context of 96"):
        generate(model, [1] * 96, max_tokens=1)
    with pytest.raises(InputError, match="expected at most max_tokens = 6"):
        generate(model, [1] * 90, max_tokens=7)
    assert len(list(generate(model, [1] * 90, max_tokens=6))) == 6
    with pytest.raises(InputError, match="token 999"):
        generate(model, [999])
    with pytest.raises(InputError, match="max_tokens = 0"):
        generate(model, [1], max_tokens=0)


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.1},
                {"seed": -1}, {"seed": 1.5}],
)  # fmt: skip
def test_sampling_out_of_range(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Sampling(**options)


def test_arithmetic_that_overflows_is_told(weights):
    broken = Transformer(weights, lambda name, x, position: np.full((len(x), 1), np.nan, np.float32))
    with pytest.raises(InputError, match="logits hold NaN"):
        pick(np.float32([1.0, np.nan]), Sampling(), np.random.default_rng(0))
    assert broken.config is weights.config
