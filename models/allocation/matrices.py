"""The matrices that linear and integer programmes are given."""

from typing import TYPE_CHECKING

import numpy as np

from models.allocation.integers import Row
from models.allocation.problem import Problem

if TYPE_CHECKING:
    from scipy import sparse

#: Costs of a row are scaled to at most this.
_SCALED_COST = 1e5
#: Losses above each unit's least are scaled to this sum: unscaled, solvers call allocations optimal that are not.
_SCALED_SUM = 1e6


def one_each(units: np.ndarray) -> "sparse.csr_matrix":
    """Return the matrix (units, N) whose rows sum the shares of each unit's options."""
    from scipy import sparse

    return sparse.csr_matrix((np.ones(units.size), (units, np.arange(units.size))))


def scaled_rows(rows: list[Row]) -> tuple["sparse.csr_matrix", np.ndarray, np.ndarray]:
    """Return (costs, limits, what one is worth) of the rows with their costs scaled for a solver."""
    steps = np.array([max(float(row.costs.max()) / _SCALED_COST, 1.0) for row in rows])
    limits = np.array([float(row.limit) for row in rows]) / steps
    from scipy import sparse

    return sparse.csr_matrix(np.stack([row.costs for row in rows]) / steps[:, None]), limits, steps


def scaled_losses(problem: Problem) -> tuple[np.ndarray, float]:
    """Return (losses above each unit's least, scaled for a solver, the scale)."""
    above = problem.losses - np.minimum.reduceat(problem.losses, problem.starts)[problem.units]
    total = float(above.sum())
    # Where there is nothing to lose, there is nothing to scale.
    scale = _SCALED_SUM / total if total > _SCALED_SUM * np.finfo(float).tiny else 1.0
    return above * scale, scale
