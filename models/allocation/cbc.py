"""The whole problem solved by CBC through PuLP, as HAWQ and other allocators do.

PuLP passes on whether CBC's search is complete, which bounds the objective, but no bound of an incomplete one.
"""

import math
import time

import numpy as np

from hwbase import InputError
from models.allocation.errors import NoAllocationError
from models.allocation.integers import Row, keeps
from models.allocation.matrices import scaled_losses
from models.allocation.problem import Problem

#: Scaled losses below which CBC does not look for a better choice: its cutoff increment, and its dual tolerance.
_CUTOFF_INCREMENT, _DUAL_TOLERANCE = 1e-5, 1e-7


def by_cbc(problem: Problem, rows: list[Row], deadline: float) -> tuple[np.ndarray, float]:
    """Return (CBC's choice, checked against the limits, the bound that its search proves: -infinity where it stopped).

    Raises `NoAllocationError`, or `InputError` without PuLP.
    """
    try:
        import pulp
    except ImportError:
        raise InputError("solver 'cbc' needs PuLP: pip install 'hwsim[solvers]'") from None
    units, starts = problem.units, problem.starts
    scaled, scale = scaled_losses(problem)
    programme = pulp.LpProblem("allocation", pulp.LpMinimize)
    chosen = [pulp.LpVariable(f"x{i}", cat="Binary") for i in range(units.size)]
    programme += pulp.lpSum(loss * x for loss, x in zip(scaled.tolist(), chosen, strict=True))
    for options in np.split(np.arange(units.size), starts[1:]):
        programme += pulp.lpSum(chosen[i] for i in options) == 1
    for row in rows:
        programme += pulp.lpSum(cost * x for cost, x in zip(row.costs.tolist(), chosen, strict=True)) <= row.limit
    left = max(deadline - time.monotonic(), 1.0)
    programme.solve(pulp.PULP_CBC_CMD(msg=False, timeLimit=left, gapRel=0.0))
    # `status` says "optimal" after a time-out too; only `sol_status` tells.
    if programme.sol_status in (pulp.LpSolutionInfeasible, pulp.LpSolutionNoSolutionFound):
        raise NoAllocationError(proven=programme.sol_status == pulp.LpSolutionInfeasible)
    shares = np.array([x.value() or 0.0 for x in chosen])
    pick = np.lexsort((-shares, units))[starts]
    if not keeps(rows, pick):
        raise NoAllocationError(proven=False)
    if programme.sol_status != pulp.LpSolutionOptimal:
        return pick, -math.inf
    missed = (_CUTOFF_INCREMENT + _DUAL_TOLERANCE * starts.size) / scale
    return pick, math.fsum(problem.losses[pick].tolist()) - missed
