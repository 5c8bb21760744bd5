"""A scan in closed form: queries per second, latency, binding resource, energy and shards on any device."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError, Quantity, Record
from hwbase.check import Number, count
from hwbase.record import flatten
from hwsim.results import Check
from hwsim.retrieval.device import ANSWER_BYTES, ScanDevice
from hwsim.retrieval.index import ScanIndex

#: Resources that can bind, in the order of `ScanResult.occupancy_s`.
RESOURCES = ("memory", "comparison", "top-k", "merge")
#: Most answers, queries at once or shards; more is taken as a mistake.
MOST_K = 1_000_000
_MOST_BATCH, _MOST_SHARDS = 1e6, 1e9


@dataclass(frozen=True)
class ScanResult(Record):
    """One copy of an index over its shards, every shard on its own device, all busy with every batch.

    `queries_per_s` is at full load in batches of `batch`; `latency_s` is that of a batch on idle devices, without
    waiting for its queries; `occupancy_s` are the seconds of each resource for a batch on its busiest device;
    `energy_j_per_query` (at full load, all shards) splits into `energy_parts_j`; `power_w` and `area_mm2` are of all
    shards, `standing_w` of all shards without queries. `streamed_bytes_per_query` is per query over all shards,
    tags included; `compared_share` of the documents are compared with a query.
    """

    machine: str
    comparison: str
    documents: Number
    bits: Number
    planes: Number
    batch: Number
    k: Number
    candidates: Number
    shards: Number
    documents_per_shard: Number
    stored_bytes: Number
    queries_per_s: Number
    latency_s: Number
    bound_by: Any
    occupancy_s: dict[str, Number]
    streamed_bytes_per_query: Number
    compared_share: Number
    rescored_bytes_per_query: Number
    energy_j_per_query: Number
    energy_parts_j: dict[str, Number]
    power_w: Number
    standing_w: Number
    area_mm2: Number
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the figures, one row a point (inputs of several dimensions are flattened), without assumptions."""
        apart = ("checks", "notes", "assumptions")
        figures = flatten({name: value for name, value in self.to_dict().items() if name not in apart})
        shape = np.broadcast_shapes(*(np.shape(value) for value in figures.values()))
        return pd.DataFrame({name: np.broadcast_to(value, shape).ravel() for name, value in figures.items()})


def expected_insertions(documents: Number, k: Number) -> Number:
    """Return the expected changes of the best `k` over `documents` in random order: n up to k, then k (1 + ln(n/k)).

    Document i > k is among the best k so far with probability k/i, and the sum of k/i is k ln(n/k) or less.

    >>> round(float(expected_insertions(1e9, 100)))
    1712
    """
    n, k_best = np.asarray(documents, dtype=float), np.asarray(k, dtype=float)
    return np.where(n <= k_best, n, k_best * (1.0 + np.log(np.maximum(n / k_best, 1.0))))[()]


