"""Ranges of a stream: activations are looked at batch by batch, then one range is kept for good (static calibration).

An observer is fed with `observe` and asked with `range`. Three kinds: the extremes of all batches, their moving average
(Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, arXiv 1712.05877), and a histogram, which
finds the range with the least squared error without keeping the stream.
"""

from typing import Protocol

import numpy as np

from hwbase import InputError, check, unknown_name
from models.quantise.grid import grid, round_to

#: Weight of what was seen before in a moving average, as in MixDQ's published configuration (arXiv 2405.17873).
MOMENTUM = 0.95
#: Bins of a histogram, over positive and negative values together.
BINS = 4096
_STEPS = 64


class Observer(Protocol):
    """Sees batches of values and says which range to keep."""

    def observe(self, values: np.ndarray) -> None:
        """Take a batch in; raises `InputError` for values that are none or not finite."""
        ...

    def range(self, bits: int, *, symmetric: bool) -> tuple[float, float]:
        """Return (low, high) for a grid of so many bits; raises `InputError` when nothing was seen."""
        ...


class Extremes:
    """The least and the greatest value of all batches."""

    def __init__(self) -> None:
        self._range: tuple[float, float] | None = None

    def observe(self, values: np.ndarray) -> None:
        """Widen the range to hold a batch; raises `InputError` for values that are none or not finite."""
        low, high = _extremes(values)
        seen = self._range
        self._range = (low, high) if seen is None else (min(seen[0], low), max(seen[1], high))

    def range(self, bits: int, *, symmetric: bool) -> tuple[float, float]:
        """Return (low, high), whatever the bits; raises `InputError` when nothing was seen."""
        return _known(self._range)


class MovingAverage:
    """The moving average of the batches' extremes: a rare batch with a far value widens the range by a little only."""

    def __init__(self, momentum: float = MOMENTUM) -> None:
        self._momentum = check.real("momentum", momentum, low=0.0, high=1.0)
        self._range: tuple[float, float] | None = None

    def observe(self, values: np.ndarray) -> None:
        """Move the range towards that of a batch; raises `InputError` for values that are none or not finite."""
        new, seen, kept = _extremes(values), self._range, self._momentum
        if seen is None:
            self._range = new
        else:
            self._range = (kept * seen[0] + (1 - kept) * new[0], kept * seen[1] + (1 - kept) * new[1])

    def range(self, bits: int, *, symmetric: bool) -> tuple[float, float]:
        """Return (low, high), whatever the bits; raises `InputError` when nothing was seen."""
        return _known(self._range)


class Histogram:
    """Counts of values in bins; the range it gives has the least squared error over all that was seen.

    The bins span (-reach, reach). A value beyond doubles the reach as often as it takes, and bins merge in pairs, so
    the stream is read once and its extremes need not be known before.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._reach = 0.0
        self._extremes = Extremes()

    def observe(self, values: np.ndarray) -> None:
        """Count a batch; raises `InputError` for values that are none or not finite."""
        self._extremes.observe(values)
        largest = float(np.abs(values).max())
        if largest == 0.0:
            self._counts[BINS // 2] += np.size(values)
            return
        self._widen(largest)
        places = np.asarray(values, np.float64).ravel() * (BINS / 2 / self._reach) + BINS / 2
        self._counts += np.bincount(np.minimum(places.astype(np.int64), BINS - 1), minlength=BINS)

    def range(self, bits: int, *, symmetric: bool) -> tuple[float, float]:
        """Return (low, high) of the least squared error for so many bits; raises `InputError` when nothing was seen."""
        low, high = self._extremes.range(bits, symmetric=symmetric)
        filled = np.flatnonzero(self._counts)
        centres = ((filled + 0.5) * (2 / BINS) - 1) * self._reach
        shares = np.linspace(1.0, 1.0 / _STEPS, _STEPS)[:, None]
        errors = round_to(centres[None, :], grid(low * shares, high * shares, bits, symmetric=symmetric)) - centres
        best = float(shares[np.argmin((errors**2) @ self._counts[filled]), 0])
        return low * best, high * best

    def _widen(self, largest: float) -> None:
        if self._reach == 0.0:
            # What was counted so far was zero and stays in the bin that begins there.
            self._reach = largest
        while self._reach < largest:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.pad(pairs, BINS // 4)
            self._reach *= 2.0


OBSERVERS = {"extremes": Extremes, "moving-average": MovingAverage, "histogram": Histogram}


def observer(kind: str = "moving-average") -> Observer:
    """Return a new observer of that kind; raises `InputError` for an unknown one."""
    if kind not in OBSERVERS:
        raise unknown_name("observer", kind, OBSERVERS)
    return OBSERVERS[kind]()


def _extremes(values: np.ndarray) -> tuple[float, float]:
    if np.size(values) == 0:
        raise InputError("a batch of no values was observed: expected at least one")
    low, high = float(np.min(values)), float(np.max(values))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("observed values hold NaN or infinity: expected finite numbers")
    return low, high


def _known(seen: tuple[float, float] | None) -> tuple[float, float]:
    if seen is None:
        raise InputError("no values were observed: expected at least one batch")
    return seen
