"""Packed 4-bit products: the integers of the NumPy kernels, bit for bit."""

import importlib.util

import numpy as np
import pytest

from hwsim.kernels import block_matvec, prepare_blocks, quantise
from hwsim.kernels.planes import HALVES
from hwsim.kernels.search import INSTALL

if importlib.util.find_spec("numba") is None:
    pytest.skip(f"needs numba: {INSTALL}", allow_module_level=True)

from hwsim.kernels.packed import PackedMatrix, can_pack

pytestmark = pytest.mark.skipif(not can_pack(), reason="needs a processor with AVX2")


def _blocks(random: np.random.Generator, outputs: int, inputs: int, spread: float):
    matrix = random.standard_normal((outputs, inputs)) * np.exp(spread * random.standard_normal((outputs, inputs)))
    blocks = prepare_blocks(quantise(matrix.T.astype(np.float32), "mxfp4", axis=0))
    packed = PackedMatrix(blocks.codes.T, HALVES.astype(int), blocks.shifts.T, blocks.unit)
    return blocks, packed


@pytest.mark.parametrize(("outputs", "inputs"), [(5, 64), (7, 96), (3, 33), (1, 1), (16, 576)])
@pytest.mark.parametrize("highest", [127, 31, 7])
def test_products_equal_those_of_blocks(outputs, inputs, highest):
    random = np.random.default_rng(outputs + inputs)
    blocks, packed = _blocks(random, outputs, inputs, 1.0)
    assert PackedMatrix.fits(blocks.largest_column)
    for scale in (1.0, 1e-30, 1e30):
        x = (random.standard_normal(inputs) * scale).astype(np.float32)
        unit = np.abs(x).max() / np.float32(highest)
        codes = np.clip(np.rint(x / unit), -highest, highest).astype(np.int8)
        expected = (block_matvec(blocks, codes, method="blocks") * (blocks.unit * np.float64(unit))).astype(np.float32)
        np.testing.assert_array_equal(packed.product(x, highest), expected)


def test_the_largest_codes_do_not_overflow():
    """Every product at its bound, with activations of both signs."""
    codes = np.where(np.arange(8)[:, None] % 2, 7, 15) * np.ones((8, 640), np.uint8)
    shifts = np.zeros((8, 20), np.uint8)
    packed = PackedMatrix(codes.astype(np.uint8), HALVES.astype(int), shifts, np.ones(8))
    for x in (np.ones(640, np.float32), -np.ones(640, np.float32), np.tile(np.float32([1, -1]), 320)):
        expected = HALVES.astype(int)[codes.astype(int)] @ (127 * x.astype(int)) * np.float64(np.float32(1) / 127)
        np.testing.assert_allclose(packed.product(x, 127), expected, rtol=1e-6)


def test_activations_of_zeros_and_that_are_not_finite():
    _, packed = _blocks(np.random.default_rng(0), 4, 64, 0.0)
    np.testing.assert_array_equal(packed.product(np.zeros(64, np.float32), 127), 0.0)
    for wrong in (np.nan, np.inf, -np.inf):
        assert packed.product(np.full(64, wrong, np.float32), 127) is None
    assert not PackedMatrix.fits(2.0**24)
