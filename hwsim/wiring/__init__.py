"""From weights to wires: wiring plans, their slack and tracks, and the arithmetic of broken wires."""

from hwsim.wiring.faults import (
    Faults,
    draw_faults,
    fault_offset,
    faulty_codes,
    faulty_matvec,
    no_faults,
)
from hwsim.wiring.plan import Rewiring, WiringPlan, embed, rewire
from hwsim.wiring.regions import (
    REGIONS,
    UNWIRED,
    cluster_histogram,
    join_neurons,
    measured_format,
    merge_clusters,
    region_histogram,
    region_map,
    split_clusters,
)
from hwsim.wiring.scales import BLOCK, scale_octaves, scaled_counts, scaled_format, scaled_histogram, scaled_magnitudes
from hwsim.wiring.silicon import NeuronSilicon, fixed_silicon, region_name, slice_silicon, smallest_slices
from hwsim.wiring.slack import OUTPUTS, SlackNeed, overdispersion, region_shares, slack_needed, slack_table
from hwsim.wiring.tile import Tile, TileRouting, balanced_tile, heat_map, tile_routing, wire_lengths
from hwsim.wiring.tolerance import FAULT_KINDS, FAULT_RATES, measure_over_faults, tolerable_rates

__all__ = [
    "BLOCK",
    "FAULT_KINDS",
    "FAULT_RATES",
    "OUTPUTS",
    "REGIONS",
    "UNWIRED",
    "Faults",
    "NeuronSilicon",
    "Rewiring",
    "SlackNeed",
    "Tile",
    "TileRouting",
    "WiringPlan",
    "balanced_tile",
    "cluster_histogram",
    "draw_faults",
    "embed",
    "fault_offset",
    "faulty_codes",
    "faulty_matvec",
    "fixed_silicon",
    "heat_map",
    "join_neurons",
    "measure_over_faults",
    "measured_format",
    "merge_clusters",
    "no_faults",
    "overdispersion",
    "region_histogram",
    "region_map",
    "region_name",
    "region_shares",
    "rewire",
    "scale_octaves",
    "scaled_counts",
    "scaled_format",
    "scaled_histogram",
    "scaled_magnitudes",
    "slack_needed",
    "slack_table",
    "slice_silicon",
    "smallest_slices",
    "split_clusters",
    "tile_routing",
    "tolerable_rates",
    "wire_lengths",
]
