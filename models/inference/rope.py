"""Scaled rotary positions: divisors of the frequencies, and the magnitude of what is rotated, by kind of scaling."""

import math

import numpy as np

from hwbase import InputError, check
from models.inference.layers import frequencies


def linear_divisors(head_dim: int, factor: float) -> tuple[float, ...]:
    """Return the same divisor for every pair (Chen et al., "Position Interpolation", arXiv 2306.15595)."""
    return (check.real("factor", factor, above=0.0),) * (head_dim // 2)


def llama3_divisors(
    head_dim: int, theta: float, *, factor: float, low: float, high: float, original: float
) -> tuple[float, ...]:
    """Return divisors from 1, for short wavelengths, to `factor`, for long ones, as Llama 3.1 takes them.

    Parameters
    ----------
    head_dim : int
        Width of a head.
    theta : float
        Base of the wavelengths.
    factor : float
        Largest divisor.
    low, high : float
        Wavelengths above original / low positions have the largest divisor, those below original / high have 1.
    original : float
        Positions of the context before scaling.
    """
    if not high > low:
        raise InputError(f"high_freq_factor = {high:g}: expected more than low_freq_factor = {low:g}")
    turns = original * frequencies(head_dim, theta) / (2 * math.pi)
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return tuple((1.0 / (share + (1.0 - share) / factor)).tolist())


def yarn_divisors(
    head_dim: int,
    theta: float,
    *,
    factor: float,
    original: float,
    fast: float = 32.0,
    slow: float = 1.0,
    truncate: bool = True,
) -> tuple[float, ...]:
    """Return the divisors of YaRN (Peng et al., arXiv 2309.00071): 1 for fast pairs, `factor` for slow ones.

    Parameters
    ----------
    head_dim : int
        Width of a head.
    theta : float
        Base of the wavelengths.
    factor : float
        Largest divisor.
    original : float
        Positions of the context before scaling.
    fast, slow : float
        Turns over the original context at which scaling begins and is full. Default 32 and 1.
    truncate : bool
        Whether the two ends are rounded outwards to whole pairs. Default True.
    """

    if not (theta > 1.0 and original > 0.0 and fast > 0.0 and slow > 0.0):
        raise InputError(
            f"theta = {theta:g}, original = {original:g}, fast = {fast:g}, slow = {slow:g}: expected a theta above 1, "
            "and the others above 0"
        )

    def pair(turns: float) -> float:
        return head_dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = pair(fast), pair(slow)
    if truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_dim - 1)
    width = last - first if last != first else 0.001
    share = np.clip((np.arange(head_dim // 2) - first) / width, 0.0, 1.0)
    return tuple((1.0 / (share / factor + 1.0 - share)).tolist())


def yarn_magnitude(factor: float, scale: float = 1.0) -> float:
    """Return YaRN's factor of rotated queries and keys, 1 + 0.1 scale ln(factor), which sharpens attention."""
    return 1.0 if factor <= 1.0 else 0.1 * scale * math.log(factor) + 1.0
