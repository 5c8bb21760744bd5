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
_BLOCK = 512
#: Largest relative difference between a quotient and a product with the inverse.
_NEARLY = 1e-12
#: Distances whose minimum is compared with the limit.
_GROUP = 64


@intrinsic
def _population(context, word):  # type: ignore[no-untyped-def]
    """LLVM's population count of a uint64."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


#: Called inside compiled functions with the word alone.
_ones: Any = _population


def compiled_scan(
    codes: Codes, query: np.ndarray, worth: np.ndarray, k: int, *, hamming: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest documents by popcounts, compiled.

    Parameters
    ----------
    codes, query, worth, k, hamming
        As in `hwsim.kernels.scan.popcount_scan`.

    Returns
    -------
    ids, keys : array of int64, array of float64
        (queries, k), best first, as `Nearest.result` returns.
    """
    ids = np.full((len(query), k), -1, np.int64)
    if hamming:
        distances = np.full((len(query), k), np.iinfo(np.int64).max, np.int64)
        _hamming(codes.planes[0], np.ascontiguousarray(query[:, 0]), ids, distances)
        keys = distances.astype(float)
    else:
        keys = np.full((len(query), k), np.inf)
        pairs = np.multiply.outer(worth, codes.weights).astype(np.int64)
        _weighted(codes.planes, query, pairs, codes.weights.astype(np.int64), codes.bits, ids, keys)
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
def _offer(block, length, start, ids, keys):  # type: ignore[no-untyped-def]
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
def _add_distances(planes, query, start, length, total):  # type: ignore[no-untyped-def]
    """Write the Hamming distances of `length` documents from `start` on into `total`, four words to a pass."""
    words = planes.shape[0]
    odd = words % 4
    if odd or words == 0:
        total[:length] = 0
    for word in range(odd):
        a, p = planes[word, start : start + length], query[word]
        for i in range(length):
            total[i] += np.int64(_ones(a[i] ^ p))
    for word in range(odd, words, 4):
        a, b = planes[word, start : start + length], planes[word + 1, start : start + length]
        c, d = planes[word + 2, start : start + length], planes[word + 3, start : start + length]
        p, q, r, s = query[word], query[word + 1], query[word + 2], query[word + 3]
        # Two loops: the first pass writes, so that nothing need be zeroed and read again.
        if word == 0:
            for i in range(length):
                total[i] = np.int64(_ones(a[i] ^ p) + _ones(b[i] ^ q) + _ones(c[i] ^ r) + _ones(d[i] ^ s))
        else:
            for i in range(length):
                total[i] += np.int64(_ones(a[i] ^ p) + _ones(b[i] ^ q) + _ones(c[i] ^ r) + _ones(d[i] ^ s))


@numba.njit(cache=True)
def _hamming(planes, queries, ids, keys):  # type: ignore[no-untyped-def]
    total = np.empty(_BLOCK, np.int64)
    for start in range(0, planes.shape[1], _BLOCK):
        length = min(_BLOCK, planes.shape[1] - start)
        for query in range(queries.shape[0]):
            _add_distances(planes, queries[query], start, length, total)
            _offer(total, length, start, ids[query], keys[query])


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
                    distance[n] += np.int64(_ones(a[n] ^ b[n]))
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
                mixed = _ones(a[n] ^ q) + _ones(b[n] ^ p)
                product[n] -= np.int64((_ones(a[n] ^ p) << 3) + (mixed << 2) + (_ones(b[n] ^ q) << 1))
        return
    for i in range(pairs.shape[0]):
        for j in range(pairs.shape[1]):
            _add_distances(planes[j], query[i], start, length, distance)
            twice = 2 * pairs[i, j]
            for n in range(length):
                product[n] -= twice * distance[n]


@numba.njit(cache=True)
def _offer_exact(product, squares, about, length, start, ids, keys):  # type: ignore[no-untyped-def]
    """Offer the keys -S |S| / D of `product` S and `squares` D; `about`, nearly these, says where to divide."""
    bound = keys[0] + _NEARLY * abs(keys[0])
    for first in range(0, length, _GROUP):
        last = min(first + _GROUP, length)
        if _least(about, first, last) < bound:
            for n in range(first, last):
                exact = np.float64(product[n])
                key = -(exact * abs(exact)) / np.float64(squares[n])
                if key < keys[0]:
                    _replace(ids, keys, start + n, key)
            bound = keys[0] + _NEARLY * abs(keys[0])


