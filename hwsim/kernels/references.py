"""Bit-exact models of the circuits that the Hardwired-Neuron is compared with: Cell-Embedding and the MAC array.

Both take activations bit-parallel. Cell-Embedding (CE) multiplies each activation by its constant and sums the products
in a binary adder tree, neighbours first. A MAC array (MA) has generic multiply-accumulate units that read one weight a
clock from SRAM. Source: "Hardwired-Neuron Language Processing Units", ASPLOS '26, doi 10.1145/3779212.3790169. The code
follows the circuits and uses none of the kernels that it checks.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwbase.check import integer
from hwsim.kernels.planes import HALVES, check_activations, check_codes

#: Most products in memory.
CHUNK = 1 << 22


def cell_embedding_matvec(weight_codes: Any, activations: Any, activation_bits: int = 8) -> np.ndarray:
    """Return the product as a Cell-Embedding array computes it, int64 (..., outputs) in units of one half.

    Arguments and errors as for `hardwired_matvec` (arrays only).
    """
    codes = check_codes(weight_codes)
    inputs, outputs = codes.shape
    given = check_activations(activations, inputs, activation_bits)
    product = np.empty((*given.shape[:-1], outputs), dtype=np.int64)
    step = max(1, CHUNK // max(1, inputs))
    for index in np.ndindex(given.shape[:-1]):
        for start in range(0, outputs, step):
            chosen = slice(start, start + step)
            *_, root = adder_tree(constant_products(codes[:, chosen], given[index]))
            product[(*index, chosen)] = root[0]
    return product


def constant_products(codes: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """Return each activation (inputs,) times its constant in halves, int64 (inputs, outputs), by shifts and adds.

    The constants need at most one adder: 3 = 2 + 1, 6 = 4 + 2, 12 = 8 + 4. The tree subtracts negative products.
    """
    wide = activations.astype(np.int64)[:, None]
    # Magnitudes 0, 1, 2, 3, 4, 6, 8, 12 by code, each a sum of at most two shifts.
    multiples = np.stack(
        [
            np.zeros_like(wide),
            wide,
            wide << 1,
            (wide << 1) + wide,
            wide << 2,
            (wide << 2) + (wide << 1),
            wide << 3,
            (wide << 3) + (wide << 2),
        ]
    )[:, :, 0]
    magnitudes = np.take_along_axis(multiples.T, (codes & 7).astype(np.intp), axis=1)
    return np.where(codes & 8, -magnitudes, magnitudes)


def adder_tree(operands: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the levels of a binary adder tree over axis 0, operands first and the root (1, ...) last.

    Neighbours are added; an operand without a neighbour passes to the next level. No operands give a root of zero.
    """
    level = operands if len(operands) else np.zeros((1, *operands.shape[1:]), dtype=operands.dtype)
    yield level
    while len(level) > 1:
        pairs = level[0 : len(level) // 2 * 2].reshape(-1, 2, *level.shape[1:])
        joined = pairs[:, 0] + pairs[:, 1]
        level = np.concatenate([joined, level[-1:]]) if len(level) % 2 else joined
        yield level


def mac_array_matvec(weight_codes: Any, activations: Any, activation_bits: int = 8, *, macs: int = 1024) -> np.ndarray:
    """Return the product as an array of `macs` MAC units computes it, int64 (..., outputs) in units of one half.

    Each neuron has macs // outputs units, at least one. Unit u of a neuron takes the inputs u, u + units, ..., one a
    clock; the accumulators of the units are added at the end. With fewer units than neurons the neurons take turns.

    Parameters
    ----------
    weight_codes, activations, activation_bits
        As in `hardwired_matvec`; arrays only.
    macs : int
        Multiply-accumulate units.

    Returns
    -------
    array of int64
        (..., outputs).

    Raises
    ------
    InputError
        As `hardwired_matvec`, and for `macs` below 1.
    """
    codes = check_codes(weight_codes)
    inputs, outputs = codes.shape
    given = check_activations(activations, inputs, activation_bits)
    units = max(1, integer("macs", macs, high=1e9) // max(1, outputs))
    values = HALVES[codes].astype(np.int64)
    vectors = given.reshape(int(np.prod(given.shape[:-1], dtype=np.int64)), inputs).astype(np.int64)
    accumulators = np.zeros((len(vectors), units, outputs), dtype=np.int64)
    for start in range(0, inputs, units):
        chosen = slice(start, min(start + units, inputs))
        busy = chosen.stop - chosen.start
        accumulators[:, :busy] += vectors[:, chosen, None] * values[chosen]
    return accumulators.sum(axis=1).reshape(*given.shape[:-1], outputs)
