"""The roofline of a server beside this machine's own kernels: rates measured apart, then scans predicted and timed."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hwbase import Record
from hwbase.check import integer
from hwsim.kernels import Codes, search
from hwsim.retrieval.index import ScanIndex
from hwsim.retrieval.processors import load_server, server_device
from hwsim.retrieval.scan import simulate_scan

#: Documents and queries that measure comparison alone: codes of 512 KB stay in the second cache.
_CACHED_DOCUMENTS, _CACHED_QUERIES = 1 << 14, 256
_CACHED_BITS = 256
_WORD_BITS = 64


@dataclass(frozen=True, eq=False)
class ScanValidation(Record):
    """Scans of this machine, (scans,), on one core: `measured_s` is the least of the runs, `ratio` predicted over it.

    The prediction knows `read_bytes_per_s`, (scans,), the fastest plain read of an array as large as the codes (a
    cache that holds one holds the other), `compared_bits_per_s` (256 queries over codes that stay in the second cache),
    and the insertions of the server's book.
    """

    processor: str
    backend: str
    documents: int
    k: int
    compared_bits_per_s: float
    bits: np.ndarray
    batch: np.ndarray
    read_bytes_per_s: np.ndarray
    bound_by: np.ndarray
    predicted_s: np.ndarray
    measured_s: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Predicted over measured, (scans,)."""
        return self.predicted_s / self.measured_s

    def to_frame(self) -> pd.DataFrame:
        """Return a row a scan."""
        names = ("bits", "batch", "read_bytes_per_s", "bound_by", "predicted_s", "measured_s", "ratio")
        return pd.DataFrame({name: getattr(self, name) for name in names})


def validate_cpu(
    *,
    documents: int = 1_000_000,
    bits: Sequence[int] = (256, 1024),
    batches: Sequence[int] = (1, 16, 256),
    k: int = 100,
    runs: int = 3,
    backend: str = "auto",
    seed: int = 0,
) -> ScanValidation:
    """Return scans of random codes timed on this machine beside the roofline of `server_device` with one core.

    `backend` is `hwsim.kernels.search`'s. Raises `InputError` for numbers out of range.
    """
    size, repeats = integer("documents", documents, high=1e9), integer("runs", runs, high=1e4)
    random = np.random.default_rng(seed)
    # NumPy's other formulations are no scans of bits: they would need rates of their own.
    method = "popcount" if backend == "numpy" else "auto"

    def scan(codes: Codes, queries: Codes, best: int) -> float:
        return _least(lambda: search(codes, queries, best, backend=backend, method=method), repeats)

    cached, asked = (_codes(random, n, _CACHED_BITS) for n in (_CACHED_DOCUMENTS, _CACHED_QUERIES))
    compared = _CACHED_BITS * _CACHED_DOCUMENTS * _CACHED_QUERIES / scan(cached, asked, 1)
    rows = []
    for each in bits:
        codes, index = _codes(random, size, int(each)), ScanIndex(size, each, id_bytes=0)
        read = _read_bytes_per_s(codes.bytes, repeats)
        server = replace(load_server(), core_bytes_per_s=read, popcount_bits_per_s=compared)
        for batch in batches:
            found = simulate_scan(index, server_device(server, index, cores=1), batch=batch, k=k)
            measured = scan(codes, _codes(random, int(batch), int(each)), k)
            rows.append((each, batch, read, str(found.bound_by), batch / float(found.queries_per_s), measured))
    names = ("bits", "batch", "read_bytes_per_s", "bound_by", "predicted_s", "measured_s")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    return ScanValidation(processor_name(), backend, size, k, compared, **columns)


def processor_name() -> str:
    """Return what this machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _codes(random: np.random.Generator, size: int, bits: int) -> Codes:
    words = -(-bits // _WORD_BITS)
    planes = random.integers(0, 2**_WORD_BITS, (1, words, size), dtype=np.uint64)
    if bits % _WORD_BITS:
        planes[:, -1] &= np.uint64((1 << bits % _WORD_BITS) - 1)
    return Codes(planes, bits)


def _read_bytes_per_s(size: int, runs: int) -> float:
    block = np.zeros(size // 8, dtype=np.int64)
    # Pages that were never written would all be one and the same.
    block += 1
    seconds = min(_least(read, runs) for read in (block.max, block.sum, lambda: np.bitwise_or.reduce(block)))
    return block.nbytes / seconds


def _least(work: Callable[[], object], runs: int) -> float:
    """Return the least seconds of the processor of `runs` after one to warm up: other work disturbs them less."""
    seconds = []
    for _ in range(runs + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds[1:])
