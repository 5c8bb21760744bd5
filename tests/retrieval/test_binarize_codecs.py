"""Codecs: what each name means, that rows decode near what they encode, and that bad names and numbers are refused."""

import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError, number_format
from models.binarize import Training, codec_from_state, codec_state, fit_codec, parse_codec, unit
from models.binarize.recurrent import RecurrentBinarizer
from models.binarize.stores import FLOATS, INTEGERS, IntegerStore, pack_planes, unpack_planes

NAMES = {
    "float32": 32 * 24,
    "float16": 16 * 24,
    "float8": 8 * 24,
    "int8": 8 * 24,
    "int4": 4 * 24,
    "sign": 24,
    "centre": 24,
    "centred+sign": 24,
    "rotation:24": 24,
    "rotation:70": 70,
    "itq:16": 16,
    "pca:8": 32 * 8,
    "pca:8+float8": 8 * 8,
    "matryoshka:9+int4": 4 * 9,
    "recurrent:2": 48,
    "rotation:24+recurrent:3": 72,
    "bebr:2x16": 32,
}


@pytest.fixture(scope="module")
def vectors():
    """Anisotropic unit vectors about a mean that is not zero, as text embeddings are."""
    rng = np.random.default_rng(3)
    return unit((rng.standard_normal((600, 24)) * np.linspace(2, 0.2, 24) + 0.3).astype(np.float32))


SMALL = RecurrentBinarizer(hidden=32, training=Training(epochs=2, batch=64))


@pytest.fixture(scope="module")
def codecs(vectors):
    return {name: fit_codec(name, vectors, trained=SMALL) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_how_many_bits_are_stored(codecs, vectors, name):
    rows = codecs[name].encode(vectors)
    assert codecs[name].bits_per_vector == NAMES[name]
    assert rows.dtype == np.uint8 and len(rows) == 600
    assert 0 <= rows.shape[1] * 8 - NAMES[name] < 8 * max(codecs[name].planes, 1)
    assert codecs[name].decode(rows).shape == codecs[name].query(vectors).shape == (600, codecs[name].dims)


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_survives_as_json_and_arrays(codecs, vectors, name):
    settings_, arrays = codec_state(codecs[name])
    again = codec_from_state(json.loads(json.dumps(settings_)), {k: v.copy() for k, v in arrays.items()})
    assert (again.encode(vectors) == codecs[name].encode(vectors)).all()
    assert (again.query(vectors) == codecs[name].query(vectors)).all()


def test_more_bits_keep_directions_better(codecs, vectors):
    def error(name):
        codec = codecs[name]
        kept = unit(codec.decode(codec.encode(vectors)))
        return float(1 - (kept * codec.query(vectors)).sum(axis=1).mean())

    assert error("float32") < 1e-6 < error("float8") < error("int4") < error("sign")
    assert error("float32") <= error("float16") < error("int8") < error("int4")
    assert error("rotation:24+recurrent:3") < error("rotation:24")


def test_float8_is_that_of_ml_dtypes_after_a_power_of_two(codecs, vectors):
    store = codecs["float8"].store
    assert np.log2(store.scale) % 1 == 0 and np.abs(vectors).max() * store.scale <= 448
    expected = (vectors * np.float32(store.scale)).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) / store.scale
    assert (codecs["float8"].decode(codecs["float8"].encode(vectors)) == expected).all()


def test_pca_keeps_the_largest_second_moments(codecs, vectors):
    values = np.linalg.eigvalsh(vectors.T.astype(float) @ vectors)[::-1]
    kept = (codecs["pca:8"].query(vectors) ** 2).shape, (codecs["pca:8"].prepare.apply(vectors) ** 2).sum(axis=0)
    np.testing.assert_allclose(kept[1], values[:8], rtol=1e-4)


def test_itq_is_closer_to_its_signs_than_pca(codecs, vectors):
    def distance(mapped):
        return float(np.abs(mapped - np.sign(mapped) * np.abs(mapped).mean()).mean())

    itq = codecs["itq:16"].prepare
    straight = fit_codec("centre+float32", vectors).query(vectors)
    directions = np.linalg.svd(straight, full_matrices=False)[2][:16].T
    turned, plain = itq.apply(vectors), (vectors - vectors.mean(axis=0)) @ directions
    np.testing.assert_allclose((turned**2).sum(), (plain**2).sum(), rtol=1e-3)
    assert np.abs(turned).sum() > np.abs(plain).sum() and distance(turned) < distance(plain)


def test_rotations_keep_lengths(codecs, vectors):
    centred = vectors - vectors.mean(axis=0)
    turned = codecs["rotation:24"].prepare.apply(vectors)
    np.testing.assert_allclose((turned**2).sum(axis=1), (centred**2).sum(axis=1), rtol=1e-4)


def test_planes_follow_the_recurrence_by_hand():
    x = np.array([[0.9, 0.1, -0.3, 0.0]], np.float32)
    codec = fit_codec("recurrent:2", x)
    whole = x / np.linalg.norm(x)
    first = np.array([1, 1, -1, 1.0])  # The sign of zero is +1.
    second = np.where(whole - first / 2 >= 0, 1, -1)  # |b| of four signs is 2.
    assert codec.decode(codec.encode(x)).tolist() == (first + second / 2).tolist()


