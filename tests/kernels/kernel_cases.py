"""Strategies for neurons and their inputs: random, constant and extreme."""

import numpy as np
from hypothesis import strategies as st

EIGHT = st.just(8)


@st.composite
def products(draw, most_inputs=3000, most_outputs=6, bits=EIGHT):
    """(weight codes, activations, activation bits): shapes 1.., an empty batch, all zero, all lowest, one code."""
    width = draw(bits)
    inputs = draw(st.one_of(st.integers(1, 70), st.integers(1, most_inputs)))
    outputs, batch = draw(st.integers(1, most_outputs)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    dtype = np.int8 if width <= 8 else np.int16
    kind = draw(st.sampled_from(["random", "random", "zero", "lowest", "highest"]))
    fixed = {"zero": 0, "lowest": low, "highest": high}
    if kind == "random":
        activations = rng.integers(low, high + 1, (batch, inputs)).astype(dtype)
    else:
        activations = np.full((batch, inputs), fixed[kind], dtype)
    code = draw(st.one_of(st.none(), st.integers(0, 15)))
    codes = rng.integers(0, 16, (inputs, outputs)) if code is None else np.full((inputs, outputs), code)
    return codes.astype(np.uint8), activations, width
