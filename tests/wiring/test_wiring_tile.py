"""Wires of a tile: lengths by hand, their bounds, and demand that adds up to the heat map."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import InputError, wiring
from hwsim.wiring.tile import count_wires_um, drops_um, pin_positions, port_positions

TECHNOLOGY = hwsim.load_technology("n5")
CODES = np.random.default_rng(0).integers(0, 16, (192, 24), dtype=np.uint8)


def plans():
    histogram = wiring.region_histogram(CODES)
    fixed = wiring.NeuronSilicon(tuple(histogram.max(axis=1).tolist()))
    return [wiring.embed(CODES), wiring.embed(CODES, slice_ports=3), wiring.embed(CODES, fixed)]


@given(st.floats(0.5, 50.0), st.floats(0.5, 500.0), st.integers(0, 2))
@settings(deadline=None, max_examples=30)
def test_lengths_are_at_least_the_way_and_at_most_round_the_tile(width, height, which):
    plan, tile = plans()[which], wiring.Tile(width, height)
    lengths = wiring.wire_lengths(plan, tile)
    assert (lengths >= 0.0).all()
    assert np.array_equal(lengths > 0.0, plan.regions != wiring.UNWIRED)
    assert lengths.max() <= width + height
    # Manhattan is never shorter than the straight line, nor longer than sqrt 2 times it.
    x, y = port_positions(plan.silicon, tile)
    pins = pin_positions(plan.inputs, tile)[:, None]
    straight = np.where(plan.ports >= 0, np.hypot(x.take(plan.ports), y.take(plan.ports) - pins), 0.0)
    assert (lengths >= straight - 1e-9).all() and (lengths <= np.sqrt(2.0) * straight + 1e-9).all()
    assert ((x > 0) & (x < width)).all() and ((y > 0) & (y < height)).all()


def test_lengths_by_hand():
    # Four inputs in a column of four ports: pins and ports at 0.5, 1.5, 2.5, 3.5 um; inputs 0 and 2 swap places.
    codes = np.array([[3], [2], [1], [4]], dtype=np.uint8)
    plan = wiring.embed(codes, wiring.NeuronSilicon((1, 1, 1, 1, *[0] * 10)))
    tile = wiring.Tile(1.0, 4.0)
    assert wiring.wire_lengths(plan, tile)[:, 0].tolist() == [2.5, 0.5, 2.5, 0.5]
    assert drops_um(plan, tile).tolist() == [4.0]
    routed = wiring.tile_routing(plan, tile, TECHNOLOGY)
    assert routed.wire_um_per_weight == pytest.approx(1.0 + 4.0 / 4)
    tracks = TECHNOLOGY.routing_layers * 4.0 / (TECHNOLOGY.routing_pitch_nm * 1e-3)
    assert routed.utilisation == pytest.approx((4.0 + 4.0) / tracks)
    assert routed.horizontal == routed.vertical == pytest.approx(2.0 * 4.0 / tracks)
    assert routed.wires_per_mm2 == pytest.approx(1e6)
    assert routed.wires_per_mm2_per_layer == pytest.approx(1e6 / TECHNOLOGY.routing_layers)


def test_counts_of_slices_by_hand():
    # Region +0.5 has three inputs on slices of one port, at the top, in the middle and at the end: one wire over 2 um.
    plan = wiring.embed(np.ones((3, 1), np.uint8), slice_ports=1)
    assert count_wires_um(plan, wiring.Tile(1.0, 3.0)).tolist() == [2.0]
    fixed = wiring.embed(np.ones((3, 1), np.uint8), wiring.NeuronSilicon((3, *[0] * 13)))
    assert count_wires_um(fixed, wiring.Tile(1.0, 3.0)).tolist() == [0.0]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("bins", [(40, 8), (7, 3), (1, 1)])
def test_heat_map_adds_up_to_the_demand_of_its_neuron(which, bins):
    plan, tile = plans()[which], wiring.Tile(3.0, 40.0)
    routed = wiring.tile_routing(plan, tile, TECHNOLOGY)
    for neuron in (0, 23):
        heat = wiring.heat_map(plan, neuron, tile, TECHNOLOGY, bins)
        assert heat.shape == bins and (heat >= 0.0).all()
        assert heat.mean() == pytest.approx(routed.utilisation_per_neuron[neuron])


@pytest.mark.parametrize("which", range(3))
def test_the_balanced_tile_is_the_least_crowded(which):
    plan = plans()[which]
    best = wiring.balanced_tile(plan, 40.0)
    least = wiring.tile_routing(plan, best, TECHNOLOGY).utilisation
    assert best.area_um2 == pytest.approx(40.0)
    for stretch in (0.5, 0.75, 1.5, 2.0):
        other = wiring.Tile(best.width_um / stretch, best.height_um * stretch)
        assert wiring.tile_routing(plan, other, TECHNOLOGY).utilisation >= least * 0.97


def test_slices_near_their_inputs_shorten_branches():
    slices, _, fixed = plans()
    tile = wiring.Tile(3.0, 40.0)
    assert drops_um(slices, tile).mean() < 0.6 * drops_um(fixed, tile).mean()


def test_wider_tracks_are_fuller():
    plan, tile = plans()[0], wiring.Tile(3.0, 40.0)
    wide = dataclasses.replace(TECHNOLOGY, routing_pitch_nm=2 * TECHNOLOGY.routing_pitch_nm)
    ratio = wiring.tile_routing(plan, tile, wide).utilisation / wiring.tile_routing(plan, tile, TECHNOLOGY).utilisation
    assert ratio == pytest.approx(2.0)


def test_a_plan_without_wires_has_no_branches():
    plan = wiring.embed(np.zeros((4, 2), np.uint8))
    tile = wiring.balanced_tile(plan, 4.0)
    routed = wiring.tile_routing(plan, tile, TECHNOLOGY)
    assert routed.branch_um_per_weight == routed.pin_to_port_um == 0.0
    assert wiring.heat_map(plan, 0, tile, TECHNOLOGY).mean() == pytest.approx(routed.utilisation)


def test_bad_tiles_are_refused():
    with pytest.raises(InputError, match="width_um"):
        wiring.Tile(0.0, 1.0)
    with pytest.raises(InputError, match="neuron"):
        wiring.heat_map(plans()[0], 24, wiring.Tile(1.0, 1.0), TECHNOLOGY)
    with pytest.raises(InputError, match="area"):
        wiring.balanced_tile(plans()[0], -1.0)
