"""Transistors per weight over weight bits: what 2^b regions do to hardwired neurons."""

from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

import hwsim
from explorer.figures.theme import BLUE, RED, figure

if TYPE_CHECKING:
    from hwsim import HardwiredDesign, Technology

_HEIGHT_PX = 320
_TICKS = (10, 20, 50, 100, 200, 500, 1000)
_FORMATS = ("int1", "int2", "int3", "int4", "fp4", "int5", "int6", "int7", "int8")


def density_frame(inputs: int, design: "HardwiredDesign", technology: "Technology") -> pd.DataFrame:
    """Return a row per weight format: format, bits, me_transistors, ce_transistors (per weight), gain.

    Square operators of `inputs` inputs; gate counts alone, so no density of a process enters.
    """
    rows = []
    for name in _FORMATS:
        fmt = hwsim.weight_format(name, technology)
        me = hwsim.metal_embedding(inputs, inputs, fmt, technology, slack=design.popcnt_slack)
        ce = hwsim.cell_embedding(inputs, inputs, fmt, technology)
        rows.append(
            {
                "format": name,
                "bits": fmt.bits,
                "me_transistors": float(me.transistors_per_weight),
                "ce_transistors": float(ce.transistors_per_weight),
                "gain": float(ce.transistors_per_weight / me.transistors_per_weight),
            }
        )
    return pd.DataFrame(rows)


def density_over_bits(frame: pd.DataFrame) -> go.Figure:
    """Return transistors per weight of Metal- and Cell-Embedding over the weight format, log axis."""
    drawn = figure("Transistors per weight over weight format", _HEIGHT_PX)
    for column, name, colour, symbol in (
        ("ce_transistors", "Cell-Embedding", RED, "square"),
        ("me_transistors", "Metal-Embedding", BLUE, "circle"),
    ):
        drawn.add_scatter(
            x=frame["format"],
            y=frame[column],
            name=name,
            mode="lines+markers",
            line={"color": colour},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x}: %{y:.1f} transistors per weight<extra>" + name + "</extra>",
        )
    drawn.update_yaxes(type="log", tickvals=_TICKS, title_text="transistors per weight")
    drawn.update_xaxes(title_text="weight format")
    return drawn
