"""Figures of a search: the front, the machine with its stages, a chip with its blocks, and what is busy."""

from itertools import pairwise

import numpy as np
import pandas as pd

from explorer.designs.completion import BLOCK_MM2
from explorer.designs.evaluation import BUSY
from explorer.designs.result import DesignSearch
from explorer.documents.plot import Plot
from explorer.documents.theme import (
    BLUE,
    CLEAR,
    CYAN,
    DARK_TEXT,
    GREEN,
    GREY,
    NEUTRAL_LINE,
    PURPLE,
    RED,
    YELLOW,
    figure,
    fill,
    machine_name,
    style,
    text,
)
from hwbase.columns import column
from hwbase.numbers import counted, plain, words

_HEIGHT_PX, _BAR_PX, _BARE_PX = 420, 26, 130
#: Most stages of a line that have room for a label, and most chips that are drawn one by one.
_LABELLED, _MOST_CHIPS = 8, 1024
_BLOCKS = (BLUE, RED, GREY, GREEN, YELLOW, CYAN, PURPLE)
#: Sizes of the drawing, in sides of a chip.
_GAP, _MARGIN = 1.6, 0.35


def front_figure(result: DesignSearch, across: str, up: str) -> Plot:
    """Return the front in two objectives, with the best machine, the knee, and the machine of the book."""
    points = pd.concat([result.front[[across, up]], result.own.reindex(columns=[across, up])])
    (x, x_scale), (y, y_scale) = (column(name).scaled(points[name]) for name in (across, up))
    drawn = figure(f"{column(up).label} over {column(across).label}", _HEIGHT_PX)
    marked = (
        ("front", result.front, BLUE, "circle", 8),
        ("best", result.best.to_frame().T, GREEN, "diamond", 13),
        ("knee", result.knee.to_frame().T, RED, "star", 13),
        (machine_name(result.machine), result.own, GREY, "square", 11),
    )
    for name, rows, color, symbol, size in marked:
        if rows.empty:
            continue
        drawn.add_scatter(
            x=[float(value) / x_scale for value in rows[across]],
            y=[float(value) / y_scale for value in rows[up]],
            text=[mapping_text(row) for _, row in rows.iterrows()],
            mode="markers",
            name=text(name),
            marker={"size": size, "color": color, "symbol": symbol},
            hovertemplate=f"%{{text}}<br>{text(x.heading)} %{{x:.4g}}<br>{text(y.heading)} %{{y:.4g}}<extra></extra>",
        )
    drawn.update_xaxes(title_text=text(x.heading))
    drawn.update_yaxes(title_text=text(y.heading))
    return drawn


