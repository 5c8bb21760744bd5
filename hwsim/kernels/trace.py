"""The Hardwired-Neuron clock by clock: the content of every register, for small sizes.

One bit plane enters in each clock. The shift-accumulator is that of the hardware: its register shifts right by one and
adds the signed sum of the plane at a fixed place, `activation_bits` - 1 bits up. No barrel shifter is needed, and the
register holds the product after the last clock:

    R_0 = s_0 << (B - 1),    R_k = (R_{k-1} >> 1) + (s_k << (B - 1)),    the last s_k subtracted

A right shift never drops a one: the lowest B - k bits of R_{k-1} are zero. Pipeline registers delay the stages, but
do not change the values of a wire or their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError, Record
from hwsim.kernels.hardwired import HardwiredWeights, prepare
from hwsim.kernels.planes import REGION_CODES, REGION_HALVES, bit_planes, check_activations

#: Most weights that are traced; a clock has 16 numbers for each neuron.
MOST_TRACED = 1 << 24


@dataclass(frozen=True, eq=False)
class Clock(Record):
    """Registers and wires of `outputs` neurons after one clock. Integers; products and sums in units of one half.

    `vector` and `bit` number the activation vector and its bit plane (0 = LSB). `plane` bool (inputs,) is on the input
    wires; `counts` int64 (14, outputs) leave the POPCNTs, in the order of `REGION_CODES`; `products` (14, outputs)
    leave the constant multipliers; `sums` (outputs,) the adder tree; `accumulator` (outputs,) is the register R.
    """

    vector: int
    bit: int
    last: bool
    plane: np.ndarray
    counts: np.ndarray
    products: np.ndarray
    sums: np.ndarray
    accumulator: np.ndarray
    activation_bits: int

    @property
    def value(self) -> np.ndarray:
        """Sum accumulated so far, int64 (outputs,) in halves; after the `last` clock it is the product."""
        return self.accumulator >> (self.activation_bits - 1 - self.bit)


def trace(weight_codes: Any, activations: Any, activation_bits: int = 8) -> Iterator[Clock]:
    """Yield a `Clock` for every bit of every activation vector, in order, computed by the steps of the circuit.

    `weight_codes` uint8 (inputs, outputs) or prepared; `activations` (..., inputs), read in C order. The accumulator
    restarts with each vector. Raises `InputError` at once, as `hardwired_matvec` does and for more than 2^24 weights.
    """
    weights = weight_codes if isinstance(weight_codes, HardwiredWeights) else prepare(weight_codes)
    if weights.codes.size > MOST_TRACED:
        raise InputError(f"{weights.codes.size} weights: expected at most {MOST_TRACED} to trace clock by clock")
    given = check_activations(activations, weights.inputs, activation_bits)
    return _clocks(weights, given, int(activation_bits))


def _clocks(weights: HardwiredWeights, activations: np.ndarray, bits: int) -> Iterator[Clock]:
    members = [weights.codes == code for code in REGION_CODES]
    for vector, index in enumerate(np.ndindex(activations.shape[:-1])):
        register = np.zeros(weights.outputs, dtype=np.int64)
        for bit, plane in enumerate(bit_planes(activations[index], bits)):
            last = bit == bits - 1
            # The POPCNT of a region counts its wires that carry a one.
            counts = np.stack([np.count_nonzero(member[plane], axis=0) for member in members])
            products = counts * REGION_HALVES[:, None]
            sums = products.sum(axis=0)
            aligned = np.left_shift(sums, bits - 1)
            register = np.right_shift(register, 1) + (-aligned if last else aligned)
            yield Clock(vector, bit, last, plane, counts, products, sums, register, bits)
