"""Points of a study, any stretch of them at a time: the same rows whichever pieces they are asked for in."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import qmc

from explorer.study.space import Parameter, active
from hwbase import InputError

SAMPLERS = ("grid", "random", "latin-hypercube", "sobol")
#: Random rows are drawn in stretches of this many, each from a seed of its own.
_STRETCH = 65536
#: Strata of all parameters of a Latin hypercube, which are kept in memory (4 bytes each).
MOST_STRATA = 10**8


def grid_size(parameters: Mapping[str, Parameter]) -> int:
    """Return the number of points of the full grid (before those that differ in nothing that counts are left out)."""
    size = 1
    for name, each in parameters.items():
        size *= len(each.grid(name))
    return size


def check_size(parameters: Mapping[str, Parameter], sampler: str, points: int) -> None:
    """Raise `InputError` if a sample of so many points cannot be drawn piece by piece."""
    if sampler == "latin-hypercube" and points * len(parameters) > MOST_STRATA:
        raise InputError(
            f"points = {points:,}: a latin-hypercube of {len(parameters)} parameters keeps their strata in memory, "
            f"{MOST_STRATA // len(parameters):,} points at most; sobol and random have no such limit"
        )


def sample(
    parameters: Mapping[str, Parameter], sampler: str, points: int, seed: int, start: int, stop: int
) -> dict[str, np.ndarray]:
    """Return rows `start` to `stop` of the study's `points`: the column "point" and one a parameter.

    Grid: the last parameter runs fastest; rows that differ from another only in a parameter that does not count there
    are left out, so there may be fewer than stop - start. Random: uniform. Latin hypercube: each parameter's range in
    `points` equal strata, one point in each (McKay et al., Technometrics 21, 1979). Sobol: scrambled (Owen 1998), best
    with a power of two. Raises `InputError` for a grid without levels.
    """
    if sampler == "grid":
        columns, counts = _grid(parameters, start, stop)
    else:
        unit = _unit(sampler, len(parameters), points, seed, start, stop)
        columns = {name: each.values(unit[:, i]) for i, (name, each) in enumerate(parameters.items())}
        counts = None
    keep = np.ones(stop - start, dtype=bool)
    holds_of = {name: active(parameters, columns, name) for name in parameters}
    for name, holds in holds_of.items():
        if holds is None:
            continue
        if counts is not None:
            keep &= holds | (counts[name] == 0)
        columns[name] = otherwise(parameters[name], columns[name], holds)
    columns = {"point": np.arange(start, stop, dtype=np.int64), **columns}
    return columns if keep.all() else {name: values[keep] for name, values in columns.items()}


def otherwise(given: Parameter, values: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """Return `values` with the parameter's `otherwise` where its condition does not hold (NaN or None without one)."""
    missing: Any = given.otherwise
    if values.dtype == object or (values.dtype == bool and missing is None):
        found = values.astype(object)
        found[~holds] = missing
        return found
    return np.where(holds, values, np.nan if missing is None else missing)


def _grid(
    parameters: Mapping[str, Parameter], start: int, stop: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rest = np.arange(start, stop, dtype=np.int64)
    values, places = {}, {}
    for name, each in reversed(list(parameters.items())):
        levels = each.grid(name)
        rest, places[name] = np.divmod(rest, len(levels))
        values[name] = levels[places[name]]
    return {name: values[name] for name in parameters}, places


def _unit(sampler: str, dimensions: int, points: int, seed: int, start: int, stop: int) -> np.ndarray:
    """Rows `start` to `stop` of the sample in the unit cube, shape (stop - start, dimensions)."""
    if sampler == "random":
        first, last = start // _STRETCH, (stop - 1) // _STRETCH
        drawn = [np.random.default_rng([seed, i]).random((_STRETCH, dimensions)) for i in range(first, last + 1)]
        return np.concatenate(drawn)[start - first * _STRETCH : stop - first * _STRETCH]
    if sampler == "sobol":
        engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
        return np.asarray(engine.fast_forward(start).random(stop - start)) if start else _first(engine, stop)
    if sampler == "latin-hypercube":
        inside = _unit("random", dimensions, points, seed, start, stop)
        return (_strata(dimensions, points, seed)[start:stop] + inside) / points
    raise InputError(f"sampler {sampler!r}: expected one of {', '.join(SAMPLERS)}")


def _first(engine: qmc.Sobol, stop: int) -> np.ndarray:
    """The first rows, drawn in a way that says nothing of balance: a study may stop anywhere."""
    return (
        np.concatenate([np.asarray(engine.random(1)), np.asarray(engine.random(stop - 1))])
        if stop > 1
        else (np.asarray(engine.random(1)))
    )


@lru_cache(maxsize=1)
def _strata(dimensions: int, points: int, seed: int) -> np.ndarray:
    """A permutation of the strata for each dimension, int32 (points, dimensions); kept for the next piece."""
    rng = np.random.default_rng([seed, points])
    return np.column_stack([rng.permutation(points).astype(np.int32) for _ in range(dimensions)])
