"""A report as one long table: a row a quantity, for spreadsheets and data frames."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.report.figures.fleet import levels_of
from explorer.report.scopes import carbon_scopes

if TYPE_CHECKING:
    from explorer.pricing.economics import CostAnswer
    from explorer.report.answer import Answer

COLUMNS = (
    "model",
    "technology",
    "group",
    "quantity",
    "unit",
    "machine",
    "convention",
    "level",
    "value",
    "published",
    "evidence",
)
#: Units by the end of a field's name, the longest end first.
_UNITS = {
    "usd_per_million_tokens": "USD",
    "t_per_million_tokens": "tCO2e",
    "million_tokens": "1e6 token",
    "_usd": "USD",
    "_mwh": "MWh",
    "_mw": "MW",
    "_t": "tCO2e",
}
#: Units of headline lines that are of a fleet: these follow a cost convention, the others a reading.
_FLEET_UNITS = ("MUSD", "USD", "tCO2e")
_OF_MACHINE = {"hnlpu": "as-published", "hnlpu-pipelined": "pipelined", "h100": "roofline", "wse3": "roofline"}
_OF_FLEET = {"hnlpu": ("as-published", "low"), "hnlpu-pipelined": ("corrected", "nominal")}


def tidy(answer: "Answer") -> pd.DataFrame:
    """Return a row a quantity in the columns `COLUMNS`.

    `group` is "headline", "cost", "scope" or "scoreboard". `convention` is a reading for what was simulated and a cost
    convention for what was costed; `published` is NaN and `evidence` empty where nothing was published. The scoreboard
    repeats the published figures of the headline with all others.
    """
    rows = [*_headline(answer), *_costs(answer), *_scopes(answer), *_scoreboard(answer)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS[2:]))
    frame.insert(0, "model", answer.model.name)
    frame.insert(1, "technology", answer.technology)
    return frame.astype({"value": float, "published": float})


def unit_of(name: str) -> str:
    """Return the unit that a field's name ends in, or "1"."""
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "1")


def _headline(answer: "Answer") -> list[tuple[Any, ...]]:
    rows = []
    for line in answer.headline:
        for machine in dict.fromkeys((*line.values, *line.published)):
            ours, paper = line.values.get(machine), line.published.get(machine)
            if ours is None and paper is None:
                continue
            convention, level = _OF_MACHINE.get(machine, ""), ""
            if line.unit in _FLEET_UNITS:
                convention, level = _OF_FLEET.get(machine, ("as-published", "low"))
            evidence = line.evidence if paper is not None and ours is not None else ""
            rows.append(("headline", line.what, line.unit, machine, convention, level, ours, paper, evidence))
    return rows


def _costs(answer: "Answer") -> list[tuple[Any, ...]]:
    rows = []
    for cost in (answer.cost, answer.other_cost):
        for level in levels_of(cost.convention):
            pair = getattr(cost.comparison, level)
            for machine, records in (
                ("hardwired", (pair.bill, pair.hardwired, pair.hardwired_carbon)),
                ("GPU", (pair.gpu, pair.gpu_carbon)),
            ):
                for record in records:
                    rows += [
                        ("cost", name, unit_of(name), machine, cost.convention, level, value, None, "")
                        for name, value in record.to_dict().items()
                        if _is_number(value)
                    ]
            for name in ("tco_ratio", "capex_ratio", "opex_ratio", "carbon_ratio"):
                value = float(getattr(pair, name))
                rows.append(("cost", name, "1", "GPU over hardwired", cost.convention, level, value, None, ""))
    return rows


def _scopes(answer: "Answer") -> list[tuple[Any, ...]]:
    def of(cost: "CostAnswer") -> list[tuple[Any, ...]]:
        return [
            ("scope", f"Scope {r.scope}: {r.category}", "tCO2e", r.fleet, cost.convention, r.level, r.t, None, "")
            for r in carbon_scopes(cost).rows
        ]

    return of(answer.cost) + of(answer.other_cost)


def _scoreboard(answer: "Answer") -> list[tuple[Any, ...]]:
    board = answer.scoreboard.rows if answer.scoreboard else ()
    return [
        ("scoreboard", row.what, row.unit, row.group, "as-published", "", row.ours, row.paper, row.evidence)
        for row in board
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
