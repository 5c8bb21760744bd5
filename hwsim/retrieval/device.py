"""One device that scans, reduced to the rates of a scan, independent of its construction."""

from dataclasses import dataclass

from hwbase import Record
from hwbase.check import Number

#: Bytes of an answer on its way to the merging node: an id of 8 and a score of 4.
ANSWER_BYTES = 12


@dataclass(frozen=True)
class ScanDevice(Record):
    """Rates of one device (an engine's card, a server, a GPU) for one index; any number may be an array.

    `slots` queries share a pass over memory. `comparisons_per_s` counts documents times queries. Best answers are kept
    in `heaps` parallel heaps, over `slices` slices of the documents that are scanned in parallel; one insertion takes
    `insert_s`. `comparison` names the method of comparison. Energy is `standing_w` at all times, plus joules per byte
    streamed, comparison and insertion.
    """

    name: str
    stream_bytes_per_s: Number
    random_bytes_per_s: Number
    access_bytes: Number
    memory_bytes: Number
    slots: Number
    comparisons_per_s: Number
    heaps: Number
    slices: Number
    insert_s: Number
    start_s: Number
    link_bytes_per_s: Number
    link_latency_s: Number
    fan_in: Number
    standing_w: Number
    area_mm2: Number
    j_per_byte: Number = 0.0
    j_per_comparison: Number = 0.0
    j_per_insert: Number = 0.0
    j_per_link_byte: Number = 0.0
    comparison: str = "popcount"
