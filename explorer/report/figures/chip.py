"""The die drawn to scale: every block is a rectangle of its own area, inside the die and the reticle.

The order and place of blocks are for display only: the model knows areas and power, not a physical layout.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import hwsim
from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, CYAN, DARK_TEXT, GREEN, GREY, NEUTRAL_LINE, PURPLE, RED, YELLOW, figure, text
from hwbase import FORMATS, InputError, Record
from hwbase.numbers import plain, scalar
from hwsim.weights import SPREAD_KNOWN

if TYPE_CHECKING:
    from hwsim import HardwiredDesign, Technology
    from hwsim.chip import Chip

_DENSITY_HEIGHT_PX = 320
_TICKS = (10, 20, 50, 100, 200, 500, 1000)


def density_rows(inputs: int, design: "HardwiredDesign", technology: "Technology") -> list[dict[str, Any]]:
    """Return a row per weight format: format, bits, me_transistors, ce_transistors (per weight), gain.

    Square operators of `inputs` inputs; gate counts only, independent of the density of a process.
    """
    rows = []
    for name in sorted(SPREAD_KNOWN, key=lambda name: (FORMATS[name].bits, FORMATS[name].kind == "float")):
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
    return rows


def density_over_bits(rows: Sequence[Mapping[str, Any]]) -> Plot:
    """Return transistors per weight of Metal- and Cell-Embedding against the weight format, log axis."""
    drawn = figure("Transistors per weight over weight format", _DENSITY_HEIGHT_PX)
    for column, name, colour, symbol in (
        ("ce_transistors", "Cell-Embedding", RED, "square"),
        ("me_transistors", "Metal-Embedding", BLUE, "circle"),
    ):
        drawn.add_scatter(
            x=[row["format"] for row in rows],
            y=[row[column] for row in rows],
            name=name,
            mode="lines+markers",
            line={"color": colour},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x}: %{y:.1f} transistors per weight<extra>" + name + "</extra>",
        )
    drawn.update_yaxes(type="log", tickvals=_TICKS, title_text="transistors per weight")
    drawn.update_xaxes(title_text="weight format")
    return drawn


#: Aspect ratio of the exposure field (33 mm x 26 mm), used for die and reticle.
FIELD_ASPECT = 33.0 / 26.0

_FLOORPLAN_HEIGHT_PX = 480
_ROOM = 0.03
#: Largest size of labels, and pixels per mm by which a label must fit; a page may scale it.
_LABEL_PX, _SMALLEST_LABEL_PX, _PX_PER_MM = 13.0, 8.0, 14.0
#: Width of a character at a font size of 1 px, margin included.
_CHARACTER_PX = 0.66
#: Blocks with a smaller share of the die have no label inside; hover and table name them.
_SMALLEST_LABELLED = 0.01
#: Fill colours light enough for dark text.
_FILLS = ("#A9C4E0", "#B9E8F7", "#A8D5B0", "#E8DFA0", "#F7BAC2", "#D9A7C2", "#DDDDDD")
_EDGES = (BLUE, CYAN, GREEN, YELLOW, RED, PURPLE, GREY)


@dataclass(frozen=True)
class Rect(Record):
    """A rectangle from its lower left corner, in mm."""

    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float

    @property
    def area_mm2(self) -> float:
        """Width x height."""
        return self.width_mm * self.height_mm

    def overlap_mm2(self, other: "Rect") -> float:
        """Area that two rectangles share."""
        width = min(self.x_mm + self.width_mm, other.x_mm + other.width_mm) - max(self.x_mm, other.x_mm)
        height = min(self.y_mm + self.height_mm, other.y_mm + other.height_mm) - max(self.y_mm, other.y_mm)
        return max(width, 0.0) * max(height, 0.0)


def squarify(areas_mm2: Sequence[float], width_mm: float, height_mm: float) -> list[Rect]:
    """Return a rectangle for each area, in the given order, that together tile a die of `width_mm` x `height_mm`.

    Rows of nearly square rectangles are laid along the shorter side of the remaining space, largest first (Bruls,
    Huizing and van Wijk, "Squarified treemaps", 2000). An area of zero gets an empty rectangle. Raises `InputError` for
    negative areas or areas that do not add up to the die.
    """
    if any(not math.isfinite(a) or a < 0 for a in areas_mm2):
        raise InputError(f"areas_mm2 = {list(areas_mm2)}: expected finite numbers >= 0")
    if not math.isclose(sum(areas_mm2), width_mm * height_mm, rel_tol=1e-9):
        raise InputError(f"areas sum to {sum(areas_mm2):g} mm2: expected the die's {width_mm * height_mm:g} mm2")
    order = sorted((i for i in range(len(areas_mm2)) if areas_mm2[i] > 0), key=lambda i: -areas_mm2[i])
    placed = [Rect(0.0, 0.0, 0.0, 0.0)] * len(areas_mm2)
    left = Rect(0.0, 0.0, width_mm, height_mm)
    while order:
        side = min(left.width_mm, left.height_mm)
        row = [order[0]]
        while len(row) < len(order):
            longer = [*row, order[len(row)]]
            if _worst_aspect([areas_mm2[i] for i in longer], side) > _worst_aspect([areas_mm2[i] for i in row], side):
                break
            row = longer
        order = order[len(row) :]
        for index, rect in zip(row, _lay(left, [areas_mm2[i] for i in row]), strict=True):
            placed[index] = rect
        left = _rest(left, sum(areas_mm2[i] for i in row), sum(areas_mm2[i] for i in order))
    return placed


def floorplan_rects(chip: "Chip") -> dict[str, Rect]:
    """Return the rectangle of every block of one chip, inside a die with the aspect of the exposure field."""
    areas = [scalar(f"area of {block.name}", block.area_mm2) for block in chip.blocks]
    width, height = outline_mm(sum(areas))
    return dict(zip((block.name for block in chip.blocks), squarify(areas, width, height), strict=True))


def outline_mm(area_mm2: float) -> tuple[float, float]:
    """Return (width, height) of a die or reticle of `area_mm2`."""
    height = math.sqrt(area_mm2 / FIELD_ASPECT)
    return height * FIELD_ASPECT, height


def block_rows(chip: "Chip") -> list[dict[str, Any]]:
    """Return a row per block: block, area_mm2, share of the die, power_w, power density in W/mm2."""
    return [
        {
            "block": block.name,
            "area_mm2": block.area_mm2,
            "power_w": block.power_w,
            "share": block.area_mm2 / chip.area_mm2,
            "w_per_mm2": block.power_w / block.area_mm2 if block.area_mm2 > 0 else math.nan,
        }
        for block in chip.blocks
    ]


def floorplan(chip: "Chip") -> Plot:
    """Return the blocks of one chip to scale, in mm, with the reticle dashed around them and power on hover.

    Raises `InputError` for a chip whose areas are arrays.
    """
    rects = floorplan_rects(chip)
    total = scalar("chip area", chip.area_mm2)
    drawn = figure(f"Die, {plain(total)} mm² at scale", _FLOORPLAN_HEIGHT_PX, showlegend=False)
    for index, block in enumerate(chip.blocks):
        rect = rects[block.name]
        if rect.area_mm2 > 0:
            _add_block(drawn, rect, _hover(block, total), block.name, index)
            if rect.area_mm2 >= _SMALLEST_LABELLED * total:
                drawn.add_annotation(
                    x=rect.x_mm + rect.width_mm / 2,
                    y=rect.y_mm + rect.height_mm / 2,
                    text=f"{'<br>'.join(text(block.name).split())}<br>{plain(rect.area_mm2)}",
                    showarrow=False,
                    font={"size": _label_px(block.name, rect), "color": DARK_TEXT},
                )
    _outlines(drawn, total, scalar("reticle area", chip.reticle_area_mm2))
    return drawn


def _outlines(drawn: Plot, die_mm2: float, reticle_mm2: float) -> None:
    """Draw the die and the reticle from the same corner, and fit the axes to the larger."""
    die, field = outline_mm(die_mm2), outline_mm(reticle_mm2)
    for (width, height), dash in ((die, "solid"), (field, "dash")):
        line = {"color": NEUTRAL_LINE, "width": 1.5, "dash": dash}
        drawn.add_shape(type="rect", x0=0.0, y0=0.0, x1=width, y1=height, line=line)
    bare = {"title_text": "mm", "showgrid": False, "zeroline": False, "showline": False, "constrain": "domain"}
    widest, tallest = (max(sides) for sides in zip(die, field, strict=True))
    drawn.update_xaxes(range=[-_ROOM * widest, (1.0 + _ROOM) * widest], **bare)
    drawn.update_yaxes(range=[-_ROOM * tallest, (1.0 + _ROOM) * tallest], scaleanchor="x", **bare)


def _add_block(drawn: Plot, rect: Rect, hover: str, name: str, index: int) -> None:
    x0, x1 = rect.x_mm, rect.x_mm + rect.width_mm
    y0, y1 = rect.y_mm, rect.y_mm + rect.height_mm
    drawn.add_scatter(
        x=[x0, x1, x1, x0, x0],
        y=[y0, y0, y1, y1, y0],
        mode="lines",
        fill="toself",
        fillcolor=_FILLS[index % len(_FILLS)],
        line={"color": _EDGES[index % len(_EDGES)], "width": 1.5},
        hoveron="fills",
        hoverinfo="text",
        text=hover,
        name=text(name),
    )


def _label_px(name: str, rect: Rect) -> float:
    longest = max(len(word) for word in [*name.split(), plain(rect.area_mm2)])
    return min(_LABEL_PX, max(_SMALLEST_LABEL_PX, rect.width_mm * _PX_PER_MM / (longest * _CHARACTER_PX)))


def _hover(block: Any, total_mm2: float) -> str:
    area, power = scalar("area", block.area_mm2), scalar("power", block.power_w)
    density = power / area if np.isfinite(area) and area > 0 else 0.0
    return (
        f"<b>{text(block.name)}</b><br>{plain(area)} mm², {100 * area / total_mm2:.1f} % of the die"
        f"<br>{plain(power)} W when always busy, {plain(density)} W/mm²"
    )


def _worst_aspect(areas: list[float], side: float) -> float:
    total = sum(areas)
    thickness = total / side
    return max(max(thickness**2 / a, a / thickness**2) for a in areas)


def _lay(left: Rect, areas: list[float]) -> list[Rect]:
    """Return the rectangles of one row along the shorter side of `left`."""
    along_height = left.height_mm <= left.width_mm
    side = left.height_mm if along_height else left.width_mm
    thickness, at, laid = sum(areas) / side, 0.0, []
    for area in areas:
        length = area / thickness
        if along_height:
            laid.append(Rect(left.x_mm, left.y_mm + at, thickness, length))
        else:
            laid.append(Rect(left.x_mm + at, left.y_mm, length, thickness))
        at += length
    return laid


def _rest(left: Rect, used_mm2: float, remaining_mm2: float) -> Rect:
    """Return the rest of `left` beside a row of `used_mm2` along its shorter side.

    Its thickness follows from the remaining area, not from a difference, so tiny blocks keep their area.
    """
    if left.height_mm <= left.width_mm:
        x = left.x_mm + used_mm2 / left.height_mm
        return Rect(x, left.y_mm, remaining_mm2 / left.height_mm, left.height_mm)
    y = left.y_mm + used_mm2 / left.width_mm
    return Rect(left.x_mm, y, left.width_mm, remaining_mm2 / left.width_mm)
