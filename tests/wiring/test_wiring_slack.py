"""Slack: monotone in what must fit, exact against a search, and its cost; block scales and their regions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import InputError, wiring

TECHNOLOGY = hwsim.load_technology()
SEEDS = st.integers(0, 2**32 - 1)


def histograms(seed, inputs=200, neurons=60):
    random = np.random.default_rng(seed)
    return random.multinomial(inputs, [*random.dirichlet(np.full(14, 20.0)) * 0.9, 0.1], neurons).T[:14]


@given(SEEDS, st.sampled_from([0, 1, 4, 8, 16]))
@settings(deadline=None, max_examples=40)
def test_slack_grows_with_the_share_that_must_fit(seed, slice_ports):
    counts = histograms(seed)
    needs = [wiring.slack_needed(counts, 200, q, slice_ports=slice_ports) for q in (0.5, 0.9, 0.99, 1.0)]
    slacks = [need.slack for need in needs]
    assert slacks == sorted(slacks)
    for need in needs:
        assert need.silicon.fits(counts).mean() >= need.fit_share
    if slice_ports:  # one slice less and fewer fit
        least = needs[-1].silicon
        less = wiring.NeuronSilicon(least.region_ports, least.spare_slices - 1, slice_ports)
        assert not less.fits(counts).all()


def test_slices_of_one_port_need_the_largest_neuron_and_no_more():
    counts = histograms(1)
    need = wiring.slack_needed(counts, 200, slice_ports=1)
    assert need.silicon.ports == counts.sum(axis=0).max()
    assert need.slack == pytest.approx(counts.sum(axis=0).max() / counts.sum(axis=0).mean() - 1.0)


def test_fixed_regions_by_hand():
    # Two regions, ten inputs, shares one half each; the worst neuron has seven in one region: 40 % more than five.
    counts = np.array([[5, 7, 3], [5, 3, 7]])
    need = wiring.slack_needed(counts, 10)
    assert need.silicon.region_ports == (7, 7)
    assert need.slack == pytest.approx(0.4)
    assert wiring.slack_needed(counts, 10, 1 / 3).silicon.region_ports == (5, 5)


def test_smaller_clusters_need_more_slack():
    codes = np.random.default_rng(0).integers(0, 16, (768, 40), dtype=np.uint8)
    for ports in (0, 8):
        slacks = [
            wiring.slack_needed(wiring.cluster_histogram(codes, size), size, slice_ports=ports).slack
            for size in (768, 192, 48)
        ]
        assert slacks == sorted(slacks) and slacks[0] < slacks[-1]


def test_independent_draws_have_a_dispersion_of_one():
    counts = np.random.default_rng(0).multinomial(500, [0.05] * 14 + [0.3], 20_000).T[:14]
    assert wiring.overdispersion(counts, 500) == pytest.approx(np.ones(14), abs=0.05)
    assert wiring.overdispersion(np.zeros((14, 5), int), 9).tolist() == [1.0] * 14


def test_the_table_prices_slack_by_the_circuit_model():
    counts = histograms(3)
    fmt = wiring.measured_format(wiring.region_shares(counts, 200))
    table = wiring.slack_table(counts, 200, fmt, TECHNOLOGY, slice_ports=(0, 8), outputs=64)
    assert len(table) == 6
    row = table.iloc[0]
    circuit = hwsim.metal_embedding(200, 64, fmt, TECHNOLOGY, slack=row["slack"])
    assert row["transistors_per_weight"] == pytest.approx(float(circuit.transistors_per_weight))
    assert (table["area_ratio"] >= 1.0).all()


def test_measured_format_has_the_measured_histogram():
    shares = np.arange(1.0, 15.0) / 200
    fmt = wiring.measured_format(shares)
    assert fmt.histogram.sum() == pytest.approx(1.0)
    assert fmt.zero_fraction == pytest.approx(1.0 - shares.sum())
    assert fmt.histogram[fmt.values == 12] == pytest.approx(shares[6])
    assert fmt.histogram[fmt.values == -1] == pytest.approx(shares[7])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wiring.slack_needed(np.zeros((14, 0), int), 10), "histograms"),
        (lambda: wiring.slack_needed(np.ones((14, 3)), 10), "whole numbers"),
        (lambda: wiring.slack_needed(np.ones((14, 3), int), 10, 0.0), "fit_share"),
        (lambda: wiring.slack_needed(np.ones((14, 3), int), 10, shares=[0.1]), "shares"),
        (lambda: wiring.slack_needed(np.ones((2, 3), int), 10, shares=[0.0, 1.0]), "more than 0"),
        (lambda: wiring.measured_format(np.ones(14)), "sum"),
        (lambda: wiring.measured_format(np.ones(3)), "14"),
        (lambda: wiring.fixed_silicon(10, [0.1] * 14, -0.1), "slack"),
        (lambda: wiring.NeuronSilicon((-1,) * 14), "region_ports"),
        (lambda: wiring.NeuronSilicon(()), "empty"),
        (lambda: wiring.scale_octaves(np.ones(3)), "exponents"),
        (lambda: wiring.scaled_histogram(np.ones((64, 1), np.uint8), [[0], [2]], 1), "octaves"),
        (lambda: wiring.scaled_histogram(np.ones((64, 1), np.uint8), [[0]], 1), "shape"),
        (lambda: wiring.scaled_format([0.1], 0), "shares"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("octaves", range(6))
def test_regions_under_scales_number_four_an_octave(octaves):
    assert 2 * wiring.scaled_magnitudes(octaves).size == 4 * octaves + 14


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_scaled_regions_hold_the_scaled_weights(seed):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 16, (70, 4), dtype=np.uint8)
    exponents = random.integers(-3, 1, (3, 4))
    counts = wiring.scaled_histogram(codes, exponents, 3)
    magnitudes = wiring.scaled_magnitudes(3)
    values = np.concatenate([magnitudes, -magnitudes])
    scale = 2 ** np.repeat(exponents - exponents.min(axis=0), 32, axis=0)[:70]
    weights = hwsim.wiring.regions.HALVES[codes] * scale
    expected = np.stack([(weights == value).sum(axis=0) for value in values])
    assert np.array_equal(counts, expected)
    fmt = wiring.scaled_format(wiring.region_shares(counts, 70), 3)
    assert fmt.histogram.sum() == pytest.approx(1.0)


def test_equal_scales_are_the_plain_regions():
    codes = np.random.default_rng(2).integers(0, 16, (64, 7), dtype=np.uint8)
    counts = wiring.scaled_histogram(codes, np.full((2, 7), -5), 0)
    assert np.array_equal(counts, wiring.region_histogram(codes))
