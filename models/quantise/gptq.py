"""Rounding of one linear layer that minimises the error of its output on calibration inputs (GPTQ).

With the Hessian H = X^T X of the inputs, the error of the outputs is tr((W - Q) H (W - Q)^T). Inputs are rounded one
after the other, those with the largest activations first; what the rounding of one loses is given to the inputs not yet
rounded, by the Cholesky factor of H^-1. Frantar et al., "GPTQ", ICLR 2023, arXiv 2210.17323. Scales are fixed before
the first input, so groups and the order of inputs do not depend on each other; where the format's scales are not
powers of two or FP8, they are fitted to the codes by least squares afterwards.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, lapack

from hwbase import InputError
from models.quantise.formats import WeightFormat, check_matrix
from models.quantise.scales import Scales, scales, stored_scale

#: Added to the diagonal of the Hessian, as a share of its mean.
DAMPING = 0.01
_MOST_DAMPING = 1.0
#: Inputs whose losses are passed on together, and outputs that are rounded together (both for the cache).
_INPUTS, _OUTPUTS = 64, 2048


@dataclass(frozen=True, eq=False)
class Solution:
    """A matrix (outputs, inputs) rounded to a format.

    `values` float32 (outputs, inputs); `codes` int8 levels less the zero point for integers, or indices of the format's
    `levels`; `scale` and `zero` float32 (outputs, groups). `loss` and `nearest_loss` are tr(E H E^T) of this solution
    and of rounding to nearest with searched scales, NaN without a Hessian; `dead` inputs were always zero.
    """

    values: np.ndarray
    codes: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    loss: float = float("nan")
    nearest_loss: float = float("nan")
    dead: int = 0


def nearest(
    matrix: np.ndarray, to: WeightFormat, *, search: bool = False, hessian: np.ndarray | None = None
) -> Solution:
    """Return a matrix (outputs, inputs) rounded to nearest, with scales from its range, or searched.

    A `hessian` (inputs, inputs) weighs the squared errors of the search by its diagonal. Raises `InputError` for
    weights that are not finite.
    """
    weights = check_matrix(matrix).T
    importance = None if hessian is None else np.diagonal(check_hessian(hessian, len(weights)))
    chosen = scales(weights, to, search=search, importance=importance)
    scale, zero = (_spread(each, to, len(weights)) for each in (chosen.scale, chosen.zero))
    return _solution(to.snap(weights / scale, zero), chosen, to)


def gptq(
    matrix: np.ndarray,
    hessian: "np.ndarray | Curvature",
    to: WeightFormat,
    *,
    damping: float = DAMPING,
) -> Solution:
    """Return a matrix (outputs, inputs) rounded so that the error of its outputs is small.

    No output is worse, in the norm of the Hessian, than rounding to nearest with searched scales: where it would be,
    that is taken.

    Parameters
    ----------
    matrix : ndarray of float32, (outputs, inputs)
        Weights.
    hessian : ndarray (inputs, inputs), or Curvature
        Sum of x x^T over calibration inputs, or what `curvature` made of it for matrices that share their inputs.
    to : WeightFormat
        Format of the weights.
    damping : float
        Added to the diagonal, as a share of its mean; raised tenfold while the Hessian is singular. Default 0.01.
        A `Curvature` has its own.

    Returns
    -------
    Solution

    Raises
    ------
    InputError
        For weights or a Hessian that are not finite, sizes that differ, or a Hessian that stays singular.
    """
    weights = np.ascontiguousarray(check_matrix(matrix).T)
    shared = hessian if isinstance(hessian, Curvature) else curvature(check_hessian(hessian, len(weights)), damping)
    order = shared.order
    chosen = scales(weights, to, search=True, importance=np.diagonal(shared.hessian))
    scale, zero = (_spread(each, to, len(weights)) for each in (chosen.scale, chosen.zero))
    plain = to.snap(weights / scale, zero)
    plain_loss = _losses(weights - plain * scale, shared.hessian)
    scale, zero = scale[order], zero[order]
    levels = np.empty_like(weights)
    for start in range(0, weights.shape[1], _OUTPUTS):
        part = slice(start, start + _OUTPUTS)
        levels[order, part] = _rounded(weights[order, part], scale[:, part], zero[:, part], shared.upper, to)
    refined, loss = _refit(weights, levels, chosen, shared.hessian, to)
    worse = loss > plain_loss
    levels[:, worse], refined.scale[:, worse] = plain[:, worse], chosen.scale[:, worse]
    totals = float(np.minimum(loss, plain_loss).sum()), float(plain_loss.sum())
    return _solution(levels, refined, to, *totals, shared.dead)


@dataclass(frozen=True, eq=False)
class Curvature:
    """A Hessian and what GPTQ derives from it, for all matrices that read the same inputs.

    `hessian` float32 (inputs, inputs); inputs are rounded in `order`, those with the largest activations first;
    `upper` float32 is the upper Cholesky factor of the inverse of the damped Hessian in that order; `dead` inputs were
    always zero.
    """

    hessian: np.ndarray
    order: np.ndarray
    upper: np.ndarray
    dead: int


def curvature(hessian: np.ndarray, damping: float = DAMPING) -> Curvature:
    """Return what GPTQ derives from a Hessian (inputs, inputs): see `gptq`, also for the damping and errors."""
    hessian = check_hessian(hessian, len(hessian))
    diagonal = np.diagonal(hessian)
    dead = diagonal <= 0
    order = np.argsort(-diagonal, kind="stable")
    # With H = R R^T and R upper triangular, H^-1 = R^-T R^-1, and R^-1 is the upper factor. R comes from the lower
    # factor of the Hessian in the opposite order.
    opposite = order[::-1]
    ordered = hessian[np.ix_(opposite, opposite)].astype(np.float64)
    mean = float(np.trace(ordered)) / len(ordered) or 1.0
    share = damping
    while share <= _MOST_DAMPING:
        damped = ordered + np.diag(share * mean + dead[opposite] * mean)
        try:
            lower = cholesky(damped, lower=True, check_finite=False)
            inverse, failed = lapack.dtrtri(lower, lower=True)
            if not failed:
                upper = np.ascontiguousarray(inverse[::-1, ::-1], np.float32)
                return Curvature(hessian, order, upper, int(dead.sum()))
        except LinAlgError:
            pass
        share *= 10
    raise InputError(
        f"the Hessian is singular with {_MOST_DAMPING:.0%} of its mean added: expected more calibration text"
    )


def check_hessian(hessian: np.ndarray, inputs: int) -> np.ndarray:
    """Return a Hessian as float32; raises `InputError` for another shape, NaN or infinity."""
    array = np.asarray(hessian, np.float32)
    if array.shape != (inputs, inputs):
        raise InputError(f"the Hessian has shape {array.shape}: expected {(inputs, inputs)}")
    if not np.isfinite(array).all():
        raise InputError("the Hessian holds NaN or infinity: calibration activations are not finite")
    return array


def _rounded(
    weights: np.ndarray, scale: np.ndarray, zero: np.ndarray, upper: np.ndarray, to: WeightFormat
) -> np.ndarray:
    """Return the levels of some outputs; `weights` (inputs, outputs) are overwritten."""
    inputs = len(weights)
    levels = np.empty_like(weights)
    for start in range(0, inputs, _INPUTS):
        stop = min(start + _INPUTS, inputs)
        errors = np.empty((stop - start, weights.shape[1]), np.float32)
        for i in range(start, stop):
            levels[i] = to.snap(weights[i] / scale[i], zero[i])
            errors[i - start] = (weights[i] - levels[i] * scale[i]) / upper[i, i]
            weights[i + 1 : stop] -= upper[i, i + 1 : stop, None] * errors[i - start]
        weights[stop:] -= upper[start:stop, stop:].T @ errors
    return levels


def _refit(
    weights: np.ndarray, levels: np.ndarray, chosen: Scales, hessian: np.ndarray, to: WeightFormat
) -> tuple[Scales, np.ndarray]:
    """Return the scales of least tr(E H E^T) for these levels, one group after the other, and e^T H e of each output.

    Scales that are powers of two or FP8 stay as they are.
    """
    scale = chosen.scale.copy()
    length = len(weights) if to.group is None else to.group
    errors = weights - levels * _spread(scale, to, len(weights))
    slope = hessian @ errors
    if not (to.has_exponents or to.tensor_bits):
        for number, start in enumerate(range(0, len(weights), length)):
            part = slice(start, start + length)
            along = hessian[:, part] @ levels[part]
            curve = (levels[part] * along[part]).sum(axis=0)
            gain = (levels[part] * slope[part]).sum(axis=0)
            better = scale[number] + gain / np.where(curve > 0, curve, 1.0)
            better = np.where((curve > 0) & (better > 0), stored_scale(better, to), scale[number])
            slope -= along * (better - scale[number])
            scale[number] = better
        errors = weights - levels * _spread(scale, to, len(weights))
    return Scales(scale, chosen.zero), (slope * errors).sum(axis=0, dtype=np.float64)


def _losses(errors: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """Return e^T H e of each output."""
    return ((hessian @ errors) * errors).sum(axis=0, dtype=np.float64)


def _spread(each: np.ndarray, to: WeightFormat, inputs: int) -> np.ndarray:
    """Return (groups, outputs) as (inputs, outputs)."""
    return np.repeat(each, inputs if to.group is None else to.group, axis=0)[:inputs]


def _solution(
    levels: np.ndarray,
    chosen: Scales,
    to: WeightFormat,
    loss: float = float("nan"),
    nearest_loss: float = float("nan"),
    dead: int = 0,
) -> Solution:
    values = levels * _spread(chosen.scale, to, len(levels))
    codes = levels if to.element.kind == "integer" else np.searchsorted(to.levels, levels)
    return Solution(
        values=np.ascontiguousarray(values.T),
        codes=np.ascontiguousarray(codes.T.astype(np.int16 if to.zero else np.int8)),
        scale=np.ascontiguousarray(chosen.scale.T),
        zero=np.ascontiguousarray(chosen.zero.T),
        loss=loss,
        nearest_loss=nearest_loss,
        dead=dead,
    )
