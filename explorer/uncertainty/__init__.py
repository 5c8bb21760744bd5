"""Uncertainty: the spread of an answer over the ranges of the books, its drivers, and break-even points."""

from explorer.uncertainty.analyse import RATIOS, VERSUS_RATIOS, analyse
from explorer.uncertainty.axes import AXES, Axis, axis_named
from explorer.uncertainty.breakeven import BreakEven, Crossing, Curve, break_even, cross
from explorer.uncertainty.distributions import SHAPES, Distribution, Factor, distribution, distributions, factors_of
from explorer.uncertainty.document import break_even_document, uncertainty_document
from explorer.uncertainty.indices import sobol_indices
from explorer.uncertainty.promises import PromiseMap, promise_map
from explorer.uncertainty.propagate import propagate
from explorer.uncertainty.results import Probability, Uncertainty, chance
from explorer.uncertainty.scenario import Scenario

__all__ = [
    "AXES",
    "RATIOS",
    "SHAPES",
    "VERSUS_RATIOS",
    "Axis",
    "BreakEven",
    "Crossing",
    "Curve",
    "Distribution",
    "Factor",
    "Probability",
    "PromiseMap",
    "Scenario",
    "Uncertainty",
    "analyse",
    "axis_named",
    "break_even",
    "break_even_document",
    "chance",
    "cross",
    "distribution",
    "distributions",
    "factors_of",
    "figures",
    "promise_map",
    "propagate",
    "sobol_indices",
    "uncertainty_document",
]
