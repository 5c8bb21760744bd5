"""Tracks used by the wires of real weights, and the slack with which they fit.

Wires are longer where a region may lie anywhere in a larger part of a neuron. Clusters with their own regions have
shorter wires, but each cluster needs spare ports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from explorer.wiring.survey import CLUSTERS, SLICE_PORTS, Survey
from hwbase import InputError, Record
from hwbase.check import integer
from hwsim import wiring

#: Largest used share of the tracks of M8 to M11 that the HNLPU paper states (ASPLOS '26).
PAPER_UTILISATION = 0.70


@dataclass(frozen=True)
class MeasuredSlack(Record):
    """Spare share of POPCNT ports that the neurons of a survey need, the `popcnt_slack` of a machine book.

    For neurons of `inputs` inputs on re-assignable slices of `slice_ports` ports. `low`: 99.9 % of the neurons fit;
    `nominal`: all fit; `high`: all fit when split into the largest clusters (`cluster_inputs`) whose wires use at most
    `most_utilisation` of the tracks; they use `utilisation`. These three are None where no cluster is small enough.
    """

    technology: str
    inputs: int
    slice_ports: int
    low: float
    nominal: float
    high: float | None
    cluster_inputs: int | None
    utilisation: float | None
    most_utilisation: float


def measured_slack(
    weights: Survey,
    technology: hwsim.Technology,
    slice_ports: int = 8,
    *,
    most_utilisation: float = PAPER_UTILISATION,
    routing: pd.DataFrame | None = None,
) -> MeasuredSlack:
    """Return the slack of a survey's stand-ins in which 99.9 % or all of them fit, and that which routing needs.

    `routing` is `stand_in_routing` of the same survey and technology, if already computed; `low` and `nominal` do not
    depend on the technology. Raises `InputError` for slices of less than one port.
    """
    ports = integer("slice_ports", slice_ports)
    counts = weights.stand_ins()[0].sum(axis=1, dtype=np.int32)
    low, nominal = (
        wiring.slack_needed(counts, weights.stand_in_inputs, share, slice_ports=ports).slack for share in (0.999, 1.0)
    )
    frame = stand_in_routing(weights, technology, slice_ports=(ports,)) if routing is None else routing
    rows = frame[(frame["slice_ports"] == ports) & (frame["utilisation"] <= most_utilisation)]
    high, cluster, utilisation = None, None, None
    if len(rows):
        best = rows.sort_values("inputs").iloc[-1]
        high, cluster, utilisation = float(best["slack"]), int(best["inputs"]), float(best["utilisation"])
    return MeasuredSlack(
        technology.name, weights.stand_in_inputs, ports, low, nominal, high, cluster, utilisation, most_utilisation
    )


def stand_in_routing(
    weights: Survey,
    technology: hwsim.Technology,
    clusters: Sequence[int] = CLUSTERS,
    slice_ports: Sequence[int] = SLICE_PORTS,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Return `routing_frame` of a survey's sampled stand-ins, on silicon in which all its stand-ins fit.

    Clusters longer than the stand-ins are left out. `progress` is called with (designs done, designs).
    """
    counts = weights.stand_ins()[0]
    designs = [(size, ports) for ports in slice_ports for size in clusters if size <= weights.stand_in_inputs]
    rows = []
    for design in designs:
        rows.append(routing_frame(weights.sample, technology, [design], counts=counts))
        if progress is not None:
            progress(len(rows), len(designs))
    return pd.concat(rows, ignore_index=True)


def routing_frame(
    codes: Any,
    technology: hwsim.Technology,
    designs: Sequence[tuple[int, int]] = ((0, 0), (0, 8), (96, 0), (96, 8)),
    fit_share: float = 1.0,
    area_um2_per_weight: float | None = None,
    counts: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return a row per design: the tracks of M8 to M11 that its wires use on plans of `codes`.

    A design is (cluster, slice_ports): cluster 0 is a whole neuron, slice_ports 0 fixed regions. Its silicon is the
    smallest in which `fit_share` of the neurons fit with all their clusters; the neurons of `codes` that fit are
    routed. `counts` (14, blocks of 32 inputs, neurons) gives more neurons than those of `codes`. The area of a weight
    is that of `hwsim.metal_embedding` at this slack, unless given. Columns: inputs (of a cluster), slice_ports, slack,
    area_um2_per_weight, tile_width_um, tile_height_um, wire_um_per_weight, branch_um_per_weight, count_um_per_weight,
    steiner_um_per_weight and steiner_utilisation (`hwsim.routing_demand` at the same area), wires_per_mm2,
    wires_per_mm2_per_layer, utilisation (1: every track used), average_wire_ff (pin to port, wire only). Raises
    `InputError` for clusters that are not whole blocks of the neurons of `counts`, or larger than a neuron.
    """
    whole = np.asarray(codes)
    rows = []
    for cluster, slice_ports in designs:
        size = cluster or whole.shape[0]
        parts = wiring.split_clusters(whole, size)
        own = wiring.region_histogram(parts)
        neurons = own if counts is None else wiring.merge_clusters(counts, _blocks(size))
        need = wiring.slack_needed(neurons, size, fit_share, slice_ports=slice_ports)
        fmt = wiring.measured_format(wiring.region_shares(neurons, size))
        cost = hwsim.metal_embedding(whole.shape[0], wiring.OUTPUTS, fmt, technology, slack=max(need.slack, 0.0))
        area = float(cost.area_mm2 / cost.weights * 1e6) if area_um2_per_weight is None else area_um2_per_weight
        plan = wiring.embed(parts[:, need.silicon.fits(own)], need.silicon)
        tile = wiring.balanced_tile(plan, size * area)
        routed = wiring.tile_routing(plan, tile, technology)
        steiner = hwsim.routing_demand(size, area, technology)
        rows.append(
            {
                "inputs": size,
                "slice_ports": slice_ports,
                "slack": need.slack,
                "area_um2_per_weight": area,
                "tile_width_um": tile.width_um,
                "tile_height_um": tile.height_um,
                "wire_um_per_weight": routed.wire_um_per_weight,
                "branch_um_per_weight": routed.branch_um_per_weight,
                "count_um_per_weight": routed.count_um_per_weight,
                "steiner_um_per_weight": float(steiner.wire_um_per_weight),
                "steiner_utilisation": float(steiner.utilisation),
                "wires_per_mm2": routed.wires_per_mm2,
                "wires_per_mm2_per_layer": routed.wires_per_mm2_per_layer,
                "utilisation": routed.utilisation,
                "average_wire_ff": float(routed.pin_to_port_um * technology.wire_capacitance_f_per_um * 1e15),
            }
        )
    return pd.DataFrame(rows)


def _blocks(inputs: int) -> int:
    if inputs % wiring.BLOCK:
        raise InputError(f"cluster = {inputs}: expected a multiple of {wiring.BLOCK} inputs")
    return inputs // wiring.BLOCK
