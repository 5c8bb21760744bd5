"""Exact search of packed codes beside faiss-cpu: milliseconds of one core, least of several runs taken in turn.

    pip install faiss-cpu 'hwsim[numba]'
    unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
    OPENBLAS_NUM_THREADS=1 python benchmarks/retrieval.py [runs] [documents]

1,000,000 random codes of 256 and 1,024 bits, 1, 16 and 256 queries, the 100 nearest. Every answer is compared with
faiss: the same distances, and the same documents wherever a distance does not tie with the last one. Time is CPU time
of the process, so that another program on the machine disturbs it less; bandwidth is that of reading 400 MB. SDC is the
search of as many bits in two planes (recurrent codes), by the fastest backend that is there.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hwsim.kernels import codes_from_bytes, search

RUNS = 7
DOCUMENTS = 1_000_000
BITS = (256, 1024)
BATCHES = (1, 16, 256)
NEAREST = 100
SEED = 0
READ_BYTES = 400_000_000
#: Longer batches are timed less often.
FEW_RUNS = 3


def least_ms(work: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Least CPU milliseconds of each, in turn, after one run to warm up."""
    best = dict.fromkeys(work, float("inf"))
    for run in range(runs + 1):
        for name, call in work.items():
            start = time.process_time()
            call()
            if run:
                best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def same(distances: np.ndarray, ids: np.ndarray, other: np.ndarray, other_ids: np.ndarray) -> bool:
    """Whether two answers agree: distances, and documents except among those tied with the last."""
    if not (distances == other).all():
        return False
    for row in range(len(ids)):
        sure = distances[row] < distances[row, -1]
        if set(ids[row, sure].tolist()) != set(other_ids[row, sure].tolist()):
            return False
    return True


def main() -> None:
    """Run and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    documents = int(sys.argv[2]) if len(sys.argv) > 2 else DOCUMENTS
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if name in os.environ:
            print(f"{name} is set: matrix products may be slower than they could be")
    try:
        import faiss
    except ImportError:
        print("without faiss: pip install faiss-cpu")
        faiss = None
    else:
        faiss.omp_set_num_threads(1)
    block = np.zeros(READ_BYTES // 8, np.uint64)
    read_ms = least_ms({"read": lambda: np.bitwise_or.reduce(block)}, runs)["read"]
    bandwidth = READ_BYTES / read_ms / 1e6
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{processor()}, {os.cpu_count()} cores, load {load:.1f}; one core reads {bandwidth:.1f} GB/s")
    print(f"{documents:,} documents, {NEAREST} nearest; CPU ms of a batch (x faiss), GB/s of codes scanned")
    rng = np.random.default_rng(SEED)
    fastest = "numpy" if find_spec("numba") is None else "numba"
    for bits in BITS:
        rows = rng.integers(0, 256, (documents, bits // 8)).astype(np.uint8)
        asked = rng.integers(0, 256, (max(BATCHES), bits // 8)).astype(np.uint8)
        codes, queries = codes_from_bytes(rows[:, None], bits), codes_from_bytes(asked[:, None], bits)
        both = codes_from_bytes(rows.reshape(documents, 2, -1), bits // 2)
        both_asked = codes_from_bytes(asked.reshape(len(asked), 2, -1), bits // 2)
        flat = None
        if faiss is not None:
            flat = faiss.IndexBinaryFlat(bits)
            flat.add(rows)
        for batch in BATCHES:
            one = queries.take(slice(0, batch))
            work: dict[str, Callable[[], object]] = {}
            if flat is not None:
                work["faiss"] = lambda f=flat, b=batch, a=asked: f.search(a[:b], NEAREST)  # type: ignore[misc]
            work["numpy"] = lambda c=codes, q=one: search(c, q, NEAREST, backend="numpy")  # type: ignore[misc]
            if find_spec("numba") is not None:
                work["numba"] = lambda c=codes, q=one: search(c, q, NEAREST, backend="numba")  # type: ignore[misc]
            two = both_asked.take(slice(0, batch))
            work["SDC"] = lambda c=both, q=two: search(c, q, NEAREST, backend=fastest)  # type: ignore[misc]
            took = least_ms(work, min(runs, FEW_RUNS) if batch > min(BATCHES) * 16 else runs)
            agree = "-"
            if flat is not None:
                distances, ids = flat.search(asked[:batch], NEAREST)
                answers = [search(codes, one, NEAREST, backend=name) for name in work if name in ("numpy", "numba")]
                agree = str(all(same(distances, ids, hits.scores, hits.ids) for hits in answers))
            cells = []
            for name, ms in took.items():
                ratio = f" ({ms / took['faiss']:.2f}x)" if "faiss" in took and name != "faiss" else ""
                scanned = codes.bytes / ms / 1e6 if batch == 1 else codes.bytes * batch / ms / 1e6
                cells.append(f"{name} {ms:9.2f}{ratio} {scanned:6.1f} GB/s")
            print(f"{bits:5d} bits {batch:4d} queries: {'; '.join(cells)}; same answers: {agree}", flush=True)


if __name__ == "__main__":
    main()
