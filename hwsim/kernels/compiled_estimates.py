"""The scan of `hwsim.kernels.estimates` compiled by numba (extra [numba]), with equal keys and results."""

import numba
import numpy as np

from hwsim.kernels.codes import Codes
from hwsim.kernels.compiled import BLOCK, EVERY, add_distances, empty, leave_out, offer, ones


def scaled_scan(
    codes: Codes,
    query: np.ndarray,
    factors: np.ndarray,
    offsets: np.ndarray,
    scales: np.ndarray,
    k: int,
    mask: np.ndarray | None = None,
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
    mask : array of bool, optional
        As in `hwsim.kernels.scan.popcount_scan`.

    Returns
    -------
    ids, keys : array of int64, array of float64
        (queries, k), best first, as `Nearest.result` returns.
    """
    ids, keys = np.full((len(query), k), -1, np.int64), np.full((len(query), k), np.inf)
    weights = 2 ** np.arange(query.shape[1], dtype=np.int64)[::-1]
    pairs = np.multiply.outer(weights, codes.weights).astype(np.int64)
    allowed = EVERY if mask is None else mask
    _scaled(codes.planes, query, pairs, codes.bits, factors, offsets, scales, allowed, ids, keys)
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
            high = np.int64(ones(a[n] ^ p)) * w + np.int64(ones(a[n] ^ q)) * x
            product[n] -= high + np.int64(ones(a[n] ^ r)) * y + np.int64(ones(a[n] ^ s)) * z


@numba.njit(cache=True)
def _scaled(planes, queries, pairs, bits, factors, offsets, scales, mask, ids, keys):  # type: ignore[no-untyped-def]
    distance, product = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    key = np.empty(BLOCK, np.float64)
    most = pairs.sum() * bits
    fours = queries.shape[1] // 4 * 4
    for start in range(0, planes.shape[2], BLOCK):
        length = min(BLOCK, planes.shape[2] - start)
        if empty(mask, start, length):
            continue
        factor, offset = factors[start : start + length], offsets[start : start + length]
        for query in range(queries.shape[0]):
            product[:length] = most
            for j in range(planes.shape[0]):
                for i in range(0, fours, 4):
                    _add_four(planes[j], queries[query, i : i + 4], pairs[i : i + 4, j], start, length, product)
                for i in range(fours, queries.shape[1]):
                    add_distances(planes[j], queries[query, i], start, length, distance)
                    for n in range(length):
                        product[n] -= 2 * pairs[i, j] * distance[n]
            scale = scales[query]
            for n in range(length):
                key[n] = -(np.float64(product[n]) * scale * factor[n] + offset[n])
            leave_out(mask, start, key, length, np.inf)
            offer(key, length, start, ids[query], keys[query])
