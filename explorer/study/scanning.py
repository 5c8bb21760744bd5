"""One index of binary codes on one kind of machine as one point of a study: its fleet, dollars, watts and tonnes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explorer.pricing.prices import cost_book
from explorer.scan.cost import scan_fleet
from hwbase import InputError, load_book, unknown_name
from hwbase.books import split_overrides
from hwsim.retrieval import MEMORIES, SCANNERS, TECHNOLOGY, ScanIndex
from hwsim.retrieval.engine import ENGINE_BOOK
from hwsim.retrieval.processors import CPU_BOOK, GPU_BOOK, GPU_SCAN_BOOK
from hwsim.technology import BOOKS, technology_book

#: What describes the index, and how `scan_fleet` is asked.
INDEX = ("documents", "bits", "planes", "vector_bytes", "scanned_share")
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
    machines = [load_book(name, BOOKS) for name in (ENGINE_BOOK, CPU_BOOK, GPU_BOOK, GPU_SCAN_BOOK)]
    books = [*machines, technology_book(fixed.get("technology") or TECHNOLOGY), cost_book("default")]
    return {*INDEX, *HOW, *(name for book in books for name in book)}


def check_scan(given: Mapping[str, Sequence[Any]]) -> None:
    """Raise `InputError` for a machine, memory or technology that no point can have."""
    for name, valid in (("on", SCANNERS), ("memory", MEMORIES)):
        for value in given.get(name, ()):
            if value is not None and value not in valid:
                raise unknown_name(name, value, valid)
    for value in given.get("technology", ()):
        if value is not None:
            technology_book(value)


def scan_points(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return `explorer.scan_fleet` of one point as columns of length 1.

    Constants that are missing (None or NaN) stay as their book has them. Raises `InputError` as `scan_fleet` does.
    """
    if points != 1:
        raise InputError(f"a scan takes one point at a time, not {points}")
    given = {n: v for n, v in inputs.items() if v is not None and v == v}
    index = ScanIndex(**{name: given.pop(name) for name in INDEX if name in given})
    how: dict[str, Any] = {name: _plain(name, given[name]) for name in HOW if name in given}
    costs = cost_book("default")
    for_costs, for_machine = split_overrides({n: v for n, v in given.items() if n not in HOW}, costs)
    fleet = scan_fleet(index, **how, book=costs.override(for_costs), set=for_machine)
    figures = {name: getattr(fleet, name) for name in _FLEET} | {name: getattr(fleet.scan, name) for name in _SCAN}
    columns = {name: np.array([float(value)]) for name, value in figures.items()}
    return columns | {"bound_by": np.array([str(fleet.scan.bound_by)], dtype=object)}


def _plain(name: str, value: Any) -> Any:
    """Counts as whole numbers; one that is none is for `scan_fleet` to refuse."""
    whole = name in _WHOLE and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value
