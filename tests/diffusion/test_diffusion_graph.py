"""A network as a graph: products and operators against plain definitions, cuts, wiring, files, bad input."""

import numpy as np
import pytest
from diffusion_cases import needs_onnx, tiny_graph, tiny_inputs, write_onnx
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError
from models.diffusion import (
    Graph,
    Node,
    Products,
    TerrainModel,
    advance,
    begin,
    convolve,
    heights,
    inputs,
    read_terrain,
)
from models.diffusion.operations import OPERATIONS
from models.diffusion.running import run


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(3, 7), st.integers(3, 7), st.integers(0, 2))
def test_a_convolution_is_the_sum_of_its_products(images, channels, outputs, height, width, padding):
    from scipy.signal import correlate2d  # slow to import

    random = np.random.default_rng(0)
    x = random.standard_normal((images, channels, height, width)).astype(np.float32)
    for kernel in (1, 3):
        weight = random.standard_normal((outputs, channels, kernel, kernel)).astype(np.float32)
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        expected = [
            [sum(correlate2d(image[c], weight[o, c], "valid") for c in range(channels)) for o in range(outputs)]
            for image in padded
        ]
        np.testing.assert_allclose(convolve(x, weight, padding), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("equation", ["bct,bcs->bts", "bts,bcs->bct", "ij,jk->ik", "ij,jk->ki", "abc,bd->acd"])
def test_a_product_of_labels_is_that_of_numpy(equation):
    random = np.random.default_rng(1)
    sizes = dict(zip("abcdijkst", (2, 3, 4, 5, 2, 3, 4, 5, 6), strict=True))
    pair = [random.standard_normal([sizes[x] for x in part]) for part in equation.split("->")[0].split(",")]
    (found,) = OPERATIONS["Einsum"]({"equation": equation.encode()}, *pair)
    np.testing.assert_allclose(found, np.einsum(equation, *pair), rtol=1e-12)


def test_operators_mean_what_onnx_says():
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4) / 10

    def op(name, *arrays, **attributes):
        return OPERATIONS[name](attributes, *arrays)

    assert op("Reshape", x, np.array([0, -1]))[0].shape == (1, 24)
    assert list(op("Shape", x, start=1, end=3)[0]) == [2, 3]
    assert [part.shape[3] for part in op("Split", x, axis=3, num_outputs=3)] == [2, 2]
    assert [part.shape[3] for part in op("Split", x, np.array([1, 3]), axis=3)] == [1, 3]
    np.testing.assert_allclose(op("Sigmoid", x)[0], 1 / (1 + np.exp(-x)), rtol=1e-6)
    np.testing.assert_allclose(op("Softmax", x, axis=-1)[0].sum(axis=-1), 1, rtol=1e-6)
    normed = op("InstanceNormalization", x, np.array([1.0, 2.0]), np.array([0.0, 5.0]), epsilon=0.0)[0]
    np.testing.assert_allclose(normed.mean(axis=(2, 3)), [[0, 5]], atol=1e-5)
    np.testing.assert_allclose(normed.std(axis=(2, 3)), [[1, 2]], rtol=1e-5)
    pooled = op("AveragePool", x[..., :2, :], kernel_shape=[2, 2], strides=[2, 2])[0]
    assert pooled[0, 0, 0, 0] == pytest.approx((0 + 0.1 + 0.4 + 0.5) / 4)
    resized = op("Resize", x, None, np.array([1, 1, 2, 2], np.float32), mode=b"nearest")[0]
    np.testing.assert_array_equal(resized[:, :, ::2, 1::2], x)
    assert op("Squeeze", x)[0].shape == (2, 3, 4) and op("Squeeze", x, np.array([0]))[0].shape == (2, 3, 4)


def test_going_on_from_a_cut_equals_a_run():
    graph, feeds = tiny_graph(), tiny_inputs()
    whole = run(graph, feeds)["denoised"]
    assert whole.shape == (3, 1, 8, 8) and whole.std() > 0.1
    for cut in range(0, len(graph.nodes), 3):
        before = advance(graph, begin(graph, feeds), 0, cut)
        kept = {name: value.copy() for name, value in before.items()}
        for _ in range(2):
            np.testing.assert_array_equal(advance(graph, before, cut, len(graph.nodes))["denoised"], whole)
        assert before.keys() == kept.keys()
        assert all(np.array_equal(before[name], kept[name]) for name in kept)


