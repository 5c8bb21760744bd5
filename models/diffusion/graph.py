"""An ONNX graph as plain nodes and arrays, and what follows from its wiring: layers, dependencies, joined inputs.

The package `onnx` (extra [terrain]) parses the file. Format: https://onnx.ai/onnx/repo-docs/IR.html.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError

#: Operators that keep each channel (axis 1) where it is; channels of their output are those of their first input.
_CHANNELWISE = frozenset({"Add", "Mul", "Sigmoid", "Reshape", "InstanceNormalization", "AveragePool", "Resize"})


@dataclass(frozen=True, eq=False)
class Node:
    """One operator: names of the values it takes ("" for one left out) and makes, and its attributes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class MatrixLayer:
    """A convolution or a linear layer: node `index`, weights (outputs, inputs[, height, width]), padding on each side.

    `parts` are the lengths of the runs of input channels that come from different places (a skip connection).
    """

    name: str
    index: int
    weight: np.ndarray
    padding: int = 0
    parts: tuple[int, ...] = ()

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution."""
        return self.weight.ndim == 4


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which each finds its inputs made, constant arrays, and names of what goes in and comes out.

    Raises `InputError` for a value that is used before it is made, or a layer of an unsupported shape.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        made = {"", *self.inputs, *self.constants}
        for node in self.nodes:
            for name in node.inputs:
                if name not in made:
                    raise InputError(f"{node.op} uses {name!r} before it is made: expected nodes in order")
            made.update(node.outputs)
        for name in self.outputs:
            if name not in made:
                raise InputError(f"the output {name!r} is made by no node")

    @cached_property
    def layers(self) -> tuple[MatrixLayer, ...]:
        """Convolutions and linear layers with constant weights, in order, named as their weights are."""
        return tuple(
            self._layer(index, node)
            for index, node in enumerate(self.nodes)
            if node.op in ("Conv", "Gemm") and node.inputs[1] in self.constants
        )

    @cached_property
    def last_uses(self) -> dict[str, int]:
        """For each value the index of the last node that uses it; those of the graph's outputs are never done."""
        uses = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}
        return uses | dict.fromkeys(self.outputs, len(self.nodes))

    def reached_from(self, name: str) -> frozenset[str]:
        """Return the values that depend on the input `name`, itself included."""
        reached = {name}
        for node in self.nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
        return frozenset(reached)

    def _layer(self, index: int, node: Node) -> MatrixLayer:
        name, weight, get = node.inputs[1].removesuffix(".weight"), self.constants[node.inputs[1]], node.attributes.get
        if node.op == "Gemm":
            plain = get("transB", 0) == 1 and get("transA", 0) == 0 and get("alpha", 1.0) == get("beta", 1.0) == 1.0
            if not plain or weight.ndim != 2:
                raise InputError(f"{name}: expected x W^T + b, with W of two axes")
            return MatrixLayer(name, index, weight)
        pads = set(get("pads", [0]))
        plain = set(get("strides", [1])) == set(get("dilations", [1])) == {1} and get("group", 1) == 1
        if not plain or weight.ndim != 4 or len(pads) != 1 or get("auto_pad", b"NOTSET") != b"NOTSET":
            raise InputError(f"{name}: expected a plain 2-d convolution of stride 1, padded alike on all sides")
        return MatrixLayer(name, index, weight, int(pads.pop()), self._parts(node.inputs[0], weight.shape[1]))

    def _parts(self, value: str, channels: int) -> tuple[int, ...]:
        """Return the channels of each value that was joined to make `value`, which keeps them apart since then."""
        node = self._makers.get(value)
        while node is not None and node.op in _CHANNELWISE:
            node = self._makers.get(node.inputs[0])
        if node is None or node.op != "Concat" or node.attributes.get("axis") != 1:
            return (channels,)
        lengths = [self._channels.get(name, 0) for name in node.inputs]
        return tuple(lengths) if sum(lengths) == channels and min(lengths) > 0 else (channels,)

    @cached_property
    def _makers(self) -> dict[str, Node]:
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def _channels(self) -> dict[str, int]:
        """Channels of the values that follow from the weights of convolutions."""
        lengths: dict[str, int] = {}
        for node in self.nodes:
            if node.op == "Conv" and node.inputs[1] in self.constants:
                lengths[node.outputs[0]] = len(self.constants[node.inputs[1]])
            elif node.op == "Concat" and all(name in lengths for name in node.inputs):
                lengths[node.outputs[0]] = sum(lengths[name] for name in node.inputs)
            elif node.op in _CHANNELWISE:
                known = [lengths[name] for name in node.inputs if name in lengths]
                if known:
                    lengths[node.outputs[0]] = known[0]
        return lengths


def read_graph(path: str | Path, install: str) -> Graph:
    """Return the graph of an ONNX file; `install` says how to get the parser.

    Raises `InputError` for a missing package or file, one that is no ONNX model, or what `Graph` raises.
    """
    try:
        onnx = importlib.import_module("onnx")
        helper = importlib.import_module("onnx.helper")
        arrays = importlib.import_module("onnx.numpy_helper")
    except ImportError as error:
        raise InputError(f"the package {error.name or 'onnx'} is not installed: {install}") from None
    shown = str(path)[:200]
    try:
        model = onnx.load(str(path))
        constants = {tensor.name: np.asarray(arrays.to_array(tensor)) for tensor in model.graph.initializer}
        nodes = tuple(
            Node(
                node.op_type,
                tuple(node.input),
                tuple(node.output),
                {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
            )
            for node in model.graph.node
        )
    except OSError as error:
        raise InputError(f"cannot read {shown!r}: {error.strerror or error}") from None
    except Exception as error:  # whatever a broken file leads the parser to
        raise InputError(f"{shown!r} is not a whole ONNX model: {type(error).__name__}") from None
    if not nodes:
        raise InputError(f"{shown!r} holds no ONNX graph: expected nodes")
    inputs = tuple(value.name for value in model.graph.input if value.name not in constants)
    return Graph(nodes, constants, inputs, tuple(value.name for value in model.graph.output))
