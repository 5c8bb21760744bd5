"""The k best of a stream of documents for many queries, with a running limit.

Smaller keys are better. Of equal keys the one with the lower id is better. Ids come in rising order, so a key that
equals the current limit can be skipped. A mask leaves documents out, and blocks of documents without any that is in.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwbase import InputError

#: Keys whose minimum is compared with the limit before single keys are.
_GROUPS = 32


def check_mask(mask: Any, size: int) -> np.ndarray | None:
    """Return `mask` as bool (size,), or None. Raises `InputError` for another type or shape."""
    if mask is None:
        return None
    given = np.asarray(mask)
    if given.dtype != bool or given.shape != (size,):
        raise InputError(f"mask is {given.dtype} of shape {given.shape}: expected bool ({size},)")
    return given


def blocks(size: int, step: int, mask: np.ndarray | None = None) -> Iterator[slice]:
    """Yield slices of at most `step` that cover `size`, without those where `mask` bool (size,) is all false."""
    for start in range(0, size, step):
        part = slice(start, min(start + step, size))
        if mask is None or mask[part].any():
            yield part


class Nearest:
    """Collects the `k` smallest keys of each of `queries` queries, of documents that `mask` (documents,) leaves in.

    `k` is at most the number of documents that are in.
    """

    def __init__(self, queries: int, k: int, mask: np.ndarray | None = None) -> None:
        self._k = k
        self.mask = mask
        self._queries = queries
        #: Keys at or above it are not among the best.
        self.limits = np.full(queries, np.inf)
        self._candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._pending = 0

    def offer(self, keys: np.ndarray, start: int) -> None:
        """Add `keys` (queries, n) of the documents from `start` on; blocks come in rising order and are not kept."""
        if self._k == 0 or keys.size == 0:
            return
        if self.mask is not None:
            # No limit is above the worst key of a type, so that such keys are never taken.
            never = np.iinfo(keys.dtype).max if keys.dtype.kind in "iu" else np.inf
            keys = np.where(self.mask[start : start + keys.shape[1]], keys, never)
        if np.isinf(self.limits[0]) and keys.shape[1] > self._k:
            # The first limit is just above the k-th best of the block, so that not all keys need be sorted.
            worst = np.partition(keys, self._k - 1, axis=1)[:, self._k - 1]
            self.limits = np.nextafter(worst.astype(float), np.inf)
        rows, columns = _below(keys, self.limits)
        if rows.size:
            self._candidates.append((rows, columns + start, keys[rows, columns].astype(float)))
            self._pending += rows.size
            if self._pending > self._queries * self._k:
                self._settle()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (ids int64, keys float64), both (queries, best), best first."""
        self._settle()
        if not self._candidates:
            return np.empty((self._queries, 0), np.int64), np.empty((self._queries, 0))
        _, ids, keys = self._candidates[0]
        return ids.reshape(self._queries, -1), keys.reshape(self._queries, -1)

    def _settle(self) -> None:
        self._pending = 0
        if not self._candidates:
            return
        queries, ids, keys = (np.concatenate(column) for column in zip(*self._candidates, strict=True))
        order = np.lexsort((ids, keys, queries))
        counts = np.bincount(queries, minlength=self._queries)
        ends = np.cumsum(counts)
        rank = np.arange(queries.size) - np.repeat(ends - counts, counts)
        kept = order[rank < self._k]
        self._candidates = [(queries[kept], ids[kept], keys[kept])]
        full = np.flatnonzero(counts >= self._k)
        self.limits[full] = keys[order[(ends - counts)[full] + self._k - 1]]


def _below(keys: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, columns), in order, of the keys below their row's limit; fast where they are few."""
    many, size = keys.shape
    if keys.dtype.kind in "iu":
        # Compare in the keys' own type: whole numbers below a limit are below its ceiling.
        most = np.iinfo(keys.dtype).max
        if (limits <= 0).all():
            return np.empty(0, np.int64), np.empty(0, np.int64)
        limits = np.clip(np.ceil(limits), 0, most).astype(keys.dtype)
    bound = limits[:, None]
    whole = size - size % _GROUPS
    step = whole // _GROUPS
    if step:
        # Column c of the minima is that of columns c, c + step, ..., which needs no copies.
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