def test_images_do_not_know_of_each_other():
    graph, feeds = tiny_graph(), tiny_inputs()
    alone = run(graph, {name: value[1:2] for name, value in feeds.items()})["denoised"]
    np.testing.assert_allclose(run(graph, feeds)["denoised"][1:2], alone, rtol=1e-4, atol=1e-6)


def test_the_wiring_says_which_layers_see_no_pixel_and_which_inputs_are_joined():
    model = TerrainModel(tiny_graph())
    assert [layer.name for layer in model.layers] == ["embed", "first", "modulate", "down", "qkv", "proj", "last"]
    assert model.condition_layers == {"embed", "modulate"}
    assert {layer.name: layer.parts for layer in model.layers if layer.convolves} == {
        "first": (1,),
        "down": (8,),
        "qkv": (8,),
        "proj": (8,),
        "last": (8, 8),
    }


def test_the_operator_applies_every_layer_once():
    graph, seen = tiny_graph(), []
    plain = Products(graph.layers)

    def product(name, x):
        seen.append(name)
        return plain(name, x)

    run(graph, tiny_inputs(), product)
    assert seen == [layer.name for layer in graph.layers]
    without = Products(graph.layers, {"last": np.zeros((1, 16, 3, 3), np.float32)})
    np.testing.assert_allclose(run(graph, tiny_inputs(), without)["denoised"], graph.constants["last.bias"][0])


def test_heights_of_codes():
    np.testing.assert_allclose(heights(np.array([-1.0, 1.0, -5.0])), [0, 22.16864013671875, 0], atol=1e-12)


@needs_onnx
def test_a_file_gives_the_same_graph(tmp_path):
    model = read_terrain(write_onnx(tmp_path / "tiny.onnx"))
    np.testing.assert_array_equal(model.generate(tiny_inputs()), run(tiny_graph(), tiny_inputs())["denoised"][:, 0])


# Bad input


@needs_onnx
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "half", "text", "operator", "name"])
def test_files_that_are_no_network_are_refused(tmp_path, kind):
    path = tmp_path / "x.onnx"
    data = write_onnx(tmp_path / "good.onnx").read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind == "operator":
        write_onnx(path, Log="Logg")
    elif kind != "missing":
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "text": b"hello " * 99}.get(kind, data))
    with pytest.raises(InputError, match="did you mean 'Log'" if kind == "operator" else "x.onnx|a.x00b"):
        read_terrain("a\0b" if kind == "name" else path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noisy": None}, "'noisy' is missing"),
        ({"noisy": np.full((1, 1, 8, 8), np.nan, np.float32)}, "NaN"),
        ({"noisy": np.zeros((0, 1, 8, 8), np.float32)}, "empty"),
        ({"nosy": np.zeros(1)}, "did you mean 'noisy'"),
    ],
)
def test_bad_feeds_are_refused(change, message):
    feeds = {k: v for k, v in (tiny_inputs() | change).items() if v is not None}
    with pytest.raises(InputError, match=message):
        run(tiny_graph(), feeds)


@pytest.mark.parametrize("difficulty", [0, 101, 1.5, float("nan"), [], "hard", [50, -1]])
def test_difficulties_are_whole_numbers_from_1_to_100(difficulty):
    with pytest.raises(InputError, match="difficulty"):
        inputs(difficulty, 0)


def test_graphs_out_of_order_are_refused():
    late = Node("Add", ("later", "x"), ("y",), {})
    with pytest.raises(InputError, match="'later' before it is made"):
        Graph((late, Node("Sin", ("x",), ("later",), {})), {}, ("x",), ("y",))
    with pytest.raises(InputError, match="'z' is made by no node"):
        Graph((Node("Sin", ("x",), ("y",), {}),), {}, ("x",), ("z",))


@pytest.mark.parametrize(
    ("op", "attributes", "shape"),
    [
        ("Conv", {"strides": [2, 2]}, (1, 1, 3, 3)),
        ("Conv", {"group": 2}, (1, 1, 3, 3)),
        ("Conv", {"pads": [1, 0, 1, 0]}, (1, 1, 3, 3)),
        ("Conv", {}, (1, 1, 3)),
        ("Gemm", {"transB": 0}, (2, 2)),
        ("Gemm", {"transB": 1, "alpha": 2.0}, (2, 2)),
    ],
)
def test_layers_that_cannot_be_run_are_refused(op, attributes, shape):
    graph = Graph((Node(op, ("x", "w.weight"), ("y",), attributes),), {"w.weight": np.ones(shape)}, ("x",), ("y",))
    with pytest.raises(InputError, match="w: expected"):
        _ = graph.layers
