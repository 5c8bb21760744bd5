"""The scans of `hwsim.kernels.scan` compiled by numba (extra [numba]), with equal keys and results.

All queries pass over one block of documents before the next, so memory is read once for a batch. Words are read as
contiguous slices, so that LLVM uses the vector popcount.
"""

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from hwsim.kernels.codes import Codes

#: Documents of a block: their distances of 8 bytes and four rows of words stay in the first cache.
BLOCK = 512
#: Largest relative difference between a quotient and a product with the inverse.
_NEARLY = 1e-12
#: Distances whose minimum is compared with the limit.
_GROUP = 64
#: A distance that no code has.
_FAR = np.iinfo(np.int64).max
#: The mask that leaves every document in.
EVERY = np.empty(0, bool)


@intrinsic
def _population(context, word):  # type: ignore[no-untyped-def]
    """LLVM's population count of a uint64."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


#: Called inside compiled functions with the word alone.
ones: Any = _population


def compiled_scan(
    codes: Codes, query: np.ndarray, worth: np.ndarray, k: int, *, hamming: bool, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest documents by popcounts, compiled.

    Parameters
    ----------
    codes, query, worth, k, hamming, mask
        As in `hwsim.kernels.scan.popcount_scan`.

    Returns
    -------
    ids, keys : array of int64, array of float64
        (queries, k), best first, as `Nearest.result` returns.
    """
    ids, allowed = np.full((len(query), k), -1, np.int64), EVERY if mask is None else mask
    if hamming:
        distances = np.full((len(query), k), _FAR, np.int64)
        _hamming(codes.planes[0], np.ascontiguousarray(query[:, 0]), allowed, ids, distances)
        keys = distances.astype(float)
    else:
        keys = np.full((len(query), k), np.inf)
        pairs = np.multiply.outer(worth, codes.weights).astype(np.int64)
        _weighted(codes.planes, query, pairs, codes.weights.astype(np.int64), codes.bits, allowed, ids, keys)
    order = np.lexsort((ids, keys), axis=1)
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(keys, order, axis=1)


@numba.njit(cache=True, inline="always")
def _before(key, number, other_key, other):  # type: ignore[no-untyped-def]
    return key > other_key or (key == other_key and number > other)


@numba.njit(cache=True)
def _replace(ids, keys, number, key):  # type: ignore[no-untyped-def]
    """Replace the worst, which is the root of the heap, by (key, number)."""
    place, size = 0, ids.size
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and _before(keys[child + 1], ids[child + 1], keys[child], ids[child]):
            child += 1
        if not _before(keys[child], ids[child], key, number):
            break
        ids[place], keys[place] = ids[child], keys[child]
        place = child
    ids[place], keys[place] = number, key


@numba.njit(cache=True)
def _least(block, first, last):  # type: ignore[no-untyped-def]
    least = block[first]
    for i in range(first, last):
        least = min(least, block[i])
    return least


@numba.njit(cache=True)
def offer(block, length, start, ids, keys):  # type: ignore[no-untyped-def]
    """Offer `block[:length]`, the keys of documents from `start` on; of equal keys the earlier document stays."""
    if _least(block, 0, length) >= keys[0]:
        return
    for first in range(0, length, _GROUP):
        last = min(first + _GROUP, length)
        if _least(block, first, last) < keys[0]:
            for i in range(first, last):
                if block[i] < keys[0]:
                    _replace(ids, keys, start + i, block[i])


@numba.njit(cache=True)
def add_distances(planes, query, start, length, total):  # type: ignore[no-untyped-def]
    """Write the Hamming distances of `length` documents from `start` on into `total`, four words to a pass."""
    words = planes.shape[0]
    odd = words % 4
    if odd or words == 0:
        total[:length] = 0
    for word in range(odd):
        a, p = planes[word, start : start + length], query[word]
        for i in range(length):
            total[i] += np.int64(ones(a[i] ^ p))
    for word in range(odd, words, 4):
        a, b = planes[word, start : start + length], planes[word + 1, start : start + length]
        c, d = planes[word + 2, start : start + length], planes[word + 3, start : start + length]
        p, q, r, s = query[word], query[word + 1], query[word + 2], query[word + 3]
        # Two loops: the first pass writes, so that nothing need be zeroed and read again.
        if word == 0:
            for i in range(length):
                total[i] = np.int64(ones(a[i] ^ p) + ones(b[i] ^ q) + ones(c[i] ^ r) + ones(d[i] ^ s))
        else:
            for i in range(length):
                total[i] += np.int64(ones(a[i] ^ p) + ones(b[i] ^ q) + ones(c[i] ^ r) + ones(d[i] ^ s))


