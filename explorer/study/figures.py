"""Figures of a study: its front between two objectives and along all of them, and its drivers."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, CYAN, GREEN, GREY, RED, YELLOW, figure, fill, text
from explorer.study.result import StudyResult
from explorer.study.space import Choice
from hwbase.columns import column
from hwbase.numbers import MISSING

#: Points of the cloud to draw: a sample shows its shape and keeps pages small.
_CLOUD = 3000
#: Points of a front to draw.
_MOST_FRONT = 1500
#: Lines that a reader can still tell apart.
_MOST_LINES = 200
_STYLES = ((BLUE, ""), (CYAN, "/"), (YELLOW, "."), (GREEN, "x"))
_HEIGHT_PX, _ROW_PX, _BARE_PX, _STAGGER_PX = 420, 18, 110, 15


def front_scatter(result: StudyResult, across: str, up: str) -> Plot:
    """Return a sample of the feasible points in two objectives, the front of all objectives, and the knee."""
    best, knee = result.front(), result.knee()
    cloud = result.feasible[[across, up]].replace([np.inf, -np.inf], np.nan).dropna()
    if len(cloud) > _CLOUD:
        cloud = cloud.sample(_CLOUD, random_state=0)
    best = best.sample(_MOST_FRONT, random_state=0) if len(best) > _MOST_FRONT else best
    (x_column, x_scale), (y_column, y_scale) = (column(name).scaled(best[name]) for name in (across, up))
    hover = (
        f"point %{{customdata}}<br>{text(x_column.heading)} %{{x:.4g}}<br>{text(y_column.heading)} %{{y:.4g}}"
        "<extra></extra>"
    )
    drawn = figure(f"{column(up).label} over {column(across).label}", _HEIGHT_PX)
    drawn.add_scatter(
        x=rounded(cloud[across] / x_scale),
        y=rounded(cloud[up] / y_scale),
        mode="markers",
        name="feasible points",
        marker={"size": 4, "color": GREY, "opacity": 0.5},
        hoverinfo="skip",
    )
    drawn.add_scatter(
        x=rounded(best[across] / x_scale),
        y=rounded(best[up] / y_scale),
        customdata=best["point"].tolist(),
        mode="markers",
        name="front",
        marker={"size": 7, "color": BLUE, "symbol": "circle"},
        hovertemplate=hover,
    )
    drawn.add_scatter(
        x=[float(knee[across] / x_scale)],
        y=[float(knee[up] / y_scale)],
        customdata=[int(knee["point"])],
        mode="markers",
        name="knee",
        marker={"size": 13, "color": RED, "symbol": "star"},
        hovertemplate=hover,
    )
    points = pd.concat([cloud, best[[across, up]]])
    drawn.update_xaxes(title_text=text(x_column.heading), type=_scale(points[across]))
    drawn.update_yaxes(title_text=text(y_column.heading), type=_scale(points[up]), automargin=True)
    return drawn


def front_along(result: StudyResult) -> Plot:
    """Return the front as parallel coordinates: a line a point, an axis each objective and parameter, the knee on top.

    Each axis runs from the minimum to the maximum on the front, which are given at its ends; choices are evenly spaced.
    """
    best, knee = result.front(), result.knee()
    # An objective that is also a parameter has one axis.
    names = [*dict.fromkeys((*result.study.objectives, *result.study.space))]
    lines = best.iloc[np.unique(np.linspace(0, len(best) - 1, min(len(best), _MOST_LINES)).astype(int))]
    places, ends = {}, {}
    for name in names:
        each = result.study.space.get(name)
        values, ends[name] = _along(best[name], list(each.choices) if isinstance(each, Choice) else None)
        places[name] = pd.Series(values, index=best.index)
    axes = [text(heading) for heading in distinct_labels(names)]
    drawn = figure("The front, a line a point", _HEIGHT_PX + _ROW_PX * 4)
    across, up = [], []
    for label in lines.index:
        # A gap after each line keeps them in one trace.
        across += [*axes, None]
        up += [*(float(places[name][label]) for name in names), None]
    drawn.add_scatter(
        x=across, y=up, mode="lines", name="front", line={"color": BLUE, "width": 1}, opacity=0.45, hoverinfo="skip"
    )
    drawn.add_scatter(
        x=axes,
        y=[float(places[name][int(knee["point"])]) for name in names],
        mode="lines+markers",
        name="knee",
        line={"color": RED, "width": 3},
        customdata=[column(name).text(knee[name]) for name in names],
        hovertemplate="%{x}: %{customdata}<extra>knee</extra>",
    )
    for i, (axis, name) in enumerate(zip(axes, names, strict=True)):
        # Every other label is farther out, to fit a narrow page.
        out = _STAGGER_PX * (i % 2)
        for at, end, anchor, shift in ((0.0, ends[name][0], "top", -out), (1.0, ends[name][1], "bottom", out)):
            drawn.add_annotation(x=axis, y=at, text=text(end), showarrow=False, yanchor=anchor, yshift=shift)
    drawn.update_yaxes(visible=False, range=[-0.2, 1.2])
    drawn.update_xaxes(tickangle=-35, automargin=True, showgrid=True)
    return drawn


def _along(values_of: pd.Series, choices: list[Any] | None) -> tuple[np.ndarray, tuple[str, str]]:
    """Return places in [0, 1] along an axis, and the labels of its two ends."""
    if choices is not None:
        there = set(values_of.dropna())
        kinds = [choice for choice in choices if choice in there]
        places = values_of.map({kind: i / max(len(kinds) - 1, 1) for i, kind in enumerate(kinds)})
        return places.to_numpy(dtype=float), (str(kinds[0]), str(kinds[-1]) if len(kinds) > 1 else "")
    values = values_of.to_numpy(dtype=float)
    if np.isnan(values).all():
        # The parameter is inactive at all points of the front.
        return values, (MISSING, "")
    low, high = np.nanmin(values), np.nanmax(values)
    level: np.ndarray = np.log(values) if _scale(values_of) == "log" else values
    bottom, top = np.nanmin(level), np.nanmax(level)
    spread = (level - bottom) / (top - bottom) if top > bottom else np.full(len(level), 0.5)
    write = column(str(values_of.name)).text
    return spread, (write(low), write(high) if high > low else "")


def distinct_labels(names: Iterable[str]) -> list[str]:
    """Return the label of each column, with its name where two labels are equal."""
    labels = [(name, column(name).label) for name in names]
    counts = Counter(label for _, label in labels)
    return [f"{label} ({name})" if counts[label] > 1 else label for name, label in labels]


def driver_bars(table: pd.DataFrame, objectives: list[str]) -> Plot:
    """Return the shares of `drivers` as bars, a group a parameter."""
    drawn = figure("Drivers of the objectives", _BARE_PX + _ROW_PX * len(table) * (len(objectives) + 1))
    order = table[objectives].max(axis=1).sort_values().index
    for i, name in enumerate(objectives):
        colour, pattern = _STYLES[i % len(_STYLES)]
        drawn.add_bar(
            y=[text(label) for label in distinct_labels(map(str, order))],
            x=[None if np.isnan(v) else float(v) for v in table.loc[order, name]],
            name=text(column(name).label),
            orientation="h",
            marker=fill(colour, pattern),
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    drawn.update_xaxes(title_text="share of the variance explained alone", tickformat=".0%", rangemode="tozero")
    drawn.update_yaxes(automargin=True)
    drawn.update_layout(barmode="group")
    return drawn


def rounded(values: pd.Series) -> list[float]:
    """Return numbers rounded to the digits that a figure shows, to keep pages small."""
    return [float(f"{value:.5g}") for value in values.to_numpy(dtype=float)]


def _scale(values: pd.Series) -> str:
    """Return "log" for positive numbers that span a factor of ten or more, otherwise "linear"."""
    low, high = values.min(), values.max()
    return "log" if low > 0 and high >= 10.0 * low else "linear"
