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
    query scans: 1 for an exact scan, less where lists are probed (its effect on recall is not modelled). Raises
    `InputError` for numbers out of range, or bits that do not divide into planes.
    """

    documents: Number
    bits: Number
    planes: Number = 1
    id_bytes: Number = 8
    vector_bytes: Number = 0
    overhead_bytes: Number = 0
    scanned_share: Number = 1.0

    def __post_init__(self) -> None:
        count("documents", self.documents, high=_MOST_DOCUMENTS)
        count("bits", self.bits, high=_MOST_BITS)
        count("planes", self.planes, high=MOST_PLANES)
        for name in ("id_bytes", "vector_bytes"):
            count(name, getattr(self, name), low=0, high=_MOST_BYTES)
        non_negative("overhead_bytes", self.overhead_bytes, high=_MOST_BYTES)
        number("scanned_share", self.scanned_share, above=0.0, high=1.0)
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
        """Code, id, vector and overhead, in B."""
        return self.code_bytes + self.id_bytes + self.vector_bytes + self.overhead_bytes

    @property
    def stored_bytes(self) -> Number:
        """All documents, in B."""
        return self.documents * self.stored_bytes_per_document

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
