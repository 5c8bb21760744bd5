"""The published SDC scan as a check: its table of 16 x 16 and the order in which its lanes hold 32 documents.

Read from the authors' SDC/sdc_impl.cpp (TencentARC/BEBR): a nibble holds base and residual of two dimensions, the first
in the higher bits; a query's row of the table answers for each nibble of a document; 32 documents share a block, the
even ones in the high halves of its bytes. Sums end up in lanes that are not in the order of the documents.
"""

import numpy as np

from hwsim.kernels import Codes, unpack_codes

BLOCK = 32
_NIBBLE_BITS, _ENTRIES = 4, 16
_HALF = BLOCK // 2
#: The document of each lane: of each four documents the first, then the third, then the second, then the last.
LANES = np.concatenate([np.arange(first, BLOCK, 4) for first in (0, 2, 1, 3)])


def sdc_table() -> np.ndarray:
    """Return the published table, (16, 16): 9 + 2 <v, v'> of two dimensions of +-1 +- 1/2."""
    signs = 2.0 * ((np.arange(_ENTRIES)[:, None] >> np.arange(_NIBBLE_BITS)[::-1]) & 1) - 1.0
    values = signs[:, 0::2] + 0.5 * signs[:, 1::2]
    return 9.0 + 2.0 * values @ values.T


def nibbles(codes: Codes) -> np.ndarray:
    """Return uint8 (N, dims / 2): base and residual of each dimension, of two dimensions a nibble; planes must be 2."""
    base, residual = unpack_codes(codes)
    bits = np.stack([base, residual], axis=2).reshape(len(base), -1, _NIBBLE_BITS)
    return (bits * (1 << np.arange(_NIBBLE_BITS)[::-1])).sum(axis=2).astype(np.uint8)


def lane_sums(query: Codes, block: Codes) -> np.ndarray:
    """Return 4 <b_q, b_d> of one query and 32 documents as the published lanes hold them, int64 (32,).

    Lane i belongs to document `LANES[i]`. Dimensions must be a multiple of 4, planes 2.
    """
    table, asked, held = sdc_table(), nibbles(query)[0], nibbles(block)
    sums = np.zeros((2, 2, _HALF // 2), np.int64)
    for first in range(0, held.shape[1], 2):
        # 32 bytes: the first nibbles of all, then the second ones, an even document above an odd one in each byte.
        stored = np.concatenate([held[0::2, n] << _NIBBLE_BITS | held[1::2, n] for n in (first, first + 1)])
        for half, codes in enumerate((stored >> _NIBBLE_BITS, stored & (_ENTRIES - 1))):
            found = np.stack([table[asked[first + n], codes[n * _HALF : (n + 1) * _HALF]] for n in (0, 1)])
            # Sums of 16 bits take bytes in turn: even ones in one register, odd ones in the next.
            sums[half] += found.sum(axis=0).astype(np.int64).reshape(-1, 2).T
    return 2 * (sums.ravel() - 9 * held.shape[1])
