"""A GPU's roofline for a network of products and attention: convolutions and linear layers, each at its precision.

A product takes the time of its arithmetic at the kernel's peak or of the bytes it moves, whichever is longer (Williams,
Waterman and Patterson, CACM 52(4), 2009). One pass over the input prepares each product: a norm, an activation function
or a quantiser reads 16 bits and writes the bits of the kernel. Every kernel adds its latency. Only some kernels exist;
a pair of widths runs on the narrowest kernel that holds both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbase import InputError, Record, load_book
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number, positive
from hwsim.technology import BOOKS

#: (weight bits, activation bits) of the kernels that MixDQ publishes, beside FP16 (arXiv 2405.17873, their repository).
KERNELS = ((8, 8), (16, 16))
#: Widths of results, and of what attention and everything between products computes in.
_FLOAT_BITS = 16
_BITS_PER_BYTE = 8.0
#: Kernels of a layer: its product, and what prepares its input.
_KERNELS_PER_LAYER = 2


@dataclass(frozen=True)
class Gpu(Record):
    """One GPU with the numbers of its data sheet; efficiencies are the shares of the peaks that kernels reach."""

    name: str
    memory_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    fp16_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    int8_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    kernel_latency_s: Number = sourced("s", low=0.0, high=1.0)
    power_w: Number = sourced("W", above=0.0, high=1e9)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


@dataclass(frozen=True)
class NetworkTime(Record):
    """Seconds of one forward pass: products, preparation of their inputs, attention, and latency of the kernels."""

    products_s: Number
    preparation_s: Number
    attention_s: Number
    latency_s: Number
    kernels: Number

    @property
    def seconds(self) -> Number:
        """Seconds of all kernels, one after the other."""
        return self.products_s + self.preparation_s + self.attention_s + self.latency_s


def load_gpu(name_or_path: str | Path, reader: Reader | None = None) -> Gpu:
    """Return the `Gpu` of a book (rtx4080, rtx3090, a100, or a file); raises `InputError`."""
    reader = reader or load_book(name_or_path, BOOKS).reader()
    return from_book(Gpu, reader, name=reader.book.name)


def kernel_widths(
    weight_bits: Number, activation_bits: Number, kernels: tuple[tuple[int, int], ...] = KERNELS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (weight, activation) bits of the narrowest kernel that holds each pair; raises `InputError`."""
    weights, activations = np.broadcast_arrays(np.asarray(weight_bits, float), np.asarray(activation_bits, float))
    kernel_weights = kernel_activations = np.full(weights.shape, np.inf)
    for w, a in sorted(kernels, key=sum, reverse=True):
        holds = (weights <= w) & (activations <= a)
        kernel_weights, kernel_activations = np.where(holds, w, kernel_weights), np.where(holds, a, kernel_activations)
    missing = ~np.isfinite(kernel_weights)
    if missing.any():
        pair = f"W{weights[missing].flat[0]:g}A{activations[missing].flat[0]:g}"
        known = ", ".join(f"W{w}A{a}" for w, a in kernels)
        raise InputError(f"no kernel holds {pair}: expected at most one of {known}")
    return kernel_weights, kernel_activations


def layer_seconds(
    gpu: Gpu,
    *,
    macs: Number,
    weights: Number,
    in_elements: Number,
    out_elements: Number,
    weight_bits: Number = _FLOAT_BITS,
    activation_bits: Number = _FLOAT_BITS,
    kernels: tuple[tuple[int, int], ...] = KERNELS,
) -> tuple[Number, Number, Number]:
    """Return the seconds of a layer on a GPU.

    Parameters
    ----------
    gpu : Gpu
    macs : float or array
        Multiply-accumulates of the layer, > 0.
    weights, in_elements, out_elements : float or array
        Elements of weights and input, read once each, and of the output, written once.
    weight_bits, activation_bits : int or array
        Bits of weights and activations; 16 by default.
    kernels : tuple of (int, int)
        (weight bits, activation bits) of the kernels that exist.

    Returns
    -------
    product_s, preparation_s, latency_s : float or array
        Seconds of the product, of the pass that prepares its input, and of starting both kernels; they broadcast.

    Raises
    ------
    InputError
        If no kernel holds the bits, or `macs` is not positive.
    """
    kernel_weights, kernel_activations = kernel_widths(weight_bits, activation_bits, kernels)
    peak = np.where(kernel_activations <= _BITS_PER_BYTE, gpu.int8_ops_per_s, gpu.fp16_ops_per_s)
    compute_s = 2.0 * positive("macs", macs) / (peak * gpu.compute_efficiency)
    read_bits = weights * kernel_weights + in_elements * kernel_activations
    bandwidth = gpu.memory_bandwidth_bytes_per_s * gpu.memory_efficiency * _BITS_PER_BYTE
    moving_s = (read_bits + out_elements * _FLOAT_BITS) / bandwidth
    preparation_s = in_elements * (_FLOAT_BITS + kernel_activations) / bandwidth
    latency_s = np.full(np.shape(preparation_s), _KERNELS_PER_LAYER * gpu.kernel_latency_s)
    return np.maximum(compute_s, moving_s), preparation_s, latency_s


def attention_seconds(gpu: Gpu, q_tokens: Number, kv_tokens: Number, heads: Number, head_dim: Number) -> Number:
    """Return the seconds of fused attention in FP16: queries times keys, and weights times values.

    Parameters
    ----------
    gpu : Gpu
    q_tokens, kv_tokens : int or array
        Tokens of queries, and of keys and values.
    heads, head_dim : int or array
        Heads, and elements of each.

    Returns
    -------
    float or array
        Seconds, without the latency of the kernel; broadcasts.
    """
    width = np.asarray(heads, dtype=float) * head_dim
    compute_s = 4.0 * width * q_tokens * kv_tokens / (gpu.fp16_ops_per_s * gpu.compute_efficiency)
    moved = 2.0 * width * (np.asarray(q_tokens, dtype=float) + kv_tokens) * _FLOAT_BITS / _BITS_PER_BYTE
    return np.maximum(compute_s, moved / (gpu.memory_bandwidth_bytes_per_s * gpu.memory_efficiency))


def network_time(
    gpu: Gpu,
    layers: Mapping[str, Number],
    attention: Mapping[str, Number],
    *,
    weight_bits: Number = _FLOAT_BITS,
    activation_bits: Number = _FLOAT_BITS,
) -> NetworkTime:
    """Return the time of one forward pass of a network.

    Parameters
    ----------
    gpu : Gpu
    layers : mapping of str to float or array
        Arguments of `layer_seconds` by name, an element for each layer.
    attention : mapping of str to int or array
        Arguments of `attention_seconds` by name, an element for each attention.
    weight_bits, activation_bits : int or array
        Bits of weights and activations of each layer; 16 by default.

    Returns
    -------
    NetworkTime
        Sums over layers and attentions.
    """
    product, preparation, latency = layer_seconds(
        gpu, **layers, weight_bits=weight_bits, activation_bits=activation_bits
    )
    attention_s = np.asarray(attention_seconds(gpu, **attention))
    return NetworkTime(
        products_s=float(np.sum(product)),
        preparation_s=float(np.sum(preparation)),
        attention_s=float(attention_s.sum()),
        latency_s=float(np.sum(latency) + attention_s.size * gpu.kernel_latency_s),
        kernels=_KERNELS_PER_LAYER * np.size(product) + attention_s.size,
    )
