"""Compensated weights of a tiny network: rotations, folders, the command, and what it refuses."""

import json

import numpy as np
import pytest
from inference_cases import needs_gguf, needs_tokenizers, random_weights, tiny_config, tiny_vocabulary, write_gguf

from explorer.inference.arithmetic import linear_operator
from explorer.inference.text import calibration_text, real_text
from explorer.quantise import quantise
from explorer.wiring.study import wiring_study
from hwbase import InputError
from hwsim.kernels import dequantise
from hwsim.kernels import quantise as round_to_format
from models.inference import Transformer
from models.quantise import (
    COMPENSATIONS,
    StoredWeights,
    check_method,
    compensate,
    fold_gains,
    nearest,
    read_weights,
    rotated,
    weight_format,
)

pytestmark = [needs_gguf, needs_tokenizers]
TEXT = "the cat sat on the mat and the dog ran after it. " * 60
SMALL = {"text": TEXT, "windows": 4, "length": 16}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf", random_weights(tiny_config()), tiny_vocabulary())


@pytest.mark.parametrize("change", [fold_gains, rotated])
def test_folding_and_rotation_leave_the_logits(change):
    weights = random_weights(tiny_config())
    tokens = np.arange(12) % weights.config.vocabulary
    before = Transformer(weights).forward(tokens)
    after = Transformer(change(weights)).forward(tokens)
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())


@pytest.mark.parametrize("method", COMPENSATIONS)
def test_a_folder_is_read_as_it_was_written(file, method, tmp_path):
    result = quantise(weights="int4-g32", method=method, out=tmp_path / "w", path=file, **SMALL)
    weights, _ = read_weights(tmp_path / "w")
    assert isinstance(weights, StoredWeights) and result.matrices == len(weights.stored)
    for name, solution in weights.stored.items():
        np.testing.assert_array_equal(weights.matrix(name), solution.values)
    assert np.isfinite(Transformer(weights).forward([1, 2, 3])).all()


