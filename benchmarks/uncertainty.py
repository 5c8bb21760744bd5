"""Sobol indices of the fleet's TCO ratio: `analyse` and `sobol` beside SALib's sample and analyze, in one run.

Both sample as many points of the same factors, evaluate the same vectorised model and draw as many bootstrap resamples.
Needs SALib (the test extra).
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from SALib.analyze import sobol as salib_analyze
from SALib.sample import sobol as salib_sample

from benchmarks.measure import Measure
from explorer.uncertainty import Scenario, analyse, factors_of
from explorer.uncertainty.distributions import correlated_shares
from explorer.uncertainty.scenario import Machine

RUNS = 3
RESAMPLES = 100
OUTPUT = "tco_ratio"
ORDERS = (("first", "S1"), ("total", "ST"))


def timed(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Median seconds of `work`, and what it returned last."""
    seconds, result = [], None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def measures(quick: bool) -> Iterator[Measure]:
    """Yield the seconds of both, whole and of the indices alone, and how well the indices agree."""
    samples = 256 if quick else 4096
    machine = Machine.of(Scenario())
    spreads = machine.spreads(machine.quantities())
    factors = factors_of(list(spreads), machine.correlations)
    members = [name for factor in factors for name in factor.members]
    problem = {
        "num_vars": len(members),
        "names": members,
        "groups": [factor.name for factor in factors for _ in factor.members],
        "bounds": [[0.0, 1.0]] * len(members),
    }

    def evaluated(unit: np.ndarray) -> np.ndarray:
        shares = correlated_shares(factors, unit)
        return np.log(machine({name: spread.at(shares[name]) for name, spread in spreads.items()})[OUTPUT])

    def sampled() -> np.ndarray:
        return salib_sample.sample(problem, samples, calc_second_order=False, seed=1)

    def analysed(outputs: np.ndarray) -> dict[str, Any]:
        return salib_analyze.analyze(
            problem, outputs, calc_second_order=False, num_resamples=RESAMPLES, seed=1, print_to_console=False
        )

    ours_draw, analysis = timed(lambda: analyse(samples=samples))
    ours_estimate, indices = timed(lambda: analysis.sobol(OUTPUT, resamples=RESAMPLES))
    their_sample, unit = timed(sampled)
    their_model, outputs = timed(lambda: evaluated(unit))
    their_estimate, theirs = timed(lambda: analysed(outputs))
    ours, whole = ours_draw + ours_estimate, their_sample + their_model + their_estimate

    note = f"{len(members)} constants, {len(factors)} factors, {len(unit):,} points, {RESAMPLES} resamples"
    yield Measure("sample, evaluate, indices", ours, "s", "SALib", whole, note)
    table = indices.set_index("name").loc[[factor.name for factor in factors]]
    agreement = []
    for order, key in ORDERS:
        apart = np.abs(table[order].to_numpy() - theirs[key])
        width = (table[f"{order}_high"] - table[f"{order}_low"]).to_numpy() / 2 + theirs[f"{key}_conf"]
        agreement.append(
            f"{order} order: largest difference {apart.max():.4f}, {(apart <= width).sum()} of {len(factors)} within "
            "the intervals"
        )
    yield Measure("indices alone", ours_estimate, "s", "SALib", their_estimate, "; ".join(agreement))
