"""The trained recurrent binariser: float embeddings to codes of a few bits a dimension, learned from pairs of them."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import count
from models.binarize.linear import embeddings, quantising_rotation, rotation, unit
from models.binarize.network import Parameters, forward, new_network
from models.binarize.stores import MOST_PLANES, pack_planes, unpack_planes
from models.binarize.training import Report, Training, train

_BLOCK = 8192
#: Vectors whose nearest neighbour is looked for when no pairs are given.
_MOST_NEIGHBOURS = 30_000


@dataclass(frozen=True, eq=False)
class RecurrentBinarizer:
    """Codes of `dims` dimensions and `bits_per_dim` bits each; one bit is a trained hash.

    `hidden` is the width of its blocks, wider where the start needs it. `fit` returns a binariser that has learned;
    `recalls` are its held-out recall@1, one for each epoch.
    """

    bits_per_dim: int = 2
    dims: int = 256
    hidden: int = 512
    training: Training = field(default_factory=Training)
    parameters: Parameters = field(default_factory=dict, repr=False)
    recalls: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raise `InputError` for sizes that cannot be."""
        count("bits_per_dim", self.bits_per_dim, high=MOST_PLANES)
        count("dims", self.dims, high=16_384)
        count("hidden", self.hidden, high=65_536)

    @property
    def planes(self) -> int:
        """Bits of a dimension."""
        return self.bits_per_dim

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.dims * self.bits_per_dim

    def fit(
        self,
        x: Any,
        pairs: Any = None,
        *,
        compatible_with: "RecurrentBinarizer | None" = None,
        report: Report | None = None,
    ) -> "RecurrentBinarizer":
        """Return this binariser trained on `x` (N, inputs) and `pairs` (P, 2), rows that should find each other.

        The left of a pair is what asks, the right what is found. Without pairs each vector is paired with its nearest
        neighbour (of 30,000 at most). `compatible_with` is a trained binariser of as many dimensions whose codes the
        new ones shall find too. Raises `InputError` for NaN, other shapes, unknown rows, or fewer than 20 pairs.

        Parameters
        ----------
        x : array_like, (N, inputs)
            Embeddings.
        pairs : array_like of int, (P, 2), optional
            Rows that should find each other; nearest neighbours unless given.
        compatible_with : RecurrentBinarizer, optional
            A trained binariser of as many dimensions whose codes the new ones should find.
        report : callable, optional
            Called after each epoch.
        """
        rows = unit(embeddings(x))
        chosen = _neighbours(rows, self.training.seed) if pairs is None else _pairs(pairs, len(rows))
        old = None
        if compatible_with is not None:
            if compatible_with.dims != self.dims:
                raise InputError(f"compatible_with has {compatible_with.dims} dimensions: expected {self.dims}")
            old = compatible_with.decode(compatible_with.encode(rows))
        rng, inputs, hidden, start = np.random.default_rng(self.training.seed), rows.shape[1], self.hidden, None
        if self.training.start == "rotation":
            kind = quantising_rotation if self.dims <= inputs else rotation
            start = kind(rows, self.dims, self.training.seed).matrix
            hidden = max(hidden, 2 * min(self.dims, inputs))
        fresh = new_network(rng, inputs, self.dims, self.bits_per_dim, hidden, start=start)
        learned, recalls = train(fresh, self.bits_per_dim, rows, chosen, self.training, old=old, report=report)
        return dataclasses.replace(self, hidden=hidden, parameters=learned, recalls=tuple(recalls))

    def encode(self, x: Any) -> np.ndarray:
        """Return rows uint8 (N, planes * ceil(dims / 8)), the sign plane first; raises `InputError` if not fitted."""
        rows = self._inputs(x)
        parts = [np.empty((0, self.bits_per_dim * -(-self.dims // 8)), np.uint8)]
        for start in range(0, len(rows), _BLOCK):
            outputs, _ = forward(self.parameters, rows[start : start + _BLOCK], self.bits_per_dim, training=False)
            parts.append(pack_planes([before >= 0 for before in outputs]))
        return np.concatenate(parts)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors b = sum_i 2^-i c_i, float32 (N, dims)."""
        return unpack_planes(rows, self.dims, self.bits_per_dim)

    def before_sign(self, x: Any) -> np.ndarray:
        """Return what the sign plane is the sign of, float32 (N, dims): a query that keeps its magnitudes."""
        return forward(self.parameters, self._inputs(x), 1, training=False)[0][0]

    def _inputs(self, x: Any) -> np.ndarray:
        if not self.parameters:
            raise InputError("the binariser has not been fitted: expected fit(x, pairs) first")
        return unit(embeddings(x, self.parameters["sign.w1"].shape[0]))


def _pairs(pairs: Any, size: int) -> np.ndarray:
    array = np.asarray(pairs)
    fewest = 20
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise InputError(f"pairs are {array.dtype} of shape {array.shape}: expected whole numbers of (pairs, 2)")
    if len(array) < fewest:
        raise InputError(f"pairs number {len(array)}: expected at least {fewest}")
    if array.min() < 0 or array.max() >= size:
        raise InputError(f"pairs reach from {array.min()} to {array.max()}: expected rows of 0 to {size - 1}")
    return array.astype(np.int64)


def _neighbours(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return (n, 2): a vector and the one nearest to it by cosine, itself apart."""
    if len(rows) < 2:
        raise InputError(f"embeddings number {len(rows)}: expected at least 2 to learn from")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(rows), min(len(rows), _MOST_NEIGHBOURS), replace=False)
    blocks = []
    for start in range(0, len(chosen), 1024):
        part = chosen[start : start + 1024]
        scores = rows[part] @ rows.T
        scores[np.arange(len(part)), part] = -np.inf
        blocks.append(np.stack([part, scores.argmax(axis=1)], axis=1))
    return _pairs(np.concatenate(blocks), len(rows))