@numba.njit(cache=True)
def _weighted(planes, queries, pairs, weights, bits, ids, keys):  # type: ignore[no-untyped-def]
    distance, product, squares = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    inverse, about = np.empty(_BLOCK, np.float64), np.empty(_BLOCK, np.float64)
    most = pairs.sum() * bits
    for start in range(0, planes.shape[2], _BLOCK):
        length = min(_BLOCK, planes.shape[2] - start)
        _squared_norms(planes, weights, bits, start, length, distance, squares)
        for n in range(length):
            inverse[n] = 1.0 / np.float64(squares[n])
        for query in range(queries.shape[0]):
            product[:length] = most
            _products(planes, queries[query], pairs, start, length, distance, product)
            for n in range(length):
                exact = np.float64(product[n])
                about[n] = -(exact * abs(exact)) * inverse[n]
            _offer_exact(product, squares, about, length, start, ids[query], keys[query])


def scaled_scan(
    codes: Codes, query: np.ndarray, factors: np.ndarray, offsets: np.ndarray, scales: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the documents of the least -(product scale factor + offset), compiled.

    Parameters
    ----------
    codes : Codes
    query : array of uint64
        Codes of the queries, (queries, planes, words).
    factors, offsets : array of float64
        (documents,).
    scales : array of float64
        (queries,).
    k : int
        Documents a query.

    Returns
    -------
    ids, keys : array of int64, array of float64
        (queries, k), best first, as `Nearest.result` returns.
    """
    ids, keys = np.full((len(query), k), -1, np.int64), np.full((len(query), k), np.inf)
    weights = 2 ** np.arange(query.shape[1], dtype=np.int64)[::-1]
    pairs = np.multiply.outer(weights, codes.weights).astype(np.int64)
    _scaled(codes.planes, query, pairs, codes.bits, factors, offsets, scales, ids, keys)
    order = np.lexsort((ids, keys), axis=1)
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(keys, order, axis=1)


@numba.njit(cache=True)
def _add_four(plane, query, pairs, start, length, product):  # type: ignore[no-untyped-def]
    """Take 2 sum_i pairs_i H_i of four planes of a query and one plane of documents away: a word is read once."""
    w, x, y, z = 2 * pairs[0], 2 * pairs[1], 2 * pairs[2], 2 * pairs[3]
    for word in range(plane.shape[0]):
        a = plane[word, start : start + length]
        p, q, r, s = query[0, word], query[1, word], query[2, word], query[3, word]
        for n in range(length):
            high = np.int64(_ones(a[n] ^ p)) * w + np.int64(_ones(a[n] ^ q)) * x
            product[n] -= high + np.int64(_ones(a[n] ^ r)) * y + np.int64(_ones(a[n] ^ s)) * z


@numba.njit(cache=True)
def _scaled(planes, queries, pairs, bits, factors, offsets, scales, ids, keys):  # type: ignore[no-untyped-def]
    distance, product = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    key = np.empty(_BLOCK, np.float64)
    most = pairs.sum() * bits
    fours = queries.shape[1] // 4 * 4
    for start in range(0, planes.shape[2], _BLOCK):
        length = min(_BLOCK, planes.shape[2] - start)
        factor, offset = factors[start : start + length], offsets[start : start + length]
        for query in range(queries.shape[0]):
            product[:length] = most
            for j in range(planes.shape[0]):
                for i in range(0, fours, 4):
                    _add_four(planes[j], queries[query, i : i + 4], pairs[i : i + 4, j], start, length, product)
                for i in range(fours, queries.shape[1]):
                    _add_distances(planes[j], queries[query, i], start, length, distance)
                    for n in range(length):
                        product[n] -= 2 * pairs[i, j] * distance[n]
            scale = scales[query]
            for n in range(length):
                key[n] = -(np.float64(product[n]) * scale * factor[n] + offset[n])
            _offer(key, length, start, ids[query], keys[query])