def test_equal_settings_give_equal_files_and_other_seeds_others(file, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        quantise(out=tmp_path / name, path=file, seed=seed, **SMALL)
    a, b, c = ({f.name: f.read_bytes() for f in (tmp_path / n).glob("*.safetensors")} for n in "abc")
    assert a == b and a.keys() == c.keys() and a != c


def test_a_run_goes_on_where_it_stopped(file, tmp_path):
    whole = quantise(out=tmp_path / "whole", path=file, **SMALL)
    quantise(out=tmp_path / "w", path=file, **SMALL)
    (tmp_path / "w" / "output.safetensors").unlink()
    again = quantise(out=tmp_path / "w", path=file, **SMALL)
    assert whole.kept == 0 and again.kept == tiny_config().layers
    assert again.loss_ratio == whole.loss_ratio < 1.0
    for part in (tmp_path / "whole").glob("*.safetensors"):
        assert part.read_bytes() == (tmp_path / "w" / part.name).read_bytes()


def test_mxfp4_weights_stay_as_they_are_in_hardwired_arithmetic(file, tmp_path):
    quantise(out=tmp_path / "w", path=file, **SMALL)
    weights, _ = read_weights(tmp_path / "w")
    for matrix in weights.matrices().values():
        np.testing.assert_array_equal(dequantise(round_to_format(matrix, "mxfp4", axis=1)), matrix)


@pytest.mark.parametrize("format", ["mxfp4", "nvfp4", "int4", "int4-g32", "uint4-g32"])
def test_hardwired_products_are_those_of_the_integers(file, format, tmp_path):
    quantise(weights=format, method="gptq", out=tmp_path / "w", path=file, **SMALL)
    weights, _ = read_weights(tmp_path / "w")
    x = np.random.default_rng(0).integers(-127, 128, (3, weights.config.hidden)).astype(np.float32)
    x[:, 0] = 127
    exact = x.astype(np.float64) @ weights.matrix("blk.0.ffn_up").astype(np.float64).T
    y = linear_operator(weights, "hardwired")("blk.0.ffn_up", x, 0)
    np.testing.assert_allclose(y, exact, rtol=1e-6, atol=1e-6 * np.abs(exact).max())
    with pytest.raises(InputError, match="'hardwired'"):
        linear_operator(weights, "int8")
    if format != "mxfp4":
        with pytest.raises(InputError, match="expected mxfp4"):
            wiring_study(weights_file=tmp_path / "w")


def test_calibration_text_shares_no_paragraph_with_the_scored_text():
    scored = {" ".join(p.split()) for p in real_text()[1].split("\n\n")}
    assert not scored & {" ".join(p.split()) for p in calibration_text()[1].split("\n\n")}


def test_the_last_layers_make_good_what_the_first_ones_lose():
    # Rounded one by one to keep what each gives; the outputs of the network show whether errors add up.
    weights, to = fold_gains(random_weights(tiny_config())), weight_format("int3")
    windows = np.random.default_rng(0).integers(0, weights.config.vocabulary, (8, 64))
    tensors = dict(weights.tensors)
    for _, stage in compensate(weights, windows, to, "gptq"):
        tensors |= {name: solution.values for name, solution in stage.solutions.items()}
    plain = {n: nearest(m, to, search=True).values for n, m in weights.matrices().items()}
    expected = Transformer(weights).forward(windows[0])
    errors = [
        np.square(Transformer(type(weights)(weights.config, each)).forward(windows[0]) - expected).sum()
        for each in (tensors, weights.tensors | plain)
    ]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.filterwarnings("ignore")
def test_activations_that_are_not_finite_end_in_one_sentence():
    weights = random_weights(tiny_config())
    large = {f"blk.0.{n}": weights.tensors[f"blk.0.{n}"] * np.float32(1e25) for n in ("attn_v", "attn_output")}
    broken = fold_gains(type(weights)(weights.config, weights.tensors | large))
    for method in ("gptq", "awq"):
        with pytest.raises(InputError, match=r"blk\.0\.\w+: calibration activations hold NaN"):
            list(compensate(broken, np.arange(16).reshape(2, 8), weight_format("mxfp4"), method))
    with pytest.raises(InputError, match="no tokens"):
        list(compensate(weights, np.empty((0, 8), int), weight_format("int4"), "gptq"))


def test_methods_are_named_in_either_order():
    assert check_method("GPTQ+rotation") == "rotation+gptq"
    with pytest.raises(InputError, match="'gptq'"):
        check_method("gtpq")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"weights": "mxpf4"}, "'mxfp4'"),
        ({"method": "rotate+gptq"}, r"rotation\+gptq"),
        ({"text": " \n"}, "calibration text is empty"),
        ({"text": real_text()[1]}, "scores: expected another"),
        ({"windows": 1000}, "expected at least 16000"),
        ({"length": 4}, "length"),
        ({"seed": -1}, "seed"),
        ({"path": None, "model": "smollm3"}, "weights are known for"),
    ],
)
def test_bad_settings_end_in_one_sentence(file, options, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        quantise(**({"out": tmp_path / "w", "path": file, **SMALL} | options))
    assert not (tmp_path / "w").exists()


def test_folders_that_do_not_fit_are_refused(file, tmp_path):
    folder = tmp_path / "w"
    quantise(out=folder, path=file, method="rtn", **SMALL)
    with pytest.raises(InputError, match="other settings"):
        quantise(out=folder, path=file, method="search", **SMALL)
    with pytest.raises(InputError, match="compensated weights"):
        quantise(out=tmp_path / "v", path=folder, **SMALL)
    header = json.loads((folder / "quantised.json").read_text())
    (folder / "quantised.json").write_text(json.dumps(header | {"model_hash": "0"}))
    with pytest.raises(InputError, match="another model"):
        read_weights(folder)
    (folder / "quantised.json").write_text(json.dumps(header | {"complete": False}))
    with pytest.raises(InputError, match="not complete"):
        read_weights(folder)
    (folder / "blk.0.safetensors").write_bytes(b"x")
    (folder / "quantised.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match="safetensors"):
        read_weights(folder)
    numpy = pytest.importorskip("safetensors.numpy")
    losses = {"losses": json.dumps({"blk.0.attn_q": [1.0, 1.0, 0]})}
    numpy.save_file({"blk.0.attn_q.codes": np.zeros((4, 4), np.int8)}, folder / "blk.0.safetensors", losses)
    with pytest.raises(InputError, match="not a whole file of compensated weights"):
        read_weights(folder)


def test_the_command_writes_what_quality_reads(command, file, tmp_path):
    text, folder = tmp_path / "text.txt", tmp_path / "w"
    text.write_text(TEXT)
    given = ("--weights-file", str(file), "--out", str(folder), "--windows", "4", "--length", "16", "--text", str(text))
    status, printed, errors = command("quantise", *given, "--json")
    assert (status, errors) == (0, "") and json.loads(printed)["format"] == "mxfp4"
    status, printed, _ = command("quantise", *given)
    assert status == 0 and "matrices in mxfp4" in printed
    status, printed, errors = command(
        "quality", "--weights-file", str(folder), "--text", str(text), "--tokens", "40", "--window", "16", "--json"
    )
    assert (status, errors) == (0, "")
    assert [row["title"] for row in json.loads(printed)["rows"]] == ["float32", "mxfp4 W4A16", "mxfp4 W4A8"]
    other = tmp_path / "other"
    assert command("quantise", *given[:2], "--out", str(other), *given[4:], "--method", "rtn")[0] == 0
    both = ("--weights-file", str(folder), "--weights-file", str(other), "--text", str(text), "--tokens", "40")
    status, printed, _ = command("quality", *both, "--window", "16", "--json")
    rows = json.loads(printed)["rows"]
    assert status == 0 and [row["method"] for row in rows[1::2]] == ["rotation+gptq", "rtn"]
    for row in rows[1:]:
        assert row["ratio_low"] < row["ratio"] < row["ratio_high"] and 0 <= row["accuracy"] <= 1
        assert row["divergence"] > 0 and row["rounding_seconds"] > 0 and row["bits_per_weight"] == 4.25
    assert rows[0]["divergence"] == 0 and rows[0]["ratio_low"] == 1.0
    status, printed, _ = command("quality", *both, "--window", "16")
    assert status == 0 and "bits a weight" in printed
    status, _, errors = command("quality", *both, "--weights-file", str(file))
    assert status == 2 and "no folder of hwsim quantise" in errors
    status, _, errors = command("quality", "--weights-file", str(folder), "--arithmetic", "int8", "--text", str(text))
    assert status == 2 and "own format" in errors
    status, _, errors = command("sensitivity", "smollm2-135m", "--weights-file", str(folder))
    assert status == 2 and "expected a model file" in errors
    status, _, errors = command("quantise", "--method", "gptk", "--out", str(tmp_path / "v"))
    assert status == 2 and "gptq" in errors
