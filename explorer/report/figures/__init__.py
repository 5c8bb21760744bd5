"""Figures of a hardware study: functions that return plots, and the rows behind them."""

from explorer.report.figures.chip import block_rows, density_over_bits, density_rows, floorplan, floorplan_rects
from explorer.report.figures.fleet import (
    carbon_bars,
    carbon_rows,
    cost_waterfall,
    tco_bars,
    tco_rows,
    waterfall_rows,
)
from explorer.report.figures.time import (
    breakdown_over_context,
    breakdown_rows,
    occupancy_bars,
    occupancy_rows,
    speed_over_context,
    speed_rows,
)

__all__ = [
    "block_rows",
    "breakdown_over_context",
    "breakdown_rows",
    "carbon_bars",
    "carbon_rows",
    "cost_waterfall",
    "density_over_bits",
    "density_rows",
    "floorplan",
    "floorplan_rects",
    "occupancy_bars",
    "occupancy_rows",
    "speed_over_context",
    "speed_rows",
    "tco_bars",
    "tco_rows",
    "waterfall_rows",
]
