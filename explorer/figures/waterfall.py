"""From masks to total cost of ownership, step by step."""

from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from explorer.figures.numbers import counted, money, scalar
from explorer.figures.theme import BLUE, GREEN, NEUTRAL_LINE, figure

if TYPE_CHECKING:
    from costmodel.bill import Bill
    from costmodel.tco import Tco

_HEIGHT_PX = 470
_USD_PER_MUSD = 1e6
#: The axis runs this much beyond the total, so that its label fits.
_ROOM = 1.32


def waterfall_frame(bill: "Bill", tco: "Tco") -> pd.DataFrame:
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
    return pd.DataFrame([{"step": s, "kind": k, "usd": scalar(s, v)} for s, k, v in steps])


def cost_waterfall(
    bill: "Bill", tco: "Tco", title: str = "From masks to TCO", most_usd: float | None = None
) -> go.Figure:
    """Return the steps from shared masks to the TCO of a hardwired fleet, in M$.

    `most_usd` sets the end of the axis, so that two waterfalls compare. Raises `InputError` for array fields.
    """
    frame = waterfall_frame(bill, tco)
    total = frame["usd"].iloc[-1]
    drawn = figure(title, _HEIGHT_PX, showlegend=False, bargap=0.3)
    drawn.add_trace(
        go.Waterfall(
            orientation="h",
            y=frame["step"],
            x=frame["usd"] / _USD_PER_MUSD,
            measure=["total" if kind == "total" else "relative" for kind in frame["kind"]],
            text=[money(usd) for usd in frame["usd"]],
            textposition="outside",
            cliponaxis=False,
            increasing={"marker": {"color": BLUE}},
            totals={"marker": {"color": GREEN}},
            connector={"line": {"color": NEUTRAL_LINE, "width": 1}},
            customdata=frame["kind"],
            hovertemplate="%{y} (%{customdata}): %{text}<extra></extra>",
        )
    )
    drawn.update_xaxes(
        range=[0, max(most_usd or 0.0, total) / _USD_PER_MUSD * _ROOM], title_text="M$", tickformat=",~r"
    )
    drawn.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    return drawn
