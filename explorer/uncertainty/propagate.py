"""Random constants through any function: quasi-Monte Carlo, factors at their ends, and rows for Sobol indices."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import qmc

from explorer.uncertainty.distributions import Distribution, Factor, correlated_shares, distributions, factors_of
from explorer.uncertainty.results import Uncertainty
from hwbase import Correlation, InputError, Quantity, unknown_name
from hwbase.arguments import checked
from hwbase.check import integer
from hwbase.values import read_integer

#: Maps named arrays of one length (and numbers) to named arrays.
Function = Callable[[dict[str, Any]], Mapping[str, Any]]
#: The column in which a function may report why a point is infeasible (empty if it is feasible).
REASON = "failure"


@dataclass(frozen=True)
class Attempt:
    """Columns of all points, NaN (or an empty text) where `reasons` is not empty."""

    columns: dict[str, np.ndarray]
    reasons: np.ndarray


def attempt(function: Function, inputs: Mapping[str, Any], points: int) -> Attempt:
    """Return the outputs of `function` at `points` points; arrays of `inputs` have that length, the rest are numbers.

    If a function raises `InputError`, it is called again with halves of the points, down to the point that fails.
    Points with outputs that are not finite are infeasible too.
    """
    try:
        answer = function({**inputs})
    except InputError as error:
        if points == 1:
            return Attempt({}, np.array([str(error)], dtype=object))
        return _joined([attempt(function, part, size) for part, size in _halves(inputs, points)])
    columns = {name: _column(name, values, points) for name, values in answer.items()}
    reasons = np.full(points, "", dtype=object)
    for name, values in columns.items():
        if name != REASON and values.dtype.kind == "f":
            reasons[~np.isfinite(values)] = f"{name} is not finite"
    if REASON in columns:
        texts = columns.pop(REASON)
        stated = np.array(["" if _missing(reason) else str(reason) for reason in texts], dtype=object)
        reasons = np.where(stated != "", stated, reasons)
    return Attempt({name: _blanked(values, reasons != "") for name, values in columns.items()}, reasons)


def _column(name: str, values: Any, points: int) -> np.ndarray:
    array = np.asarray(values)
    try:
        return np.broadcast_to(array, (points,))
    except ValueError:
        raise TypeError(f"output {name} has shape {array.shape}: expected ({points},) or a number") from None


def _halves(inputs: Mapping[str, Any], points: int) -> list[tuple[dict[str, Any], int]]:
    half = points // 2
    return [
        ({name: values[part] if np.ndim(values) else values for name, values in inputs.items()}, size)
        for part, size in ((slice(None, half), half), (slice(half, None), points - half))
    ]


def _joined(parts: list[Attempt]) -> Attempt:
    names = dict.fromkeys(name for part in parts for name in part.columns)
    kinds = {name: next(p.columns[name] for p in parts if name in p.columns).dtype.kind for name in names}
    columns = {}
    for name in names:
        blank: Any = np.nan if kinds[name] in "fiub" else ""
        columns[name] = np.concatenate([part.columns.get(name, np.full(part.reasons.size, blank)) for part in parts])
    return Attempt(columns, np.concatenate([part.reasons for part in parts]))


def _blanked(values: np.ndarray, bad: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "fiub":
        return np.where(bad, np.nan, values.astype(float))
    return np.where(bad, "", values.astype(object))


def _missing(reason: Any) -> bool:
    return reason is None or reason == "" or reason != reason


#: Points passed to the function at once, or a factor's whole block if that is larger.
CHUNK = 2**17
LEAST, MOST = 2**4, 2**16


@checked
def propagate(
    function: Function,
    quantities: Mapping[str, Quantity],
    *,
    correlations: Iterable[Correlation] = (),
    samples: int = 4096,
    seed: int = 0,
    shape: str = "triangular",
    shapes: Mapping[str, str] | None = None,
    whole: Iterable[str] = (),
    together: Mapping[str, str] | None = None,
    log: Iterable[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Uncertainty:
    """Return the spread of the outputs of `function` over the ranges of `quantities`.

    `function` takes a dictionary of all names - arrays of one length for those with a range, numbers for the others -
    and returns a dictionary of arrays of that length (or numbers). It is called with `samples` x (factors + 2) points
    and once for every end of every range. Points for which it raises `InputError`, returns values that are not finite,
    or gives a reason in a column "failure" are left out and counted.

    `samples` is a power of two, the length of a scrambled Sobol sequence with `seed`. `shape`, `shapes` (of single
    names) and `whole` choose distributions (see `distributions`); `together` maps a name to another whose draws it
    shares, each in its own range. `log` names outputs whose variance is divided on a logarithmic scale, by default
    those called `..._ratio`. `progress` receives the share done. Raises `InputError` for options out of range,
    quantities without any range, and a function that fails at the nominal values.
    """
    made = distributions(quantities, shape, shapes, whole)
    shared = _shared(together or {}, quantities, made)
    factors = factors_of([name for name in made if name not in shared], tuple(correlations))
    if not factors:
        raise InputError("none of the quantities has a range: expected at least one with low < high")
    size = samples_of(samples)
    fixed = {name: q.nominal for name, q in quantities.items() if name not in made}
    points = Points(made, shared, fixed)

    ends = points.at(_end_shares(factors))
    at_ends = attempt(function, ends, 1 + 2 * len(factors))
    if at_ends.reasons[0]:
        raise InputError(f"the nominal point is infeasible: {at_ends.reasons[0]}")
    a, b = (points.at(shares) for shares in _sequence(factors, size, seed))
    show = progress or (lambda share: None)
    rows: dict[str, np.ndarray] = {}
    reasons, first, done = [], None, 0
    for chunk, parts in _chunks(points, factors, a, b, size):
        answer = attempt(function, chunk, parts * size)
        for name, values in answer.columns.items():
            if _numeric(values):
                held = rows.setdefault(name, np.full((len(factors) + 2, size), np.nan))
                held[done : done + parts] = values.reshape(parts, size)
        reasons.append(answer.reasons)
        first = first or Attempt({n: v[:size].copy() for n, v in answer.columns.items()}, answer.reasons[:size])
        done += parts
        show(done / (len(factors) + 2))
    assert first is not None
    return Uncertainty(
        factors=factors,
        distributions=made,
        quantities=dict(quantities),
        correlations=tuple(correlations),
        samples=size,
        seed=seed,
        inputs=pd.DataFrame({name: a[name] for name in made}),
        outputs=pd.DataFrame(first.columns),
        reasons=_tally(np.concatenate(reasons), size),
        ends=_ends(factors, at_ends),
        logs=_logs(log, first),
        rows=rows,
    )


@dataclass(frozen=True)
class Points:
    """Maps shares to the values that a function takes: those of ranges, some with the draws of others, and numbers."""

    made: Mapping[str, Distribution]
    shared: Mapping[str, str]
    fixed: Mapping[str, Any]

    def at(self, shares: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return values of all names; a name that shares the draws of another needs no share of its own."""
        values = {name: spread.at(shares[self.shared.get(name, name)]) for name, spread in self.made.items()}
        return {**self.fixed, **values}

    def swapped(self, factor: Factor, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
        """Return the points `a` with the values of one factor (and of names that share its draws) from `b`."""
        return {name: b[name] if self.shared.get(name, name) in factor.members else a[name] for name in a}


def samples_of(samples: Any) -> int:
    """Return `samples`, checked to be a power of two. Raises `InputError` that names the nearest."""
    size = read_integer("samples", samples, low=LEAST, high=MOST)
    if size & (size - 1):
        below = 2 ** (size.bit_length() - 1)
        raise InputError(f"samples = {size}: expected a power of two, such as {below} or {2 * below}")
    return size


def unit_sequence(columns: int, size: int, seed: int) -> np.ndarray:
    """Return a scrambled Sobol sequence in the unit cube, shape (size, columns). Raises `InputError` for the seed."""
    return qmc.Sobol(columns, scramble=True, rng=np.random.default_rng(integer("seed", seed, low=0))).random(size)


def _sequence(factors: Sequence[Factor], size: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield the shares of A and of B, two halves of one sequence of twice the columns."""
    columns = sum(len(factor.members) for factor in factors)
    for half in np.split(unit_sequence(2 * columns, size, seed), 2, axis=1):
        yield correlated_shares(factors, half)


def _end_shares(factors: Sequence[Factor]) -> dict[str, np.ndarray]:
    """Return shares of the nominal point, then of each factor at its low and at its high end."""
    rows: list[dict[str, float]] = [{}]
    for factor in factors:
        rows += [factor.end(high=False), factor.end(high=True)]
    members = [name for factor in factors for name in factor.members]
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in members}


def _chunks(
    points: Points, factors: Sequence[Factor], a: dict[str, Any], b: dict[str, Any], size: int
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield inputs of some blocks at a time: A and B first, then A with each factor from B in turn."""
    step = max(CHUNK // size, 1)
    for start in range(0, len(factors) + 2, step):
        some = [
            (a, b)[place] if place < 2 else points.swapped(factors[place - 2], a, b)
            for place in range(start, min(start + step, len(factors) + 2))
        ]
        yield (
            {
                name: np.concatenate([block[name] for block in some]) if np.ndim(value) else value
                for name, value in a.items()
            },
            len(some),
        )


def _numeric(values: np.ndarray) -> bool:
    return values.dtype.kind == "f"


def _ends(factors: Sequence[Factor], columns: Attempt) -> pd.DataFrame:
    """Return a row for the nominal point (factor "") and each end of each factor, with the outputs there."""
    labels = [("", "nominal"), *((factor.name, end) for factor in factors for end in ("low", "high"))]
    frame = pd.DataFrame(labels, columns=["factor", "end"])
    return frame.assign(**{name: values for name, values in columns.columns.items() if _numeric(values)})


def _tally(reasons: np.ndarray, size: int) -> pd.DataFrame:
    """Return the reasons of left-out points with counts: among the samples, and among all points evaluated."""
    everywhere, sampled = (pd.Series(part).value_counts() for part in (reasons, reasons[:size]))
    texts = [reason for reason in everywhere.index if reason]
    return pd.DataFrame(
        {
            "reason": texts,
            "samples": [int(sampled.get(reason, 0)) for reason in texts],
            "points": [int(everywhere[reason]) for reason in texts],
        }
    )


def _logs(log: Iterable[str] | None, block: Attempt) -> tuple[str, ...]:
    chosen = [name for name in block.columns if name.endswith("_ratio")] if log is None else list(log)
    numbers = {name: values for name, values in block.columns.items() if _numeric(values)}
    # An output that is not positive everywhere stays on a linear scale.
    return tuple(name for name in chosen if name in numbers and np.nanmin(numbers[name], initial=1.0) > 0.0)


def _shared(
    together: Mapping[str, str], quantities: Mapping[str, Quantity], made: Mapping[str, Distribution]
) -> dict[str, str]:
    for name in (*together, *together.values()):
        if name not in quantities:
            raise unknown_name("quantity in together:", name, quantities)
    for name, other in together.items():
        if other in together:
            raise InputError(f"together: {name} shares the draws of {other}, which has none of its own")
    # A number without a range is not drawn, so a name that would share its draws has its own.
    return {name: other for name, other in together.items() if name in made and other in made}
