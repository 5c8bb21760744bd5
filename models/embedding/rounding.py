"""Sentence encoders with matrices of few bits, compensated on calibration texts; the lookup of words stays in float."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwbase import InputError, unknown_name
from models.embedding.encoder import SentenceEncoder
from models.embedding.weights import EncoderWeights
from models.quantise.formats import WeightFormat
from models.quantise.gptq import gptq, nearest

#: Matrices rounded to nearest, with searched scales, or compensated (`models.quantise.gptq`).
METHODS = ("rtn", "search", "gptq")
_ATTENTION, _MIXED, _INNER = "attention.self.query", "attention.output.dense", "output.dense"
#: Matrices of a layer, and the first that reads the same input.
_READS = {
    _ATTENTION: _ATTENTION,
    "attention.self.key": _ATTENTION,
    "attention.self.value": _ATTENTION,
    _MIXED: _MIXED,
    "intermediate.dense": "intermediate.dense",
    _INNER: _INNER,
}


def rounded_encoder(
    weights: EncoderWeights, to: WeightFormat, method: str = "gptq", texts: Sequence[str] = ()
) -> EncoderWeights:
    """Return an encoder whose layers' matrices are rounded to a format, each calibrated on the rounded ones before it.

    Parameters
    ----------
    weights : EncoderWeights
        The encoder in float.
    to : WeightFormat
        Format of the matrices.
    method : str
        One of `METHODS`. Default "gptq".
    texts : sequence of str
        Calibration texts, which only "gptq" reads.

    Returns
    -------
    EncoderWeights
        With a fingerprint of its own.

    Raises
    ------
    InputError
        For an unknown method, no calibration texts, or matrices or activations that are not finite.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if method == "gptq" and not texts:
        raise InputError("there are no calibration texts: expected at least one")
    tensors = dict(weights.tensors)
    own = replace(weights, tensors=tensors)
    for layer in range(weights.layers):
        hessians = _hessians(own, layer, texts) if method == "gptq" else {}
        for part, source in _READS.items():
            name = f"encoder.layer.{layer}.{part}.weight"
            if method == "gptq":
                tensors[name] = gptq(tensors[name], hessians[source], to).values
            else:
                tensors[name] = nearest(tensors[name], to, search=method == "search").values
    digest = hashlib.sha256(weights.fingerprint.encode())
    for name in sorted(tensors):
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return replace(own, fingerprint=digest.hexdigest())


def _hessians(weights: EncoderWeights, layer: int, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the sum of x x^T of each input of a layer over all tokens of the texts."""
    watched = _Watched(weights, layer)
    watched.embed(texts)
    return watched.sums


class _Watched(SentenceEncoder):
    """An encoder that adds up x x^T of the inputs of one layer's matrices, padding left out."""

    def __init__(self, weights: EncoderWeights, layer: int) -> None:
        super().__init__(weights)
        self._watched = layer
        self._real = np.zeros(0, bool)
        self.sums: dict[str, np.ndarray] = {}

    def _forward(self, batch: Sequence[Sequence[int]]) -> np.ndarray:
        lengths = np.array([len(ids) for ids in batch])
        self._real = (np.arange(lengths.max()) < lengths[:, None]).ravel()
        return super()._forward(batch)

    def _layer(self, layer: int, state: np.ndarray, shape: tuple[int, ...], mask: np.ndarray | None) -> np.ndarray:
        if layer == self._watched:
            self._add(_ATTENTION, state)
        return super()._layer(layer, state, shape, mask)

    def _linear(self, name: str, state: np.ndarray) -> np.ndarray:
        start = f"encoder.layer.{self._watched}."
        if name.startswith(start):
            self._add(name.removeprefix(start), state)
        return super()._linear(name, state)

    def _add(self, part: str, x: np.ndarray) -> None:
        real = x[self._real]
        self.sums[part] = self.sums.get(part, 0.0) + real.T @ real
