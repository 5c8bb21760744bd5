"""The parts of a transformer layer that have no matrix: norm, rotary positions, attention over cached keys, SwiGLU."""

import numpy as np
from scipy.special import expit


def rms_norm(x: np.ndarray, gain: np.ndarray, epsilon: float) -> np.ndarray:
    """Return x / sqrt(mean(x^2) + epsilon) * gain over the last axis, float32, shaped like `x`.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.
    """
    mean = np.vecdot(x, x)[..., None] / np.float32(x.shape[-1])
    return x / np.sqrt(mean + np.float32(epsilon)) * gain


def rotations(positions: int, head_dim: int, theta: float) -> np.ndarray:
    """Return exp(i p theta^(-2j / head_dim)), complex64 (positions, head_dim / 2), for position p and pair j.

    Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv 2104.09864.
    """
    frequencies = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    return np.exp(1j * np.outer(np.arange(positions), frequencies)).astype(np.complex64)


def rotate(x: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return heads turned by their positions: `x` float32 (tokens, heads, head_dim), `rotation` complex64 (tokens,
    head_dim / 2). Pairs are neighbours (2j, 2j + 1), the order of GGUF files of the Llama family.
    """
    pairs = np.ascontiguousarray(x).view(np.complex64)
    return (pairs * rotation[:, None, :]).view(np.float32)


def attend(queries: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return causal grouped-query attention, float32 (tokens, query heads x head_dim).

    `queries` (tokens, query heads, head_dim) are the last positions of `keys` and `values` (kv heads, positions,
    head_dim); query heads h x group .. share key-value head h. Scores are scaled by 1 / sqrt(head_dim).
    Ainslie et al., "GQA", arXiv 2305.13245.
    """
    tokens, heads, width = queries.shape
    kv_heads, positions, _ = keys.shape
    grouped = queries.reshape(tokens, kv_heads, heads // kv_heads, width).transpose(1, 2, 0, 3)
    grouped = grouped.reshape(kv_heads, -1, width) * np.float32(width**-0.5)
    scores = grouped @ keys.transpose(0, 2, 1)
    if tokens > 1:
        later = np.arange(positions) > np.arange(positions - tokens, positions)[:, None]
        np.copyto(scores.reshape(kv_heads, -1, tokens, positions), np.float32(-np.inf), where=later)
    mixed = softmax(scores) @ values
    mixed = mixed.reshape(kv_heads, heads // kv_heads, tokens, width).transpose(2, 0, 1, 3)
    return mixed.reshape(tokens, heads * width)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return exp(scores) normalised over the last axis; overwrites `scores`. Each row needs one finite score."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def swiglu(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return gate x sigmoid(gate) x up. Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202."""
    return gate * expit(gate) * up
