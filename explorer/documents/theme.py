"""The shared style of figures: colours for colour-blind readers, and a layout for any background.

Colours are Paul Tol's "bright" scheme (SRON/EPS/TN/09-002). Paper and plot are transparent; text is a grey that reads
on white and on black, and a page may replace it (`layout.font.color`) when it knows its background.
"""

import html
from typing import Any

import numpy as np

from explorer.documents.plot import Plot
from hwbase import Header
from hwbase.numbers import plain
from hwsim.machine_books import DEFAULT_MACHINE, machine_header


def one_two_five(values: Any) -> dict[str, Any]:
    """Return the settings of an axis with ticks at 1, 2 and 5 times powers of ten around the positive `values`."""
    array = np.asarray(values, dtype=float)
    known = array[np.isfinite(array) & (array > 0)]
    if not known.size:
        return {"type": "log"}
    powers = np.arange(np.floor(np.log10(known.min())), np.ceil(np.log10(known.max())) + 1)
    ticks = [float(f"{digit * 10.0**power:.1g}") for power in powers for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [plain(tick) for tick in ticks]}


BLUE, CYAN, GREEN, YELLOW, RED, PURPLE, GREY = (
    "#4477AA",
    "#66CCEE",
    "#228833",
    "#CCBB44",
    "#EE6677",
    "#AA3377",
    "#BBBBBB",
)
#: Readable on white and on black (contrast above 4 on both).
NEUTRAL_TEXT = "#747A84"
NEUTRAL_LINE = "#9AA0A8"
GRID = "rgba(128, 128, 128, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"
#: Text on a light fill, independent of the background of the page.
DARK_TEXT = "#14171C"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"

#: Colour and pattern of each part of a token's time.
PART_STYLE = {
    "communication": (BLUE, ""),
    "projection": (CYAN, "/"),
    "nonlinear": (YELLOW, "."),
    "attention": (RED, "x"),
    "stall": (GREY, "-"),
}
#: Colour, marker and dash of each reading of the hardwired machine; a machine's book has its own.
READING_STYLE = {"as-published": (BLUE, "circle", "solid"), "pipelined": (GREEN, "square", "dash")}
OTHER_STYLE = (YELLOW, "cross", "longdash")

_TEXT_PX = 13
_MARGIN = {"l": 12, "r": 16, "t": 44, "b": 12}
#: Space above for a title and two lines of legend; pages have captions and set their own.
_TOP_WITH_LEGEND_PX = 80
_READINGS = {"as-published": "as published", "pipelined": "pipelined"}


def machine_name(key: str) -> str:
    """Return the short name of a machine, from its book, or of a reading of the hardwired one.

    A key such as "hnlpu-pipelined" is a machine in one reading.
    """
    if key in _READINGS:
        return f"{_header(DEFAULT_MACHINE).label}, {_READINGS[key]}"
    machine, _, reading = key.rpartition("-")
    if machine and reading in _READINGS:
        return f"{_header(machine).label}, {_READINGS[reading]}"
    return _header(key).label


def machine_style(key: str) -> tuple[str, str, str]:
    """Return the colour, marker and dash of a reading, or of a machine from its book."""
    if key in READING_STYLE:
        return READING_STYLE[key]
    header = _header(key)
    return (header.color, header.marker, header.dash) if header.color else OTHER_STYLE


def _header(machine: str) -> Header:
    """Return the header of a machine's book, or one with only the name for a machine of which no book was loaded."""
    return machine_header(machine) or Header(machine, label=machine)


def text(value: object) -> str:
    """Return text for a figure; Plotly reads a subset of HTML, so angle brackets are escaped."""
    return html.escape(str(value), quote=False)


def fill(colour: str, shape: str) -> dict[str, Any]:
    """Return the marker of a bar: a colour and a pattern drawn over it."""
    pattern = {
        "shape": shape,
        "fillmode": "overlay",
        "fgcolor": DARK_TEXT,
        "fgopacity": 0.45,
        "size": 7,
        "solidity": 0.15,
    }
    return {"color": colour, "line": {"width": 0}, "pattern": pattern}


def figure(title: str, height_px: int, **layout: Any) -> Plot:
    """Return an empty figure in the shared style; `layout` extends or overrides it."""
    heading: dict[str, Any] = {"text": text(title), "font": {"size": _TEXT_PX + 2}}
    heading |= {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
    top = {} if layout.get("showlegend") is False else {"t": _TOP_WITH_LEGEND_PX}
    shared: dict[str, Any] = {
        "title": heading | {"pad": {"t": 8, "l": 8}},
        "height": height_px,
        "autosize": True,
        "margin": _MARGIN | top,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "size": _TEXT_PX, "color": NEUTRAL_TEXT},
        "dragmode": False,
        "hoverlabel": {"font": {"family": FONT, "size": _TEXT_PX}, "align": "left"},
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        "bargap": 0.35,
        "separators": ".,",
    }
    lines: dict[str, Any] = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": NEUTRAL_LINE,
        "automargin": True,
        "tickangle": 0,
    }
    lines |= {"title": {"font": {"size": _TEXT_PX}, "standoff": 8}}
    return Plot(**shared | {"xaxis": lines, "yaxis": lines} | layout)


#: Colour, dash and pattern of the first, second, ... of a set.
STYLES = (
    (BLUE, "solid", ""),
    (RED, "dash", "/"),
    (GREEN, "dot", "x"),
    (PURPLE, "dashdot", "."),
    (YELLOW, "longdash", "-"),
    (CYAN, "longdashdot", "\\"),
    (GREY, "solid", "+"),
)


def style(index: int) -> tuple[str, str, str]:
    """Return (colour, dash, pattern) of the `index`-th of a set; they repeat."""
    return STYLES[index % len(STYLES)]
