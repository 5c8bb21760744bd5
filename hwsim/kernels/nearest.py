"""The k best of a stream of documents for many queries at once, by a running limit.

Keys are numbers of which smaller is better. Among equal keys the lower id wins; ids come in rising order, so one that
only equals the current limit can be passed over.
"""

import numpy as np

#: Keys that share one comparison with the limit before single ones are looked at.
_GROUPS = 32


class Nearest:
    """Collects the `k` smallest keys of each of `queries` queries."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._queries = queries
        #: Only keys below it can still be among the best.
        self.limits = np.full(queries, np.inf)
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._pending = 0

    def offer(self, keys: np.ndarray, start: int) -> None:
        """Take `keys` (queries, n) of the documents from `start` on; blocks come in rising order, none are kept."""
        if self._k == 0 or keys.size == 0:
            return
        if np.isinf(self.limits[0]) and keys.shape[1] > self._k:
            # Without a limit all would have to be sorted; the block's own k-th best is one, itself included.
            worst = np.partition(keys, self._k - 1, axis=1)[:, self._k - 1]
            self.limits = np.nextafter(worst.astype(float), np.inf)
        rows, columns = _below(keys, self.limits)
        if rows.size:
            self._found.append((rows, columns + start, keys[rows, columns].astype(float)))
            self._pending += rows.size
            if self._pending > self._queries * self._k:
                self._settle()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (ids int64, keys float64), both (queries, best), best first; all queries were offered the same ids."""
        self._settle()
        if not self._found:
            return np.empty((self._queries, 0), np.int64), np.empty((self._queries, 0))
        _, ids, keys = self._found[0]
        return ids.reshape(self._queries, -1), keys.reshape(self._queries, -1)

    def _settle(self) -> None:
        self._pending = 0
        if not self._found:
            return
        queries, ids, keys = (np.concatenate(column) for column in zip(*self._found, strict=True))
        order = np.lexsort((ids, keys, queries))
        counts = np.bincount(queries, minlength=self._queries)
        ends = np.cumsum(counts)
        rank = np.arange(queries.size) - np.repeat(ends - counts, counts)
        kept = order[rank < self._k]
        self._found = [(queries[kept], ids[kept], keys[kept])]
        full = np.flatnonzero(counts >= self._k)
        self.limits[full] = keys[order[(ends - counts)[full] + self._k - 1]]


def _below(keys: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, columns), in order, of the keys below their row's limit; few are expected."""
    many, size = keys.shape
    if keys.dtype.kind in "iu":
        # Compare in the keys' own type: below a limit is below the whole number that follows it.
        most = np.iinfo(keys.dtype).max
        if (limits <= 0).all():
            return np.empty(0, np.int64), np.empty(0, np.int64)
        limits = np.clip(np.ceil(limits), 0, most).astype(keys.dtype)
    bound = limits[:, None]
    whole = size - size % _GROUPS
    step = whole // _GROUPS
    if step:
        # Column c of the minima stands for columns c, c + step, ...: passes over whole rows, no copies.
        least = keys[:, :whole].reshape(many, _GROUPS, step).min(axis=1)
        flat = np.flatnonzero(least < bound)
        rows, groups = flat // step, flat % step
        columns = (groups[:, None] + step * np.arange(_GROUPS)).ravel()
        rows = np.repeat(rows, _GROUPS)
        inside = keys[rows, columns] < bound[rows, 0]
        rows, columns = rows[inside], columns[inside]
    else:
        rows = columns = np.empty(0, np.int64)
    if whole < size:
        tail_rows, tail_columns = np.nonzero(keys[:, whole:] < bound)
        rows, columns = np.concatenate([rows, tail_rows]), np.concatenate([columns, tail_columns + whole])
    return rows, columns
