"""A matrix product of a network: its sizes, widths and, for a convolution, the image under it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import Number, integer

_BITS_PER_BYTE = 8.0
#: The widest operand, bits.
MOST = 64


@dataclass(frozen=True)
class Product(Record):
    """(tokens, inputs) times (inputs, outputs), `repeats` times in one run of the network.

    A convolution is the product of its patches: `inputs` are channels x kernel squared, `tokens` the positions of its
    output, `width` of them in a row. Its patches overlap, so that a tile reads fewer elements than tokens x inputs.
    `stored` says whether the right operand is a weight; in attention both are activations. `fixed_bytes` are read from
    DRAM beside the operands, such as precomputed outputs of a first token.
    """

    name: str
    tokens: int
    inputs: int
    outputs: int
    weight_bits: int = 8
    activation_bits: int = 8
    kernel: int = 1
    stride: int = 1
    width: int = 1
    repeats: int = 1
    stored: bool = True
    fixed_bytes: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.tokens, self.inputs, self.outputs, self.kernel, self.stride, self.width, self.repeats)
        widths = (self.weight_bits, self.activation_bits)
        # One comparison in the usual case: a network has hundreds of products.
        if all(type(each) is int for each in (*counts, *widths)) and min(*counts, *widths) > 0 and max(widths) <= MOST:
            return
        for name in ("tokens", "inputs", "outputs", "kernel", "stride", "width", "repeats"):
            object.__setattr__(self, name, integer(f"{self.name}: {name}", getattr(self, name), high=1e12))
        for name in ("weight_bits", "activation_bits"):
            object.__setattr__(self, name, integer(f"{self.name}: {name}", getattr(self, name), high=MOST))

    @property
    def macs(self) -> float:
        """Multiply-accumulates of one repeat."""
        return float(self.tokens) * self.inputs * self.outputs

    @property
    def weights(self) -> float:
        """Elements of the right operand."""
        return float(self.inputs) * self.outputs

    @property
    def key(self) -> tuple[object, ...]:
        """What decides its time and energy: all but the name and the repeats."""
        values = self.tokens, self.inputs, self.outputs, self.weight_bits, self.activation_bits
        return *values, self.kernel, self.stride, self.width, self.stored, self.fixed_bytes

    def input_elements(self, tokens: Number, inputs: Number) -> Number:
        """Return the input elements under a tile: rows of the image, the kernel's overlap included, times channels."""
        channels = np.ceil(np.asarray(inputs, float) / self.kernel**2)
        rows = np.ceil(np.asarray(tokens, float) / self.width)
        overlap = max(self.kernel - self.stride, 0)
        image_rows = np.minimum(rows * self.stride + overlap, self.tokens / self.width * self.stride)
        width = np.minimum(np.asarray(tokens, float), self.width) * self.stride
        return channels * image_rows * width

    def tile_bytes(self, tokens: Number, inputs: Number, outputs: Number, sum_bits: float) -> dict[str, Number]:
        """Return the bytes of a tile's operands, of its sums in full width, and of its finished outputs."""
        elements = np.asarray(tokens, float) * outputs
        return {
            "inputs": self.input_elements(tokens, inputs) * self.activation_bits / _BITS_PER_BYTE,
            "weights": np.asarray(inputs, float) * outputs * self.weight_bits / _BITS_PER_BYTE,
            "sums": elements * sum_bits / _BITS_PER_BYTE,
            "outputs": elements * self.activation_bits / _BITS_PER_BYTE,
        }


def total_macs(products: Iterable[Product]) -> float:
    """Return the multiply-accumulates of a network."""
    return float(sum(product.macs * product.repeats for product in products))
