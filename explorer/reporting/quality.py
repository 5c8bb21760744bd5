"""How good the constants behind a result are: a grade for each kind, counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from explorer.figures.fleets import LEVELS
from explorer.figures.numbers import MISSING, compact, counted, percent, pretty_unit
from explorer.figures.tables import Column, Table
from hwbase import Quantity, Record

#: Kinds from the best known to the least: (grade, what the kind says of where the number comes from).
GRADES = {
    "measured": ("high", "measured, or a statistic of measurements"),
    "vendor": ("good", "stated by the maker of the thing"),
    "paper": ("good", "printed in a paper or in the parameters of its tool"),
    "derived": ("fair", "computed or inferred from other published numbers"),
    "analyst": ("fair", "estimated by a third party"),
    "fitted": ("fitted", "adjusted until a published figure came out"),
    "assumed": ("low", "assumed, with the reason in its source"),
    "user": ("yours", "set by whoever ran this"),
}


@dataclass(frozen=True)
class Quality(Record):
    """How many of the constants read are of each kind."""

    constants: int
    by_kind: dict[str, int]

    @property
    def assumed(self) -> int:
        """Constants that nobody publishes."""
        return self.by_kind.get("assumed", 0)

    def said(self) -> str:
        """Return the quality in one sentence."""
        if not self.constants:
            return "No constants were read."
        parts = ", ".join(f"{count} {kind}" for kind, count in self.by_kind.items())
        share = percent(self.assumed / self.constants, 0)
        return f"{counted(self.constants, 'constant')}: {parts}. {share} are assumed."


def grade(kind: str) -> str:
    """Return the grade of a kind: high, good, fair, low, fitted or yours."""
    return GRADES.get(kind, ("unknown", ""))[0]


def quality(quantities: Iterable[Quantity]) -> Quality:
    """Return how many of `quantities` are of each kind, the best kinds first."""
    kinds = Counter(str(quantity.kind) for quantity in quantities)
    order = [kind for kind in GRADES if kinds[kind]] + sorted(kinds.keys() - GRADES.keys())
    return Quality(sum(kinds.values()), {kind: kinds[kind] for kind in order})


def quality_table(found: Quality) -> Table:
    """Return a row a kind: what it means, its grade, how many constants, and their share."""
    rows = tuple(
        (kind, *GRADES.get(kind, ("unknown", "")), str(count), percent(count / found.constants, 0))
        for kind, count in found.by_kind.items()
    )
    heads = (Column("kind", numeric=False), Column("quality", numeric=False), Column("what it says", numeric=False))
    return Table("Quality of the constants", (*heads, Column("constants"), Column("share")), rows)


def source_table(groups: Mapping[str, Mapping[str, Quantity]]) -> Table:
    """Return every constant that was read: its range, unit, kind, quality, year, source, and what read it."""
    columns = (
        Column("name", numeric=False),
        *(Column(level) for level in LEVELS),
        *(Column(label, numeric=False) for label in ("unit", "kind, quality", "year", "read for", "source")),
    )
    rows = tuple(
        (
            name,
            *(compact(value) for value in (q.at("low"), q.nominal, q.at("high"))),
            pretty_unit(q.unit) or MISSING,
            q.kind if grade(q.kind) == q.kind else f"{q.kind}, {grade(q.kind)}",
            str(q.year),
            "; ".join(read_by),
            f"{q.source} ({q.note})" if q.note else q.source,
        )
        for name, q, read_by in distinct(groups)
    )
    return Table("Constants that were read", columns, rows)


def distinct(groups: Mapping[str, Mapping[str, Quantity]]) -> list[tuple[str, Quantity, tuple[str, ...]]]:
    """Return (name, quantity, groups that read it) for every constant that differs, by name.

    Two groups may read the same name from two books: equal numbers from the same source are one constant, others two.
    """
    found: list[tuple[str, Quantity, list[str]]] = []
    for group, quantities in groups.items():
        for name, quantity in quantities.items():
            same = next((g for n, q, g in found if n == name and _same(q, quantity)), None)
            if same is None:
                found.append((name, quantity, [group]))
            else:
                same.append(group)
    return [(name, quantity, tuple(read_by)) for name, quantity, read_by in sorted(found, key=lambda row: row[0])]


def _same(one: Quantity, other: Quantity) -> bool:
    return str(one) == str(other)
