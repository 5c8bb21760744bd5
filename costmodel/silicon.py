"""From silicon to a packaged chip: good dies, the cost of one, and its other parts."""

import numpy as np

from hwbase import InputError
from hwbase.check import Number, fraction, non_negative


def good_dies(gross: Number, die_yield: Number, *, rounded: bool) -> Number:
    """Return the good dies of a wafer, gross x yield, to the nearest whole die if `rounded`.

    Raises `InputError` for negative dies or a yield outside [0, 1].
    """
    good = non_negative("gross dies", gross) * fraction("yield", die_yield)
    return np.rint(good) if rounded else good


def per_good_die_usd(wafer_usd: Number, good: Number) -> Number:
    """Return a wafer's cost divided by its `good` dies, in USD; infinite for a design without any, among others.

    Raises `InputError` for negative inputs, or if no design has a good die.
    """
    cost, good = non_negative("wafer_usd", wafer_usd), non_negative("good dies", good)
    if not np.any(np.asarray(good) > 0):
        raise InputError(f"good dies per wafer = {np.max(good):g}: expected more than 0; the die is too large")
    if np.ndim(good) == 0:
        return cost / good
    return np.where(good > 0, cost / np.where(good > 0, good, 1.0), np.inf)


def recurring_usd(die_usd: Number, package_usd: Number, hbm_usd: Number, integration_usd: Number) -> Number:
    """Return the recurring cost of one chip in USD: die + package and test + memory + its share of the system."""
    return die_usd + package_usd + hbm_usd + integration_usd
