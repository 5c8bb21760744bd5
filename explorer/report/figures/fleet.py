"""Cost and carbon of the hardwired fleet and of the GPU fleet that matches it, on readable scales."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.documents.plot import Plot
from explorer.documents.tables import LEVELS
from explorer.documents.theme import BLUE, CYAN, GREEN, GREY, NEUTRAL_LINE, YELLOW, figure, fill
from hwbase.numbers import counted, mass, money, scalar, times

if TYPE_CHECKING:
    from costmodel.bill import Bill
    from costmodel.comparison import Comparison
    from costmodel.ownership import Tco

#: A row of a table by the name of its column.
Row = dict[str, Any]


def _by_fleet(rows: list[Row]) -> list[Row]:
    """Return rows with a fleet and a level, the hardwired fleet first."""
    return sorted(rows, key=lambda row: row["fleet"] != "hardwired")


def drawn_once(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Return `frame` with a `label` for each row; a fleet whose levels agree in all of `keys` is one row."""
    kept: list[Row] = []
    for fleet in dict.fromkeys(row["fleet"] for row in rows):
        levels = [row for row in rows if row["fleet"] == fleet]
        values = np.array([[row[key] for key in keys] for row in levels], dtype=float)
        if np.allclose(values, values[0]):
            kept.append(levels[0] | {"label": fleet})
        else:
            kept += [row | {"label": f"{fleet}<br>{row['level']}"} for row in levels]
    return kept


def column_of(rows: Sequence[Row], key: str) -> list[Any]:
    """Return the values of one key."""
    return [row[key] for row in rows]


_WATERFALL_HEIGHT_PX = 470
_USD_PER_MUSD = 1e6
#: The axis extends beyond the total by this factor, to fit its label.
_WATERFALL_ROOM = 1.32


def waterfall_rows(bill: "Bill", tco: "Tco") -> list[Row]:
    """Return a row per step: step, kind ("NRE", "recurring", "operation", "re-spins", "total"), usd.

    The steps add up to the total, which is the last row.
    """
    chips = scalar("chips", bill.chips)
    steps = [
        ("shared masks", "NRE", bill.shared_masks_usd),
        (f"masks of {counted(chips, 'chip')}", "NRE", chips * scalar("own masks", bill.own_masks_usd)),
        ("architecture", "NRE", bill.architecture_usd),
        ("verification", "NRE", bill.verification_usd),
        ("physical design", "NRE", bill.physical_usd),
        ("IP", "NRE", bill.ip_usd),
        ("systems", "recurring", scalar("hardware", tco.hardware_usd) - scalar("NRE", bill.nre_usd)),
        ("infrastructure", "recurring", tco.infrastructure_usd),
        ("electricity", "operation", tco.electricity_usd),
        ("maintenance", "operation", tco.maintenance_usd),
        ("re-spins", "re-spins", tco.respins_usd),
        ("TCO", "total", tco.total_usd),
    ]
    return [{"step": s, "kind": k, "usd": scalar(s, v)} for s, k, v in steps]


def cost_waterfall(bill: "Bill", tco: "Tco", title: str = "From masks to TCO", most_usd: float | None = None) -> Plot:
    """Return the steps from shared masks to the TCO of a hardwired fleet, in M$.

    `most_usd` sets the end of the axis, so that two waterfalls compare. Raises `InputError` for array fields.
    """
    rows = waterfall_rows(bill, tco)
    total = rows[-1]["usd"]
    drawn = figure(title, _WATERFALL_HEIGHT_PX, showlegend=False, bargap=0.3)
    drawn.add_waterfall(
        orientation="h",
        y=column_of(rows, "step"),
        x=[usd / _USD_PER_MUSD for usd in column_of(rows, "usd")],
        measure=["total" if kind == "total" else "relative" for kind in column_of(rows, "kind")],
        text=[money(usd) for usd in column_of(rows, "usd")],
        textposition="outside",
        cliponaxis=False,
        increasing={"marker": {"color": BLUE}},
        totals={"marker": {"color": GREEN}},
        connector={"line": {"color": NEUTRAL_LINE, "width": 1}},
        customdata=column_of(rows, "kind"),
        hovertemplate="%{y} (%{customdata}): %{text}<extra></extra>",
    )
    drawn.update_xaxes(
        range=[0, max(most_usd or 0.0, total) / _USD_PER_MUSD * _WATERFALL_ROOM], title_text="M$", tickformat=",~r"
    )
    drawn.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    return drawn


