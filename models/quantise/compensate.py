"""Compensated weights of a whole transformer: layer after layer, calibrated on what the rounded layers before it give.

Methods round to nearest ("rtn"), search scales ("search"), scale channels by their activations before rounding ("awq":
Lin et al., arXiv 2306.00978), or pass on what rounding loses ("gptq"); "rotation+" before a name rotates the residual
stream and the values of heads first (`models.quantise.rotation`). Nothing is trained.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hwbase import InputError, unknown_name
from models.inference import HEAD, Weights
from models.quantise.calibration import Hessians, Products, TargetedRounding, entering, run_layer
from models.quantise.channels import scaled_channels
from models.quantise.formats import WeightFormat
from models.quantise.gptq import Solution, nearest
from models.quantise.lockstep import Answer, Lockstep
from models.quantise.rotation import fold_gains, rotated

_ROUNDINGS = ("rtn", "search", "awq", "gptq")
_ROTATION = "rotation"
COMPENSATIONS = (*_ROUNDINGS, *(f"{_ROTATION}+{name}" for name in _ROUNDINGS if name != "awq"))


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
    # Norms that also subtract the mean and add a bias do not fold.
    folds = method == "gptq" and weights.config.norm == "rms"
    return fold_gains(weights) if folds else _untied(weights)


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
    own = Weights(weights.config, tensors)
    # GPTQ compares what each window gives in float with what it gives in the rounded network.
    states = entering(own, windows) * (2 if kind == "gptq" else 1) if calibrated else []
    together = Lockstep(own, len(states)) if calibrated else None
    names = stages(weights)
    for number, name in enumerate(names):
        if report is not None:
            report(name, number, len(names))
        stage = kept(name)
        part = partial(run_layer, number)
        if together is None:
            stage = stage or Stage(_rounded(_matrices(name, own), to, {}, search=kind != "rtn"), {})
        elif kind == "awq":
            stage = stage or _scaled(name, own, to, partial(together.run, part, states))
        else:
            stage = stage or Stage({}, {})
            lost = None
            if not weights.config.post_norms:
                lost = np.concatenate(states[: len(windows)]) - np.concatenate(states[len(windows) :])
            states = together.run(part, states, TargetedRounding(tensors, stage.solutions, to, lost))
        yield name, stage
        tensors |= stage.gains | {key: solution.values for key, solution in stage.solutions.items()}
        if together is not None and kind == "awq" and name != HEAD:
            states = together.run(part, states, Products(tensors))


def _matrices(name: str, own: Weights) -> dict[str, np.ndarray]:
    """Return the matrices of a stage by their full names."""
    names = (HEAD,) if name == HEAD else tuple(f"{name}.{each}" for each in own.config.layer_linears)
    return {each: own.tensors[each] for each in names}


def _scaled(
    name: str,
    own: Weights,
    to: WeightFormat,
    run: Callable[[Answer], object],
) -> Stage:
    """Return a stage of the method "awq"; `run` takes the calibration text through it."""
    seen = Hessians(own.tensors)
    run(seen)
    matrices, gains, hessians = scaled_channels(own.tensors, name, _matrices(name, own), seen.sums, to)
    return Stage(_rounded(matrices, to, hessians), gains)


def _rounded(
    matrices: Mapping[str, np.ndarray], to: WeightFormat, hessians: Mapping[str, np.ndarray], *, search: bool = True
) -> dict[str, Solution]:
    solutions = {}
    for name, matrix in matrices.items():
        try:
            solutions[name] = nearest(matrix, to, search=search, hessian=hessians.get(name))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    return solutions


def _untied(weights: Weights) -> Weights:
    return Weights(replace(weights.config, tied_head=False), weights.tensors | {HEAD: weights.matrix(HEAD)})
