"""How fast bits are allocated: our solver, HiGHS and CBC on one machine in one run.

    python benchmarks/allocation.py [--slow]

The table is SDXL-Turbo's 794 layers at 2, 4 and 8 bits (published SQNR, noise powers summed), and 10,000 layers at six
widths with log-normal sensitivities. "HiGHS direct" and "CBC direct" get the unscaled programme as allocators commonly
write it (HAWQ and ModelOpt use PuLP); every allocation is recomputed here and held against our proven bound. `--slow`
also gives the large instance to CBC.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from explorer.papers.mixdq_data import sdxl_layers
from models.allocation import Limit, Problem, solve

RUNS = 5
MEAN_BITS = 4.0
SEED = 7
TIME_LIMIT_S = 120.0


def sdxl() -> Problem:
    """All 794 layers at three widths."""
    layers, bits = sdxl_layers(), np.array([2, 4, 8])
    noise = 10.0 ** (-layers[[f"w_sqnr_b{b}" for b in bits]].to_numpy() / 10.0)
    return _problem(layers["size"].to_numpy(), bits, noise)


def drawn(layers: int) -> Problem:
    """Layers of random size and sensitivity at six widths, not monotone."""
    rng, bits = np.random.default_rng(SEED), np.array([2, 3, 4, 5, 6, 8])
    sizes = rng.integers(1_000, 10_000_000, layers)
    noise = rng.lognormal(0, 2, (layers, 1)) * 4.0**-bits * rng.lognormal(0, 0.1, (layers, bits.size))
    return _problem(sizes, bits, noise)


def _problem(sizes: np.ndarray, bits: np.ndarray, losses: np.ndarray) -> Problem:
    costs = (sizes[:, None] * bits).ravel()
    limit = Limit("mean-bits", costs, high=MEAN_BITS, scale=float(sizes.sum()))
    return Problem(np.repeat(np.arange(sizes.size), bits.size), losses.ravel(), (limit,))


def highs_direct(problem: Problem) -> np.ndarray:
    """The programme as it stands, default options."""
    units, limit = problem.units, problem.limits[0]
    one_each = sparse.csr_matrix((np.ones(units.size), (units, np.arange(units.size))))
    budget = sparse.csr_matrix(np.asarray(limit.costs, dtype=float)[None, :])
    found = milp(
        problem.losses,
        integrality=np.ones(units.size),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(budget, -np.inf, limit.high * limit.scale)],
        options={"time_limit": TIME_LIMIT_S},
    )
    return np.lexsort((-found.x, units))[problem.starts]


def cbc_direct(problem: Problem) -> np.ndarray:
    """The same through PuLP."""
    import pulp

    limit = problem.limits[0]
    programme = pulp.LpProblem("allocation", pulp.LpMinimize)
    chosen = [pulp.LpVariable(f"x{i}", cat="Binary") for i in range(problem.units.size)]
    programme += pulp.lpSum(loss * x for loss, x in zip(problem.losses.tolist(), chosen, strict=True))
    for options in np.split(np.arange(problem.units.size), problem.starts[1:]):
        programme += pulp.lpSum(chosen[i] for i in options) == 1
    spent = pulp.lpSum(cost * x for cost, x in zip(np.asarray(limit.costs).tolist(), chosen, strict=True))
    programme += spent <= limit.high * limit.scale
    programme.solve(pulp.PULP_CBC_CMD(msg=False, timeLimit=TIME_LIMIT_S))
    shares = np.array([x.value() or 0.0 for x in chosen])
    return np.lexsort((-shares, problem.units))[problem.starts]


def measure(name: str, problem: Problem, work: Callable[[], np.ndarray], bound: float, runs: int) -> tuple[str, float]:
    """Print the fastest of `runs`, and how far the allocation is above the bound and over its budget."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        pick = work()
        seconds.append(time.perf_counter() - start)
    limit, loss = problem.limits[0], float(problem.losses[pick].sum())
    over = float(np.asarray(limit.costs)[pick].sum() / limit.scale - limit.high)
    kept = "kept" if over <= 1e-12 * limit.high else f"over by {over:.1e} bits"
    print(f"  {name:34s} {min(seconds):9.4f} s   above the bound {(loss - bound) / loss:9.1e}   budget {kept}")
    return name, min(seconds)


def compare(title: str, problem: Problem, runs: int, with_cbc: bool) -> None:
    """Print one instance."""
    print(f"{title}: {problem.starts.size:,} layers, {problem.units.size:,} options")
    found = solve(problem)
    times = dict(
        [
            measure("own, certified optimal", problem, lambda: solve(problem).pick, found.bound, runs),
            measure("own, gap 1e-6", problem, lambda: solve(problem, tolerance=1e-6).pick, found.bound, runs),
            measure("HiGHS on our core", problem, lambda: solve(problem, solver="highs").pick, found.bound, 1),
            measure("HiGHS direct", problem, lambda: highs_direct(problem), found.bound, 1),
        ]
    )
    if with_cbc:
        times |= dict([measure("CBC direct (PuLP)", problem, lambda: cbc_direct(problem), found.bound, 1)])
    own = times["own, certified optimal"]
    print(f"  {found.status}, gap {found.gap:.1e}; as long as ours takes:", end="")
    print(
        *(f" {name} {seconds / own:,.0f}x" for name, seconds in times.items() if "own" not in name), sep=",", end="\n\n"
    )


def main() -> None:
    """Run and print."""
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import pulp  # noqa: F401
    except ImportError:
        print("PuLP is not installed: without CBC")
        cbc = False
    else:
        cbc = True
    compare("SDXL-Turbo", sdxl(), RUNS, cbc)
    compare("drawn", drawn(10_000), RUNS, cbc and "--slow" in sys.argv)


if __name__ == "__main__":
    main()
