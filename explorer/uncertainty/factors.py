"""What varies on its own: single quantities, and groups of those that move together.

Correlated quantities share a Gaussian copula: normal scores z = R e with R R' = C, the matrix of the stated
correlations, and shares u = Phi(z), which each quantity's distribution turns into values. Groups are independent of one
another, so that Sobol indices are those of groups; a group's indices are what all its quantities do together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from scipy.sparse.csgraph import connected_components

from hwbase import Correlation, Record
from hwbase.correlations import correlation_matrix

#: Shares are kept this far from 0 and 1, where normal scores are infinite.
_EDGE = 2.0**-53


@dataclass(frozen=True)
class Factor(Record):
    """A quantity, or correlated ones: `signs` say which of them rise (1) and fall (-1) when the factor rises."""

    name: str
    members: tuple[str, ...]
    signs: tuple[int, ...]
    root: np.ndarray = field(repr=False)
    """R, a square root of the members' correlation matrix."""

    def shares(self, unit: np.ndarray) -> dict[str, np.ndarray]:
        """Return uniform shares of the members, correlated, from independent ones `unit` of shape (N, members)."""
        if len(self.members) == 1:
            return {self.members[0]: unit[:, 0]}
        scores = stats.norm.ppf(np.clip(unit, _EDGE, 1.0 - _EDGE)) @ self.root.T
        return dict(zip(self.members, stats.norm.cdf(scores).T, strict=True))

    def end(self, high: bool) -> dict[str, float]:
        """Return the shares (0 or 1) of the members with the factor at its low or high end."""
        return {name: float(high == (sign > 0)) for name, sign in zip(self.members, self.signs, strict=True)}


def factors_of(names: Sequence[str], correlations: Iterable[Correlation] = ()) -> tuple[Factor, ...]:
    """Return the independent factors of `names`, in the order of their first members; other names are ignored."""
    matrix = correlation_matrix(names, correlations)
    _, labels = connected_components(matrix != 0.0, directed=False)
    factors: list[Factor] = []
    for label in dict.fromkeys(labels.tolist()):
        places = np.flatnonzero(labels == label).tolist()
        members = tuple(names[place] for place in places)
        values, vectors = np.linalg.eigh(matrix[np.ix_(places, places)])
        # The direction in which the members move most, the first of them upwards.
        lead = vectors[:, -1] if vectors[0, -1] >= 0.0 else -vectors[:, -1]
        root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
        name = group_name(members)
        if any(name == other.name for other in factors):
            name = f"{members[0]} + {len(members) - 1} more"
        factors.append(Factor(name, members, tuple(1 if w >= 0.0 else -1 for w in lead), root))
    return tuple(factors)


def group_name(members: Sequence[str]) -> str:
    """Return what a group is called: two names in full, more of one table as "design.*", others "a + 2 more"."""
    if len(members) <= 2:
        return " + ".join(members)
    table = members[0].rpartition(".")[0]
    if table and all(name.rpartition(".")[0] == table for name in members):
        return f"{table}.*"
    return f"{members[0]} + {len(members) - 1} more"


def correlated_shares(factors: Sequence[Factor], unit: np.ndarray) -> dict[str, np.ndarray]:
    """Return the shares of every member of the factors from a matrix (N, members of all), a column a member."""
    shares: dict[str, np.ndarray] = {}
    start = 0
    for factor in factors:
        stop = start + len(factor.members)
        shares |= factor.shares(unit[:, start:stop])
        start = stop
    return shares
