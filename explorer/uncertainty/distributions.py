"""From a range to a distribution. Books give low, nominal and high; the distribution between them is assumed here.

Shapes, all of which end at low and high:

- "triangular" (the default): most likely at nominal, falling linearly to both ends.
- "pert": a beta distribution with the same peak and less weight at the ends, mean (low + 4 nominal + high)/6.
- "uniform": all values equally likely, independent of the nominal one.
- "levels": the three numbers only, nominal as likely as both ends together.

A range whose ends differ by a factor of ten or more is taken in logarithms. Whole numbers (masks, re-spins) are rounded
from a range that is half a unit longer at both ends. In an asymmetric range the nominal value is not the median: half
of a triangle's draws lie beyond it, or nearly all where nominal is an end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from scipy.sparse.csgraph import connected_components

from hwbase import Correlation, InputError, Quantity, Record, unknown_name
from hwbase.arguments import checked
from hwbase.check import real
from hwbase.correlations import correlation_matrix

#: Shares stay this far from 0 and 1, where normal scores are infinite.
_EDGE = 2.0**-53


@dataclass(frozen=True)
class Factor(Record):
    """A quantity, or correlated ones: `signs` are 1 for those that rise with the factor and -1 for those that fall."""

    name: str
    members: tuple[str, ...]
    signs: tuple[int, ...]
    root: np.ndarray = field(repr=False)
    """A square root of the members' correlation matrix."""

    def shares(self, unit: np.ndarray) -> dict[str, np.ndarray]:
        """Return uniform shares of the members, correlated, from independent ones `unit` of shape (N, members)."""
        if len(self.members) == 1:
            return {self.members[0]: unit[:, 0]}
        scores = stats.norm.ppf(np.clip(unit, _EDGE, 1.0 - _EDGE)) @ self.root.T
        return dict(zip(self.members, stats.norm.cdf(scores).T, strict=True))

    def end(self, high: bool) -> dict[str, float]:
        """Return the shares (0 or 1) of the members with the factor at its low or high end."""
        return {name: float(high == (sign > 0)) for name, sign in zip(self.members, self.signs, strict=True)}


@checked
def factors_of(names: Sequence[str], correlations: Iterable[Correlation] = ()) -> tuple[Factor, ...]:
    """Return the independent factors of `names`, in the order of their first members; other names are ignored."""
    matrix = correlation_matrix(names, correlations)
    _, labels = connected_components(matrix != 0.0, directed=False)
    factors: list[Factor] = []
    for label in dict.fromkeys(labels.tolist()):
        places = np.flatnonzero(labels == label).tolist()
        members = tuple(names[place] for place in places)
        values, vectors = np.linalg.eigh(matrix[np.ix_(places, places)])
        # The direction of the largest movement, with the first member rising.
        lead = vectors[:, -1] if vectors[0, -1] >= 0.0 else -vectors[:, -1]
        root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
        name = group_name(members)
        if any(name == other.name for other in factors):
            name = f"{members[0]} + {len(members) - 1} more"
        factors.append(Factor(name, members, tuple(1 if w >= 0.0 else -1 for w in lead), root))
    return tuple(factors)


def group_name(members: Sequence[str]) -> str:
    """Return the label of a group: two names in full, more of one table as "design.*", others "a + 2 more"."""
    if len(members) <= 2:
        return " + ".join(members)
    table = members[0].rpartition(".")[0]
    if table and all(name.rpartition(".")[0] == table for name in members):
        return f"{table}.*"
    return f"{members[0]} + {len(members) - 1} more"


def correlated_shares(factors: Sequence[Factor], unit: np.ndarray) -> dict[str, np.ndarray]:
    """Return the shares of every member of the factors from a matrix (N, members of all), one column a member."""
    shares: dict[str, np.ndarray] = {}
    start = 0
    for factor in factors:
        stop = start + len(factor.members)
        shares |= factor.shares(unit[:, start:stop])
        start = stop
    return shares


