"""The matrix products of a convolutional network, as an operator that the caller may replace."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from models.diffusion.graph import MatrixLayer


class Product(Protocol):
    """Applies the weights of the layer of that name.

    `x` float32 is (images, channels, height, width) for a convolution, (images, inputs) for a linear layer. Returns the
    layer's output, alike with its own channels, without the bias.
    """

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray: ...


class Products:
    """Plain products in float32, with the layers' own weights or those given, activations rounded first where asked."""

    def __init__(
        self,
        layers: Sequence[MatrixLayer],
        weights: Mapping[str, np.ndarray] | None = None,
        roundings: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
    ) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._weights, self._roundings = weights or {}, roundings or {}

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the layer's output without the bias, float32."""
        layer = self._layers[name]
        weight = self._weights.get(name, layer.weight)
        rounding = self._roundings.get(name)
        x = x if rounding is None else rounding(x)
        return convolve(x, weight, layer.padding) if layer.convolves else x @ weight.T


def convolve(x: np.ndarray, weight: np.ndarray, padding: int) -> np.ndarray:
    """Return the 2-d convolution of stride 1, float32 (images, outputs, height, width).

    `x` (images, inputs, height, width) is padded by zeros on each side, `weight` is (outputs, inputs, rows, columns).
    Each of the kernel's places is one matrix product over the padded image laid out in a line, shifted by that place:
    no copy of the image for each of them is made. Columns that run over the edge are cut off.
    """
    images, inputs, height, width = x.shape
    outputs, _, rows, columns = weight.shape
    if rows == columns == 1 and padding == 0:
        flat = np.ascontiguousarray(x).reshape(images, inputs, -1)
        return (weight[:, :, 0, 0] @ flat).reshape(images, outputs, height, width)
    tall, wide = height + 2 * padding, width + 2 * padding
    high, broad = tall - rows + 1, wide - columns + 1
    # A last row to run over into.
    padded = np.zeros((images, inputs, tall + 1, wide), np.float32)
    padded[:, :, padding : padding + height, padding : padding + width] = x
    lines = padded.reshape(images, inputs, -1)
    places = np.ascontiguousarray(weight.transpose(2, 3, 0, 1))
    outputs_of_images = np.empty((images, outputs, high, broad), np.float32)
    total, term = np.empty((outputs, high * wide), np.float32), np.empty((outputs, high * wide), np.float32)
    for line, image in zip(lines, outputs_of_images, strict=True):
        for place in range(rows * columns):
            i, j = divmod(place, columns)
            shifted = line[:, i * wide + j : i * wide + j + high * wide]
            np.matmul(places[i, j], shifted, out=term if place else total)
            if place:
                np.add(total, term, out=total)
        image[...] = total.reshape(outputs, high, wide)[:, :, :broad]
    return outputs_of_images
