"""Pictures of bits in hardwired silicon: perplexity over area, NRE over perplexity, and what NRE is made of."""

from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from explorer.figures.precision import error_bars
from explorer.figures.serving import style
from explorer.figures.theme import figure, fill, text

if TYPE_CHECKING:
    from explorer.precision.silicon import SiliconFronts

_HEIGHT_PX, _BARS_PX = 430, 340
_MARKERS = ("circle", "square", "diamond", "triangle-up")
_DOT_PX = 8
_MUSD = 1e6
#: Parts of NRE by column, as they are called.
NRE_PARTS = {
    "design_usd": "design",
    "shared_masks_usd": "masks that chips share",
    "own_masks_usd": "masks of each chip's own",
}


def shown(found: "SiliconFronts", process: str | None = None) -> pd.DataFrame:
    """Return the rows near the floors, of one process or all: widths far beyond the highest floor would hide them."""
    table = found.table if process is None else found.table[found.table["process"] == process]
    floors = found.table["floor"].dropna()
    most = 1.5 * float(floors.max()) if len(floors) else float("inf")
    return table[table["perplexity"] <= most]


def perplexity_over_area(found: "SiliconFronts", process: str) -> go.Figure:
    """Return held-out perplexity over the neurons' area on a process: uniform and mixed, measured and predicted."""
    drawn = figure(f"Perplexity over area, {process}", _HEIGHT_PX)
    table = shown(found, process)
    for index, (kind, name) in enumerate((("uniform", "one width"), ("least silicon", "mixed widths"))):
        rows = table[table["kind"] == kind].sort_values("mm2")
        colour, _, _ = style(index)
        drawn.add_scatter(
            x=rows["mm2"],
            y=rows["perplexity"],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2},
            marker={"symbol": _MARKERS[index], "size": _DOT_PX},
            error_y=error_bars(rows["perplexity"], rows["perplexity_low"], rows["perplexity_high"]),
            text=[f"{bits:.2f} bits" for bits in rows["mean_bits"]],
            hovertemplate="%{text}, %{x:.4g} mm²: %{y:.4g}<extra>%{fullData.name}</extra>",
        )
        drawn.add_scatter(
            x=rows["mm2"],
            y=rows["perplexity_predicted"],
            mode="lines",
            name=f"{name}, predicted",
            line={"color": colour, "dash": "dot", "width": 1.5},
            hovertemplate="%{x:.4g} mm²: %{y:.4g}<extra>%{fullData.name}</extra>",
        )
    areas = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
    drawn.update_xaxes(
        title_text=f"neurons at {process}, mm²", type="log", tickvals=areas, ticktext=[f"{area:,g}" for area in areas]
    )
    drawn.update_yaxes(title_text="perplexity, held out")
    return drawn


def nre_over_perplexity(found: "SiliconFronts") -> go.Figure:
    """Return NRE over held-out perplexity, a set of dots for each process: filled for mixed bits, open for uniform."""
    drawn = figure("NRE over perplexity", _HEIGHT_PX)
    for index, (process, rows) in enumerate(shown(found).groupby("process", sort=False)):
        colour, _, _ = style(index)
        for kinds, name, symbol in (
            (("least silicon", "full chips"), "mixed", _MARKERS[index]),
            (("uniform",), "uniform", f"{_MARKERS[index]}-open"),
        ):
            some = rows[rows["kind"].isin(kinds)]
            drawn.add_scatter(
                x=some["perplexity"],
                y=some["nre_usd"] / _MUSD,
                mode="markers",
                name=text(process if name == "mixed" else f"{process}, {name}"),
                # One entry for both would do, and more would not fit a narrow page.
                showlegend=name == "mixed",
                legendgroup=str(process),
                marker={"color": colour, "symbol": symbol, "size": _DOT_PX + 1},
                text=[
                    f"{bits:.2f} bits, {mm2:,.0f} mm², chips: {chips}"
                    for bits, mm2, chips in zip(some["mean_bits"], some["mm2"], some["chips"], strict=True)
                ],
                hovertemplate="%{text}<br>perplexity %{x:.4g}: %{y:.2f} M$<extra>%{fullData.name}</extra>",
            )
    drawn.update_xaxes(title_text="perplexity, held out")
    drawn.update_yaxes(title_text="NRE, M$")
    return drawn


def nre_parts(found: "SiliconFronts") -> go.Figure:
    """Return what NRE is made of on each process, with as few and as many chips as the choices take."""
    drawn = figure("What NRE is made of", _BARS_PX, barmode="stack")
    rows = nre_frame(found)
    labels = [text(f"{row['process']}, chips: {row['chips']}") for _, row in rows.iterrows()]
    for index, (column, name) in enumerate(NRE_PARTS.items()):
        colour, _, pattern = style(index)
        drawn.add_bar(
            x=rows[column] / _MUSD,
            y=labels,
            orientation="h",
            name=name,
            marker=fill(colour, pattern),
            hovertemplate="%{y}: %{x:.2f} M$<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text="M$")
    drawn.update_yaxes(autorange="reversed")
    return drawn


def nre_frame(found: "SiliconFronts") -> pd.DataFrame:
    """Return the parts of NRE for each process and number of chips that some choice takes."""
    parts = found.table.drop_duplicates(["process", "chips"]).sort_values("chips", kind="stable")
    order = {name: number for number, name in enumerate(dict.fromkeys(found.table["process"]))}
    return parts.sort_values("process", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)
