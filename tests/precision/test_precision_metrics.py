"""Measures of how far an output is from the exact one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from explorer.precision import metrics

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((3, 32, 32)).cumsum(axis=1).cumsum(axis=2)


@pytest.mark.parametrize(
    "measure", [metrics.noise, metrics.dissimilarity, metrics.slope_error, metrics.spectrum_distance]
)
def test_an_image_is_no_way_from_itself_and_farther_the_more_it_is_disturbed(measure):
    assert np.abs(measure(IMAGES, IMAGES)).max() < 1e-12
    disturbance = RANDOM.standard_normal(IMAGES.shape)
    far = [measure(IMAGES + size * disturbance, IMAGES) for size in (0.1, 1.0, 10.0)]
    assert (far[0] < far[1]).all() and (far[1] < far[2]).all()


@given(st.floats(1e-4, 10.0))
def test_noise_in_decibels(size):
    found = IMAGES * (1 + size)
    assert metrics.noise(found, IMAGES) == pytest.approx(size**2)
    assert metrics.decibels(metrics.noise(found, IMAGES)) == pytest.approx(-20 * np.log10(size))


def test_structural_similarity_of_constant_shifts_and_opposites():
    steps = np.kron([[0.0, 1.0]], np.ones((40, 20)))[None]
    # Far from the edge nothing varies, and SSIM is (2 a b + c1) / (a^2 + b^2 + c1), c1 = 0.01^2: 0 and 0.923.
    c1 = 1e-4
    expected = 1 - np.mean([c1 / (0.5**2 + c1), (2 * 1.5 + c1) / (1 + 1.5**2 + c1)])
    assert metrics.dissimilarity(steps + 0.5, steps)[0] == pytest.approx(expected, abs=0.05)
    board = np.indices((1, 32, 32)).sum(axis=0) % 2 - 0.5
    assert metrics.dissimilarity(-board, board)[0] == pytest.approx(2.0, abs=0.05)


def test_slopes_of_a_plane():
    plane = np.add.outer(3.0 * np.arange(9), 4.0 * np.arange(9))[None]
    assert metrics.mean_slope(plane)[0] == pytest.approx(5.0)
    assert metrics.slope_error(2 * plane, plane)[0] == pytest.approx(np.log(2))
    assert metrics.slope_error(0 * plane, plane)[0] == np.inf


@pytest.mark.parametrize("size", [(16, 16), (15, 15), (16, 24)])
def test_a_wave_has_its_power_in_its_ring(size):
    rows = np.arange(size[0]) / size[0]
    for cycles in (1, 3, 6):
        wave = np.cos(2 * np.pi * cycles * rows)[None, :, None] * np.ones((1, 1, size[1]))
        power = metrics.radial_power(wave)[0]
        assert power.argmax() == cycles - 1 and power[cycles - 1] > 0.99 * power.sum()


def test_all_power_is_counted_once():
    image = RANDOM.standard_normal((1, 16, 16))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(16) * 16, np.fft.fftfreq(16) * 16))
    full = np.abs(np.fft.fft2(image[0])) ** 2
    for ring in (1, 4, 8):
        chosen = np.rint(radius) == ring
        assert metrics.radial_power(image)[0, ring - 1] == pytest.approx(full[chosen].mean())


def test_divergence_is_that_of_scipy():
    logits = RANDOM.standard_normal((2, 5, 50)).astype(np.float32)
    found, exact = (metrics.log_softmax(x) for x in logits)
    expected = entropy(np.exp(exact), np.exp(found), axis=1)
    np.testing.assert_allclose(metrics.divergence(found, exact), expected, rtol=1e-4)
    assert np.abs(np.exp(found).sum(axis=1) - 1).max() < 1e-5
