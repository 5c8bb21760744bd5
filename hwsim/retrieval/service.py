"""Queries that arrive one by one: batching windows, hot shards, replicas, and a lost shard.

An exact recursion over batches (Lindley, Proc. Cambridge Phil. Soc. 48, 1952, on every device). A batch is sent when
its window has closed or its slots are full, and a replica is free; it is answered when its slowest shard is. The times
of a batch on a device are those of `simulate_scan`, so both agree without queues.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError, Record
from hwbase.check import integer, non_negative, number, positive, real
from hwsim.events.results import PERCENTILES
from hwsim.events.traffic import Traffic
from hwsim.retrieval.device import ScanDevice
from hwsim.retrieval.index import ScanIndex
from hwsim.retrieval.scan import ScanResult, simulate_scan

#: Most devices of one simulation.
_MOST_DEVICES = 1_000_000


@dataclass(frozen=True)
class LostShard(Record):
    """Device `shard` of `replica` stops answering at `at_s`; all wait for it until `timeout_s` later."""

    at_s: float
    shard: int = 0
    replica: int = 0
    timeout_s: float = 0.1


@dataclass(frozen=True, eq=False)
class ScanService(Record):
    """Every query of a simulation, (queries,) in order of arrival, and how busy the devices were.

    `sent_s` is the start of its batch of `batch` queries, `end_s` the time of the merged answer; `answered_share` is
    the share of the documents scanned, which is the expected share of an exact answer's recall. `busy_share` is
    (replicas, shards) over `duration_s`; `energy_j` is of all devices over it.
    """

    machine: str
    traffic: str
    replicas: int
    shards: int
    arrival_s: np.ndarray
    sent_s: np.ndarray
    end_s: np.ndarray
    batch: np.ndarray
    answered_share: np.ndarray
    busy_share: np.ndarray
    duration_s: float
    energy_j: float

    @property
    def latency_s(self) -> np.ndarray:
        """Seconds from arrival to answer, (queries,)."""
        return self.end_s - self.arrival_s

    @property
    def queries_per_s(self) -> float:
        """Queries answered over the duration, per second."""
        return self.arrival_s.size / self.duration_s

    def summary(self) -> dict[str, Any]:
        """Return rates, latencies at percentiles, batches, the share answered, the hottest device and energy."""
        latencies = {f"latency_p{p}_s": float(np.percentile(self.latency_s, p)) for p in PERCENTILES}
        return {
            "machine": self.machine,
            "traffic": self.traffic,
            "replicas": self.replicas,
            "shards": self.shards,
            "queries": int(self.arrival_s.size),
            "queries_per_s": self.queries_per_s,
            **latencies,
            "mean_batch": float(np.mean(self.batch)),
            "answered_share": float(np.mean(self.answered_share)),
            "worst_answered_share": float(np.min(self.answered_share)),
            "busiest_share": float(np.max(self.busy_share)),
            "mean_busy_share": float(np.mean(self.busy_share)),
            "energy_j_per_query": self.energy_j / self.arrival_s.size,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each query."""
        names = ("arrival_s", "sent_s", "end_s", "latency_s", "batch", "answered_share")
        return pd.DataFrame({name: getattr(self, name) for name in names})


