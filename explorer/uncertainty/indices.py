"""Sobol indices: the share of an output's variance of each factor, alone and with its interactions.

First order S_i = mean(f_B (f_AB - f_A))/V (Saltelli et al., Computer Physics Communications 181, 2010, table 2b) and
total order T_i = mean((f_A - f_AB)^2)/(2 V) (Jansen, Computer Physics Communications 117, 1999; table 2f), after Sobol'
(Mathematics and Computers in Simulation 55, 2001). AB is A with the columns of one factor from B. Intervals are
percentiles of a bootstrap over the rows, as if these were drawn at random; those of a low-discrepancy sequence scatter
less. Rows that are not finite anywhere are left out, which `scipy.stats.sobol_indices` (the same estimators) cannot do.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hwbase import InputError
from hwbase.arguments import checked
from hwbase.check import count, number

#: Most weights of resampled rows in memory at once.
_HELD = 2**22
#: An output whose deviation is this small against its mean is constant up to rounding.
_ROUNDING = 1e-12


@checked
def sobol_indices(
    names: Sequence[str],
    f_a: np.ndarray,
    f_b: np.ndarray,
    f_ab: np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return a row a factor: name, first, first_low, first_high, total, total_low, total_high. Largest total first.

    `f_a` and `f_b` have shape (N,), `f_ab` (factors, N). A constant output has NaN everywhere.
    Raises `InputError` for shapes that do not fit and options out of range.
    """
    f_a, f_b, f_ab = (np.asarray(f, dtype=float) for f in (f_a, f_b, f_ab))
    if f_a.ndim != 1 or f_a.shape != f_b.shape or f_ab.shape != (len(names), f_a.size):
        raise InputError(
            f"f_a, f_b, f_ab have shapes {f_a.shape}, {f_b.shape}, {f_ab.shape}: expected (N,), (N,), ({len(names)}, N)"
        )
    number("confidence", confidence, above=0.0, high=1.0)
    count("resamples", resamples, high=1e6)
    sound = np.isfinite(f_a) & np.isfinite(f_b) & np.isfinite(f_ab).all(axis=0)
    f_a, f_b, f_ab = f_a[sound], f_b[sound], f_ab[:, sound]
    shape = (2, len(names))
    low, mid, high = (np.full(shape, np.nan) for _ in range(3))
    if f_a.size > 1 and _varies(np.concatenate([f_a, f_b])):
        mean = np.concatenate([f_a, f_b]).mean()
        terms = _terms(f_a - mean, f_b - mean, f_ab - mean)
        mid = _estimate(np.full((1, f_a.size), 1.0 / f_a.size), *terms)[0]
        drawn = np.concatenate([_estimate(w, *terms) for w in _weights(f_a.size, int(resamples), seed)])
        tail = (1.0 - confidence) / 2.0
        # Resamples of a rare event without such a row have no variance.
        low, high = np.nanquantile(drawn, [tail, 1.0 - tail], axis=0)
    columns: dict[str, object] = {"name": list(names)}
    for order, place in (("first", 0), ("total", 1)):
        columns |= {order: mid[place], f"{order}_low": low[place], f"{order}_high": high[place]}
    return pd.DataFrame(columns).sort_values("total", ascending=False, kind="stable", ignore_index=True)


def _varies(values: np.ndarray) -> bool:
    return bool(np.std(values) > _ROUNDING * np.abs(values).max())


def _terms(f_a: np.ndarray, f_b: np.ndarray, f_ab: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, by row, terms with the orders as means (N, factors each), and the moments of the variance (N, 2)."""
    first, total = (f_b * (f_ab - f_a)).T, 0.5 * np.square(f_a - f_ab).T
    return first, total, np.stack([(f_a + f_b) / 2.0, (f_a**2 + f_b**2) / 2.0], axis=1)


def _estimate(weights: np.ndarray, first: np.ndarray, total: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return indices of shape (resamples, 2, factors) from weights of the rows, shape (resamples, N)."""
    mean, square = (weights @ moments).T
    variance = square - mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.stack([weights @ first, weights @ total], axis=1) / variance[:, None, None]
    return np.where(variance[:, None, None] > 0.0, shares, np.nan)


def _weights(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the frequencies of each row in some resamples at a time, as shares."""
    random = np.random.default_rng(seed)
    step = max(_HELD // rows, 1)
    for start in range(0, resamples, step):
        drawn = random.integers(0, rows, (min(step, resamples - start), rows))
        yield np.stack([np.bincount(row, minlength=rows) for row in drawn]) / rows
