"""The image generator's layers rounded: a tiny network always, the real one where it is installed."""

import importlib.util
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "diffusion"))
from diffusion_cases import needs_terrain, tiny_graph, tiny_inputs

from explorer.precision import Bits, Layer, sensitivity
from explorer.precision.terrain import TerrainNetwork, spread, terrain_network
from hwbase import InputError
from models.diffusion import TerrainModel, run

BITS = (4, 8)


def tiny_terrain(held_out=False, **options):
    feeds = tiny_inputs(images=4 if held_out else 2, seed=5 if held_out else 1)
    return TerrainNetwork(TerrainModel(tiny_graph()), feeds, tiny_inputs(seed=2), **options)


@pytest.fixture(scope="module")
def network():
    return tiny_terrain()


def test_layers_know_their_sizes_and_groups(network):
    layers = {layer.name: layer for layer in network.layers}
    assert layers["first"] == Layer("first", "quality", weights=72, inputs=64, macs=4608)
    assert layers["embed"].macs == layers["embed"].weights == 4
    assert {name for name, layer in layers.items() if layer.group == "content"} == {"embed", "modulate"}


def test_float_costs_nothing_and_fewer_bits_cost_more(network):
    assert all(not values.any() for values in network.losses({}).values())
    for layer in network.layers:
        for kind in ("weights", "activations"):
            losses = [network.losses({layer.name: Bits(**{kind: bits})})["noise"].mean() for bits in (3, 5, 8)]
            if (layer.name, kind) == ("embed", "weights"):
                # One weight a channel is the end of its own range.
                assert losses == [0.0, 0.0, 0.0]
            else:
                assert losses[0] > losses[2] and losses[1] > losses[2], (layer.name, kind)


def test_any_order_of_layers_gives_the_same_losses(network):
    names = [layer.name for layer in network.layers]
    fresh = {name: tiny_terrain().losses({name: Bits(4)})["noise"] for name in names}
    for name in (*names, *reversed(names), *names[::2]):
        np.testing.assert_allclose(network.losses({name: Bits(4)})["noise"], fresh[name], rtol=1e-5)


def test_losses_are_those_of_a_whole_run(network):
    from models.diffusion import Products
    from models.quantise import rounded

    graph = tiny_graph()
    weights = {layer.name: rounded(layer.weight, 4) for layer in graph.layers}
    found = run(graph, tiny_inputs(images=2, seed=1), Products(graph.layers, weights))["denoised"][:, 0]
    coded = network.coded({layer.name: Bits(4) for layer in network.layers})
    np.testing.assert_allclose(coded, found, atol=1e-6)


def test_parts_of_joined_inputs_have_their_own_ranges():
    graph = tiny_graph()
    large = graph.constants["first.weight"] * np.float32(100.0)
    object.__setattr__(graph, "constants", dict(graph.constants) | {"first.weight": large})
    pair = [
        TerrainNetwork(TerrainModel(graph), tiny_inputs(seed=1), tiny_inputs(seed=2), split=split)
        for split in (True, False)
    ]
    split, shared = (network.losses({"last": Bits(activations=6)})["noise"].mean() for network in pair)
    assert pair[0].fingerprint != pair[1].fingerprint
    assert len(pair[0]._ranges["last"]) == 2 and len(pair[1]._ranges["last"]) == 1
    assert split != shared


def test_sensitivities_of_groups(network):
    found = sensitivity(tiny_terrain, bits=BITS, metrics=network.group_metrics).table
    assert set(zip(found["group"], found["metric"], strict=True)) == {("content", "slope"), ("quality", "noise")}
    assert len(found) == 7 * len(BITS) and found["loss"].notna().all()


def test_ways_of_calibration_differ():
    losses = {
        kind: tiny_terrain(observe=kind).losses({"last": Bits(activations=3)})["noise"].mean()
        for kind in ("extremes", "moving-average", "histogram")
    }
    assert len(set(losses.values())) == 3
    with pytest.raises(InputError, match="did you mean 'histogram'"):
        tiny_terrain(observe="histograms").losses({"last": Bits(activations=8)})


def test_difficulties_are_spread_evenly():
    assert list(spread(2)) == [26, 75]
    assert spread(100).min() >= 1 and spread(100).max() <= 100 and (np.diff(spread(50)) > 0).all()


@pytest.mark.skipif(importlib.util.find_spec("terrain_diffusion") is not None, reason="the network is installed")
def test_a_missing_network_says_what_to_install():
    with pytest.raises(InputError, match="pip install"):
        terrain_network()


@pytest.mark.slow
@needs_terrain
def test_the_real_network_bears_8_bits_of_weights_and_its_last_layer_does_not_bear_4():
    network = terrain_network(images=1)
    assert len(network.layers) == 255 and sum(layer.group == "content" for layer in network.layers) == 59
    assert network.losses({"network.out.2": Bits(8)})["noise"][0] < 1e-3
    assert network.losses({"network.out.2": Bits(4)})["noise"][0] > 1e-2
    some = [layer.name for layer in network.layers[-3:]]
    found = sensitivity(partial(terrain_network, images=1), network=network, bits=BITS, layers=some)
    assert found.measured == 6 and (found.table["loss"] > found.floors["noise"]).all()
