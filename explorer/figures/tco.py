"""TCO of the hardwired fleet beside the GPU fleet that matches it, legible although far apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from explorer.figures.fleets import LEVELS, drawn_once, fleet_frame, pairs
from explorer.figures.numbers import money, scalar, times
from explorer.figures.theme import BLUE, CYAN, YELLOW, figure, fill

if TYPE_CHECKING:
    from costmodel.compare import Comparison

_HEIGHT_PX = 520
_USD_PER_MUSD = 1e6
#: The axes run this much beyond the longest bar, so that labels fit.
_ROOM, _ROOM_ENLARGED = 1.4, 1.7
#: Share of the height between two panels; and how far apart the fleets are when the second one is drawn.
_GAP, _ENLARGE_FROM = 0.18, 3.0
_BOTTOM_MARGIN_PX = 56
_PARTS = (
    ("capital", "capex_usd", BLUE, ""),
    ("operation", "opex_usd", CYAN, "/"),
    ("re-spins", "respins_usd", YELLOW, "x"),
)
_KEYS = tuple(key for _, key, _, _ in _PARTS)


def tco_frame(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> pd.DataFrame:
    """Return a row per fleet and level: fleet, level, capex_usd, opex_usd, respins_usd, total_usd, ratio.

    `ratio` is the GPU fleet's TCO over the hardwired fleet's at the same level; it is empty for the GPUs.
    """
    rows: list[dict[str, object]] = []
    for level, pair in pairs(comparison, levels):
        for fleet, cost in (("hardwired", pair.hardwired), ("GPU", pair.gpu)):
            parts = {key: scalar(key, getattr(cost, key)) for key in _KEYS}
            ratio = scalar("ratio", pair.tco_ratio) if fleet == "hardwired" else None
            total = scalar("total", cost.total_usd)
            rows.append({"fleet": fleet, "level": level, **parts, "total_usd": total, "ratio": ratio})
    return fleet_frame(rows)


def tco_bars(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> go.Figure:
    """Return the TCO of both fleets stacked by capital, operation and re-spins, in M$, with ratios written out.

    All on one linear scale (a stack means nothing on a log one); where the hardwired fleet is far smaller, a second
    panel shows it enlarged. A fleet whose levels agree is drawn once.
    """
    frame = drawn_once(tco_frame(comparison, levels), (*_KEYS, "total_usd"))
    hardwired = frame[frame["fleet"] == "hardwired"]
    end, near = frame["total_usd"].max() / _USD_PER_MUSD, hardwired["total_usd"].max() / _USD_PER_MUSD
    drawn = figure("Total cost of ownership", _HEIGHT_PX, barmode="stack", bargap=0.25, margin_b=_BOTTOM_MARGIN_PX)
    _stack(drawn, frame, ("x", "y"), legend=True)
    drawn.update_layout(
        xaxis={"range": [0, end * _ROOM], "title_text": "M$", "tickformat": ",~r", "automargin": False},
        yaxis={"autorange": "reversed", "ticksuffix": " "},
    )
    if end > near * _ENLARGE_FROM:
        _stack(drawn, hardwired, ("x2", "y2"), legend=False)
        _second_panel(drawn, len(frame), len(hardwired), near, end)
    return drawn


def _stack(drawn: go.Figure, rows: pd.DataFrame, axes: tuple[str, str], *, legend: bool) -> None:
    for name, key, colour, pattern in _PARTS:
        drawn.add_trace(
            go.Bar(
                y=rows["label"],
                x=rows[key] / _USD_PER_MUSD,
                orientation="h",
                name=name,
                legendgroup=name,
                showlegend=legend,
                marker=fill(colour, pattern),
                customdata=[money(usd) for usd in rows[key]],
                hovertemplate="%{y}: %{customdata}",
                xaxis=axes[0],
                yaxis=axes[1],
            )
        )
    for row in rows.to_dict(orient="records"):
        ratio = "" if pd.isna(row["ratio"]) else f"<br>GPUs {times(row['ratio'])}"
        drawn.add_annotation(
            x=row["total_usd"] / _USD_PER_MUSD,
            y=row["label"],
            xref=axes[0],
            yref=axes[1],
            text=f"{money(row['total_usd'])}{ratio}",
            showarrow=False,
            align="left",
            xanchor="left",
            xshift=5,
        )


def _second_panel(drawn: go.Figure, above: int, below: int, near: float, end: float) -> None:
    """Split the height between the panels by their bars, and say how much the lower one is enlarged."""
    top = (1.0 - _GAP) * below / (above + below)
    drawn.update_layout(
        xaxis={"anchor": "y", "title_text": ""},
        xaxis2={
            "range": [0, near * _ROOM_ENLARGED],
            "anchor": "y2",
            "title": {"text": "M$", "standoff": 8},
            "automargin": False,
            "tickformat": ",~r",
        },
        yaxis={"domain": [top + _GAP, 1.0]},
        yaxis2={"domain": [0.0, top], "anchor": "x2", "autorange": "reversed", "ticksuffix": " "},
    )
    drawn.add_annotation(
        text=f"hardwired only, enlarged {times(round(end / near, 1))}",
        x=0,
        y=top + 0.01,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
