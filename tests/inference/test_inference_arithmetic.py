"""Arithmetics as linear operators on a tiny network: exact integers, scales of activations, and the text they give."""

import numpy as np
import pytest
from inference_cases import needs_gguf, needs_tokenizers, write_gguf

from explorer.inference.arithmetic import ARITHMETICS, BlockMatrix, linear_operator
from explorer.inference.infer import chip_run, infer, load_session
from explorer.inference.perplexity import arithmetic_cases, measure, scaling_cases
from explorer.inference.text import real_text
from hwbase import InputError
from hwsim.kernels import ELEMENTS, GROUPED, codes_to_halves, dequantise, quantise
from models.inference import Sampling, Transformer, quantise_activations

TOKENS = np.random.default_rng(5).integers(0, 263, 24)
RANDOM = np.random.default_rng(2)


def integer_linear(weights, scaling="token", bits=8):
    """The hardwired operator with nothing but int64 products, scales written out."""
    prepared = {}
    for name, matrix in weights.matrices().items():
        quantised = quantise(matrix, "mxfp4", axis=1)
        exponents = np.log2(quantised.scales).astype(int).repeat(32, axis=1)[:, : matrix.shape[1]]
        low = exponents.min()
        prepared[name] = codes_to_halves(quantised.codes).astype(np.int64) << (exponents - low), 2.0 ** (low - 1)

    def linear(name, x, position):
        integers, unit = prepared[name]
        a = quantise_activations(x, position, scaling, bits)
        return (a.codes.astype(np.int64) @ integers.T * (unit * a.scales.astype(float))).astype(np.float32)

    return linear


@pytest.mark.parametrize("sums", ["auto", "matmul", "blocks"])
@pytest.mark.parametrize(("scaling", "bits"), [("token", 8), ("tensor", 8), ("first-scaled", 6), ("token", 2)])
@pytest.mark.slow
def test_hardwired_logits_equal_integer_arithmetic(weights, sums, scaling, bits):
    operator = linear_operator(weights, "hardwired", scaling=scaling, activation_bits=bits, sums=sums)
    reference = Transformer(weights, integer_linear(weights, scaling, bits))
    np.testing.assert_array_equal(Transformer(weights, operator).forward(TOKENS), reference.forward(TOKENS))


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (31, 5), (32, 3), (100, 7), (576, 9)])
def test_block_sums_are_exact(inputs, outputs):
    matrix = (RANDOM.standard_normal((outputs, inputs)) * 2.0 ** RANDOM.integers(-9, 9, (outputs, 1))).astype(
        np.float32
    )
    matrix[0] = 0.0
    activations = RANDOM.integers(-128, 128, (4, inputs)).astype(np.int8)
    exact = dequantise(quantise(matrix, "mxfp4", axis=1), np.float64) @ activations.T.astype(float)
    for sums in ("auto", "blocks"):
        found = BlockMatrix(matrix, sums)
        np.testing.assert_array_equal(found.product(activations) * found.units, exact.T)
        np.testing.assert_array_equal(found.floats(), dequantise(quantise(matrix, "mxfp4", axis=1)))


def test_formats_come_close_in_their_order(weights):
    exact = Transformer(weights).forward(TOKENS)
    error = {a: np.abs(Transformer(weights, linear_operator(weights, a)).forward(TOKENS) - exact).mean()
             for a in ARITHMETICS}  # fmt: skip
    assert error["float"] == 0 < error["int8"] < error["mxfp4"] < error["hardwired"] * 1.1
    assert error["int8"] < 0.2 * error["int4"] and error["int4"] < error["int3"] < error["int2"]
    assert error["nvfp4"] < error["mxfp4"] and error["fp8_e4m3"] < error["fp8_e5m2"] < error["fp4"]


def test_activations_halfway_go_to_the_even_integer():
    x = np.float32([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5]])
    assert quantise_activations(x, 0).codes.tolist() == [[127, 0, 2, 2, 0, -2]]


