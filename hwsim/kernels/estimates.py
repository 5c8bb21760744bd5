"""Search of codes with factors: the score of a document is its factor times a product with its code, plus an offset.

RaBitQ's estimator (arXiv 2405.12497) has this form: `factor` <q, u> + `offset`, with u odd integers. A query that is a
code too, of 4 or 8 planes, needs popcounts only: <v, u> = sum_ij 2^(a-i) 2^(b-j) (m - 2 H_ij), in whole numbers.
"""

import importlib.util
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.check import integer
from hwsim.kernels.codes import Codes, code_values
from hwsim.kernels.nearest import Nearest, blocks, check_mask
from hwsim.kernels.scan import Scratch, weighted_products
from hwsim.kernels.search import BACKENDS, INSTALL, Hits

#: Queries from which one matrix product is faster than popcounts in NumPy.
_PRODUCT_QUERIES = 4
_BLOCK = 1 << 12
_EXACT_FLOAT32 = 2**24


def search_scaled(
    codes: Codes,
    factors: np.ndarray,
    offsets: np.ndarray,
    queries: Any,
    scales: np.ndarray,
    k: int,
    *,
    mask: Any = None,
    backend: str = "auto",
) -> Hits:
    """Return the `k` documents of the largest scale (<q, u> factor) + offset for each query.

    Products of codes are whole numbers, so backends give equal results; those of floats are sums in float32.

    Parameters
    ----------
    codes : Codes
        Documents u as odd integers.
    factors, offsets : array of float, (documents,)
        What turns products into scores.
    queries : Codes, or array of float
        Codes of as many bits, or vectors (queries, bits).
    scales : array of float, (queries,)
        Multiplies the products of a query.
    k : int
        Documents a query, >= 1.
    mask : array_like of bool, optional, (documents,)
        True for those to search; blocks of documents without any are skipped.
    backend : str
        One of `BACKENDS`; "auto" is numba where it is installed and NumPy otherwise.

    Returns
    -------
    Hits
        With `measure` "estimate".

    Raises
    ------
    InputError
        For sizes that differ, k < 1, an unknown backend or a missing package.
    """
    most = integer("k", k)
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    coded = isinstance(queries, Codes)
    bits, length = (queries.bits, queries.size) if coded else queries.shape[::-1]
    if bits != codes.bits:
        raise InputError(f"queries have {bits} bits: expected {codes.bits}, as the codes have")
    if {len(factors), len(offsets)} != {codes.size} or len(scales) != length:
        raise InputError(
            f"{len(factors)} factors, {len(offsets)} offsets and {len(scales)} scales: "
            f"expected {codes.size}, {codes.size} and {length}"
        )
    allowed = check_mask(mask, codes.size)
    size = codes.size if allowed is None else int(allowed.sum())
    if length == 0 or size == 0:
        return Hits(np.empty((length, 0), np.int64), np.empty((length, 0)), "estimate")
    compiled = importlib.util.find_spec("numba") is not None
    if backend == "numba" and not compiled:
        raise InputError(f"the package numba is not installed: {INSTALL}")
    most = min(most, size)
    wide = factors.astype(float), offsets.astype(float), np.asarray(scales, float)
    if coded and compiled and backend != "numpy":
        from hwsim.kernels.compiled_estimates import scaled_scan

        ids, keys = scaled_scan(codes, np.ascontiguousarray(queries.planes.transpose(2, 0, 1)), *wide, most, allowed)
    elif coded and length < _PRODUCT_QUERIES:
        ids, keys = _popcount_scan(codes, queries, *wide, most, allowed)
    else:
        ids, keys = _product_scan(codes, code_values(queries) if coded else queries, *wide, most, allowed)
    return Hits(ids, -keys, "estimate")


def _popcount_scan(
    codes: Codes,
    queries: Codes,
    factors: np.ndarray,
    offsets: np.ndarray,
    scales: np.ndarray,
    k: int,
    mask: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    nearest, scratch = Nearest(queries.size, k, mask), Scratch(_BLOCK)
    pairs = np.multiply.outer(queries.weights, codes.weights)
    words = np.ascontiguousarray(queries.planes.transpose(2, 0, 1))
    for part in blocks(codes.size, _BLOCK, mask):
        planes = codes.planes[:, :, part]
        products = np.stack([weighted_products(planes, pairs, row, codes.bits, scratch) for row in words])
        nearest.offer(-(products * scales[:, None] * factors[part] + offsets[part]), part.start)
    return nearest.result()


def _product_scan(
    codes: Codes,
    rows: np.ndarray,
    factors: np.ndarray,
    offsets: np.ndarray,
    scales: np.ndarray,
    k: int,
    mask: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    nearest = Nearest(len(rows), k, mask)
    whole = rows.dtype.kind == "i"
    largest = int(np.abs(rows.astype(np.int64)).sum(axis=1).max()) * codes.top if whole else 0
    values = rows.astype(np.float64 if largest >= _EXACT_FLOAT32 else np.float32)
    for part in blocks(codes.size, _BLOCK, mask):
        products = values @ code_values(codes.take(part)).astype(values.dtype).T
        nearest.offer(-(products.astype(float) * scales[:, None] * factors[part] + offsets[part]), part.start)
    return nearest.result()
