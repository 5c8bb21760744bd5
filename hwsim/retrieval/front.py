"""An index on an engine, a server or a GPU by name, with the constants that were read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwbase import Book, Reader, load_book, unknown_name
from hwbase.check import Number, count
from hwsim.retrieval.device import ScanDevice
from hwsim.retrieval.engine import ENGINE_BOOK, ScanEngine, engine_device, load_engine
from hwsim.retrieval.index import ScanIndex
from hwsim.retrieval.processors import (
    CPU_BOOK,
    GPU_BOOK,
    GPU_SCAN_BOOK,
    gpu_device,
    load_gpu_scan,
    load_server,
    server_device,
)
from hwsim.retrieval.scan import MOST_K, ScanResult, simulate_scan
from hwsim.technology import BOOKS, Technology, load_technology, technology_book

SCANNERS = ("engine", "cpu", "gpu")
#: The process with gate counts, not the density fitted to one paper's layout.
TECHNOLOGY = "n5"


def scan_device(
    index: ScanIndex,
    on: str = "engine",
    *,
    memory: str = "hbm3",
    unit: str = "popcount",
    k: Number = 100,
    technology: str = TECHNOLOGY,
    set: Mapping[str, Any] | None = None,
    engine: ScanEngine | None = None,
) -> tuple[ScanDevice, Reader]:
    """Return one of `SCANNERS` as rates for `index`, and the reader of its constants.

    `set` overrides constants of its books (an engine's: `hbm3.channels`, `engine.slots`, or of the technology);
    `engine` is a user's design. Raises `InputError` for unknown names and numbers out of range.
    """
    if on not in SCANNERS:
        raise unknown_name("--on", on, SCANNERS)
    given = dict(set or {})
    if on == "cpu":
        read = load_book(CPU_BOOK, BOOKS).override(given).reader()
        return server_device(load_server(reader=read), index), read
    if on == "gpu":
        sheet, scan = _overridden((load_book(GPU_BOOK, BOOKS), load_book(GPU_SCAN_BOOK, BOOKS)), given)
        gpu, how = load_gpu_scan((sheet, scan))
        device = gpu_device(gpu, how, index)
        return device, Reader(sheet.book, sheet.used | scan.used)
    design, process, read = read_engine(memory, unit=unit, technology=technology, set=given)
    return engine_device(engine or design, index, process, k=k), read


def read_engine(
    memory: str = "hbm3",
    *,
    unit: str = "popcount",
    technology: str = TECHNOLOGY,
    set: Mapping[str, Any] | None = None,
) -> tuple[ScanEngine, Technology, Reader]:
    """Return the engine of the book and its technology, both with the constants of `set`, and the constants read.

    Raises `InputError` for unknown names and numbers out of range.
    """
    book, process = _overridden((load_book(ENGINE_BOOK, BOOKS), technology_book(technology)), set or {})
    design, built_in = load_engine(memory, unit=unit, reader=book), load_technology(reader=process)
    return design, built_in, Reader(book.book, book.used | process.used)


def scan_index(
    index: ScanIndex,
    on: str = "engine",
    *,
    batch: Number = 1,
    k: Number = 100,
    candidates: Number = 0,
    shards: Number | None = None,
    **how: Any,
) -> ScanResult:
    """Return `simulate_scan` of `index` on one of `SCANNERS`, with its assumptions; `how` goes to `scan_device`.

    Raises `InputError` as `scan_device` and `simulate_scan` do.

    >>> index = ScanIndex(documents=1e9, bits=256)
    >>> scan = scan_index(index, "engine", batch=64)
    >>> print(f"{scan.queries_per_s:,.0f} queries/s on {scan.shards:.0f} device, bound by {scan.bound_by}")
    8,847 queries/s on 1 device, bound by memory
    """
    kept = np.maximum(count("k", k, high=MOST_K), count("candidates", candidates, low=0, high=MOST_K))
    device, read = scan_device(index, on, k=kept, **how)
    result = simulate_scan(index, device, batch=batch, k=k, candidates=candidates, shards=shards)
    return replace(result, assumptions=read.used)


def _overridden(books: tuple[Book, Book], given: Mapping[str, Any]) -> tuple[Reader, Reader]:
    """Return readers of both books, each with its own overrides. Raises `InputError` for unknown names."""
    first, second = books
    for name in given:
        if name not in first and name not in second:
            raise unknown_name("assumption", name, [*first, *second])
    return (
        first.override({name: value for name, value in given.items() if name in first}).reader(),
        second.override({name: value for name, value in given.items() if name in second}).reader(),
    )
