"""The roofline of a server against this machine's own kernels: rates measured separately, scans predicted and timed."""

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

#: Documents and queries to measure comparison alone: codes of 512 KB stay in the second-level cache.
_CACHED_DOCUMENTS, _CACHED_QUERIES = 1 << 14, 256
_CACHED_BITS = 256
_WORD_BITS = 64


@dataclass(frozen=True, eq=False)
class ScanValidation(Record):
    """Scans on one core of this machine, (scans,): `measured_s` is the minimum of the runs, `ratio` predicted over it.

    The prediction uses `read_bytes_per_s`, (scans,), the fastest plain read of an array as large as the codes (which
    has the same place in the caches), `compared_bits_per_s` (256 queries over codes in the second-level cache), and the
    insertions of the server's book.
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
        """Return a row for each scan."""
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
    """Return scans of random codes timed on this machine, with the roofline of `server_device` on one core.

    `backend` is `hwsim.kernels.search`'s. Raises `InputError` for numbers out of range.
    """
    size, repeats = integer("documents", documents, high=1e9), integer("runs", runs, high=1e4)
    random = np.random.default_rng(seed)
    # NumPy's other methods do not scan bits and would need other rates.
    method = "popcount" if backend == "numpy" else "auto"

    def scan(codes: Codes, queries: Codes, best: int) -> float:
        return _least(lambda: search(codes, queries, best, backend=backend, method=method), repeats)

    cached, query_codes = (_codes(random, n, _CACHED_BITS) for n in (_CACHED_DOCUMENTS, _CACHED_QUERIES))
    compared = _CACHED_BITS * _CACHED_DOCUMENTS * _CACHED_QUERIES / scan(cached, query_codes, 1)
    rows = []
    for each in bits:
        codes, index = _codes(random, size, int(each)), ScanIndex(size, each, id_bytes=0)
        read = _read_bytes_per_s(codes.bytes, repeats)
        server = replace(load_server(), core_bytes_per_s=read, popcount_bits_per_s=compared)
        for batch in batches:
            result = simulate_scan(index, server_device(server, index, cores=1), batch=batch, k=k)
            measured = scan(codes, _codes(random, int(batch), int(each)), k)
            rows.append((each, batch, read, str(result.bound_by), batch / float(result.queries_per_s), measured))
    names = ("bits", "batch", "read_bytes_per_s", "bound_by", "predicted_s", "measured_s")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    return ScanValidation(processor_name(), backend, size, k, compared, **columns)


def processor_name() -> str:
    """Return the name of this machine's processor."""
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
    # Pages that were never written would all map to the same one.
    block += 1
    seconds = min(_least(read, runs) for read in (block.max, block.sum, lambda: np.bitwise_or.reduce(block)))
    return block.nbytes / seconds


def _least(work: Callable[[], object], runs: int) -> float:
    """Return the minimum processor time of `runs` after one warm-up run; the minimum is least disturbed."""
    seconds = []
    for _ in range(runs + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds[1:])
