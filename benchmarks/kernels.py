"""Hardwired products beside NumPy's float32 matmul of the same size, medians and ratios in one run (of the least
times too, which other load on the machine disturbs less).

    python benchmarks/kernels.py [runs]

The two are timed in turn, run after run, so that a busy machine slows both alike. "float32" is a matmul of two
float32 arrays; "hardwired" is the exact int64 product of int8 activations with prepared FP4 weights, conversions
included; "popcount" is the same through bit planes and POPCNTs; "prepare" is once per matrix.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from hwsim import kernels

RUNS = 15
SEED = 5
SIZES = (1024, 2880)
BATCHES = (1, 16, 128)
#: Most vectors that the POPCNT path is timed with: its time is proportional to them.
POPCOUNT_BATCH = 16


def times(work: dict[str, Callable[[], object]], runs: int) -> dict[str, tuple[float, float]]:
    """Median and least milliseconds of each, timed in turn after one run to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for run in range(runs + 1):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return {name: (1e3 * statistics.median(values), 1e3 * min(values)) for name, values in seconds.items()}


def main() -> None:
    """Run and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    rng = np.random.default_rng(SEED)
    print(
        f"{'size':>12s} {'batch':>5s} {'float32 ms':>11s} {'hardwired ms':>13s} "
        f"{'ratio':>6s} {'of least':>8s} {'popcount ms':>12s}"
    )
    for size in SIZES:
        codes = rng.integers(0, 16, (size, size)).astype(np.uint8)
        weights = kernels.prepare(codes)
        floats = kernels.codes_to_halves(codes).astype(np.float32)
        for batch in BATCHES:
            activations = rng.integers(-128, 128, (batch, size)).astype(np.int8)
            reals = activations.astype(np.float32)
            few = activations[:POPCOUNT_BATCH]

            def plain(a: np.ndarray = reals, w: np.ndarray = floats) -> object:
                return a @ w

            def fast(a: np.ndarray = activations, w: kernels.HardwiredWeights = weights) -> object:
                return kernels.hardwired_matvec(w, a)

            def circuit(a: np.ndarray = few, w: kernels.HardwiredWeights = weights) -> object:
                return kernels.hardwired_matvec(w, a, method="popcount")

            took = times({"float32": plain, "hardwired": fast}, runs)
            (plain_ms, plain_least), (fast_ms, fast_least) = took["float32"], took["hardwired"]
            slow = times({"popcount": circuit}, 3)["popcount"][0] * batch / len(few)
            print(
                f"{size:6d}x{size:<5d} {batch:5d} {plain_ms:11.3f} {fast_ms:13.3f} "
                f"{fast_ms / plain_ms:5.2f}x {fast_least / plain_least:7.2f}x {slow:12.1f}"
            )
        once = times({"prepare": lambda c=codes: kernels.prepare(c).halves_float32}, 3)["prepare"][0]  # type: ignore[misc]
        print(f"{size:6d}x{size:<5d} prepare {once:.1f} ms")


if __name__ == "__main__":
    main()
