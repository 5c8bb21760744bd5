"""RaBitQ's error bound: what it skips is not among the best unless the bound fails, and it fails rarely."""

import numpy as np
import pytest

from explorer.retrieval.index import Index
from explorer.retrieval.rescoring import error_bounds
from explorer.retrieval.scanning import Request
from hwbase import InputError
from models.binarize import fit_codec, unit

SIZE, DIMS, K = 1200, 64, 5
RANDOM = np.random.default_rng(11)
X = unit(RANDOM.standard_normal((SIZE, DIMS)).astype(np.float32) * np.linspace(2, 0.3, DIMS, dtype=np.float32) + 0.2)
ASKED = unit(X[::60] + 0.4 * RANDOM.standard_normal((20, DIMS)).astype(np.float32) / 8)
NAMES = [f"d{i}" for i in range(SIZE)]


@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("asymmetric", [True, False])
def test_what_the_bound_skips_is_not_among_the_best_where_it_holds(bits, asymmetric):
    index = Index().add(NAMES, X, fit_codec(f"rabitq:{bits}", X), rescore=fit_codec("float32", X))
    bounded = index.search(ASKED, K, rescore=SIZE, bound=True, asymmetric=asymmetric)
    whole = index.search(ASKED, K, rescore=SIZE, asymmetric=asymmetric)
    assert whole.rescored == SIZE * len(ASKED) and K * len(ASKED) <= bounded.rescored < whole.rescored / 2
    estimates = index.search(ASKED, SIZE, asymmetric=asymmetric)
    request = Request(ASKED, asymmetric=asymmetric)
    bounds = error_bounds(index.segments[0], request, estimates.positions)
    exact = np.take_along_axis(ASKED @ X.T, estimates.positions, axis=1)
    holds = exact <= estimates.scores + bounds
    # 1.9 standard deviations: 97 of 100 are below.
    assert holds.mean() > 0.95
    for row in range(len(ASKED)):
        allowed = set(estimates.positions[row][holds[row]].tolist())
        missed = set(whole.positions[row].tolist()) - set(bounded.positions[row].tolist())
        assert not missed & allowed
    np.testing.assert_allclose(
        bounded.scores, np.take_along_axis(ASKED @ X.T, bounded.positions, axis=1), rtol=1e-5, atol=1e-6
    )


def test_more_bits_leave_fewer_candidates_open():
    read = []
    for bits in (1, 2, 4):
        index = Index().add(NAMES, X, fit_codec(f"rabitq:{bits}", X), rescore=fit_codec("int8", X))
        read.append(index.search(ASKED, K, rescore=200, bound=True).rescored)
    assert read[0] > read[1] > read[2]


def test_a_bound_needs_rabitq_and_candidates():
    index = Index().add(NAMES, X, fit_codec("sign", X), rescore=fit_codec("int8", X))
    with pytest.raises(InputError, match="sign has no error bound"):
        index.search(ASKED, K, rescore=50, bound=True)
    mapped = Index().add(NAMES, X, fit_codec("pca:32+rabitq:1", X), rescore=fit_codec("int8", X))
    with pytest.raises(InputError, match="has no error bound: expected rabitq:BITS without a map"):
        mapped.search(ASKED, K, rescore=50, bound=True)
    with pytest.raises(InputError, match="bound without rescore"):
        index.search(ASKED, K, bound=True)
