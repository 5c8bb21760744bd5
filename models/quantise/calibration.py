"""What calibration text gives at each matrix: Hessians, and rounding as the text passes (answers of `Lockstep`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from hwbase import InputError
from models.inference import HEAD, Transformer, Weights, multiply
from models.quantise.formats import WeightFormat
from models.quantise.gptq import Curvature, Solution, curvature, gptq
from models.quantise.lockstep import Lockstep

#: Norm of a token over the median's, above which its weight is reduced (massive activations).
_MOST_NORM = 8.0
#: Share of what the layers before have lost that a matrix makes good. All of it fits calibration text, and others less.
_MADE_GOOD = 0.5
#: Matrices whose outputs are added to the residual stream.
_WRITES = ("attn_output", "ffn_down")


class Products:
    """Multiplies with the matrices of `tensors` as they are. The head gives nothing: nothing reads its outputs."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = tensors

    def __call__(self, name: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a matrix for each sequence."""
        if name == HEAD:
            return [x[:, :0] for x in inputs]
        return _parts(multiply(self._tensors[name], np.concatenate(inputs)), inputs)


class Hessians(Products):
    """Products, and in `sums` the Hessian of each matrix by name; those of equal inputs are the same array."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        super().__init__(tensors)
        self.sums: dict[str, np.ndarray] = {}
        self._last: tuple[list[np.ndarray], np.ndarray] | None = None

    def __call__(self, name: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a matrix for each sequence."""
        if self._last is None or not _same(self._last[0], inputs):
            x = np.concatenate(inputs)
            scaled = x * _token_weights(name, x)
            self._last = list(inputs), scaled.T @ scaled
        self.sums[name] = self._last[1]
        return super().__call__(name, inputs)


def calibrated_hessians(weights: Weights, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the Hessian of every matrix of a network in float, by name, on token ids (windows, tokens).

    Matrices that read the same inputs have the same array. Raises `InputError` for activations that are not finite.
    """
    states = entering(weights, windows)
    together, seen = Lockstep(weights, len(states)), Hessians(weights.matrices())
    for i in range(weights.config.layers):
        states = together.run(partial(run_layer, i), states, seen)
    together.run(partial(run_layer, weights.config.layers), states, seen)
    return seen.sums


def entering(weights: Weights, windows: np.ndarray) -> list[np.ndarray]:
    """Return what enters the first layer for each window of token ids, float32 (tokens, hidden)."""
    model = Transformer(weights)
    return [model.embed(window) for window in windows]


def run_layer(i: int, model: Transformer, state: np.ndarray) -> np.ndarray:
    """Return what leaves layer `i`, or what the head gives, which follows the last layer."""
    return model.layer(i, state) if i < model.config.layers else model.resume(state, i)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Inputs of the sequences in float, of the same ones in the rounded network, and what GPTQ derives from these.

    `weigh` (tokens, 1) are the tokens' weights, `across` (inputs, inputs) sums (x_float - x) x^T over the tokens.
    """

    sequences: list[np.ndarray]
    plain: np.ndarray
    own: np.ndarray
    weigh: np.ndarray
    curvature: Curvature
    across: np.ndarray


class TargetedRounding:
    """Rounds each matrix by GPTQ when its inputs are known; what follows sees what the rounded matrix gives.

    The first half of the sequences runs in float, the second half is the same text in the rounded network. A matrix W
    is first moved half the way to the one whose outputs for the inputs x there are nearest to those in float,
    W + (W S + T) (H + d)^-1 with S = sum (x_float - x) x^T, H = sum x x^T and the damping d of GPTQ. T = sum r x^T, r
    being what the residual stream has lost so far, is for matrices that add to it. Tokens have weights.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        The network, with the layers before rounded.
    solutions : dict of str to Solution
        Gains the rounded matrices; those that are there are taken as they are.
    to : WeightFormat
        Format of the weights.
    lost : ndarray of float32 (tokens, hidden), optional
        What the residual stream that enters has lost. None where outputs are not added as they are.
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        solutions: dict[str, Solution],
        to: WeightFormat,
        lost: np.ndarray | None,
    ) -> None:
        self._tensors, self._solutions, self._to, self._lost = tensors, solutions, to, lost
        self._last: _Inputs | None = None

    def __call__(self, name: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a matrix for each sequence."""
        if self._last is None or not _same(self._last.sequences, inputs):
            self._last = self._read(name, inputs)
        now, writes = self._last, name.rpartition(".")[2] in _WRITES
        if name not in self._solutions:
            try:
                self._solutions[name] = gptq(self._target(name, now, writes), now.curvature, self._to)
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
        if name == HEAD:
            return [x[:, :0] for x in inputs]
        plain, own = multiply(self._tensors[name], now.plain), multiply(self._solutions[name].values, now.own)
        if writes and self._lost is not None:
            self._lost = self._lost + (plain - own)
        return _parts(np.concatenate((plain, own)), inputs)

    def _read(self, name: str, inputs: list[np.ndarray]) -> _Inputs:
        half = len(inputs) // 2
        plain, own = np.concatenate(inputs[:half]), np.concatenate(inputs[half:])
        weigh = _token_weights(name, own)
        _check_finite(name, plain)
        scaled = own * weigh
        across = ((plain - own) * weigh).T @ scaled
        try:
            return _Inputs(list(inputs), plain, own, weigh, curvature(scaled.T @ scaled), across)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None

    def _target(self, name: str, now: _Inputs, writes: bool) -> np.ndarray:
        """Return the matrix, not rounded, that gives most nearly what is expected of it."""
        matrix = self._tensors[name]
        missing = matrix @ now.across
        if writes and self._lost is not None:
            missing += (self._lost * now.weigh).T @ (now.own * now.weigh)
        order, upper = now.curvature.order, now.curvature.upper
        change = np.empty_like(missing)
        change[:, order] = np.float32(_MADE_GOOD) * missing[:, order] @ upper.T @ upper
        return matrix + change


def _token_weights(name: str, x: np.ndarray) -> np.ndarray:
    """Return weights of tokens, float32 (tokens, 1); raises `InputError` for inputs that are not finite."""
    norms = np.sqrt(np.vecdot(x, x))
    _check_finite(name, norms)
    weights = np.minimum(1.0, _MOST_NORM * np.median(norms) / np.maximum(norms, 1e-30))
    return weights.astype(np.float32)[:, None]


def _check_finite(name: str, x: np.ndarray) -> None:
    if not np.isfinite(x).all():
        raise InputError(f"{name}: calibration activations hold NaN or infinity: expected finite numbers")


def _same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def _parts(y: np.ndarray, inputs: list[np.ndarray]) -> list[np.ndarray]:
    return np.split(y, np.cumsum([len(x) for x in inputs])[:-1])
