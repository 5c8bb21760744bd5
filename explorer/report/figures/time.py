"""The parts of a token's time over context: stacked shares, with the published shares marked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.documents.plot import Plot
from explorer.documents.theme import (
    DARK_TEXT,
    GREY,
    PART_STYLE,
    RED,
    figure,
    fill,
    machine_name,
    machine_style,
    text,
)
from hwbase.numbers import context_label, percent, plain, scalar, si, words

if TYPE_CHECKING:
    from hwsim.results import SimResult

_SPEED_HEIGHT_PX = 440
_LINE_PX = 2.5
_SPEED_MARKER_PX = 8
#: Margin of the log axes, as a factor beyond the outermost values.
_SPEED_ROOM = 2.0
#: With more contexts than this, only every second one has a tick.
_MOST_TICKS = 8


def speed_rows(published: "SimResult", pipelined: "SimResult") -> list[dict[str, Any]]:
    """Return a row per context: context, tokens/s and binding resource of both readings.

    Keys: context, as_published_tokens_per_s, pipelined_tokens_per_s, pipelined_bound_by; without the second where both
    are read as pipelined.
    """
    contexts = np.atleast_1d(np.asarray(published.context, dtype=float))
    stated = {"as_published_tokens_per_s": np.broadcast_to(published.tokens_per_s, contexts.shape)}
    return _rows(
        {
            "context": contexts,
            **(stated if published.reading != pipelined.reading else {}),
            "pipelined_tokens_per_s": np.broadcast_to(pipelined.tokens_per_s, contexts.shape),
            "pipelined_bound_by": np.broadcast_to(np.asarray(pipelined.bound_by, dtype=object), contexts.shape),
        }
    )


def _rows(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return columns of equal length as rows."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def speed_over_context(
    published: "SimResult",
    pipelined: "SimResult",
    gpu_rates: Mapping[str, np.ndarray],
    records: Mapping[str, float] | None = None,
) -> Plot:
    """Return tokens/s over context on log axes; published records of other machines are level lines.

    `gpu_rates` are tokens/s of one GPU over the same contexts, by machine; `records` are published tokens/s by machine.
    """
    rows = speed_rows(published, pipelined)
    contexts = np.array([row["context"] for row in rows])
    drawn = figure("System tokens per second over context", _SPEED_HEIGHT_PX)
    for key, column in (("as-published", "as_published_tokens_per_s"), ("pipelined", "pipelined_tokens_per_s")):
        if column in rows[0]:
            _add_line(drawn, key, contexts, np.array([row[column] for row in rows]))
    for key, rates in gpu_rates.items():
        _add_line(drawn, key, contexts, rates)
    for key, value in (records or {}).items():
        _add_level(drawn, key, contexts, value)
    ticks = contexts[:: 2 if len(contexts) > _MOST_TICKS else 1]
    drawn.update_xaxes(
        type="log", tickvals=ticks, ticktext=[context_label(c) for c in ticks], title_text="context [tokens]"
    )
    speeds = np.concatenate([np.asarray(trace["y"], dtype=float) for trace in drawn.traces])
    lowest, highest = min(np.nanmin(speeds), 1e2), np.nanmax(speeds)
    drawn.update_yaxes(
        type="log",
        range=[np.log10(lowest / _SPEED_ROOM), np.log10(highest * _SPEED_ROOM)],
        dtick=1,
        tickformat="~s",
        title_text="tokens/s",
    )
    return drawn


def _add_line(drawn: Plot, key: str, contexts: np.ndarray, speed: np.ndarray) -> None:
    colour, symbol, dash = machine_style(key)
    drawn.add_scatter(
        x=contexts,
        y=speed,
        mode="lines+markers",
        name=machine_name(key),
        line={"color": colour, "dash": dash, "width": _LINE_PX},
        marker={"symbol": symbol, "size": _SPEED_MARKER_PX, "color": colour},
        text=[context_label(c) for c in contexts],
        hovertemplate="%{text}: %{y:,.0f} tokens/s",
    )


def _add_level(drawn: Plot, key: str, contexts: np.ndarray, speed: float) -> None:
    """Add a horizontal line across the sweep for a published record."""
    colour, symbol, dash = machine_style(key)
    ends = [float(contexts.min()), float(contexts.max())]
    drawn.add_scatter(
        x=ends,
        y=[speed, speed],
        mode="lines+markers",
        name=f"{text(machine_name(key))}, published {plain(speed)}",
        line={"color": colour, "dash": dash, "width": 1.5},
        marker={"symbol": f"{symbol}-open", "size": _SPEED_MARKER_PX + 1, "color": colour},
        hovertemplate=f"{text(machine_name(key))}, published: {plain(speed)} tokens/s<extra></extra>",
    )


_OCCUPANCY_HEIGHT_PX = 290
#: The axis extends beyond the longest bar by this factor, to fit its label.
_OCCUPANCY_ROOM = 1.45


def occupancy_rows(result: "SimResult") -> list[dict[str, Any]]:
    """Return a row per resource, longest first: resource, seconds_per_token, busy_share, binds.

    No resource binds where the result is bound by its latency.
    """
    seconds = {name: scalar(name, value) for name, value in result.occupancy_s.items()}
    interval = scalar("interval_s", result.interval_s)
    return [
        {
            "resource": name,
            "seconds_per_token": value,
            "busy_share": value / interval,
            "binds": name == str(result.bound_by),
        }
        for name, value in sorted(seconds.items(), key=lambda item: -item[1])
    ]


def occupancy_bars(result: "SimResult") -> Plot:
    """Return a bar for each resource, in seconds per token; the binding one is filled, hatched and labelled.

    Raises `InputError` for a result whose fields are arrays.
    """
    rows = occupancy_rows(result)
    drawn = figure(
        f"Time of each resource per token, {machine_name(result.reading)}",
        _OCCUPANCY_HEIGHT_PX,
        showlegend=False,
        barmode="overlay",
    )
    for binds, colour, pattern in ((True, RED, "/"), (False, GREY, "")):
        those = [row for row in rows if row["binds"] == binds]
        seconds = [row["seconds_per_token"] for row in those]
        drawn.add_bar(
            x=seconds,
            y=[text(words(row["resource"])) for row in those],
            orientation="h",
            marker=fill(colour, pattern),
            text=[f"{si(value, 's')}{', binds' if binds else ''}" for value in seconds],
            textposition="auto",
            insidetextfont={"color": DARK_TEXT},
            cliponaxis=False,
            customdata=[row["busy_share"] for row in those],
            hovertemplate="%{y}: %{text}, busy %{customdata:.1%} of the time<extra></extra>",
        )
    longest = max((row["seconds_per_token"] for row in rows), default=0.0)
    drawn.update_xaxes(
        range=[0, longest * _OCCUPANCY_ROOM or 1.0], tickformat="~s", ticksuffix="s", title_text="time per token"
    )
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    return drawn


#: Shares printed in Figure 14 of doi 10.1145/3779212.3790169; the rest of 1 is the non-linear part.
PUBLISHED_SHARES: Mapping[int, Mapping[str, float]] = {
    2048: {"communication": 0.829, "projection": 0.138, "attention": 0.006, "stall": 0.0},
    65536: {"communication": 0.708, "projection": 0.118, "attention": 0.151, "stall": 0.0},
    262144: {"communication": 0.487, "projection": 0.081, "attention": 0.416, "stall": 0.0},
}

_PUBLISHED_FOR = ("gpt-oss-120b", "as-published")
_BREAKDOWN_HEIGHT_PX = 420
#: Smaller segments carry no number.
_SMALLEST_LABELLED = 0.05
_BREAKDOWN_MARKER_PX = 10
_SMALLEST_TEXT_PX = 9


def breakdown_rows(result: "SimResult") -> list[dict[str, Any]]:
    """Return a row per context: context, then the share of each part of a token's time (a row sums to 1)."""
    contexts = np.atleast_1d(np.asarray(result.context, dtype=float))
    shares = {
        part: np.broadcast_to(np.asarray(result.breakdown.get(part, 0.0), dtype=float), contexts.shape)
        for part in PART_STYLE
    }
    return _rows({"context": contexts} | shares)


