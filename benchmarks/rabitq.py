"""RaBitQ codes of one bit beside faiss's IndexRaBitQ: milliseconds of one core, least of several runs taken in turn.

pip install faiss-cpu 'hwsim[numba]'; set OPENBLAS_NUM_THREADS=1. 1,000,000 random unit vectors of 384 dimensions, the
100 nearest, queries rounded to 4 and 8 bits on both sides. faiss has no rotation before its codes here.
"""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.measure import Measure, absent
from benchmarks.retrieval import least_ms
from hwsim.kernels import Hits, codes_from_bytes, search_scaled
from models.binarize import RabitqStore, fit_codec, round_query, unit

RUNS, DOCUMENTS, DIMS, NEAREST, SEED = 5, 1_000_000, 384, 100, 0
FITTED = 20_000
BATCHES, QUERY_BITS = (1, 16), (4, 8)


def measures(quick: bool) -> Iterator[Measure]:
    """Yield milliseconds of a batch beside faiss."""
    runs, documents = (1, 20_000) if quick else (RUNS, DOCUMENTS)
    x = unit(np.random.default_rng(SEED).standard_normal((documents, DIMS), np.float32))
    codec = fit_codec("rabitq:1", x[:FITTED])
    store, rows = codec.store, codec.encode(x)
    assert isinstance(store, RabitqStore)
    factors = store.factors(rows[:, -store.extra_bytes :])
    codes = codes_from_bytes(rows[:, : -store.extra_bytes].reshape(documents, 1, -1), DIMS)
    queries = codec.query(x[: max(BATCHES)]) - store.mean

    def ours(batch: int, bits: int) -> Hits:
        asked, scales = round_query(queries[:batch], bits)
        coded = codes_from_bytes(asked.reshape(batch, bits, -1), DIMS)
        return search_scaled(codes, factors.factor, factors.offset, coded, scales, NEAREST)

    try:
        import faiss
    except ImportError:
        yield absent("faiss", "faiss-cpu")
        flat = None
    else:
        faiss.omp_set_num_threads(1)
        flat = faiss.IndexRaBitQ(DIMS, faiss.METRIC_INNER_PRODUCT)
        flat.train(x[:FITTED])
        flat.add(x)
    for batch in BATCHES:
        for bits in QUERY_BITS:
            work: dict[str, Callable[[], object]] = {"ours": lambda b=batch, n=bits: ours(b, n)}  # type: ignore[misc]
            if flat is not None:
                flat.qb = bits
                work["faiss"] = lambda f=flat, b=batch: f.search(x[:b], NEAREST)  # type: ignore[misc]
            took = least_ms(work, runs)
            beside = ("faiss IndexRaBitQ", took["faiss"]) if "faiss" in took else ("", None)
            yield Measure(f"RaBitQ 1 bit, {batch} queries of {bits} bits", took["ours"], "ms", *beside)