def machine_figure(design: pd.Series) -> Plot:
    """Return the machine as it is laid out: a box for each pipeline stage, with its grid of chips, and their links."""
    stages, rows, columns = (int(design[name]) for name in ("pipeline_stages", "rows", "columns"))
    many = stages * rows * columns > _MOST_CHIPS
    width, height = columns + 2 * _MARGIN, rows + 2 * _MARGIN
    # Two lines, to and fro, so that the last stage is beside the first.
    across = stages if stages < 3 else -(-stages // 2)
    down = -(-stages // across)
    drawn = figure(mapping_text(design), _HEIGHT_PX, showlegend=False)
    corners = []
    for stage in range(stages):
        line, place = divmod(stage, across)
        place = across - 1 - place if line % 2 else place
        corners.append((place * (width + _GAP), -line * (height + _GAP)))
    ends = [*pairwise(corners), *([(corners[-1], corners[0])] if stages > 2 else [])]
    for (x0, y0), (x1, y1) in ends:
        middle = width / 2, -height / 2
        drawn.add_shape(
            type="line",
            x0=x0 + middle[0],
            y0=y0 + middle[1],
            x1=x1 + middle[0],
            y1=y1 + middle[1],
            line={"color": NEUTRAL_LINE, "width": 3, "dash": "solid"},
            layer="below",
        )
    for stage, (x, y) in enumerate(corners):
        drawn.add_shape(
            type="rect", x0=x, y0=y, x1=x + width, y1=y - height, line={"color": NEUTRAL_LINE}, fillcolor="#E8EBEF"
        )
        drawn.add_annotation(
            x=x,
            y=y,
            xanchor="left",
            text=f"stage {stage + 1}" if across <= _LABELLED else str(stage + 1),
            showarrow=False,
            yanchor="bottom",
            yshift=1,
        )
        for row in range(0 if many else rows):
            for place in range(columns):
                left, top = x + _MARGIN + place, y - _MARGIN - row
                drawn.add_shape(
                    type="rect",
                    x0=left + 0.08,
                    y0=top - 0.08,
                    x1=left + 0.92,
                    y1=top - 0.92,
                    line={"width": 0},
                    fillcolor=BLUE,
                )
    right = across * (width + _GAP) - _GAP
    bottom = -(down * (height + _GAP) - _GAP)
    hidden = {"visible": False, "fixedrange": True}
    drawn.update_xaxes(range=[-0.3, right + 0.3], **hidden)
    drawn.update_yaxes(range=[bottom - 0.3, 0.9], scaleanchor="x", **hidden)
    # As tall as the drawing is on a page of usual width.
    drawn.update_layout(height=int(np.clip(720 * (1.2 - bottom) / (right + 0.6), 170, 560)))
    return drawn


def chip_figure(design: pd.Series) -> Plot:
    """Return a die as areas in proportion to its blocks."""
    blocks = block_areas(design)
    drawn = figure(f"A die of {plain(design['die_area_mm2'])} mm²", 360, showlegend=False)
    drawn.add_trace(
        "treemap",
        labels=[text(name) for name in blocks],
        parents=[""] * len(blocks),
        values=list(blocks.values()),
        texttemplate="%{label}<br>%{value:.4g} mm²",
        hovertemplate="%{label}: %{value:.4g} mm²<extra></extra>",
        marker={"colors": list(_BLOCKS[: len(blocks)]), "line": {"width": 1, "color": CLEAR}},
        textfont={"color": DARK_TEXT},
        tiling={"pad": 2},
    )
    drawn.update_layout(margin={"l": 4, "r": 4, "t": 40, "b": 4})
    return drawn


def busy_figure(result: DesignSearch) -> Plot:
    """Return how busy each resource is, in bars: the best machine, the knee, and the machine of the book."""
    shown = chosen(result)
    drawn = figure("Busy share of each resource", _BARE_PX + _BAR_PX * len(BUSY) * len(shown), barmode="group")
    for place, (name, design) in enumerate(shown.items()):
        color, _, pattern = style(place)
        drawn.add_bar(
            x=[float(design[each]) for each in BUSY],
            y=[resource_name(each) for each in BUSY],
            name=text(name),
            orientation="h",
            marker=fill(color, pattern),
            hovertemplate="%{y}: %{x:.1%}<extra>" + text(name) + "</extra>",
        )
    drawn.update_xaxes(tickformat=".0%", range=[0, 1.02])
    drawn.update_yaxes(autorange="reversed")
    return drawn


def chosen(result: DesignSearch) -> dict[str, pd.Series]:
    """Return the machines to choose from: the best, the knee where it is another, and the machine of the book."""
    machines = {"best": result.best}
    if result.knee.name != result.best.name:
        machines["knee"] = result.knee
    if len(result.own):
        machines[machine_name(result.machine)] = result.own.iloc[0]
    return machines


def block_areas(design: pd.Series) -> dict[str, float]:
    """Return the areas of the blocks of a die in mm2, by name."""
    names = [name for name in design.index if name.startswith(f"{BLOCK_MM2}.")]
    return {words(name.partition(".")[2]): float(design[name]) for name in names if design[name] > 0.0}


def mapping_text(design: pd.Series) -> str:
    """Return a mapping in words: "6 stages of 1 x 4 chips"."""
    stages, rows, columns = (int(design[name]) for name in ("pipeline_stages", "rows", "columns"))
    return f"{counted(stages, 'stage')} of {rows} × {columns} {'chip' if rows * columns == 1 else 'chips'}"


def resource_name(name: str) -> str:
    """Return the label of a resource, from a column such as "busy_share.hn"."""
    return column(name).label.partition(": ")[2]
