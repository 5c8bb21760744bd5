"""Wires of the embedding layers: the demand of connecting every weight to its region, and the tracks available."""

from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import Number, positive
from hwsim.technology import Technology

#: Length of the shortest rectilinear tree over N random points in area A, over sqrt(N A); measured values 0.7-0.8
#: (Gilbert 1965; Chung and Graham, "On Steiner trees for bounded point sets", 1981).
STEINER_CONSTANT = 0.76


@dataclass(frozen=True)
class RoutingDemand(Record):
    """Length of wire and of track in the embedding layers per weight, in um, and the ratio of the two."""

    wire_um_per_weight: Number
    track_um_per_weight: Number
    utilisation: Number
    capacitance_f_per_weight: Number


def routing_demand(slice_inputs: Number, weight_area_um2: Number, technology: Technology) -> RoutingDemand:
    """Return the routing demand when a weight is wired to a region inside a slice of `slice_inputs` inputs.

    The net of an input visits one random place in every neuron that it feeds: a Steiner tree over one point per slice.
    That is 0.76 x side of the slice per weight, with side = sqrt(slice_inputs x weight_area_um2). Tracks per weight:
    layers x weight area / pitch. The larger the slice in which a region may lie anywhere, the longer the wires.

    Raises `InputError` for sizes that are not positive.

    >>> from hwsim.technology import load_technology
    >>> demand = routing_demand([128, 2880], 0.073, load_technology())
    >>> demand.utilisation.round(2).tolist()
    [0.6, 2.87]
    """
    inputs = positive("slice_inputs", slice_inputs, high=1e9)
    area = positive("weight_area_um2", weight_area_um2, high=1e6)
    wire = STEINER_CONSTANT * np.sqrt(inputs * area)
    tracks = technology.routing_layers * area / (technology.routing_pitch_nm * 1e-3)
    return RoutingDemand(wire, tracks, wire / tracks, wire * technology.wire_capacitance_f_per_um)


def largest_slice(utilisation: Number, weight_area_um2: Number, technology: Technology) -> Number:
    """Return the inputs of the largest slice whose wiring stays within `utilisation` of the tracks."""
    share = positive("utilisation", utilisation, high=1.0)
    area = positive("weight_area_um2", weight_area_um2, high=1e6)
    tracks = technology.routing_layers * area / (technology.routing_pitch_nm * 1e-3)
    return np.square(share * tracks / STEINER_CONSTANT) / area