def test_activation_scales():
    x = np.float32([[100.0, -50.0], [1.0, 0.25], [0.0, 0.0]])
    token = quantise_activations(x, 0)
    np.testing.assert_array_equal(token.codes, [[127, -64], [127, 32], [0, 0]])
    np.testing.assert_array_equal(token.scales, np.float32([[100 / 127], [1 / 127], [1.0]]))
    tensor = quantise_activations(x, 0, "tensor")
    np.testing.assert_array_equal(tensor.codes, [[127, -64], [1, 0], [0, 0]])
    apart = quantise_activations(x, 0, "first-scaled")
    np.testing.assert_array_equal(apart.codes, token.codes)
    later = quantise_activations(x, 7, "first-scaled")
    np.testing.assert_array_equal(later.codes, tensor.codes)
    floating = quantise_activations(x, 0, "first-float")
    assert floating.floating == 1 and not floating.codes[0].any()
    np.testing.assert_array_equal(floating.codes[1:], apart.codes[1:])
    assert quantise_activations(x[:1], 0, "first-float").floating == 1
    assert np.abs(quantise_activations(x, 0, bits=4).codes).max() == 7
    assert np.isfinite(quantise_activations(np.float32([[1e-45, 0]]), 0).scales).all()
    with pytest.raises(InputError, match="activations hold NaN"):
        quantise_activations(np.float32([[1.0, np.inf]]), 0)
    with pytest.raises(InputError, match="did you mean 'tensor'"):
        quantise_activations(x, 0, "tensors")
    with pytest.raises(InputError, match="activation_bits = 9"):
        quantise_activations(x, 0, bits=9)


@pytest.mark.parametrize("arithmetic", ["int8", "hardwired"])
def test_the_first_token_in_float(weights, arithmetic):
    matrix = weights.matrix("blk.0.ffn_up")
    operator = linear_operator(weights, arithmetic, scaling="first-float")
    x = RANDOM.standard_normal((3, 32)).astype(np.float32)
    x[0] *= 1e4
    y, exact = operator("blk.0.ffn_up", x, 0), x @ matrix.T
    assert np.abs(y[1:] - exact[1:]).mean() < 0.3
    shared = linear_operator(weights, arithmetic, scaling="tensor")("blk.0.ffn_up", x, 0)
    assert np.abs(shared[1:]).max() == 0.0
    y_later = operator("blk.0.ffn_up", x, 1)
    assert np.abs(y_later[1:]).max() == 0.0


def test_the_head_can_stay_float(weights):
    operator = linear_operator(weights, "hardwired", float_head=True)
    x = RANDOM.standard_normal((2, 32)).astype(np.float32)
    np.testing.assert_array_equal(operator("output", x, 0), x @ weights.matrix("output").T)
    same = linear_operator(weights, "hardwired")
    np.testing.assert_array_equal(operator("blk.1.attn_q", x, 0), same("blk.1.attn_q", x, 0))
    assert (operator("output", x, 0) != same("output", x, 0)).any()


def test_unknown_names(weights):
    with pytest.raises(InputError, match="did you mean 'hardwired'"):
        linear_operator(weights, "hardwire")
    with pytest.raises(InputError, match="unknown sums 'x'"):
        linear_operator(weights, "hardwired", sums="x")
    with pytest.raises(InputError, match="unknown activation scaling"):
        linear_operator(weights, "float", scaling="row")
    with pytest.raises(InputError, match="weights are known for 'smollm2-135m' only"):
        load_session("gpt-oss-120b")
    with pytest.raises(InputError, match="unknown arithmetic 'fp99'"):
        load_session(arithmetic="fp99")
    with pytest.raises(InputError, match="prompt is empty"):
        infer(prompt=" ")
    with pytest.raises(InputError, match="unknown arithmetic with integer activations: 'float'"):
        scaling_cases("float")
    with pytest.raises(InputError, match="did you mean 'int8'"):
        arithmetic_cases(["int88"])
    with pytest.raises(InputError, match="unknown head 'half'"):
        arithmetic_cases(heads=["half"])


def test_every_number_format_is_an_arithmetic_with_a_title():
    assert [case.title for case in arithmetic_cases(heads=["converted"])] == [
        "float32",
        "MXFP4 W4A16",
        "hardwired W4A8",
        "INT8 per channel W8A8",
        "INT4 per channel W4A16",
    ]
    assert ARITHMETICS["nvfp4"].title(8) == "NVFP4 W4A16"
    assert ARITHMETICS["fp8_e4m3"].title(8) == "FP8 E4M3 per channel W8A16"
    assert ARITHMETICS.keys() == {"float", "hardwired", *ELEMENTS, *GROUPED}


