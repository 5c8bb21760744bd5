"""Wiring of real weights: where a tile's tracks are crowded, ports per neuron, what slack buys, and defects."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explorer.figures.theme import BLUE, CYAN, GREEN, GREY, PURPLE, RED, YELLOW, figure, fill, text
from hwbase import InputError
from hwsim.wiring import REGIONS, heat_map, region_name

if TYPE_CHECKING:
    from hwsim import Technology
    from hwsim.wiring import Tile, WiringPlan

_HEIGHT_PX = 320
_HEAT_HEIGHT_PX = 420
#: One colour, marker and dash for each line of a figure.
_LINES = (
    (BLUE, "circle", "solid"),
    (RED, "square", "dash"),
    (GREEN, "diamond", "dot"),
    (PURPLE, "triangle-up", "dashdot"),
    (YELLOW, "cross", "longdash"),
    (CYAN, "x", "longdashdot"),
)
_KINDS = {
    "wire": "broken wires",
    "input": "lost inputs",
    "region_zero": "regions stuck at zero",
    "neuron": "dead neurons",
}


def tile_heat(
    plan: "WiringPlan", neuron: int, tile: "Tile", technology: "Technology", bins: tuple[int, int] = (40, 8)
) -> go.Figure:
    """Return the heat map of one neuron's tile: the share of the tracks of M8 to M11 taken in each of `bins`.

    Axes in um; inputs enter from the left in order, the first one on top. Raises `InputError` as `heat_map` does.
    """
    share = heat_map(plan, neuron, tile, technology, bins)
    rows, columns = share.shape
    name = f"{plan.matrix}, " if plan.matrix else ""
    drawn = figure(f"Tracks taken in the tile of {text(name)}neuron {neuron}", _HEAT_HEIGHT_PX)
    drawn.add_trace(
        go.Heatmap(
            z=share,
            x=(np.arange(columns) + 0.5) * tile.width_um / columns,
            y=(np.arange(rows) + 0.5) * tile.height_um / rows,
            colorscale="Cividis",
            zmin=0.0,
            zmax=max(1.0, float(share.max())),
            colorbar={"title": {"text": "share of tracks"}, "tickformat": ".0%"},
            hovertemplate="x %{x:.2f} µm, y %{y:.1f} µm: %{z:.0%} of the tracks<extra></extra>",
        )
    )
    drawn.update_xaxes(title_text="across the tile, µm", showgrid=False)
    drawn.update_yaxes(title_text="down the tile, µm", autorange="reversed", showgrid=False)
    return drawn


def port_frame(plan: "WiringPlan") -> pd.DataFrame:
    """Return a row per number of used ports: used_ports, neurons, share_of_ports."""
    used, neurons = np.unique(plan.wires, return_counts=True)
    return pd.DataFrame({"used_ports": used, "neurons": neurons, "share_of_ports": used / max(plan.silicon.ports, 1)})


def port_use(plan: "WiringPlan") -> go.Figure:
    """Return the histogram over neurons of the POPCNT ports that are used, the ports there are marked by a line."""
    frame = port_frame(plan)
    drawn = figure("POPCNT ports used per neuron", _HEIGHT_PX, showlegend=False, bargap=0.05)
    drawn.add_trace(
        go.Bar(
            x=frame["used_ports"],
            y=frame["neurons"],
            marker=fill(BLUE, ""),
            customdata=frame["share_of_ports"],
            hovertemplate="%{x:,} ports (%{customdata:.1%}): %{y:,} neurons<extra></extra>",
        )
    )
    drawn.add_vline(
        x=plan.silicon.ports, line={"color": RED, "dash": "dash"}, annotation_text=f"{plan.silicon.ports:,} ports"
    )
    drawn.update_xaxes(title_text="ports used", tickformat=",")
    drawn.update_yaxes(title_text="neurons", tickformat=",")
    return drawn


def region_shares_of_matrices(frame: pd.DataFrame) -> go.Figure:
    """Return a box per region: the shares of the matrices of `explorer.wiring.histogram_frame` in it."""
    drawn = figure("Share of weights in each region, over matrices", _HEIGHT_PX, showlegend=False)
    order = [*range(REGIONS - 1, REGIONS // 2 - 1, -1), *range(REGIONS // 2)]
    for region in order:
        name = region_name(region)
        drawn.add_trace(
            go.Box(
                y=frame[name],
                name=name.replace("-", "−"),
                marker={"color": RED if region >= REGIONS // 2 else BLUE, "size": 3},
                line={"width": 1},
                text=[text(matrix) for matrix in frame["matrix"]],
                hovertemplate="%{text}: %{y:.2%}<extra></extra>",
            )
        )
    drawn.update_xaxes(title_text="weight of the region", type="category")
    drawn.update_yaxes(title_text="share of weights", tickformat=".0%", rangemode="tozero")
    return drawn


def slack_over_fit(frame: pd.DataFrame, inputs: int) -> go.Figure:
    """Return slack against the share of neurons that must fit, a line per kind of silicon, for neurons of `inputs`.

    `frame` is that of `explorer.wiring.slack_frame`. Raises `InputError` if it has no such neurons.
    """
    rows = frame[frame["inputs"] == inputs]
    if rows.empty:
        raise InputError(f"inputs = {inputs}: expected one of {sorted(set(frame['inputs']))}")
    drawn = figure(f"Spare ports so that neurons of {inputs:,} inputs fit", _HEIGHT_PX)
    for ports, (colour, symbol, dash) in zip(sorted(set(rows["slice_ports"])), _LINES, strict=False):
        ordered = rows[rows["slice_ports"] == ports].sort_values("fit_share")
        name = f"slices of {ports}" if ports else "fixed regions"
        drawn.add_scatter(
            x=[f"{100 * share:g}\u00a0%" for share in ordered["fit_share"]],
            y=ordered["slack"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x} of neurons: %{y:.1%} spare<extra>" + name + "</extra>",
        )
    drawn.update_xaxes(title_text="neurons that fit", type="category")
    drawn.update_yaxes(title_text="slack", type="log", tickformat=".0%")
    return drawn


def perplexity_over_defects(frame: pd.DataFrame) -> go.Figure:
    """Return perplexity over the rate of each kind of fault, log axes, from `hwsim.wiring.measure_over_faults`."""
    drawn = figure("Perplexity over the rate of faults", _HEIGHT_PX)
    faulty = frame[frame["rate"] > 0]
    for (kind, rows), (colour, symbol, dash) in zip(faulty.groupby("kind", sort=False), _LINES, strict=False):
        mean = rows.groupby("rate", as_index=False)["value"].mean()
        name = _KINDS.get(str(kind), text(kind))
        drawn.add_scatter(
            x=mean["rate"],
            y=mean["value"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x:.2g}: perplexity %{y:.4g}<extra>" + name + "</extra>",
        )
    perfect = float(frame.loc[frame["rate"] == 0, "value"].iloc[0])
    drawn.add_hline(y=perfect, line={"color": GREY, "dash": "dash"}, annotation_text="no faults")
    drawn.update_xaxes(title_text="share that is broken", type="log")
    drawn.update_yaxes(title_text="perplexity", type="log")
    return drawn
