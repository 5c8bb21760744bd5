"""Figures of a hardware study: functions that return Plotly figures, and the tables behind them."""

from explorer.report.figures.chip import block_frame, density_frame, density_over_bits, floorplan, floorplan_rects
from explorer.report.figures.fleet import (
    carbon_bars,
    carbon_frame,
    cost_waterfall,
    tco_bars,
    tco_frame,
    waterfall_frame,
)
from explorer.report.figures.time import (
    breakdown_frame,
    breakdown_over_context,
    occupancy_bars,
    occupancy_frame,
    speed_frame,
    speed_over_context,
)

__all__ = [
    "block_frame",
    "breakdown_frame",
    "breakdown_over_context",
    "carbon_bars",
    "carbon_frame",
    "cost_waterfall",
    "density_frame",
    "density_over_bits",
    "floorplan",
    "floorplan_rects",
    "occupancy_bars",
    "occupancy_frame",
    "speed_frame",
    "speed_over_context",
    "tco_bars",
    "tco_frame",
    "waterfall_frame",
]
