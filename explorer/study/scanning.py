"""One point of a study of scans: an index of binary codes on one kind of machine, with its fleet, cost and carbon."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import costmodel
from explorer.scan.cost import ScanFleet, costs_and_scanners, scan_constants, scan_costs, scan_fleet
from hwbase import InputError, unknown_name
from hwsim.retrieval import MEMORIES, SCANNERS, TECHNOLOGY, ScanIndex
from hwsim.technology import technology_book

#: Parameters of the index and of `scan_fleet`.
INDEX = ("documents", "bits", "planes", "vector_bytes", "scanned_share")
NEEDED = frozenset(("documents", "bits"))
HOW = ("on", "queries_per_s", "memory", "unit", "batch", "k", "candidates", "technology", "region")
_WHOLE = ("batch", "k", "candidates")
_FLEET = (
    *("copies", "devices", "busy_share", "it_power_w", "hardware_usd", "nre_usd", "electricity_usd", "total_usd"),
    *(
        "usd_per_year",
        "usd_per_year_without_nre",
        "usd_per_million_queries",
        "operational_t",
        "embodied_t",
        "t_per_year",
    ),
)
_SCAN = ("shards", "latency_s", "energy_j_per_query")
#: Columns of a study of scans.
OUTPUTS = (*_FLEET, *_SCAN, "bound_by")


def scan_names(fixed: Mapping[str, Any]) -> set[str]:
    """Return the names that a study of scans may vary: the index, the load, and constants of machines and costs."""
    return {*INDEX, *HOW, *scan_costs(), *scan_constants(fixed.get("technology") or TECHNOLOGY)}


def check_scan(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise `InputError` for an unknown machine, memory, region or technology."""
    for name, valid in (("on", SCANNERS), ("memory", MEMORIES)):
        for value in values.get(name, ()):
            if value is not None and value not in valid:
                raise unknown_name(name, value, valid)
    known = costmodel.regions(scan_costs()) if "region" in values else []
    for value in values.get("region", ()):
        if value is not None and value not in known:
            raise unknown_name("grid region", value, known)
    for value in values.get("technology", ()):
        if value is not None:
            technology_book(value)


def scan_points(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return `explorer.scan_fleet` of one point as columns of length 1.

    Constants that are missing (None or NaN) stay as their book has them. Raises `InputError` as `scan_fleet` does.
    """
    if points != 1:
        raise InputError(f"a scan takes one point at a time, not {points}")
    fleet = _fleet(inputs)
    figures = {name: getattr(fleet, name) for name in _FLEET} | {name: getattr(fleet.scan, name) for name in _SCAN}
    columns = {name: np.array([float(value)]) for name, value in figures.items()}
    return columns | {"bound_by": np.array([str(fleet.scan.bound_by)], dtype=object)}


def scan_reads(point: Mapping[str, Any]) -> set[str]:
    """Return which names of one `point` are read. Raises `InputError` as `scan_fleet` does."""
    return {*INDEX, *HOW, *_fleet(point).assumptions}


def _fleet(inputs: Mapping[str, Any]) -> ScanFleet:
    settings = {n: v for n, v in inputs.items() if v is not None and v == v}
    index = ScanIndex(**{name: settings.pop(name) for name in INDEX if name in settings})
    how: dict[str, Any] = {name: _plain(name, settings[name]) for name in HOW if name in settings}
    costs = scan_costs()
    constants = {n: v for n, v in settings.items() if n not in HOW}
    for_costs, for_machine = costs_and_scanners(constants, costs, how.get("technology") or TECHNOLOGY)
    return scan_fleet(index, **how, book=costs.override(for_costs), set=for_machine)


def _plain(name: str, value: Any) -> Any:
    """Return counts as whole numbers; other values are for `scan_fleet` to refuse."""
    whole = name in _WHOLE and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value
