"""Exact search of packed codes: the k nearest, in the formulation that is fastest for the queries."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import integer
from hwsim.kernels.codes import MOST_COMPARED_PLANES, Codes, code_values, pack_codes
from hwsim.kernels.nearest import check_mask
from hwsim.kernels.scan import packed_scan, popcount_scan, product_scan, squared_norms

BACKENDS = ("auto", "numpy", "numba")
METHODS = ("auto", "popcount", "product", "packed")
#: Queries from which one matrix product is faster than popcounts in NumPy, measured on an Intel Xeon with AVX-512: for
#: Hamming distances (1,024 bits; at 256 bits the two differ by less than a fifth), and for cosines of 256 x 2 bits.
_PACKED_QUERIES = 1024
_PRODUCT_QUERIES = 32
_INT8_BITS = 8
INSTALL = "pip install 'hwsim[numba]'"


@dataclass(frozen=True, eq=False)
class Hits(Record):
    """The nearest vectors of each query, best first, among equals the lower id.

    `ids` int64 (queries, n) are positions in the codes, with n = min(k, codes that are searched). `scores`
    (queries, n) are Hamming distances for `measure` "hamming" (int64, smaller is better). For "cosine" (float64, larger
    is better) they are cosines of the two vectors, or products with the document's direction where the query is not a
    code.
    """

    ids: np.ndarray
    scores: np.ndarray
    measure: str


def search(
    codes: Codes, queries: Any, k: int, *, mask: Any = None, backend: str = "auto", method: str = "auto"
) -> Hits:
    """Return the `k` nearest of `codes` for each query, exactly.

    Whole numbers give equal results in every backend and method; products of floats are sums in float32.

    Parameters
    ----------
    codes : Codes
    queries : Codes, or array of int8 or float
        Codes of as many bits: Hamming distance between sign codes, cosine (SDC) with more planes on either side. Or
        vectors (queries, bits): asymmetric search.
    k : int
        Documents a query, >= 1.
    mask : array_like of bool, optional
        (codes,), true for those to search; blocks of codes without any are skipped.
    backend : str
        One of `BACKENDS`; "auto" is numba where it is installed and NumPy otherwise.
    method : str
        One of `METHODS`, for NumPy; "auto" is the fastest for the queries.

    Returns
    -------
    Hits

    Raises
    ------
    InputError
        For sizes that differ, NaN or infinity, k < 1, an unknown name, a missing package, or a method that cannot
        serve the queries.

    Examples
    --------
    >>> codes = pack_codes([[1, 1, -1, -1], [1, -1, -1, 1], [-1, -1, 1, 1]])
    >>> hits = search(codes, codes.take([0]), k=2)
    >>> hits.ids.tolist(), hits.scores.tolist(), hits.measure
    ([[0, 1]], [[0, 2]], 'hamming')
    """
    most = integer("k", k)
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    rows = queries if isinstance(queries, Codes) else _rows(queries)
    bits = rows.bits if isinstance(rows, Codes) else rows.shape[1]
    if bits != codes.bits:
        raise InputError(f"queries have {bits} bits: expected {codes.bits}, as the codes have")
    planes = max(len(each.planes) for each in (codes, rows) if isinstance(each, Codes))
    if planes > MOST_COMPARED_PLANES:
        raise InputError(f"codes have {planes} planes: expected at most {MOST_COMPARED_PLANES} to compare by cosine")
    hamming = isinstance(rows, Codes) and len(rows.planes) == len(codes.planes) == 1
    length = _length(rows)
    allowed = check_mask(mask, codes.size)
    size = codes.size if allowed is None else int(allowed.sum())
    if length == 0 or size == 0:
        kind = np.int64 if hamming else np.float64
        return Hits(np.empty((length, 0), np.int64), np.empty((length, 0), kind), _measure(hamming))
    ids, keys = _scan(codes, rows, min(most, size), backend, method, hamming, allowed)
    if hamming:
        return Hits(ids, keys.astype(np.int64), "hamming")
    if not isinstance(rows, Codes) and rows.dtype.kind == "f":
        return Hits(ids, -keys, "cosine")
    products = -np.sign(keys) * np.sqrt(np.abs(keys))
    if isinstance(rows, Codes):
        products /= np.sqrt(squared_norms(rows))[:, None]
    return Hits(ids, products, "cosine")


def _scan(
    codes: Codes, rows: Any, k: int, backend: str, method: str, hamming: bool, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    floats = not isinstance(rows, Codes) and rows.dtype.kind == "f"
    if method != "auto" and backend == "numba":
        raise InputError(f"method = {method!r} is one of NumPy: expected backend 'numpy' or 'auto' with it")
    if (method == "packed" and not hamming) or (method == "popcount" and floats):
        raise InputError(f"method = {method!r} cannot serve these queries: expected 'product' or 'auto'")
    if backend == "numba" and importlib.util.find_spec("numba") is None:
        raise InputError(f"the package numba is not installed: {INSTALL}")
    chosen = method if method != "auto" else _choose(_length(rows), backend, hamming, floats)
    if chosen == "product":
        return product_scan(codes, _values(rows), k, hamming=hamming, mask=mask).result()
    coded = isinstance(rows, Codes)
    query, worth = (_query_planes(rows), rows.weights) if coded else _integer_planes(rows)
    if chosen == "compiled":
        from hwsim.kernels.compiled import compiled_scan

        ids, keys = compiled_scan(codes, query, worth, k, hamming=hamming, mask=mask)
    elif chosen == "packed":
        ids, keys = packed_scan(codes, query, k, mask).result()
    else:
        ids, keys = popcount_scan(codes, query, worth, k, hamming=hamming, mask=mask).result()
    # Planes of integers have twice the product, and keys are squares.
    return ids, keys if coded else keys / 4.0


def _choose(queries: int, backend: str, hamming: bool, floats: bool) -> str:
    if floats:
        return "product"
    if backend != "numpy" and importlib.util.find_spec("numba") is not None:
        return "compiled"
    if hamming:
        return "packed" if queries >= _PACKED_QUERIES else "popcount"
    return "product" if queries >= _PRODUCT_QUERIES else "popcount"


def _rows(queries: Any) -> np.ndarray:
    given = np.asarray(queries)
    if given.ndim != 2 or (given.dtype != np.int8 and given.dtype.kind != "f"):
        raise InputError(
            f"queries are {given.dtype} of shape {given.shape}: expected Codes, or int8 or floats of (queries, bits)"
        )
    if given.dtype == np.int8:
        return given
    rows = given.astype(np.float32)
    if not np.isfinite(rows).all():
        raise InputError("queries hold NaN or infinity: expected finite numbers")
    return rows


def _length(rows: Any) -> int:
    return rows.size if isinstance(rows, Codes) else len(rows)


def _measure(hamming: bool) -> str:
    return "hamming" if hamming else "cosine"


def _values(rows: Any) -> np.ndarray:
    return code_values(rows) if isinstance(rows, Codes) else rows


def _query_planes(rows: Codes) -> np.ndarray:
    return np.ascontiguousarray(rows.planes.transpose(2, 0, 1))


def _integer_planes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return planes uint64 (queries, 9, words) and their worth, whose values are twice the int8 `rows`.

    Two's complement has bits b_p of weight w_p. The signs s_p = 2 b_p - 1 have the value 2 q - sum w_p = 2 q + 1, and a
    plane of ones of weight -1 subtracts the 1.
    """
    bits = (rows.view(np.uint8)[None] >> np.arange(_INT8_BITS, dtype=np.uint8)[:, None, None]) & 1
    packed = [pack_codes(plane.astype(bool)) for plane in bits] + [pack_codes(np.ones(rows.shape, bool))]
    planes = np.stack([part.planes[0].T for part in packed], axis=1)
    worth = 2 ** np.arange(_INT8_BITS)
    worth[-1] *= -1
    return np.ascontiguousarray(planes), np.append(worth, -1)
