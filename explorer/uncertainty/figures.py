"""Figures of uncertainty: distributions, drivers, one factor at a time, break-even curves, convergence."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, CYAN, GREY, NEUTRAL_LINE, RED, figure, fill, style, text
from explorer.uncertainty.analyse import OTHER
from explorer.uncertainty.breakeven import Curve
from explorer.uncertainty.promises import PromiseMap
from explorer.uncertainty.results import Uncertainty
from hwbase.columns import Column, column
from hwbase.numbers import plain, pretty_unit

_HEIGHT_PX, _ROW_PX, _FRAME_PX = 400, 34, 120
_LINE_PX, _THIN_PX = 2.5, 1.5
_LABEL_CHARS = 26
_MANY_DECADES = 1e3
#: Ratios beyond this many decades have the colour of the end.
_DECADES = 1.5
#: Points of a drawn distribution.
_DRAWN = np.linspace(0.0, 100.0, 401)


def label(name: str, unit: bool = True) -> str:
    """Return the label of an output on a page, with its unit unless `unit` is false."""
    entry = _entry(name)
    heading = entry.heading if unit else entry.label
    return f"second machine: {heading}" if OTHER in name else heading


def titled(name: str, unit: bool = True) -> str:
    """Return the label with a capital letter."""
    heading = label(name, unit)
    return heading[:1].upper() + heading[1:]


def value_text(name: str, value: float) -> str:
    """Return a value of an output with its unit."""
    return _entry(name).text(value)


def factor_label(name: str) -> str:
    """Return the label of a factor on a page: the constants in it."""
    parts = name.split(" + ")
    return " + ".join(part if part.endswith(" more") else column(part).label for part in parts)


def _entry(name: str) -> Column:
    return column(name.rpartition(OTHER)[2])


def exceedance(result: Uncertainty, outputs: Sequence[str]) -> Plot:
    """Return the share of draws in which each output exceeds x, log x axis; outputs must be positive."""
    drawn = figure("Share of draws in which a ratio exceeds x", _HEIGHT_PX)
    for number, output in enumerate(outputs):
        colour, dash, _ = style(number)
        drawn.add_scatter(
            x=np.percentile(result.outputs[output].dropna(), _DRAWN),
            y=1.0 - _DRAWN / 100.0,
            mode="lines",
            name=text(label(output)),
            line={"color": colour, "dash": dash, "width": _LINE_PX},
            hovertemplate="%{y:.0%} of draws above %{x:,.3~g}<extra>%{fullData.name}</extra>",
        )
    drawn.add_vline(x=1.0, line={"color": NEUTRAL_LINE, "dash": "dot"})
    drawn.update_xaxes(title_text="ratio; above 1 hardwiring pays", type="log", dtick=1)
    drawn.update_yaxes(title_text="share of draws above", tickformat=".0%", range=[0, 1.02])
    return drawn


def sobol_bars(indices: pd.DataFrame, output: str, most: int = 10) -> Plot:
    """Return first and total order indices of the `most` most important factors, with their intervals."""
    rows = indices.head(most).iloc[::-1]
    drawn = figure(f"What decides: {label(output)}", _FRAME_PX + _ROW_PX * len(rows))
    for order, colour, shape in (("total", CYAN, "/"), ("first", BLUE, "")):
        drawn.add_bar(
            y=[_wrapped(name) for name in rows["name"]],
            x=rows[order],
            orientation="h",
            name=f"{order} order",
            marker=fill(colour, shape),
            error_x={
                "type": "data",
                "array": rows[f"{order}_high"] - rows[order],
                "arrayminus": rows[order] - rows[f"{order}_low"],
                "color": NEUTRAL_LINE,
                "thickness": _THIN_PX,
                "width": 3,
            },
            hovertemplate="%{x:.1%} of the variance<extra>%{fullData.name}</extra>",
        )
    drawn.update_layout(barmode="group", legend_traceorder="reversed", bargap=0.25)
    drawn.update_xaxes(title_text="share of the variance", tickformat=".0%", rangemode="tozero")
    return drawn


def tornado_bars(table: pd.DataFrame, nominal: float, output: str, most: int = 12) -> Plot:
    """Return the output with each factor at its low and its high end, everything else nominal; the line is nominal."""
    rows = table.head(most).iloc[::-1]
    drawn = figure(f"One factor at a time: {label(output)}", _FRAME_PX + _ROW_PX * len(rows))
    for end, colour, shape in (("low", BLUE, ""), ("high", RED, "/")):
        drawn.add_bar(
            y=[_wrapped(name) for name in rows["name"]],
            x=rows[end] - nominal,
            base=nominal,
            orientation="h",
            name=f"factor at its {end} end",
            marker=fill(colour, shape),
            customdata=rows[end],
            hovertemplate="%{customdata:,.3~g}<extra>%{fullData.name}</extra>",
        )
    drawn.add_vline(x=nominal, line={"color": NEUTRAL_LINE, "dash": "dot"})
    drawn.update_layout(barmode="overlay")
    drawn.update_xaxes(title_text=label(output), rangemode="tozero")
    return drawn


def break_even_curves(curves: Sequence[Curve]) -> Plot:
    """Return ratios along one axis: median, band from 5 to 95 % of draws, nominal (thin, dotted); log y axis."""
    axis = curves[0].axis
    drawn = figure(f"Over {axis.label}", _HEIGHT_PX)
    for number, curve in enumerate(curves):
        colour, dash, _ = style(number)
        name = text(label(curve.output))
        drawn.add_scatter(
            x=np.concatenate([curve.x, curve.x[::-1]]),
            y=np.concatenate([curve.p95, curve.p5[::-1]]),
            fill="toself",
            fillcolor=colour,
            opacity=0.22,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
        drawn.add_scatter(
            x=curve.x,
            y=curve.p50,
            mode="lines",
            name=name,
            line={"color": colour, "dash": dash, "width": _LINE_PX},
            customdata=np.stack([curve.p5, curve.p95, curve.probability], axis=1),
            hovertemplate="%{x:,.4~g}: %{y:,.3~g} (%{customdata[0]:,.3~g} to %{customdata[1]:,.3~g}), "
            "above 1 in %{customdata[2]:.0%}<extra>%{fullData.name}</extra>",
        )
        drawn.add_scatter(
            x=curve.x,
            y=curve.nominal,
            mode="lines",
            line={"color": colour, "dash": "dot", "width": _THIN_PX},
            hovertemplate="nominal %{y:,.3~g}<extra></extra>",
            showlegend=False,
        )
    drawn.add_hline(y=1.0, line={"color": GREY, "width": _THIN_PX})
    unit = pretty_unit(axis.unit)
    drawn.update_xaxes(
        title_text=f"{axis.label} [{unit}]" if unit else axis.label, type="log" if axis.log else "linear"
    )
    if axis.log:
        drawn.update_xaxes(tickvals=_ticks(axis.low, axis.high))
    drawn.update_yaxes(title_text="GPUs over hardwired", type="log", dtick=1)
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Return the decades from low to high, with 2 and 5 in each if there are few."""
    steps = (1.0,) if high / low >= _MANY_DECADES else (1.0, 2.0, 5.0)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{step}e{decade}") for decade in decades for step in steps if low <= step * 10.0**decade <= high]


