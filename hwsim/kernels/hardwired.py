"""The Hardwired-Neuron's arithmetic: FP4 weights times integer activations, exact, in units of one half.

The circuit is accumulate - multiply - accumulate. Activations arrive bit-serially, LSB first. A POPCNT per weight value
counts the ones of the bit plane on its region, constant multipliers scale the counts, and a tree adds up the regions. A
shift-accumulator weights the planes with powers of two and subtracts the last one (two's complement):

    y = sum_k s_k 2^k sum_v v popcnt(plane_k and region_v),    s_k = -1 for the last k, otherwise +1

Source: "Hardwired-Neuron Language Processing Units", ASPLOS '26, doi 10.1145/3779212.3790169.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hwbase import InputError, unknown_name
from hwsim.kernels.planes import (
    HALVES,
    REGION_HALVES,
    bit_planes,
    check_activations,
    check_code_values,
    check_codes,
    pack_words,
    region_counts,
    region_masks,
)

Method = Literal["auto", "matmul", "popcount"]
METHODS = ("auto", "matmul", "popcount")
#: Every integer up to these is a float32 or a float64, so sums within them are exact in any order.
EXACT_FLOAT32 = 1 << 24
EXACT_FLOAT64 = 1 << 53
#: Vectors of a block, so that the floating-point copies of a large batch stay small.
ROWS = 4096


def codes_to_halves(codes: Any) -> np.ndarray:
    """Return the value of each FP4 E2M1 code (any shape) in units of one half, int8 -12 .. 12.

    Bit 3 of a code is the sign, bits 2..0 index the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6 (OCP Microscaling Formats
    v1.0). Raises `InputError` for codes that are not whole numbers from 0 to 15.
    """
    return HALVES[check_code_values(np.asarray(codes))]


@dataclass(frozen=True, eq=False)
class HardwiredWeights:
    """The weights of `outputs` neurons of `inputs` inputs, prepared once for many products; made by `prepare`.

    `codes` uint8 (inputs, outputs), read-only. The arrays of each method are made when it is first used: 4 bytes a
    weight for the matmul (8 where float32 is not exact), 14 bits a weight for the POPCNTs.
    """

    codes: np.ndarray

    @property
    def inputs(self) -> int:
        """Inputs of each neuron."""
        return int(self.codes.shape[0])

    @property
    def outputs(self) -> int:
        """Number of neurons."""
        return int(self.codes.shape[1])

    @cached_property
    def halves(self) -> np.ndarray:
        """Weights in units of one half, int8 (inputs, outputs)."""
        return HALVES[self.codes]

    @cached_property
    def halves_float32(self) -> np.ndarray:
        """Weights in units of one half, float32 (inputs, outputs)."""
        return HALVES.astype(np.float32).take(self.codes)

    @cached_property
    def halves_float64(self) -> np.ndarray:
        """Weights in units of one half, float64 (inputs, outputs)."""
        return HALVES.astype(np.float64).take(self.codes)

    @cached_property
    def largest_column(self) -> int:
        """Largest sum of weight magnitudes of one neuron, in halves, a bound of every partial sum of a product."""
        if self.codes.size == 0:
            return 0
        return int(np.abs(HALVES).take(self.codes).sum(axis=0, dtype=np.int64).max())

    @cached_property
    def masks(self) -> np.ndarray:
        """Inputs wired to each region, packed: uint64 (words, 14, outputs)."""
        return region_masks(self.codes)


def prepare(weight_codes: Any) -> HardwiredWeights:
    """Return FP4 weight codes uint8 (inputs, outputs) checked, copied and ready for repeated products.

    Raises `InputError` for another shape, type or a code above 15.
    """
    codes = check_codes(weight_codes).copy()
    codes.flags.writeable = False
    return HardwiredWeights(codes)


def hardwired_matvec(
    weight_codes: Any, activations: Any, activation_bits: int = 8, *, method: Method = "auto"
) -> np.ndarray:
    """Return the exact product of integer activations with FP4 weights, int64 (..., outputs) in units of one half.

    The result equals `activations.astype(int64) @ codes_to_halves(weight_codes)` for every input.

    Parameters
    ----------
    weight_codes : array of uint8, or HardwiredWeights
        Codes 0 to 15, (inputs, outputs), or the result of `prepare`.
    activations : array of int
        (..., inputs), within `activation_bits` bits of two's complement.
    activation_bits : int
        Bits of an activation, 1 to 16.
    method : str
        "popcount" computes with bit planes, POPCNTs, constants and the shift-accumulator, as the circuit does.
        "matmul" is a floating-point product of integers. It is exact because every partial sum, in any order, is an
        integer of at most (largest neuron's sum of magnitudes) x 2^(activation_bits - 1) <= 2^24 (float32) or 2^53
        (float64); with 8 bits float32 suffices up to 10,922 inputs. "auto" is "matmul", which was 20 times and more
        faster with one BLAS thread at every shape measured, batch 1 included (benchmarks/kernels.py).

    Returns
    -------
    array of int64
        (..., outputs).

    Raises
    ------
    InputError
        For shapes that do not fit, codes above 15, and activations that are not integers or do not fit.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    weights = weight_codes if isinstance(weight_codes, HardwiredWeights) else prepare(weight_codes)
    given = check_activations(activations, weights.inputs, activation_bits)
    vectors = given.reshape(-1, weights.inputs) if given.size else given.reshape(_rows(given), weights.inputs)
    product = np.empty((len(vectors), weights.outputs), dtype=np.int64)
    multiply = _by_popcount if method == "popcount" else _by_matmul
    for start in range(0, len(vectors), ROWS):
        rows = slice(start, start + ROWS)
        product[rows] = multiply(weights, np.ascontiguousarray(vectors[rows]), int(activation_bits))
    return product.reshape(*given.shape[:-1], weights.outputs)


def _rows(given: np.ndarray) -> int:
    return int(np.prod(given.shape[:-1], dtype=np.int64))


def _by_matmul(weights: HardwiredWeights, vectors: np.ndarray, bits: int) -> np.ndarray:
    largest = int(np.abs(HALVES).max())
    bound = weights.inputs * largest << (bits - 1)
    if bound > EXACT_FLOAT32:
        bound = weights.largest_column << (bits - 1)
    if bound <= EXACT_FLOAT32:
        return vectors.astype(np.float32) @ weights.halves_float32
    if bound <= EXACT_FLOAT64:
        return vectors.astype(np.float64) @ weights.halves_float64
    raise InputError(f"{weights.inputs} inputs of {bits} bits: expected sums below 2^53 halves")


def _by_popcount(weights: HardwiredWeights, vectors: np.ndarray, bits: int) -> np.ndarray:
    product = np.empty((len(vectors), weights.outputs), dtype=np.int64)
    for row, planes in enumerate(pack_words(bit_planes(vectors, bits))):
        counts = region_counts(weights.masks, planes)
        sums = np.einsum("krm,r->km", counts, REGION_HALVES)
        product[row] = plane_weights(bits) @ sums
    return product


def plane_weights(activation_bits: int) -> np.ndarray:
    """Return the weight of each bit plane, int64 (activation_bits,): 1, 2, 4, ... and the last one negative."""
    weights = np.left_shift(np.int64(1), np.arange(activation_bits, dtype=np.int64))
    weights[-1] = -weights[-1]
    return weights
