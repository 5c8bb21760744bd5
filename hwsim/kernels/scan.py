"""Exact scans of packed codes in NumPy, in three formulations with equal results.

With H_ij = popcount(c_i(q) xor c_j(d)) over m bits, 2^(u+v) <b_q, b_d> = sum_ij 2^(u-i) 2^(v-j) (m - 2 H_ij): symmetric
distance calculation (SDC, arXiv 2302.08714), which needs popcounts only. With one plane on both sides it is the Hamming
distance. The squared norm of a document is the same sum with itself, so it is not stored.

- `popcount_scan`: XOR and popcount, in blocks of documents that stay in the cache. For few queries.
- `product_scan`: codes as odd integers, one matrix product. For many queries, or queries that are not codes.
- `packed_scan`: Hamming distances only. H = popcount(q) + d . (1 - 2 q) with d of 0 and 1. One float32 has several
  documents as digits of base m + 1, so one product gives several exact distances while sums stay below 2^24.
"""

import numpy as np

from hwsim.kernels.codes import WORD_BITS, Codes, code_values, unpack_codes
from hwsim.kernels.nearest import Nearest, blocks

#: Integers up to this are exact in float32, in any order of a sum.
_EXACT_FLOAT32 = 2**24
#: Most documents in one number: a fourth digit would fit only codes of fewer than 64 bits.
_MOST_DIGITS = 3
#: Documents of a block: their XORs of 8 bytes stay in a cache of the second level.
_POPCOUNT_BLOCK = 1 << 15
_PRODUCT_BLOCK = 1 << 12
#: Popcounts of 64-bit words that one byte holds.
_WORDS_PER_BYTE = 255 // WORD_BITS


class Scratch:
    """Arrays for the distances of a block, allocated once: to allocate them takes as long as to fill them."""

    def __init__(self, size: int) -> None:
        self.differing = np.empty(size, np.uint64)
        self.ones = np.empty(size, np.uint8)
        self.few = np.empty(size, np.uint8)
        self.distance = np.empty(size, np.uint16)


def hamming_distances(planes: np.ndarray, query: np.ndarray, scratch: Scratch, out: np.ndarray) -> np.ndarray:
    """Write the Hamming distances of documents to a query into `out`, and return it.

    Parameters
    ----------
    planes : array of uint64
        One bit plane of the documents, (words, n).
    query : array of uint64
        (words,).
    scratch : Scratch
        Of at least n elements.
    out : array of uint16
        (n,).

    Returns
    -------
    array of uint16
        `out`.
    """
    size = planes.shape[1]
    differing, ones, few = scratch.differing[:size], scratch.ones[:size], scratch.few[:size]
    for first in range(0, len(planes), _WORDS_PER_BYTE):
        for word in range(first, min(first + _WORDS_PER_BYTE, len(planes))):
            np.bitwise_xor(planes[word], query[word], out=differing)
            if word == first:
                np.bitwise_count(differing, out=few)
            else:
                np.bitwise_count(differing, out=ones)
                np.add(few, ones, out=few)
        if first == 0:
            np.copyto(out, few)
        else:
            np.add(out, few, out=out)
    return out


def weighted_products(
    planes: np.ndarray, pairs: np.ndarray, query: np.ndarray, bits: int, scratch: Scratch
) -> np.ndarray:
    """Return sum_ij pairs_ij (bits - 2 H_ij), with H_ij between plane i of the query and plane j of the documents.

    Parameters
    ----------
    planes : array of uint64
        (planes, words, n).
    pairs : array of int64
        Weights of the pairs of planes, (query planes, planes).
    query : array of uint64
        (query planes, words).
    bits : int
        Dimensions.
    scratch : Scratch
        Of at least n elements.

    Returns
    -------
    array of int64
        (n,).
    """
    total = np.full(planes.shape[2], int(pairs.sum()) * bits, np.int64)
    for row, words in zip(pairs, query, strict=True):
        for weight, plane in zip(row, planes, strict=True):
            distance = hamming_distances(plane, words, scratch, scratch.distance[: plane.shape[1]])
            total -= np.int64(2 * weight) * distance
    return total


def squared_norms(codes: Codes, part: slice = slice(None)) -> np.ndarray:
    """Return 4^u |b|^2 of each vector of `part`, int64, from popcounts between its planes."""
    planes, weights = codes.planes[:, :, part], codes.weights
    total = np.full(planes.shape[2], int((weights**2).sum()) * codes.bits, np.int64)
    for i in range(len(planes)):
        for j in range(i):
            ones = np.bitwise_count(planes[i] ^ planes[j]).sum(axis=0, dtype=np.int64)
            total += 2 * weights[i] * weights[j] * (codes.bits - 2 * ones)
    return total


