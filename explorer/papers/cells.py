"""Published cells from a CSV file, joined with our figures into scoreboard rows."""

import csv
from collections.abc import Mapping
from pathlib import Path

from explorer.scoreboard import Row


def read_rows(path: Path, ours: Mapping[str, float]) -> list[Row]:
    """Return a row per line of the CSV (id, group, what, paper, unit, evidence, tolerance, note).

    `ours` maps ids to our figures; only rows marked "not derivable" go without one. Anything else that one side has and
    the other has not is a mistake and raises `KeyError`.
    """
    with path.open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
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
            evidence=cell["evidence"],  # type: ignore[arg-type]
            tolerance=float(cell["tolerance"]) if cell["tolerance"] else None,
            note=cell["note"],
            group=cell["group"],
        )
        for cell in cells
    ]