def simulate_scan(
    index: ScanIndex,
    device: ScanDevice,
    *,
    batch: Number = 1,
    k: Number = 100,
    candidates: Number = 0,
    shards: Number | None = None,
) -> ScanResult:
    """Return the scan of `index` in batches of `batch` queries on the fewest `device`s that hold it, or on `shards`.

    A pass streams every code once for up to `slots` queries, compares it with each, and keeps the best max(k,
    candidates); resources work in parallel and the slowest sets the interval. A filter reads the tags of every document
    and compares codes of blocks with a match; only these blocks are read, at the rate of random reads, where that is
    faster than streaming all codes for the queries of a pass. Then a tree of `fan_in` merges the shards' answers, and
    the vectors of the best `candidates` are read for rescoring. If queries scan a share p of the documents, b of them
    stream 1 - (1 - p)^b. Inputs broadcast. Raises `InputError` for numbers out of range, or candidates without vectors
    to rescore.
    """
    batch, k = count("batch", batch, high=_MOST_BATCH), count("k", k, high=MOST_K)
    candidates = count("candidates", candidates, low=0, high=MOST_K)
    if np.any((np.asarray(candidates) > 0) & (np.asarray(index.vector_bytes) == 0)):
        raise InputError("candidates > 0 without vectors to rescore: expected vector_bytes > 0 in the index")
    needed = np.maximum(np.ceil(index.stored_bytes / device.memory_bytes), 1.0)[()]
    units = needed if shards is None else count("shards", shards, high=_MOST_SHARDS)
    matching = index.documents * index.selectivity
    kept = np.minimum(np.maximum(k, candidates), np.maximum(matching, 1.0))
    per_shard = index.documents / units
    passed = per_shard * index.scanned_share
    passes = np.ceil(batch / np.asarray(device.slots))

    together = batch / passes
    whole = passes * per_shard * -np.expm1(together * _log_missed(index.scanned_share))
    part = passes * per_shard * -np.expm1(together * _log_missed(index.scanned_share * index.read_share))
    skips = (part / device.random_bytes_per_s < whole / device.stream_bytes_per_s) & (index.read_share < 1.0)
    codes = np.where(skips, part, whole) * index.code_bytes
    streamed = codes + whole * index.tag_bytes
    code_rate = np.where(skips, device.random_bytes_per_s, device.stream_bytes_per_s)
    stream_s = codes / code_rate + whole * index.tag_bytes / device.stream_bytes_per_s
    compared = passed * index.read_share
    vector = np.ceil(np.asarray(index.vector_bytes) / device.access_bytes) * device.access_bytes
    rescored = batch * candidates / units * vector
    rescore_s = rescored / device.random_bytes_per_s
    compare_s = batch * compared / device.comparisons_per_s
    inserted = expected_insertions(passed * index.selectivity / device.slices, kept)
    top_s = inserted * device.insert_s * np.ceil(batch / np.asarray(device.heaps))
    answers = batch * np.clip(units, 1.0, device.fan_in) * kept * ANSWER_BYTES
    merge_s = answers / device.link_bytes_per_s

    busy = np.broadcast_arrays(stream_s + rescore_s, compare_s, top_s, merge_s)
    interval_s = np.maximum.reduce(busy)
    scan_s = np.maximum.reduce(np.broadcast_arrays(stream_s, compare_s, top_s))
    hops = np.maximum(np.ceil(np.log(units) / np.log(device.fan_in)), 1.0)
    again_s = np.where(np.asarray(candidates) > 0, device.start_s + device.link_latency_s, 0.0) + rescore_s
    latency_s = device.start_s + scan_s + hops * (device.link_latency_s + merge_s) + again_s

    parts = {
        "memory": (streamed + rescored) * device.j_per_byte / batch * units,
        "comparison": compared * device.j_per_comparison * units,
        "top-k": inserted * device.slices * device.j_per_insert * units,
        "merge": kept * ANSWER_BYTES * device.j_per_link_byte * units,
        "standing": device.standing_w * interval_s / batch * units,
    }
    energy_j = sum(parts.values())
    queries_per_s = batch / interval_s
    bound = np.asarray(RESOURCES, dtype=object)[np.argmax(np.stack(busy), axis=0)]
    return ScanResult(
        machine=device.name,
        comparison=device.comparison,
        documents=index.documents,
        bits=index.bits,
        planes=index.planes,
        batch=batch,
        k=k,
        candidates=candidates,
        shards=units,
        documents_per_shard=per_shard,
        stored_bytes=index.stored_bytes,
        queries_per_s=queries_per_s,
        latency_s=latency_s,
        bound_by=bound,
        occupancy_s={name: each[()] for name, each in zip(RESOURCES, busy, strict=True)},
        streamed_bytes_per_query=streamed / batch * units,
        compared_share=(compared / per_shard)[()],
        rescored_bytes_per_query=rescored / batch * units,
        energy_j_per_query=energy_j,
        energy_parts_j=parts,
        power_w=energy_j * queries_per_s,
        standing_w=device.standing_w * units,
        area_mm2=device.area_mm2 * units,
        checks=(Check("memory", index.stored_bytes, device.memory_bytes * units, "B"),),
    )


def _log_missed(share: Number) -> Number:
    """Return ln(1 - share), -inf for a share of 1, without a warning."""
    part = np.asarray(share, dtype=float)
    return np.where(part < 1.0, np.log1p(-np.where(part < 1.0, part, 0.0)), -np.inf)
