"""The layout: every weight of a model is on some chip exactly once (the router on all of them)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.mapping import (
    attention_macs_per_position,
    collectives,
    gating_elements,
    link_elements,
    matrices,
    norm_elements,
)

SPECS = {name: models.load(name) for name in models.reference_names()}
GRIDS = [(1, 1), (1, 2), (4, 4), (2, 8), (8, 16), (3, 5), (64, 64)]
NAMES = st.sampled_from(sorted(SPECS))


def nonlinear_elements(model, chips):
    """Return all element operations of a layer on a chip that repeats its norms."""
    return norm_elements(model, chips) + gating_elements(model, chips)


def wired(spec):
    """Parameters that sit in matrices: all that is hardwired but gains, biases, sinks."""
    counts = models.parameters(spec)
    return models.hardwired_parameters(spec) - counts.norms - counts.biases - counts.other


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", sorted(SPECS))
def test_all_weights_are_placed_once(name, grid):
    spec, (rows, columns) = SPECS[name], grid
    chips = rows * columns
    placed = {m.name: m.weights for m in matrices(spec, rows, columns)}
    router = placed.pop("router", 0.0)
    assert router == models.parameters(spec).router  # whole on each chip
    assert sum(placed.values()) * chips + router == pytest.approx(wired(spec), rel=1e-13)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_hn_array_holds_what_the_layout_places(name, design, technology):
    import dataclasses

    spec = SPECS[name]
    grid = dataclasses.replace(design, rows=4, columns=8)
    _, weights = hwsim.hn_array(spec, grid, technology)
    router = models.parameters(spec).router
    assert (weights - router) * 32 + router == pytest.approx(wired(spec), rel=1e-13)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(NAMES, st.integers(1, 128), st.integers(1, 128))
def test_components_on_any_grid(name, rows, columns):
    spec, chips = SPECS[name], rows * columns
    counts = models.parameters(spec)
    groups = {"attention": 0.0, "experts": 0.0, "shared_experts": 0.0, "dense_ffn": 0.0, "unembedding": 0.0}
    for m in matrices(spec, rows, columns):
        first = m.name.split()[0]
        group = {"expert": "experts", "shared": "shared_experts", "feed-forward": "dense_ffn"}.get(first, first)
        if group != "router":
            groups[group if group in groups else "attention"] += m.weights * chips
    for group, placed in groups.items():
        assert placed == pytest.approx(getattr(counts, group), rel=1e-12, abs=0), group


@pytest.mark.parametrize("name", sorted(SPECS))
def test_used_weights_are_the_projections_of_a_token(name):
    """Weights in use add up to the multiply-accumulates of a token without attention itself."""
    spec = SPECS[name]
    used = sum(m.weights * m.active for m in matrices(spec, 1, 1))
    macs = models.macs_per_token(spec, 1)
    assert used == pytest.approx(macs.total - macs.attention_scores - macs.attention_values, rel=1e-12, abs=0)


@pytest.mark.parametrize("context", [1, 100, 5000, 10**6])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_attention_work_is_that_of_the_model(name, context):
    spec = SPECS[name]
    macs = models.macs_per_token(spec, context)
    ours = attention_macs_per_position(spec) * models.attended_positions(spec, context)
    assert ours == pytest.approx(macs.attention_scores + macs.attention_values, rel=1e-12, abs=0)


def test_value_heads_of_their_own_width():
    # A grouped-query model whose values are narrower than its keys.
    import dataclasses

    spec = dataclasses.replace(SPECS["gpt-oss-120b"], v_head_dim=32)
    placed = matrices(spec, 4, 4)
    router = next(m.weights for m in placed if m.name == "router")
    assert sum(m.weights for m in placed if m.name != "router") * 16 + router == pytest.approx(wired(spec), rel=1e-13)
    macs = models.macs_per_token(spec, 100)
    positions = models.attended_positions(spec, 100)
    assert attention_macs_per_position(spec) * positions == macs.attention_scores + macs.attention_values
    sent = {c.name: c.elements for c in collectives(spec, 4, 4)}
    assert sent["attention output"] == 64 * 32 / 4 and sent["query"] == 64 * 64 / 4
    assert sent["key and value"] == 8 * (64 + 32) / 4


def test_gpt_oss_layer_by_hand(gpt):
    # Section 3 of the facts: (1,720) x (720,1024) queries; K, V 720 x 128 each; Wo 1024 x 720; 8 experts a chip.
    sizes = {m.name: (m.inputs, m.outputs, m.copies, m.layers) for m in matrices(gpt, 4, 4)}
    assert sizes == {
        "query": (720, 1024, 1, 36),
        "key and value": (720, 256, 1, 36),
        "attention output": (1024, 720, 1, 36),
        "router": (2880, 128, 1, 36),
        "expert up and gate": (2880, 5760, 8, 36),
        "expert down": (2880, 2880, 8, 36),
        "unembedding": (2880, 12568, 1, 1),
    }


def test_gpt_oss_exchanges_by_hand(gpt):
    exchanges = [(c.kind, c.axis, c.elements) for c in collectives(gpt, 4, 4, statistics=False)]
    assert exchanges == [
        ("all-reduce", "column", 1024),
        ("reduce", "column", 256),
        ("all-reduce", "column", 1024),
        ("all-reduce", "row", 720),
        ("all-gather", "column", 720),
        ("all-reduce", "row", 2880),
        ("all-reduce", "column", 2880),
    ]
    loads = link_elements(collectives(gpt, 4, 4, statistics=False), 4, 4, "direct")
    assert loads == {"column": 5904, "row": 3600, "steps": 7, "path": 5904 + 3600}


def test_element_operations_by_hand(gpt):
    # Two norms of two passes and two residuals on every chip; four experts' gates (multiply, activate) spread over 16.
    assert nonlinear_elements(gpt, 16) == 6 * 2880 + 2 * 4 * 2880 / 16
    # Llama: one dense gate; DeepSeek: eight routed experts and a shared one.
    assert nonlinear_elements(SPECS["llama-3-8b"], 1) == 6 * 4096 + 2 * 14336
    assert nonlinear_elements(SPECS["deepseek-v3"], 2) == 6 * 7168 + (8 + 1) * 2048


@settings(max_examples=50, deadline=None)
@given(NAMES, st.integers(2, 64), st.integers(2, 64))
def test_direct_is_never_more_steps_than_ring_or_tree(name, rows, columns):
    exchanges = collectives(SPECS[name], rows, columns)
    steps = [link_elements(exchanges, rows, columns, how)["steps"] for how in ("direct", "tree", "ring")]
    assert steps[0] == len(exchanges) and steps[0] <= steps[1]
    assert steps[0] <= steps[2]


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_single_chip_sends_nothing(name):
    loads = link_elements(collectives(SPECS[name], 1, 1), 1, 1, "direct")
    assert loads == {"column": 0, "row": 0, "steps": 0, "path": 0}


@pytest.mark.parametrize("name", sorted(SPECS))
def test_grids_as_arrays_are_loops(name):
    spec, rows, columns = SPECS[name], np.array([1, 2, 4, 8]), np.array([3, 1, 4, 8])
    many = [np.broadcast_to(m.weights, (4,)) for m in matrices(spec, rows, columns)]
    loads = link_elements(collectives(spec, rows, columns), rows, columns, "direct")
    for i in range(4):
        r, c = int(rows[i]), int(columns[i])
        one = [m.weights for m in matrices(spec, r, c)]
        assert [m[i] for m in many] == pytest.approx(one, rel=1e-14)
        single = link_elements(collectives(spec, r, c), r, c, "direct")
        assert {key: np.broadcast_to(value, (4,))[i] for key, value in loads.items()} == pytest.approx(single)
        assert np.broadcast_to(nonlinear_elements(spec, rows * columns), (4,))[i] == nonlinear_elements(spec, r * c)
