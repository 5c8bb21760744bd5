"""Switching on a model's own data: the streams that are counted, the energies, and the recorded constants."""

import dataclasses
import json

import numpy as np
import pytest
from inference_cases import needs_gguf, needs_model, needs_tokenizers, write_gguf

import hwsim
from explorer.audit.switching import activation_streams, switching
from explorer.inference.arithmetic import linear_operator
from hwbase import InputError
from hwsim import rtl
from models.inference import Transformer

TEXT = "the thin hen " * 20


def test_streams_are_what_the_operator_multiplies(weights):
    ids = list(range(10, 22))
    streams = activation_streams(weights, ids, 4)
    shapes = weights.config.linear_shapes()
    assert streams.keys() == shapes.keys()
    assert all(streams[name].shape == (4, shapes[name][1]) and streams[name].dtype == np.int8 for name in shapes)
    # The last token alone, behind the same prompt, gives the same integers.
    seen = {}
    operator = linear_operator(weights, "hardwired")
    model = Transformer(weights, lambda name, x, at: (seen.update({name: x}), operator(name, x, at))[1])
    cache = model.cache(20)
    model.forward(ids[:-1], cache)
    model.forward(ids[-1:], cache)
    for name, x in seen.items():
        scale = np.abs(x).max() / 127.0
        np.testing.assert_array_equal(np.rint(x[0] / scale), streams[name][-1])


@pytest.mark.slow
@needs_gguf
@needs_tokenizers
def test_a_small_file(tmp_path, weights, vocabulary):
    file = write_gguf(tmp_path / "tiny.gguf", weights, vocabulary)
    steps = []
    found = switching(tokens=20, vectors=5, path=file, text=TEXT, gates=False, report=lambda *step: steps.append(step))
    assert found.model == "tiny.gguf" and found.vectors == 5 and not found.neurons
    assert steps[-1] == ("output", 15, 15) and len(found.kinds) == 8
    assert sum(kind.matrices for kind in found.kinds) == 15
    for kind in found.kinds:
        assert all(0.0 < rate < 1.0 for rate in kind.factors.values())
        assert kind.toggles_j > 0.0 and kind.model_j > 0.0
    frame = found.to_frame()
    assert frame["inputs"].max() == 64 and (frame["inputs_toggles"] < 1.0).all()
    assert np.isnan(found.activity).all() and "NaN" not in found.to_json() and found._repr_html_()
    # A supply of twice the voltage takes four times the energy.
    technology = hwsim.load_technology("n5")
    louder = dataclasses.replace(technology, supply_v=2 * technology.supply_v)
    double = switching(tokens=20, vectors=5, path=file, text=TEXT, gates=False, technology=louder)
    assert double.kinds[0].toggles_j == pytest.approx(4 * found.kinds[0].toggles_j)


@needs_gguf
@needs_tokenizers
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tokens": 1}, "tokens"),
        ({"tokens": float("nan")}, "tokens"),
        ({"tokens": 10**9}, "tokens"),
        ({"tokens": 8, "vectors": 9}, "vectors"),
        ({"tokens": 8, "vectors": 0}, "vectors"),
        ({"tokens": 4000, "text": "the"}, "the text has"),
        ({"tokens": 8, "vectors": 2, "technology": "n4"}, "n4"),
    ],
)
def test_what_cannot_be_counted(tmp_path, weights, vocabulary, given, message):
    file = write_gguf(tmp_path / "tiny.gguf", weights, vocabulary)
    with pytest.raises(InputError, match=message):
        switching(**({"path": file, "text": TEXT, "gates": False} | given))


@pytest.mark.slow
@needs_gguf
@needs_tokenizers
def test_the_command_writes_its_json(command, tmp_path, weights, vocabulary):
    file = write_gguf(tmp_path / "tiny.gguf", weights, vocabulary)
    (tmp_path / "text.txt").write_text(TEXT)
    options = ("--tokens", "20", "--vectors", "2", "--no-gates", "--text", str(tmp_path / "text.txt"))
    status, out, err = command("audit", "activity", *options, "--weights-file", str(file), "--json")
    assert status == 0, err
    answer = json.loads(out)
    assert answer["schema"] == "hwsim/audit-activity/1" and (answer["tokens"], answer["vectors"]) == (20, 2)
    assert all(0 < share < 1 for kind in answer["kinds"] for share in kind["factors"].values())


@pytest.mark.slow
@needs_model
@pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")
def test_the_technology_switches_as_often_as_the_real_model():
    """The constants that the book calls measured: they follow the text a little."""
    found, book = switching(), hwsim.technology_book("n5")
    calm, busy = found.activity
    assert calm == pytest.approx(book["switching_activity"].nominal, rel=0.05)
    assert busy == pytest.approx(book["switching_activity"].high, rel=0.05)
    quietest = min(neuron.activity for neuron in found.neurons)
    assert quietest == pytest.approx(book["switching_activity"].low, rel=0.05)
    inputs = found.to_frame()
    mean = np.average(inputs["inputs_toggles"], weights=inputs["inputs"] * inputs["matrices"])
    assert mean == pytest.approx(book["input_toggles"].nominal, rel=0.05)
    # The circuit model with these constants gives the energy that the wires' own toggles do, within a tenth.
    toggles, model = inputs["toggles_j"].sum(), inputs["model_j"].sum()
    assert model == pytest.approx(toggles, rel=0.1)
