"""Seconds of each resource that one token takes: the longest one sets the pace."""

from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from explorer.figures.numbers import scalar, si, words
from explorer.figures.theme import DARK_TEXT, GREY, RED, figure, fill, machine_name, text

if TYPE_CHECKING:
    from hwsim.results import SimResult

_HEIGHT_PX = 290
#: The axis runs this much beyond the longest bar, so that its label fits.
_ROOM = 1.45


def occupancy_frame(result: "SimResult") -> pd.DataFrame:
    """Return a row per resource, longest first: resource, seconds_per_token, busy_share, binds.

    Nothing binds where the result is bound by its latency.
    """
    seconds = {name: scalar(name, value) for name, value in result.occupancy_s.items()}
    interval = scalar("interval_s", result.interval_s)
    rows = [
        {
            "resource": name,
            "seconds_per_token": value,
            "busy_share": value / interval,
            "binds": name == str(result.bound_by),
        }
        for name, value in sorted(seconds.items(), key=lambda item: -item[1])
    ]
    return pd.DataFrame(rows, columns=["resource", "seconds_per_token", "busy_share", "binds"])


def occupancy_bars(result: "SimResult") -> go.Figure:
    """Return a bar per resource, in seconds per token, the binding one filled, hatched and named so.

    Raises `InputError` for a result whose fields are arrays.
    """
    frame = occupancy_frame(result)
    drawn = figure(
        f"Time of each resource per token, {machine_name(result.reading)}",
        _HEIGHT_PX,
        showlegend=False,
        barmode="overlay",
    )
    for binds, colour, pattern in ((True, RED, "/"), (False, GREY, "")):
        rows = frame[frame["binds"] == binds]
        drawn.add_trace(
            go.Bar(
                x=rows["seconds_per_token"],
                y=[text(words(name)) for name in rows["resource"]],
                orientation="h",
                marker=fill(colour, pattern),
                text=[f"{si(seconds, 's')}{', binds' if binds else ''}" for seconds in rows["seconds_per_token"]],
                textposition="auto",
                insidetextfont={"color": DARK_TEXT},
                cliponaxis=False,
                customdata=rows["busy_share"],
                hovertemplate="%{y}: %{text}, busy %{customdata:.1%} of the time<extra></extra>",
            )
        )
    longest = max(frame["seconds_per_token"].max(), 0.0)
    drawn.update_xaxes(range=[0, longest * _ROOM or 1.0], tickformat="~s", ticksuffix="s", title_text="time per token")
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    return drawn
