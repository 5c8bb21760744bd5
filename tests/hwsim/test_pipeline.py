"""Pipeline stages and sharded norms: what they hold, what crosses their links, and what they give."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.fabric import messages
from hwsim.mapping import NORMS, collectives, layer_links, matrices
from hwsim.pipeline import TOPOLOGIES, fullest_layers, handover, imbalance, stage_layers, stage_rounds

GPT = models.load("gpt-oss-120b")
SPECS = [GPT, models.load("llama-3-8b"), models.load("deepseek-v3")]
specs = st.sampled_from(SPECS)


def speed(context=2048, batch=None, **set):
    return hwsim.simulate("gpt-oss-120b", context=context, batch=batch, reading="pipelined", set=set)


@pytest.mark.parametrize(
    ("mapping", "tokens_per_s", "bound"),
    [
        ({}, 309_502, "links"),
        ({"collective": "two-phase", "norms": "sharded"}, 771_605, "vex"),
        ({"rows": 1, "columns": 4, "pipeline_stages": 4}, 688_705, "vex"),
        ({"rows": 2, "columns": 4, "pipeline_stages": 2}, 544_662, "links"),
    ],
)
def test_estimates_that_were_made_by_hand(mapping, tokens_per_s, bound):
    """Worked out beforehand from the same rates: 309,502, 771,605, 689,000 and 545,000 tokens/s."""
    result = speed(**({"rows": 4, "columns": 4} | mapping))
    assert (round(float(result.tokens_per_s)), result.bound_by) == (tokens_per_s, bound)
    assert result.chips == 16


@given(spec=specs, stages=st.integers(1, 36), rows=st.integers(1, 4), columns=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_the_stages_hold_every_layer_once_and_the_fullest_chip_at_least_its_share(spec, stages, rows, columns):
    stages = min(stages, spec.layers)
    layers, windowed = stage_layers(spec, stages)
    assert layers.sum() == spec.layers and windowed.sum() == spec.windowed_layers
    assert layers.max() == fullest_layers(spec.layers, stages) and layers.max() - layers.min() <= 1
    # The routers alone have a copy on each chip.
    held = sum(m.weights for m in matrices(spec, rows, columns, stages) if m.name != "router") * rows * columns * stages
    whole = sum(m.weights for m in matrices(spec, 1, 1) if m.name != "router")
    assert held >= whole * (1 - 1e-12)
    if spec.layers % stages == 0 and not spec.dense_ffn_layers:
        assert held == pytest.approx(whole)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("stages", range(1, 12))
def test_handover_is_the_messages_one_by_one(stages, topology):
    """Stage to stage, then from the last to all: by a link of their own, or around the ring both ways."""
    rounds = stage_rounds(stages, topology)
    sent = Counter(hop for part in rounds for hop in part)
    # Everybody hears from the last stage, and only from those who have heard.
    heard = {stages - 1}
    for part in rounds[stages - 1 :]:
        assert {source for source, _ in part} <= heard
        heard |= {target for _, target in part}
    assert heard == set(range(stages))
    load = handover(stages, 10.0, topology)
    links = stages * load.links
    assert load.elements == 10.0 * max(sent.values(), default=0.0)
    assert load.mean * max(links, 1) == pytest.approx(10.0 * sum(sent.values()))
    assert (load.steps, load.path) == (len(rounds), 10.0 * len(rounds))


@pytest.mark.parametrize("norms", NORMS)
@given(
    spec=specs, rows=st.integers(1, 5), columns=st.integers(1, 6), algorithm=st.sampled_from(["direct", "two-phase"])
)
@settings(max_examples=60, deadline=None)
def test_bytes_over_links_are_the_messages_one_by_one(norms, spec, rows, columns, algorithm):
    loads = layer_links(spec, rows, columns, algorithm, norms=norms)
    for axis, group in (("column", rows), ("row", columns)):
        busiest = 0.0
        for exchange in collectives(spec, rows, columns, norms=norms):
            if exchange.axis == axis:
                sent = messages(exchange.kind, float(exchange.elements), group, algorithm)
                steps = {m.step for m in sent}
                busiest += sum(max(m.elements for m in sent if m.step == step) for step in steps)
        assert loads[axis] == pytest.approx(busiest)


@given(stages=st.integers(2, 12), context=st.integers(1, 200_000))
@settings(max_examples=60, deadline=None)
def test_no_stage_attends_to_more_than_the_fullest(stages, context):
    layers, windowed = stage_layers(GPT, stages)
    loads = (layers - windowed) * context + windowed * min(context, GPT.sliding_window)
    assert imbalance(GPT, stages, context, True) == pytest.approx(loads.max() / loads.mean())
    many = imbalance(GPT, np.array([stages, 1]), np.array([context, context]), True)
    assert many[0] == imbalance(GPT, stages, context, True) and many[1] == 1.0


@pytest.mark.parametrize("more", ["link_bandwidth_bytes_per_s", "vex_macs", "buffer_banks", "vex_lanes", "hbm_stacks"])
@pytest.mark.parametrize("mapping", [(4, 4, 1), (1, 4, 4), (2, 2, 4), (1, 1, 12)])
@pytest.mark.parametrize("norms", NORMS)
def test_more_of_any_resource_never_slows(more, mapping, norms):
    rows, columns, stages = mapping
    machine = {"rows": rows, "columns": columns, "pipeline_stages": stages, "norms": norms}
    amount = hwsim.design_book().value(more, hwsim.design_book()[more].unit)
    for context in (2048, 65536, 262144):
        before, after = speed(context, **machine), speed(context, **machine, **{more: amount * 2})
        assert after.tokens_per_s >= before.tokens_per_s * (1 - 1e-12)


def test_one_chip_has_no_traffic_between_chips():
    result = hwsim.simulate("smollm2-135m", set={"rows": 1, "columns": 1}, reading="pipelined")
    assert result.occupancy_s["links"] == 0.0


@pytest.mark.parametrize(
    ("set", "sentence"),
    [
        ({"pipeline_stages": 37}, "pipeline_stages = 37: expected at most the 36 layers"),
        ({"pipeline_stages": 99}, "pipeline_stages = 99: expected at most the 36 layers"),
        ({"pipeline_stages": 0}, "pipeline_stages = 0"),
        ({"pipeline_stages": 1.5}, "pipeline_stages = 1.5"),
        ({"stage_topology": "star"}, "stage_topology 'star'"),
        ({"norms": 3}, "norms = 3: expected one name"),
        ({"link_bandwidth_bytes_per_s": 0}, "link_bandwidth_bytes_per_s = 0"),
    ],
)
def test_mappings_that_cannot_be(set, sentence):
    with pytest.raises(hwsim.InputError, match=sentence):
        speed(**set)


def test_the_published_account_has_no_term_for_other_mappings():
    with pytest.raises(hwsim.InputError, match="one pipeline stage"):
        hwsim.simulate("gpt-oss-120b", reading="as-published", set={"pipeline_stages": 4})
    assert hwsim.simulate("gpt-oss-120b", set={"pipeline_stages": 4}).reading == "pipelined"


def test_a_book_chooses_the_mapping(tmp_path):
    path = tmp_path / "four.toml"
    path.write_text(
        '[book]\nextends = "hnlpu"\n[book.choices]\nnorms = "sharded"\ncollective = "two-phase"\n'
        '[rows]\nnominal = 4\nunit = "chip"\nyear = 2026\nkind = "assumed"\nsource = "a choice"\n'
    )
    design = hwsim.load_design(path)
    assert (design.norms, design.collective, design.service) == ("sharded", "two-phase", "first-come")
    path.write_text('[book]\nextends = "hnlpu"\n[book.choices]\nnorm = "sharded"\n')
    with pytest.raises(hwsim.InputError, match="did you mean 'norms'"):
        hwsim.load_design(path)
    path.write_text('[book]\nextends = "hnlpu"\n[book.choices]\nnorms = "none"\n')
    with pytest.raises(hwsim.InputError, match="norms"):
        hwsim.load_design(path)


def test_sharded_norms_and_small_messages_never_load_the_links_more():
    design = hwsim.load_design()
    for payload in (1, 2, 4):
        whole = dataclasses.replace(design, link_element_bytes=payload)
        shared = dataclasses.replace(whole, norms="sharded", collective="two-phase")
        loads = [
            layer_links(GPT, 4, 4, each.collective, norms=each.norms, rotating=True)["column"]
            for each in (whole, shared)
        ]
        assert loads[1] < loads[0]
