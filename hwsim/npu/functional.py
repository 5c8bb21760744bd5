"""The tiles of a product in whole numbers: what the array computes, tile by tile and fold by fold."""

import numpy as np

from hwbase import InputError
from hwsim.npu.design import Npu
from hwsim.npu.product import Product
from hwsim.npu.tiling import DIMENSIONS, Tiling, element_rates


def run_tiles(
    design: Npu, product: Product, tiling: Tiling, activations: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the product of whole numbers as the tiles of an accelerator form it, int64 (tokens, outputs).

    Sums are kept in `accumulator_bits`, and wrap as two's complement does; operands are cut into the digits that the
    elements multiply (`digits`).

    Parameters
    ----------
    design : Npu
    product : Product
        Its sizes and widths.
    tiling : Tiling
        Tile and order of the loops.
    activations : array of int
        (tokens, inputs), within `activation_bits`, signed.
    weights : array of int
        (inputs, outputs), within `weight_bits`, signed.

    Returns
    -------
    array of int64

    Raises
    ------
    InputError
        For another shape, or values out of range.
    """
    left = _checked("activations", activations, (product.tokens, product.inputs), product.activation_bits)
    right = _checked("weights", weights, (product.inputs, product.outputs), product.weight_bits)
    sums = np.zeros((product.tokens, product.outputs), np.int64)
    trips = tiling.trips(product)
    lanes, _ = element_rates(design, product)
    side = int(design.array_rows * lanes)
    for place in np.ndindex(*(trips[name] for name in tiling.order)):
        index = dict(zip(tiling.order, place, strict=True))
        along = {
            name: slice(index[name] * getattr(tiling, name), (index[name] + 1) * getattr(tiling, name))
            for name in DIMENSIONS
        }
        a, b = left[along["tokens"], along["inputs"]], right[along["inputs"], along["outputs"]]
        # Folds along the inputs add to the sums one after the other.
        for start in range(0, a.shape[1], side):
            part = slice(start, start + side)
            sums[along["tokens"], along["outputs"]] += composed(
                design, a[:, part], b[part], product.activation_bits, product.weight_bits
            )
    return _wrapped(sums, int(design.accumulator_bits))


def composed(
    design: Npu, activations: np.ndarray, weights: np.ndarray, activation_bits: int, weight_bits: int
) -> np.ndarray:
    """Return the product of two matrices as the sum of the products of their digits, each shifted to its place."""
    width = {"bit-serial": 1, "bit-parallel": int(design.pe_bits), "fused": int(design.brick_bits)}[design.pe]
    other = int(design.pe_bits) if design.pe == "bit-serial" else width
    total = np.zeros((activations.shape[0], weights.shape[1]), np.int64)
    for shift_w, digit_w in digits(weights, weight_bits, width):
        for shift_a, digit_a in digits(activations, activation_bits, other):
            total += (digit_a @ digit_w) << (shift_a + shift_w)
    return total


def digits(values: np.ndarray, bits: int, width: int) -> list[tuple[int, np.ndarray]]:
    """Return (shift, digit) pairs whose shifted sum is `values`: all digits unsigned but the topmost.

    >>> [(shift, digit.tolist()) for shift, digit in digits(np.array([-3, 5]), 4, 2)]
    [(0, [1, 1]), (2, [-1, 1])]
    """
    shifts = range(0, bits, width)
    parts = []
    for shift in shifts:
        part = values >> shift
        parts.append((shift, part if shift == shifts[-1] else part & ((1 << width) - 1)))
    return parts


def _checked(name: str, values: np.ndarray, shape: tuple[int, int], bits: int) -> np.ndarray:
    array = np.asarray(values)
    if array.shape != shape:
        raise InputError(f"{name} have shape {array.shape}: expected {shape}")
    limit = 1 << bits - 1
    if not np.issubdtype(array.dtype, np.integer) or array.min() < -limit or array.max() >= limit:
        raise InputError(f"{name}: expected whole numbers from {-limit} to {limit - 1}")
    return array.astype(np.int64)


def _wrapped(sums: np.ndarray, bits: int) -> np.ndarray:
    """Return sums as `bits` of two's complement hold them."""
    half = 1 << bits - 1
    return (sums + half) % (1 << bits) - half