def breakdown_over_context(result: "SimResult", published: Mapping[int, Mapping[str, float]] | None = None) -> Plot:
    """Return stacked bars of a token's time over context, for one reading of the machine.

    `published` maps a context to its printed shares; by default those of Figure 14 for its model in the as-published
    reading, and none for another. A diamond marks each printed boundary between two parts, at the contexts of the
    sweep.
    """
    rows = breakdown_rows(result)
    labels = [context_label(row["context"]) for row in rows]
    drawn = figure(
        f"Share of a token's time, {machine_name(result.reading)}",
        _BREAKDOWN_HEIGHT_PX,
        barmode="stack",
        bargap=0.25,
        uniformtext={"minsize": _SMALLEST_TEXT_PX, "mode": "hide"},
    )
    for part, (colour, pattern) in PART_STYLE.items():
        share = [row[part] for row in rows]
        drawn.add_bar(
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
    if published is None:
        published = PUBLISHED_SHARES if (result.model, result.reading) == _PUBLISHED_FOR else {}
    _mark_published(drawn, [row["context"] for row in rows], published)
    drawn.update_xaxes(type="category", title_text="context [tokens]")
    drawn.update_yaxes(range=[0, 1.02], tickformat=".0%", title_text="share of a token's time")
    return drawn


def published_boundaries(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the end of each part when printed shares are stacked; the rest of 1 is the non-linear part."""
    full = dict(shares)
    full.setdefault("nonlinear", max(1.0 - sum(shares.values()), 0.0))
    ends, at = {}, 0.0
    for part in PART_STYLE:
        at += full.get(part, 0.0)
        ends[part] = at
    return ends


def _mark_published(drawn: Plot, contexts: list[float], published: Mapping[int, Mapping[str, float]]) -> None:
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
        drawn.add_scatter(
            x=xs,
            y=ys,
            mode="markers",
            name="published boundary",
            marker={
                "symbol": "diamond",
                "size": _BREAKDOWN_MARKER_PX,
                "color": "white",
                "line": {"color": DARK_TEXT, "width": 2},
            },
            text=notes,
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
        )
