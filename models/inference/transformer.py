"""The forward pass of a Llama-family transformer in NumPy: prefill, key-value cache, one token at a time.

Matrices are applied by a linear operator that the caller may replace (another number format, another machine's
arithmetic); norms, rotary positions, attention and SwiGLU are float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from hwbase import InputError, check
from models.inference.config import EMBEDDING, HEAD, TransformerConfig
from models.inference.layers import attend, rms_norm, rotate, rotations, swiglu
from models.inference.weights import Weights

#: Tokens of a prompt that pass through the layers together; bounds the memory of their scores.
PREFILL_CHUNK = 512


class Linear(Protocol):
    """Multiplies activations with the matrix of that name.

    `name` is one of `TransformerConfig.linear_shapes`, `x` float32 (tokens, inputs), `position` that of the first
    token in its sequence (so that an operator can treat the first token apart). Returns float32 (tokens, outputs).
    """

    def __call__(self, name: str, x: np.ndarray, position: int) -> np.ndarray: ...


def multiply(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return x @ matrix^T, float32 (tokens, outputs), for `x` (tokens, inputs) and `matrix` (outputs, inputs).

    One token is a row-by-row scalar product: it reads the matrix as fast as memory gives it, whichever the processor;
    OpenBLAS's matrix-vector product went from half that rate to 1.07 times it (benchmarks/inference.py).
    """
    if len(x) == 1:
        return np.vecdot(matrix, x[0])[None]
    return x @ matrix.T


class FloatLinear:
    """The plain product x @ W^T in float32, with matrices (outputs, inputs) by name."""

    def __init__(self, matrices: Mapping[str, np.ndarray]) -> None:
        self._matrices = dict(matrices)

    def __call__(self, name: str, x: np.ndarray, position: int) -> np.ndarray:
        """Return float32 (tokens, outputs) for `x` (tokens, inputs); `position` does not matter."""
        return multiply(self._matrices[name], x)


@dataclass(eq=False)
class Cache:
    """Keys and values of one sequence, float32 (layers, kv heads, capacity, head_dim); `length` positions are filled.

    `rollback` forgets positions, so a prompt can be shared by several continuations.
    """

    keys: np.ndarray
    values: np.ndarray
    length: int = 0

    @property
    def capacity(self) -> int:
        """Positions there is room for."""
        return int(self.keys.shape[2])

    def rollback(self, length: int) -> None:
        """Keep the first `length` positions only; raises `InputError` when there are fewer."""
        self.length = check.integer("length", length, low=0, high=self.length)


