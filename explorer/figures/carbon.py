"""Carbon of both fleets by scope, on a log axis."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explorer.figures.numbers import scalar, si
from explorer.figures.theme import CYAN, GREY, YELLOW, figure, fill

if TYPE_CHECKING:
    from costmodel.compare import Comparison

_HEIGHT_PX = 520
#: The axis runs this much beyond the longest bar, so that its label fits.
_ROOM = 15.0
_SCOPES = (
    ("Scope 2, electricity", "scope2_t", CYAN, "/"),
    ("Scope 3, hardware", "scope3_t", YELLOW, "x"),
    ("total", "total_t", GREY, ""),
)


def carbon_frame(comparison: "Comparison") -> pd.DataFrame:
    """Return a row per fleet and level: fleet, level, scope2_t, scope3_t, total_t (tonnes CO2e over the life)."""
    rows = []
    for level, pair in (("low", comparison.low), ("high", comparison.high)):
        for fleet, co2 in (("hardwired", pair.hardwired_carbon), ("GPU", pair.gpu_carbon)):
            rows.append(
                {"fleet": fleet, "level": level} | {key: scalar(key, getattr(co2, key)) for _, key, _, _ in _SCOPES}
            )
    return pd.DataFrame(rows).sort_values("fleet", ascending=False, kind="stable", ignore_index=True)


def carbon_bars(comparison: "Comparison") -> go.Figure:
    """Return bars of Scope 2, Scope 3 and their sum for each fleet and level, in t CO2e, on a log axis.

    Bars stand side by side, not stacked: lengths on a log axis do not add up. Levels that agree are drawn once.
    """
    frame = carbon_frame(comparison)
    same = {
        fleet: np.allclose(*rows[[key for _, key, _, _ in _SCOPES]].to_numpy())
        for fleet, rows in frame.groupby("fleet")
    }
    frame = frame[
        [not same[fleet] or level == "low" for fleet, level in zip(frame["fleet"], frame["level"], strict=True)]
    ]
    labels = [f if same[f] else f"{f}<br>{lvl}" for f, lvl in zip(frame["fleet"], frame["level"], strict=True)]
    drawn = figure("Carbon over the life", _HEIGHT_PX, barmode="group", bargap=0.25)
    for name, key, colour, pattern in _SCOPES:
        drawn.add_trace(
            go.Bar(
                y=labels,
                x=frame[key],
                orientation="h",
                name=name,
                marker=fill(colour, pattern),
                text=[si(t, "t") for t in frame[key]],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{text}",
            )
        )
    values = frame[[key for _, key, _, _ in _SCOPES]].to_numpy()
    positive = values[values > 0]
    start = 10.0 ** np.floor(np.log10(positive.min() / 2.0)) if positive.size else 1.0
    end = positive.max() * _ROOM if positive.size else 10.0
    drawn.update_xaxes(
        type="log", range=[np.log10(start), np.log10(end)], dtick=1, tickformat="~s", title_text="t CO₂e (log scale)"
    )
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    return drawn
