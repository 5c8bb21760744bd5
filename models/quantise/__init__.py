"""models.quantise: rounding weights and activations to a few bits, to see what it does to a network.

Compensated weights (`gptq`, `compensate`) spend the freedom of rounding on the error of a layer's output, on
calibration text. Otherwise ranges come from the tensor at hand (`rounded`), from a stream (`observer`), or from the
activations as they pass (`dynamic`). Values stay floating point, on the grid that integers would have; `hwsim.kernels`
has the integers.
"""

from models.quantise.calibration import calibrated_hessians
from models.quantise.compensate import COMPENSATIONS, check_method, compensate, prepared
from models.quantise.formats import WeightFormat, weight_format, weight_formats
from models.quantise.gptq import Solution, gptq, nearest
from models.quantise.grid import MOST_BITS, UNROUNDED, Grid, check_bits, grid, round_to, side_by_side
from models.quantise.observers import OBSERVERS, Extremes, Histogram, MovingAverage, Observer, observer
from models.quantise.operators import RoundedLinear, Rounding, dynamic, first_products, static
from models.quantise.ranges import METHODS, SHARINGS, codes, least_error, min_max, rounded, rows
from models.quantise.rotation import fold_gains, hadamard, rotated
from models.quantise.stored import StoredWeights, check_format, is_stored, read_header, read_weights

__all__ = [
    "COMPENSATIONS",
    "METHODS",
    "MOST_BITS",
    "OBSERVERS",
    "SHARINGS",
    "UNROUNDED",
    "Extremes",
    "Grid",
    "Histogram",
    "MovingAverage",
    "Observer",
    "RoundedLinear",
    "Rounding",
    "Solution",
    "StoredWeights",
    "WeightFormat",
    "calibrated_hessians",
    "check_bits",
    "check_format",
    "check_method",
    "codes",
    "compensate",
    "dynamic",
    "first_products",
    "fold_gains",
    "gptq",
    "grid",
    "hadamard",
    "is_stored",
    "least_error",
    "min_max",
    "nearest",
    "observer",
    "prepared",
    "read_header",
    "read_weights",
    "rotated",
    "round_to",
    "rounded",
    "rows",
    "side_by_side",
    "static",
    "weight_format",
    "weight_formats",
]
