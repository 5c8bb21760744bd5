"""Formats of cached keys and values: what rounding keeps, where it is applied, and the rows of `hwsim quality`."""

import numpy as np
import pytest
from inference_cases import random_weights, tiny_config

from explorer.inference.perplexity import Case, kv_cases
from hwbase import InputError
from models.inference import KV_FORMATS, Transformer, kv_bits
from models.inference.kv import kv_rounding

TOKENS = np.random.default_rng(5).integers(0, 263, 24)


@pytest.mark.parametrize(("format", "levels", "worst"), [("int8", 255, 0.5 / 127), ("int4", 15, 0.5 / 7)])
def test_integers_have_a_scale_for_each_token_and_head(format, levels, worst):
    x = np.random.default_rng(0).standard_normal((6, 2, 64)).astype(np.float32)
    x[3, 1] *= 1000.0
    rounded = kv_rounding(format)(x)
    largest = np.abs(x).max(axis=-1, keepdims=True)
    assert (np.abs(rounded - x) <= 1.002 * worst * largest).all()
    assert len(np.unique(rounded[3, 1])) <= levels
    assert kv_bits(format, 64) == {"int8": 8.25, "int4": 4.25}[format]


def test_fp8_keeps_three_bits_of_mantissa():
    x = np.random.default_rng(0).standard_normal((6, 2, 64)).astype(np.float32)
    rounded = kv_rounding("fp8")(x)
    large = np.abs(x) > 0.01 * np.abs(x).max(axis=-1, keepdims=True)
    assert (np.abs(rounded - x)[large] <= 2.0**-4 * np.abs(x)[large] * 1.001).all()
    assert np.abs(rounded).max() <= np.abs(x).max() * 1.002


def test_zero_points_and_rotations_serve_outliers():
    """One large channel leaves the others few levels; a rotation spreads it, a zero point halves the range."""
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 2, 48)).astype(np.float32)
    x[..., 5] += 12.0
    errors = {
        name: float(np.square(kv_rounding(name)(x) - x).mean()) for name in ("int4", "uint4", "int4-rotated", "int8")
    }
    assert errors["int8"] < errors["int4-rotated"] < errors["uint4"] < errors["int4"]
    assert (kv_bits("uint4", 64), kv_bits("int4-rotated", 64)) == (4.5, 4.25)
    same = np.float32([[[3.0, 3.0, 3.0, 3.0]]])
    np.testing.assert_allclose(kv_rounding("uint4")(same), same)


def test_rows_of_zeros_and_values_that_are_not_finite():
    for format in tuple(KV_FORMATS)[1:]:
        np.testing.assert_array_equal(kv_rounding(format)(np.zeros((2, 1, 8), np.float32)), 0.0)
        with pytest.raises(InputError, match="keys or values are not finite"):
            kv_rounding(format)(np.full((2, 1, 8), np.nan, np.float32))
    assert kv_rounding("float") is None
    with pytest.raises(InputError, match="unknown format of keys and values 'int9'; did you mean 'int8'"):
        Transformer(random_weights(tiny_config()), kv="int9")


def test_the_cache_holds_rounded_keys_and_values():
    """Read at once or token by token, the network attends to the same rounded cache."""
    weights = random_weights(tiny_config())
    exact = Transformer(weights).forward(TOKENS)
    errors = []
    for format in ("int8", "fp8", "int4"):
        model = Transformer(weights, kv=format)
        cache = model.cache(24)
        steps = np.concatenate([model.forward([token], cache) for token in TOKENS])
        np.testing.assert_allclose(steps, model.forward(TOKENS), atol=0.02 * exact.std())
        np.testing.assert_allclose(cache.keys, _again(cache.keys, format), atol=2e-3 * np.abs(cache.keys).max())
        errors.append(np.sqrt(np.mean((steps - exact) ** 2)) / exact.std())
    assert 0 < errors[0] < errors[1] < errors[2] < 1


def _again(keys: np.ndarray, format: str) -> np.ndarray:
    return kv_rounding(format)(keys.reshape(-1, 1, keys.shape[-1])).reshape(keys.shape)


def test_rows_of_a_table():
    assert kv_cases(["int8", "int4"]) == (Case("float"), Case("float", kv="int8"), Case("float", kv="int4"))
    assert [case.kv for case in kv_cases(["fp8"], ["hardwired"])] == ["float", "float", "fp8"]
    with pytest.raises(InputError, match="unknown format of keys and values"):
        kv_cases(["int5"])
