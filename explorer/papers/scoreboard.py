"""A scoreboard: published figures and ours, each with the evidence of ours."""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from explorer.documents.document import Document, Documented
from hwbase import Evidence, Record, evidence_of

if TYPE_CHECKING:
    import pandas as pd

#: The outcome of a row. Only predictions can agree; a misfit without a stated tolerance is shown and explained.
Status = Literal["input", "fitted", "agrees", "misfit explained", "OUTSIDE", "not derivable"]


@dataclass(frozen=True)
class Row(Record):
    """One published figure. `rel_err` is (ours - paper) / paper; within `tolerance` we claim agreement.

    `tolerance` is None where we claim none: inputs, fits, and predictions that miss and give the reason in `note`. A
    row that rests on fitted ones claims no agreement either, but has to stay within its tolerance. A row whose paper
    value is zero compares in absolute terms.
    """

    id: str
    what: str
    paper: float | None
    ours: float | None
    unit: str
    evidence: Evidence
    tolerance: float | None = None
    note: str = ""
    group: str = ""
    rests_on: str = ""
    """Ids of the rows that this one is computed from, where one of them is fitted."""

    @property
    def rel_err(self) -> float | None:
        """Relative error of ours (absolute where the published figure is zero), or None if there is none."""
        if self.ours is None or self.paper is None:
            return None
        return (self.ours - self.paper) / self.paper if self.paper else self.ours

    @property
    def status(self) -> Status:
        """The outcome of the row."""
        if self.evidence != "predicted" and not self.rests_on:
            return self.evidence
        if self.tolerance is None or self.rel_err is None:
            return "misfit explained"
        within: Status = "agrees" if self.evidence == "predicted" else "fitted"
        return within if abs(self.rel_err) <= self.tolerance else "OUTSIDE"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields with `rel_err` and `status`."""
        return super().to_dict() | {"rel_err": self.rel_err, "status": self.status}


@dataclass(frozen=True)
class Scoreboard(Documented):
    """All rows of one paper. `fitted_constants` names the constants fitted to any of them."""

    paper: str
    rows: tuple[Row, ...]
    fitted_constants: tuple[str, ...]

    @property
    def summary(self) -> dict[str, Any]:
        """Counts by evidence and status, the fitted constants, and whether every claimed agreement holds."""
        status = Counter(row.status for row in self.rows)
        evidence = Counter(row.evidence for row in self.rows)
        return {
            "paper": self.paper,
            "rows": len(self.rows),
            **{name.replace(" ", "_"): evidence[name] for name in ("input", "fitted", "predicted", "not derivable")},
            "agree": status["agrees"],
            "misfit_explained": status["misfit explained"],
            "outside_tolerance": status["OUTSIDE"],
            "fitted_constants": list(self.fitted_constants),
            "ok": status["OUTSIDE"] == 0,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return {"rows": [...], "summary": {...}}."""
        return {"rows": [row.to_dict() for row in self.rows], "summary": self.summary}

    def to_frame(self) -> "pd.DataFrame":
        """Return one row for each figure."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.papers.document import scoreboard_document

        return scoreboard_document(self, command)


def read_rows(path: Path, ours: Mapping[str, float], without: str = "") -> list[Row]:
    """Return a row for each line of the CSV (id, group, what, paper, unit, evidence, rests_on, tolerance, note).

    `ours` maps ids to our figures; only rows marked "not derivable" have none. Any other difference between the two
    raises `KeyError`. The evidence of a row that rests on others is what `hwbase.evidence_of` gives them.
    """
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for cell in csv.DictReader(file) if not without or cell["group"] != without]
    stated = {cell["id"]: cell["evidence"] for cell in cells}
    rests_on = {cell["id"]: cell.get("rests_on") or "" for cell in cells}

    def labelled(name: str) -> Evidence:
        parts = rests_on[name].split()
        return evidence_of(map(labelled, parts)) if parts else stated[name]  # type: ignore[return-value]

    derivable = {cell["id"] for cell in cells if cell["evidence"] != "not derivable"}
    if derivable != ours.keys():
        raise KeyError(f"{path.name} and our figures differ in {sorted(derivable ^ ours.keys())}")
    return [
        Row(
            id=cell["id"],
            what=cell["what"],
            paper=float(cell["paper"]),
            ours=float(ours[cell["id"]]) if cell["id"] in ours else None,
            unit=cell["unit"],
            evidence=labelled(cell["id"]),
            tolerance=float(cell["tolerance"]) if cell["tolerance"] else None,
            note=cell["note"],
            group=cell["group"],
            rests_on=rests_on[cell["id"]],
        )
        for cell in cells
    ]
