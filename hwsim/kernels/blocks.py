"""Hardwired products with MXFP4 weights: a neuron per block of 32 inputs, its sum shifted by the block's exponent.

Every scale of an MX tensor is a power of two, so the sum over blocks is an integer times the smallest scale of the
output: y = 2^(exponent - 1) sum_b (block product in halves) << (exponent_b - exponent). In metal such a shift is a
choice of wires. Blocks run along the inputs (axis 0). Format: OCP Microscaling Formats (MX) v1.0.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hwbase import InputError, unknown_name
from hwsim.kernels.hardwired import EXACT_FLOAT32, EXACT_FLOAT64, ROWS, hardwired_matvec
from hwsim.kernels.planes import HALVES, check_activations
from hwsim.kernels.quantised import Quantised

BlockMethod = Literal["auto", "matmul", "blocks"]
BLOCK_METHODS = ("auto", "matmul", "blocks")


@dataclass(frozen=True, eq=False)
class BlockWeights:
    """MXFP4 weights ready for integer products; made by `prepare_blocks`.

    `codes` uint8 (inputs, outputs); `shifts` int64 (blocks, outputs), bits by which each block's sum is shifted left;
    `exponents` int64 (outputs,), where an integer product has the unit 2^(exponent - 1); `block` inputs a block.
    """

    codes: np.ndarray
    shifts: np.ndarray
    exponents: np.ndarray
    block: int

    @property
    def unit(self) -> np.ndarray:
        """Value of one unit of an integer product, float64 (outputs,)."""
        return np.ldexp(1.0, self.exponents - 1)

    @property
    def integers(self) -> np.ndarray:
        """Weights as integers in units of `unit`, float64 (inputs, outputs), exact; not cached."""
        return self._integers(np.float64)

    @cached_property
    def factors(self) -> np.ndarray:
        """`integers` as float32 if products with int8 activations are exact in it, otherwise as float64; cached."""
        return self._integers(np.float32 if self.largest_column * 2.0**7 <= EXACT_FLOAT32 else np.float64)

    @cached_property
    def largest_column(self) -> float:
        """Largest sum of integer magnitudes of one output, a bound of every partial sum of a product."""
        if self.codes.size == 0:
            return 0.0
        starts = np.arange(0, self.codes.shape[0], self.block)
        sums = np.add.reduceat(np.abs(HALVES)[self.codes], starts, axis=0, dtype=np.float64)
        return float(np.ldexp(sums, self.shifts).sum(axis=0).max())

    def _integers(self, dtype: type[np.floating]) -> np.ndarray:
        rows = np.arange(self.codes.shape[0]) // self.block
        # Indexing keeps the layout of the codes, and a product by a power of two is exact.
        integers = HALVES.astype(dtype)[self.codes]
        integers *= np.exp2(self.shifts).astype(dtype)[rows]
        return integers


def prepare_blocks(weights: Quantised) -> BlockWeights:
    """Return MXFP4 weights (inputs, outputs), quantised along axis 0, ready for `block_matvec`.

    Raises `InputError` for another format, axis or shape.
    """
    suits = weights.element.name == "fp4" and weights.number_format.has_power_of_two_scales
    if not suits or weights.axis != 0 or len(weights.shape) != 2 or weights.block is None:
        raise InputError(
            f"weights are {weights.format} of shape {weights.shape} along axis {weights.axis}: "
            "expected mxfp4 (inputs, outputs) along axis 0"
        )
    powers = np.frexp(weights.scales)[1].astype(np.int64) - 1
    starts = np.arange(0, weights.shape[0], weights.block)
    if weights.codes.size == 0:
        exponents = np.zeros(weights.shape[1], dtype=np.int64)
        return BlockWeights(weights.codes, np.zeros_like(powers), exponents, weights.block)
    # Blocks of zeros do not count for the exponent of their output.
    used = np.maximum.reduceat(weights.codes & 7, starts, axis=0) > 0
    smallest = np.where(used, powers, 127).min(axis=0)
    exponents = np.where(used.any(axis=0), smallest, 0)
    shifts = np.where(used, powers - exponents, 0)
    return BlockWeights(weights.codes, shifts, exponents, weights.block)


def block_matvec(
    weights: BlockWeights, activations: Any, activation_bits: int = 8, *, method: BlockMethod = "auto"
) -> np.ndarray:
    """Return the exact product of integer activations (..., inputs), int64 (..., outputs) in units of `weights.unit`.

    Parameters
    ----------
    weights : BlockWeights
    activations : array of int
        (..., inputs).
    activation_bits : int
        Bits of an activation, 1 to 16.
    method : str
        "blocks" sums `hardwired_matvec` over the blocks, shifted. "matmul" is one floating-point product, exact while
        every partial sum stays an integer below 2^24 (float32) or 2^53 (float64). "auto" is "matmul" where that is
        exact.

    Returns
    -------
    array of int64
        (..., outputs).

    Raises
    ------
    InputError
        For activations that do not fit, or sums beyond 2^53 ("matmul") or 2^62 ("blocks").
    """
    if method not in BLOCK_METHODS:
        raise unknown_name("method", method, BLOCK_METHODS)
    inputs, outputs = weights.codes.shape
    given = check_activations(activations, inputs, activation_bits)
    vectors = np.ascontiguousarray(given).reshape(int(np.prod(given.shape[:-1], dtype=np.int64)), inputs)
    bound = weights.largest_column * 2.0 ** (int(activation_bits) - 1)
    if bound > (EXACT_FLOAT64 if method == "matmul" else 2.0**62):
        raise InputError(f"sums reach {bound:.3g} units: expected a narrower range of block exponents")
    product = np.zeros((len(vectors), outputs), dtype=np.int64)
    if method == "blocks" or bound > EXACT_FLOAT64:
        for number, start in enumerate(range(0, inputs, weights.block)):
            chosen = slice(start, min(start + weights.block, inputs))
            part = hardwired_matvec(weights.codes[chosen], vectors[:, chosen], activation_bits)
            product += part << weights.shifts[number]
        return product.reshape(*given.shape[:-1], outputs)
    factors = weights.factors
    if factors.dtype == np.float32 and bound > EXACT_FLOAT32:
        factors = weights.integers
    for start in range(0, len(vectors), ROWS):
        rows = slice(start, start + ROWS)
        product[rows] = vectors[rows].astype(factors.dtype) @ factors
    return product.reshape(*given.shape[:-1], outputs)
