"""The index to scan: codes as a record of numbers."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number, count, non_negative, number

#: Largest documents, bits or bytes a document; more is taken as a mistake.
_MOST_DOCUMENTS, _MOST_BITS, _MOST_BYTES = 1e15, 1e6, 1e6
#: Most planes of codes (`hwsim.kernels.codes`).
MOST_PLANES = 4
_BYTE_BITS = 8


@dataclass(frozen=True)
class ScanIndex(Record):
    """An index of `documents` codes of `bits` bits each, over all planes; any number may be an array.

    `planes` is 1 for sign codes (Hamming distance) and u + 1 for recurrent codes of u residual loops (SDC). Besides a
    code the index holds its id (`id_bytes`), an int8 vector for rescoring (`vector_bytes`, its dimensions; 0 without)
    and other data (`overhead_bytes`: links of a graph, tags). `scanned_share` is the share of the documents that a
    query scans: 1 for an exact scan, less where lists are probed (its effect on recall is not modelled).

    A filter leaves the share `selectivity` of the documents in. Then `tag_bytes` of every scanned document are read
    first, and codes only in blocks of `block_documents` with a match; documents lie in runs of `tag_run` that match or
    not together (1: scattered at random). Raises `InputError` for numbers out of range, bits that do not divide into
    planes, or a filter without tags to read.
    """

    documents: Number
    bits: Number
    planes: Number = 1
    id_bytes: Number = 8
    vector_bytes: Number = 0
    overhead_bytes: Number = 0
    scanned_share: Number = 1.0
    selectivity: Number = 1.0
    tag_bytes: Number = 0
    block_documents: Number = 64
    tag_run: Number = 1

    def __post_init__(self) -> None:
        count("documents", self.documents, high=_MOST_DOCUMENTS)
        count("bits", self.bits, high=_MOST_BITS)
        count("planes", self.planes, high=MOST_PLANES)
        for name in ("id_bytes", "vector_bytes"):
            count(name, getattr(self, name), low=0, high=_MOST_BYTES)
        non_negative("overhead_bytes", self.overhead_bytes, high=_MOST_BYTES)
        number("scanned_share", self.scanned_share, above=0.0, high=1.0)
        number("selectivity", self.selectivity, above=0.0, high=1.0)
        count("tag_bytes", self.tag_bytes, low=0, high=_MOST_BYTES)
        count("block_documents", self.block_documents, high=_MOST_DOCUMENTS)
        count("tag_run", self.tag_run, high=_MOST_DOCUMENTS)
        if np.any((np.asarray(self.selectivity) < 1.0) & (np.asarray(self.tag_bytes) == 0)):
            raise InputError(f"selectivity = {self.selectivity} without tags: expected tag_bytes > 0 to filter by")
        if np.any(np.asarray(self.bits) % np.asarray(self.planes)):
            raise InputError(f"bits = {self.bits}: expected a multiple of the planes, {self.planes}")

    @property
    def dims(self) -> Number:
        """Dimensions of a code: bits of one plane."""
        return np.asarray(self.bits) // np.asarray(self.planes)

    @property
    def code_bytes(self) -> Number:
        """Bytes of a code, rounded up."""
        return np.ceil(np.asarray(self.bits) / _BYTE_BITS)

    @property
    def stored_bytes_per_document(self) -> Number:
        """Code, id, vector, tags and overhead, in B."""
        return self.code_bytes + self.id_bytes + self.vector_bytes + self.tag_bytes + self.overhead_bytes

    @property
    def stored_bytes(self) -> Number:
        """All documents, in B."""
        return self.documents * self.stored_bytes_per_document

    @property
    def read_share(self) -> Number:
        """Share of the scanned codes in blocks with a match: 1 - (1 - selectivity)^(runs of a block)."""
        runs = np.maximum(np.asarray(self.block_documents) / np.asarray(self.tag_run), 1.0)
        return np.where(
            np.asarray(self.selectivity) < 1.0,
            -np.expm1(runs * np.log1p(-np.minimum(self.selectivity, 1.0 - np.finfo(float).eps))),
            1.0,
        )[()]

    @property
    def compared_bits(self) -> Number:
        """Compared bits of one query and one document: every plane with every plane, planes^2 x dims.

        4^u <b_q, b_d> = sum_ij 2^(2u-i-j) (dims - 2 H_ij), H_ij the Hamming distance of planes i and j.
        """
        return np.square(self.planes) * self.dims

    @property
    def score_bits(self) -> Number:
        """Bits of a score: of the Hamming distance, or of the product of two vectors of odd integers, with its sign."""
        top = np.square(2.0 ** np.asarray(self.planes) - 1.0) * self.dims
        return np.ceil(np.log2(top + 1.0)) + np.where(np.asarray(self.planes) > 1, 1.0, 0.0)