_CARBON_HEIGHT_PX, _CARBON_PX_PER_FLEET, _CARBON_FRAME_PX = 520, 78, 120
#: The axis extends beyond the longest bar by this factor, to fit its label.
_CARBON_ROOM = 15.0
#: From this number of decades on, only every second decade has a tick.
_MOST_DECADES = 5
_SCOPES = (
    ("Scope 2, electricity", "scope2_t", CYAN, "/"),
    ("Scope 3, hardware", "scope3_t", YELLOW, "x"),
    ("total", "total_t", GREY, ""),
)
_CARBON_KEYS = tuple(key for _, key, _, _ in _SCOPES)


def carbon_rows(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> list[Row]:
    """Return a row per fleet and level: fleet, level, scope2_t, scope3_t, total_t (tonnes CO2e over the life)."""
    rows: list[Row] = []
    for level, pair in comparison.pairs(levels):
        for fleet, co2 in (("hardwired", pair.hardwired_carbon), ("GPU", pair.gpu_carbon)):
            rows.append(
                {"fleet": fleet, "level": level} | {key: scalar(key, getattr(co2, key)) for key in _CARBON_KEYS}
            )
    return _by_fleet(rows)


def carbon_bars(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> Plot:
    """Return bars of Scope 2, Scope 3 and their sum for each fleet and level, in t CO2e, on a log axis.

    Bars are side by side, not stacked: lengths on a log axis do not add up. A fleet whose levels agree is drawn once.
    """
    rows = drawn_once(carbon_rows(comparison, levels), _CARBON_KEYS)
    drawn = figure(
        "Carbon over the life",
        max(_CARBON_HEIGHT_PX, _CARBON_FRAME_PX + _CARBON_PX_PER_FLEET * len(rows)),
        barmode="group",
        bargap=0.25,
    )
    for name, key, colour, pattern in _SCOPES:
        drawn.add_bar(
            y=column_of(rows, "label"),
            x=column_of(rows, key),
            orientation="h",
            name=name,
            marker=fill(colour, pattern),
            text=[mass(t) for t in column_of(rows, key)],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}",
        )
    values = np.array([column_of(rows, key) for key in _CARBON_KEYS], dtype=float)
    positive = values[values > 0]
    first = np.floor(np.log10(positive.min() / 2.0)) if positive.size else 0.0
    last = np.log10(positive.max() * _CARBON_ROOM) if positive.size else 1.0
    ticks = 10.0 ** np.arange(first, last, 2 if last - first > _MOST_DECADES else 1)
    drawn.update_xaxes(
        type="log",
        range=[first, last],
        tickvals=ticks,
        ticktext=[mass(t) for t in ticks],
        title_text="CO₂e (log scale)",
    )
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    return drawn


_TCO_HEIGHT_PX = 520
#: The axes extend beyond the longest bar by this factor, to fit labels.
_TCO_ROOM, _TCO_ROOM_ENLARGED = 1.4, 1.7
#: Gap between two panels as a share of the height, and the ratio of fleets from which the second is drawn.
_GAP, _ENLARGE_FROM = 0.18, 3.0
_BOTTOM_MARGIN_PX = 56
#: Label, column, colour and pattern of each part of a TCO.
TCO_PARTS = (
    ("capital", "capex_usd", BLUE, ""),
    ("operation", "opex_usd", CYAN, "/"),
    ("re-spins", "respins_usd", YELLOW, "x"),
)
_TCO_KEYS = tuple(key for _, key, _, _ in TCO_PARTS)


def tco_rows(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> list[Row]:
    """Return a row per fleet and level: fleet, level, capex_usd, opex_usd, respins_usd, total_usd, ratio.

    `ratio` is the GPU fleet's TCO over the hardwired fleet's at the same level; it is empty for the GPUs.
    """
    rows: list[Row] = []
    for level, pair in comparison.pairs(levels):
        for fleet, cost in (("hardwired", pair.hardwired), ("GPU", pair.gpu)):
            parts = {key: scalar(key, getattr(cost, key)) for key in _TCO_KEYS}
            ratio = scalar("ratio", pair.tco_ratio) if fleet == "hardwired" else None
            total = scalar("total", cost.total_usd)
            rows.append({"fleet": fleet, "level": level, **parts, "total_usd": total, "ratio": ratio})
    return _by_fleet(rows)


def tco_bars(comparison: "Comparison", levels: Sequence[str] = LEVELS) -> Plot:
    """Return the TCO of both fleets stacked by capital, operation and re-spins, in M$, with ratios as text.

    All bars share one linear scale (stacks are meaningless on a log axis); where the hardwired fleet is far smaller, a
    second panel shows it enlarged. A fleet whose levels agree is drawn once.
    """
    rows = drawn_once(tco_rows(comparison, levels), (*_TCO_KEYS, "total_usd"))
    hardwired = [row for row in rows if row["fleet"] == "hardwired"]
    end, near = (max(column_of(some, "total_usd")) / _USD_PER_MUSD for some in (rows, hardwired))
    drawn = figure("Total cost of ownership", _TCO_HEIGHT_PX, barmode="stack", bargap=0.25, margin_b=_BOTTOM_MARGIN_PX)
    _stack(drawn, rows, ("x", "y"), legend=True)
    drawn.update_layout(
        xaxis={"range": [0, end * _TCO_ROOM], "title_text": "M$", "tickformat": ",~r", "automargin": False},
        yaxis={"autorange": "reversed", "ticksuffix": " "},
    )
    if end > near * _ENLARGE_FROM:
        _stack(drawn, hardwired, ("x2", "y2"), legend=False)
        _second_panel(drawn, len(rows), len(hardwired), near, end)
    return drawn


def _stack(drawn: Plot, rows: Sequence[Row], axes: tuple[str, str], *, legend: bool) -> None:
    for name, key, colour, pattern in TCO_PARTS:
        drawn.add_bar(
            y=column_of(rows, "label"),
            x=[usd / _USD_PER_MUSD for usd in column_of(rows, key)],
            orientation="h",
            name=name,
            legendgroup=name,
            showlegend=legend,
            marker=fill(colour, pattern),
            customdata=[money(usd) for usd in column_of(rows, key)],
            hovertemplate="%{y}: %{customdata}",
            xaxis=axes[0],
            yaxis=axes[1],
        )
    for row in rows:
        ratio = "" if row["ratio"] is None else f"<br>GPUs {times(row['ratio'])}"
        drawn.add_annotation(
            x=row["total_usd"] / _USD_PER_MUSD,
            y=row["label"],
            xref=axes[0],
            yref=axes[1],
            text=f"{money(row['total_usd'])}{ratio}",
            showarrow=False,
            align="left",
            xanchor="left",
            xshift=5,
        )


def _second_panel(drawn: Plot, above: int, below: int, near: float, end: float) -> None:
    """Split the height between the panels by their bars, and state the enlargement of the lower one."""
    top = (1.0 - _GAP) * below / (above + below)
    drawn.update_layout(
        xaxis={"anchor": "y", "title_text": ""},
        xaxis2={
            "range": [0, near * _TCO_ROOM_ENLARGED],
            "anchor": "y2",
            "title": {"text": "M$", "standoff": 8},
            "automargin": False,
            "tickformat": ",~r",
        },
        yaxis={"domain": [top + _GAP, 1.0]},
        yaxis2={"domain": [0.0, top], "anchor": "x2", "autorange": "reversed", "ticksuffix": " "},
    )
    drawn.add_annotation(
        text=f"hardwired only, enlarged {times(round(end / near, 1))}",
        x=0,
        y=top + 0.01,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