def convergence_lines(table: pd.DataFrame, output: str) -> Plot:
    """Return percentiles of an output against the number of draws."""
    drawn = figure(f"Percentiles against draws: {label(output)}", _HEIGHT_PX)
    for number, name in enumerate(each for each in table if each != "samples"):
        colour, dash, _ = style(number)
        drawn.add_scatter(
            x=table["samples"],
            y=table[name],
            mode="lines+markers",
            name=str(name),
            line={"color": colour, "dash": dash, "width": _LINE_PX},
            hovertemplate="%{x:,} draws: %{y:,.4~g}<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text="draws", type="log", tickvals=list(table["samples"])[::2])
    drawn.update_yaxes(title_text=label(output))
    return drawn


def _wrapped(name: str) -> str:
    """Return a factor's label in lines that leave room for the bars."""
    return "<br>".join(text(line) for line in textwrap.wrap(factor_label(name), _LABEL_CHARS))


def promise_heat(result: PromiseMap) -> Plot:
    """Return the ratio of cost over users and promised tokens per second: above 1 (blue) hardwiring costs less."""
    ratio = result.tco_ratio
    drawn = figure("What bought machines cost over what hardwired ones cost", _HEIGHT_PX)
    labels = [["" if np.isnan(value) else f"{plain(value, 2)}×" for value in row] for row in ratio]
    drawn.add_heatmap(
        z=np.log10(ratio),
        x=[f"{speed:g}" for speed in result.speeds],
        y=[f"{users:,.0f}" for users in result.users],
        zmid=0.0,
        zmin=-_DECADES,
        zmax=_DECADES,
        colorscale="RdBu",
        text=labels,
        texttemplate="%{text}",
        showscale=False,
        customdata=result.probability,
        hovertemplate="%{y} users, %{x} tokens/s each: %{text}, above 1 in %{customdata:.0%} of draws<extra></extra>",
    )
    drawn.update_xaxes(title_text="tokens/s promised to each user", type="category", showgrid=False)
    drawn.update_yaxes(title_text="users served at once", type="category", showgrid=False)
    return drawn
