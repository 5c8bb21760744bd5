"""SmolLM2-135M itself: which layer is most sensitive, what the outlier token does, predictions against measurements."""

import pytest
from inference_cases import needs_model

from explorer.precision import Bits
from explorer.precision.language import language_network

pytestmark = [pytest.mark.slow, needs_model]


@pytest.fixture(scope="module")
def networks():
    return {outlier: language_network(1, 64, outlier=outlier) for outlier in ("shared", "precomputed")}


def test_the_head_is_the_most_sensitive_matrix(networks):
    network = networks["precomputed"]
    names = ("output", "blk.0.ffn_down", "blk.15.ffn_up", "blk.29.attn_q")
    losses = {name: network.losses({name: Bits(4)})["kl"][0] for name in names}
    assert max(losses, key=losses.get) == "output" and losses["output"] > 5 * losses["blk.0.ffn_down"]


def test_a_token_apart_spares_every_layer_of_8_bit_activations(networks):
    everything = {layer.name: Bits(activations=8) for layer in networks["shared"].layers}
    shared, apart = (networks[outlier].losses(everything)["kl"][0] for outlier in ("shared", "precomputed"))
    assert 1.5 * apart < shared


def test_losses_of_8_bit_weights_add(networks):
    network = networks["precomputed"]
    names = [layer.name for layer in network.layers[-8:]]
    alone = sum(network.losses({name: Bits(8)})["kl"][0] for name in names)
    together = network.losses({name: Bits(8) for name in names})["kl"][0]
    assert together == pytest.approx(alone, rel=0.2)
