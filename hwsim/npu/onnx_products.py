"""The matrix products of an ONNX file: convolutions, linear layers, products inside attention.

The package `onnx` infers the shapes of all values. Operators that work element by element, move or reduce take no
clocks of the array; any other operator is named in an error. Meanings: https://onnx.ai/onnx/operators/.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.errors import shown
from hwsim.npu.product import Product

INSTALL = "pip install 'hwsim[terrain]'"
#: Operators without a matrix product.
# fmt: off
ELEMENTWISE = frozenset(
    [
        "Abs", "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
        "Constant", "ConstantOfShape", "Cos", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf",
        "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu",
        "GlobalAveragePool", "GlobalMaxPool", "Greater", "GroupNormalization", "HardSigmoid", "HardSwish",
        "Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Less", "Log", "MaxPool", "Max",
        "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range",
        "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape",
        "Resize", "RMSNormalization", "Round", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Slice",
        "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh", "Tile", "TopK",
        "Transpose", "Unsqueeze", "Upsample", "Where",
    ]
)
# fmt: on
PRODUCTS = ("Conv", "Gemm", "MatMul", "Einsum")


def onnx_products(
    path: str | Path, *, batch: int = 1, weight_bits: int = 8, activation_bits: int = 8, attention_bits: int = 16
) -> list[Product]:
    """Return the products of an ONNX file in the order of its nodes.

    Parameters
    ----------
    path : str or Path
    batch : int
        Length of axes of the inputs that have a name in place of a length.
    weight_bits, activation_bits : int
        Widths of products with constant weights, named as their weights are, without ".weight".
    attention_bits : int
        Widths of products of two activations, named as their node or their output.

    Returns
    -------
    list of Product

    Raises
    ------
    InputError
        For a missing package, a file that is no ONNX model, an operator that is unknown, a shape that does not follow
        from the file, or a convolution that is not of two axes, square and in one group or one for each channel.
    """
    try:
        onnx = importlib.import_module("onnx")
        inference = importlib.import_module("onnx.shape_inference")
    except ImportError as error:
        raise InputError(f"the package {error.name or 'onnx'} is not installed: {INSTALL}") from None
    file = shown(str(path))
    try:
        model = onnx.load(str(path))
        graph = inference.infer_shapes(model, data_prop=True).graph
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from None
    except Exception as error:  # whatever a broken file leads the parser to
        raise InputError(f"{file} is no ONNX model: {shown(str(error))}") from None
    shapes = _shapes(graph, batch)
    constants = {tensor.name for tensor in graph.initializer}
    widths = {True: (weight_bits, activation_bits), False: (attention_bits, attention_bits)}
    products = []
    for node in graph.node:
        if node.op_type not in PRODUCTS:
            if node.op_type not in ELEMENTWISE:
                raise InputError(
                    f"{file}: unknown ONNX operator {shown(node.op_type)} of node {shown(node.name)}: expected "
                    f"{', '.join(PRODUCTS)} or one without a matrix product"
                )
            continue
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        weight = next((name for name in reversed(node.input[:2]) if name in constants), None)
        name = weight.removesuffix(".weight") if weight else (node.name or node.output[0])
        sides = [_shape(shapes, each, name, file) for each in node.input[:2]]
        output = _shape(shapes, node.output[0], name, file)
        weights, activations = widths[weight is not None]
        sizes = _READERS[node.op_type](name, attributes, sides, output)
        products.append(
            Product(name, **sizes, weight_bits=weights, activation_bits=activations, stored=weight is not None)
        )
    return products


def _shapes(graph: Any, batch: int) -> dict[str, tuple[int, ...]]:
    """Return the lengths of every value whose shape is known."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        lengths = [_length(axis, batch) for axis in value.type.tensor_type.shape.dim]
        if value.name not in shapes and all(lengths):
            shapes[value.name] = tuple(lengths)
    return shapes


def _length(axis: Any, batch: int) -> int:
    """Return the length of an axis, where a name such as in "2*batch" counts `batch`; 0 if it does not follow."""
    if axis.dim_value or not axis.dim_param:
        return int(axis.dim_value)
    factors = [factor.strip() for factor in axis.dim_param.split("*")]
    if not all(factor.isdigit() or factor.isidentifier() for factor in factors):
        return 0
    return int(np.prod([int(factor) if factor.isdigit() else batch for factor in factors]))


def _shape(shapes: Mapping[str, tuple[int, ...]], value: str, layer: str, file: str) -> tuple[int, ...]:
    if value not in shapes:
        raise InputError(f"{file}: the shape of {shown(value)} at {shown(layer)} does not follow: expected fixed sizes")
    return shapes[value]


def _convolution(
    name: str, attributes: Mapping[str, Any], sides: Sequence[tuple[int, ...]], output: tuple[int, ...]
) -> dict[str, int]:
    image, weight = sides
    group, strides = attributes.get("group", 1), set(attributes.get("strides", [1, 1]))
    if len(weight) != 4 or weight[2] != weight[3] or len(strides) != 1 or len(image) != 4:
        raise InputError(f"{name}: kernel {weight[2:]}, strides {strides}: expected a square 2-d convolution")
    kernel = int(weight[2])
    tokens = output[0] * output[2] * output[3]
    return {
        "tokens": tokens,
        "inputs": weight[1] * kernel**2,
        "outputs": weight[0] // group,
        "kernel": kernel,
        "stride": int(strides.pop()),
        "width": output[3],
        "repeats": group,
    }


def _linear(
    name: str, attributes: Mapping[str, Any], sides: Sequence[tuple[int, ...]], output: tuple[int, ...]
) -> dict[str, int]:
    tokens, inputs = sides[0][::-1] if attributes.get("transA", 0) else sides[0]
    return {"tokens": tokens, "inputs": inputs, "outputs": output[-1]}


def _matmul(
    name: str, attributes: Mapping[str, Any], sides: Sequence[tuple[int, ...]], output: tuple[int, ...]
) -> dict[str, int]:
    left, right = sides
    inputs, outputs = (right[-2], right[-1]) if len(right) > 1 else (right[-1], 1)
    # One matrix for all of a batch, or a product of its own for each.
    shared = len(right) <= 2 or int(np.prod(right[:-2])) == 1
    rows = left[-2] if len(left) > 1 else 1
    batch = int(np.prod(output)) // (rows * outputs)
    sizes = {"tokens": rows * batch, "repeats": 1} if shared else {"tokens": rows, "repeats": batch}
    return {"inputs": inputs, "outputs": outputs, **sizes}


def _einsum(
    name: str, attributes: Mapping[str, Any], sides: Sequence[tuple[int, ...]], output: tuple[int, ...]
) -> dict[str, int]:
    equation = attributes["equation"].decode().replace(" ", "")
    terms, _, result = equation.partition("->")
    labels = terms.split(",")
    if len(labels) != 2 or not result or "." in equation or [*map(len, labels)] != [*map(len, sides)]:
        raise InputError(f"{name}: equation {equation!r}: expected two operands and an output")
    pairs = zip("".join(labels), (*sides[0], *sides[1]), strict=True)
    size = dict(pairs)
    left, right = (set(text) for text in labels)
    kept = set(result)

    def product(of: set[str]) -> int:
        return int(np.prod([size[label] for label in of], dtype=float)) if of else 1

    return {
        "tokens": product((left - right) & kept),
        "inputs": product((left & right) - kept) * product((left ^ right) - kept),
        "outputs": product((right - left) & kept),
        "repeats": product(left & right & kept),
    }


_READERS = {"Conv": _convolution, "Gemm": _linear, "MatMul": _matmul, "Einsum": _einsum}
