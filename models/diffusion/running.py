"""Running a graph: from its inputs to its outputs, or from any node to any other with the values in between kept."""

from collections.abc import Mapping

import numpy as np

from hwbase import InputError, unknown_name
from models.diffusion.graph import Graph, Node
from models.diffusion.operations import OPERATIONS
from models.diffusion.products import Product, Products

#: Values by name that nodes still to come will use.
Values = dict[str, np.ndarray]


def check_operators(graph: Graph) -> None:
    """Raise `InputError` for an operator that cannot be run."""
    for node in graph.nodes:
        if node.op not in OPERATIONS and node.op not in ("Conv", "Gemm"):
            raise unknown_name("ONNX operator", node.op, [*OPERATIONS, "Conv", "Gemm"])


def begin(graph: Graph, feeds: Mapping[str, np.ndarray]) -> Values:
    """Return the values before the first node; raises `InputError` for inputs that are missing, unknown or not finite.

    Constants stay in the graph.
    """
    for name in feeds:
        if name not in graph.inputs:
            raise unknown_name("input", name, graph.inputs)
    for name in graph.inputs:
        if name not in feeds:
            raise InputError(f"the input {name!r} is missing")
        if np.size(feeds[name]) == 0 or not np.isfinite(feeds[name]).all():
            raise InputError(f"the input {name!r} is empty or holds NaN or infinity: expected finite numbers")
    return {name: np.asarray(value) for name, value in feeds.items()}


def advance(graph: Graph, values: Values, first: int, stop: int, product: Product | None = None) -> Values:
    """Return the values after nodes `first` .. `stop` - 1, given those before; values that none uses later are dropped.

    `product` applies the weights (the graph's own unless given). The values given are not changed, so that one point
    of a run can be gone on from many times.

    Parameters
    ----------
    graph : Graph
        The network.
    values : dict of ndarray
        Values before node `first`, by name.
    first : int
        First node to run.
    stop : int
        Node to stop before.
    product : Product, optional
        Applies the weights; the graph's own unless given.
    """
    apply = Products(graph.layers) if product is None else product
    names = {layer.index: layer.name for layer in graph.layers}
    values = dict(values)
    for index in range(first, stop):
        node = graph.nodes[index]
        inputs = [values[n] if n in values else graph.constants[n] if n else None for n in node.inputs]
        if index in names:
            outputs = _with_bias(node, apply(names[index], inputs[0]), inputs)  # type: ignore[arg-type]
        else:
            outputs = OPERATIONS[node.op](node.attributes, *inputs)
        for name in node.inputs:
            if graph.last_uses[name] == index:
                values.pop(name, None)
        for name, value in zip(node.outputs, outputs, strict=False):
            if graph.last_uses.get(name, -1) > index:
                values[name] = value
    return values


def run(graph: Graph, feeds: Mapping[str, np.ndarray], product: Product | None = None) -> Values:
    """Return the graph's outputs by name; raises `InputError` for bad inputs (see `begin`)."""
    return advance(graph, begin(graph, feeds), 0, len(graph.nodes), product)


def _with_bias(node: Node, y: np.ndarray, inputs: list[np.ndarray | None]) -> tuple[np.ndarray, ...]:
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is None:
        return (y,)
    return (y + (bias[:, None, None] if node.op == "Conv" else bias),)
