"""Correlations between quantities, as a book states them.

A book may hold `[[correlations]]` tables: `between` names two quantities or more (every pair of them correlates), `rho`
is the correlation of their normal scores (the parameter of a Gaussian copula), with a year, a source and a kind like
any number of a book. Pairs that no table states are independent. A pair that a book states again replaces that of the
book it extends. Loading is strict: names must exist, |rho| <= 1, and all pairs together must be possible at once.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from hwbase.check import number
from hwbase.errors import InputError, cut, unknown_name
from hwbase.kinds import Kind
from hwbase.parsing import parse_strict

#: Eigenvalues down to this are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Correlation:
    """A sourced correlation of the quantities `between`; in a loaded book, of exactly two, in alphabetical order."""

    between: tuple[str, ...]
    rho: float
    source: str
    kind: Kind
    year: int
    note: str = ""


_CORRELATION = TypeAdapter(Correlation)


def read_correlations(where: str, tables: Any) -> tuple[Correlation, ...]:
    """Return the correlations of a file, a record for every pair of names; `where` names the file for messages.

    Raises `InputError` for what is not a list of tables, unknown or missing keys, fewer than two names, a pair stated
    twice, and |rho| > 1.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(
            f"{where}: correlations: expected [[correlations]] tables with between, rho, year, source, kind"
        )
    pairs: dict[tuple[str, ...], Correlation] = {}
    for place, table in enumerate(tables, start=1):
        stated = parse_strict(_CORRELATION, table, Correlation, f"{where}: correlations {place}")
        what = f"{where}: correlation of {cut(', '.join(stated.between))}"
        if len(set(stated.between)) != len(stated.between) or len(stated.between) < 2:
            raise InputError(f"{what}: expected two names or more, each once")
        number(f"{what}: rho", stated.rho, low=-1.0, high=1.0)
        if not stated.source.strip():
            raise InputError(f"{what}: source is empty: expected where the number comes from")
        for pair in itertools.combinations(sorted(stated.between), 2):
            if pair in pairs:
                raise InputError(f"{where}: correlation of {cut(' and '.join(pair))} is stated twice: expected once")
            pairs[pair] = dataclasses.replace(stated, between=pair)
    return tuple(pairs.values())


def merge_correlations(base: Iterable[Correlation], own: Iterable[Correlation]) -> tuple[Correlation, ...]:
    """Return the pairs of `base` with those of `own` in their place or after them."""
    pairs = {correlation.between: correlation for correlation in (*base, *own)}
    return tuple(pairs.values())


def check_correlations(where: str, correlations: Sequence[Correlation], names: Mapping[str, Any]) -> None:
    """Raise `InputError` for a name that is not among `names`, or pairs that cannot all hold at once."""
    for correlation in correlations:
        for name in correlation.between:
            if name not in names:
                raise unknown_name(f"assumption in a correlation of {where}:", name, names)
    involved = sorted({name for correlation in correlations for name in correlation.between})
    if not involved:
        return
    values, vectors = np.linalg.eigh(correlation_matrix(involved, correlations))
    if values[0] < -_ROUNDING:
        blamed = [name for name, weight in zip(involved, vectors[:, 0], strict=True) if abs(weight) > _ROUNDING]
        raise InputError(
            f"{where}: the correlations of {cut(', '.join(blamed))} cannot all hold (least eigenvalue "
            f"{values[0]:.3g}): expected a positive semi-definite matrix"
        )


def correlation_matrix(names: Sequence[str], correlations: Iterable[Correlation]) -> np.ndarray:
    """Return the matrix of the `names`, in their order; pairs with a name that is not among them are left out."""
    places = {name: place for place, name in enumerate(names)}
    matrix = np.eye(len(names))
    for correlation in correlations:
        for first, second in itertools.combinations(correlation.between, 2):
            if first in places and second in places:
                matrix[places[first], places[second]] = matrix[places[second], places[first]] = correlation.rho
    return matrix
