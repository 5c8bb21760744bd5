"""Sentences to unit vectors: a BERT encoder's forward pass in NumPy, in batches of about the same length.

Devlin et al., "BERT", NAACL 2019; token vectors averaged over the sentence and scaled to length 1 as in Reimers and
Gurevych, "Sentence-BERT", EMNLP 2019.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from models.embedding.weights import EncoderWeights

#: Tokens of a batch, padding included: enough for full speed of the matrix products, small enough for the cache.
_BATCH_TOKENS = 512
_MASKED = np.float32(-1e9)
#: erf by Abramowitz and Stegun 7.1.26, off by 1.5e-7 at most: as good as float32, and made of fast operations.
_ERF_POLE = np.float32(0.3275911)
_ERF = tuple(np.float32(value) for value in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
_GELU_ROWS = 32

Report = Callable[[str, int, int], None]


class SentenceEncoder:
    """Embeds text with the weights of `read_encoder`, by all layers or the first `layers`.

    Raises `InputError` for more layers than there are.
    """

    def __init__(self, weights: EncoderWeights, layers: int | None = None) -> None:
        self._weights = weights
        self.layers = weights.layers if layers is None else integer("layers", layers, high=weights.layers)
        self.dims = weights.hidden
        stopped = "" if self.layers == weights.layers else f"-{self.layers} layers"
        self.fingerprint = f"{weights.fingerprint}{stopped}"
        tensors = weights.tensors
        self._positions = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        joined = []
        for layer in range(self.layers):
            names = [f"encoder.layer.{layer}.attention.self.{part}" for part in ("query", "key", "value")]
            joined.append(
                (
                    np.ascontiguousarray(np.concatenate([tensors[f"{name}.weight"] for name in names]).T),
                    np.concatenate([tensors[f"{name}.bias"] for name in names]),
                )
            )
        self._attention_inputs = joined

    def embed(self, texts: Sequence[str], report: Report | None = None) -> np.ndarray:
        """Return unit vectors float32 (len(texts), dims); a text is cut at 256 tokens.

        `report` receives (what, done, total) after each batch. Raises `InputError` for what is not text.
        """
        vectors = np.empty((len(texts), self.dims), np.float32)
        for batch, states in self._states(texts, report):
            means = np.stack([own.mean(axis=0) for own in states])
            vectors[batch] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return vectors

    def embed_tokens(self, texts: Sequence[str], report: Report | None = None) -> list[np.ndarray]:
        """Return the vectors of the tokens of each text, float32 (tokens, dims), of length 1.

        The marks at both ends are tokens too, so that no text is without vectors. As for `embed` otherwise.
        """
        tokens: list[np.ndarray] = [np.empty((0, self.dims), np.float32)] * len(texts)
        for batch, states in self._states(texts, report):
            for text, own in zip(batch.tolist(), states, strict=True):
                tokens[text] = own / np.linalg.norm(own, axis=1, keepdims=True)
        return tokens

    def _states(self, texts: Sequence[str], report: Report | None) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Yield texts of about the same length with the last states of their tokens, float32 (tokens, dims) each."""
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"text {number} is of type {type(text).__name__}: expected str")
        encoded = [item.ids for item in self._weights.tokenizer.encode_batch(list(texts))]
        order, done = np.argsort([len(ids) for ids in encoded], kind="stable"), 0
        while done < len(order):
            batch = self._batch(encoded, order, done)
            state = self._forward([encoded[i] for i in batch])
            yield batch, [state[row, : len(encoded[text])] for row, text in enumerate(batch)]
            done += len(batch)
            if report is not None:
                report("embedding", done, len(order))

    @staticmethod
    def _batch(encoded: Sequence[Sequence[int]], order: np.ndarray, start: int) -> np.ndarray:
        """Return the next texts in order of length that fit one batch when padded to its longest."""
        end = start + 1
        while end < len(order) and (end + 1 - start) * len(encoded[order[end]]) <= _BATCH_TOKENS:
            end += 1
        return order[start:end]

    def _forward(self, batch: Sequence[Sequence[int]]) -> np.ndarray:
        longest = max(len(ids) for ids in batch)
        tokens, real = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), bool)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)], real[row, : len(ids)] = ids, True
        hidden = self._weights.tensors["embeddings.word_embeddings.weight"][tokens] + self._positions[:longest]
        state = self._normalise("embeddings.LayerNorm", hidden.reshape(-1, self.dims))
        mask = None if real.all() else np.where(real, np.float32(0), _MASKED)[:, None, None, :]
        for layer in range(self.layers):
            state = self._layer(layer, state, tokens.shape, mask)
        return state.reshape(*tokens.shape, self.dims)

    def _layer(self, layer: int, state: np.ndarray, shape: tuple[int, ...], mask: np.ndarray | None) -> np.ndarray:
        name = f"encoder.layer.{layer}"
        weight, bias = self._attention_inputs[layer]
        parts = (state @ weight + bias).reshape(*shape, 3, self._weights.heads, -1)
        query, key, value = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.float32(query.shape[-1]))
        if mask is not None:
            scores += mask
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ value).transpose(0, 2, 1, 3).reshape(-1, self.dims)
        state = self._normalise(
            f"{name}.attention.output.LayerNorm", state + self._linear(f"{name}.attention.output.dense", mixed)
        )
        inner = self._linear(f"{name}.intermediate.dense", state)
        _gelu(inner)
        return self._normalise(f"{name}.output.LayerNorm", state + self._linear(f"{name}.output.dense", inner))

    def _linear(self, name: str, state: np.ndarray) -> np.ndarray:
        tensors = self._weights.tensors
        return state @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def _normalise(self, name: str, state: np.ndarray) -> np.ndarray:
        tensors = self._weights.tensors
        centred = state - state.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(self._weights.epsilon))
        return centred / spread * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def _gelu(x: np.ndarray) -> None:
    """Replace `x` float32 (rows, n) by x Phi(x) in place, a few rows at a time so that all stays in the cache."""
    for start in range(0, len(x), _GELU_ROWS):
        part = x[start : start + _GELU_ROWS]
        size = np.abs(part) * np.float32(np.sqrt(0.5))
        pole = 1 / (1 + _ERF_POLE * size)
        series = _ERF[0] * pole
        for coefficient in _ERF[1:]:
            series += coefficient
            series *= pole
        size *= size
        np.negative(size, out=size)
        np.exp(size, out=size)
        # Half of 1 - erf(|x| / sqrt 2): what Phi lacks on the far side.
        series *= size
        series *= np.float32(0.5)
        part *= np.where(part >= 0, 1 - series, series)
