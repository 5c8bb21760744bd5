"""The document of `hwsim fabrics`: a table, and area against cycles against masks."""

from functools import partial

import numpy as np

from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.plot import Plot
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, scaled_table
from explorer.documents.theme import figure, style
from explorer.fabrics.prices import PricedFabrics
from hwbase.numbers import plain

_SHOWN = [
    *("label", "technology", "weight_format", "area_um2_per_weight", "memory_um2_per_weight", "dies"),
    *("cycles_per_token", "tokens_per_s_per_user", "energy_j_per_mac", "respin_masks", "respin_usd", "refill_s"),
]
_AXES = ["label", "technology", "weight_format", "area_um2_per_weight", "cycles_per_token", "respin_masks"]
_PJ, _DAY_S = 1e-12, 86400.0
#: Columns whose values lie too far apart for one prefix of a unit.
_UNITS = {
    "energy_j_per_mac": Column("energy of a multiply-accumulate", "pJ"),
    "refill_s": Column("time until other weights run", "days"),
}
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
_HEIGHT_PX, _MARKER_PX = 420, 12
#: Decades beside the points.
_MARGIN, _TEXT_DECADES = 0.3, 2.2
_LIMITS = (
    "Matrices alone: attention, its memory, embedding tables and links come on top. A pipeline has another token in "
    "every matrix; one user has one. A re-spin changes the masks of every die; SRAM and DRAM are loaded from the host."
)


def fabrics_document(result: PricedFabrics, command: str) -> Document:
    """Return fabrics side by side as a document."""
    frame = result.to_frame()
    units = {"energy_j_per_mac": frame["energy_j_per_mac"] / _PJ, "refill_s": frame["refill_s"] / _DAY_S}
    table = scaled_table("Weight fabrics", frame.assign(**units)[_SHOWN], _UNITS)
    axes = scaled_table("Three axes", frame[_AXES])
    drawn = Figure("axes", partial(area_over_cycles, result), "Area against cycles per token", axes, 3)
    return Document(
        f"Where the weights of {result.model} may live",
        "Area of a weight, cycles of a token and masks of a re-spin, by fabric. " + _LIMITS,
        sections(
            Section("fabrics", "Fabrics", (table,)),
            Section("axes", "Area against cycles against masks", (drawn,), short=False),
            assumptions_section({"": result.assumptions}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        frame=lambda: frame,
        schema="fabrics",
    )


def area_over_cycles(result: PricedFabrics) -> Plot:
    """Return a point for each row, area of a weight over cycles of a token; its text says the masks of a re-spin."""
    drawn = figure(f"Fabrics for {result.model}", _HEIGHT_PX)
    for index, key in enumerate(dict.fromkeys((row["technology"], row["weight_format"]) for row in result.rows)):
        rows = [row for row in result.rows if (row["technology"], row["weight_format"]) == key]
        colour, _, _ = style(index)
        drawn.add_scatter(
            x=[row["cycles_per_token"] for row in rows],
            y=[row["area_um2_per_weight"] + row["memory_um2_per_weight"] for row in rows],
            text=[f" {row['label']}, {plain(row['respin_masks'])} masks" for row in rows],
            mode="markers+text",
            textposition="middle right",
            name=", ".join(key),
            marker={"color": colour, "symbol": _SYMBOLS[index % len(_SYMBOLS)], "size": _MARKER_PX},
        )
    cycles = [row["cycles_per_token"] for row in result.rows]
    # Room for the texts on the right.
    ends = [np.log10(min(cycles)) - _MARGIN, np.log10(max(cycles)) + _TEXT_DECADES]
    drawn.update_xaxes(type="log", title_text="cycles per token", range=ends)
    drawn.update_yaxes(type="log", title_text="area of a weight, its memory included [µm²]")
    return drawn
