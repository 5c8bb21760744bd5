"""Means over time in bounded memory: a fixed number of bins whose width doubles when time outgrows them."""

from collections.abc import Sequence

import numpy as np

#: Bins of a timeline; at least half of them are in use.
BINS = 512
#: First width in seconds.
_FIRST_S = 1e-4


class Bins:
    """Integrals over time of several quantities, by bin.

    `add(start, end, rates)` records the values (columns,) of the quantities between two times; `means` returns them as
    means over bins.
    """

    def __init__(self, columns: int, bins: int = BINS) -> None:
        self._width_s = _FIRST_S
        self._sums = np.zeros((bins, columns))
        self._end_s = 0.0
        # Sums of the last used bin as plain numbers, since most additions go to the same bin as the one before.
        self._latest, self._latest_sums = 0, [0.0] * columns

    @property
    def columns(self) -> int:
        """Number of quantities."""
        return self._sums.shape[1]

    def add(self, start_s: float, end_s: float, rates: Sequence[float] | np.ndarray) -> None:
        """Add `rates` (quantity per second, or a level) from `start_s` to `end_s`; an empty interval adds nothing."""
        if not end_s > start_s:
            return
        bins = len(self._sums)
        while end_s > self._width_s * bins:
            self._widen()
        self._end_s = max(self._end_s, end_s)
        first, last = int(start_s / self._width_s), min(int(end_s / self._width_s), bins - 1)
        if first != self._latest:
            self._settle()
            self._latest = first
        if first == last:
            elapsed_s = end_s - start_s
            self._latest_sums = [total + rate * elapsed_s for total, rate in zip(self._latest_sums, rates, strict=True)]
            return
        rates = np.asarray(rates)
        self._sums[first] += rates * ((first + 1) * self._width_s - start_s)
        self._sums[first + 1 : last] += rates * self._width_s
        self._sums[last] += rates * (end_s - last * self._width_s)

    def add_spans(self, starts_s: np.ndarray, ends_s: np.ndarray, columns: np.ndarray, rates: np.ndarray) -> None:
        """Add one quantity for each span of time, whose position in `columns` is given; all (spans,)."""
        if not ends_s.size:
            return
        bins = len(self._sums)
        while ends_s.max() > self._width_s * bins:
            self._widen()
        self._end_s = max(self._end_s, float(ends_s.max()))
        first = (starts_s / self._width_s).astype(np.int64)
        touched = np.minimum((ends_s / self._width_s).astype(np.int64), bins - 1) - first + 1
        # A row for each bin that a span touches.
        which = np.repeat(np.arange(len(first)), touched)
        place = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(touched) - touched, touched)
        begins_s = np.maximum(starts_s[which], place * self._width_s)
        seconds = np.maximum(np.minimum(ends_s[which], (place + 1) * self._width_s) - begins_s, 0.0)
        cells = place * self.columns + columns[which].astype(np.int64)
        self._sums += np.bincount(cells, rates[which] * seconds, self._sums.size).reshape(self._sums.shape)

    def totals(self) -> np.ndarray:
        """Return the integral of each quantity over all time, (columns,)."""
        self._settle()
        return np.asarray(self._sums.sum(axis=0))

    def include(self, other: "Bins") -> None:
        """Add the contents of another set of bins of the same shape."""
        self._settle()
        other._settle()
        while self._width_s < other._width_s:
            self._widen()
        while other._width_s < self._width_s:
            other._widen()
        self._sums += other._sums
        self._end_s = max(self._end_s, other._end_s)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (ends of the bins in seconds, means (bins, columns)) up to the last recorded time."""
        self._settle()
        used = int(np.ceil(self._end_s / self._width_s))
        ends = np.minimum(np.arange(1, used + 1) * self._width_s, self._end_s)
        starts = np.arange(used) * self._width_s
        return ends, self._sums[:used] / np.maximum(ends - starts, np.finfo(float).tiny)[:, None]

    def _settle(self) -> None:
        self._sums[self._latest] += self._latest_sums
        self._latest_sums = [0.0] * self.columns

    def _widen(self) -> None:
        self._settle()
        half = len(self._sums) // 2
        self._sums[:half] = self._sums[0::2] + self._sums[1::2]
        self._sums[half:] = 0.0
        self._width_s *= 2.0
        self._latest //= 2
