"""The terrain network itself: against onnxruntime, its size, and that it does what a difficulty asks for."""

from pathlib import Path

import numpy as np
import pytest
from diffusion_cases import needs_terrain
from scipy.stats import spearmanr

from explorer.precision.metrics import mean_slope
from models.diffusion import heights, inputs, read_terrain

pytestmark = [pytest.mark.slow, needs_terrain]


@pytest.fixture(scope="module")
def terrain():
    return read_terrain()


def test_terrains_equal_those_of_onnxruntime(terrain):
    reference = np.load(Path(__file__).parent / "data" / "terrain_reference.npz")
    found = terrain.generate(inputs(reference["difficulties"], int(reference["seed"])))
    np.testing.assert_allclose(found[0], reference["whole"], atol=2e-5)
    np.testing.assert_allclose(found[:, ::4, ::4], reference["sampled"], atol=2e-5)


def test_sizes_are_those_of_the_file(terrain):
    assert len(terrain.layers) == 255 and len(terrain.condition_layers) == 59
    assert sum(layer.weight.size for layer in terrain.layers) == 10_402_496
    # The skip connections of 25 blocks, each read by a 3 x 3 and a 1 x 1 convolution.
    assert sum(len(layer.parts) == 2 for layer in terrain.layers) == 50


def test_harder_terrains_are_steeper(terrain):
    levels = np.array([5, 35, 65, 95])
    slopes = mean_slope(heights(terrain.generate(inputs(levels, 3))))
    assert spearmanr(levels, slopes).statistic == 1.0
