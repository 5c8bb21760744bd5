"""Weight formats as integer values with their frequencies, from which hardwired circuits are sized."""

import math
from dataclasses import dataclass

import numpy as np

from hwbase import FORMATS, InputError, NumberFormat, Record, number_format
from hwsim.technology import Technology

#: Widest weights that the circuits are built for.
MAX_WEIGHT_BITS = 8
#: Formats that a circuit can have in metal: one number a weight, and either sign.
HARDWIRED = tuple(n for n, f in FORMATS.items() if f.bits <= MAX_WEIGHT_BITS and f.lowest < 0 and f.scale is None)
#: Constant of the technology book with the standard deviation of weights in a format whose step is not the optimal one.
_MEASURED_SPREADS = {"fp4": "fp4_sigma"}
#: Formats whose weights' spread is known, so that no histogram need be given.
SPREAD_KNOWN = tuple(n for n in HARDWIRED if FORMATS[n].gaussian_step is not None or n in _MEASURED_SPREADS)


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
        """Share of weights that are zero and need no hardware when hardwired."""
        return float(self.histogram[self.values == 0].sum())

    @property
    def odd_part_bits(self) -> float:
        """Mean bits that a constant multiplier adds to its operand: the bits of the odd part, 0 for a power of two."""
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
    """Return the format of that name, such as "fp4" or "int4", its histogram given or that of Gaussian weights.

    Values are in units of the format's least magnitude. A given `histogram` (regions,) is over the ascending distinct
    values. The standard deviation of Gaussian weights is `fp4_sigma` of the technology book for FP4 and otherwise that
    for which the format's step is optimal (`gaussian_step`). Raises `InputError` for an unknown name or a histogram
    that is not a distribution.

    >>> from hwsim.technology import load_technology
    >>> fp4 = weight_format("fp4", load_technology())
    >>> fp4.values.tolist()
    [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]
    """
    format = number_format(name, "weight format", among=SPREAD_KNOWN if histogram is None else HARDWIRED)
    values = np.unique(integers(format))
    frequencies = (
        gaussian_histogram(values, _spread(format, technology))
        if histogram is None
        else np.asarray(histogram, dtype=float)
    )
    return WeightFormat(format.name, format.bits, values, frequencies)


def ternary_format() -> WeightFormat:
    """Return the weights -1, 0 and +1, as Gaussian ones round to them in BitNet b1.58 (Ma et al., arXiv 2402.17764).

    The step is the mean magnitude, sqrt(2 / pi) of the standard deviation.

    >>> ternary_format().histogram.round(2).tolist()
    [0.34, 0.31, 0.34]
    """
    values = np.array([-1, 0, 1])
    return WeightFormat("ternary", 2, values, gaussian_histogram(values, math.sqrt(math.pi / 2.0)))


def integers(format: NumberFormat) -> np.ndarray:
    """Return the finite values of a format's codes in units of its least magnitude, int64, in the order of the codes.

    Raises `InputError` for a format whose values are not whole multiples of it.
    """
    multiples = format.code_values[np.isfinite(format.code_values)] / format.least
    if not np.array_equal(multiples, np.rint(multiples)):
        raise InputError(f"{format.name}: expected values that are whole multiples of the least, {format.least:g}")
    return multiples.astype(np.int64)


def _spread(format: NumberFormat, technology: Technology) -> float:
    """Return the standard deviation of Gaussian weights in units of the format's least magnitude."""
    if format.name not in _MEASURED_SPREADS:
        assert format.gaussian_step is not None
        return 1.0 / format.gaussian_step
    constant = _MEASURED_SPREADS[format.name]
    spread = getattr(technology, constant)
    if np.size(spread) > 1:
        raise InputError(f"{constant} varies: expected one number, because it shapes the circuit of every neuron")
    return float(np.mean(spread)) / format.least


def gaussian_histogram(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return the shares of zero-mean Gaussian weights that round to each of the ascending `values`, (regions,)."""
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2.0, [np.inf]])
    below = [0.5 * math.erfc(-edge / (sigma * math.sqrt(2.0))) for edge in edges]
    return np.diff(below)


def signed_digits(value: int) -> int:
    """Return how many non-zero digits `value` has in canonical signed-digit form.

    Multiplying by a constant takes one adder fewer than that (Reitwieser 1960; Hwang, Computer Arithmetic, 1979).

    >>> [signed_digits(value) for value in (4, 6, 7, 12)]
    [1, 2, 2, 2]
    """
    magnitude = abs(int(value))
    return ((3 * magnitude) ^ magnitude).bit_count()
