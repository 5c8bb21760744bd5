"""Points of a study, any range of rows at a time; a row does not depend on the range."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.study.space import MOST_LEVELS, Choice, Integer, Parameter, Real, active
from hwbase import InputError

if TYPE_CHECKING:
    from scipy.stats import qmc

#: Sobol points of a finite space, each design once.
DISTINCT = "distinct"
SAMPLERS = ("grid", "random", "latin-hypercube", "sobol", DISTINCT)
#: Random rows are drawn in blocks of this many, each with its own seed.
_STRETCH = 65536
#: Most strata of all parameters of a Latin hypercube, which are kept in memory (4 bytes each).
MOST_STRATA = 10**8
#: Most designs that are counted and listed one by one.
_MOST_LISTED = 2**20
#: Most designs whose numbers fit a 64-bit integer; a sample of a larger space hardly repeats a design.
_MOST_NUMBERED = 2**62
#: Most blocks of a sequence that are searched for new designs.
_MOST_STRETCHES = 16


def grid_size(parameters: Mapping[str, Parameter]) -> int:
    """Return the number of points of the full grid, repeated designs of inactive parameters included."""
    size = 1
    for name, each in parameters.items():
        size *= len(each.grid(name))
    return size


def finite_size(parameters: Mapping[str, Parameter]) -> int | None:
    """Return the number of combinations of a space of choices and whole numbers; None with a real parameter.

    Levels are for a grid only: a parameter with levels is not enumerated by default.
    """
    if any(isinstance(each, Real) or (isinstance(each, Integer) and each.levels) for each in parameters.values()):
        return None
    return math.prod(_levels(each) for each in parameters.values())


def suited_sampler(parameters: Mapping[str, Parameter], points: int) -> str:
    """Return "grid" for a finite space of at most `points` designs, "distinct" for a larger one, otherwise "sobol"."""
    size = finite_size(parameters)
    if size is None or size > _MOST_NUMBERED:
        return "sobol"
    designs = size
    if points < size <= _MOST_LISTED and any(each.when for each in parameters.values()):
        designs = len(np.unique(_canonical(parameters, np.arange(size))))
    listed = all(_levels(each) <= MOST_LEVELS for each in parameters.values())
    return "grid" if designs <= points and listed else DISTINCT


def check_size(parameters: Mapping[str, Parameter], sampler: str, points: int) -> None:
    """Raise `InputError` if a sample of this size cannot be drawn piece by piece."""
    if sampler == DISTINCT:
        if not 0 < (finite_size(parameters) or 0) <= _MOST_NUMBERED:
            raise InputError("sampler 'distinct' needs choices and whole numbers without levels: expected 'sobol'")
        if points > MOST_STRATA:
            raise InputError(
                f"points = {points:,}: sampler 'distinct' keeps them in memory: expected at most {MOST_STRATA:,}"
            )
    if sampler == "latin-hypercube" and points * len(parameters) > MOST_STRATA:
        raise InputError(
            f"points = {points:,}: a latin-hypercube of {len(parameters)} parameters keeps their strata in memory, "
            f"{MOST_STRATA // len(parameters):,} points at most; sobol and random have no such limit"
        )


def sample(
    parameters: Mapping[str, Parameter], sampler: str, points: int, seed: int, start: int, stop: int
) -> dict[str, np.ndarray]:
    """Return rows `start` to `stop` of the study's `points`: the column "point" and one for each parameter.

    Grid: the last parameter varies fastest; rows that differ from another only in an inactive parameter are left out,
    so there may be fewer than stop - start. Random: uniform. Latin hypercube: each parameter's range in `points` equal
    strata, one point in each (McKay et al., Technometrics 21, 1979). Sobol: scrambled (Owen 1998), best with a power of
    two. Distinct: Sobol points of a finite space without repeated designs. Raises `InputError` for a grid without
    levels.
    """
    counts = None
    if sampler == "grid":
        columns, counts = _grid(parameters, start, stop)
    elif sampler == DISTINCT:
        columns = _at_codes(parameters, _distinct(_Space(repr(parameters), parameters), points, seed)[start:stop])
        stop = start + len(next(iter(columns.values())))
    else:
        unit = _unit(sampler, len(parameters), points, seed, start, stop)
        columns = {name: each.values(unit[:, i]) for i, (name, each) in enumerate(parameters.items())}
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


def otherwise(parameter: Parameter, values: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """Return `values` with the parameter's `otherwise` where its condition does not hold (default: NaN or None)."""
    missing: Any = parameter.otherwise
    if values.dtype == object or (values.dtype == bool and missing is None):
        filled = values.astype(object)
        filled[~holds] = missing
        return filled
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


