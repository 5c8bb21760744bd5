"""`hardwired_matvec` equals integer matmul; traced, packed and reference circuits equal it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import products, random_product

from hwbase import InputError
from hwsim import kernels
from hwsim.kernels.hardwired import METHODS

MAGNITUDES = [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def integer_product(codes, activations):
    """The definition, written without the package: values by their table, an integer matmul."""
    values = np.array([2 * m for m in MAGNITUDES] + [-2 * m for m in MAGNITUDES], dtype=np.int64)
    return activations.astype(np.int64) @ values[codes]


def check(case, method="auto"):
    codes, activations, bits = case
    product = kernels.hardwired_matvec(codes, activations, bits, method=method)
    assert product.dtype == np.int64
    np.testing.assert_array_equal(product, integer_product(codes, activations))


def test_codes_to_halves_are_twice_the_fp4_values():
    values = np.array(MAGNITUDES + [-m for m in MAGNITUDES])
    halves = kernels.codes_to_halves(np.arange(16, dtype=np.uint8))
    assert halves.dtype == np.int8
    np.testing.assert_array_equal(halves, 2 * values)


@pytest.mark.slow
def test_ten_thousand_products_equal_integer_matmul(rng):
    for _ in range(10_000):
        check(random_product(rng))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(products())
def test_products_equal_integer_matmul(case):
    check(case)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(products(bits=st.integers(1, 16)))
def test_fast_path_equals_integer_matmul_at_every_width(case):
    check(case)


@settings(max_examples=60, deadline=None)
@given(products(most_inputs=700, bits=st.integers(1, 16)))
@pytest.mark.slow
def test_popcount_path_equals_integer_matmul(case):
    check(case, "popcount")


@settings(max_examples=40, deadline=None)
@given(products(most_inputs=300, bits=st.integers(1, 16)))
@pytest.mark.slow
def test_trace_and_references_equal_the_fast_path(case):
    codes, activations, bits = case
    expected = kernels.hardwired_matvec(codes, activations, bits)
    ends = [clock.value for clock in kernels.trace(codes, activations, bits) if clock.last]
    np.testing.assert_array_equal(np.reshape(ends, expected.shape), expected)
    np.testing.assert_array_equal(kernels.cell_embedding_matvec(codes, activations, bits), expected)
    for macs in (1, 7, 1024):
        np.testing.assert_array_equal(kernels.mac_array_matvec(codes, activations, bits, macs=macs), expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("code", range(16))
def test_extremes_of_every_weight_code(method, code):
    for activation in (-128, -1, 0, 1, 127):
        check((np.full((3000, 2), code, np.uint8), np.full((2, 3000), activation, np.int8), 8), method)


@pytest.mark.parametrize("inputs", [10_922, 10_923, 20_000, 70_000])
def test_exact_on_both_sides_of_the_float32_bound(inputs):
    # The worst case: every product is -128 x 12, and one odd term shows a lost unit.
    codes = np.full((inputs, 1), 7, np.uint8)
    codes[0] = 1
    activations = np.full((1, inputs), -128, np.int8)
    activations[0, 0] = 127
    for method in METHODS:
        check((codes, activations, 8), method)


@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 3, 5), (2, 0, 3, 5)])
def test_leading_axes_are_kept(shape, rng):
    codes = rng.integers(0, 16, (5, 4)).astype(np.uint8)
    activations = rng.integers(-128, 128, shape).astype(np.int8)
    for method in METHODS:
        assert kernels.hardwired_matvec(codes, activations, method=method).shape == (*shape[:-1], 4)
        check((codes, activations, 8), method)


def test_no_inputs_and_no_outputs():
    assert kernels.hardwired_matvec(np.zeros((0, 3), np.uint8), np.zeros((2, 0), np.int8)).tolist() == [[0] * 3] * 2
    assert kernels.hardwired_matvec(np.zeros((3, 0), np.uint8), np.zeros((2, 3), np.int8)).shape == (2, 0)


def test_strided_and_wide_integer_activations(rng):
    codes = rng.integers(0, 16, (40, 3)).astype(np.uint8)
    wide = rng.integers(-128, 128, (4, 80))
    for method in METHODS:
        check((codes, wide[:, ::2], 8), method)
        check((np.asfortranarray(codes), wide.astype(np.int8)[::-1, 1::2], 8), method)


def test_batches_beyond_one_chunk(rng):
    check((rng.integers(0, 16, (6, 2)).astype(np.uint8), rng.integers(-128, 128, (9000, 6)).astype(np.int8), 8))


def test_prepared_weights_are_a_copy(rng):
    codes = rng.integers(0, 16, (20, 3)).astype(np.uint8)
    activations = rng.integers(-128, 128, (2, 20)).astype(np.int8)
    weights = kernels.prepare(codes)
    expected = integer_product(codes, activations)
    codes[:] = 0
    np.testing.assert_array_equal(kernels.hardwired_matvec(weights, activations), expected)
    with pytest.raises(ValueError, match="read-only"):
        weights.codes[0, 0] = 1


@pytest.mark.parametrize(
    ("codes", "activations", "bits", "message"),
    [
        (np.full((3, 2), 16, np.uint8), np.zeros(3, np.int8), 8, "code 16: expected 0 to 15"),
        (np.full((3, 2), -1), np.zeros(3, np.int8), 8, "code -1"),
        (np.zeros((3, 2)), np.zeros(3, np.int8), 8, "type float64"),
        (np.zeros(3, np.uint8), np.zeros(3, np.int8), 8, "two axes"),
        (np.zeros((3, 2), np.uint8), np.zeros(4, np.int8), 8, r"expected \(\.\.\., 3\)"),
        (np.zeros((3, 2), np.uint8), np.int8(3), 8, "shape"),
        (np.zeros((3, 2), np.uint8), np.zeros(3), 8, "expected integers"),
        (np.zeros((3, 2), np.uint8), np.zeros(3, bool), 8, "expected integers"),
        (np.zeros((3, 2), np.uint8), np.full(3, 200), 8, "activation 200: expected -128 to 127"),
        (np.zeros((3, 2), np.uint8), np.full(3, 200, np.uint8), 8, "activation 200"),
        (np.zeros((3, 2), np.uint8), np.full(3, 8, np.int8), 4, "activation 8: expected -8 to 7"),
        (np.zeros((3, 2), np.uint8), np.full(3, 1, np.int8), 1, "activation 1: expected -1 to 0"),
        (np.zeros((3, 2), np.uint8), np.zeros(3, np.int8), 0, "activation_bits"),
        (np.zeros((3, 2), np.uint8), np.zeros(3, np.int8), 17, "activation_bits"),
        (np.zeros((3, 2), np.uint8), np.zeros(3, np.int8), 8.0, "activation_bits"),
        (np.zeros((3, 2), np.uint8), np.zeros(3, np.int8), True, "activation_bits"),
    ],
)
def test_bad_input_is_named(codes, activations, bits, message):
    circuits = (
        kernels.hardwired_matvec,
        kernels.cell_embedding_matvec,
        kernels.mac_array_matvec,
        kernels.trace,
        kernels.measure_activity,
    )
    for circuit in circuits:
        with pytest.raises(InputError, match=message):
            circuit(codes, activations, bits)


def test_unknown_method_is_named():
    with pytest.raises(InputError, match="did you mean 'popcount'"):
        kernels.hardwired_matvec(np.zeros((3, 2), np.uint8), np.zeros(3, np.int8), method="popcnt")
