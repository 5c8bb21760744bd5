"""Binary Embedding-based Retrieval at Tencent (KDD 2023, arXiv 2302.08714): codes, SDC, index cost, and scans.

`bebr.csv` lists the figures with their evidence. Recall needs features that are not available here and is shown as
published. Rows marked "measured" compare with measurements of the machine that the row names, not with the paper.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from explorer.papers.scoreboard import Row, read_rows
from explorer.scan.cost import scan_costs
from explorer.scan.saving import index_saving
from hwbase import Book, load_book
from hwbase.books import split_overrides
from hwsim.kernels import Codes, code_values, pack_codes, unpack_codes
from hwsim.retrieval import ScanIndex, load_server, server_device, simulate_scan
from hwsim.retrieval.processors import CPU_BOOK
from hwsim.technology import BOOKS

BLOCK = 32
_NIBBLE_BITS, _ENTRIES = 4, 16
_HALF = BLOCK // 2
#: The document of each lane: of each four documents the first, then the third, the second, and the last.
LANES = np.concatenate([np.arange(first, BLOCK, 4) for first in (0, 2, 1, 3)])


def sdc_table() -> np.ndarray:
    """Return the published table, (16, 16): 9 + 2 <v, v'> of two dimensions of +-1 +- 1/2."""
    signs = 2.0 * ((np.arange(_ENTRIES)[:, None] >> np.arange(_NIBBLE_BITS)[::-1]) & 1) - 1.0
    values = signs[:, 0::2] + 0.5 * signs[:, 1::2]
    return 9.0 + 2.0 * values @ values.T


def nibbles(codes: Codes) -> np.ndarray:
    """Return uint8 (N, dims / 2): base and residual bits of two dimensions in each nibble. Planes must be 2."""
    base, residual = unpack_codes(codes)
    bits = np.stack([base, residual], axis=2).reshape(len(base), -1, _NIBBLE_BITS)
    return (bits * (1 << np.arange(_NIBBLE_BITS)[::-1])).sum(axis=2).astype(np.uint8)


