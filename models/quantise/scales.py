"""Scales of compensated weights: from the largest magnitude, or searched for the least (weighted) squared error.

Arrays are transposed: weights (inputs, outputs), scales and zero points (groups, outputs).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.quantise.formats import WeightFormat

#: Shares of the range that are tried, and exponents beside that of the OCP specification.
_SHARES = np.linspace(1.05, 0.4, 14)
_EXPONENTS = (0, 1, -1)
#: Outputs that are searched together; bounds memory and stays in the cache.
_OUTPUTS = 2048


@dataclass(frozen=True, eq=False)
class Scales:
    """`scale` float32 and `zero` float32 (groups, outputs) of weights (inputs, outputs)."""

    scale: np.ndarray
    zero: np.ndarray


def scales(weights: np.ndarray, to: WeightFormat, *, search: bool, importance: np.ndarray | None = None) -> Scales:
    """Return the scales of weights (inputs, outputs).

    Without `search` they follow the largest magnitude (for powers of two: the OCP Microscaling Formats (MX)
    Specification v1.0). With it, each is the one of a list with the least squared error, weighted by `importance`
    (inputs,), such as the diagonal of a Hessian.
    """
    inputs, outputs = weights.shape
    length = inputs if to.group is None else to.group
    short = -inputs % length
    weigh = np.ones(inputs) if importance is None else np.maximum(importance / max(importance.mean(), 1e-30), 1e-6)
    weigh = np.pad(weigh, (0, short)).reshape(-1, length, 1).astype(np.float32)
    scale = np.empty((to.groups(inputs), outputs), np.float32)
    zero = np.zeros_like(scale)
    unit = _tensor_unit(weights, to)
    for start in range(0, outputs, _OUTPUTS):
        part = slice(start, start + _OUTPUTS)
        laid = np.pad(weights[:, part], ((0, short), (0, 0))).reshape(-1, length, weights[:, part].shape[1])
        scale[:, part], zero[:, part] = _best(laid, to, unit, weigh, search)
    return Scales(scale, zero)


def _best(
    laid: np.ndarray, to: WeightFormat, unit: float, weigh: np.ndarray, search: bool
) -> tuple[np.ndarray, np.ndarray]:
    low, high = laid.min(axis=1), laid.max(axis=1)
    best: np.ndarray | None = None
    scale = zero = np.zeros_like(low)
    for scales_tried, zeros in _candidates(low, high, to, unit, search):
        if not search:
            return scales_tried, zeros
        error = to.snap(laid / scales_tried[:, None], zeros[:, None])
        error *= scales_tried[:, None]
        error -= laid
        error *= error
        error *= weigh
        loss = error.sum(axis=1)
        if best is None:
            best, scale, zero = loss, scales_tried, zeros
            continue
        better = loss < best
        best, scale = np.where(better, loss, best), np.where(better, scales_tried, scale)
        zero = np.where(better, zeros, zero)
    return scale, zero


def _candidates(
    low: np.ndarray, high: np.ndarray, to: WeightFormat, unit: float, search: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    none = np.zeros_like(low)
    largest = np.maximum(-low, high)
    if to.has_exponents:
        floor = np.frexp(largest)[1] - np.frexp(to.highest)[1]
        for more in _EXPONENTS if search else (0,):
            exponents = np.clip(floor + more, np.frexp(to.scale.least)[1], np.frexp(to.scale.highest)[1] - 1)
            yield np.where(largest > 0, np.ldexp(np.float32(1.0), exponents), np.float32(1.0)), none
        return
    for share in _SHARES if search else (1.0,):
        if to.zero:
            bottom, top = np.minimum(low, 0) * share, np.maximum(high, 0) * share
            scale = stored_scale((top - bottom) / to.highest, to, unit)
            yield scale, np.clip(np.rint(-bottom / scale), 0, to.highest).astype(np.float32)
        else:
            yield stored_scale(largest * share / to.highest, to, unit), none


def stored_scale(ideal: np.ndarray, to: WeightFormat, unit: float = 1.0) -> np.ndarray:
    """Return scales as the format stores them, float32; 1 for a group of zeros."""
    ratio = np.clip(ideal / unit, to.scale.least, to.scale.highest).astype(np.float32)
    return np.where(ideal > 0, ratio.astype(to.scale.dtype).astype(np.float32) * np.float32(unit), np.float32(1.0))


def _tensor_unit(weights: np.ndarray, to: WeightFormat) -> float:
    """Return the scale of the whole matrix, which maps the largest scale to the highest of its format."""
    if not to.tensor_bits:
        return 1.0
    largest = float(np.abs(weights).max()) / to.highest
    return float(np.float32(largest / to.scale.highest)) if largest > 0 else 1.0
