"""How fast bits are allocated: our solver, HiGHS and CBC on one machine in one run.

The table is SDXL-Turbo's 794 layers at 2, 4 and 8 bits (published SQNR, noise powers summed), and 10,000 layers at six
widths with log-normal sensitivities. "HiGHS direct" and "CBC direct" get the unscaled programme as allocators commonly
write it (HAWQ and ModelOpt use PuLP); every allocation is recomputed here and held against our proven bound.
"""

import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from benchmarks.measure import Measure, absent
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


def fastest(work: Callable[[], np.ndarray], runs: int) -> tuple[float, np.ndarray]:
    """Return the least seconds of `runs`, and the allocation."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        pick = work()
        times.append(time.perf_counter() - start)
    return min(times), pick


def quality(problem: Problem, pick: np.ndarray, bound: float) -> str:
    """Say how far an allocation is above the bound, and whether it keeps the budget."""
    limit, loss = problem.limits[0], float(problem.losses[pick].sum())
    over = float(np.asarray(limit.costs)[pick].sum() / limit.scale - limit.high)
    kept = "kept" if over <= 1e-12 * limit.high else f"over by {over:.1e} bits"
    return f"above the bound {(loss - bound) / loss:.1e}, budget {kept}"


def measures(quick: bool) -> Iterator[Measure]:
    """Yield the seconds of our solver beside those of HiGHS and CBC, for both instances."""
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import pulp  # noqa: F401
    except ImportError:
        yield absent("CBC", "'hwsim[solvers]'")
        cbc = False
    else:
        cbc = True
    runs = 1 if quick else RUNS
    layers = 500 if quick else 10_000
    for title, problem, with_cbc in (("SDXL-Turbo", sdxl(), cbc), (f"{layers:,} layers drawn", drawn(layers), False)):
        bound = solve(problem).bound
        own, pick = fastest(lambda p=problem: solve(p).pick, runs)  # type: ignore[misc]
        yield Measure(f"{title}: certified optimal", own, "s", note=quality(problem, pick, bound))
        others: dict[str, Callable[[], np.ndarray]] = {
            "gap 1e-6": lambda p=problem: solve(p, tolerance=1e-6).pick,  # type: ignore[misc]
            "HiGHS on our core": lambda p=problem: solve(p, solver="highs").pick,  # type: ignore[misc]
            "HiGHS direct": lambda p=problem: highs_direct(p),  # type: ignore[misc]
        }
        if with_cbc:
            others["CBC direct (PuLP)"] = lambda p=problem: cbc_direct(p)  # type: ignore[misc]
        for name, work in others.items():
            took, pick = fastest(work, 1)
            yield Measure(f"{title}: {name}", took, "s", "ours, certified", own, quality(problem, pick, bound))
