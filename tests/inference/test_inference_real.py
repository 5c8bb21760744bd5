"""SmolLM2-135M-Instruct itself: against transformers, in hardwired arithmetic, and what each arithmetic costs."""

import json
from pathlib import Path

import numpy as np
import pytest
from inference_cases import needs_model
from test_inference_arithmetic import integer_linear

from explorer.inference.arithmetic import linear_operator
from explorer.inference.infer import infer
from explorer.inference.perplexity import Case, measure
from explorer.inference.text import real_text
from models.inference import Transformer, generate, perplexity

pytestmark = [pytest.mark.slow, needs_model]
REFERENCE = json.loads((Path(__file__).parent / "data" / "reference.json").read_text())


@pytest.fixture(scope="module")
def hardwired(real):
    return Transformer(real[0], linear_operator(real[0], "hardwired"))


@pytest.mark.parametrize("prompt", REFERENCE["prompts"], ids=lambda p: p["text"][:20])
def test_logits_equal_those_of_transformers(real, prompt):
    weights, tokenizer = real
    model = Transformer(weights)
    assert tokenizer.encode(prompt["text"]) == prompt["tokens"]
    logits = model.forward(prompt["tokens"])[-4:]
    for row, ids, values in zip(logits, prompt["ids"], prompt["logits"], strict=True):
        np.testing.assert_allclose(row[ids], values, atol=1e-3)
    assert list(generate(model, prompt["tokens"], max_tokens=16)) == prompt["greedy"]


def test_the_specification_is_that_of_the_zoo(real):
    import models

    spec, config = models.load("smollm2-135m"), real[0].config
    sizes = (spec.layers, spec.hidden_size, spec.query_heads, spec.kv_heads, spec.head_dim, spec.intermediate_size)
    assert sizes == (config.layers, config.hidden, config.query_heads, config.kv_heads, config.head_dim,
                     config.intermediate)  # fmt: skip
    assert config.parameters == spec.published_total and config.vocabulary == spec.vocab_size
    assert len(config.linear_shapes()) == 211


def test_hardwired_logits_equal_the_integers_exactly(real, hardwired):
    weights, tokenizer = real
    tokens = tokenizer.encode("The capital of France")
    found = hardwired.forward(tokens)
    np.testing.assert_array_equal(found, Transformer(weights, integer_linear(weights)).forward(tokens))
    blocks = Transformer(weights, linear_operator(weights, "hardwired", sums="blocks"))
    np.testing.assert_array_equal(found, blocks.forward(tokens))


def test_the_outlier_token_and_its_cure(real):
    weights, tokenizer = real
    ids = tokenizer.encode(real_text()[1])[:257]

    def quality(arithmetic, scaling="token"):
        operator = linear_operator(weights, arithmetic, scaling=scaling)
        return perplexity(Transformer(weights, operator), ids, window=257).value

    exact, token, tensor, apart = quality("float"), *(quality("int8", s) for s in ("token", "tensor", "first-scaled"))
    assert exact < token < 1.15 * exact
    assert tensor > 1.4 * apart > 1.4 * token


def test_what_each_arithmetic_costs():
    cases = {
        "float": Case("float"),
        "int8": Case("int8"),
        "mxfp4": Case("mxfp4"),
        "hardwired": Case("hardwired"),
        "hardwired, head float": Case("hardwired", float_head=True),
        "hardwired, tensor": Case("hardwired", "tensor"),
        "hardwired, first apart": Case("hardwired", "first-float"),
    }
    table = measure(list(cases.values()), tokens=127, window=128)
    found = {name: row.perplexity for name, row in zip(cases, table.rows, strict=True)}
    assert found["float"] < found["int8"] < 1.1 * found["float"]
    assert 1.3 * found["float"] < found["hardwired, head float"] < found["mxfp4"]
    assert found["mxfp4"] < found["hardwired"] < 1.2 * found["mxfp4"]
    assert found["hardwired, tensor"] > 1.3 * found["hardwired, first apart"] > 1.3 * found["hardwired"]


def test_hardwired_arithmetic_still_knows_paris():
    found = infer(
        arithmetic="hardwired", prompt="What is the capital of France, and what is it known for?", max_tokens=8
    )
    assert "Paris" in found.text


def test_a_question_is_answered(real):
    pieces = []
    found = infer(prompt="What is the capital of France?", max_tokens=12, on_text=pieces.append)
    assert "Paris" in found.text and "".join(pieces) == found.text
    assert found.decode_tokens_per_s > 1 and found.chip.tokens_per_s > 1000
