"""Carbon of both fleets by scope, on a log axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explorer.figures.fleets import LEVELS, drawn_once, fleet_frame, pairs
from explorer.figures.numbers import mass, scalar
from explorer.figures.theme import CYAN, GREY, YELLOW, figure, fill

if TYPE_CHECKING:
    from costmodel.compare import Comparison

_HEIGHT_PX, _PX_PER_FLEET, _FRAME_PX = 520, 78, 120
#: The axis runs this much beyond the longest bar, so that its label fits.
_ROOM = 15.0
#: From here on only every second decade has a tick.
_MOST_DECADES = 5
_SCOPES = (
    ("Scope 2, electricity", "scope2_t", CYAN, "/"),
    ("Scope 3, hardware", "scope3_t", YELLOW, "x"),
    ("total", "total_t", GREY, ""),
)
_KEYS = tuple(key for _, key, _, _ in _SCOPES)


def carbon_frame(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> pd.DataFrame:
    """Return a row per fleet and level: fleet, level, scope2_t, scope3_t, total_t (tonnes CO2e over the life)."""
    rows: list[dict[str, object]] = []
    for level, pair in pairs(comparison, levels):
        for fleet, co2 in (("hardwired", pair.hardwired_carbon), ("GPU", pair.gpu_carbon)):
            rows.append({"fleet": fleet, "level": level} | {key: scalar(key, getattr(co2, key)) for key in _KEYS})
    return fleet_frame(rows)


def carbon_bars(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> go.Figure:
    """Return bars of Scope 2, Scope 3 and their sum for each fleet and level, in t CO2e, on a log axis.

    Bars stand side by side, not stacked: lengths on a log axis do not add up. A fleet whose levels agree is drawn once.
    """
    frame = drawn_once(carbon_frame(comparison, levels), _KEYS)
    drawn = figure(
        "Carbon over the life", max(_HEIGHT_PX, _FRAME_PX + _PX_PER_FLEET * len(frame)), barmode="group", bargap=0.25
    )
    for name, key, colour, pattern in _SCOPES:
        drawn.add_trace(
            go.Bar(
                y=frame["label"],
                x=frame[key],
                orientation="h",
                name=name,
                marker=fill(colour, pattern),
                text=[mass(t) for t in frame[key]],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{text}",
            )
        )
    values = frame[list(_KEYS)].to_numpy(dtype=float)
    positive = values[values > 0]
    first = np.floor(np.log10(positive.min() / 2.0)) if positive.size else 0.0
    last = np.log10(positive.max() * _ROOM) if positive.size else 1.0
    ticks = 10.0 ** np.arange(first, last, 2 if last - first > _MOST_DECADES else 1)
    drawn.update_xaxes(
        type="log",
        range=[first, last],
        tickvals=ticks,
        ticktext=[mass(t) for t in ticks],
        title_text="CO₂e (log scale)",
    )
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    return drawn
