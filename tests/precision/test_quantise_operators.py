"""Linear operators with rounded matrices and activations, and the outlier token treated apart."""

import numpy as np
import pytest
from inference_cases import random_weights, tiny_config

from explorer.inference.arithmetic import linear_operator
from hwbase import InputError
from models.inference import Transformer
from models.quantise import RoundedLinear, dynamic, first_products, grid, observer, rounded, static

TOKENS = [1, 40, 50, 60, 70, 80]


@pytest.fixture(scope="module")
def weights():
    return random_weights(tiny_config())


def outlier_inputs(rows=6):
    """Activations whose first row is a thousand times the others."""
    x = np.random.default_rng(0).standard_normal((rows, 32)).astype(np.float32)
    x[0] *= 1000
    return x


def test_eight_bits_equal_the_integer_arithmetic_of_the_kernels(weights):
    matrices = weights.matrices()
    roundings = dict.fromkeys(matrices, dynamic(8, "token"))
    operator = RoundedLinear({name: rounded(matrix, 8) for name, matrix in matrices.items()}, roundings)
    found = Transformer(weights, operator).forward(TOKENS)
    exact = Transformer(weights, linear_operator(weights, "int8", scaling="token")).forward(TOKENS)
    assert np.abs(found - exact).max() < 0.05 * np.abs(exact).std()


def test_a_token_apart_spares_the_others():
    x = outlier_inputs()
    shared, apart = dynamic(8, "tensor"), dynamic(8, "first-float")
    off = [np.abs(rounding(x, 0) - x)[1:].mean() for rounding in (shared, apart)]
    assert off[0] > 100 * off[1]
    np.testing.assert_array_equal(apart(x, 0)[0], x[0])
    # In the middle of a sequence the first row is like any other.
    np.testing.assert_array_equal(apart(x, 3), shared(x, 3))


def test_calibrated_scales_hold_for_later_activations():
    x = outlier_inputs()
    seen = observer("extremes")
    seen.observe(x[1:])
    to = grid(*map(np.asarray, seen.range(8, symmetric=True)), 8, symmetric=True)
    rounding = static(to, first_float=True)
    y = rounding(x, 0)
    np.testing.assert_array_equal(y[0], x[0])
    assert np.abs(y - x)[1:].max() <= 0.51 * float(to.scale)
    clipped = static(to)(x, 0)
    assert np.abs(clipped[0]).max() <= np.abs(x[1:]).max() * 1.001


def test_first_products_are_those_of_every_sequence_that_begins_so(weights):
    known = first_products(Transformer(weights), 1)
    assert set(known) == set(weights.config.linear_shapes())
    seen = {}
    inner = RoundedLinear(weights.matrices())

    def watching(name, x, position):
        seen[name] = inner(name, x, position)
        return seen[name]

    Transformer(weights, watching).forward(TOKENS)
    for name, first in known.items():
        np.testing.assert_allclose(seen[name][0], first, rtol=1e-4, atol=1e-5)


def test_precomputed_products_make_the_first_token_exact(weights):
    model = Transformer(weights)
    coarse = {name: rounded(matrix, 3) for name, matrix in weights.matrices().items()}
    operator = RoundedLinear(coarse, first=first_products(model, 1))
    logits, exact = Transformer(weights, operator).forward(TOKENS), model.forward(TOKENS)
    np.testing.assert_allclose(logits[0], exact[0], rtol=1e-4, atol=1e-4)
    assert np.abs(logits[1:] - exact[1:]).max() > 0.1


def test_states_lead_to_the_same_logits(weights):
    model = Transformer(weights)
    states, exact = model.states(TOKENS), model.forward(TOKENS)
    assert states.shape == (3, len(TOKENS), 32)
    for layer in range(3):
        np.testing.assert_allclose(model.resume(states[layer], layer), exact, rtol=1e-4, atol=1e-5)
    for layer in (-1, 4, 1.5):
        with pytest.raises(InputError, match="layer"):
            model.resume(states[0], layer)


def test_16_bits_leave_activations():
    assert dynamic(16) is None and dynamic(32, "tensor") is None


@pytest.mark.parametrize(("bits", "scaling"), [(0, "token"), (1, "token"), (33, "token"), (8, "tokens")])
def test_bad_roundings_are_refused(bits, scaling):
    with pytest.raises(InputError, match="bits" if scaling == "token" else "did you mean 'token'"):
        dynamic(bits, scaling)


def test_activations_that_are_nan_are_refused(weights):
    operator = RoundedLinear(weights.matrices(), {"blk.0.attn_q": dynamic(8)})
    with pytest.raises(InputError, match="NaN"):
        operator("blk.0.attn_q", np.full((2, 32), np.nan, np.float32), 0)
