"""Encoders with rounded matrices: compensated ones stay nearer to the float ones, and calibration sees real tokens."""

import numpy as np
import pytest
from test_embedding import HIDDEN, WORDS, tiny

from hwbase import InputError
from models.embedding import SentenceEncoder, rounded_encoder
from models.embedding.rounding import _hessians
from models.quantise import weight_format

RANDOM = np.random.default_rng(4)
TEXTS = [" ".join(map(str, RANDOM.integers(3, WORDS, size))) for size in RANDOM.integers(2, 20, 120)]
HELD_OUT = [" ".join(map(str, RANDOM.integers(3, WORDS, size))) for size in RANDOM.integers(2, 20, 60)]


def test_compensated_vectors_are_nearer():
    weights = tiny()
    exact = SentenceEncoder(weights).embed(HELD_OUT)
    off = {}
    for method in ("rtn", "gptq"):
        made = rounded_encoder(weights, weight_format("int3"), method, TEXTS)
        off[method] = float(1.0 - np.vecdot(SentenceEncoder(made).embed(HELD_OUT), exact).mean())
        assert made.fingerprint != weights.fingerprint
        same = "embeddings.word_embeddings.weight"
        np.testing.assert_array_equal(made.tensors[same], weights.tensors[same])
    assert 0 < off["gptq"] < off["rtn"]
    eight = rounded_encoder(weights, weight_format("int8"), "gptq", TEXTS)
    np.testing.assert_allclose(SentenceEncoder(eight).embed(HELD_OUT), exact, atol=0.03)


def test_padding_is_left_out_of_calibration():
    """Texts embedded together or one by one give the same Hessians."""
    together = _hessians(tiny(), 1, TEXTS[:12])
    alone = [_hessians(tiny(), 1, [text]) for text in TEXTS[:12]]
    assert set(together) == {
        "attention.self.query", "attention.output.dense", "intermediate.dense", "output.dense"
    }  # fmt: skip
    for part, total in together.items():
        np.testing.assert_allclose(total, sum(each[part] for each in alone), rtol=1e-3, atol=1e-2)
    assert together["attention.self.query"].shape == (HIDDEN, HIDDEN)


def test_what_cannot_be_rounded():
    with pytest.raises(InputError, match="unknown method 'gpqt'; did you mean 'gptq'"):
        rounded_encoder(tiny(), weight_format("int4"), "gpqt", TEXTS)
    with pytest.raises(InputError, match="no calibration texts"):
        rounded_encoder(tiny(), weight_format("int4"))
