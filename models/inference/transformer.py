"""The forward pass of a decoder-only transformer in NumPy: prefill, key-value cache, one token at a time.

Matrices are applied by a linear operator that the caller may replace (another number format, another machine's
arithmetic); biases, norms, positions, attention and activations are float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from hwbase import InputError, check
from models.inference.config import EMBEDDING, HEAD, TransformerConfig
from models.inference.kv import KV_FLOAT, KVRounding, check_kv, kv_rounding
from models.inference.layers import activate, attend, frequencies, gated, layer_norm, rms_norm, rotate, rotations
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
    """A network that is ready to run: `weights`, and the operator that applies its matrices (float32 unless given).

    `kv` is the format of cached keys and values, one of `models.inference.kv.KV_FORMATS`.
    """

    weights: Weights
    linear: Linear | None = None
    kv: str = KV_FLOAT

    def __post_init__(self) -> None:
        check_kv(self.kv)

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
                logits.append(self._logits(hidden, first))
        if last:
            return self._logits(hidden[-1:], cache.length - 1)
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    def states(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return what enters each layer, and last what leaves them all, float32 (layers + 1, tokens, hidden).

        `tokens` are a whole sequence. Raises `InputError` as `forward` does.
        """
        ids = check_tokens(tokens, self.config.vocabulary)
        cache = self.cache(len(ids))
        states = [self.embed(ids)]
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
        return self._logits(self._norm(x, "output_norm"), 0)

    def layer(self, i: int, state: np.ndarray) -> np.ndarray:
        """Return what leaves layer `i` for a whole sequence that enters it, float32 (tokens, hidden)."""
        return self._layer(check.integer("layer", i, low=0, high=self.config.layers - 1), state, self.cache(len(state)))

    def embed(self, ids: np.ndarray, position: int = 0) -> np.ndarray:
        """Return what enters the first layer for token ids that begin at `position`, float32 (tokens, hidden)."""
        tensors, config = self.weights.tensors, self.config
        x: np.ndarray = tensors[EMBEDDING][ids]
        if config.embedding_scale != 1.0:
            x = x * np.float32(config.embedding_scale)
        return x + tensors["position_embd"][position : position + len(ids)] if config.learned_positions else x

    def _layers(self, ids: np.ndarray, cache: Cache) -> np.ndarray:
        x = self.embed(ids, cache.length)
        for i in range(self.config.layers):
            x = self._layer(i, x, cache)
        cache.length += len(ids)
        return self._norm(x, "output_norm")

    def _layer(self, i: int, x: np.ndarray, cache: Cache) -> np.ndarray:
        """Return what layer `i` makes of `x` (tokens, hidden), the positions that follow those in `cache`."""
        config, layer = self.config, f"blk.{i}."
        start, stop = cache.length, cache.length + len(x)
        keys, values = cache.keys[i, :, :stop], cache.values[i, :, :stop]
        normed = self._norm(x, layer + "attn_norm")
        queries = self._turned(i, "attn_q", normed, start)
        new = self._turned(i, "attn_k", normed, start), self._heads(self._product(layer + "attn_v", normed, start))
        for cached, each in zip((keys, values), new, strict=True):
            cached[:, start:] = (each if self._stored is None else self._stored(each)).transpose(1, 0, 2)
        window, scale, cap = config.window(i), config.attention_scale, config.attention_cap
        mixed = attend(queries, keys, values, scale=scale, cap=cap, window=window)
        x = self._added(x, self._product(layer + "attn_output", mixed, start), layer + "post_attention_norm")
        normed = self._norm(x, layer + "ffn_norm")
        if config.gated:
            gate = self._product(layer + "ffn_gate", normed, start)
            inner = gated(gate, self._product(layer + "ffn_up", normed, start), config.activation)
        else:
            inner = activate(self._product(layer + "ffn_up", normed, start), config.activation)
        return self._added(x, self._product(layer + "ffn_down", inner, start), layer + "post_ffw_norm")

    def _turned(self, i: int, name: str, x: np.ndarray, start: int) -> np.ndarray:
        """Return queries or keys of layer `i` with their norms and positions, float32 (tokens, heads, head_dim)."""
        heads = self._heads(self._product(f"blk.{i}.{name}", x, start))
        if self.config.head_norms:
            heads = self._norm(heads, f"blk.{i}.{name}_norm")
        if self.config.learned_positions:
            return heads
        local = self.config.window(i) > 0 and self.config.local_rope_theta is not None
        return rotate(heads, self._rotations(local, start, start + len(x)))

    def _product(self, name: str, x: np.ndarray, start: int) -> np.ndarray:
        """Return the product with a matrix, and its bias where it has one."""
        y = self._linear(name, x, start)
        bias = self.weights.tensors.get(f"{name}.bias")
        return y if bias is None else y + bias

    def _added(self, x: np.ndarray, y: np.ndarray, norm: str) -> np.ndarray:
        return x + (self._norm(y, norm) if self.config.post_norms else y)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        tensors, epsilon = self.weights.tensors, self.config.norm_epsilon
        if self.config.norm == "rms":
            return rms_norm(x, tensors[name], epsilon)
        return layer_norm(x, tensors[name], tensors[f"{name}.bias"], epsilon)

    def _logits(self, x: np.ndarray, position: int) -> np.ndarray:
        logits, cap = self._linear(HEAD, x, position), self.config.logit_cap
        return logits if cap is None else np.tanh(logits / np.float32(cap)) * np.float32(cap)

    def _heads(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1, self.config.head_dim)

    def _rotations(self, local: bool, start: int, stop: int) -> np.ndarray:
        """Return the rotations of positions, kept from one layer to the next."""
        if self._turns.get(local, (0, 0, None))[:2] != (start, stop):
            turns = rotations(np.arange(start, stop), self._frequencies[local], self._magnitudes[local])
            self._turns[local] = (start, stop, turns)
        return self._turns[local][2]

    @cached_property
    def _linear(self) -> Linear:
        return FloatLinear(self.weights.matrices()) if self.linear is None else self.linear

    @cached_property
    def _stored(self) -> KVRounding | None:
        return kv_rounding(self.kv)

    @cached_property
    def _frequencies(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rotary frequencies of layers that see all positions, and of those with a window."""
        config = self.config
        plain = frequencies(config.head_dim, config.rope_theta, config.rope_divisors)
        return plain, frequencies(config.head_dim, config.local_rope_theta or config.rope_theta)

    @cached_property
    def _magnitudes(self) -> tuple[float, float]:
        return self.config.rope_magnitude, 1.0

    @cached_property
    def _turns(self) -> dict[bool, tuple[int, int, Any]]:
        return {}


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
