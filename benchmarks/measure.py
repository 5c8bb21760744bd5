"""What a benchmark yields, and the clocks that it reads."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One figure, beside that of a peer measured in the same run.

    `value` and `peer_value` have the unit `unit`; `peer` names what the figure stands beside. `note` says what else was
    checked, such as whether both gave the same answer, or why there is no figure.
    """

    name: str
    value: float | None
    unit: str
    peer: str = ""
    peer_value: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure over its peer's, or None without a peer."""
        return self.value / self.peer_value if self.value is not None and self.peer_value else None


def seconds(
    work: Mapping[str, Callable[[], object]], runs: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Return the seconds of each run of each piece of work, timed in turn after one run to warm up.

    Work that is timed in turn is slowed alike by whatever else the machine does. `clock` is `time.perf_counter` or, for
    one process alone, `time.process_time`.
    """
    times: dict[str, list[float]] = {name: [] for name in work}
    for run in range(runs + 1):
        for name, call in work.items():
            start = clock()
            call()
            if run:
                times[name].append(clock() - start)
    return times


def medians(
    work: Mapping[str, Callable[[], object]], runs: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median seconds of each piece of work, timed as in `seconds`."""
    return {name: statistics.median(times) for name, times in seconds(work, runs, clock).items()}


def absent(name: str, install: str) -> Measure:
    """Return the row of a peer that is not installed."""
    return Measure(name, None, "", note=f"not installed: pip install {install}")
