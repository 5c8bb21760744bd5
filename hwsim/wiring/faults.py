"""Faults of Hardwired-Neurons, injected into the functional model of a defective die.

- a broken wire: the input's bit does not reach its region, which reads 0 there (as a weight of zero);
- a lost input: the net is broken before the neurons, so none of them receives it;
- a region stuck at zero: its count is always 0;
- a region stuck at one: every bit of its count is 1 in every bit plane. The planes weigh 1, 2, 4, ..., -2^(b-1), with a
  sum of -1, so the region adds the constant -(value x (2^bits - 1)) for any activations;
- a dead neuron: its result is 0.

The arithmetic is that of `hwsim.kernels.hardwired_matvec`; circuit: "Hardwired-Neuron Language Processing Units",
ASPLOS '26, doi 10.1145/3779212.3790169.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import fraction, integer
from hwsim.kernels.hardwired import hardwired_matvec
from hwsim.kernels.planes import check_codes
from hwsim.wiring.regions import REGION_HALVES, REGION_OF_CODE, REGIONS, UNWIRED, region_histogram

#: Kinds of faults, each with its own rate.
KINDS = ("wire", "input", "region_zero", "region_one", "neuron")


@dataclass(frozen=True, eq=False)
class Faults:
    """Faults of one matrix: bool arrays, True where broken.

    `wires` (inputs, outputs), `inputs` (inputs,), `stuck_at_zero` and `stuck_at_one` (14, outputs), `neurons`
    (outputs,). A region that is both is stuck at zero.
    """

    wires: np.ndarray
    inputs: np.ndarray
    stuck_at_zero: np.ndarray
    stuck_at_one: np.ndarray
    neurons: np.ndarray

    def __post_init__(self) -> None:
        n, m = np.shape(self.wires) if np.ndim(self.wires) == 2 else (-1, -1)
        expected = {
            "wires": (n, m),
            "inputs": (n,),
            "stuck_at_zero": (REGIONS, m),
            "stuck_at_one": (REGIONS, m),
            "neurons": (m,),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if np.shape(array) != shape or array.dtype != bool:
                raise InputError(f"faults: {name} has shape {np.shape(array)}: expected booleans of shape {shape}")

    @property
    def broken(self) -> int:
        """Total number of faults."""
        arrays = (self.wires, self.inputs, self.stuck_at_zero, self.stuck_at_one, self.neurons)
        return sum(int(np.count_nonzero(array)) for array in arrays)


def no_faults(inputs: int, outputs: int) -> Faults:
    """Return the faults of a matrix of that size without any fault."""
    n, m = integer("inputs", inputs), integer("outputs", outputs)
    regions = np.zeros((REGIONS, m), dtype=bool)
    empty = np.zeros((n, m), dtype=bool), np.zeros(n, dtype=bool), regions, regions.copy(), np.zeros(m, dtype=bool)
    return Faults(*empty)


def draw_faults(
    inputs: int,
    outputs: int,
    seed: int | np.random.Generator,
    *,
    wire: float = 0.0,
    input: float = 0.0,
    region_zero: float = 0.0,
    region_one: float = 0.0,
    neuron: float = 0.0,
) -> Faults:
    """Return independent random faults of a matrix, each kind at its own rate in [0, 1]; equal seeds give equal draws.

    Rates are per wire (input of a neuron), per input net, per region and per neuron. Raises `InputError` for rates
    outside [0, 1].
    """
    none = no_faults(inputs, outputs)
    random = np.random.default_rng(seed)
    drawn = {}
    rates = {"wires": wire, "inputs": input, "stuck_at_zero": region_zero, "stuck_at_one": region_one}
    for name, rate in {**rates, "neurons": neuron}.items():
        p = fraction(f"rate of {name}", rate)
        shape = getattr(none, name).shape
        # random() is below 1, so a rate of 1 breaks everything and a rate of 0 nothing.
        drawn[name] = random.random(shape, dtype=np.float32) < p if p > 0.0 else getattr(none, name)
    return replace(none, **drawn)


def faulty_codes(codes: Any, faults: Faults) -> np.ndarray:
    """Return the FP4 codes (inputs, outputs) under faults: 0 for every weight that a fault disconnects.

    Weights of a region stuck at one are 0 too: its constant is in `fault_offset`. Raises `InputError` for codes whose
    shape is not that of the faults.
    """
    checked = _matching(codes, faults)
    regions = REGION_OF_CODE.take(checked)
    gone = faults.wires | faults.inputs[:, None] | faults.neurons
    stuck = faults.stuck_at_zero | faults.stuck_at_one
    if stuck.any():
        table = np.zeros((UNWIRED + 1, checked.shape[1]), dtype=bool)
        table[:REGIONS] = stuck
        gone |= np.take_along_axis(table, regions.astype(np.intp), axis=0)
    return np.where(gone, np.uint8(0), checked)


def fault_offset(codes: Any, faults: Faults) -> np.ndarray:
    """Return the constant that regions stuck at one add to each neuron, int64 (outputs,) in units of one half.

    A count is as wide as the inputs wired to its region require. Raises `InputError` as `faulty_codes` does.
    """
    widest = np.ceil(np.log2(region_histogram(_matching(codes, faults)) + 1.0)).astype(np.int64)
    alive = faults.stuck_at_one & ~faults.stuck_at_zero & ~faults.neurons
    return -(REGION_HALVES[:, None] * (np.left_shift(1, widest) - 1) * alive).sum(axis=0)


def faulty_matvec(codes: Any, activations: Any, faults: Faults, activation_bits: int = 8) -> np.ndarray:
    """Return the products of defective neurons, int64 (..., outputs) in units of one half.

    Arguments and errors as `hwsim.kernels.hardwired_matvec`; without faults the results are equal.
    """
    return hardwired_matvec(faulty_codes(codes, faults), activations, activation_bits) + fault_offset(codes, faults)


def _matching(codes: Any, faults: Faults) -> np.ndarray:
    checked = check_codes(codes)
    if checked.shape != faults.wires.shape:
        raise InputError(f"weight codes have shape {checked.shape}: expected {faults.wires.shape}, that of the faults")
    return checked
