"""Compensated weights of a whole transformer: layer after layer, calibrated on what the rounded layers before it give.

Methods round to nearest ("rtn"), search scales ("search"), scale channels by their activations before rounding ("awq":
Lin et al., arXiv 2306.00978), or pass on what rounding loses ("gptq"); "rotation+" before a name rotates the residual
stream and the values of heads first (`models.quantise.rotation`). Nothing is trained.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwbase import InputError, unknown_name
from models.inference import HEAD, Transformer, Weights, multiply
from models.quantise.formats import WeightFormat
from models.quantise.gptq import Solution, gptq, nearest
from models.quantise.rotation import fold_gains, rotated

_ROUNDINGS = ("rtn", "search", "awq", "gptq")
_ROTATION = "rotation"
COMPENSATIONS = (*_ROUNDINGS, *(f"{_ROTATION}+{name}" for name in _ROUNDINGS if name != "awq"))
#: Matrices that read the input of another one.
_SHARES = {"attn_k": "attn_q", "attn_v": "attn_q", "ffn_up": "ffn_gate"}
#: Exponents of the activations' magnitudes that scale channels; 0 leaves them.
_EXPONENTS = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8)
#: Norm of a token over the median's, above which its weight in the Hessian is reduced (massive activations).
_MOST_NORM = 8.0


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer, or the head: its rounded matrices, and its norms' gains, by their full names."""

    solutions: dict[str, Solution]
    gains: dict[str, np.ndarray]


def check_method(method: str) -> str:
    """Return a method's name in the order of `COMPENSATIONS`; raises `InputError` with the nearest name."""
    parts = [part.strip() for part in str(method).lower().split("+")]
    name = "+".join(sorted(parts, key=lambda part: part != _ROTATION))
    if name not in COMPENSATIONS:
        raise unknown_name("method", method, COMPENSATIONS)
    return name


def needs_calibration(method: str) -> bool:
    """Whether a method reads activations."""
    return not method.endswith("rtn") and not method.endswith("search")


def prepared(weights: Weights, method: str, seed: int) -> Weights:
    """Return the network whose matrices a method rounds: rotated, or with an untied head."""
    if check_method(method).startswith(_ROTATION):
        return rotated(weights, seed)
    return fold_gains(weights) if method == "gptq" and weights.config.norm == "rms" else _untied(weights)


def stages(weights: Weights) -> tuple[str, ...]:
    """Return the names of the stages of `compensate`, in order: the layers and the head."""
    return (*(f"blk.{i}" for i in range(weights.config.layers)), HEAD)


def compensate(
    weights: Weights,
    windows: np.ndarray,
    to: WeightFormat,
    method: str,
    *,
    kept: Callable[[str], Stage | None] = lambda stage: None,
    report: Callable[[str, int, int], None] | None = None,
) -> Iterator[tuple[str, Stage]]:
    """Yield (name, stage) of each layer and the head, rounded to a format.

    Parameters
    ----------
    weights : Weights
        The network, from `prepared`.
    windows : ndarray of int, (windows, tokens)
        Calibration text; not used by methods that read no activations.
    to : WeightFormat
        Format of every matrix, head included.
    method : str
        One of `COMPENSATIONS`.
    kept : callable, optional
        Returns the stage of a name that an earlier run finished, or None.
    report : callable, optional
        Called with the stage, the stages done and their number.

    Raises
    ------
    InputError
        For a method that is not known, no calibration text, or activations that are not finite.
    """
    kind = check_method(method).removeprefix(f"{_ROTATION}+")
    calibrated = needs_calibration(kind)
    if calibrated and windows.size == 0:
        raise InputError("the calibration text has no tokens: expected at least one window")
    tensors = dict(weights.tensors)
    states = [Transformer(weights).embed(window) for window in windows] if calibrated else []
    names = stages(weights)
    own = Weights(weights.config, tensors)
    for number, stage in enumerate(names):
        if report is not None:
            report(stage, number, len(names))
        result = kept(stage)
        if result is None:
            hessians = _hessians(own, stage, states) if calibrated else {}
            result = _solve(own, stage, hessians, to, kind)
        yield stage, result
        tensors |= result.gains | {name: solution.values for name, solution in result.solutions.items()}
        if calibrated and stage != HEAD:
            model = Transformer(own, _Matrices(tensors))
            states = [model.layer(number, state) for state in states]


