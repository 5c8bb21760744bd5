"""Constraints of a search: formulas as studies have them, how many designs meet each, and the nearest miss."""

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from explorer.study.expressions import check_columns, column_names, evaluate_formula, parse, truth
from hwbase import InputError
from hwbase.columns import column
from hwbase.numbers import percent

_BELOW, _ABOVE = (ast.Lt, ast.LtE), (ast.Gt, ast.GtE)
#: The share by which a design misses a condition, and the two sides of it.
Miss = tuple[float, float, float]


@dataclass(frozen=True)
class Tally:
    """How designs fare with a condition: of how many, how many meet it or break it alone; the nearest miss of both."""

    tried: int = 0
    met: int = 0
    alone: int = 0
    nearest: Miss | None = None
    nearest_alone: Miss | None = None

    def plus(self, other: "Tally") -> "Tally":
        """Return the tally of both sets of designs."""
        return Tally(
            self.tried + other.tried,
            self.met + other.met,
            self.alone + other.alone,
            _nearer(self.nearest, other.nearest),
            _nearer(self.nearest_alone, other.nearest_alone),
        )


@dataclass(frozen=True, eq=False)
class Constraint:
    """One condition: its name, its text, and the formula."""

    name: str
    text: str
    tree: ast.expr

    @property
    def columns(self) -> set[str]:
        """The columns that it reads."""
        return {*column_names(self.tree)}

    def holds(self, columns: Mapping[str, np.ndarray], points: int) -> np.ndarray:
        """Return which of `points` designs meet it."""
        return np.broadcast_to(truth(evaluate_formula(f"constraint {self.name}", self.tree, columns)), (points,))

    def miss(self, broken: np.ndarray, columns: Mapping[str, np.ndarray]) -> Miss | None:
        """Return the nearest miss among the `broken` designs; None where the condition is no single comparison."""
        if not isinstance(self.tree, ast.Compare) or len(self.tree.ops) != 1 or not broken.any():
            return None
        op = self.tree.ops[0]
        if not isinstance(op, (*_BELOW, *_ABOVE)):
            return None
        sides = (evaluate_formula(self.name, side, columns) for side in (self.tree.left, self.tree.comparators[0]))
        one, other = (np.broadcast_to(np.asarray(side, dtype=float), broken.shape)[broken] for side in sides)
        with np.errstate(all="ignore"):
            # Beside a limit of 0, in shares of the value.
            miss = (one - other if isinstance(op, _BELOW) else other - one) / np.abs(np.where(other, other, one))
        if not np.isfinite(miss).any():
            return None
        place = int(np.nanargmin(miss))
        return float(miss[place]), float(one[place]), float(other[place])


def read_constraints(texts: Mapping[str, str], known: Collection[str]) -> list[Constraint]:
    """Return constraints by name. Raises `InputError` for an invalid formula or an unknown column."""
    constraints = []
    for name, text in texts.items():
        tree = parse("constraint", text)
        check_columns("constraint", tree, known)
        constraints.append(Constraint(name, text, tree))
    return constraints


def meet_all(
    constraints: Sequence[Constraint], columns: Mapping[str, np.ndarray], points: int
) -> tuple[np.ndarray, list[Tally]]:
    """Return which of `points` designs meet all constraints, and the tally of each constraint."""
    holds = [each.holds(columns, points) for each in constraints]
    broken = np.sum([~each for each in holds], axis=0)
    tallies = []
    for constraint, each in zip(constraints, holds, strict=True):
        alone = ~each & (broken == 1)
        tally = Tally(points, int(each.sum()), int(alone.sum()))
        if not np.any(broken == 0):
            # Misses matter only where nothing is left.
            nearest, nearest_alone = constraint.miss(~each, columns), constraint.miss(alone, columns)
            tally = replace(tally, nearest=nearest, nearest_alone=nearest_alone)
        tallies.append(tally)
    return np.broadcast_to(broken == 0, (points,)), tallies


def upper_limit(constraints: Sequence[Constraint], name: str) -> float | None:
    """Return the least upper limit that constraints state for a column, such as `area_mm2 <= 13300`; None without."""
    limits = [limit for each in constraints for limit in _limits(each.tree, name)]
    return min(limits) if limits else None


def nothing_left(constraints: Sequence[Constraint], tallies: Sequence[Tally], tried: str) -> InputError:
    """Return the error that says which constraint rules out all that was `tried`, and the nearest miss."""
    never = [place for place, tally in enumerate(tallies) if tally.tried and not tally.met]
    candidates = never or [place for place, tally in enumerate(tallies) if tally.alone]
    if not candidates:
        texts = " and ".join(repr(each.text) for each, tally in zip(constraints, tallies, strict=True) if tally.nearest)
        return InputError(f"none of {tried} meets {texts} together: expected weaker constraints, or more to vary")
    place = max(candidates, key=lambda each: tallies[each].alone)
    worst, tally = constraints[place], tallies[place]
    nearest = tally.nearest_alone or tally.nearest
    text = f"none of {tried} meets {worst.text!r}"
    if not never:
        text = f"{worst.text!r} rules out the {tally.alone:,} of {tried} that meet all else"
    if nearest is not None:
        miss, value, limit = nearest
        entry = column(_left(worst.tree))
        text += f"; the nearest has {entry.text(value)}, {percent(miss)} off {entry.text(limit)}"
    return InputError(f"{text}: expected a weaker constraint, or more to vary")


def _left(tree: ast.expr) -> str:
    """Return the column at the left of a comparison; a name without a unit where there is none."""
    plain_column = isinstance(tree, ast.Compare) and isinstance(tree.left, (ast.Name, ast.Attribute))
    return next(column_names(tree)) if plain_column else "value"


def _limits(tree: ast.expr, name: str) -> list[float]:
    match tree:
        case ast.BoolOp(op=ast.And(), values=parts):
            return [limit for part in parts for limit in _limits(part, name)]
        case ast.Compare(left=ast.Name(id=of), ops=[ast.Lt() | ast.LtE()], comparators=[ast.Constant(value=value)]):
            return [float(value)] if of == name and isinstance(value, (int, float)) else []
        case ast.Compare(left=ast.Constant(value=value), ops=[ast.Gt() | ast.GtE()], comparators=[ast.Name(id=of)]):
            return [float(value)] if of == name and isinstance(value, (int, float)) else []
    return []


def _nearer(one: Miss | None, other: Miss | None) -> Miss | None:
    return min((each for each in (one, other) if each is not None), default=None)
