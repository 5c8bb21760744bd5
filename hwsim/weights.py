"""Weight formats as sets of integer values with their frequencies: what a hardwired circuit is built around."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from hwbase import InputError, Record, unknown_name
from hwbase.check import count
from hwsim.technology import Technology

#: Magnitudes of FP4 E2M1 in units of one half, in code order (OCP Microscaling Formats v1.0).
FP4_HALVES = (0, 1, 2, 3, 4, 6, 8, 12)
#: Widest integer weights that the circuits are built for.
MAX_WEIGHT_BITS = 8
#: Step of the mean-square-optimal uniform quantiser of a unit Gaussian, 1 to 8 bits (Max, IRE Trans. IT-6, 1960).
OPTIMAL_STEP = (1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308)


@dataclass(frozen=True)
class WeightFormat(Record):
    """The distinct values of a weight, as integers, and how often each occurs.

    `values` int array (regions,), ascending; `histogram` float array (regions,) that sums to 1; `bits` per weight.
    """

    name: str
    bits: int
    values: np.ndarray
    histogram: np.ndarray

    def __post_init__(self) -> None:
        if self.values.shape != self.histogram.shape:
            raise InputError(f"weight histogram has {self.histogram.size} entries: expected {self.values.size}")
        if not np.all(np.isfinite(self.histogram)) or np.any(self.histogram < 0):
            raise InputError("weight histogram: expected finite numbers >= 0")
        if not np.isclose(self.histogram.sum(), 1.0):
            raise InputError(f"weight histogram sums to {self.histogram.sum():g}: expected 1")

    @property
    def magnitude_bits(self) -> int:
        """Bits of the largest magnitude."""
        return int(np.max(np.abs(self.values))).bit_length()

    @property
    def zero_fraction(self) -> float:
        """Share of weights that are zero: they need no hardware when hardwired."""
        return float(self.histogram[self.values == 0].sum())

    @property
    def odd_part_bits(self) -> float:
        """Mean bits that a constant multiplier adds to its operand: those of the odd part, none for a power of two."""
        values, frequencies = self.nonzero
        odd = [abs(int(v)) // (int(v) & -int(v)) for v in values]
        bits = np.array([o.bit_length() if o > 1 else 0 for o in odd])
        return float((bits * frequencies).sum() / max(frequencies.sum(), np.finfo(float).tiny))

    @property
    def nonzero(self) -> tuple[np.ndarray, np.ndarray]:
        """(values, frequencies) of the non-zero values: the regions of a Hardwired-Neuron."""
        keep = self.values != 0
        return self.values[keep], self.histogram[keep]


def weight_format(name: str, technology: Technology, histogram: np.ndarray | None = None) -> WeightFormat:
    """Return the format called "fp4" or "int1" .. "int8", its histogram given or that of Gaussian weights.

    "int1" is the binary set {-1, +1}; "intB" is two's complement with B bits. A given `histogram` (regions,) is over
    the ascending distinct values. The Gaussian spread in steps of the grid is `fp4_sigma` of the technology book for
    FP4 and that of the optimal uniform quantiser for integers. Raises `InputError` for an unknown name or a histogram
    that is not a distribution.

    >>> from hwsim.technology import load_technology
    >>> fp4 = weight_format("fp4", load_technology())
    >>> fp4.values.tolist()
    [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]
    """
    known = ["fp4", *(f"int{b}" for b in range(1, MAX_WEIGHT_BITS + 1))]
    if name not in known:
        raise unknown_name("weight format", name, known)
    if name == "fp4":
        if np.size(technology.fp4_sigma) > 1:
            raise InputError("fp4_sigma varies: expected one number, because it shapes the circuit of every neuron")
        bits, sigma = 4, 2.0 * float(np.mean(technology.fp4_sigma))
        values = np.array(sorted({s * m for m in FP4_HALVES for s in (-1, 1)}))
    else:
        bits = int(count("weight bits", int(name[3:]), high=MAX_WEIGHT_BITS))
        values = np.array([-1, 1]) if bits == 1 else np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
        sigma = 1.0 / OPTIMAL_STEP[bits - 1]
    frequencies = gaussian_histogram(values, sigma) if histogram is None else np.asarray(histogram, dtype=float)
    return WeightFormat(name, bits, values, frequencies)


def gaussian_histogram(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return the share of zero-mean Gaussian weights that round to each of the ascending `values` (regions,)."""
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2.0, [np.inf]])
    return np.diff(ndtr(edges / sigma))


def signed_digits(value: int) -> int:
    """Return how many non-zero digits `value` has in canonical signed-digit form.

    Multiplying by a constant takes one adder fewer than that (Reitwieser 1960; Hwang, Computer Arithmetic, 1979).

    >>> [signed_digits(value) for value in (4, 6, 7, 12)]
    [1, 2, 2, 2]
    """
    magnitude = abs(int(value))
    return ((3 * magnitude) ^ magnitude).bit_count()
