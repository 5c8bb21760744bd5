"""A small conditional network as a graph and as an ONNX file: a U-Net of two sizes with attention and a skip."""

import importlib.util

import numpy as np
import pytest

from models.diffusion import INSTALL, Graph, Node

SIDE = 8


def _has(*packages):
    return all(importlib.util.find_spec(name) for name in packages)


needs_onnx = pytest.mark.skipif(not _has("onnx"), reason=f"needs onnx: {INSTALL}")
needs_terrain = pytest.mark.skipif(not _has("onnx", "terrain_diffusion"), reason=f"needs a network: {INSTALL}")


def tiny_parts(seed=0):
    """Return (nodes as (op, inputs, outputs, attributes), constants) of a network like the terrain generator's."""
    random = np.random.default_rng(seed)

    def weights(*shape):
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {
        "embed.weight": weights(4, 1),
        "embed.bias": weights(4),
        "modulate.weight": weights(16, 4),
        "first.weight": weights(8, 1, 3, 3),
        "first.bias": weights(8),
        "down.weight": weights(8, 8, 3, 3),
        "qkv.weight": weights(24, 8, 1, 1),
        "proj.weight": weights(8, 8, 1, 1),
        "last.weight": weights(1, 16, 3, 3),
        "last.bias": np.array([0.25], np.float32),
        "one": np.float32(1.0),
        "minus": np.float32(-1.0),
        "groups": np.array([0, 2, -1]),
        "unit": np.ones(2, np.float32),
        "nothing": np.zeros(2, np.float32),
        "column": np.array([1]),
        "pixels": np.array([2, 3]),
        "twice": np.array([1, 1, 2, 2], np.float32),
        "line": np.array([0, 24, -1]),
        "square": np.array([0, 8, SIDE // 2, SIDE // 2]),
        "gain": np.ones((8, 1, 1), np.float32),
    }
    conv = {"pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1], "group": 1}
    nodes = [
        ("Unsqueeze", ["difficulty", "column"], ["d"], {}),
        ("Unsqueeze", ["sigma", "column"], ["s"], {}),
        ("Log", ["s"], ["logs"], {}),
        ("Add", ["d", "logs"], ["both"], {}),
        ("Gemm", ["both", "embed.weight", "embed.bias"], ["e"], {"transB": 1}),
        ("Sigmoid", ["e"], ["e_sigmoid"], {}),
        ("Mul", ["e", "e_sigmoid"], ["emb"], {}),
        ("Conv", ["noisy", "first.weight", "first.bias"], ["a"], conv),
        ("Gemm", ["emb", "modulate.weight"], ["m"], {"transB": 1}),
        ("Unsqueeze", ["m", "pixels"], ["m4"], {}),
        ("Split", ["m4"], ["scale", "shift"], {"axis": 1, "num_outputs": 2}),
        ("Reshape", ["a", "groups"], ["a_groups"], {}),
        ("InstanceNormalization", ["a_groups", "unit", "nothing"], ["a_normed"], {"epsilon": 1e-5}),
        ("Shape", ["a"], ["a_shape"], {}),
        ("Reshape", ["a_normed", "a_shape"], ["a_back"], {}),
        ("Mul", ["a_back", "scale"], ["a_scaled"], {}),
        ("Add", ["a_scaled", "shift"], ["b"], {}),
        ("AveragePool", ["b"], ["small"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Conv", ["small", "down.weight"], ["c"], conv),
        ("Conv", ["c", "qkv.weight"], ["qkv"], conv | {"pads": [0, 0, 0, 0]}),
        ("Reshape", ["qkv", "line"], ["qkv_line"], {}),
        ("Split", ["qkv_line"], ["q", "k", "v"], {"axis": 1, "num_outputs": 3}),
        ("Einsum", ["q", "k"], ["scores"], {"equation": "bct,bcs->bts"}),
        ("Softmax", ["scores"], ["mix"], {"axis": -1}),
        ("Einsum", ["mix", "v"], ["mixed"], {"equation": "bts,bcs->bct"}),
        ("Reshape", ["mixed", "square"], ["attended"], {}),
        ("Conv", ["attended", "proj.weight"], ["projected"], conv | {"pads": [0, 0, 0, 0]}),
        ("Resize", ["projected", "", "twice"], ["large"], {"mode": "nearest"}),
        ("Concat", ["large", "a"], ["joined"], {"axis": 1}),
        ("Conv", ["joined", "last.weight", "last.bias"], ["raw"], conv),
        ("Clip", ["raw", "minus", "one"], ["denoised"], {}),
    ]
    return nodes, constants


def tiny_graph(seed=0):
    nodes, constants = tiny_parts(seed)

    def coded(attributes):
        return {k: v.encode() if isinstance(v, str) else v for k, v in attributes.items()}

    made = tuple(Node(op, tuple(i), tuple(o), coded(attributes)) for op, i, o, attributes in nodes)
    return Graph(made, constants, ("noisy", "sigma", "difficulty"), ("denoised",))


def tiny_inputs(images=3, seed=0):
    random = np.random.default_rng(seed)
    return {
        "noisy": random.standard_normal((images, 1, SIDE, SIDE)).astype(np.float32),
        "sigma": np.full(images, 2.0, np.float32),
        "difficulty": np.linspace(0, 1, images).astype(np.float32),
    }


def write_onnx(path, seed=0, **renamed):
    """Write the network as a file; `renamed` changes operators."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = tiny_parts(seed)
    made = [helper.make_node(renamed.get(op, op), i, o, **attributes) for op, i, o, attributes in nodes]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    shapes = {"noisy": ["n", 1, SIDE, SIDE], "sigma": ["n"], "difficulty": ["n"]}
    ins = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outs = [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])]
    graph = helper.make_graph(made, "tiny", ins, outs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path
