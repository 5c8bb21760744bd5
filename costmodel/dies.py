"""Gross dies: the whole dies on a round wafer, by formula or by placing them; and the limit of a reticle.

Symbols: d wafer diameter, e edge exclusion, s scribe lane; S = (w + s)(h + s) the area of a die of w x h with its lane;
the formulas use the wafer within the edge, d' = d - 2e.
"""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.check import Number, integer, non_negative, positive, shapes

Formula = Literal["plain", "de-vries", "ferris-prabhu", "area-ratio", "exact"]

#: Coefficient of the rim term in de Vries' formula.
_DE_VRIES = 0.58
#: Grid phases per axis between a die boundary and a die centre on the wafer's axis.
_PHASES = 6
#: Dies placed at once, to stay in the processor's cache.
_CHUNK = 8192
#: Most rows of dies in `exact`; a smaller die is refused.
_MAX_ROWS = 20000
#: Dies whose count is cached: a comparison places the same few again and again.
_MOST_KEPT = 1024


def gross_dies(
    area_mm2: Number,
    *,
    formula: Formula,
    wafer_diameter_mm: Number,
    edge_mm: Number = 0.0,
    scribe_mm: Number = 0.0,
    aspect: Number = 1.0,
    whole: bool = True,
    phases: int = _PHASES,
) -> Number:
    """Return the number of dies of `area_mm2` with width over height `aspect` on a wafer (0 if none fits).

    formula : "plain" pi d'^2/4S - pi d'/sqrt(2S); "de-vries" pi d'^2/4S - 0.58 pi d'/sqrt S (D. K. de Vries, IEEE
        Trans. Semiconductor Manufacturing 18, 2005); "ferris-prabhu" pi d'^2/4S exp(-2 sqrt S/d') (A. V.
        Ferris-Prabhu, IEEE Trans. Semiconductor Manufacturing 3, 1990); "area-ratio" pi d'^2/4S, an upper bound;
        "exact" counts the whole dies of the best of several placements of the grid.
    whole : round the formulas down to whole dies ("exact" is whole anyway).
    phases : for "exact", grid positions tried per axis from a die boundary on the wafer's axis to a die centre on it;
        2 tries the four classical alignments.

    Raises `InputError` for sizes that are not positive, an edge that leaves no wafer, or an unknown formula.

    >>> gross_dies(827.08, formula="plain", wafer_diameter_mm=300)
    62.0
    >>> gross_dies(827.08, formula="exact", wafer_diameter_mm=300, edge_mm=3, scribe_mm=0.1)
    65.0
    """
    area, aspect = positive("area_mm2", area_mm2), positive("aspect", aspect)
    shapes(area_mm2=area, aspect=aspect, scribe_mm=scribe_mm, wafer_diameter_mm=wafer_diameter_mm, edge_mm=edge_mm)
    width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
    scribe = non_negative("scribe_mm", scribe_mm)
    diameter = positive("wafer_diameter_mm", wafer_diameter_mm) - 2.0 * non_negative("edge_mm", edge_mm)
    positive("wafer_diameter_mm less both edges", diameter)
    if formula == "exact":
        return _placed(width, height, scribe, diameter / 2.0, integer("phases", phases, low=2))
    room = (width + scribe) * (height + scribe)
    dies = _estimate(formula, room, diameter)
    dies = np.floor(dies) if whole else dies
    return dies if np.ndim(dies) else float(dies)


def _estimate(formula: str, room: Number, diameter: Number) -> Number:
    ratio = np.pi * diameter**2 / (4.0 * room)
    if formula == "plain":
        return np.maximum(ratio - np.pi * diameter / np.sqrt(2.0 * room), 0.0)
    if formula == "de-vries":
        return np.maximum(ratio - _DE_VRIES * np.pi * diameter / np.sqrt(room), 0.0)
    if formula == "ferris-prabhu":
        return ratio * np.exp(-2.0 * np.sqrt(room) / diameter)
    if formula == "area-ratio":
        return ratio
    raise unknown_name("die formula", formula, get_args(Formula))


def _placed(width: Number, height: Number, scribe: Number, radius: Number, phases: int) -> Number:
    shape = np.broadcast_shapes(*(np.shape(v) for v in (width, height, scribe, radius)))
    if not shape:
        return _placed_one(float(width), float(height), float(scribe), float(radius), phases)
    w, h, lane, r = (np.broadcast_to(v, shape).ravel() for v in (width, height, scribe, radius))
    if np.max(2.0 * r / (h + lane)) > _MAX_ROWS:
        raise InputError(f"area_mm2: expected a die with at most {_MAX_ROWS} rows on a wafer for formula 'exact'")
    order = np.argsort(h + lane)  # dies of like height have like numbers of rows
    dies = np.empty(order.size)
    for start in range(0, order.size, _CHUNK):
        chunk = order[start : start + _CHUNK]
        dies[chunk] = _best_grid(w[chunk], h[chunk], lane[chunk], r[chunk], phases)
    return dies.reshape(shape)


@lru_cache(maxsize=_MOST_KEPT)
def _placed_one(width: float, height: float, scribe: float, radius: float, phases: int) -> float:
    sides = np.array([[width], [height], [scribe], [radius]])
    return float(np.asarray(_placed(sides[0], sides[1], sides[2], sides[3], phases))[0])


def _best_grid(width: Number, height: Number, scribe: Number, radius: Number, phases: int) -> Number:
    pitch_x, pitch_y = width + scribe, height + scribe
    offsets = np.linspace(0.0, 0.5, phases)
    offsets_x = offsets[:, None]
    best = np.zeros_like(width)
    rows = int(np.ceil(np.max(radius / pitch_y))) + 1
    for offset_y in offsets:
        counts = np.zeros((phases, width.size))
        for row in range(-rows, rows + 1):
            bottom = (row + offset_y) * pitch_y + scribe / 2.0
            farthest = np.maximum(np.abs(bottom), np.abs(bottom + height))
            inside = radius**2 - farthest**2
            if np.all(inside < 0.0):
                continue
            # Half the chord in pitches; the scribe lane beside the outermost die may extend over the edge.
            chord = np.where(inside >= 0.0, np.sqrt(np.maximum(inside, 0.0)) + scribe / 2.0, 0.0) / pitch_x
            in_row = np.floor(chord - offsets_x)
            in_row += np.floor(chord + offsets_x)
            counts += np.maximum(in_row, 0.0, out=in_row)
        best = np.maximum(best, counts.max(axis=0))
    return best


def fits_reticle(
    area_mm2: Number, *, reticle_width_mm: Number, reticle_height_mm: Number, aspect: Number | None = None
) -> Number:
    """Return whether a die of `area_mm2` fits one exposure field, turned by 90 degrees if necessary.

    Without `aspect` the die may have any shape. Raises `InputError` for sizes that are not positive.
    """
    area = positive("area_mm2", area_mm2)
    field_w = positive("reticle_width_mm", reticle_width_mm)
    field_h = positive("reticle_height_mm", reticle_height_mm)
    if aspect is None:
        return area <= field_w * field_h
    ratio = positive("aspect", aspect)
    long = np.sqrt(area * np.maximum(ratio, 1.0 / ratio))
    short = area / long
    return (long <= np.maximum(field_w, field_h)) & (short <= np.minimum(field_w, field_h))