def cosine_keys(products: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return float64 keys that sort integer products S with squared norms D by cosine: -S |S| / D.

    Each key is the float64 nearest to an exact fraction, so equal cosines have equal keys, as S / sqrt(D) need not.
    """
    exact = products.astype(float)
    return -(exact * np.abs(exact)) / squares


def popcount_scan(
    codes: Codes, query: np.ndarray, worth: np.ndarray, k: int, *, hamming: bool, mask: np.ndarray | None = None
) -> Nearest:
    """Return the nearest documents by popcounts.

    Parameters
    ----------
    codes : Codes
    query : array of uint64
        (queries, planes, words).
    worth : array of int64
        Weight of each plane of the queries, (planes,).
    k : int
        Documents a query.
    hamming : bool
        Whether keys are Hamming distances of one plane, instead of `cosine_keys`.
    mask : array of bool, optional
        (documents,), true for those to search; blocks without any are skipped.

    Returns
    -------
    Nearest
    """
    nearest, scratch = Nearest(len(query), k, mask), Scratch(_POPCOUNT_BLOCK)
    pairs = np.multiply.outer(worth, codes.weights)
    keys = np.empty((len(query), _POPCOUNT_BLOCK), np.uint16 if hamming else float)
    for part in blocks(codes.size, _POPCOUNT_BLOCK, mask):
        planes, block = codes.planes[:, :, part], keys[:, : part.stop - part.start]
        if hamming:
            for row, words in zip(block, query, strict=True):
                hamming_distances(planes[0], words[0], scratch, row)
        else:
            squares = squared_norms(codes, part)
            for row, words in zip(block, query, strict=True):
                row[:] = cosine_keys(weighted_products(planes, pairs, words, codes.bits, scratch), squares)
        nearest.offer(block, part.start)
    return nearest


def product_scan(codes: Codes, query: np.ndarray, k: int, *, hamming: bool, mask: np.ndarray | None = None) -> Nearest:
    """Return the nearest documents by one matrix product a block.

    Sums of whole numbers are exact: float32 where all of them stay below 2^24, otherwise float64.

    Parameters
    ----------
    codes : Codes
    query : array of int or float32
        (queries, bits).
    k : int
        Documents a query.
    hamming : bool
        Whether keys are Hamming distances of one plane.
    mask : array of bool, optional
        As in `popcount_scan`.

    Returns
    -------
    Nearest
    """
    nearest = Nearest(len(query), k, mask)
    whole = query.dtype.kind in "iu"
    most = int(np.abs(query.astype(np.int64)).sum(axis=1).max(initial=0)) * codes.top if whole else 0
    rows = query.astype(np.float64 if most >= _EXACT_FLOAT32 else np.float32)
    for part in blocks(codes.size, _PRODUCT_BLOCK, mask):
        products = rows @ code_values(codes.take(part)).astype(rows.dtype).T
        if hamming:
            keys = np.subtract(codes.bits, products) * 0.5
        else:
            squares = squared_norms(codes, part)
            keys = cosine_keys(products, squares) if whole else np.negative(products / np.sqrt(squares, dtype="f4"))
        nearest.offer(keys, part.start)
    return nearest


def digits_that_fit(bits: int, ones: np.ndarray) -> int:
    """Return how many documents share one float32 in `packed_scan` for queries of `ones` set bits each: 1 to 3."""
    largest = int(np.maximum(ones, bits - ones).max(initial=1))
    base = bits + 1
    fitting = (n for n in range(_MOST_DIGITS, 1, -1) if largest * sum(base**i for i in range(n)) < _EXACT_FLOAT32)
    return next(fitting, 1)


def packed_scan(codes: Codes, query: np.ndarray, k: int, mask: np.ndarray | None = None) -> Nearest:
    """Return the nearest by Hamming distance of sign codes `query` uint64 (queries, 1, words), packed in float32."""
    nearest = Nearest(len(query), k, mask)
    ones = np.bitwise_count(query[:, 0]).sum(axis=1, dtype=np.int64)
    digits, base = digits_that_fit(codes.bits, ones), codes.bits + 1
    queries = Codes(np.ascontiguousarray(query.transpose(1, 2, 0)), codes.bits)
    rows = np.where(unpack_codes(queries)[0], np.float32(-1), np.float32(1))
    # A product plus popcount(q) in each digit has a distance, 0 to bits, in every digit.
    offsets = (ones * sum(base**i for i in range(digits))).astype(np.float32)[:, None]
    table = np.array([sum(base**i for i in range(digits) if n >> i & 1) for n in range(2**digits)], np.float32)
    step = _PRODUCT_BLOCK // 2
    operands, products = np.empty((step, codes.bits), np.float32), np.empty((len(query), step), np.float32)
    left, higher, distances = (np.empty((len(query), step), np.int32) for _ in range(3))
    for part in blocks(codes.size, digits * step, mask):
        planes = codes.planes[0, :, part]
        np.take(table, _patterns(planes, codes.bits, digits, step), out=operands, mode="clip")
        np.matmul(rows, operands.T, out=products)
        np.add(products, offsets, out=products)
        np.copyto(left, products, casting="unsafe")
        for digit in range(digits):
            held = min(step, planes.shape[1] - digit * step)
            if held <= 0:
                break
            np.floor_divide(left, base, out=higher)
            np.multiply(higher, -base, out=distances)
            np.add(distances, left, out=distances)
            left, higher = higher, left
            nearest.offer(distances[:, :held], part.start + digit * step)
    return nearest


def _patterns(planes: np.ndarray, bits: int, digits: int, step: int) -> np.ndarray:
    """Return uint8 (step, bits): bit i of an element is that bit of document i * step + row."""
    padded = np.zeros((digits * step, planes.shape[0]), np.uint64)
    padded[: planes.shape[1]] = planes.T
    rows = padded.astype("<u8", copy=False).view(np.uint8).reshape(digits, step, -1)
    unpacked = np.unpackbits(rows, axis=2, count=bits, bitorder="little")
    patterns = unpacked[0]
    for digit in range(1, digits):
        patterns |= unpacked[digit] << np.uint8(digit)
    return patterns