def lane_sums(query: Codes, block: Codes) -> np.ndarray:
    """Return 4 <b_q, b_d> of one query and 32 documents in the order of the published lanes, int64 (32,).

    Lane i belongs to document `LANES[i]`. Dimensions must be a multiple of 4, planes 2.
    """
    table, nibble, held = sdc_table(), nibbles(query)[0], nibbles(block)
    sums = np.zeros((2, 2, _HALF // 2), np.int64)
    for first in range(0, held.shape[1], 2):
        # 32 bytes: the first nibbles of all, then the second ones, an even document above an odd one in each byte.
        stored = np.concatenate([held[0::2, n] << _NIBBLE_BITS | held[1::2, n] for n in (first, first + 1)])
        for half, codes in enumerate((stored >> _NIBBLE_BITS, stored & (_ENTRIES - 1))):
            halves = np.stack([table[nibble[first + n], codes[n * _HALF : (n + 1) * _HALF]] for n in (0, 1)])
            # Sums of 16 bits alternate over bytes: even ones in one register, odd ones in the next.
            sums[half] += halves.sum(axis=0).astype(np.int64).reshape(-1, 2).T
    return 2 * (sums.ravel() - 9 * held.shape[1])


_CELLS = Path(__file__).with_name("bebr.csv")
#: The published configuration: dimensions, and planes of one residual loop.
_DIMS, _PLANES = 512, 2
#: Sizes of the random codes that verify identities; not multiples of a word.
_QUERIES, _DOCUMENTS, _CHECKED_DIMS, _MOST_PLANES = 64, 512, 200, 4
#: The measured scans: bits and queries, of a million documents, for the best hundred.
_SCANS = tuple((bits, batch) for bits in (256, 1024) for batch in (1, 16, 256))
_MILLION, _BEST, _MS_PER_S = 1_000_000, 100, 1e3


def bebr_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """Return (rows, fitted constants: none); `set` overrides constants of the cost book or of the server's book."""
    costs, server = scan_costs(), load_book(CPU_BOOK, BOOKS)
    for_costs, for_server = split_overrides(set or {}, costs.settable())
    saving = index_saving(costs.override(for_costs))
    ours = {"saving-low": float(saving.traffic_bound), "saving-high": float(saving.capacity_bound)}
    ours |= _codes() | _table() | _identities() | _scans(server.override(for_server)) | _fanns()
    return read_rows(_CELLS, ours), ()


def plane_distances(queries: Codes, documents: Codes) -> np.ndarray:
    """Return H_ij, the Hamming distance of plane i of a query and plane j of a document, (i, j, queries, documents)."""
    differing = queries.planes[:, None, :, :, None] ^ documents.planes[None, :, :, None, :]
    return np.bitwise_count(differing).sum(axis=2, dtype=np.int64)


def _random_codes(planes: int, size: int, seed: int) -> Codes:
    return pack_codes(np.random.default_rng(seed).integers(0, 2, (planes, size, _CHECKED_DIMS)).astype(bool))


def _codes() -> dict[str, float]:
    floats = np.random.default_rng(0).standard_normal((_DOCUMENTS, _DIMS), dtype=np.float32)
    codes = pack_codes(np.stack([floats, floats - np.sign(floats)]))
    return {
        "bits-bebr": codes.bits_per_vector,
        "bits-float": floats[0].nbytes * 8,
        "levels": np.unique(code_values(codes)).size,
    }


def _table() -> dict[str, float]:
    bits = ((np.arange(16)[:, None] >> np.arange(4)[::-1]) & 1).astype(bool)
    nibbles = pack_codes(np.stack([bits[:, 0::2], bits[:, 1::2]]))
    h = plane_distances(nibbles, nibbles)
    identity = 18 - (4 * h[0, 0] + 2 * h[0, 1] + 2 * h[1, 0] + h[1, 1])
    table = sdc_table()
    return {"table-entries": int((identity == table).sum()), "table-largest": float(table.max())}


def _identities() -> dict[str, float]:
    queries, documents = (_random_codes(_PLANES, n, seed) for seed, n in enumerate((_QUERIES, _DOCUMENTS)))
    h, m = plane_distances(queries, documents), _CHECKED_DIMS
    # Values are odd integers, 2^u times the vectors.
    query_values, held = (code_values(codes).astype(np.int64) for codes in (queries, documents))
    product = 9 * m - 2 * (4 * h[0, 0] + 2 * h[0, 1] + 2 * h[1, 0] + h[1, 1])
    signs = unpack_codes(documents)
    norm = 5 * m + 4 * (m - 2 * (signs[0] ^ signs[1]).sum(axis=1))
    return {
        "identity-product": float(np.abs(product - query_values @ held.T).max()),
        "identity-norm": float(np.abs(norm - (held**2).sum(axis=1)).max()),
        "identity-lanes": float(max(_lane_error(queries, documents, start) for start in range(0, _DOCUMENTS, BLOCK))),
        "identity-general": max(_general_error(planes) for planes in range(1, _MOST_PLANES + 1)),
    }


def _lane_error(queries: Codes, documents: Codes, start: int) -> int:
    """Return the largest difference of the published scan's lanes, put in order, and the products of the vectors."""
    query, block = queries.take([start // BLOCK]), documents.take(slice(start, start + BLOCK))
    exact = code_values(block).astype(np.int64) @ code_values(query)[0].astype(np.int64)
    return int(np.abs(lane_sums(query, block) - exact[LANES]).max())


def _general_error(planes: int) -> float:
    queries, documents = (_random_codes(planes, n, planes + n) for n in (_QUERIES, _DOCUMENTS))
    weights = np.multiply.outer(queries.weights, documents.weights)
    sums = np.tensordot(weights, _CHECKED_DIMS - 2 * plane_distances(queries, documents), axes=2)
    exact = code_values(queries).astype(np.int64) @ code_values(documents).astype(np.int64).T
    return float(np.abs(sums - exact).max())


def _scans(book: Book) -> dict[str, float]:
    """Return the milliseconds of the measured scans on one core, by the roofline of the server's book."""
    server = load_server(reader=book.reader())

    def milliseconds(bits: int, batch: int, planes: int = 1) -> float:
        index = ScanIndex(_MILLION, bits, planes, id_bytes=0)
        result = simulate_scan(index, server_device(server, index, cores=1), batch=batch, k=_BEST)
        return _MS_PER_S * batch / float(result.queries_per_s)

    ours = {f"kernel-{bits}-{batch}": milliseconds(bits, batch) for bits, batch in _SCANS}
    hamming, sdc = milliseconds(256, 1), milliseconds(256, 1, planes=_PLANES)
    return ours | {"sdc-256-1": sdc, "hamming-256-1": hamming, "sdc-over-hamming": sdc / hamming}


def _fanns() -> dict[str, float]:
    book = load_book("scanners", BOOKS)
    return {"fanns-queries": float(book.value("fanns.clock_hz", "1/s") / book.value("fanns.cycles_per_query", "cycle"))}
