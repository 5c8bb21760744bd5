"""A small network with its gradients by hand: Linear, batch norm, ReLU, Linear, and the recurrent binariser of these.

Shan et al., KDD '23 (arXiv 2302.08714); the recurrence is that of RBE, KDD '18 (arXiv 1802.06466). Parameters are a
dictionary of arrays; a forward pass keeps what its backward pass needs.
"""

from typing import Any

import numpy as np

Parameters = dict[str, np.ndarray]
Gradients = dict[str, np.ndarray]

_EPSILON = 1e-5
#: Share of the running statistics that one batch replaces.
_MOMENTUM = 0.1


def new_block(rng: np.random.Generator, name: str, sizes: tuple[int, int, int], dtype: Any = np.float32) -> Parameters:
    """Return the parameters of one block, inputs to hidden to outputs, names starting with `name`.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random weights.
    name : str
        Start of the names of the parameters.
    sizes : tuple of int
        Inputs, hidden units and outputs.
    dtype : dtype
        Type of the parameters. Default float32.
    """
    inputs, hidden, outputs = sizes

    def weights(rows: int, columns: int) -> np.ndarray:
        # He et al., ICCV 2015: keeps the variance through a ReLU.
        return (rng.standard_normal((rows, columns)) * np.sqrt(2.0 / rows)).astype(dtype)

    return {
        f"{name}.w1": weights(inputs, hidden),
        f"{name}.gain": np.ones(hidden, dtype),
        f"{name}.shift": np.zeros(hidden, dtype),
        f"{name}.w2": weights(hidden, outputs),
        f"{name}.b2": np.zeros(outputs, dtype),
        f"{name}.mean": np.zeros(hidden, dtype),
        f"{name}.variance": np.ones(hidden, dtype),
    }


def linear_block(rng: np.random.Generator, name: str, matrix: np.ndarray, hidden: int) -> Parameters:
    """Return a block that starts as x to x @ `matrix` (inputs, outputs), up to what batch norm centres and scales.

    A number is what ReLU leaves of it less what ReLU leaves of its negative, so that `hidden` must be twice the outputs
    at least, or the inputs where they are fewer. Further hidden units start with random input weights and zero
    output weights.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random weights.
    name : str
        Start of the names of the parameters.
    matrix : ndarray, (inputs, outputs)
        The map that the block starts as.
    hidden : int
        Hidden units.
    """
    inputs, outputs = matrix.shape
    made = new_block(rng, name, (inputs, hidden, outputs), matrix.dtype)
    narrow = min(inputs, outputs)
    before, after = (matrix, np.eye(outputs)) if outputs <= inputs else (np.eye(inputs), matrix)
    made[f"{name}.w1"][:, : 2 * narrow] = np.concatenate([before, -before], axis=1)
    made[f"{name}.w2"][:] = 0
    made[f"{name}.w2"][: 2 * narrow] = np.concatenate([after, -after])
    return made


def trained_names(parameters: Parameters) -> list[str]:
    """Return the names that gradients exist for: all but the running statistics."""
    return [name for name in parameters if not name.endswith((".mean", ".variance"))]


