"""Wiring plans: every input wired once, silicon that other weights do not change, and overflow that names its place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hwsim import InputError, wiring
from hwsim.kernels.planes import HALVES, REGION_CODES

CODES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 15))


def values(codes):
    return HALVES[codes]


@pytest.mark.slow
@given(CODES, st.integers(1, 9))
@settings(deadline=None)
def test_every_input_with_a_weight_is_wired_exactly_once(codes, slice_ports):
    plan = wiring.embed(codes, slice_ports=slice_ports)
    ports = plan.ports
    assert np.array_equal(ports >= 0, values(codes) != 0)
    assert np.array_equal(plan.histogram.sum(axis=0), np.count_nonzero(values(codes), axis=0))
    assert (plan.ground_ties >= 0).all() and (plan.unused_slices >= 0).all() and (plan.unused_ports >= 0).all()
    ties = plan.ground_ties.sum(axis=0) + plan.unused_slices * slice_ports
    assert np.array_equal(ties, plan.unused_ports)
    for neuron in range(codes.shape[1]):
        used = ports[ports[:, neuron] >= 0, neuron]
        assert len(set(used)) == used.size
        assert used.max(initial=0) < max(plan.silicon.ports, 1)
        # A slice counts for one region alone.
        regions = plan.regions[ports[:, neuron] >= 0, neuron]
        assert len(set(zip(used // slice_ports, regions, strict=True))) == len(set(used // slice_ports))


@pytest.mark.slow
@given(CODES)
@settings(deadline=None)
def test_plan_gives_the_weights_back(codes):
    assert np.array_equal(values(wiring.embed(codes).codes), values(codes))


@pytest.mark.slow
@given(CODES, st.integers(0, 2**32 - 1), st.integers(1, 8))
@settings(deadline=None)
def test_other_weights_change_wires_and_never_silicon(codes, seed, slice_ports):
    inputs = codes.shape[0]
    silicon = wiring.NeuronSilicon((0,) * wiring.REGIONS, inputs // slice_ports + wiring.REGIONS, slice_ports)
    plan = wiring.embed(codes, silicon)
    new = np.random.default_rng(seed).integers(0, 16, codes.shape, dtype=np.uint8)
    rewired = wiring.rewire(plan, new)
    assert rewired.plan.silicon == silicon
    assert rewired.plan.silicon.ports == plan.silicon.ports
    assert np.array_equal(values(rewired.plan.codes), values(new))
    assert rewired.changed_wires == np.count_nonzero(values(new) != values(codes))
    assert wiring.rewire(plan, codes).changed_wires == 0


def test_a_neuron_by_hand():
    # Weights 0.5 0.5 -6 0 0.5 on slices of 2: region +0.5 takes two slices, -6 one; one of the four stays spare.
    codes = np.array([[1], [1], [15], [8], [1]], dtype=np.uint8)
    plan = wiring.embed(codes, wiring.NeuronSilicon((0,) * 14, 4, 2))
    assert plan.histogram[:, 0].tolist() == [3, *[0] * 12, 1]
    assert plan.slices[:, 0].tolist() == [2, *[0] * 12, 1]
    assert plan.unused_slices.tolist() == [1]
    assert plan.unused_ports.tolist() == [4]
    assert plan.ground_ties[[0, 13], 0].tolist() == [1, 1]
    # Groups by mean input: {0, 1}, {2}, {4}, on slices 0, 1, 2 of 4 (spread evenly).
    assert plan.ports[:, 0].tolist() == [0, 1, 2, -1, 4]


def test_fixed_ports_come_before_slices():
    codes = np.array([[1], [1], [1], [2]], dtype=np.uint8)
    silicon = wiring.NeuronSilicon((2, 1, *[0] * 12), 1, 2)
    assert wiring.embed(codes, silicon).ports[:, 0].tolist() == [0, 1, 3, 2]


def test_overflow_names_matrix_neuron_and_region():
    codes = np.ones((8, 3), dtype=np.uint8)
    codes[:, 1] = 11  # eight weights of -1.5
    silicon = wiring.NeuronSilicon((8, *[4] * 13))
    with pytest.raises(InputError, match=r"layer 3 up: neuron 1 overflows in region -1\.5: 8 weights for 4 ports"):
        wiring.embed(codes, silicon, matrix="layer 3 up")
    with pytest.raises(InputError, match=r"neuron 0 overflows in region \+0\.5: 8 weights take 2 slices.*3 neurons"):
        wiring.embed(codes, wiring.NeuronSilicon((0,) * 14, 1, 4))
    plan = wiring.embed(codes[:, :1], silicon, matrix="m")
    with pytest.raises(InputError, match=r"m: neuron 0 overflows in region -1\.5"):
        wiring.rewire(plan, codes[:, 1:2])


@pytest.mark.parametrize(
    "codes", [np.zeros(3, np.uint8), np.zeros((2, 2)), np.full((2, 2), 16, np.uint8), np.full((2, 2), -1)]
)
def test_what_is_no_code_is_refused(codes):
    with pytest.raises(InputError, match="weight code"):
        wiring.embed(codes)
    with pytest.raises(InputError, match="weight code"):
        wiring.region_map(codes)


def test_other_shapes_are_refused():
    plan = wiring.embed(np.ones((4, 2), np.uint8))
    with pytest.raises(InputError, match="shape"):
        wiring.rewire(plan, np.ones((2, 4), np.uint8))
    with pytest.raises(InputError, match="regions"):
        wiring.embed(np.ones((4, 2), np.uint8), wiring.NeuronSilicon((9, 9)))


def test_empty_matrices_have_plans():
    for shape in ((0, 3), (3, 0), (0, 0)):
        plan = wiring.embed(np.zeros(shape, np.uint8))
        assert plan.ports.shape == shape and plan.silicon.ports == 0 and plan.codes.shape == shape


def test_clusters_add_up_to_the_neuron():
    codes = np.random.default_rng(0).integers(0, 16, (70, 5), dtype=np.uint8)
    clusters = wiring.cluster_histogram(codes, 32)
    assert clusters.shape == (14, 3, 5)
    assert np.array_equal(clusters.sum(axis=1), wiring.region_histogram(codes))
    with pytest.raises(InputError, match="cluster"):
        wiring.cluster_histogram(codes, 0)


def test_regions_are_called_by_their_weight():
    assert [wiring.region_name(r) for r in (0, 6, 7, 13)] == ["+0.5", "+6", "-0.5", "-6"]
    assert wiring.region_map(np.array([[0, 8, 1, 15]], np.uint8)).tolist() == [[255, 255, 0, 13]]
    assert len(REGION_CODES) == wiring.REGIONS
    frame = wiring.embed(np.ones((4, 2), np.uint8)).to_frame()
    assert frame["+0.5"].tolist() == [4, 4]


@pytest.mark.slow
def test_a_large_matrix_is_embedded_in_vectorised_time():
    codes = np.random.default_rng(0).integers(0, 16, (2880, 2880), dtype=np.uint8)
    plan = wiring.embed(codes)
    assert int(plan.wires.sum()) == np.count_nonzero(values(codes))
