"""GPTQ on small layers: against brute force and the closed form, never worse than rounding to nearest."""

import itertools

import numpy as np
import pytest

from hwbase import InputError
from models.quantise import gptq, hadamard, nearest, weight_format, weight_formats

FORMATS = ("mxfp4", "nvfp4", "int4", "int3-g32", "uint4-g16", "int8")


def _loss(errors, hessian):
    return np.einsum("oi,ij,oj->o", errors, hessian, errors)


@pytest.fixture
def case():
    random = np.random.default_rng(3)
    matrix = random.standard_normal((24, 96)).astype(np.float32)
    mixing = random.standard_normal((96, 96)) * random.uniform(0.1, 3, 96)
    inputs = random.standard_normal((400, 96)) @ mixing
    return matrix, inputs.T @ inputs


@pytest.mark.parametrize("name", FORMATS)
def test_no_output_is_worse_than_rounding_to_nearest(name, case):
    matrix, hessian = case
    to = weight_format(name)
    solved, plain = gptq(matrix, hessian, to), nearest(matrix, to, search=True, hessian=hessian)
    loss, plain_loss = _loss(solved.values - matrix, hessian), _loss(plain.values - matrix, hessian)
    assert (loss <= plain_loss * 1.0001).all()
    assert loss.sum() < 0.8 * plain_loss.sum()
    assert solved.loss == pytest.approx(loss.sum(), rel=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_diagonal_hessian_is_solved_by_rounding_to_nearest(name, case):
    matrix, hessian = case
    diagonal = np.diag(np.diagonal(hessian))
    to = weight_format(name)
    solved, plain = gptq(matrix, diagonal, to), nearest(matrix, to, search=True, hessian=diagonal)
    if to.has_exponents or to.tensor_bits:
        np.testing.assert_array_equal(solved.values, plain.values)
    np.testing.assert_array_equal(solved.codes, plain.codes)


def test_a_small_layer_is_close_to_the_best_of_all_roundings():
    random = np.random.default_rng(0)
    to = weight_format("int2")
    matrix = random.standard_normal((40, 5)).astype(np.float32)
    inputs = random.standard_normal((50, 5)) @ random.standard_normal((5, 5))
    hessian = inputs.T @ inputs
    solved = gptq(matrix, hessian, to)
    every = np.array(list(itertools.product(to.levels, repeat=5)))
    best = np.array(
        [min(_loss(s * every - row, hessian).min() for s in solved.scale[i]) for i, row in enumerate(matrix)]
    )
    loss = _loss(solved.values - matrix, hessian)
    plain = _loss(nearest(matrix, to, search=True, hessian=hessian).values - matrix, hessian)
    assert (loss >= best * 0.999).all()
    assert loss.sum() - best.sum() < 0.6 * (plain.sum() - best.sum())


@pytest.mark.parametrize("name", FORMATS)
def test_values_are_codes_times_scales(name, case):
    to = weight_format(name)
    solved = gptq(*case, to)
    levels = solved.codes if to.element.kind == "integer" else to.levels[solved.codes]
    length = 96 if to.group is None else to.group
    np.testing.assert_array_equal(solved.values, levels * np.repeat(solved.scale, length, axis=1).astype(np.float32))


def test_dead_inputs_and_singular_hessians_are_handled(case):
    matrix, _ = case
    few = np.zeros((2, 96))
    few[:, :40] = np.random.default_rng(1).standard_normal((2, 40))
    solved = gptq(matrix, few.T @ few, weight_format("int4"))
    assert solved.dead == 56
    assert np.isfinite(solved.values).all()
    assert gptq(matrix, np.zeros((96, 96)), weight_format("int4")).dead == 96


def test_bad_layers_end_in_one_sentence(case):
    matrix, hessian = case
    with pytest.raises(InputError, match="calibration activations are not finite"):
        gptq(matrix, hessian * np.nan, weight_format("int4"))
    with pytest.raises(InputError, match=r"expected \(96, 96\)"):
        gptq(matrix, hessian[:5], weight_format("int4"))
    opposite = hessian - 4 * np.trace(hessian) * np.eye(96)
    with pytest.raises(InputError, match="Hessian is singular with 100% of its mean added: expected more calibration"):
        gptq(matrix, opposite + 6 * np.diag(np.diagonal(hessian).sum() * (np.arange(96) % 2)), weight_format("int4"))
    with pytest.raises(InputError, match="'mxfp4'"):
        weight_format("mxfp5")
    assert "int3-g128" in weight_formats()


@pytest.mark.parametrize("size", [1, 2, 4, 12, 20, 28, 36, 64, 576, 1536, 2880])
def test_hadamard_matrices_are_orthogonal(size):
    matrix = hadamard(size)
    np.testing.assert_array_equal(matrix @ matrix.T, size * np.eye(size))
    assert set(np.unique(matrix)) <= {-1.0, 1.0}


def test_sizes_without_a_known_construction_have_none():
    assert hadamard(92) is None and hadamard(18) is None
