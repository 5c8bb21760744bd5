"""ONNX operators in NumPy, those that a convolutional network with attention is made of.

Each takes the attributes of its node and its input arrays and returns a tuple of output arrays; inputs are left as they
are. Meanings: https://onnx.ai/onnx/operators/, opset 18.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwbase import InputError

Attributes = Mapping[str, Any]
Operation = Callable[..., tuple[np.ndarray, ...]]


def _elementwise(function: Callable[..., np.ndarray]) -> Operation:
    return lambda _, *inputs: (function(*inputs),)


def _reshape(attributes: Attributes, x: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, ...]:
    copies = not attributes.get("allowzero", 0)
    return (x.reshape([x.shape[i] if n == 0 and copies else int(n) for i, n in enumerate(shape)]),)


def _shape(attributes: Attributes, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (np.array(x.shape[attributes.get("start", 0) : attributes.get("end")], np.int64),)


def _squeeze(_: Attributes, x: np.ndarray, axes: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    return (np.squeeze(x, None if axes is None else tuple(int(a) for a in axes)),)


def _unsqueeze(_: Attributes, x: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, ...]:
    return (np.expand_dims(x, tuple(int(a) for a in axes)),)


def _concat(attributes: Attributes, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
    return (np.concatenate(inputs, axis=attributes["axis"]),)


def _split(attributes: Attributes, x: np.ndarray, lengths: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    axis = attributes.get("axis", 0)
    if lengths is not None:
        return tuple(np.split(x, np.cumsum(lengths)[:-1], axis=axis))
    # Equal parts, the last one shorter if need be.
    each = -(-x.shape[axis] // attributes["num_outputs"])
    return tuple(np.split(x, range(each, x.shape[axis], each), axis=axis))


def _sigmoid(_: Attributes, x: np.ndarray) -> tuple[np.ndarray, ...]:
    # By tanh, which NumPy computes on several numbers at once, unlike scipy's expit.
    y = np.tanh(x * np.float32(0.5))
    y *= np.float32(0.5)
    y += np.float32(0.5)
    return (y,)


def _softmax(attributes: Attributes, x: np.ndarray) -> tuple[np.ndarray, ...]:
    axis = attributes.get("axis", -1)
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)
    return (y,)


def _instance_norm(attributes: Attributes, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, ...]:
    inner = tuple(range(2, x.ndim))
    centred = x - x.mean(axis=inner, keepdims=True)
    variance = np.square(centred).mean(axis=inner, keepdims=True)
    spread = [1, -1] + [1] * len(inner)
    factor = gain.reshape(spread) / np.sqrt(variance + np.float32(attributes.get("epsilon", 1e-5)))
    centred *= factor
    centred += bias.reshape(spread)
    return (centred,)


def _average_pool(attributes: Attributes, x: np.ndarray) -> tuple[np.ndarray, ...]:
    kernel, pads = tuple(attributes["kernel_shape"]), attributes.get("pads", [0])
    height, width = x.shape[2:]
    if tuple(attributes.get("strides", ())) != kernel or any(pads) or height % kernel[0] or width % kernel[1]:
        raise InputError(f"AveragePool of {kernel} on {height} x {width}: expected windows side by side that fit")
    windows = x.reshape(*x.shape[:2], height // kernel[0], kernel[0], width // kernel[1], kernel[1])
    return (windows.mean(axis=(3, 5)),)


def _resize(attributes: Attributes, x: np.ndarray, _: Any, scales: np.ndarray) -> tuple[np.ndarray, ...]:
    times = scales.astype(int)
    if attributes.get("mode") != b"nearest" or not np.array_equal(times, scales) or min(times) < 1:
        raise InputError(f"Resize by {scales.tolist()}: expected nearest neighbours and whole factors")
    for axis, factor in enumerate(times):
        x = np.repeat(x, factor, axis=axis) if factor > 1 else x
    return (x,)


def _einsum(attributes: Attributes, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """A sum of products of two arrays as one batched matrix product."""
    equation = bytes(attributes["equation"]).decode().replace(" ", "")
    (left, right), out = equation.partition("->")[0].split(","), equation.partition("->")[2]
    batch = [label for label in out if label in left and label in right]
    rows = [label for label in out if label in left and label not in right]
    columns = [label for label in out if label in right and label not in left]
    summed = [label for label in left if label in right and label not in out]
    if set(left + right) != {*out, *summed} or len(set(left)) != a.ndim or len(set(right)) != b.ndim:
        raise InputError(f"Einsum {equation!r}: expected a product that sums over labels of both arrays")
    sizes = dict(zip(left + right, a.shape + b.shape, strict=True))

    def laid(x: np.ndarray, labels: str, first: list[str], second: list[str]) -> np.ndarray:
        ordered = x.transpose([labels.index(label) for label in (*batch, *first, *second)])
        length = [int(np.prod([sizes[label] for label in group], dtype=int)) for group in (first, second)]
        return ordered.reshape(*[sizes[label] for label in batch], *length)

    product = laid(a, left, rows, summed) @ laid(b, right, summed, columns)
    made = [*batch, *rows, *columns]
    return (product.reshape([sizes[label] for label in made]).transpose([made.index(label) for label in out]),)


OPERATIONS: dict[str, Operation] = {
    "Add": _elementwise(np.add),
    "AveragePool": _average_pool,
    "Clip": _elementwise(np.clip),
    "Concat": _concat,
    "Cos": _elementwise(np.cos),
    "Div": _elementwise(np.divide),
    "Einsum": _einsum,
    "InstanceNormalization": _instance_norm,
    "Log": _elementwise(np.log),
    "Mul": _elementwise(np.multiply),
    "Pow": _elementwise(np.power),
    "Reciprocal": _elementwise(np.reciprocal),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": _sigmoid,
    "Sin": _elementwise(np.sin),
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Unsqueeze": _unsqueeze,
}