def test_a_third_plane_follows_what_a_half_leaves():
    x = np.array([[0.9, 0.5, -0.3, 0.05]], np.float32)
    whole = x / np.linalg.norm(x)
    first = np.array([1, 1, -1, 1.0])
    half = first + np.where(whole - first / 2 >= 0, 0.5, -0.5)
    quarter = half + np.where(whole - half / np.linalg.norm(half) >= 0, 0.25, -0.25)
    # With a quarter in the second plane already, the third would be another one.
    early = first + (half - first) / 2
    assert (np.sign(whole - early / np.linalg.norm(early)) != np.sign(quarter - half)).any()
    codec = fit_codec("recurrent:3", x)
    assert codec.decode(codec.encode(x)).tolist() == quarter.tolist()


def test_integers_halfway_go_to_the_even_level():
    store = IntegerStore("int4", np.zeros(5, np.float32), np.ones(5, np.float32))
    assert store.decode(store.encode(np.float32([[0.5, 1.5, 2.5, 3.5, 20.0]]))).tolist() == [[0, 2, 2, 4, 15]]


@pytest.mark.parametrize("name", [*FLOATS, *INTEGERS])
def test_every_format_of_the_registry_stores_vectors(vectors, name):
    codec = fit_codec(name, vectors)
    rows = codec.encode(vectors)
    assert codec.bits_per_vector == 24 * number_format(name).bits == 8 * rows.shape[1]
    decoded = codec.decode(rows)
    assert np.linalg.norm(decoded - codec.query(vectors)) < 0.4 * np.linalg.norm(decoded)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_planes_round_trip(dims, size, planes, seed):
    bits = list(np.random.default_rng(seed).random((planes, size, dims)) < 0.5)
    expected = sum((2.0 * plane - 1) * 0.5**i for i, plane in enumerate(bits))
    assert (unpack_planes(pack_planes(bits), dims, planes) == expected).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flaot16", "did you mean 'float16'"),
        ("pcaa:8+int8", "did you mean 'pca'"),
        ("pca", "expected pca:DIMENSIONS"),
        ("pca:x", "expected whole numbers"),
        ("pca:-3", "expected whole numbers"),
        ("pca:0", "dims = 0"),
        ("pca:25", "dims = 25"),
        ("matryoshka:1000", "dims = 1000"),
        ("itq:99999999", "expected whole numbers"),
        ("rotation:", "expected whole numbers"),
        ("recurrent", "expected recurrent:PLANES"),
        ("recurrent:5", "planes = 5"),
        ("recurrent:0", "planes = 0"),
        ("bebr:2", "expected bebr:PLANESxDIMENSIONS"),
        ("bebr:9x16", "bits_per_dim = 9"),
        ("bebr:2x0", "dims = 0"),
        ("pca:8+bebr:2x16", "expected no map"),
        ("int8:4", "expected int8"),
        ("", "unknown store"),
        ("+", "unknown store"),
        ("pca+pca:8", "expected pca:DIMENSIONS"),
    ],
)
def test_bad_names_say_what_was_expected(vectors, name, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        fit_codec(name, vectors, trained=SMALL)


def test_names_parse():
    assert parse_codec("PCA:128+float8") == ("pca", 128, "float8", ())
    assert parse_codec("itq:64") == ("itq", 64, "sign", ())
    assert parse_codec("bebr:2x256") == ("", 0, "bebr", (2, 256))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(codecs, vectors, bad):
    broken = vectors.copy()
    broken[7, 3] = bad
    for call in (codecs["sign"].encode, codecs["int8"].query, lambda x: fit_codec("sign", x)):
        with pytest.raises(InputError, match="NaN or infinity in row 7"):
            call(broken)


def test_other_shapes_are_refused(codecs, vectors):
    with pytest.raises(InputError, match="have 23 dimensions: expected 24"):
        codecs["sign"].encode(vectors[:, :23])
    for bad in (vectors[0], np.empty((3, 0)), np.array([["a"]])):
        with pytest.raises(InputError, match="expected numbers of"):
            fit_codec("sign", bad)
    with pytest.raises(InputError, match="embeddings are empty"):
        fit_codec("sign", vectors[:0])
    assert codecs["int4"].encode(vectors[:0]).shape == (0, 12)


def test_a_broken_state_is_refused(codecs):
    settings_, arrays = codec_state(codecs["bebr:2x16"])
    for broken in ({}, settings_ | {"store": "zip"}, settings_ | {"training": {"speed": 9}}):
        with pytest.raises(InputError, match="state is broken"):
            codec_from_state(broken, arrays)


@pytest.mark.parametrize(("name", "least"), [("int8", 0.98), ("int4", 0.85)])
def test_integers_span_what_is_not_normal(name, least):
    """Sparse vectors without negative numbers: a normal distribution would clip what tells them apart."""
    random = np.random.default_rng(1)
    x = np.where(random.random((800, 96)) < 0.08, random.random((800, 96)), 0.0).astype(np.float32)
    x = unit(x[x.any(axis=1)])
    codec = fit_codec(name, x)

    def nearest(documents):
        return np.argsort(-(x[:100] @ documents.T), axis=1)[:, :10]

    recalled = unit(codec.decode(codec.encode(x)))
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(nearest(x), nearest(recalled), strict=True)]
    assert np.mean(shares) >= least


def test_a_constant_dimension_is_kept_exactly():
    x = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    x[:, 1] = 0.0
    codec = fit_codec("int4", x)
    assert (codec.decode(codec.encode(x))[:, 1] == 0.0).all()
