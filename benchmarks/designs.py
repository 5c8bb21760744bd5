"""Designs per second: one vectorised call against a Python loop over the same functions, in one run.

    python benchmarks/designs.py [points]

Prints medians, their ratio, and the peak memory of the process.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import explorer

RUNS = 5
LOOPED = 200
SEED = 7
KIB_PER_GIB = 1024**2


def space(points: int) -> dict[str, np.ndarray]:
    """Nine constants of the machine, the technology and the cost book, drawn at random."""
    rng = np.random.default_rng(SEED)
    return {
        "link_bandwidth_bytes_per_s": rng.uniform(64e9, 1e12, points),
        "vex_macs": rng.integers(4096, 65536, points),
        "buffer_banks": rng.integers(1000, 30000, points),
        "popcnt_slack": rng.uniform(0.0, 0.3, points),
        "logic_density_mtr_per_mm2": rng.uniform(138.0, 400.0, points),
        "n5.wafer_price_usd": rng.uniform(13_000.0, 18_500.0, points),
        "n5.d0_per_cm2": rng.uniform(0.05, 0.2, points),
        "grid.us_g_per_kwh": rng.uniform(50.0, 600.0, points),
        "context": rng.integers(1024, 131072, points),
    }


def rate(points: int, work: Callable[[], object], runs: int = RUNS) -> float:
    """Median points per second of `work`."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return points / statistics.median(seconds)


def main() -> None:
    """Run and print."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    varied = space(points)
    context = varied.pop("context")

    def vectorised(workers: int, die_formula: str = "de-vries") -> Callable[[], object]:
        return lambda: explorer.evaluate(
            "gpt-oss-120b", varied, context=context, workers=workers, die_formula=die_formula
        )

    def looped() -> None:
        for i in range(LOOPED):
            one = {name: values[i].item() for name, values in varied.items()}
            explorer.evaluate("gpt-oss-120b", one, context=context[i].item(), workers=1)

    loop = rate(LOOPED, looped, runs=3)
    rows = {
        "loop: one evaluate() a design, books read anew": loop,
        "one call, 1 thread": rate(points, vectorised(1)),
        "one call, 2 threads": rate(points, vectorised(2)),
        "one call, 2 threads, dies placed exactly": rate(points, vectorised(2, "exact"), runs=2),
    }
    for name, designs in rows.items():
        print(f"{name:46s} {designs:12,.0f} designs/s  {designs / loop:8,.0f}x")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB:.2f} GiB, {points:,} points")


if __name__ == "__main__":
    main()
