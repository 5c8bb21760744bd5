"""Formats against ml_dtypes' own casts and the specifications; packing; quantised tensors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwbase import FORMATS, InputError
from hwsim import kernels

CASTS = {name: FORMATS[name].dtype for name in kernels.ELEMENTS if FORMATS[name].kind == "float"}
FLOATS = hnp.arrays(np.float32, st.integers(0, 70), elements=st.floats(-1e5, 1e5, width=32))
TENSORS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=40),
    elements=st.one_of(st.floats(-1e3, 1e3, width=32), st.floats(-(2.0**126), 2.0**126, width=32)),
)


def finite_codes(name):
    codes = np.arange(2 ** FORMATS[name].bits, dtype=np.uint8)
    return codes[np.isfinite(codes.view(CASTS[name]).astype(np.float32))]


@pytest.mark.parametrize("name", CASTS)
def test_every_code_survives(name):
    codes = finite_codes(name)
    values = kernels.decode(codes, name)
    np.testing.assert_array_equal(values, codes.view(CASTS[name]).astype(np.float32))
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(kernels.encode(values.astype(dtype), name), codes)


@pytest.mark.parametrize("name", CASTS)
def test_ties_go_to_even_and_their_neighbours_to_the_nearest(name):
    codes = finite_codes(name)
    positive = codes[codes < codes.size // 2]
    values = kernels.decode(positive, name, np.float64)
    ties = (values[1:] + values[:-1]) / 2
    even = np.where(positive[:-1] % 2 == 0, positive[:-1], positive[1:])
    np.testing.assert_array_equal(kernels.encode(ties, name), even)
    np.testing.assert_array_equal(kernels.encode(ties.astype(np.float32), name), even)
    # In float64 a cast by way of float32 would round these back onto the tie.
    np.testing.assert_array_equal(kernels.encode(np.nextafter(ties, np.inf), name), positive[1:])
    np.testing.assert_array_equal(kernels.encode(np.nextafter(ties, 0.0), name), positive[:-1])


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(FLOATS)
def test_encode_equals_the_casts_of_ml_dtypes(values):
    for name, dtype in CASTS.items():
        format = FORMATS[name]
        expected = np.clip(values, format.lowest, format.highest).astype(dtype)
        for given_values in (values, values.astype(np.float64)):
            np.testing.assert_array_equal(kernels.encode(given_values, name), expected.view(np.uint8))
            rounded = kernels.round_to_format(given_values, name)
            np.testing.assert_array_equal(rounded, expected.astype(given_values.dtype))


@pytest.mark.parametrize(
    ("name", "highest"), [("fp4", 6), ("fp8_e4m3", 448), ("fp8_e5m2", 57344), ("int4", 7), ("uint4", 15)]
)
def test_what_is_too_large_saturates(name, highest):
    for dtype in (np.float32, np.float64):
        huge = np.array([1e38, np.finfo(dtype).max], dtype)
        assert kernels.decode(kernels.encode(huge, name), name).tolist() == [highest, highest]
    low = kernels.decode(kernels.encode([-1e300], name), name)[0]
    assert low == (0 if name == "uint4" else -highest)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [*kernels.ELEMENTS, "mxfp4"])
def test_nan_and_infinity_are_rejected(name, bad):
    with pytest.raises(InputError, match=r"values\[1\].*finite"):
        kernels.quantise(np.array([1.0, bad], np.float32), name)


def test_bad_input_is_named(rng):
    q = kernels.quantise(np.ones((4, 4)), "int4", per="channel", axis=1)
    cases = [
        (lambda: kernels.quantise([1.0], "int9"), "did you mean"),
        (lambda: kernels.quantise([1.0], "fp4", per="row"), "unknown granularity"),
        (lambda: kernels.quantise([1.0], "fp4", per="group"), "block is missing"),
        (lambda: kernels.quantise([1.0], "fp4", block=4), "expected none"),
        (lambda: kernels.quantise([1.0], "mxfp4", block=0), "block = 0"),
        (lambda: kernels.quantise([1.0], "mxfp4", axis=1), "axis = 1"),
        (lambda: kernels.quantise([1e39], "int8"), "float32"),
        (lambda: kernels.quantise(["a"], "int8"), "real numbers"),
        (lambda: kernels.quantise([1j], "int8"), "real numbers"),
        (lambda: kernels.requantise(np.ones((4, 5)), q), "shape"),
        (lambda: q.scale_codes, "E8M0"),
        (lambda: kernels.dequantise(q, np.int8), "floating-point"),
        (lambda: kernels.decode(np.array([127], np.uint8), "fp8_e4m3"), "NaN"),
        (lambda: kernels.decode(np.array([16]), "fp4"), "16: expected 0 to 15"),
        (lambda: kernels.decode(np.array([-8], np.int8), "int4"), "expected -7 to 7"),
        (lambda: kernels.decode([0.5], "int4"), "expected integers"),
        (lambda: kernels.prepare_blocks(q), "expected mxfp4"),
    ]
    for call, message in cases:
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    TENSORS, st.sampled_from(["mxfp4", *kernels.ELEMENTS]), st.sampled_from(["tensor", "channel", "group"]), st.data()
)
def test_quantised_tensors_round_trip(values, name, per, data):
    axis = data.draw(st.integers(0, values.ndim - 1))
    how = {"axis": axis} if name == "mxfp4" else {"per": per, "axis": axis, "block": 7 if per == "group" else None}
    q = kernels.quantise(values, name, **how)
    back = kernels.dequantise(q)
    assert q.codes.shape == values.shape
    assert np.isfinite(back).all()
    # Under the same scales the values are fixed points.
    np.testing.assert_array_equal(kernels.requantise(kernels.dequantise(q, np.float64), q).codes, q.codes)
    if not name.startswith("uint"):
        np.testing.assert_array_equal(kernels.quantise(kernels.dequantise(q, np.float64), name, **how).codes, q.codes)
    if "int" in name:
        scales = (
            q.scales if q.block is None else np.repeat(q.scales, 7, axis=axis).take(range(values.shape[axis]), axis)
        )
        slack = 1.0 if name.startswith("uint") else 0.5
        error = np.abs(kernels.dequantise(q, np.float64) - values)
        assert np.all(error <= scales * slack * (1 + 1e-4))


def test_mx_blocks_follow_the_specification():
    values = np.zeros(70, np.float32)
    values[:32] = np.linspace(-1, 7.9, 32)
    values[64:] = 2.0**-140
    q = kernels.quantise(values, "mxfp4")
    # The largest, 7.9, has exponent 2, less 2: scale 1, and saturates at 6. A block of zeros: 1. Too small: 2^-127.
    assert q.scales.tolist() == [1.0, 1.0, 2.0**-127]
    assert q.scale_codes.tolist() == [127, 127, 0]
    assert kernels.dequantise(q)[31] == 6.0
    assert q.codes[32:].max() == 0
    assert q.stored_bits == 70 * 4 + 3 * 8


def test_nvfp4_has_scales_in_fp8_and_one_for_the_tensor():
    values = np.zeros((2, 40), np.float32)
    values[0, :16] = np.linspace(-6, 6, 16)
    values[1, 16:32] = 3 * np.linspace(-6, 6, 16)
    q = kernels.quantise(values, "nvfp4")
    # The largest scale, 3, is 448 units of the tensor's scale, so 1 is 149.3 of them, which FP8 rounds to 144.
    unit = float(np.float32(3 / 448))
    assert q.scales.tolist() == [[float(np.float32(144 * unit)), 1, 1], [1, float(np.float32(448 * unit)), 1]]
    assert q.stored_bits == 80 * 4 + 6 * 8 + 32 == FORMATS["nvfp4"].stored_bits(40, 2)
    np.testing.assert_allclose(
        kernels.dequantise(q)[1, 16:32], 3 * kernels.round_to_format(values[1, 16:32] / 3, "fp4")
    )
    # A group far below the others keeps the least scale that FP8 has, and its values fall to zero.
    values[0, :16] *= 1e-7
    far = kernels.quantise(values, "nvfp4")
    assert far.scales[0, 0] == np.float32(2.0**-9 * unit) and not (far.codes[0, :16] & 7).any()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(TENSORS, st.data())
def test_every_grouped_format_quantises(values, data):
    name, axis = data.draw(st.sampled_from(kernels.GROUPED)), data.draw(st.integers(0, values.ndim - 1))
    q, element = kernels.quantise(values, name, axis=axis), FORMATS[name]
    groups = -(-values.shape[axis] // element.group)
    assert q.scales.shape == (*values.shape[:axis], groups, *values.shape[axis + 1 :])
    back = kernels.dequantise(q, np.float64)
    assert np.isfinite(back).all()
    np.testing.assert_array_equal(kernels.requantise(back, q).codes, q.codes)
    scales = np.repeat(q.scales.astype(np.float64), element.group, axis=axis).take(range(values.shape[axis]), axis)
    assert np.all(np.abs(back) <= element.highest * scales)


@settings(max_examples=100, deadline=None)
@given(st.integers(-120, 120), st.floats(1.0, 1.9990234375, width=16))
def test_mx_error_is_bounded(exponent, fraction):
    values = np.ldexp(np.linspace(-fraction, fraction, 32), exponent).astype(np.float32)
    q = kernels.quantise(values, "mxfp4")
    assert q.scales.tolist() == [2.0 ** (exponent - 2)]
    # Half the largest step, or what saturation cuts off between 6 and 8.
    assert np.abs(kernels.dequantise(q) - values).max() <= 2.0 * q.scales[0]


def test_channel_and_group_scales_are_their_own(rng):
    values = rng.normal(size=(10, 3)) * [1.0, 100.0, 0.01]
    channel = kernels.quantise(values, "int8", per="channel", axis=1)
    np.testing.assert_allclose(channel.scales[0], np.abs(values).max(axis=0) / 127, rtol=1e-6)
    group = kernels.quantise(values, "int8", per="group", axis=0, block=4)
    assert group.scales.shape == (3, 3)
    np.testing.assert_allclose(group.scales[2], np.abs(values[8:]).max(axis=0) / 127, rtol=1e-6)


def test_a_scalar_and_empty_tensors():
    assert kernels.dequantise(kernels.quantise(3.0, "int8")) == pytest.approx(3.0)
    for shape in ((0,), (0, 5), (5, 0)):
        assert kernels.dequantise(kernels.quantise(np.ones(shape), "mxfp4")).shape == shape


def test_the_largest_float32_stays_finite():
    most = np.finfo(np.float32).max
    for name in ("mxfp4", *kernels.ELEMENTS):
        back = kernels.dequantise(kernels.quantise(np.array([most, -most], np.float32), name))
        assert np.isfinite(back).all()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.integers(1, 8), st.booleans(), st.data())
def test_packing_round_trips(bits, signed, data):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=9))
    codes = data.draw(hnp.arrays(np.int8 if signed else np.uint8, shape, elements=st.integers(low, high)))
    packed = kernels.pack(codes, bits)
    assert packed.size == -(-codes.size * bits // 8)
    unpacked = kernels.unpack(packed, shape, bits, signed=signed)
    assert unpacked.dtype == codes.dtype
    np.testing.assert_array_equal(unpacked, codes)


def test_packing_by_hand():
    assert kernels.pack(np.array([1, 2, 15], np.uint8)).tolist() == [0x21, 0x0F]
    assert kernels.pack(np.array([1, 2, 7], np.uint8), 3).tolist() == [0b11010001, 0b1]
    assert kernels.pack(np.array([-1, 0], np.int8)).tolist() == [0x0F]


def test_bad_packing_is_named():
    cases = [
        (lambda: kernels.pack(np.array([16], np.uint8)), "expected 0 to 15"),
        (lambda: kernels.pack(np.array([-9], np.int8)), "expected -8 to 7"),
        (lambda: kernels.pack([0.5]), "expected integers"),
        (lambda: kernels.pack([1], 9), "bits = 9"),
        (lambda: kernels.unpack(np.zeros(2, np.uint8), 5), "expected 3 bytes"),
        (lambda: kernels.unpack(np.zeros(2, np.int8), 4), "expected 2 bytes"),
        (lambda: kernels.unpack(np.zeros(2, np.uint8), -4), "shape = -4"),
    ]
    for call, message in cases:
        with pytest.raises(InputError, match=message):
            call()


def test_block_products_are_exact(rng):
    values = rng.normal(size=(70, 9)) * np.exp2(rng.integers(-6, 6, (70, 1)))
    values[32:64, :4] = 0.0
    values[:, 4] = 0.0
    q = kernels.quantise(values, "mxfp4", axis=0)
    weights = kernels.prepare_blocks(q)
    activations = rng.integers(-128, 128, (2, 3, 70)).astype(np.int8)
    product = kernels.block_matvec(weights, activations)
    np.testing.assert_array_equal(kernels.block_matvec(weights, activations, method="blocks"), product)
    # Few enough bits that the float64 matmul of the dequantised weights is exact too.
    np.testing.assert_array_equal(product * weights.unit, activations @ kernels.dequantise(q, np.float64))
    assert kernels.block_matvec(weights, activations[:0]).shape == (0, 3, 9)


def test_block_exponents_too_far_apart_for_float64(rng):
    values = np.ones((64, 1))
    values[:32] = 2.0**46
    weights = kernels.prepare_blocks(kernels.quantise(values, "mxfp4", axis=0))
    activations = np.concatenate([np.full(32, 1), np.arange(32)]).astype(np.int8)[None]
    assert kernels.block_matvec(weights, activations, 6)[0, 0] * weights.unit[0] == 32 * 2.0**46 + 496
    with pytest.raises(InputError, match="narrower"):
        kernels.block_matvec(weights, activations, 6, method="matmul")
    values[:32] = 2.0**90
    with pytest.raises(InputError, match="narrower"):
        kernels.block_matvec(kernels.prepare_blocks(kernels.quantise(values, "mxfp4", axis=0)), activations)
