"""The result of a search: the front, the machines to choose from, and the machine of the book beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.designs.confirmation import Confirmation
from explorer.designs.serving import Requests, Served
from explorer.documents.document import Document, Documented
from explorer.pareto import Direction, knee
from explorer.pricing.prices import Machine
from explorer.pricing.rates import Workload
from hwbase import Quantity
from hwbase.record import plain

#: Of a row of the machines to choose from: what it is.
BEST, KNEE, OWN = "best", "knee", "own"


@dataclass(frozen=True)
class DesignSearch(Documented):
    """The machines that no other beats in all `objectives`, of all that were tried and meet all `constraints`.

    `front` has a row a design, the best by the first objective first: its constants and choices, its figures, what
    binds (`bound_by`), the busy share of each resource, and what a tenth more of each part would buy
    (`tenth_more_gain.*`, of tokens per second) and take (`tenth_more_mm2.*`, of silicon in all chips). `own` is the
    machine of the book, sized for the model; it is empty where no grid of its chips holds the model.
    """

    model: str
    machine: str
    on: Machine
    """The machine's book, as it was given."""
    technology: str
    weights: str
    workload: Workload
    volume: int
    convention: str
    objectives: Mapping[str, Direction]
    constraints: Mapping[str, str]
    varied: Mapping[str, Any]
    tried: int
    feasible: int
    front: pd.DataFrame
    own: pd.DataFrame
    set: Mapping[str, Any] = field(default_factory=dict)
    confirmed: tuple[Confirmation, ...] = ()
    """The best of the front, token by token."""
    requests: Requests | None = None
    """The trace that was to be served, with its promises."""
    served: tuple[Served, ...] = ()
    """The machines of the front that served the trace, in order."""
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    @property
    def best(self) -> pd.Series:
        """The best machine by the first objective; with a trace, the best that keeps the promises."""
        return self.front.iloc[next((each.place for each in self.served if each.keeps), 0)]

    @property
    def knee(self) -> pd.Series:
        """The machine of the front that is nearest to the best in all objectives at once."""
        return self.front.loc[knee(self.front, self.objectives)]

    def to_frame(self) -> pd.DataFrame:
        """Return the front and the machine of the book, a row each; `machine` says which is which."""
        whole = pd.concat([self.front, self.own], ignore_index=True)
        names = [""] * len(self.front) + [OWN] * len(self.own)
        names[self.front.index.get_loc(self.knee.name)] = KNEE
        names[self.front.index.get_loc(self.best.name)] = BEST
        whole.insert(0, "machine", names)
        return whole

    def to_dict(self) -> dict[str, Any]:
        """Return what was asked for, counts, the machines to choose from, the front and the events."""
        names = ("model", "machine", "technology", "weights", "volume", "convention", "tried", "feasible")
        return {
            **{name: getattr(self, name) for name in names},
            "workload": self.workload.to_dict(),
            "objectives": dict(self.objectives),
            "constraints": dict(self.constraints),
            "varied": plain(self.varied),
            "best": plain(self.best.to_dict()),
            "knee": plain(self.knee.to_dict()),
            "own": plain(self.own.iloc[0].to_dict()) if len(self.own) else None,
            "front": plain(self.front),
            "confirmed": plain(self.confirmed),
            "promised": None if self.requests is None else plain(self.requests.target),
            "requests": None if self.requests is None else len(self.requests.traffic),
            "served": plain(self.served),
            "assumptions": {name: vars(quantity) for name, quantity in self.assumptions.items()},
        }

    def write_book(self, path: str | Path, design: "pd.Series | None" = None) -> Path:
        """Write a machine of the front (the best unless given) as a machine's book, and return the path.

        Every command takes the book (`--on PATH`). Raises `InputError` where the file cannot be written.
        """
        from explorer.designs.book import write_design_book

        return write_design_book(self, self.best if design is None else design, path)

    def document(self, command: str = "") -> Document:
        """Return the search as a document."""
        from explorer.designs.document import design_document

        return design_document(self, command)