@dataclass(frozen=True)
class _Space:
    """Parameters as the key of a cache: all their fields are compared."""

    text: str
    parameters: Mapping[str, Parameter] = field(compare=False)


@lru_cache(maxsize=1)
def _distinct(space: _Space, points: int, seed: int) -> np.ndarray:
    """Return the numbers of `points` different designs, int64, in the order of a Sobol sequence."""
    parameters = space.parameters
    from scipy.stats import qmc

    engine = qmc.Sobol(len(parameters), scramble=True, rng=np.random.default_rng(seed))
    taken = np.empty(0, dtype=np.int64)
    for _ in range(_MOST_STRETCHES):
        unit = _first(engine, points) if not taken.size else engine.random(points)
        columns = {name: each.values(np.asarray(unit)[:, i]) for i, (name, each) in enumerate(parameters.items())}
        taken = _without_repeats(np.concatenate([taken, _canonical(parameters, _codes(parameters, columns))]))[:points]
        if len(taken) == points:
            return taken
    size = finite_size(parameters) or 0
    if size <= _MOST_LISTED:
        missed = np.setdiff1d(_canonical(parameters, np.arange(size)), taken)
        taken = np.concatenate([taken, np.random.default_rng(seed).permutation(missed)])[:points]
    return taken


def _without_repeats(codes: np.ndarray) -> np.ndarray:
    return codes[np.sort(np.unique(codes, return_index=True)[1])]


def _levels(each: Parameter) -> int:
    return len(each.choices) if isinstance(each, Choice) else int(each.high) - int(each.low) + 1


def _codes(parameters: Mapping[str, Parameter], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Number the designs of a finite space, the last parameter fastest."""
    codes = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
    for name, each in parameters.items():
        codes = codes * _levels(each) + _places(each, columns[name])
    return codes


def _places(each: Parameter, values: np.ndarray) -> np.ndarray:
    if isinstance(each, Choice):
        place_of = {choice: i for i, choice in enumerate(each.choices)}
        return np.array([place_of[value] for value in values.tolist()], dtype=np.int64)
    return values.astype(np.int64) - int(each.low)


def _at_codes(parameters: Mapping[str, Parameter], codes: np.ndarray) -> dict[str, np.ndarray]:
    rest, columns = codes, {}
    for name, each in reversed(list(parameters.items())):
        rest, places = np.divmod(rest, _levels(each))
        columns[name] = each.grid(name)[places] if isinstance(each, Choice) else places + int(each.low)
    return {name: columns[name] for name in parameters}


def _canonical(parameters: Mapping[str, Parameter], codes: np.ndarray) -> np.ndarray:
    """Return the number of the same design with inactive parameters at their first value."""
    columns = _at_codes(parameters, codes)
    holds_of = {name: active(parameters, columns, name) for name in parameters}
    for name, holds in holds_of.items():
        if holds is not None:
            each = parameters[name]
            first = each.choices[0] if isinstance(each, Choice) else int(each.low)
            columns[name] = np.where(holds, columns[name], first)
    return _codes(parameters, columns)


def _unit(sampler: str, dimensions: int, points: int, seed: int, start: int, stop: int) -> np.ndarray:
    """Return rows `start` to `stop` of the sample in the unit cube, shape (stop - start, dimensions)."""
    if sampler == "random":
        first, last = start // _STRETCH, (stop - 1) // _STRETCH
        drawn = [np.random.default_rng([seed, i]).random((_STRETCH, dimensions)) for i in range(first, last + 1)]
        return np.concatenate(drawn)[start - first * _STRETCH : stop - first * _STRETCH]
    if sampler == "sobol":
        from scipy.stats import qmc

        engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
        return np.asarray(engine.fast_forward(start).random(stop - start)) if start else _first(engine, stop)
    if sampler == "latin-hypercube":
        inside = _unit("random", dimensions, points, seed, start, stop)
        return (_strata(dimensions, points, seed)[start:stop] + inside) / points
    raise InputError(f"sampler {sampler!r}: expected one of {', '.join(SAMPLERS)}")


def _first(engine: "qmc.Sobol", stop: int) -> np.ndarray:
    """Return the first rows, without the warning on balance: a study may stop at any point."""
    return (
        np.concatenate([np.asarray(engine.random(1)), np.asarray(engine.random(stop - 1))])
        if stop > 1
        else (np.asarray(engine.random(1)))
    )


@lru_cache(maxsize=1)
def _strata(dimensions: int, points: int, seed: int) -> np.ndarray:
    """Return a permutation of the strata for each dimension, int32 (points, dimensions), cached for the next piece."""
    rng = np.random.default_rng([seed, points])
    return np.column_stack([rng.permutation(points).astype(np.int32) for _ in range(dimensions)])
