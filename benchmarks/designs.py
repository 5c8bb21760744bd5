"""Designs per second: one vectorised call of `explorer.evaluate` beside a Python loop over the same function."""

import resource
from collections.abc import Callable, Iterator

import numpy as np

import explorer
from benchmarks.measure import Measure, medians

RUNS = 5
LOOPED = 200
SEED = 7
KIB_PER_GIB = 1024**2
LOOP = "loop: one evaluate() a design, books read anew"


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


def measures(quick: bool) -> Iterator[Measure]:
    """Yield designs per second in one thread, in two, and with dies placed exactly."""
    points, looped, runs = (20_000, 10, 1) if quick else (1_000_000, LOOPED, RUNS)
    varied = space(points)
    context = varied.pop("context")

    def vectorised(workers: int, die_formula: str = "de-vries") -> Callable[[], object]:
        return lambda: explorer.evaluate(
            "gpt-oss-120b", varied, context=context, workers=workers, die_formula=die_formula
        )

    def loop() -> None:
        for i in range(looped):
            one = {name: values[i].item() for name, values in varied.items()}
            explorer.evaluate("gpt-oss-120b", one, context=context[i].item(), workers=1)

    base = looped / medians({"loop": loop}, min(runs, 3))["loop"]
    work = {
        "one call, 1 thread": vectorised(1),
        "one call, 2 threads": vectorised(2),
        "one call, 2 threads, dies placed exactly": vectorised(2, "exact"),
    }
    for name, took in medians(work, runs).items():
        yield Measure(name, points / took, "designs/s", LOOP, base, f"{points:,} points")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB
    yield Measure("memory at most", memory, "GiB")