SHAPES = ("triangular", "pert", "uniform", "levels")
#: Units of whole numbers.
COUNTED = ("mask", "chip", "lane")
#: From this ratio of high to low on, a range is taken in logarithms.
_DECADE = 10.0
#: Weight of the nominal value against both ends in a PERT distribution (Malcolm et al., Operations Research 7, 1959).
_PERT_WEIGHT = 4.0
#: Shares of the draws below which "levels" are low, and below which they are low or nominal.
_LEVELS = (0.25, 0.75)


@dataclass(frozen=True)
class Distribution(Record):
    """The distribution of a quantity; `log`: in logarithms, `whole`: whole numbers only."""

    low: float
    nominal: float
    high: float
    shape: str = "triangular"
    log: bool = False
    whole: bool = False

    def at(self, share: Any) -> np.ndarray:
        """Return the quantiles of `share` (in [0, 1], any shape); NaN gives the nominal value."""
        shares = np.asarray(share, dtype=float)
        centre = np.isnan(shares)
        shares = np.where(centre, 0.5, shares)
        if self.shape == "levels":
            values = np.select([shares < _LEVELS[0], shares < _LEVELS[1]], [self.low, self.nominal], self.high)
        else:
            room = 0.5 if self.whole else 0.0
            low, mode, high = self.low - room, self.nominal, self.high + room
            if self.log:
                values = np.exp(_quantile(self.shape, shares, *np.log([low, mode, high])))
            else:
                values = _quantile(self.shape, shares, low, mode, high)
            values = np.rint(values) if self.whole else values
            # Clip rounding errors, so that no draw is outside of the range and the ends are exact.
            values = np.clip(values, self.low, self.high)
            values = np.where(shares <= 0.0, self.low, np.where(shares >= 1.0, self.high, values))
        return np.where(centre, self.nominal, values)


@checked
def distribution(quantity: Quantity, shape: str = "triangular", whole: bool = False) -> Distribution:
    """Return the distribution of a quantity over its range; `whole` (or its unit) makes it a count.

    Raises `InputError` for an unknown shape, an end that is not a finite number, or a count with fractions.
    """
    if shape not in SHAPES:
        raise unknown_name("shape", shape, SHAPES)
    counted = whole or quantity.unit in COUNTED
    low, nominal, high = (real(level, quantity.at(level), whole=counted) for level in ("low", "nominal", "high"))
    if not low <= nominal <= high:
        raise InputError(f"low = {low:g}, nominal = {nominal:g}, high = {high:g}: expected low <= nominal <= high")
    return Distribution(low, nominal, high, shape, log=0.0 < low * _DECADE <= high, whole=counted)


@checked
def distributions(
    quantities: Mapping[str, Quantity],
    shape: str = "triangular",
    shapes: Mapping[str, str] | None = None,
    whole: Iterable[str] = (),
) -> dict[str, Distribution]:
    """Return the distribution of every quantity with a range; `shapes` maps single names to their shapes.

    Raises `InputError` naming the quantity.
    """
    own, counted = dict(shapes or {}), set(whole)
    for shape_name in (shape, *own.values()):
        if shape_name not in SHAPES:
            raise unknown_name("shape", shape_name, SHAPES)
    for name in (*own, *counted):
        if name not in quantities:
            raise unknown_name("quantity", name, quantities)
    spreads = {}
    for name, quantity in quantities.items():
        if np.ndim(quantity.nominal):
            raise InputError(f"{name} is a list of values: expected one number, with or without a range")
        try:
            made = distribution(quantity, own.get(name, shape), name in counted)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if made.low < made.high:
            spreads[name] = made
    return spreads


def _quantile(shape: str, shares: np.ndarray, low: float, mode: float, high: float) -> np.ndarray:
    width = high - low
    if shape == "uniform":
        return low + shares * width
    peak = (mode - low) / width
    if shape == "pert":
        return low + width * stats.beta.ppf(shares, 1.0 + _PERT_WEIGHT * peak, 1.0 + _PERT_WEIGHT * (1.0 - peak))
    rising = low + width * np.sqrt(shares * peak)
    return np.where(shares < peak, rising, high - width * np.sqrt((1.0 - shares) * (1.0 - peak)))
