"""Strategies for neurons and their inputs: random, constant and extreme."""

import numpy as np
from hypothesis import strategies as st

EIGHT = st.just(8)


KINDS = ("random", "random", "zero", "lowest", "highest")


@st.composite
def products(draw, most_inputs=3000, most_outputs=6, bits=EIGHT):
    """(weight codes, activations, activation bits): shapes 1.., an empty batch, all zero, all lowest, one code."""
    inputs = draw(st.one_of(st.integers(1, 70), st.integers(1, most_inputs)))
    return _product(
        np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        draw(bits),
        (draw(st.integers(0, 3)), inputs, draw(st.integers(1, most_outputs))),
        draw(st.sampled_from(KINDS)),
        draw(st.one_of(st.none(), st.integers(0, 15))),
    )


def random_product(rng, most_inputs=3000, most_outputs=6):
    """The same of 8-bit activations, drawn at once."""
    shape = (rng.integers(4), rng.integers(1, rng.choice([70, most_inputs]) + 1), rng.integers(1, most_outputs + 1))
    return _product(rng, 8, shape, rng.choice(KINDS), rng.choice([None, rng.integers(16)]))


def _product(rng, width, shape, kind, code):
    batch, inputs, outputs = shape
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    dtype = np.int8 if width <= 8 else np.int16
    fixed = {"zero": 0, "lowest": low, "highest": high}
    if kind == "random":
        activations = rng.integers(low, high + 1, (batch, inputs)).astype(dtype)
    else:
        activations = np.full((batch, inputs), fixed[kind], dtype)
    codes = rng.integers(0, 16, (inputs, outputs)) if code is None else np.full((inputs, outputs), code)
    return codes.astype(np.uint8), activations, width
