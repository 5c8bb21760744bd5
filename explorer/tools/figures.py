"""Tools side by side: the figures of one die, and over the area of a die."""

from typing import TYPE_CHECKING

from plotly.subplots import make_subplots

from explorer.documents.theme import BLUE, CYAN, GREEN, NEUTRAL_TEXT, PURPLE, RED, YELLOW, figure, one_two_five
from explorer.tools.compare import ToolComparison, ToolRow
from hwbase.numbers import money, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go


#: Colour, marker and dash of each tool.
TOOL_STYLE = {
    "ACT": (CYAN, "circle", "dot"),
    "3D-Carbon": (BLUE, "square", "dash"),
    "ECO-CHIP": (GREEN, "diamond", "dashdot"),
    "Chiplet Actuary": (YELLOW, "triangle-up", "dash"),
    "CATCH": (RED, "triangle-down", "dot"),
    "HNLPU paper": (PURPLE, "cross", "longdash"),
    "ours, corrected": (NEUTRAL_TEXT, "star", "solid"),
}
_DOTS_PX, _CURVES_PX = 480, 640
_MARKER_PX, _LINE_PX = 11, 2.5
_PANELS = (
    ("cost_usd", "cost_low_usd", "cost_high_usd", "cost of a good die in its package [$]"),
    ("carbon_kg", "carbon_low_kg", "carbon_high_kg", "carbon of a good die in its package [kg CO₂e]"),
)


def tool_dots(result: ToolComparison, area_mm2: float, node: str) -> "go.Figure":
    """Return one dot for each tool's figure of one die: dollars above, carbon below; bars span low to high."""
    rows = [row for row in result.rows if (row.die_area_mm2, row.node) == (area_mm2, node)]
    drawn = _panels(f"{plain(area_mm2)} mm² at {node}", _DOTS_PX, 0.2)
    for at, (key, low, high, title) in enumerate(_PANELS, start=1):
        for row in rows:
            value = getattr(row, key)
            if value is not None:
                drawn.add_trace(_dot(row, value, getattr(row, low), getattr(row, high), key), row=at, col=1)
        drawn.update_xaxes(title_text=title, rangemode="tozero", row=at, col=1)
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    drawn.update_layout(showlegend=False)
    return drawn


def tools_over_area(result: ToolComparison, node: str) -> "go.Figure":
    """Return dollars and carbon per mm² of good die against its area, one line a tool; both axes are logarithmic."""
    import plotly.graph_objects as go

    drawn = _panels(f"By area of a die at {node}", _CURVES_PX, 0.12)
    for at, (key, title) in enumerate((("cost_usd", "$/mm²"), ("carbon_kg", "kg CO₂e/mm²")), start=1):
        for tool, frame in result.over_areas.groupby("tool", sort=False):
            per_mm2 = frame[key] / frame["die_area_mm2"]
            if per_mm2.notna().any():
                colour, _, dash = TOOL_STYLE[str(tool)]
                line = go.Scatter(
                    x=frame["die_area_mm2"],
                    y=per_mm2,
                    mode="lines",
                    name=str(tool),
                    legendgroup=str(tool),
                    showlegend=at == 1 or tool in ("ACT", "3D-Carbon", "ECO-CHIP"),
                    line={"color": colour, "dash": dash, "width": _LINE_PX},
                    hovertemplate=f"{tool}: %{{y:.4g}} at %{{x:.0f}} mm²<extra></extra>",
                )
                drawn.add_trace(line, row=at, col=1)
        values = result.over_areas[key] / result.over_areas["die_area_mm2"]
        drawn.update_yaxes(one_two_five(values), title_text=title, row=at, col=1)
    drawn.update_xaxes(type="log", tickvals=[25, 50, 100, 200, 400, 800], row=1, col=1)
    drawn.update_xaxes(type="log", tickvals=[25, 50, 100, 200, 400, 800], title_text="die [mm²]", row=2, col=1)
    return drawn


def _panels(title: str, height_px: int, gap: float) -> "go.Figure":
    """Return a figure with two panels one above the other, in the shared style."""
    style = figure(title, height_px)
    drawn = make_subplots(rows=2, cols=1, vertical_spacing=gap)
    layout = style.layout.to_plotly_json()
    axis = layout.pop("xaxis")
    layout.pop("yaxis")
    drawn.update_layout(layout)
    drawn.update_xaxes(axis)
    drawn.update_yaxes(axis)
    return drawn


def _dot(row: ToolRow, value: float, low: float, high: float, key: str) -> "go.Scatter":
    import plotly.graph_objects as go

    colour, symbol, _ = TOOL_STYLE[row.name]
    write = money(value) if key == "cost_usd" else f"{plain(value)} kg"
    return go.Scatter(
        x=[value],
        y=[row.name],
        mode="markers+text",
        name=row.name,
        marker={"color": colour, "symbol": symbol, "size": _MARKER_PX},
        error_x={"array": [high - value], "arrayminus": [value - low], "color": colour, "thickness": 2, "width": 5},
        text=[write],
        textposition="top center",
        cliponaxis=False,
        hovertemplate=f"{row.name}: {write}<extra></extra>",
    )
