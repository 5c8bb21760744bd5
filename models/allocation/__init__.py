"""Bit allocation: one option per layer, least loss within budgets, always with a bound and a gap.

A multiple-choice knapsack that knows nothing of networks or chips: losses and costs in, choices out.
"""

from models.allocation.front import front
from models.allocation.hull import Relaxation, lower_hull, relax
from models.allocation.problem import Limit, Problem, Solution, tie
from models.allocation.solve import SOLVERS, solve

__all__ = [
    "SOLVERS",
    "Limit",
    "Problem",
    "Relaxation",
    "Solution",
    "front",
    "lower_hull",
    "relax",
    "solve",
    "tie",
]
