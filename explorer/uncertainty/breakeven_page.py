"""The page of break-even curves, and what pages of uncertainty share."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from explorer.figures.captioned import captioned_figure
from explorer.figures.numbers import MISSING, percent, plain, pretty_unit
from explorer.figures.tables import Column, Table, assumption_table, frame_table
from explorer.report import render_page
from explorer.serving_page import Page, Section
from explorer.uncertainty.breakeven import BreakEven, Curve
from explorer.uncertainty.figures import break_even_curves, label
from explorer.uncertainty.results import Uncertainty

#: Points of a curve that its table shows.
_ROWS = 11
_HEADS = ("over", "ratio", "nominal", "5 %", "50 %", "95 %", "unit", "pays", "always", "never")
_WORDS = ("over", "ratio", "unit", "pays")


def render_break_even(found: BreakEven, command: str) -> str:
    """Return break-even curves as one HTML page."""
    return uncertainty_page("Where hardwiring breaks even", (turning(found),), found, command)


def uncertainty_page(title: str, parts: tuple[Section, ...], found: Uncertainty | BreakEven, command: str) -> str:
    """Return a page of `parts` with the constants that `found` read."""
    lead = _lead(found.subject) if found.subject else ""
    table = assumption_table(found.quantities)
    return render_page(
        "serving.html.j2", page=Page(title=title, lead=lead, parts=parts, assumptions=table, command=command)
    )


def turning(found: BreakEven) -> Section:
    """Return the section of break-even curves."""
    figures = []
    for name in dict.fromkeys(curve.axis.name for curve in found.curves):
        curves = [curve for curve in found.curves if curve.axis.name == name]
        caption = f"Over {curves[0].axis.label}: median, 5 to 95 % of draws (band), nominal (dotted)"
        figures.append(captioned_figure(f"over-{name}", break_even_curves(curves), caption, _points(found, name), 2))
    text = (
        f"{found.samples:,} draws of all other constants, the same at every point of an axis, so that each draw has a "
        "break-even of its own. Always and never: shares of draws that pay everywhere or nowhere on the axis."
    )
    columns = tuple(Column(head, numeric=head not in _WORDS) for head in _HEADS)
    rows = tuple(_crossing(curve) for curve in found.curves)
    return Section("break-even", "Break-even", (text,), tuple(figures), (Table("Where a ratio is 1", columns, rows),))


def _crossing(curve: Curve) -> tuple[str, ...]:
    axis, crossing = curve.axis, curve.crossing

    def place(value: float) -> str:
        if not crossing.pays:
            return MISSING
        if value == float("-inf"):
            return f"< {plain(axis.low)}"
        return f"> {plain(axis.high)}" if value == float("inf") else plain(value, 3)

    ranks = [place(value) for value in (crossing.nominal, crossing.p5, crossing.p50, crossing.p95)]
    shares = (percent(crossing.always), percent(crossing.never))
    return (axis.label, label(curve.output), *ranks, pretty_unit(axis.unit), crossing.pays or "alike", *shares)


def _points(found: BreakEven, axis: str) -> Table:
    frame = found.to_frame()
    rows = frame[frame["axis"] == axis]
    parts = [part.iloc[:: max((len(part) - 1) // (_ROWS - 1), 1)] for _, part in rows.groupby("output", sort=False)]
    columns = {"output": Column("ratio", numeric=False), "x": Column(axis)}
    columns |= {name: Column(name) for name in ("p50", "p5", "p95", "nominal")} | {"probability": Column("above 1 in")}
    return frame_table("Ratios along the axis", pd.concat(parts), columns, {"output": label, "probability": percent})


def _lead(subject: Mapping[str, Any]) -> str:
    pins = ", ".join(f"{key} = {value}" for key, value in subject["set"].items())
    return (
        f"{subject['model']}: {subject['volume']:,} systems, context {subject['context']:,}, technology "
        f"{subject['technology']}, conventions {subject['convention']}, {subject['reading']} reading"
        f"{f'; pinned: {pins}' if pins else ''}."
    )
