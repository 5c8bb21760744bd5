"""A linear operator with rounded matrices and rounded activations, layer by layer, that may treat one token apart.

The outlier token of a language model is its first: causal attention lets it see nothing but itself, so where every
sequence begins with the same token its products are the same in every sequence too. They can be computed once, in
float, and put in place of the rounded ones (BOS-aware quantisation of MixDQ, arXiv 2405.17873, section 4.1).
"""

from collections.abc import Callable, Mapping

import numpy as np

from models.inference import Transformer, multiply, quantise_activations
from models.inference.activations import check_scaling
from models.quantise.grid import UNROUNDED, Grid, check_bits, round_to

#: Rounds activations; called with (activations, position of the first row in its sequence).
Rounding = Callable[[np.ndarray, int], np.ndarray]


class RoundedLinear:
    """x @ W^T with the matrices given (rounded before), activations rounded first where `roundings` has the layer.

    `first` has the products of a sequence's first token, (outputs,), of layers where they are known beforehand.
    """

    def __init__(
        self,
        matrices: Mapping[str, np.ndarray],
        roundings: Mapping[str, Rounding] | None = None,
        first: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._matrices, self._roundings, self._first = matrices, roundings or {}, first or {}

    def __call__(self, name: str, x: np.ndarray, position: int) -> np.ndarray:
        """Return float32 (tokens, outputs) for `x` (tokens, inputs) whose first row is at `position`."""
        rounding = self._roundings.get(name)
        y = multiply(self._matrices[name], x if rounding is None else rounding(x, position))
        if position == 0 and name in self._first:
            y[0] = self._first[name]
        return y


def dynamic(bits: int, scaling: str = "token") -> Rounding | None:
    """Return a rounding whose scales follow the activations at hand (`models.inference.SCALINGS`); None leaves them.

    Raises `InputError` for an unknown scaling, or bits that are not 2 to 8, 16 or 32.
    """
    if check_bits("activation bits", bits) in UNROUNDED:
        return None
    check_scaling(scaling, bits)

    def rounding(x: np.ndarray, position: int) -> np.ndarray:
        integers = quantise_activations(x, position, scaling, bits)
        y = integers.codes * integers.scales
        y[: integers.floating] = x[: integers.floating]
        return y

    return rounding


def static(to: Grid, *, first_float: bool = False) -> Rounding:
    """Return a rounding to a grid that calibration has fixed; `first_float` leaves a sequence's first token alone."""

    def rounding(x: np.ndarray, position: int) -> np.ndarray:
        y = round_to(x, to)
        if first_float and position == 0:
            y[:1] = x[:1]
        return y

    return rounding


def first_products(model: Transformer, token: int) -> dict[str, np.ndarray]:
    """Return what each matrix of a network makes of `token` at the start of a sequence, float32 (outputs,) by name."""
    products: dict[str, np.ndarray] = {}
    inner = RoundedLinear(model.weights.matrices())

    def watching(name: str, x: np.ndarray, position: int) -> np.ndarray:
        y = inner(name, x, position)
        products[name] = y[0].copy()
        return y

    Transformer(model.weights, watching).forward([token])
    return products
