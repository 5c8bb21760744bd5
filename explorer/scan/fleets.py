"""An index before it exists: fleets of every machine that can scan it, and the latency of queries under traffic."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.scan.cost import ScanFleet, scan_fleet
from hwbase import InputError, Quantity, unknown_name
from hwbase.values import read_integer
from hwsim.events.traffic import bursty
from hwsim.retrieval import MEMORIES, SCANNERS, TECHNOLOGY, LostShard, ScanIndex, ScanService, scan_device, serve_scan

ALL = "all"
#: Columns of the comparison, from `ScanFleet`.
_COLUMNS = (
    *("machine", "copies", "devices", "busy_share", "it_power_w", "hardware_usd", "memory_usd", "nre_usd"),
    *("electricity_usd", "maintenance_usd", "total_usd", "usd_per_year", "usd_per_year_without_nre"),
    *("memory_usd_per_year", "usd_per_million_queries", "operational_t", "embodied_t", "t_per_year"),
)
_SCAN_COLUMNS = ("shards", "queries_per_s", "latency_s", "bound_by", "energy_j_per_query", "comparison")


@dataclass(frozen=True)
class ScanComparison(Documented):
    """Fleets of several machines for the same queries over the same index; `services` under traffic, if simulated."""

    index: ScanIndex
    queries_per_s: float
    batch: int
    k: int
    fleets: tuple[ScanFleet, ...]
    services: tuple[ScanService, ...] = ()

    @property
    def assumptions(self) -> dict[str, Quantity]:
        """Every constant that a fleet read."""
        return {name: quantity for fleet in self.fleets for name, quantity in fleet.assumptions.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the index, the fleets, and a summary of the queries' latencies."""
        fleets = [fleet.to_dict() for fleet in self.fleets]
        for fleet in fleets:
            fleet.pop("assumptions")
        return {
            "index": self.index.to_dict() | {"stored_bytes": float(self.index.stored_bytes)},
            "queries_per_s": self.queries_per_s,
            "batch": self.batch,
            "k": self.k,
            "fleets": fleets,
            "services": [service.summary() for service in self.services],
            "assumptions": {name: quantity.__dict__ for name, quantity in self.assumptions.items()},
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each fleet; columns of one copy are called `copy_...`."""
        rows = []
        for fleet in self.fleets:
            scan = {f"copy_{name}": getattr(fleet.scan, name) for name in _SCAN_COLUMNS}
            rows.append({name: getattr(fleet, name) for name in _COLUMNS} | scan)
        return pd.DataFrame(rows)

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.scan.document import scan_document

        return scan_document(self, command)


def compare_scans(
    index: ScanIndex,
    on: str | Sequence[str] = ALL,
    *,
    memory: str | None = None,
    queries_per_s: float = 1000.0,
    batch: int = 256,
    k: int = 100,
    **how: Any,
) -> ScanComparison:
    """Return the fleets of `on`: one or several of `SCANNERS`, or "all": engines of every memory, servers and GPUs.

    `memory` is the engine's alone (hbm3 by default; with "all", only that engine is compared). `how` is `scan_fleet`'s;
    with several machines, its `set` goes to the engines.
    Raises `InputError` for a memory without an engine, or as `scan_fleet` does.
    """
    names = [on] if isinstance(on, str) else list(on)
    machines = [machine for name in names for machine in _machines(name.lower(), memory, len(names) > 1)]
    if not machines or len(dict.fromkeys(machines)) < len(machines):
        raise InputError(f"on = {names}: expected machines that scan, each once")
    changes = dict(how.pop("set", None) or {})
    fleets = tuple(
        scan_fleet(
            index,
            name,
            memory=kind,
            queries_per_s=queries_per_s,
            batch=batch,
            k=k,
            set=changes if len(machines) == 1 or name == "engine" else {},
            **how,
        )
        for name, kind in machines
    )
    return ScanComparison(index, float(queries_per_s), int(batch), int(k), fleets)


def fleets_over_load(index: ScanIndex, loads: Sequence[float] | None = None, **how: Any) -> pd.DataFrame:
    """Return `ScanComparison.to_frame` of all machines at every rate of `loads`, as column `queries_per_s`.

    `loads` defaults to 1 to 1,000,000 a second; `how` are arguments of `compare_scans`. Raises `InputError`.
    """
    rates = np.geomspace(1.0, 1e6, 13) if loads is None else loads
    frames = [
        compare_scans(index, queries_per_s=float(rate), **how).to_frame().assign(queries_per_s=rate) for rate in rates
    ]
    return pd.concat(frames, ignore_index=True)


def serve_fleet(
    fleet: ScanFleet,
    index: ScanIndex,
    on: str,
    *,
    memory: str = "hbm3",
    requests: int = 20_000,
    burstiness: float = 1.0,
    seed: int = 0,
    set: Mapping[str, Any] | None = None,
    technology: str = TECHNOLOGY,
    unit: str = "popcount",
    lost: LostShard | None = None,
    **how: Any,
) -> ScanService:
    """Return the service of `requests` queries at the fleet's rate; `how` are arguments of `serve_scan`.

    Raises `InputError` as `serve_scan` does.
    """
    scan = fleet.scan
    k = int(scan.k)
    results_kept = max(k, int(scan.candidates))
    device, _ = scan_device(index, on, memory=memory, unit=unit, k=results_kept, technology=technology, set=set)
    drawn = read_integer("requests", requests, high=1e7)
    sent = bursty(fleet.queries_per_s, drawn, burstiness, seed=seed, name="drawn")
    return serve_scan(
        index, device, sent, k=k, candidates=int(scan.candidates), replicas=fleet.copies, lost=lost, seed=seed, **how
    )


def _machines(on: str, memory: str | None, several: bool = False) -> Iterable[tuple[str, str]]:
    if on not in (*SCANNERS, ALL):
        raise unknown_name("--on", on, (*SCANNERS, ALL))
    if memory is not None and memory not in MEMORIES:
        raise unknown_name("memory", memory, MEMORIES)
    if memory is not None and on not in ("engine", ALL) and not several:
        raise InputError(f"memory = {memory!r} is the engine's: expected --on engine or all beside it")
    if on == ALL:
        yield from (("engine", kind) for kind in ((memory,) if memory else MEMORIES))
        yield from (("cpu", "hbm3"), ("gpu", "hbm3"))
    else:
        yield on, (memory if on == "engine" else None) or "hbm3"