def serve_scan(
    index: ScanIndex,
    device: ScanDevice,
    traffic: Traffic,
    *,
    k: int = 100,
    candidates: int = 0,
    shards: int | None = None,
    replicas: int = 1,
    window_s: float = 0.0,
    most: int | None = None,
    skew: float = 0.0,
    jitter: float = 0.0,
    lost: LostShard | None = None,
    seed: int = 0,
) -> ScanService:
    """Return the service of the queries of `traffic` (its arrival times) by `replicas` copies of `index`.

    A batch opens with the first waiting query and is sent `window_s` later, or with `most` queries (default: the
    device's slots), to the replica that is free first. Shard i has (i + 1)^-skew of the mean shard's work, scaled to a
    mean of 1, times a gamma-distributed factor of mean 1 and variation `jitter`, drawn for each batch and shard from
    `seed`. A lost shard's work goes to the next replica; without one its documents are not scanned. Raises `InputError`
    for numbers out of range, or a lost shard that does not exist.
    """
    width = integer("most", int(np.max(device.slots)) if most is None else most, high=1e6)
    wait_s = real("window_s", window_s, low=0.0)
    number("skew", skew, low=0.0, high=10.0)
    number("jitter", jitter, low=0.0, high=10.0)
    closed = simulate_scan(index, device, batch=np.arange(1, width + 1), k=k, candidates=candidates, shards=shards)
    units = int(np.max(closed.shards))
    copies = integer("replicas", replicas, high=max(_MOST_DEVICES // units, 1))
    if lost is not None:
        _check(lost, units, copies)
    interval_s, tail_s, work_j = _tables(closed)
    heat = (np.arange(units) + 1.0) ** -skew
    heat *= units / heat.sum()

    random = np.random.default_rng(seed)
    arrival = traffic.arrival_s
    sent, end = np.empty(arrival.size), np.empty(arrival.size)
    batch, seen = np.empty(arrival.size, dtype=np.int64), np.ones(arrival.size)
    free, busy = np.zeros((copies, units)), np.zeros((copies, units))
    ready = np.zeros(copies)
    everywhere = np.arange(units)
    energy_j, first = 0.0, 0
    while first < arrival.size:
        copy = int(np.argmin(ready))
        last_in = arrival[first + width - 1] if first + width <= arrival.size else np.inf
        now = max(min(arrival[first] + wait_s, last_in), ready[copy])
        stop = min(int(np.searchsorted(arrival, now, side="right")), first + width)
        size = stop - first
        takes = interval_s[size - 1] * heat
        if jitter > 0.0:
            takes = takes * random.gamma(jitter**-2, jitter**2, units)
        begins = np.maximum(now, free[copy])
        done = begins + takes
        gone = lost is not None and copy == lost.replica and done[lost.shard] > lost.at_s
        owner = np.full(units, copy)
        if gone and lost is not None:
            known_s = max(now, lost.at_s + lost.timeout_s)
            if copies > 1:
                owner[lost.shard] = (copy + 1) % copies
                begins[lost.shard] = max(known_s, free[owner[lost.shard], lost.shard])
                done[lost.shard] = begins[lost.shard] + takes[lost.shard]
            else:
                takes[lost.shard], done[lost.shard] = 0.0, known_s
                seen[first:stop] = 1.0 - 1.0 / units
        free[owner, everywhere] = done
        busy[owner, everywhere] += takes
        ready[copy] = done.max()
        sent[first:stop], end[first:stop], batch[first:stop] = now, ready[copy] + tail_s[size - 1], size
        energy_j += work_j[size - 1]
        first = stop
    duration = float(end.max() - arrival[0])
    standing_w = float(np.max(closed.standing_w)) * copies
    return ScanService(
        machine=device.name,
        traffic=traffic.name,
        replicas=copies,
        shards=units,
        arrival_s=arrival,
        sent_s=sent,
        end_s=end,
        batch=batch,
        answered_share=seen,
        busy_share=busy / duration,
        duration_s=duration,
        energy_j=float(energy_j + standing_w * duration),
    )


def _check(lost: LostShard, units: int, copies: int) -> None:
    non_negative("lost.at_s", lost.at_s)
    positive("lost.timeout_s", lost.timeout_s)
    for name, there in (("shard", units), ("replica", copies)):
        value = integer(f"lost.{name}", getattr(lost, name), low=0)
        if value >= there:
            raise InputError(f"lost.{name} = {value}: expected less than {there}")


def _tables(closed: ScanResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (busy seconds of a device, further seconds to the answer, joules without standing) by batch size."""
    shape = np.shape(closed.batch)
    interval_s = np.broadcast_to(np.maximum.reduce(list(closed.occupancy_s.values())), shape)
    work_j = closed.batch * (closed.energy_j_per_query - closed.energy_parts_j["standing"])
    return interval_s, np.broadcast_to(closed.latency_s, shape) - interval_s, np.broadcast_to(work_j, shape)
