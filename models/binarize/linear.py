"""Linear maps that come before a store: centring, truncation, principal components, rotations, and ITQ."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError
from hwbase.check import integer

#: Rounds of iterative quantisation; the paper finds no gain after 50.
_ITQ_ROUNDS = 50
#: Most vectors that a covariance or a rotation is fitted to.
_MOST_FITTED = 50_000
_SEED = 0
#: Lengths of float32 vectors whose squares are exact enough.
_SHORT, _LONG = 1e-12, 1e12


@dataclass(frozen=True, eq=False)
class LinearMap:
    """x to (x - mean) @ matrix: `mean` float32 (inputs,), `matrix` float32 (inputs, outputs)."""

    mean: np.ndarray
    matrix: np.ndarray

    @property
    def dims(self) -> int:
        """Outputs."""
        return int(self.matrix.shape[1])

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the mapped vectors float32 (N, outputs)."""
        return ((x - self.mean) @ self.matrix).astype(np.float32, copy=False)

    def then(self, matrix: np.ndarray) -> "LinearMap":
        """Return this map followed by another matrix, float32 (outputs, other outputs)."""
        return LinearMap(self.mean, self.matrix @ matrix)


def embeddings(x: object, dims: int | None = None, name: str = "embeddings") -> np.ndarray:
    """Return `x` as float32 (N, dims).

    Raises `InputError` for another shape, no dimensions, masked numbers, NaN, infinity or numbers beyond float32, and
    for numbers of one byte, which are packed bits or codes whose scale is not in the array.
    """
    if np.ma.is_masked(x):
        raise InputError(f"{name} hold masked numbers: expected numbers in all places")
    given = np.asarray(x)
    if given.ndim != 2 or given.dtype.kind not in "fiu" or given.shape[1] == 0:
        raise InputError(f"{name} are {given.dtype} of shape {given.shape}: expected numbers of (vectors, dimensions)")
    if dims is not None and given.shape[1] != dims:
        raise InputError(f"{name} have {given.shape[1]} dimensions: expected {dims}")
    if given.dtype.itemsize == 1:
        raise InputError(f"{name} are {given.dtype}, packed bits or codes: expected the numbers that they stand for")
    with np.errstate(over="ignore", under="ignore"):
        rows = given.astype(np.float32, copy=False)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise InputError(
            f"{name} hold NaN or infinity in row {int(np.argmax(bad))}: expected finite numbers of float32"
        )
    gone = given.any(axis=1) & ~rows.any(axis=1)
    if gone.any():
        raise InputError(f"{name} are 0 in float32 in row {int(np.argmax(gone))}: expected larger numbers")
    return rows


def unit(x: np.ndarray) -> np.ndarray:
    """Return `x` with rows of length 1; a row of zeros stays as it is."""
    with np.errstate(over="ignore", under="ignore"):
        norms = np.linalg.norm(x, axis=1, keepdims=True)
    # Squares of these leave the range of float32.
    far = (norms[:, 0] < _SHORT) | ~(norms[:, 0] < _LONG)
    if far.any():
        largest = np.abs(x[far]).max(axis=1, keepdims=True)
        x = x.copy()
        x[far] /= np.where(largest > 0, largest, 1)
        norms[far] = np.linalg.norm(x[far], axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1)


def centring(x: np.ndarray) -> LinearMap:
    """Return the map that takes the mean of `x` away."""
    return LinearMap(x.mean(axis=0, dtype=np.float64).astype(np.float32), np.eye(x.shape[1], dtype=np.float32))


def truncation(x: np.ndarray, dims: int) -> LinearMap:
    """Return the map to the first `dims` dimensions, which Matryoshka training puts first (arXiv 2205.13147).

    Raises `InputError` for more dimensions than there are.
    """
    kept = _fewer(dims, x.shape[1])
    return LinearMap(np.zeros(x.shape[1], np.float32), np.eye(x.shape[1], kept, dtype=np.float32))


def principal(x: np.ndarray, dims: int) -> LinearMap:
    """Return the map to the `dims` directions of largest second moment about zero: cosines change least.

    Raises `InputError` for more dimensions than there are.
    """
    kept = _fewer(dims, x.shape[1])
    return LinearMap(np.zeros(x.shape[1], np.float32), _directions(x, kept))


def rotation(x: np.ndarray, dims: int, seed: int = _SEED) -> LinearMap:
    """Return centring and `dims` random directions: orthonormal up to the dimensions of `x`, more sets beyond them."""
    inputs = x.shape[1]
    rng = np.random.default_rng(seed)
    sets = [np.linalg.qr(rng.standard_normal((inputs, inputs)))[0] for _ in range(-(-integer("dims", dims) // inputs))]
    matrix = np.concatenate(sets, axis=1)[:, : int(dims)]
    return LinearMap(centring(x).mean, np.ascontiguousarray(matrix, np.float32))


def quantising_rotation(x: np.ndarray, dims: int, seed: int = _SEED) -> LinearMap:
    """Return centring, `dims` principal components and the rotation that brings them closest to their signs.

    Iterative quantisation: Gong and Lazebnik, CVPR 2011. Raises `InputError` for more dimensions than there are.
    """
    kept = _fewer(dims, x.shape[1])
    mean = centring(x).mean
    sample = sample_rows(x, _MOST_FITTED, seed) - mean
    directions = _directions(sample, kept)
    projected = sample @ directions
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((kept, kept)))[0].astype(np.float32)
    for _ in range(_ITQ_ROUNDS):
        signs = np.where(projected @ turn >= 0, np.float32(1), np.float32(-1))
        left, _, right = np.linalg.svd(projected.T @ signs)
        turn = left @ right
    return LinearMap(mean, np.ascontiguousarray(directions @ turn))


def projection(x: np.ndarray, dims: int, seed: int = _SEED) -> LinearMap:
    """Return `dims` random directions of normal numbers, which keep products on average (Johnson and Lindenstrauss)."""
    drawn = np.random.default_rng(seed).standard_normal((x.shape[1], integer("dims", dims)))
    return LinearMap(np.zeros(x.shape[1], np.float32), (drawn / np.sqrt(dims)).astype(np.float32))


def turned(dims: int, seed: int = _SEED) -> np.ndarray:
    """Return a random orthogonal matrix float32 (dims, dims)."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dims, dims)))[0].astype(np.float32)


def sample_rows(x: np.ndarray, most: int, seed: int = _SEED) -> np.ndarray:
    """Return `most` of the rows of `x`, drawn at random and in their order, or all if there are fewer."""
    if len(x) <= most:
        return x
    return x[np.sort(np.random.default_rng(seed).choice(len(x), most, replace=False))]


def _directions(x: np.ndarray, kept: int) -> np.ndarray:
    sample = sample_rows(x, _MOST_FITTED).astype(np.float64)
    _, vectors = np.linalg.eigh(sample.T @ sample)
    directions = vectors[:, ::-1][:, :kept]
    # The sign of an eigenvector is arbitrary; fixed, the same data gives the same codes.
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(kept)])
    return np.ascontiguousarray(directions * signs, np.float32)


def _fewer(dims: int, most: int) -> int:
    return integer("dims", dims, high=most)
