"""Faults in a network: what they do to its perplexity, which single ones matter, and what a chip of it yields."""

import json

import numpy as np
import pytest
from inference_cases import needs_tokenizers, tiny_vocabulary

import hwsim
import models
from explorer.wiring import faults
from explorer.wiring.survey import mxfp4_codes, weights_from_codes
from hwsim import InputError, wiring
from models import inference

TECHNOLOGY = hwsim.load_technology()


def tiny_network():
    config = inference.TransformerConfig(
        layers=2, hidden=64, query_heads=4, kv_heads=2, head_dim=16, intermediate=96, vocabulary=50, context=64
    )
    random = np.random.default_rng(11)
    tensors = {
        name: (np.ones(shape) if len(shape) == 1 else 0.3 * random.normal(size=shape)).astype(np.float32)
        for name, shape in config.tensor_shapes().items()
    }
    return inference.Weights(config, tensors)


def test_perplexity_of_a_transformer_under_faults():
    network, tokens = tiny_network(), np.random.default_rng(0).integers(0, 50, 40)
    options = {"kinds": ("wire", "neuron"), "rates": (0.0, 0.3, 1.0), "seeds": (1,)}
    frame = faults.perplexity_over_faults(network, tokens, window=20, **options)
    for _, rows in frame.groupby("kind"):
        values = rows["value"].tolist()
        assert values[0] == values[1] != values[2]
        # With every wire broken the logits are all 0: each of the 50 tokens is as likely.
        assert values[3] == pytest.approx(50.0)


def test_what_a_chip_tolerates():
    design, model = hwsim.load_design(), models.load("gpt-oss-120b")
    frame = faults.tolerable_defects({"wire": 1e-2, "neuron": 1e-4, "input": 1e-4}, model, design, TECHNOLOGY)
    row = frame.set_index("kind").loc["neuron"]
    assert row["yield_rest"] > row["yield_all"] == pytest.approx(0.431, abs=0.01)
    assert row["rest_at_1_percent"] > 0.01
    assert row["tolerable_faults"] == pytest.approx(1e-4 * row["units_per_chip"])
    weights = float(hwsim.build_chip(model, design, TECHNOLOGY).hn_weights)
    assert frame.set_index("kind").loc["wire", "units_per_chip"] == pytest.approx(weights)


def test_the_heaviest_wire_is_found_and_broken():
    network, tokens = tiny_network(), np.random.default_rng(0).integers(0, 50, 40)
    # One weight far above the others: the wire that carries it is the one to break.
    network.tensors["blk.1.ffn_down"][5, 7] = 40.0
    found = faults.critical_faults(network, tokens, window=20, most=2)
    first = found.iloc[0]
    assert (first["kind"], first["matrix"], first["input"], first["output"]) == ("wire", "blk.1.ffn_down", 7, 5)
    assert found["kind"].tolist() == ["wire", "input", "neuron"] * 2
    assert found["load"].is_monotonic_decreasing and (found["value"] > 0).all()
    matrices = {name: weights_from_codes(*mxfp4_codes(m)) for name, m in network.matrices().items()}

    def perplexity():
        machine = inference.Transformer(network, inference.FloatLinear(matrices))
        return inference.perplexity(machine, tokens, window=20).value

    perfect = perplexity()
    matrices["blk.1.ffn_down"][5, 7] = 0.0
    assert first["ratio"] == pytest.approx(perplexity() / perfect)


@pytest.mark.slow
def test_a_fault_study_holds_its_parts_together():
    network = tiny_network()
    ids = np.random.default_rng(0).integers(0, 50, 21).tolist()
    told = []
    found = faults.fault_study(
        network, ("noise", ids), TECHNOLOGY, rates=(0.1, 0.5), seeds=(3,), report=lambda *said: told.append(said)
    )
    assert (found.tokens, found.text, found.seeds) == (20, "noise", (3,))
    assert found.tolerance["kind"].tolist() == list(wiring.FAULT_KINDS)
    rates = wiring.tolerable_rates(found.curve, found.allowed_ratio)
    assert found.tolerance["tolerable_rate"].tolist() == list(rates.values())
    assert told[-1] == ("heaviest wires", 9, 9) and ("perplexity under faults", 9, 9) in told
    assert json.loads(found.to_json())["curve"][0]["ratio"] == 1.0


@pytest.mark.slow
def test_cost_of_a_yield_of_one_percent():
    table = faults.cost_over_yield(1.207)
    usual, worst = table[table["volume"] == 50].to_dict(orient="records")
    assert usual["die_yield"] == pytest.approx(0.431, abs=0.002) and worst["die_yield"] == pytest.approx(0.01, rel=0.01)
    assert usual["growth"] == 0.0 and worst["growth"] == worst["tco_usd"] / usual["tco_usd"] - 1.0 > 0.0
    assert table.loc[table["volume"] == 1, "growth"].max() < worst["growth"]


@needs_tokenizers
def test_the_text_that_is_scored():
    source, ids = faults.scored_text(tiny_vocabulary(), 40)
    assert "pydoc" in source and len(ids) == 41
    for tokens in (0, -1, float("nan"), 1.5):
        with pytest.raises(InputError, match="tokens"):
            faults.scored_text(tiny_vocabulary(), tokens)
    with pytest.raises(InputError, match="expected at most"):
        faults.scored_text(tiny_vocabulary(), 10_000_000)
