"""Mapped designs per second: a search of the whole space beside a Python loop over `hwsim.simulate`."""

from collections.abc import Callable, Iterator

import explorer
import hwsim
from benchmarks.measure import Measure, medians

RUNS = 3
LOOPED = 200
MODEL = "gpt-oss-120b"
LOOP = "loop: one simulate() a design, and one of a single user"


def measures(quick: bool) -> Iterator[Measure]:
    """Yield designs per second in one thread and in two."""
    vary = {"rows": [1], "columns": [4, 8], "norms": ["sharded"]} if quick else {}
    looped, runs = (10, 1) if quick else (LOOPED, RUNS)
    designs = explorer.design(MODEL, vary=vary, confirm=0).tried

    def search(workers: int) -> Callable[[], object]:
        return lambda: explorer.design(MODEL, vary=vary, confirm=0, workers=workers)

    def loop() -> None:
        for i in range(looped):
            set = {"rows": 1, "columns": 4, "pipeline_stages": 4, "vex_macs": 16384 + i}
            hwsim.simulate(MODEL, set=set)
            hwsim.simulate(MODEL, set=set, batch=1)

    base = looped / medians({"loop": loop}, runs)["loop"]
    work = {"search, 1 thread": search(1), "search, 2 threads": search(2)}
    for name, took in medians(work, runs).items():
        yield Measure(
            name, designs / took, "designs/s", LOOP, base, f"{designs:,} mapped designs, each loaded and alone"
        )
