"""What drives a study: the share of each objective's variance that each parameter explains alone."""

from typing import Any

import numpy as np
import pandas as pd

from explorer.study.result import StudyResult
from explorer.study.space import Choice

#: Bins of a parameter, and the fewest points of a bin for its mean to count.
_BINS, _FEWEST = 32, 4
#: An objective whose range is a smaller share of its size is constant up to rounding.
_ROUNDING = 1e-12


def drivers(result: StudyResult) -> pd.DataFrame:
    """Return the share of each objective's variance that each parameter explains alone, over the feasible points.

    One row for each parameter, one column for each objective, in [0, 1], and "points", the number used. The parameter's
    range is cut into bins of equal counts, and the variance of the bins' means is divided by that of all points: the
    correlation ratio, the first-order Sobol index where parameters are independent (Plischke, Borgonovo and Smith,
    European J. Operational Research 226, 2013). The share that chance would explain, (bins - 1) / (points - 1), is
    subtracted. An objective that is positive everywhere and spans a factor of ten or more is taken as its logarithm.
    Constraints make parameters depend on each other; the shares then show correlation, not cause. NaN where there are
    too few points, and for a constant objective.
    """
    frame = result.feasible
    shares: dict[str, Any] = {}
    for objective in result.study.objectives:
        values = frame[objective].to_numpy(dtype=float)
        usable = np.isfinite(values)
        y = _levelled(values[usable])
        shares[objective] = [
            _share(frame.loc[usable, name], y, isinstance(each, Choice)) for name, each in result.study.space.items()
        ]
    table = pd.DataFrame(shares, index=pd.Index(list(result.study.space), name="parameter"))
    return table.assign(points=len(frame))


def _levelled(values: np.ndarray) -> np.ndarray:
    if values.size and values.min() > 0.0 and values.max() >= 10.0 * values.min():
        return np.log(values)
    return values


def _share(values: pd.Series, y: np.ndarray, chosen: bool) -> float:
    variance = y.var() if y.size else 0.0
    if y.size < 2 * _FEWEST or not np.ptp(y) > _ROUNDING * np.abs(y).max():
        return float("nan")
    codes, kinds = pd.factorize(values)
    if not chosen and len(kinds) > _BINS:
        bins = int(np.clip(y.size // (2 * _FEWEST), 2, _BINS))
        edges = np.quantile(values.to_numpy(dtype=float), np.linspace(0.0, 1.0, bins + 1)[1:-1])
        codes = np.searchsorted(edges, values.to_numpy(dtype=float), side="right")
    known = codes >= 0
    counts = np.bincount(codes[known])
    means = np.bincount(codes[known], weights=y[known]) / np.maximum(counts, 1)
    held = counts > 0
    explained = float(np.sum(counts[held] * np.square(means[held] - y[known].mean())) / known.sum() / variance)
    by_chance = (int(held.sum()) - 1) / (int(known.sum()) - 1)
    return float(np.clip((explained - by_chance) / (1.0 - by_chance), 0.0, 1.0)) if by_chance < 1.0 else float("nan")