def block(parameters: Parameters, name: str, x: np.ndarray, *, training: bool) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return (outputs, what `block_backward` needs); in training by the batch's statistics, which it remembers.

    The first Linear has no bias: batch norm would take it away again.

    Parameters
    ----------
    parameters : dict of ndarray
        Parameters of the network; running statistics are updated in training.
    name : str
        Name of the block.
    x : ndarray, (N, inputs)
        Inputs.
    training : bool
        Whether to use the statistics of the batch.
    """
    hidden = x @ parameters[f"{name}.w1"]
    if training:
        mean, variance = hidden.mean(axis=0), hidden.var(axis=0)
        for kind, value in (("mean", mean), ("variance", variance)):
            running = parameters[f"{name}.{kind}"]
            running += _MOMENTUM * (value - running)
    else:
        mean, variance = parameters[f"{name}.mean"], parameters[f"{name}.variance"]
    scale = 1.0 / np.sqrt(variance + _EPSILON)
    normal = (hidden - mean) * scale
    active = np.maximum(normal * parameters[f"{name}.gain"] + parameters[f"{name}.shift"], 0)
    return active @ parameters[f"{name}.w2"] + parameters[f"{name}.b2"], (x, normal, scale, active)


def block_backward(
    parameters: Parameters, name: str, kept: tuple[Any, ...], slope: np.ndarray, gradients: Gradients
) -> np.ndarray:
    """Add the gradients of the block's parameters to `gradients` and return that of its inputs (training mode).

    Parameters
    ----------
    parameters : dict of ndarray
        Parameters of the network.
    name : str
        Name of the block.
    kept : tuple
        What `block` returned for this purpose.
    slope : ndarray, (N, outputs)
        Gradient with respect to the outputs.
    gradients : dict of ndarray
        Sums of gradients by name; changed in place.
    """
    x, normal, scale, active = kept
    _add(gradients, f"{name}.w2", active.T @ slope)
    _add(gradients, f"{name}.b2", slope.sum(axis=0))
    inner = (slope @ parameters[f"{name}.w2"].T) * (active > 0)
    _add(gradients, f"{name}.gain", (inner * normal).sum(axis=0))
    _add(gradients, f"{name}.shift", inner.sum(axis=0))
    inner = inner * parameters[f"{name}.gain"]
    inner = scale * (inner - inner.mean(axis=0) - normal * (inner * normal).mean(axis=0))
    _add(gradients, f"{name}.w1", x.T @ inner)
    return inner @ parameters[f"{name}.w1"].T


def new_network(
    rng: np.random.Generator,
    inputs: int,
    dims: int,
    planes: int,
    hidden: int,
    dtype: Any = np.float32,
    start: np.ndarray | None = None,
) -> Parameters:
    """Return fresh parameters: block "sign", and for each further plane "back<i>" (to inputs) and "residual<i>".

    With `start` (inputs, dims), orthonormal directions, blocks begin as these and their transpose: the codes are then
    about those of residual signs behind that map, nothing trained. Without, all is random.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random weights.
    inputs : int
        Dimensions of an embedding.
    dims : int
        Dimensions of a code.
    planes : int
        Bits of a dimension.
    hidden : int
        Hidden units of each block.
    dtype : dtype
        Type of the parameters. Default float32.
    start : ndarray, (inputs, dims), optional
        Orthonormal directions to start from.
    """

    def made(name: str, sizes: tuple[int, int, int], matrix: np.ndarray | None) -> Parameters:
        return new_block(rng, name, sizes, dtype) if matrix is None else linear_block(rng, name, matrix, hidden)

    there = None if start is None else start.astype(dtype)
    parameters = made("sign", (inputs, hidden, dims), there)
    for plane in range(1, planes):
        parameters |= made(f"back{plane}", (dims, hidden, inputs), None if there is None else there.T)
        parameters |= made(f"residual{plane}", (inputs, hidden, dims), there)
    return parameters


def sign(x: np.ndarray) -> np.ndarray:
    """Return -1 and +1 in the type of `x`; the sign of zero is +1."""
    return np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1))


def clip(x: np.ndarray) -> np.ndarray:
    """Return `x` cut at -1 and +1: the function whose slope the straight-through estimator takes for that of `sign`."""
    return np.clip(x, -1, 1)


def forward(
    parameters: Parameters, x: np.ndarray, planes: int, *, training: bool, step: Any = sign
) -> tuple[list[np.ndarray], list[Any]]:
    """Return (pre-activations of each plane, what `backward` needs); `step` makes bits of them.

    With b = step(sign block), for i = 1, 2, ...: y = back_i(b), b gains 2^-i step(residual_i(x - y / |y|)).

    Parameters
    ----------
    parameters : dict of ndarray
        Parameters of the network.
    x : ndarray, (N, inputs)
        Inputs.
    planes : int
        Bits of a dimension.
    training : bool
        Whether to use the statistics of the batch.
    step : callable
        Makes bits of pre-activations. Default `sign`.
    """
    before, kept = block(parameters, "sign", x, training=training)
    steps: list[Any] = [(before, kept)]
    value, outputs = step(before), [before]
    for plane in range(1, planes):
        rebuilt, back = block(parameters, f"back{plane}", value, training=training)
        norm = np.sqrt((rebuilt**2).sum(axis=1, keepdims=True) + _EPSILON**2)
        direction = rebuilt / norm
        before, residual = block(parameters, f"residual{plane}", x - direction, training=training)
        value = value + step(before) * x.dtype.type(0.5**plane)
        steps.append((before, back, norm, direction, residual))
        outputs.append(before)
    return outputs, steps


def backward(parameters: Parameters, steps: list[Any], slope: np.ndarray) -> Gradients:
    """Return the gradients of all parameters for the slope of a loss in b; zero through bits with |before| > 1."""
    gradients: Gradients = {}
    for plane in range(len(steps) - 1, 0, -1):
        before, back, norm, direction, residual = steps[plane]
        through = slope * slope.dtype.type(0.5**plane) * (np.abs(before) <= 1)
        inner = -block_backward(parameters, f"residual{plane}", residual, through, gradients)
        inner = (inner - direction * (inner * direction).sum(axis=1, keepdims=True)) / norm
        slope = slope + block_backward(parameters, f"back{plane}", back, inner, gradients)
    before, kept = steps[0]
    block_backward(parameters, "sign", kept, slope * (np.abs(before) <= 1), gradients)
    return gradients


def value_of(outputs: list[np.ndarray], step: Any = sign) -> np.ndarray:
    """Return b = sum_i 2^-i step(pre-activation i)."""
    total = step(outputs[0])
    for plane, before in enumerate(outputs[1:], start=1):
        total = total + step(before) * before.dtype.type(0.5**plane)
    return total


def _add(gradients: Gradients, name: str, value: np.ndarray) -> None:
    gradients[name] = gradients[name] + value if name in gradients else value
