"""Figures of a hardware study: functions that return Plotly figures, and the tables behind them."""

from explorer.figures.breakdown import breakdown_frame, breakdown_over_context
from explorer.figures.carbon import carbon_bars, carbon_frame
from explorer.figures.density import density_frame, density_over_bits
from explorer.figures.floorplan import block_frame, floorplan, floorplan_rects
from explorer.figures.occupancy import occupancy_bars, occupancy_frame
from explorer.figures.speed import speed_frame, speed_over_context
from explorer.figures.tco import tco_bars, tco_frame
from explorer.figures.waterfall import cost_waterfall, waterfall_frame

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
