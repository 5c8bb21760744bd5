"""models.quantise: rounding weights and activations to a few bits, to see what it does to a network.

Ranges come from the tensor at hand (`rounded`), from a stream (`observer`), or from the activations as they pass
(`dynamic`). Values stay floating point, on the grid that integers would have; `hwsim.kernels` has the integers.
"""

from models.quantise.grid import MOST_BITS, UNROUNDED, Grid, check_bits, grid, round_to, side_by_side
from models.quantise.observers import OBSERVERS, Extremes, Histogram, MovingAverage, Observer, observer
from models.quantise.operators import RoundedLinear, Rounding, dynamic, first_products, static
from models.quantise.ranges import METHODS, SHARINGS, codes, least_error, min_max, rounded, rows

__all__ = [
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
    "check_bits",
    "codes",
    "dynamic",
    "first_products",
    "grid",
    "least_error",
    "min_max",
    "observer",
    "round_to",
    "rounded",
    "rows",
    "side_by_side",
    "static",
]
