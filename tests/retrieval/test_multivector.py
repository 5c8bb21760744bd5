"""Chamfer similarity by hand, MUVERA's encodings near to it, and sets that cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError
from models.binarize import unit
from models.multivector import Muvera, chamfer, clustered, directions, vector_sets

RANDOM = np.random.default_rng(6)


def drawn(random, texts, dims, most=6):
    return [random.standard_normal((random.integers(1, most + 1), dims)) for _ in range(texts)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 40), st.integers(1, 9))
def test_chamfer_is_the_sum_of_best_products(seed, queries, documents, dims):
    random = np.random.default_rng(seed)
    asked, kept = drawn(random, queries, dims), drawn(random, documents, dims)
    scores = chamfer(vector_sets(asked), vector_sets(kept))
    for row, query in enumerate(asked):
        for column, document in enumerate(kept):
            products = unit(query.astype(np.float32)) @ unit(document.astype(np.float32)).T
            assert scores[row, column] == pytest.approx(products.max(axis=1).sum(), abs=1e-4)


def test_products_of_encodings_are_near_to_chamfer():
    dims = 16
    centres = RANDOM.standard_normal((30, 5, dims))
    documents = vector_sets(list(centres))
    # Each query has vectors near to those of one document.
    queries = vector_sets([own[:3] + 0.3 * RANDOM.standard_normal((3, dims)) for own in centres])
    exact = chamfer(queries, documents)
    errors = []
    for repetitions in (4, 64):
        coder = Muvera(dims, repetitions=repetitions, bits=4, projected=0)
        estimate = coder.queries(queries) @ coder.documents(documents).T
        assert estimate.shape == exact.shape and coder.queries(queries).shape[1] == coder.dims
        # An estimate takes a mean or another vector in place of the best one: never more, but for rounding.
        assert (estimate <= exact + 1e-4).all()
        errors.append(np.abs(estimate - exact)[np.arange(30), np.arange(30)].mean() / 3)
        assert (estimate.argmax(axis=1) == np.arange(30)).mean() > 0.85
    # Per vector of the query, with enough repetitions (arXiv 2405.19504, theorem 2.1: within epsilon).
    assert errors[1] < 0.3
    narrow = Muvera(dims, repetitions=64, bits=4, projected=8, final=512)
    projected = narrow.queries(queries) @ narrow.documents(documents).T
    assert narrow.dims == 512 and (projected.argmax(axis=1) == np.arange(30)).mean() > 0.85


def test_one_cluster_is_the_product_of_sum_and_mean():
    asked, kept = vector_sets([[[1.0, 0], [0, 1]]]), vector_sets([[[1.0, 0], [0, 1]], [[0, 1.0]]])
    coder = Muvera(2, repetitions=3, bits=0, projected=0)
    np.testing.assert_allclose(coder.queries(asked) @ coder.documents(kept).T, [[1.0, 1.0]], rtol=1e-6)


def test_directions_rank_by_products():
    documents = RANDOM.standard_normal((40, 7)).astype(np.float32) * RANDOM.random((40, 1)).astype(np.float32)
    queries = RANDOM.standard_normal((5, 7)).astype(np.float32)
    a, b = directions(documents, queries)
    cosines = unit(b) @ unit(a).T
    assert (cosines.argsort(axis=1) == (queries @ documents.T).argsort(axis=1)).all()


def test_clusters_of_a_text_are_few_and_keep_small_sets():
    sets = vector_sets(drawn(RANDOM, 20, 8, most=9))
    few = clustered(sets, 3)
    assert np.diff(few.starts).max() == 3 and few.size == 20
    for text in range(20):
        if len(sets.of(text)) <= 3:
            np.testing.assert_allclose(few.of(text), sets.of(text), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(few.vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vector_sets([]), "sets of vectors are empty"),
        (lambda: vector_sets([np.ones((2, 3)), np.empty((0, 3))]), "text 1 has vectors of shape"),
        (lambda: vector_sets([np.ones((2, 3)), np.ones((2, 4))]), "expected 3"),
        (lambda: vector_sets([np.full((1, 3), np.nan)]), "NaN"),
        (lambda: chamfer(vector_sets([np.ones((1, 3))]), vector_sets([np.ones((1, 4))])), "expected 4"),
        (lambda: Muvera(8, bits=13), "bits = 13"),
        (lambda: Muvera(8, projected=9), "projected = 9"),
        (lambda: Muvera(8, repetitions=1, bits=1, projected=2, final=5), "final = 5"),
        (lambda: clustered(vector_sets([np.ones((1, 3))]), 0), "most = 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
