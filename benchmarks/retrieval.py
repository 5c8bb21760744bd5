"""Exact search of packed codes beside faiss-cpu: milliseconds of one core, least of several runs taken in turn.

pip install faiss-cpu 'hwsim[numba]'; set OPENBLAS_NUM_THREADS=1, and unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE.

1,000,000 random codes of 256 and 1,024 bits, 1, 16 and 256 queries, the 100 nearest. Every answer is compared with
faiss: the same distances, and the same documents wherever a distance does not tie with the last one. Time is CPU time
of the process, so that another program on the machine disturbs it less; bandwidth is that of reading 400 MB. SDC is the
search of as many bits in two planes (recurrent codes), by the fastest backend that is there.
"""

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from benchmarks.measure import Measure, absent
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


def same(distances: np.ndarray, ids: np.ndarray, other: np.ndarray, other_ids: np.ndarray) -> bool:
    """Whether two answers agree: distances, and documents except among those tied with the last."""
    if not (distances == other).all():
        return False
    for row in range(len(ids)):
        sure = distances[row] < distances[row, -1]
        if set(ids[row, sure].tolist()) != set(other_ids[row, sure].tolist()):
            return False
    return True


def measures(quick: bool) -> Iterator[Measure]:
    """Yield milliseconds of a batch by backend, beside faiss."""
    runs, documents = (1, 20_000) if quick else (RUNS, DOCUMENTS)
    try:
        import faiss
    except ImportError:
        yield absent("faiss", "faiss-cpu")
        faiss = None
    else:
        faiss.omp_set_num_threads(1)
    block = np.zeros(READ_BYTES // 8, np.uint64)
    read_ms = least_ms({"read": lambda: np.bitwise_or.reduce(block)}, runs)["read"]
    yield Measure("reading memory, one core", READ_BYTES / read_ms / 1e6, "GB/s")
    rng = np.random.default_rng(SEED)
    compiled = find_spec("numba") is not None
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
            one, two = queries.take(slice(0, batch)), both_asked.take(slice(0, batch))
            work: dict[str, Callable[[], object]] = {}
            if flat is not None:
                work["faiss"] = lambda f=flat, b=batch, a=asked: f.search(a[:b], NEAREST)  # type: ignore[misc]
            backends = ("numpy", "numba") if compiled else ("numpy",)
            for name in backends:
                work[name] = lambda c=codes, q=one, n=name: search(c, q, NEAREST, backend=n)  # type: ignore[misc]
            work["SDC"] = lambda c=both, q=two, n=backends[-1]: search(c, q, NEAREST, backend=n)  # type: ignore[misc]
            took = least_ms(work, min(runs, FEW_RUNS) if batch > min(BATCHES) * 16 else runs)
            note = ""
            if flat is not None:
                distances, ids = flat.search(asked[:batch], NEAREST)
                answers = [search(codes, one, NEAREST, backend=name) for name in backends]
                note = f"same answers: {all(same(distances, ids, hits.scores, hits.ids) for hits in answers)}"
            for name, ms in took.items():
                if name != "faiss":
                    beside = ("faiss", took["faiss"]) if "faiss" in took else ("", None)
                    yield Measure(f"{name}, {bits} bits, {batch} queries", ms, "ms", *beside, note)
