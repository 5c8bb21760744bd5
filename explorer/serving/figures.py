"""Figures of traffic on a machine: latencies, utilisation and queues over time, chips, and a token's path."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import (
    DARK_TEXT,
    figure,
    fill,
    machine_name,
    text,
)
from hwbase.numbers import percent, si, words

if TYPE_CHECKING:
    from hwsim.events.results import ServingResult

from explorer.documents.theme import STYLES, style
from hwsim.events import results as serving_results

#: Labels of the latencies of a request.
LATENCIES = serving_results.LATENCIES | {"latency_s": "whole request"}
#: Shares of requests at which a distribution is drawn and tabulated.
_DRAWN = np.concatenate([np.linspace(0.0, 99.0, 199), np.linspace(99.05, 100.0, 20)])
PERCENTILES = (10, 50, 90, 95, 99)
_HEIGHT_PX, _TIMES_PX = 400, 320
_LINE_PX = 2
#: Resources with a lower peak are left out of a timeline.
_IDLE = 0.005
#: Height of the row of each step of a token's path.
_ROW_PX, _FRAME_PX = 26, 110


def latency_frame(results: Mapping[str, "ServingResult"], of: Sequence[int] = PERCENTILES) -> pd.DataFrame:
    """Return a row for each result and latency: name, latency, served share, then columns p50, p90, ... in seconds.

    Percentiles are over all requests; they are infinite beyond the served share.
    """
    rows = []
    for name, result in results.items():
        for key, label in LATENCIES.items():
            values = serving_results.percentiles_of(_defined(result, key), of)
            row = {"name": name, "latency": label, "served": result.served_share}
            rows.append(row | {f"p{p}": v for p, v in zip(of, values, strict=True)})
    return pd.DataFrame(rows)


def latency_cdf(results: Mapping[str, "ServingResult"], latency: str = "time_to_first_token_s") -> Plot:
    """Return the share of all requests against one of `LATENCIES` (log axis), one line a result.

    A line ends at the share of requests that reached the latency.
    """
    drawn = figure(f"Share of requests against {LATENCIES[latency]}", _HEIGHT_PX)
    for index, (name, result) in enumerate(results.items()):
        reached_s = serving_results.percentiles_of(_defined(result, latency), _DRAWN)
        known = np.isfinite(reached_s)
        if not known.any():
            continue
        colour, dash, _ = style(index)
        drawn.add_scatter(
            x=reached_s[known],
            y=_DRAWN[known] / 100.0,
            mode="lines",
            name=text(name),
            line={"color": colour, "dash": dash, "width": _LINE_PX},
            hovertemplate="%{y:.1%} within %{x:.3~s}s",
        )
    drawn.update_xaxes(type="log", dtick="D2", tickformat="~s", ticksuffix="s", title_text=LATENCIES[latency])
    drawn.update_yaxes(range=[0, 1.02], tickformat=".0%", title_text="share of requests")
    return drawn


def utilisation_over_time(result: "ServingResult") -> Plot:
    """Return the busy share over time of each resource that is ever busy."""
    drawn = figure(f"Utilisation over time, {result.label or machine_name(result.machine)}", _TIMES_PX)
    line = result.timeline
    busiest = sorted(line.utilisation.items(), key=lambda item: -float(np.max(item[1], initial=0.0)))
    shown = [(name, share) for name, share in busiest if np.max(share, initial=0.0) >= _IDLE] or busiest[:1]
    for index, (name, share) in enumerate(shown[: len(STYLES)]):
        _add_line(drawn, index, words(name), line.time_s, share, "%{y:.1%}")
    drawn.update_xaxes(title_text="time [s]")
    drawn.update_yaxes(tickformat=".0%", rangemode="tozero", title_text="busy")
    return drawn


def queues_over_time(result: "ServingResult") -> Plot:
    """Return the numbers of running and waiting requests over time."""
    drawn = figure(f"Requests over time, {result.label or machine_name(result.machine)}", _TIMES_PX)
    line = result.timeline
    for index, (name, values) in enumerate((("running", line.running), ("waiting", line.waiting))):
        _add_line(drawn, index, name, line.time_s, values, "%{y:,.1f}")
    drawn.update_xaxes(title_text="time [s]")
    drawn.update_yaxes(rangemode="tozero", title_text="requests")
    return drawn


def utilisation_frame(result: "ServingResult") -> pd.DataFrame:
    """Return a row for each resource, busiest first: resource, busy share of the whole time, its peak, energy in J."""
    peaks = result.timeline.utilisation
    rows = [
        {
            "resource": name,
            "busy": share,
            "peak": float(np.max(peaks[name], initial=0.0)) if name in peaks else np.nan,
        }
        for name, share in sorted(result.utilisation.items(), key=lambda item: -item[1])
    ]
    return pd.DataFrame(rows, columns=["resource", "busy", "peak"])


def timeline_frame(result: "ServingResult") -> pd.DataFrame:
    """Return a row for each bin of time: its end, levels, tokens/s, and the utilisation of each resource."""
    line = result.timeline
    levels = {name: getattr(line, name) for name in ("running", "waiting", "kv_bytes", "tokens_per_s")}
    shares = {f"utilisation.{name}": share for name, share in line.utilisation.items()}
    return pd.DataFrame({"time_s": line.time_s} | levels | shares)


def chip_heat_map(busy: np.ndarray, what: str = "utilisation of the chips") -> Plot:
    """Return the busy share of every chip of a grid, `busy` (rows, columns), as a heat map with numbers."""
    rows, columns = busy.shape
    drawn = figure(what[:1].upper() + what[1:], _HEIGHT_PX, showlegend=False)
    top = float(np.max(busy, initial=0.0)) or 1.0
    drawn.add_heatmap(
        z=busy,
        zmin=0.0,
        zmax=top,
        colorscale="Cividis",
        xgap=2,
        ygap=2,
        colorbar={"tickformat": ".0%", "thickness": 12},
        hovertemplate="row %{y}, column %{x}: %{z:.2%}<extra></extra>",
    )
    for row in range(rows):
        for column in range(columns):
            share = float(busy[row, column])
            drawn.add_annotation(
                x=column,
                y=row,
                text=percent(share),
                showarrow=False,
                # Cividis runs from dark blue to yellow.
                font={"color": "white" if share < 0.55 * top else DARK_TEXT, "size": 12},
            )
    drawn.update_xaxes(title_text="column", dtick=1, showgrid=False)
    drawn.update_yaxes(title_text="row", dtick=1, autorange="reversed", showgrid=False)
    return drawn


def token_gantt(spans: pd.DataFrame) -> Plot:
    """Return one token's path as bars over time; `spans` has stage, resource, start_s and end_s, in order of start.

    Time starts at the first start; each resource has one colour and pattern.
    """
    start = float(spans["start_s"].min())
    drawn = figure("One token's way", _FRAME_PX + _ROW_PX * spans["stage"].nunique(), barmode="overlay")
    for index, (resource, rows) in enumerate(spans.groupby("resource", sort=False)):
        colour, _, pattern = style(index)
        drawn.add_bar(
            x=rows["end_s"] - rows["start_s"],
            base=rows["start_s"] - start,
            y=[text(words(stage)) for stage in rows["stage"]],
            orientation="h",
            name=text(words(resource)),
            marker=fill(colour, pattern),
            customdata=[si(seconds, "s") for seconds in rows["end_s"] - rows["start_s"]],
            hovertemplate="%{y}: %{customdata}",
        )
    drawn.update_xaxes(tickformat="~s", ticksuffix="s", title_text="time")
    stages = [text(words(stage)) for stage in spans["stage"].drop_duplicates()]
    drawn.update_yaxes(categoryorder="array", categoryarray=stages, autorange="reversed", ticksuffix=" ")
    return drawn


def _defined(result: "ServingResult", latency: str) -> np.ndarray:
    values = result.felt(latency)
    return values[~np.isnan(values)]


def _add_line(drawn: Plot, index: int, name: str, x: np.ndarray, y: np.ndarray, hover: str) -> None:
    colour, dash, _ = style(index)
    drawn.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=text(name),
        line={"color": colour, "dash": dash, "width": _LINE_PX, "shape": "vh"},
        hovertemplate=f"%{{x:,.1f}} s: {hover}",
    )