@numba.njit(cache=True)
def leave_out(mask, start, keys, length, worst):  # type: ignore[no-untyped-def]
    """Write `worst` over the keys of documents that the mask leaves out; an empty mask leaves all in."""
    if mask.size:
        for i in range(length):
            if not mask[start + i]:
                keys[i] = worst


@numba.njit(cache=True)
def empty(mask, start, length):  # type: ignore[no-untyped-def]
    """Return whether the mask leaves none of a block in."""
    return mask.size > 0 and not mask[start : start + length].any()


@numba.njit(cache=True)
def _hamming(planes, queries, mask, ids, keys):  # type: ignore[no-untyped-def]
    total = np.empty(BLOCK, np.int64)
    for start in range(0, planes.shape[1], BLOCK):
        length = min(BLOCK, planes.shape[1] - start)
        if empty(mask, start, length):
            continue
        for query in range(queries.shape[0]):
            add_distances(planes, queries[query], start, length, total)
            leave_out(mask, start, total, length, _FAR)
            offer(total, length, start, ids[query], keys[query])


@numba.njit(cache=True)
def _squared_norms(planes, weights, bits, start, length, distance, squares):  # type: ignore[no-untyped-def]
    """Write the squared norms of `length` documents from `start` on into `squares`, as `scan.squared_norms` does."""
    squares[:length] = (weights * weights).sum() * bits
    for i in range(planes.shape[0]):
        for j in range(i):
            distance[:length] = 0
            for word in range(planes.shape[1]):
                a, b = planes[i, word, start : start + length], planes[j, word, start : start + length]
                for n in range(length):
                    distance[n] += np.int64(ones(a[n] ^ b[n]))
            twice = 2 * weights[i] * weights[j]
            for n in range(length):
                squares[n] += twice * (bits - 2 * distance[n])


@numba.njit(cache=True)
def _products(planes, query, pairs, start, length, distance, product):  # type: ignore[no-untyped-def]
    """Take 2 sum_ij pairs_ij H_ij of one query and `length` documents from `start` on away from `product`."""
    if planes.shape[0] == 2 and pairs.shape[0] == 2 and pairs[0, 0] == 4 and pairs[1, 1] == 1:
        # The published code, two planes on both sides: a word of both is read once, and shifts are its weights.
        for word in range(planes.shape[1]):
            a, b = planes[0, word, start : start + length], planes[1, word, start : start + length]
            p, q = query[0, word], query[1, word]
            for n in range(length):
                mixed = ones(a[n] ^ q) + ones(b[n] ^ p)
                product[n] -= np.int64((ones(a[n] ^ p) << 3) + (mixed << 2) + (ones(b[n] ^ q) << 1))
        return
    for i in range(pairs.shape[0]):
        for j in range(pairs.shape[1]):
            add_distances(planes[j], query[i], start, length, distance)
            twice = 2 * pairs[i, j]
            for n in range(length):
                product[n] -= twice * distance[n]


@numba.njit(cache=True)
def _offer_exact(product, squares, about, length, start, ids, keys):  # type: ignore[no-untyped-def]
    """Offer the keys -S |S| / D of `product` S and `squares` D; `about`, nearly these, says where to divide.

    Documents of which `about` is infinite are left out.
    """
    bound = keys[0] + _NEARLY * abs(keys[0])
    for first in range(0, length, _GROUP):
        last = min(first + _GROUP, length)
        if _least(about, first, last) < bound:
            for n in range(first, last):
                if about[n] == np.inf:
                    continue
                exact = np.float64(product[n])
                key = -(exact * abs(exact)) / np.float64(squares[n])
                if key < keys[0]:
                    _replace(ids, keys, start + n, key)
            bound = keys[0] + _NEARLY * abs(keys[0])


@numba.njit(cache=True)
def _weighted(planes, queries, pairs, weights, bits, mask, ids, keys):  # type: ignore[no-untyped-def]
    distance, product, squares = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    inverse, about = np.empty(BLOCK, np.float64), np.empty(BLOCK, np.float64)
    most = pairs.sum() * bits
    for start in range(0, planes.shape[2], BLOCK):
        length = min(BLOCK, planes.shape[2] - start)
        if empty(mask, start, length):
            continue
        _squared_norms(planes, weights, bits, start, length, distance, squares)
        for n in range(length):
            inverse[n] = 1.0 / np.float64(squares[n])
        for query in range(queries.shape[0]):
            product[:length] = most
            _products(planes, queries[query], pairs, start, length, distance, product)
            for n in range(length):
                exact = np.float64(product[n])
                about[n] = -(exact * abs(exact)) * inverse[n]
            leave_out(mask, start, about, length, np.inf)
            _offer_exact(product, squares, about, length, start, ids[query], keys[query])
