"""Means over time in bounded memory: a fixed number of bins whose width doubles when time outgrows them."""

from collections.abc import Sequence

import numpy as np

#: Bins of a timeline; from half of them to all are in use.
BINS = 512
#: First width in seconds.
_FIRST_S = 1e-4


class Bins:
    """Integrals over time of several quantities, by bin.

    `add(start, end, rates)` says that between two times the quantities (columns,) had those values; `means` gives them
    back as means over bins.
    """

    def __init__(self, columns: int, bins: int = BINS) -> None:
        self._width_s = _FIRST_S
        self._sums = np.zeros((bins, columns))
        self._end_s = 0.0

    @property
    def columns(self) -> int:
        """How many quantities there are."""
        return self._sums.shape[1]

    def add(self, start_s: float, end_s: float, rates: Sequence[float] | np.ndarray) -> None:
        """Add `rates` (quantity per second, or a level) from `start_s` to `end_s`; nothing where that is no time."""
        if not end_s > start_s:
            return
        bins = len(self._sums)
        while end_s > self._width_s * bins:
            self._widen()
        self._end_s = max(self._end_s, end_s)
        rates = np.asarray(rates)
        first, last = int(start_s / self._width_s), min(int(end_s / self._width_s), bins - 1)
        if first == last:
            self._sums[first] += rates * (end_s - start_s)
            return
        self._sums[first] += rates * ((first + 1) * self._width_s - start_s)
        self._sums[first + 1 : last] += rates * self._width_s
        self._sums[last] += rates * (end_s - last * self._width_s)

    def include(self, other: "Bins") -> None:
        """Add what another set of bins of the same shape holds."""
        while self._width_s < other._width_s:
            self._widen()
        while other._width_s < self._width_s:
            other._widen()
        self._sums += other._sums
        self._end_s = max(self._end_s, other._end_s)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (ends of the bins in seconds, means (bins, columns)) up to the last time that was added."""
        used = int(np.ceil(self._end_s / self._width_s))
        ends = np.minimum(np.arange(1, used + 1) * self._width_s, self._end_s)
        starts = np.arange(used) * self._width_s
        return ends, self._sums[:used] / np.maximum(ends - starts, np.finfo(float).tiny)[:, None]

    def _widen(self) -> None:
        half = len(self._sums) // 2
        self._sums[:half] = self._sums[0::2] + self._sums[1::2]
        self._sums[half:] = 0.0
        self._width_s *= 2.0