def test_the_chip_takes_longer_for_more():
    short, long = chip_run("smollm2-135m", 10, 20), chip_run("smollm2-135m", 10, 200)
    assert 0 < short.seconds < long.seconds and 0 < short.energy_j < long.energy_j
    assert short.cycles == pytest.approx(short.seconds * short.clock_hz)
    assert short.area_mm2 == long.area_mm2 < chip_run("smollm2-135m", 10, 20, "int8").area_mm2
    assert chip_run("smollm2-135m", 10, 0).seconds == pytest.approx(short.time_to_first_token_s, rel=0.01)


@needs_gguf
@needs_tokenizers
def test_a_file_of_ones_own(tmp_path, weights, vocabulary):
    file = write_gguf(tmp_path / "tiny.gguf", weights, vocabulary)
    pieces = []
    sampling = Sampling(temperature=1.0, seed=3)
    found = infer(prompt="the", path=file, max_tokens=8, on_text=pieces.append, sampling=sampling)
    assert "".join(pieces) == found.text and found.tokens <= 8 and found.chip.chips == 1
    again = infer(prompt="the", path=file, max_tokens=8, sampling=sampling, chip=False)
    assert again.text == found.text and again.chip is None
    with pytest.raises(InputError, match="is too long: expected fewer than the context of 96"):
        infer(prompt="the " * 100, path=file)
    plain = load_session(path=file)
    assert plain.encode("the", chat=False) == plain.tokenizer.encode("the")


@pytest.mark.slow
@needs_gguf
@needs_tokenizers
def test_tables_on_a_small_file(tmp_path, weights, vocabulary):
    file = write_gguf(tmp_path / "tiny.gguf", weights, vocabulary)
    seen = []
    cases = arithmetic_cases()
    table = measure(tokens=40, window=20, path=file, report=lambda *step: seen.append(step))
    assert [row.arithmetic for row in table.rows] == [case.arithmetic for case in cases]
    assert table.rows[0].ratio == 1.0 and all(row.perplexity > 1 for row in table.rows)
    assert len({row.perplexity for row in table.rows}) == len(cases) == 9, "each case must reach the operator"
    assert len({(row.title, row.head) for row in table.rows}) == len(cases)
    for row in table.rows:
        assert row.ratio == pytest.approx(row.perplexity / table.rows[0].perplexity)
        assert (row.ratio_error > 0) == (row.arithmetic != "float")
    assert len(table.to_frame()) == len(cases) and "hardwired" in table._repr_html_() and "tokens" in table.to_json()
    assert table.model == "tiny"
    assert seen[:2] == [("float32", 0, 360), ("float32", 19, 360)]
    assert seen[-1] == ("INT4 per channel W4A16, head float", 360, 360)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    table = measure(scaling_cases(activation_bits=(8,)), tokens=20, window=20, path=file)
    assert [row.scaling for row in table.rows] == ["", "token", "tensor", "first-scaled", "first-float"]
    assert [row.title for row in table.rows] == ["MXFP4 W4A16", *["hardwired W4A8"] * 4]
    with pytest.raises(InputError, match="the text has 3 tokens: expected at least 41"):
        measure([], tokens=40, text="thethethe", path=file)


def test_the_text_is_long_enough():
    source, text = real_text()
    assert "pydoc_data.topics" in source and len(text) > 40_000


@pytest.mark.parametrize("scaling", ["token", "tensor", "first-scaled", "first-float"])
@pytest.mark.parametrize("bits", [8, 5])
def test_packed_weights_decode_the_same_logits(weights, scaling, bits):
    """One token at a time in 4 bits a weight, whether or not numba is installed."""
    packed, plain = (
        Transformer(weights, linear_operator(weights, "hardwired", scaling=scaling, activation_bits=bits, sums=sums))
        for sums in ("auto", "matmul")
    )
    caches = packed.cache(10), plain.cache(10)
    for token in (3, 100, 7, 250, 9):
        one, other = (model.forward([token], cache) for model, cache in zip((packed, plain), caches, strict=True))
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(packed.forward([5, 6, 7], caches[0]), plain.forward([5, 6, 7], caches[1]))
