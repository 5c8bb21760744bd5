"""Tools side by side: the figures of one die, and over the area of a die."""

from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, CYAN, GREEN, NEUTRAL_TEXT, PURPLE, RED, YELLOW, figure, one_two_five
from explorer.tools.compare import ToolComparison, ToolRow
from hwbase.numbers import money, plain

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
#: Endings of the axes of the upper and the lower panel.
_AXES = ("", "2")
_PANELS = (
    ("cost_usd", "cost_low_usd", "cost_high_usd", "cost of a good die in its package [$]"),
    ("carbon_kg", "carbon_low_kg", "carbon_high_kg", "carbon of a good die in its package [kg CO₂e]"),
)


def tool_dots(result: ToolComparison, area_mm2: float, node: str) -> Plot:
    """Return one dot for each tool's figure of one die: dollars above, carbon below; bars span low to high."""
    rows = [row for row in result.rows if (row.die_area_mm2, row.node) == (area_mm2, node)]
    drawn = _panels(f"{plain(area_mm2)} mm² at {node}", _DOTS_PX, 0.2)
    for panel, (key, low, high, title) in zip(_AXES, _PANELS, strict=True):
        for row in rows:
            value = getattr(row, key)
            if value is not None:
                _add_dot(drawn, panel, row, value, getattr(row, low), getattr(row, high), key)
        drawn.update_layout(**{f"xaxis{panel}": {"title_text": title, "rangemode": "tozero"}})
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    drawn.update_layout(showlegend=False)
    return drawn


def tools_over_area(result: ToolComparison, node: str) -> Plot:
    """Return dollars and carbon per mm² of good die against its area, one line a tool; both axes are logarithmic."""
    drawn = _panels(f"By area of a die at {node}", _CURVES_PX, 0.12)
    for panel, (key, title) in zip(_AXES, (("cost_usd", "$/mm²"), ("carbon_kg", "kg CO₂e/mm²")), strict=True):
        for tool, frame in result.over_areas.groupby("tool", sort=False):
            per_mm2 = frame[key] / frame["die_area_mm2"]
            if per_mm2.notna().any():
                colour, _, dash = TOOL_STYLE[str(tool)]
                drawn.add_scatter(
                    x=frame["die_area_mm2"],
                    y=per_mm2,
                    xaxis=f"x{panel}",
                    yaxis=f"y{panel}",
                    mode="lines",
                    name=str(tool),
                    legendgroup=str(tool),
                    showlegend=panel == _AXES[0] or tool in ("ACT", "3D-Carbon", "ECO-CHIP"),
                    line={"color": colour, "dash": dash, "width": _LINE_PX},
                    hovertemplate=f"{tool}: %{{y:.4g}} at %{{x:.0f}} mm²<extra></extra>",
                )
        values = result.over_areas[key] / result.over_areas["die_area_mm2"]
        drawn.update_layout(**{f"yaxis{panel}": one_two_five(values) | {"title_text": title}})
    drawn.update_xaxes(type="log", tickvals=[25, 50, 100, 200, 400, 800])
    drawn.update_layout(xaxis2_title_text="die [mm²]")
    return drawn


def _panels(title: str, height_px: int, gap: float) -> Plot:
    """Return a figure with two panels one above the other, in the shared style."""
    drawn = figure(title, height_px)
    style = drawn.attributes
    drawn.update_layout(
        xaxis_anchor="y",
        xaxis2=style["xaxis"] | {"anchor": "y2"},
        yaxis={"anchor": "x", "domain": [(1.0 + gap) / 2.0, 1.0]},
        yaxis2=style["yaxis"] | {"anchor": "x2", "domain": [0.0, (1.0 - gap) / 2.0]},
    )
    return drawn


def _add_dot(drawn: Plot, panel: str, row: ToolRow, value: float, low: float, high: float, key: str) -> None:
    colour, symbol, _ = TOOL_STYLE[row.name]
    write = money(value) if key == "cost_usd" else f"{plain(value)} kg"
    drawn.add_scatter(
        x=[value],
        y=[row.name],
        xaxis=f"x{panel}",
        yaxis=f"y{panel}",
        mode="markers+text",
        name=row.name,
        marker={"color": colour, "symbol": symbol, "size": _MARKER_PX},
        error_x={"array": [high - value], "arrayminus": [value - low], "color": colour, "thickness": 2, "width": 5},
        text=[write],
        textposition="top center",
        cliponaxis=False,
        hovertemplate=f"{row.name}: {write}<extra></extra>",
    )
