"""Collectives: closed forms against message lists, and message lists against what a collective has to achieve."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.fabric import ALGORITHMS, KINDS, busiest_link, link_load, messages

EVERY = [(kind, algorithm) for kind in KINDS for algorithm in ALGORITHMS]
every = pytest.mark.parametrize(("kind", "algorithm"), EVERY)
groups = pytest.mark.parametrize("group", range(1, 10))


@pytest.mark.slow
@every
@settings(max_examples=40, deadline=None)
@given(group=st.integers(1, 9), vector=st.one_of(st.just(0.0), st.floats(1e-3, 1e9)))
def test_closed_form_is_the_message_list(kind, algorithm, group, vector):
    closed = link_load(kind, vector, group, algorithm)
    counted = busiest_link(messages(kind, vector, group, algorithm))
    assert closed.elements == pytest.approx(counted.elements, rel=1e-12, abs=0)
    assert closed.steps == counted.steps
    if kind in ("all-gather", "reduce-scatter") and algorithm == "tree" and group & (group - 1):
        # In a lopsided tree the largest messages up and down are of different pairs: less than a group more a level.
        assert closed.path * (1 - 1e-12) <= counted.path <= closed.path + math.ceil(math.log2(group)) * vector * group
    else:
        assert closed.path == pytest.approx(counted.path, rel=1e-12, abs=0)


@every
@pytest.mark.parametrize("group", [16, 17, 31, 64])
def test_closed_form_of_large_groups(kind, algorithm, group):
    closed, counted = link_load(kind, 2880, group, algorithm), busiest_link(messages(kind, 2880, group, algorithm))
    assert (closed.elements, closed.steps) == (pytest.approx(counted.elements), counted.steps)


@every
@groups
def test_everyone_hears_of_everyone(kind, algorithm, group):
    """Information flow: at the end each chip (chip 0 in a reduce) has heard, over others too, from every chip."""
    heard = [{chip} for chip in range(group)]
    sent = messages(kind, 1.0, group, algorithm)
    for step in sorted({message.step for message in sent}):
        # All messages of a step leave before any arrives.
        news = [(m.target, set(heard[m.source])) for m in sent if m.step == step]
        for target, what in news:
            heard[target] |= what
    for chip in [0] if kind == "reduce" else range(group):
        assert heard[chip] == set(range(group))


@every
@groups
def test_messages_are_in_order_between_different_chips(kind, algorithm, group):
    sent = messages(kind, 7.0, group, algorithm)
    assert [m.step for m in sent] == sorted(m.step for m in sent)
    assert all(m.source != m.target and 0 <= m.source < group and 0 <= m.target < group for m in sent)
    # One message a link and step: what arrives in a step has no order.
    assert len({(m.step, m.source, m.target) for m in sent}) == len(sent)


@groups
def test_direct_exchanges_give_everyone_everything(group):
    vectors = np.random.default_rng(group).normal(size=(group, 12))
    total, gathered = vectors.copy(), [{chip: vectors[chip]} for chip in range(group)]
    for message in messages("all-reduce", 12, group):
        assert message.elements == 12
        total[message.target] += vectors[message.source]
    for message in messages("all-gather", 12, group):
        gathered[message.target][message.source] = vectors[message.source]
    assert np.allclose(total, vectors.sum(axis=0))
    assert all(np.array_equal([own[chip] for chip in range(group)], vectors) for own in gathered)
    reduced = vectors[0] + sum((vectors[m.source] for m in messages("reduce", 12, group)), start=np.zeros(12))
    assert np.allclose(reduced, vectors.sum(axis=0))


@groups
def test_ring_all_reduce_on_vectors(group):
    """Reduce-scatter, then all-gather: chip c sends chunk c - step; in the first rounds it is added, then copied."""
    size = 5
    start = np.random.default_rng(group).normal(size=(group, group, size))  # chip, chunk, element
    chunks = start.copy()
    sent = messages("all-reduce", group * size, group, "ring")
    for step in range(2 * (group - 1)):
        moving = [(m, (m.source - step) % group) for m in sent if m.step == step]
        assert len(moving) == group and all(m.elements == size for m, _ in moving)
        arriving = [(m.target, chunk, chunks[m.source, chunk].copy()) for m, chunk in moving]
        for target, chunk, values in arriving:
            chunks[target, chunk] = values + (chunks[target, chunk] if step < group - 1 else 0.0)
    assert np.allclose(chunks, start.sum(axis=0))


@groups
def test_ring_all_gather_and_reduce_on_vectors(group):
    own = np.random.default_rng(group).normal(size=(group, 3))
    held = [{chip: own[chip]} for chip in range(group)]
    sent = messages("all-gather", 3, group, "ring")
    for step in range(group - 1):
        arriving = [(m.target, (m.source - step) % group) for m in sent if m.step == step]
        news = [(target, block, held[(target - 1) % group][block]) for target, block in arriving]
        for target, block, values in news:
            held[target][block] = values
    assert all(np.array_equal([blocks[chip] for chip in range(group)], own) for blocks in held)
    partial = own.copy()
    for message in messages("reduce", 3, group, "ring"):
        partial[message.target] += partial[message.source]
    assert np.allclose(partial[0], own.sum(axis=0))


@groups
def test_tree_all_reduce_and_reduce_on_vectors(group):
    own = np.random.default_rng(group).normal(size=(group, 4))
    values = own.copy()
    for message in messages("all-reduce", 4, group, "tree"):
        assert message.elements == 4
        if message.source > message.target:  # up the tree: added; down: copied
            values[message.target] += values[message.source]
        else:
            values[message.target] = values[message.source]
    assert np.allclose(values, own.sum(axis=0))
    values = own.copy()
    for message in messages("reduce", 4, group, "tree"):
        values[message.target] += values[message.source]
    assert np.allclose(values[0], own.sum(axis=0))


@groups
def test_tree_all_gather_sends_exactly_what_is_missing(group):
    held = [{chip} for chip in range(group)]
    for message in messages("all-gather", 1, group, "tree"):
        new = held[message.source] - held[message.target]
        assert message.elements == len(new)
        held[message.target] |= new
    assert all(blocks == set(range(group)) for blocks in held)


def test_ring_moves_the_least_and_direct_waits_the_least():
    ring, direct, tree = (link_load("all-reduce", 4096, 8, algorithm) for algorithm in ("ring", "direct", "tree"))
    assert ring.elements == 2 * 7 / 8 * 4096 and direct.elements == tree.elements == 4096
    assert (ring.steps, direct.steps, tree.steps) == (14, 1, 6)


def test_every_direct_collective_of_a_layer_takes_one_step_and_48_links(design):
    assert design.chips * design.links_per_chip / 2 == 48
    assert all(link_load(kind, 720, 4).steps == 1 for kind in KINDS)


@every
def test_a_group_of_one_is_free(kind, algorithm):
    assert messages(kind, 100, 1, algorithm) == []
    assert link_load(kind, 100, 1, algorithm) == hwsim.fabric.LinkLoad(0.0, 0.0, 0.0)


@every
def test_arrays_are_loops(kind, algorithm):
    vectors, group = np.array([[0.0], [1.0], [2880.0]]), np.arange(1, 10)
    many = link_load(kind, vectors, group, algorithm)
    for i, vector in enumerate(vectors[:, 0]):
        for j, size in enumerate(group):
            one = link_load(kind, float(vector), int(size), algorithm)
            assert np.broadcast_to(many.elements, (3, 9))[i, j] == one.elements
            assert np.broadcast_to(many.steps, (3, 9))[i, j] == one.steps


@pytest.mark.parametrize("function", [link_load, messages])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("all_reduce", 1, 4), "did you mean 'all-reduce'"),
        (("all-reduce", 1, 4, "rings"), "did you mean 'ring'"),
        (("reduce", -1, 4), "vector = -1"),
        (("reduce", np.nan, 4), "vector = nan"),
        (("reduce", 1, 0), "group = 0"),
        (("reduce", 1, 2.5), "group = 2.5"),
        (("reduce", 1, 1e9), "group"),
        (("reduce", "x", 4), "vector"),
    ],
)
def test_bad_input(function, arguments, said):
    with pytest.raises(hwsim.InputError, match=said):
        function(*arguments)
