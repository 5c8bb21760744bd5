"""The parts of a transformer layer that have no matrix: norms, positions, attention over cached keys, activations."""

from collections.abc import Sequence

import numpy as np
from scipy.special import erf, expit


def rms_norm(x: np.ndarray, gain: np.ndarray, epsilon: float) -> np.ndarray:
    """Return x / sqrt(mean(x^2) + epsilon) * gain over the last axis, float32, shaped like `x`.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.
    """
    mean = np.vecdot(x, x)[..., None] / np.float32(x.shape[-1])
    return x / np.sqrt(mean + np.float32(epsilon)) * gain


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray, epsilon: float) -> np.ndarray:
    """Return (x - mean) / sqrt(variance + epsilon) * gain + bias over the last axis, float32, shaped like `x`.

    Ba et al., "Layer Normalization", arXiv 1607.06450.
    """
    return rms_norm(x - x.mean(axis=-1, keepdims=True), gain, epsilon) + bias


def frequencies(head_dim: int, theta: float, divisors: Sequence[float] = ()) -> np.ndarray:
    """Return theta^(-2j / head_dim) / divisor j of each pair j, radians per position, float64 (head_dim / 2,)."""
    plain = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    return plain / np.asarray(divisors) if len(divisors) else plain


def rotations(positions: np.ndarray, frequencies: np.ndarray, magnitude: float = 1.0) -> np.ndarray:
    """Return magnitude * exp(i p f), complex64 (positions, pairs), for positions p and frequencies f.

    Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv 2104.09864.
    """
    turns = np.exp(1j * np.outer(positions, frequencies))
    return (turns if magnitude == 1.0 else magnitude * turns).astype(np.complex64)


def rotate(x: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return heads turned by their positions: `x` float32 (tokens, heads, head_dim), `rotation` complex64 (tokens,
    head_dim / 2). Pairs are neighbours (2j, 2j + 1), the order of `Weights`.
    """
    pairs = np.ascontiguousarray(x).view(np.complex64)
    return (pairs * rotation[:, None, :]).view(np.float32)


def attend(
    queries: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    *,
    scale: float | None = None,
    cap: float | None = None,
    window: int = 0,
) -> np.ndarray:
    """Return causal grouped-query attention, float32 (tokens, query heads x head_dim).

    Query heads h x group .. share key-value head h. Ainslie et al., "GQA", arXiv 2305.13245.

    Parameters
    ----------
    queries : ndarray of float32, (tokens, query heads, head_dim)
        Queries of the last positions of `keys`.
    keys, values : ndarray of float32, (kv heads, positions, head_dim)
        All positions so far.
    scale : float, optional
        Factor of the scores; 1 / sqrt(head_dim) unless given.
    cap : float, optional
        Scores s become cap tanh(s / cap) (Gemma Team, "Gemma 2", arXiv 2408.00118).
    window : int
        Positions that a token sees, its own included; 0, the default, is all.
    """
    tokens, heads, width = queries.shape
    if window:
        keys, values = keys[:, -(window + tokens - 1) :], values[:, -(window + tokens - 1) :]
    kv_heads, positions, _ = keys.shape
    grouped = queries.reshape(tokens, kv_heads, heads // kv_heads, width).transpose(1, 2, 0, 3)
    grouped = grouped.reshape(kv_heads, -1, width) * np.float32(width**-0.5 if scale is None else scale)
    scores = grouped @ keys.transpose(0, 2, 1)
    if cap is not None:
        np.tanh(scores / np.float32(cap), out=scores)
        scores *= np.float32(cap)
    if tokens > 1:
        own = np.arange(positions - tokens, positions)[:, None]
        hidden = np.arange(positions) > own
        if window:
            hidden |= np.arange(positions) <= own - window
        np.copyto(scores.reshape(kv_heads, -1, tokens, positions), np.float32(-np.inf), where=hidden)
    mixed = softmax(scores) @ values
    mixed = mixed.reshape(kv_heads, heads // kv_heads, tokens, width).transpose(2, 0, 1, 3)
    return mixed.reshape(tokens, heads * width)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return exp(scores) normalised over the last axis; overwrites `scores`. Each row needs one finite score."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def activate(x: np.ndarray, activation: str) -> np.ndarray:
    """Return an activation of `models.inference.config.ACTIVATIONS`, elementwise, float32.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", arXiv 1606.08415, with their approximation by tanh.
    """
    if activation == "silu":
        return x * expit(x)
    half = np.float32(0.5) * x
    if activation == "gelu-tanh":
        inner = np.float32(np.sqrt(2.0 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
        return half * (np.float32(1.0) + np.tanh(inner))
    return half * (np.float32(1.0) + erf(x * np.float32(np.sqrt(0.5))))


def gated(gate: np.ndarray, up: np.ndarray, activation: str = "silu") -> np.ndarray:
    """Return the activation of `gate` times `up`. Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202."""
    return activate(gate, activation) * up
