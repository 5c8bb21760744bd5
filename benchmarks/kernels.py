"""Hardwired products beside NumPy's float32 matmul of the same size.

"hardwired" is the exact int64 product of int8 activations with prepared FP4 weights, conversions included; "popcount"
is the same through bit planes and POPCNTs; "prepare" is once per matrix. Set OPENBLAS_NUM_THREADS=1 for one core.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.measure import Measure, medians
from hwsim import kernels

RUNS = 15
SEED = 5
SIZES = (1024, 2880)
BATCHES = (1, 16, 128)
#: Most vectors that the POPCNT path is timed with: its time is proportional to them.
POPCOUNT_BATCH = 16


def measures(quick: bool) -> Iterator[Measure]:
    """Yield milliseconds of each size and batch."""
    runs, sizes = (1, SIZES[:1]) if quick else (RUNS, SIZES)
    rng = np.random.default_rng(SEED)
    for size in sizes:
        codes = rng.integers(0, 16, (size, size)).astype(np.uint8)
        weights = kernels.prepare(codes)
        floats = kernels.codes_to_halves(codes).astype(np.float32)
        for batch in BATCHES:
            activations = rng.integers(-128, 128, (batch, size)).astype(np.int8)
            reals, few = activations.astype(np.float32), activations[:POPCOUNT_BATCH]
            work = {
                "float32": lambda a=reals, w=floats: a @ w,
                "hardwired": lambda a=activations, w=weights: kernels.hardwired_matvec(w, a),
            }
            took = medians(work, runs)  # type: ignore[arg-type]
            popcount = {"popcount": lambda a=few, w=weights: kernels.hardwired_matvec(w, a, method="popcount")}
            took |= {"popcount": medians(popcount, min(runs, 3))["popcount"] * batch / len(few)}  # type: ignore[arg-type]
            took = {name: 1e3 * duration for name, duration in took.items()}
            for name in ("hardwired", "popcount"):
                figure = f"{name}, {size} x {size}, vectors: {batch}"
                yield Measure(figure, took[name], "ms", "float32", took["float32"])
        once = medians({"prepare": lambda c=codes: kernels.prepare(c).halves_float32}, min(runs, 3))  # type: ignore[misc]
        yield Measure(f"prepare, {size} x {size}", 1e3 * once["prepare"], "ms")
