"""Codecs by name: a linear map, then a store. What the field compares, and what recurrent binarisation adds.

A name is `[map:dims+]store`: maps centre, pca, matryoshka, rotation, projection, itq; stores float32, float16, float8,
float8-e5m2, int8, int4, sign, recurrent:PLANES (untrained), rabitq:BITS, turboquant:BITS, lvq:BITS, osq:BITS, pq:PARTS,
opq:PARTS and bebr:PLANESxDIMS (trained). Examples: int8, pca:128+float8, matryoshka:256, centre+sign, rotation:512,
itq:256, rotation:384+recurrent:2, rabitq:1, pca:192+rabitq:2, pq:48, bebr:2x256. A map alone has the store that it is
used with most. A rotation that a store needs follows the map: random before rabitq and turboquant, learned before opq.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name
from models.binarize.linear import (
    LinearMap,
    centring,
    embeddings,
    principal,
    projection,
    quantising_rotation,
    rotation,
    truncation,
    turned,
    unit,
)
from models.binarize.product import ProductStore, fit_product, product_rotation
from models.binarize.rabitq import RabitqStore, fit_rabitq
from models.binarize.ranges import RangeStore, TableStore, fit_ranges, fit_table
from models.binarize.recurrent import RecurrentBinarizer
from models.binarize.stores import FLOATS, INTEGERS, PlaneStore, Store, fit_store
from models.binarize.training import Report

#: Maps that take a number of dimensions, and the store of each where none is named.
_SIZED: dict[str, tuple[Callable[[np.ndarray, int], LinearMap], str]] = {
    "pca": (principal, "float32"),
    "matryoshka": (truncation, "float32"),
    "rotation": (rotation, "sign"),
    "projection": (projection, "float32"),
    "itq": (quantising_rotation, "sign"),
}
#: Stores with a size: what the size is, and how a store is fitted to vectors.
_FITTED: dict[str, tuple[str, Callable[[np.ndarray, int], "AnyStore"]]] = {
    "rabitq": ("BITS", fit_rabitq),
    "turboquant": ("BITS", fit_table),
    "lvq": ("BITS", partial(fit_ranges, optimised=False)),
    "osq": ("BITS", partial(fit_ranges, optimised=True)),
    "pq": ("PARTS", fit_product),
    "opq": ("PARTS", fit_product),
}
#: The rotation that comes between the map and a store.
_TURNED: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "rabitq": lambda x, _: turned(x.shape[1]),
    "turboquant": lambda x, _: turned(x.shape[1]),
    "opq": product_rotation,
}
MAPS = ("centre", *_SIZED)
STORES = (*FLOATS, *INTEGERS, "sign", "recurrent", *_FITTED, "bebr")
#: The arguments of a store in its name.
_ARGUMENTS = {"recurrent": ("PLANES",), "bebr": ("PLANES", "DIMENSIONS")} | {
    name: (size,) for name, (size, _) in _FITTED.items()
}
AnyStore = Store | RabitqStore | ProductStore | RangeStore | TableStore | RecurrentBinarizer


@dataclass(frozen=True, eq=False)
class Codec:
    """One way to keep embeddings of `inputs` dimensions: `prepare` (or nothing), then `store`."""

    name: str
    inputs: int
    prepare: LinearMap | None
    store: AnyStore

    @property
    def bits_per_vector(self) -> int:
        """Bits stored for a vector."""
        return self.store.bits_per_vector

    @property
    def planes(self) -> int:
        """Bit planes of the codes, 0 where the store is not made of bits."""
        return self.store.planes if isinstance(self.store, PlaneStore | RabitqStore | RecurrentBinarizer) else 0

    @property
    def dims(self) -> int:
        """Dimensions of what is stored."""
        return self.store.dims

    def encode(self, x: Any) -> np.ndarray:
        """Return rows uint8 (N, bytes); raises `InputError` for another shape, NaN or infinity."""
        return self.store.encode(self._prepared(x))

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return what the rows stand for, float32 (N, dims), up to a factor: directions are what counts."""
        return self.store.decode(rows)

    def scores(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the cosines of `query` vectors (Q, dims) with what the rows stand for, float32 (Q, N)."""
        if isinstance(self.store, RabitqStore):
            return self.store.scores(queries, rows)
        return queries @ unit(self.decode(rows)).T

    def query(self, x: Any) -> np.ndarray:
        """Return queries in the decoded space, not rounded: float32 (N, dims) of length 1."""
        rows = self._prepared(x)
        return unit(self.store.before_sign(rows) if isinstance(self.store, RecurrentBinarizer) else rows)

    def blank(self, x: Any) -> np.ndarray:
        """Return bool (N,), true for vectors without a direction: zeros, or what the map takes to zeros."""
        return np.logical_not(embeddings(x, self.inputs).any(axis=1) & self._prepared(x).any(axis=1))

    def _prepared(self, x: Any) -> np.ndarray:
        rows = unit(embeddings(x, self.inputs))
        return rows if self.prepare is None else self.prepare.apply(rows)


def parse_codec(name: str) -> tuple[str, int, str, tuple[int, ...]]:
    """Return (map or "", its dimensions or 0, store, the store's sizes) of a codec's name; raises `InputError`."""
    text = name.strip().lower().replace("centred", "centre").replace("-", "_")
    first, plus, second = text.partition("+")
    head, sizes = _sizes(name, first)
    if not plus and head in MAPS:
        default = "sign" if head == "centre" else _SIZED[head][1]
        first, second = first, default
    elif not plus:
        first, second = "", first
    mapped, dims = "", 0
    if first:
        mapped, sizes = _sizes(name, first)
        if mapped not in MAPS:
            raise unknown_name("map of a codec", mapped, MAPS)
        if len(sizes) != (mapped != "centre"):
            raise InputError(f"codec {name!r}: expected {'centre' if mapped == 'centre' else mapped + ':DIMENSIONS'}")
        dims = sizes[0] if sizes else 0
    store, sizes = _sizes(name, second)
    if store not in STORES:
        raise unknown_name("store of a codec", store, (*STORES, *MAPS))
    expected = _ARGUMENTS.get(store, ())
    if len(sizes) != len(expected):
        raise InputError(f"codec {name!r}: expected {store}{':' if expected else ''}{'x'.join(expected)}")
    if store == "bebr" and mapped:
        raise InputError(f"codec {name!r}: expected no map before bebr, which learns its own")
    return mapped, dims, store, sizes


def fit_codec(
    name: str,
    x: Any,
    pairs: Any = None,
    *,
    compatible_with: RecurrentBinarizer | None = None,
    trained: RecurrentBinarizer | None = None,
    report: Report | None = None,
) -> Codec:
    """Return the codec of that name, fitted to embeddings `x` (N, inputs); only bebr needs `pairs` (P, 2) of rows.

    `trained` gives bebr's settings other than its sizes. Raises `InputError` for an unknown name, sizes that do not
    fit, or embeddings that are no finite numbers.

    Parameters
    ----------
    name : str
        Name of the codec, such as "itq:256"; see the module.
    x : array_like, (N, inputs)
        Embeddings to fit to.
    pairs : array_like of int, (P, 2), optional
        Rows that should find each other, for bebr.
    compatible_with : RecurrentBinarizer, optional
        A trained binariser whose codes the new ones should find too.
    trained : RecurrentBinarizer, optional
        Settings of bebr other than its sizes.
    report : callable, optional
        Called after each epoch of training.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 32)).astype(np.float32)
    >>> codec = fit_codec("itq:16", x)
    >>> codec.bits_per_vector, codec.encode(x).shape
    (16, (100, 2))
    """
    mapped, dims, kind, sizes = parse_codec(name)
    rows = unit(embeddings(x))
    if not len(rows):
        raise InputError("embeddings are empty: expected some to fit a codec to")
    if kind == "bebr":
        base = trained or RecurrentBinarizer()
        sized = RecurrentBinarizer(sizes[0], sizes[1], base.hidden, base.training)
        return Codec(name, rows.shape[1], None, sized.fit(rows, pairs, compatible_with=compatible_with, report=report))
    prepare = None
    if mapped:
        prepare = centring(rows) if mapped == "centre" else _SIZED[mapped][0](rows, dims)
    mapped_rows = rows if prepare is None else prepare.apply(rows)
    if kind not in _FITTED:
        return Codec(name, rows.shape[1], prepare, fit_store(kind, mapped_rows, *sizes))
    if kind in _TURNED:
        turn = _TURNED[kind](mapped_rows, *sizes)
        prepare = LinearMap(np.zeros(len(turn), np.float32), turn) if prepare is None else prepare.then(turn)
        mapped_rows = mapped_rows @ turn
    return Codec(name, rows.shape[1], prepare, _FITTED[kind][1](mapped_rows, *sizes))


def _sizes(name: str, text: str) -> tuple[str, tuple[int, ...]]:
    head, colon, rest = text.partition(":")
    if not colon:
        return head, ()
    parts = rest.split("x")
    if not all(part.isascii() and part.isdigit() and len(part) < 8 for part in parts):
        raise InputError(f"codec {name!r}: {rest!r}: expected whole numbers, such as 256 or 2x256")
    return head, tuple(int(part) for part in parts)
