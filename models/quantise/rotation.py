"""Rotations that fold into the weights of a transformer: the residual stream, and the values of each head.

A random Hadamard matrix spreads outliers of weights and activations over all channels, so that a few levels serve all
of them (Ashkboos et al., "QuaRot", arXiv 2404.00456). The gains of the norms are folded into the matrices that follow;
a norm without gains commutes with a rotation of the residual stream, and attention mixes values linearly, so a rotation
of a head's values is undone by the output matrix. The network's logits stay the same; no operation is added.
"""

from dataclasses import replace

import numpy as np

from hwbase import InputError
from models.inference import EMBEDDING, HEAD, Weights

_READS_ATTENTION, _READS_FEED_FORWARD = ("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up")
_WRITES = ("attn_output", "ffn_down")


def hadamard(size: int) -> np.ndarray | None:
    """Return a Hadamard matrix, float64 of +-1 (size, size); None where neither doubling nor Paley's rules give one.

    Sizes are doubled (Sylvester) from 1, 2 or those of Paley's two constructions: q + 1 for primes q of the form 4 k +
    3, and 2 (q + 1) for primes q of the form 4 k + 1 (Paley, J. Math. Phys. 12, 1933). So 576 is 16 x 36.
    """
    if size == 1:
        return np.ones((1, 1))
    if size % 2:
        return None
    half = hadamard(size // 2)
    if half is not None:
        return np.kron(np.array([[1.0, 1.0], [1.0, -1.0]]), half)
    if size % 4 == 0 and _is_prime(size - 1):
        core = _residues(size - 1)
        bordered = np.block([[np.zeros((1, 1)), np.ones((1, size - 1))], [-np.ones((size - 1, 1)), core]])
        return bordered + np.eye(size)
    q = size // 2 - 1
    if size % 4 == 0 and q % 4 == 1 and _is_prime(q):
        bordered = np.block([[np.zeros((1, 1)), np.ones((1, q))], [np.ones((q, 1)), _residues(q)]])
        return np.kron(bordered, np.array([[1.0, 1.0], [1.0, -1.0]])) + np.kron(
            np.eye(q + 1), np.array([[1.0, -1.0], [-1.0, -1.0]])
        )
    return None


def random_rotation(size: int, random: np.random.Generator) -> np.ndarray:
    """Return an orthogonal matrix, float64 (size, size): Hadamard with random signs, or any where none is known."""
    matrix = hadamard(size)
    if matrix is None:
        q, r = np.linalg.qr(random.standard_normal((size, size)))
        return np.asarray(q * np.sign(np.diagonal(r)))
    return random.choice((-1.0, 1.0), size)[:, None] * matrix / np.sqrt(size)


def fold_gains(weights: Weights) -> Weights:
    """Return the same network with norms of gain 1, their gains in the matrices that follow; the head is untied."""
    tensors = dict(weights.tensors)
    for i in range(weights.config.layers):
        for norm, names in (("attn_norm", _READS_ATTENTION), ("ffn_norm", _READS_FEED_FORWARD)):
            gain = tensors[f"blk.{i}.{norm}"]
            for name in names:
                tensors[f"blk.{i}.{name}"] = tensors[f"blk.{i}.{name}"] * gain
            tensors[f"blk.{i}.{norm}"] = np.ones_like(gain)
    tensors[HEAD] = weights.matrix(HEAD) * tensors["output_norm"]
    tensors["output_norm"] = np.ones_like(tensors["output_norm"])
    return Weights(replace(weights.config, tied_head=False), tensors)


def rotated(weights: Weights, seed: int = 0) -> Weights:
    """Return the same network with its residual stream and the values of its heads rotated at random, gains folded.

    Raises `InputError` for a network whose residual stream no rotation commutes with.
    """
    if weights.config.norm != "rms" or weights.config.post_norms:
        raise InputError("rotation needs norms without means before the matrices alone: expected a method without it")
    random = np.random.default_rng(seed)
    config, folded = weights.config, fold_gains(weights)
    stream = random_rotation(config.hidden, random)
    tensors = dict(folded.tensors)
    for name in (EMBEDDING, HEAD):
        tensors[name] = _product(tensors[name], stream)
    for i in range(config.layers):
        layer = f"blk.{i}."
        for name in (*_READS_ATTENTION, *_READS_FEED_FORWARD):
            tensors[layer + name] = _product(tensors[layer + name], stream)
        for name in _WRITES:
            tensors[layer + name] = _product(stream.T, tensors[layer + name])
            if f"{layer}{name}.bias" in tensors:
                tensors[f"{layer}{name}.bias"] = _product(tensors[f"{layer}{name}.bias"], stream)
        head = random_rotation(config.head_dim, random)
        values = tensors[layer + "attn_v"].reshape(config.kv_heads, config.head_dim, -1)
        tensors[layer + "attn_v"] = _product(head.T, values).reshape(-1, config.hidden)
        if f"{layer}attn_v.bias" in tensors:
            biases = tensors[f"{layer}attn_v.bias"].reshape(config.kv_heads, config.head_dim)
            tensors[f"{layer}attn_v.bias"] = _product(biases, head).ravel()
        output = tensors[layer + "attn_output"].reshape(config.hidden, config.query_heads, config.head_dim)
        tensors[layer + "attn_output"] = _product(output, head).reshape(config.hidden, -1)
    return Weights(folded.config, tensors)


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.matmul(left, right, dtype=np.float64), np.float32)


def _residues(q: int) -> np.ndarray:
    """Return Jacobsthal's matrix: 1 where the difference of row and column is a square mod q, -1 elsewhere, 0 at 0."""
    squares = np.full(q, -1.0)
    squares[np.arange(1, q) ** 2 % q] = 1.0
    squares[0] = 0.0
    return squares[np.subtract.outer(np.arange(q), np.arange(q)) % q]


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % i for i in range(2, int(number**0.5) + 1))
