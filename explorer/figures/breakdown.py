"""Where the time of a token goes, over context: stacked shares, with the published shares marked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explorer.figures.numbers import context_label, percent, words
from explorer.figures.theme import DARK_TEXT, PART_STYLE, figure, fill, machine_name

if TYPE_CHECKING:
    from hwsim.results import SimResult

#: Shares printed in Figure 14 of doi 10.1145/3779212.3790169; what is left of 1 is the non-linear part.
PUBLISHED_SHARES: Mapping[int, Mapping[str, float]] = {
    2048: {"communication": 0.829, "projection": 0.138, "attention": 0.006, "stall": 0.0},
    65536: {"communication": 0.708, "projection": 0.118, "attention": 0.151, "stall": 0.0},
    262144: {"communication": 0.487, "projection": 0.081, "attention": 0.416, "stall": 0.0},
}

_PUBLISHED_FOR = ("gpt-oss-120b", "as-published")
_HEIGHT_PX = 420
#: Segments smaller than this share carry no number.
_SMALLEST_LABELLED = 0.05
_MARKER_PX = 10
_SMALLEST_TEXT_PX = 9


def breakdown_frame(result: "SimResult") -> pd.DataFrame:
    """Return a row per context: context, then the share of each part of a token's time (a row sums to 1)."""
    contexts = np.atleast_1d(np.asarray(result.context, dtype=float))
    shares = {
        part: np.broadcast_to(np.asarray(result.breakdown.get(part, 0.0), dtype=float), contexts.shape)
        for part in PART_STYLE
    }
    return pd.DataFrame({"context": contexts} | shares)


def breakdown_over_context(
    result: "SimResult", published: Mapping[int, Mapping[str, float]] | None = None
) -> go.Figure:
    """Return stacked bars of a token's time over context, for one reading of the machine.

    `published` maps a context to its printed shares; by default those of Figure 14 for its model in the
    as-published reading, and none for another. A diamond marks where each printed boundary between two parts lies, at
    the contexts that the sweep holds.
    """
    frame = breakdown_frame(result)
    labels = [context_label(c) for c in frame["context"]]
    drawn = figure(
        f"Share of a token's time, {machine_name(result.reading)}",
        _HEIGHT_PX,
        barmode="stack",
        bargap=0.25,
        uniformtext={"minsize": _SMALLEST_TEXT_PX, "mode": "hide"},
    )
    for part, (colour, pattern) in PART_STYLE.items():
        share = frame[part].to_numpy()
        drawn.add_trace(
            go.Bar(
                x=labels,
                y=share,
                name=words(part),
                marker=fill(colour, pattern),
                text=[f"{100 * s:.0f} %" if s >= _SMALLEST_LABELLED else "" for s in share],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                hovertemplate="%{x}: %{y:.2%}",
            )
        )
    if published is None:
        published = PUBLISHED_SHARES if (result.model, result.reading) == _PUBLISHED_FOR else {}
    _mark_published(drawn, frame["context"].to_list(), published)
    drawn.update_xaxes(type="category", title_text="context [tokens]")
    drawn.update_yaxes(range=[0, 1.02], tickformat=".0%", title_text="share of a token's time")
    return drawn


def published_boundaries(shares: Mapping[str, float]) -> dict[str, float]:
    """Return where each part ends when printed shares are stacked; what they leave of 1 is the non-linear part."""
    full = dict(shares)
    full.setdefault("nonlinear", max(1.0 - sum(shares.values()), 0.0))
    ends, at = {}, 0.0
    for part in PART_STYLE:
        at += full.get(part, 0.0)
        ends[part] = at
    return ends


def _mark_published(drawn: go.Figure, contexts: list[float], published: Mapping[int, Mapping[str, float]]) -> None:
    xs, ys, notes = [], [], []
    for context, shares in published.items():
        if context in contexts:
            for part, end in published_boundaries(shares).items():
                if part in ("communication", "projection", "nonlinear"):
                    xs.append(context_label(context))
                    ys.append(end)
                    notes.append(
                        f"published at {context_label(context)}: "
                        + ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
                    )
    if xs:
        drawn.add_trace(
            go.Scatter(
                x=xs,
                y=ys,
                mode="markers",
                name="published boundary",
                marker={
                    "symbol": "diamond",
                    "size": _MARKER_PX,
                    "color": "white",
                    "line": {"color": DARK_TEXT, "width": 2},
                },
                text=notes,
                hovertemplate="%{text}<extra></extra>",
                cliponaxis=False,
            )
        )
