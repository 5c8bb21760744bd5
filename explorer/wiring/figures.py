"""Figures of the wiring of real weights: tracks in a tile, ports per neuron, slack, and defects."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, CYAN, GREEN, GREY, PURPLE, RED, YELLOW, figure, fill, text
from hwbase import InputError, unknown_name
from hwsim.wiring import REGIONS, heat_map, region_name
from hwsim.wiring.tile import port_positions

if TYPE_CHECKING:
    from hwsim import Technology
    from hwsim.wiring import Tile, WiringPlan

_HEIGHT_PX = 320
_HEAT_HEIGHT_PX = 420
#: Bins of a heat map down the tile.
_BANDS = 40
#: Colour, marker and dash of each line of a figure.
_LINES = (
    (BLUE, "circle", "solid"),
    (RED, "square", "dash"),
    (GREEN, "diamond", "dot"),
    (PURPLE, "triangle-up", "dashdot"),
    (YELLOW, "cross", "longdash"),
    (CYAN, "x", "longdashdot"),
)
_CLUSTER_TICKS = (64, 128, 256, 576, 1440, 2880)
_SLACK_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_PERPLEXITY_TICKS = tuple(m * 10.0**e for e in range(7) for m in (1, 2, 3, 5))
_TRACK_TICKS = (0.25, 0.5, 1.0, 2.0, 4.0)
_KINDS = {
    "wire": "broken wires",
    "input": "lost inputs",
    "region_zero": "regions stuck at zero",
    "neuron": "dead neurons",
}


def tile_heat(
    plan: "WiringPlan",
    neuron: int,
    tile: "Tile",
    technology: "Technology",
    bins: tuple[int, int] | None = None,
    most: float | None = None,
) -> Plot:
    """Return the heat map of one neuron's tile: the used share of the tracks of M8 to M11 in each of `bins`.

    `bins` are counts down and across the tile, by default `heat_bins`. Axes in um; inputs enter from the left in order,
    the first at the top. Colours run from 0 to `most`, by default this map's maximum and at least 1; pass one `most` to
    compare maps. Raises `InputError` as `heat_map` does.
    """
    share = heat_map(plan, neuron, tile, technology, bins or heat_bins(plan, tile))
    rows, columns = share.shape
    name = f"{plan.matrix}, " if plan.matrix else ""
    drawn = figure(f"Used tracks in the tile of {text(name)}neuron {neuron}", _HEAT_HEIGHT_PX)
    drawn.add_heatmap(
        z=share,
        x=(np.arange(columns) + 0.5) * tile.width_um / columns,
        y=(np.arange(rows) + 0.5) * tile.height_um / rows,
        colorscale="Cividis",
        zmin=0.0,
        zmax=max(1.0, float(share.max())) if most is None else most,
        colorbar={"tickformat": ".0%", "thickness": 16},
        hovertemplate="x %{x:.2f} µm, y %{y:.1f} µm: %{z:.0%} of the tracks<extra></extra>",
    )
    drawn.update_xaxes(title_text="across the tile, µm", showgrid=False)
    drawn.update_yaxes(title_text="down the tile, µm", autorange="reversed", showgrid=False)
    return drawn


def heat_bins(plan: "WiringPlan", tile: "Tile") -> tuple[int, int]:
    """Return the bins of a heat map, down and across. There is one across for each column of ports."""
    return _BANDS, max(np.unique(port_positions(plan.silicon, tile)[0]).size, 1)


def heat_frame(plan: "WiringPlan", neuron: int, tile: "Tile", technology: "Technology", bands: int = 8) -> pd.DataFrame:
    """Return a row per band down the tile: from_um, to_um, mean and maximum of the used share of its tracks."""
    share = heat_map(plan, neuron, tile, technology, (bands, heat_bins(plan, tile)[1]))
    edges = np.linspace(0.0, tile.height_um, bands + 1)
    columns = {"from_um": edges[:-1], "to_um": edges[1:], "mean": share.mean(axis=1), "greatest": share.max(axis=1)}
    return pd.DataFrame(columns)


def port_frame(used: pd.DataFrame, ports: int, bins: int = 40) -> pd.DataFrame:
    """Return a row per bin of used ports: low, high (inclusive), neurons, share_of_ports (at the bin's middle).

    `used` has a row per number of used ports: used_ports, neurons. Empty bins are included.
    """
    least, most = int(used["used_ports"].min()), int(used["used_ports"].max())
    width = -(-(most - least + 1) // bins)
    place = (used["used_ports"] - least) // width
    low = least + width * np.arange(int(place.max()) + 1)
    neurons = np.bincount(place, weights=used["neurons"]).astype(int)
    middle = low + (width - 1) / 2.0
    columns = {"low": low, "high": low + width - 1, "neurons": neurons, "share_of_ports": middle / max(ports, 1)}
    return pd.DataFrame(columns)


def port_use(used: pd.DataFrame, ports: int, bins: int = 40) -> Plot:
    """Return the histogram over neurons of the used POPCNT ports; a line marks the number of `ports`.

    `used` as in `port_frame`.
    """
    frame = port_frame(used, ports, bins)
    drawn = figure("POPCNT ports used per neuron", _HEIGHT_PX, showlegend=False, bargap=0.05)
    drawn.add_bar(
        x=(frame["low"] + frame["high"]) / 2.0,
        y=frame["neurons"],
        marker=fill(BLUE, ""),
        customdata=frame[["low", "high"]],
        hovertemplate="%{customdata[0]:,} to %{customdata[1]:,} ports: %{y:,} neurons<extra></extra>",
    )
    drawn.add_vline(ports, line={"color": RED, "dash": "dash"})
    drawn.add_annotation(
        text=f"{ports:,} ports",
        textangle=-90,
        x=ports,
        xref="x",
        xanchor="right",
        y=0.5,
        yref="y domain",
        yanchor="middle",
        showarrow=False,
    )
    drawn.update_xaxes(title_text="ports used", tickformat=",")
    drawn.update_yaxes(title_text="neurons", tickformat=",")
    return drawn


def region_shares_of_matrices(frame: pd.DataFrame) -> Plot:
    """Return a box per region: its shares in the matrices of `explorer.wiring.survey.histogram_frame`."""
    drawn = figure("Share of weights in each region, over matrices", _HEIGHT_PX, showlegend=False)
    order = [*range(REGIONS - 1, REGIONS // 2 - 1, -1), *range(REGIONS // 2)]
    for region in order:
        name = region_name(region)
        drawn.add_box(
            y=frame[name],
            name=name.replace("-", "−"),
            marker={"color": RED if region >= REGIONS // 2 else BLUE, "size": 3},
            line={"width": 1},
            text=[text(matrix) for matrix in frame["matrix"]],
            hovertemplate="%{text}: %{y:.2%}<extra></extra>",
        )
    # Plotly turns labels that would overlap.
    drawn.update_xaxes(title_text="weight of the region", type="category", tickangle=None)
    drawn.update_yaxes(title_text="share of weights", tickformat=".0%", rangemode="tozero")
    return drawn


def slack_over_fit(frame: pd.DataFrame, inputs: int, neurons: str = "real") -> Plot:
    """Return slack against the share of neurons that fit, one line per kind of silicon, for neurons of `inputs`.

    `frame` is that of `explorer.wiring.survey.slack_frame`, `neurons` one of its kinds. Raises `InputError` without
    such neurons.
    """
    rows = frame[(frame["inputs"] == inputs) & (frame["neurons"] == neurons)]
    if rows.empty:
        raise InputError(f"inputs = {inputs}, {neurons}: expected one of {sorted(set(frame['inputs']))}")
    drawn = figure(f"Spare ports for neurons of {inputs:,} inputs", _HEIGHT_PX)
    for ports, (colour, symbol, dash) in zip(sorted(set(rows["slice_ports"])), _LINES, strict=False):
        ordered = rows[rows["slice_ports"] == ports].sort_values("fit_share")
        name = silicon_name(ports)
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
    drawn.update_yaxes(title_text="slack", type="log", tickformat=".0%", tickvals=_SLACK_TICKS)
    return drawn


def tracks_over_clusters(frame: pd.DataFrame, limit: float) -> Plot:
    """Return the used share of tracks against the inputs of a cluster, one line per kind of silicon, log axes.

    `frame` is that of `explorer.wiring.routing.routing_frame`; a line marks `limit`.
    """
    drawn = figure("Used tracks of M8 to M11 against the inputs of a cluster", _HEIGHT_PX)
    for (_, rows), (colour, symbol, dash) in zip(frame.groupby("slice_ports"), _LINES, strict=False):
        name = silicon_name(int(rows["slice_ports"].iloc[0]))
        drawn.add_scatter(
            x=rows["inputs"],
            y=rows["utilisation"],
            name=name,
            customdata=rows["slack"],
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 7},
            hovertemplate="%{x:,} inputs: %{y:.0%} of the tracks, %{customdata:.1%} spare ports<extra>"
            + name
            + "</extra>",
        )
    _mark_level(drawn, limit, f"paper: below {limit:.0%}")
    drawn.update_xaxes(title_text="inputs of a cluster", type="log", tickvals=_CLUSTER_TICKS, tickformat=",")
    drawn.update_yaxes(title_text="share of tracks", type="log", tickformat=".0%", tickvals=_TRACK_TICKS)
    return drawn


def kind_name(kind: str) -> str:
    """Return the label of a kind of fault of `hwsim.wiring.FAULT_KINDS`. Raises `InputError` for another."""
    if kind not in _KINDS:
        raise unknown_name("kind of fault", kind, _KINDS)
    return _KINDS[kind]


def silicon_name(slice_ports: int) -> str:
    """Return the label of a kind of silicon by the ports of its slices; 0 means fixed regions."""
    return f"slices of {slice_ports}" if slice_ports else "fixed regions"


def perplexity_over_defects(frame: pd.DataFrame) -> Plot:
    """Return perplexity against the rate of each kind of fault, log axes, from `hwsim.wiring.measure_over_faults`.

    Lines join the means of the draws; bars show their minimum and maximum.
    """
    drawn = figure("Perplexity against the rate of faults", _HEIGHT_PX)
    faulty = frame[frame["rate"] > 0]
    for (kind, rows), (colour, symbol, dash) in zip(faulty.groupby("kind", sort=False), _LINES, strict=False):
        by_rate = rows.groupby("rate")["value"]
        mean, least, most = by_rate.mean(), by_rate.min(), by_rate.max()
        name = kind_name(str(kind))
        drawn.add_scatter(
            x=mean.index,
            y=mean,
            error_y={"array": most - mean, "arrayminus": mean - least, "width": 3, "thickness": 1, "color": colour},
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x:.2g}: perplexity %{y:.4g}<extra>" + name + "</extra>",
        )
    perfect = float(frame.loc[frame["rate"] == 0, "value"].iloc[0])
    _mark_level(drawn, perfect, "no faults")
    drawn.update_xaxes(title_text="share that is broken", type="log", dtick=1, exponentformat="power")
    drawn.update_yaxes(title_text="perplexity", type="log", tickvals=_PERPLEXITY_TICKS)
    return drawn


def _mark_level(drawn: Plot, y: float, text: str) -> None:
    """Draw a horizontal line at `y` of a log axis, with a note below its right end."""
    drawn.add_hline(y=y, line={"color": GREY, "dash": "dash"})
    # Plotly places a note on a log axis by its exponent.
    drawn.add_annotation(
        text=text, x=1, xref="paper", xanchor="right", y=float(np.log10(y)), yanchor="top", showarrow=False
    )
