"""TCO of the hardwired fleet beside the GPU fleet that matches it, legible although far apart."""

from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from explorer.figures.numbers import money, scalar, times
from explorer.figures.theme import BLUE, CYAN, YELLOW, figure, fill

if TYPE_CHECKING:
    from costmodel.compare import Comparison

_HEIGHT_PX = 520
_USD_PER_MUSD = 1e6
#: The axes run this much beyond the longest bar, so that labels fit.
_ROOM, _ROOM_ENLARGED = 1.4, 1.7
#: Upper panel: all fleets on one scale; lower panel: the hardwired ones enlarged.
_PANELS = {"y": (0.46, 0.99), "y2": (0.0, 0.28)}
_BOTTOM_MARGIN_PX = 56
_PARTS = (
    ("capital", "capex_usd", BLUE, ""),
    ("operation", "opex_usd", CYAN, "/"),
    ("re-spins", "respins_usd", YELLOW, "x"),
)


def tco_frame(comparison: "Comparison") -> pd.DataFrame:
    """Return a row per fleet and level: fleet, level, capex_usd, opex_usd, respins_usd, total_usd, ratio.

    `ratio` is the GPU fleet's TCO over the hardwired fleet's at the same level; it is empty for the GPUs.
    """
    rows = []
    for level, pair in (("low", comparison.low), ("high", comparison.high)):
        for fleet, cost in (("hardwired", pair.hardwired), ("GPU", pair.gpu)):
            parts = {key: scalar(key, getattr(cost, key)) for _, key, _, _ in _PARTS}
            ratio = scalar("ratio", pair.tco_ratio) if fleet == "hardwired" else None
            total = scalar("total", cost.total_usd)
            rows.append({"fleet": fleet, "level": level, **parts, "total_usd": total, "ratio": ratio})
    return pd.DataFrame(rows).sort_values("fleet", ascending=False, kind="stable", ignore_index=True)


def tco_bars(comparison: "Comparison") -> go.Figure:
    """Return the TCO of both fleets stacked by capital, operation and re-spins, in M$, with ratios written out.

    Above, all on one linear scale (a stack means nothing on a log one); below, the hardwired fleet enlarged.
    """
    frame = tco_frame(comparison)
    frame["label"] = frame["fleet"] + "<br>" + frame["level"]
    hardwired = frame[frame["fleet"] == "hardwired"]
    drawn = figure("Total cost of ownership", _HEIGHT_PX, barmode="stack", bargap=0.3)
    drawn.update_layout(margin_b=_BOTTOM_MARGIN_PX)
    for rows, axes, legend in ((frame, ("x", "y"), True), (hardwired, ("x2", "y2"), False)):
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
            less = "" if pd.isna(row["ratio"]) else f"<br>GPUs {times(row['ratio'])}"
            drawn.add_annotation(
                x=row["total_usd"] / _USD_PER_MUSD,
                y=row["label"],
                xref=axes[0],
                yref=axes[1],
                text=f"{money(row['total_usd'])}{less}",
                showarrow=False,
                align="left",
                xanchor="left",
                xshift=5,
            )
    end, near = frame["total_usd"].max() / _USD_PER_MUSD, hardwired["total_usd"].max() / _USD_PER_MUSD
    drawn.update_layout(
        xaxis={"range": [0, end * _ROOM], "anchor": "y", "tickformat": ",~r"},
        xaxis2={
            "range": [0, near * _ROOM_ENLARGED],
            "anchor": "y2",
            "title": {"text": "M$", "standoff": 8},
            "automargin": False,
            "tickformat": ",~r",
        },
        yaxis={"domain": list(_PANELS["y"]), "autorange": "reversed", "ticksuffix": " "},
        yaxis2={"domain": list(_PANELS["y2"]), "anchor": "x2", "autorange": "reversed", "ticksuffix": " "},
    )
    drawn.add_annotation(
        text=f"hardwired only, enlarged {times(round(end / near, 1))}",
        x=0,
        y=_PANELS["y2"][1] + 0.02,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
    return drawn