@dataclass(frozen=True, eq=False)
class Transformer:
    """A network that is ready to run: `weights`, and the operator that applies its matrices (float32 unless given)."""

    weights: Weights
    linear: Linear | None = None

    @property
    def config(self) -> TransformerConfig:
        """Sizes of the network."""
        return self.weights.config

    def cache(self, capacity: int | None = None) -> Cache:
        """Return an empty cache for `capacity` positions (the network's context unless given, which bounds it)."""
        config = self.config
        room = check.integer("capacity", config.context if capacity is None else capacity, high=config.context)
        shape = (config.layers, config.kv_heads, room, config.head_dim)
        return Cache(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def forward(self, tokens: Sequence[int] | np.ndarray, cache: Cache | None = None, *, last: bool = False) -> Any:
        """Return the logits that follow each token, float32 (tokens, vocabulary); with `last` only those of the last.

        `tokens` continue the sequence in `cache`, which grows by them; without a cache they are a whole sequence. Long
        prompts pass in runs of `PREFILL_CHUNK`, which an operator that scales activations together sees one at a time.
        Raises `InputError` for no tokens, ids outside the vocabulary, or more than the context or cache holds.
        """
        ids = check_tokens(tokens, self.config.vocabulary)
        cache = self.cache(min(len(ids), self.config.context)) if cache is None else cache
        if cache.length + len(ids) > cache.capacity:
            raise InputError(
                f"{len(ids)} tokens after {cache.length}: expected at most {cache.capacity} positions in all"
            )
        logits = []
        for start in range(0, len(ids), PREFILL_CHUNK):
            first = cache.length
            hidden = self._layers(ids[start : start + PREFILL_CHUNK], cache)
            if not last:
                logits.append(self._linear(HEAD, hidden, first))
        if last:
            return self._linear(HEAD, hidden[-1:], cache.length - 1)
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    def states(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return what enters each layer, and last what leaves them all, float32 (layers + 1, tokens, hidden).

        `tokens` are a whole sequence. Raises `InputError` as `forward` does.
        """
        ids = check_tokens(tokens, self.config.vocabulary)
        cache = self.cache(len(ids))
        states = [self.weights.tensors[EMBEDDING][ids]]
        for i in range(self.config.layers):
            states.append(self._layer(i, states[-1], cache))
        return np.stack(states)

    def resume(self, state: np.ndarray, layer: int) -> np.ndarray:
        """Return the logits of a whole sequence from what enters `layer` (one of `states`), float32 (tokens,
        vocabulary); the layers before it are not run. Raises `InputError` for a layer that there is not.
        """
        x, cache = state, self.cache(len(state))
        for i in range(check.integer("layer", layer, low=0, high=self.config.layers), self.config.layers):
            x = self._layer(i, x, cache)
        return self._linear(HEAD, self._last_norm(x), 0)

    def layer(self, i: int, state: np.ndarray) -> np.ndarray:
        """Return what leaves layer `i` for a whole sequence that enters it, float32 (tokens, hidden)."""
        return self._layer(check.integer("layer", i, low=0, high=self.config.layers - 1), state, self.cache(len(state)))

    def _layers(self, ids: np.ndarray, cache: Cache) -> np.ndarray:
        x = self.weights.tensors[EMBEDDING][ids]
        for i in range(self.config.layers):
            x = self._layer(i, x, cache)
        cache.length += len(ids)
        return self._last_norm(x)

    def _layer(self, i: int, x: np.ndarray, cache: Cache) -> np.ndarray:
        """Return what layer `i` makes of `x` (tokens, hidden), the positions that follow those in `cache`."""
        config, tensors, linear = self.config, self.weights.tensors, self._linear
        start, stop = cache.length, cache.length + len(x)
        turn = self._rotations[start:stop]
        layer = f"blk.{i}."
        keys, values = cache.keys[i, :, :stop], cache.values[i, :, :stop]
        normed = rms_norm(x, tensors[layer + "attn_norm"], config.norm_epsilon)
        queries = self._heads(linear(layer + "attn_q", normed, start))
        keys[:, start:] = rotate(self._heads(linear(layer + "attn_k", normed, start)), turn).transpose(1, 0, 2)
        values[:, start:] = self._heads(linear(layer + "attn_v", normed, start)).transpose(1, 0, 2)
        mixed = attend(rotate(queries, turn), keys, values)
        x = x + linear(layer + "attn_output", mixed, start)
        normed = rms_norm(x, tensors[layer + "ffn_norm"], config.norm_epsilon)
        gate, up = linear(layer + "ffn_gate", normed, start), linear(layer + "ffn_up", normed, start)
        return x + linear(layer + "ffn_down", swiglu(gate, up), start)

    def _last_norm(self, x: np.ndarray) -> np.ndarray:
        return rms_norm(x, self.weights.tensors["output_norm"], self.config.norm_epsilon)

    def _heads(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1, self.config.head_dim)

    @cached_property
    def _linear(self) -> Linear:
        return FloatLinear(self.weights.matrices()) if self.linear is None else self.linear

    @cached_property
    def _rotations(self) -> np.ndarray:
        return rotations(self.config.context, self.config.head_dim, self.config.rope_theta)


def check_tokens(tokens: Sequence[int] | np.ndarray, vocabulary: int) -> np.ndarray:
    """Return token ids as int64 (tokens,); raises `InputError` for none, or ids that are not 0 .. vocabulary - 1."""
    ids = np.asarray(tokens)
    if ids.ndim != 1 or ids.size == 0:
        raise InputError(f"tokens have shape {ids.shape}: expected a sequence of at least one token")
    if ids.dtype.kind not in "iu":
        raise InputError(f"tokens are of type {ids.dtype}: expected whole numbers")
    if ids.min() < 0 or ids.max() >= vocabulary:
        raise InputError(f"token {ids.min() if ids.min() < 0 else ids.max()}: expected ids from 0 to {vocabulary - 1}")
    return ids.astype(np.int64)
