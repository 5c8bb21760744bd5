"""The forward pass on a tiny random network: against plain loops, step by step, and its parts one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import random_weights, tiny_config

from hwbase import InputError
from models.inference import HEAD, FloatLinear, Transformer, multiply, perplexity, token_losses
from models.inference import transformer as module
from models.inference.layers import attend, frequencies, gated, rms_norm, rotate, rotations, softmax

TOKENS = np.random.default_rng(5).integers(0, 263, 24)


def plain_logits(weights, tokens):
    """The network written out in loops and float64, a head and a position at a time."""
    config, tensors = weights.config, {k: v.astype(float) for k, v in weights.tensors.items()}
    head = tensors.get(HEAD, tensors["token_embd"])

    def norm(v, gain):
        return v / np.sqrt((v**2).mean() + config.norm_epsilon) * gain

    def turned(v, position):
        out = v.copy()
        for j in range(0, config.head_dim, 2):
            angle = position * config.rope_theta ** (-j / config.head_dim)
            c, s = np.cos(angle), np.sin(angle)
            out[j], out[j + 1] = v[j] * c - v[j + 1] * s, v[j] * s + v[j + 1] * c
        return out

    xs = [tensors["token_embd"][t] for t in tokens]
    for i in range(config.layers):
        w = {name: tensors[f"blk.{i}.{name}"] for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        keys, values, after = [], [], []
        for p, x in enumerate(xs):
            y = norm(x, tensors[f"blk.{i}.attn_norm"])
            keys.append([turned(k, p) for k in (w["attn_k"] @ y).reshape(config.kv_heads, -1)])
            values.append((w["attn_v"] @ y).reshape(config.kv_heads, -1))
            outputs = []
            for h, q in enumerate((w["attn_q"] @ y).reshape(config.query_heads, -1)):
                shared = h // config.group
                scores = np.array([turned(q, p) @ k[shared] for k in keys]) / np.sqrt(config.head_dim)
                shares = np.exp(scores - scores.max())
                outputs.append(sum(s * v[shared] for s, v in zip(shares / shares.sum(), values, strict=True)))
            x = x + w["attn_output"] @ np.concatenate(outputs)
            y = norm(x, tensors[f"blk.{i}.ffn_norm"])
            gate = tensors[f"blk.{i}.ffn_gate"] @ y
            inner = gate / (1 + np.exp(-gate)) * (tensors[f"blk.{i}.ffn_up"] @ y)
            after.append(x + tensors[f"blk.{i}.ffn_down"] @ inner)
        xs = after
    return np.array([head @ norm(x, tensors["output_norm"]) for x in xs])


@pytest.mark.parametrize("changes", [{}, {"kv_heads": 4}, {"kv_heads": 1}, {"tied_head": False}, {"head_dim": 16}])
def test_forward_equals_plain_loops(changes):
    weights = random_weights(tiny_config(**changes))
    np.testing.assert_allclose(Transformer(weights).forward(TOKENS), plain_logits(weights, TOKENS), atol=2e-4)


def test_prefill_equals_steps_whatever_the_split(model):
    whole = model.forward(TOKENS)
    for sizes in ([1] * 24, [7, 1, 16], [23, 1]):
        cache, found, at = model.cache(24), [], 0
        for size in sizes:
            found.append(model.forward(TOKENS[at : at + size], cache))
            at += size
        assert cache.length == 24
        np.testing.assert_allclose(np.concatenate(found), whole, atol=2e-5)


def test_long_prompts_pass_in_runs(model, monkeypatch):
    whole = model.forward(TOKENS)
    monkeypatch.setattr(module, "PREFILL_CHUNK", 5)
    np.testing.assert_allclose(model.forward(TOKENS), whole, atol=2e-5)
    np.testing.assert_allclose(model.forward(TOKENS, last=True), whole[-1:], atol=2e-5)


def test_later_tokens_do_not_change_earlier_logits(model):
    changed = TOKENS.copy()
    changed[12:] = 7
    np.testing.assert_allclose(model.forward(changed)[:12], model.forward(TOKENS)[:12], atol=1e-6)


def test_cache_rolls_back(model):
    cache = model.cache(30)
    model.forward(TOKENS[:10], cache)
    once = model.forward(TOKENS[10:14], cache)
    cache.rollback(10)
    np.testing.assert_array_equal(model.forward(TOKENS[10:14], cache), once)
    with pytest.raises(InputError, match=r"length = 99: expected a whole number >= 0 and <= 14"):
        cache.rollback(99)


def test_the_operator_sees_every_matrix_and_position(weights):
    seen = []

    def linear(name, x, position):
        seen.append((name, x.shape, position))
        return multiply(weights.matrix(name), x)

    model = Transformer(weights, linear)
    cache = model.cache()
    model.forward(TOKENS[:5], cache, last=True)
    shapes = weights.config.linear_shapes()
    assert [name for name, _, _ in seen] == list(_order(weights.config.layers))
    assert {name: shape[1] for name, shape, _ in seen} == {name: shape[1] for name, shape in shapes.items()}
    assert seen[-1] == (HEAD, (1, 32), 4) and {p for _, _, p in seen[:-1]} == {0}
    seen.clear()
    model.forward(TOKENS[5:6], cache)
    assert {p for _, _, p in seen} == {5}


def _order(layers):
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    return [*(f"blk.{i}.{n}" for i in range(layers) for n in names), HEAD]


def test_a_tied_head_is_the_embedding(weights):
    assert weights.matrix(HEAD) is weights.tensors["token_embd"]
    untied = random_weights(tiny_config(tied_head=False))
    assert untied.matrix(HEAD) is untied.tensors[HEAD]
    assert untied.config.parameters - weights.config.parameters == 263 * 32


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 30), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
@pytest.mark.slow
def test_rotary_scores_depend_on_distance_only(p, q, moved, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, 1, 1, 16)).astype(np.float32)
    table = rotations(np.arange(96), frequencies(16, 1e4))

    def score(a, b):
        return float((rotate(x, table[a : a + 1]) * rotate(y, table[b : b + 1])).sum())

    assert score(p, q) == pytest.approx(score(p + moved, q + moved), abs=1e-4)
    np.testing.assert_array_equal(rotate(x, table[:1]), x)


def test_grouped_queries_are_attention_with_repeated_keys():
    random = np.random.default_rng(1)
    queries = random.standard_normal((5, 6, 8)).astype(np.float32)
    keys, values = random.standard_normal((2, 2, 9, 8)).astype(np.float32)
    repeated = attend(queries, np.repeat(keys, 3, axis=0), np.repeat(values, 3, axis=0))
    np.testing.assert_allclose(attend(queries, keys, values), repeated, atol=1e-6)


def test_parts_at_their_edges():
    assert np.isfinite(gated(np.float32([-1e4, 0.0, 1e4]), np.ones(3, np.float32))).all()
    np.testing.assert_allclose(softmax(np.float32([[1e4, 1e4, -np.inf]])), [[0.5, 0.5, 0.0]])
    np.testing.assert_array_equal(rms_norm(np.zeros((1, 4), np.float32), np.ones(4, np.float32), 1e-5), 0.0)
    matrix = np.random.default_rng(0).standard_normal((7, 33)).astype(np.float32)
    x = np.random.default_rng(1).standard_normal((3, 33)).astype(np.float32)
    np.testing.assert_allclose(multiply(matrix, x)[1:2], multiply(matrix, x[1:2]), atol=1e-5)
    assert FloatLinear({"m": matrix})("m", x, 0).shape == (3, 7)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "at least one token"),
        ([[1, 2]], "expected a sequence"),
        ([1.5], "expected whole numbers"),
        ([263], "token 263: expected ids from 0 to 262"),
        ([-1, 4], "token -1: expected ids from 0 to 262"),
        ([1] * 97, "97 tokens after 0: expected at most 96 positions"),
    ],
)
def test_tokens_that_cannot_be_run(model, tokens, message):
    with pytest.raises(InputError, match=message):
        model.forward(tokens)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kv_heads": 3}, "kv_heads = 3: expected a divisor of query_heads = 4"),
        ({"head_dim": 7}, "head_dim = 7: expected an even number"),
        ({"layers": 0}, "layers = 0: expected a whole number >= 1"),
        ({"rope_theta": 0.0}, "rope_theta = 0: expected"),
    ],
)
def test_sizes_that_do_not_fit(changes, message):
    with pytest.raises(InputError, match=message):
        tiny_config(**changes)


def test_perplexity_windows(model):
    logits = model.forward(TOKENS)[:-1].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(shares[np.arange(23), TOKENS[1:]])
    np.testing.assert_allclose(token_losses(model, TOKENS, window=96), losses, atol=1e-4)
    np.testing.assert_allclose(token_losses(model, TOKENS, window=24, stride=3), losses, atol=1e-4)
    windowed = token_losses(model, TOKENS, window=9)
    expected = [token_losses(model, TOKENS[i : i + 9], window=9) for i in (0, 8, 16)]
    np.testing.assert_allclose(windowed, np.concatenate(expected), atol=1e-5)
    sliding = token_losses(model, TOKENS, window=9, stride=2)
    np.testing.assert_allclose(sliding[8:10], token_losses(model, TOKENS[2:11], window=9)[-2:], atol=1e-5)
    seen = []
    found = perplexity(model, TOKENS, window=9, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 23), (16, 23), (23, 23)] and found.tokens == 23
    assert found.value == pytest.approx(np.exp(windowed.mean()))


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        ([5], {}, "expected at least 2"),
        (TOKENS, {"window": 1}, "window = 1"),
        (TOKENS, {"window": 97}, "window = 97"),
        (TOKENS, {"window": 8, "stride": 8}, "stride = 8"),
        (TOKENS, {"window": 8, "stride": 0}, "stride = 0"),
    ],
)
def test_perplexity_rejects(model, tokens, options, message):
    with pytest.raises(InputError, match=message):
        perplexity(model, tokens, **({"window": 96} | options))
