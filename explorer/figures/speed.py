"""Tokens per second over context: both readings of the hardwired machine, and where other machines stand."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explorer.figures.numbers import context_label, plain, scalar
from explorer.figures.theme import MACHINE_STYLE, OTHER_STYLE, figure, machine_name, text

if TYPE_CHECKING:
    from hwsim.results import SimResult

_HEIGHT_PX = 440
_LINE_PX = 2.5
_MARKER_PX = 8
#: Room on the log axes, as a factor beyond the outermost values.
_ROOM = 2.0
#: More contexts than this and only every second one gets a tick.
_MOST_TICKS = 8


def speed_frame(published: "SimResult", pipelined: "SimResult") -> pd.DataFrame:
    """Return a row per context: context, tokens/s and binding resource of both readings.

    Columns: context, as_published_tokens_per_s, pipelined_tokens_per_s, pipelined_bound_by.
    """
    contexts = np.atleast_1d(np.asarray(published.context, dtype=float))
    return pd.DataFrame(
        {
            "context": contexts,
            "as_published_tokens_per_s": np.broadcast_to(published.tokens_per_s, contexts.shape),
            "pipelined_tokens_per_s": np.broadcast_to(pipelined.tokens_per_s, contexts.shape),
            "pipelined_bound_by": np.broadcast_to(np.asarray(pipelined.bound_by, dtype=object), contexts.shape),
        }
    )


def speed_over_context(
    published: "SimResult",
    pipelined: "SimResult",
    accelerators: Mapping[str, "SimResult"],
    records: Mapping[str, float] | None = None,
) -> go.Figure:
    """Return tokens/s over context on log axes; other machines as horizontal marks.

    `accelerators` are our rooflines at one context each; `records` are published tokens/s by machine.
    """
    frame = speed_frame(published, pipelined)
    contexts = frame["context"].to_numpy()
    drawn = figure("System tokens per second over context", _HEIGHT_PX)
    for key, column in (("as-published", "as_published_tokens_per_s"), ("pipelined", "pipelined_tokens_per_s")):
        drawn.add_trace(_line(key, contexts, frame[column].to_numpy()))
    for key, result in accelerators.items():
        drawn.add_trace(_level(key, contexts, scalar("tokens_per_s", result.tokens_per_s), "roofline", True))
    for key, value in (records or {}).items():
        drawn.add_trace(_level(key, contexts, value, "published", False))
    ticks = contexts[:: 2 if len(contexts) > _MOST_TICKS else 1]
    drawn.update_xaxes(
        type="log", tickvals=ticks, ticktext=[context_label(c) for c in ticks], title_text="context [tokens]"
    )
    lowest = min(min(np.min(np.asarray(trace.y, dtype=float)) for trace in drawn.data), 1e2)
    highest = max(np.max(np.asarray(trace.y, dtype=float)) for trace in drawn.data)
    drawn.update_yaxes(
        type="log",
        range=[np.log10(lowest / _ROOM), np.log10(highest * _ROOM)],
        dtick=1,
        tickformat="~s",
        title_text="tokens/s",
    )
    return drawn


def _line(key: str, contexts: np.ndarray, speed: np.ndarray) -> go.Scatter:
    colour, symbol, dash = MACHINE_STYLE[key]
    return go.Scatter(
        x=contexts,
        y=speed,
        mode="lines+markers",
        name=machine_name(key),
        line={"color": colour, "dash": dash, "width": _LINE_PX},
        marker={"symbol": symbol, "size": _MARKER_PX, "color": colour},
        text=[context_label(c) for c in contexts],
        hovertemplate="%{text}: %{y:,.0f} tokens/s",
    )


def _level(key: str, contexts: np.ndarray, speed: float, what: str, ours: bool) -> go.Scatter:
    """A horizontal mark across the sweep: thin for our roofline, thick and open for a published record."""
    colour, symbol, dash = MACHINE_STYLE.get(key, OTHER_STYLE)
    ends = [float(contexts.min()), float(contexts.max())]
    return go.Scatter(
        x=ends,
        y=[speed, speed],
        mode="lines+markers",
        name=f"{text(machine_name(key))}, {what} {plain(speed)}",
        line={"color": colour, "dash": "solid" if ours else dash, "width": 1.5},
        marker={"symbol": symbol if ours else f"{symbol}-open", "size": _MARKER_PX + 1, "color": colour},
        hovertemplate=f"{text(machine_name(key))}, {what}: {plain(speed)} tokens/s<extra></extra>",
    )
