"""Figures of scan engines: the design space and its front, fleets over load, and the drivers of the saving."""

import numpy as np
import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, GREY, NEUTRAL_LINE, RED, figure, fill, style, text

_HEIGHT_PX, _ROW_PX, _FRAME_PX = 430, 30, 130
_MARKERS = ("circle", "square", "diamond", "triangle-up", "x")
_LINE_PX, _DOT_PX, _FAINT_PX = 2, 9, 5


def designs_and_front(space: pd.DataFrame, bits: int) -> Plot:
    """Return energy per query against latency of the designs of `design_space` with codes of `bits`, log axes.

    Small dots are dominated designs; large ones are the front (its third objective, dollars, is in the hover text),
    with a colour and a marker for each memory.
    """
    drawn = figure(f"Designs for codes of {bits} bits", _HEIGHT_PX)
    chosen = space[space["bits"] == bits]
    for number, (memory, rows) in enumerate(chosen.groupby("memory", sort=False)):
        colour, dash, _ = style(number)
        for on_front, part in rows.sort_values("latency_s").groupby("front"):
            drawn.add_scatter(
                x=part["latency_s"],
                y=part["energy_j_per_query"],
                mode="lines+markers" if on_front else "markers",
                name=text(memory),
                legendgroup=str(memory),
                showlegend=bool(on_front) or not rows["front"].any(),
                line={"color": colour, "dash": dash, "width": _LINE_PX},
                marker={
                    "color": colour,
                    "symbol": _MARKERS[number % len(_MARKERS)],
                    "size": _DOT_PX if on_front else _FAINT_PX,
                    "opacity": 1.0 if on_front else 0.4,
                },
                customdata=part[["channels", "lanes", "copy_usd", "shards", "queries_per_s"]],
                hovertemplate="%{customdata[0]} channels, %{customdata[1]:,.0f} lanes, %{customdata[3]:,.0f} cards<br>"
                "%{customdata[2]:$,.3s}, %{customdata[4]:,.3~s} queries/s<br>%{x:.3~s}s, %{y:.3~s}J a query",
            )
    drawn.update_xaxes(title_text="latency of a full batch [s]", type="log", dtick=1, exponentformat="power")
    drawn.update_yaxes(title_text="energy per query [J]", type="log", dtick=1, exponentformat="power")
    return drawn


def cost_over_load(table: pd.DataFrame) -> Plot:
    """Return dollars per year against queries per second, one line a machine (log axes), from `fleets_over_load`."""
    drawn = figure("Dollars per year against load", _HEIGHT_PX)
    for number, (machine, rows) in enumerate(table.groupby("machine", sort=False)):
        colour, dash, _ = style(number)
        drawn.add_scatter(
            x=rows["queries_per_s"],
            y=rows["usd_per_year"],
            mode="lines+markers",
            name=text(machine),
            line={"color": colour, "dash": dash, "width": _LINE_PX},
            marker={"color": colour, "symbol": _MARKERS[number % len(_MARKERS)], "size": _DOT_PX - 2},
            hovertemplate="%{x:,.3~s} queries/s: %{y:$,.3s} a year<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text="queries per second", type="log", dtick=1, exponentformat="power")
    drawn.update_yaxes(title_text="dollars per year", type="log", dtick=1, exponentformat="power")
    return drawn


def saving_bars(table: pd.DataFrame, nominal: float, published: tuple[float, float], most: int = 9) -> Plot:
    """Return the saving of an index's cost at both ends of the `most` main assumptions of `saving_tornado`.

    The band is the published range, the line the nominal saving.
    """
    rows = table.head(most).iloc[::-1]
    drawn = figure("Saving of index cost, one assumption at a time", _FRAME_PX + _ROW_PX * len(rows))
    labels = [text(name.removeprefix("index.").replace("_", " ").replace(".", ", ")) for name in rows["name"]]
    for end, colour, shape in (("low", BLUE, ""), ("high", RED, "/")):
        drawn.add_bar(
            y=labels,
            x=rows[f"saving_{end}"] - nominal,
            base=nominal,
            orientation="h",
            name=f"assumption at its {end} end",
            marker=fill(colour, shape),
            customdata=np.stack([rows[end], rows["unit"], rows[f"saving_{end}"]], axis=1),
            hovertemplate="%{customdata[0]:,.4~g} %{customdata[1]}: %{customdata[2]:.1%}<extra></extra>",
        )
    drawn.add_vrect(x0=published[0], x1=published[1], fillcolor=GREY, opacity=0.3, line_width=0, layer="below")
    drawn.add_vline(x=nominal, line={"color": NEUTRAL_LINE, "dash": "dot"})
    drawn.update_layout(barmode="overlay")
    drawn.update_xaxes(title_text="saving (band: published range)", tickformat=".0%", rangemode="tozero")
    return drawn