class _Matrices:
    """Multiplies with the matrices of `tensors` as they are; adds up x x^T of each input where `sums` is given."""

    def __init__(self, tensors: Mapping[str, np.ndarray], sums: dict[str, np.ndarray] | None = None) -> None:
        self._tensors, self._sums = tensors, sums

    def __call__(self, name: str, x: np.ndarray, position: int) -> np.ndarray:
        if self._sums is not None and _first_reader(name, self._tensors) == name:
            norms = np.sqrt(np.vecdot(x, x))
            if not np.isfinite(norms).all():
                raise InputError(f"{name}: calibration activations hold NaN or infinity: expected finite numbers")
            weigh = np.minimum(1.0, _MOST_NORM * np.median(norms) / np.maximum(norms, 1e-30)).astype(np.float32)
            scaled = x * weigh[:, None]
            self._sums[name] = self._sums.get(name, 0.0) + (scaled.T @ scaled)
        return multiply(self._tensors[name], x)


def _hessians(own: Weights, stage: str, states: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the Hessian of each matrix of a stage on these inputs."""
    sums: dict[str, np.ndarray] = {}
    linear = _Matrices(own.tensors, sums)
    model = Transformer(own, linear)
    for state in states:
        if stage == HEAD:
            model.resume(state, own.config.layers)
        else:
            model.layer(int(stage.removeprefix("blk.")), state)
    if stage == HEAD:
        return sums
    names = [f"{stage}.{kind}" for kind in own.config.layer_linears]
    return {name: sums[_first_reader(name, own.tensors)] for name in names}


def _first_reader(name: str, tensors: Mapping[str, np.ndarray]) -> str:
    """Return the first matrix that reads the same input: itself, or another one where the network has it."""
    layer, _, kind = name.rpartition(".")
    other = f"{layer}.{_SHARES.get(kind, kind)}"
    return other if other in tensors else name


def _solve(own: Weights, stage: str, hessians: Mapping[str, np.ndarray], to: WeightFormat, kind: str) -> Stage:
    gains: dict[str, np.ndarray] = {}
    tensors = own.tensors
    names = [HEAD] if stage == HEAD else [f"{stage}.{name}" for name in own.config.layer_linears]
    matrices = {name: tensors[name] for name in names}
    if kind == "awq":
        matrices, gains, hessians = _scaled_channels(tensors, stage, matrices, hessians, to)
    solutions = {}
    for name, matrix in matrices.items():
        try:
            if kind == "gptq":
                solutions[name] = gptq(matrix, hessians[name], to)
            else:
                solutions[name] = nearest(matrix, to, search=kind != "rtn", hessian=hessians.get(name))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    return Stage(solutions, gains)


def _scaled_channels(
    tensors: Mapping[str, np.ndarray],
    stage: str,
    matrices: dict[str, np.ndarray],
    hessians: Mapping[str, np.ndarray],
    to: WeightFormat,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return matrices whose input channels are scaled up by their activations, the gains that undo it, and Hessians."""
    matrices, gains, sums = dict(matrices), {}, dict(hessians)
    if stage == HEAD:
        groups = {"output_norm": [HEAD]}
    else:
        readers = {"attn_norm": ("attn_q", "attn_k", "attn_v"), "ffn_norm": ("ffn_gate", "ffn_up")}
        groups = {f"{stage}.{norm}": [f"{stage}.{name}" for name in names if f"{stage}.{name}" in matrices]
                  for norm, names in readers.items()}  # fmt: skip
        if f"{stage}.ffn_gate" in matrices:
            # Without a gate an activation stands between the two.
            groups = {f"{stage}.ffn_up": [f"{stage}.ffn_down"]} | groups
    for before, names in groups.items():
        hessian = hessians[names[0]]
        magnitudes = np.sqrt(np.maximum(np.diagonal(hessian), 1e-12 * hessian.max()))
        best, chosen = np.inf, np.ones(len(hessian), np.float32)
        for exponent in _EXPONENTS:
            scale = magnitudes**exponent
            scale = (scale / np.sqrt(scale.max() * scale.min())).astype(np.float32)
            loss = 0.0
            for name in names:
                errors = nearest(matrices[name] * scale, to).values / scale - matrices[name]
                loss += float(((errors @ hessian) * errors).sum(dtype=np.float64))
            if loss < best:
                best, chosen = loss, scale
        for name in names:
            matrices[name] = matrices[name] * chosen
            sums[name] = hessian / np.outer(chosen, chosen)
        if before in matrices:
            matrices[before] = matrices[before] / chosen[:, None]
        else:
            gains[before] = tensors[before] / chosen
        if f"{before}.bias" in tensors:
            gains[f"{before}.bias"] = tensors[f"{before}.bias"] / chosen
    return matrices, gains, sums


def _untied(weights: Weights) -> Weights:
    return Weights(replace(weights.config, tied_head=False), weights.tensors | {HEAD: weights.matrix(HEAD)})
