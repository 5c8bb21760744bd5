"""Documents of one codec inside an index: codes, data for rescoring, ids, fields, and the list of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from explorer.retrieval.fields import TAG, Field, read_field
from explorer.retrieval.lists import Lists
from explorer.retrieval.scanning import Ranked, Request, merge, nearest
from hwbase import InputError
from hwsim.kernels import Codes, codes_from_bytes
from models.binarize import Codec, RabitqStore


@dataclass(frozen=True, eq=False)
class Segment:
    """`data` is uint64 bit planes (planes, words, N) where the codec stores bits, otherwise rows uint8 (N, bytes).

    `fields` are those of the documents by name; `fine` are rows of the codec `fine_codec`; `places` int32 (N,) is the
    list of each document; `blank` bool (N,) marks documents without a direction (zeros, as of an empty text), which are
    never found; None if there are none. `factors` are the bytes that RaBitQ stores beside the bits, uint8 (N, bytes).
    """

    version: str
    codec: Codec
    ids: tuple[str, ...]
    data: np.ndarray
    fine_codec: Codec | None = None
    fine: np.ndarray | None = None
    places: np.ndarray | None = None
    blank: np.ndarray | None = None
    factors: np.ndarray | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `InputError` unless all parts have the same number of documents."""
        size = len(self.ids)
        held = self.data.shape[2] if self.codec.planes and self.data.ndim == 3 else len(self.data)
        optional = (self.fine, self.places, self.blank, self.factors)
        sizes = {held} | {len(a) for a in optional if a is not None} | {f.size for f in self.fields.values()}
        if sizes != {size}:
            raise InputError(f"version {self.version!r} has {size} ids but parts of {sorted(sizes)} documents")
        if self.codec.planes:
            _ = self.codes
        if (self.factors is not None) != isinstance(self.codec.store, RabitqStore):
            raise InputError(f"version {self.version!r} is {self.codec.name}: expected factors of RaBitQ codes alone")

    @cached_property
    def codes(self) -> Codes:
        """The packed codes, for codecs that store bits."""
        return Codes(self.data, self.codec.dims)

    @property
    def bytes(self) -> int:
        """Bytes of the codes and of the data for rescoring."""
        return sum(int(part.nbytes) for part in (self.data, self.fine, self.factors) if part is not None)

    def take(self, positions: np.ndarray) -> "Segment":
        """Return the documents at `positions`, in that order."""
        optional: dict[str, Any] = {name: getattr(self, name) for name in ("fine", "places", "blank", "factors")}
        chosen: dict[str, Any] = {name: None if part is None else part[positions] for name, part in optional.items()}
        return replace(
            self,
            ids=tuple(self.ids[i] for i in positions.tolist()),
            data=np.ascontiguousarray(self.data[:, :, positions]) if self.codec.planes else self.data[positions],
            **chosen,
            fields={name: own.take(positions) for name, own in self.fields.items()},
        )

    def search(self, request: Request, k: int, mask: np.ndarray | None, chosen: np.ndarray | None) -> Ranked:
        """Return the `k` nearest documents of each query; places are empty where fewer are searched.

        `mask` bool (N,) restricts the search; `chosen` int (queries, probes) are the lists to search. A query of zeros
        finds nothing.
        """
        if self.blank is not None:
            mask = ~self.blank if mask is None else mask & ~self.blank
        found = self._listed(request, k, mask, chosen)
        blank = (request.coder or self.codec).blank(request.rows)
        if not blank.any():
            return found
        return Ranked(
            np.where(blank[:, None], -1, found.positions),
            np.where(blank[:, None], -np.inf, found.scores),
            found.compared,
        )

    def _listed(self, request: Request, k: int, mask: np.ndarray | None, chosen: np.ndarray | None) -> Ranked:
        if chosen is None or self.places is None:
            return nearest(self, request, k, None, mask)
        parts = []
        for place in np.unique(chosen):
            asking = np.flatnonzero((chosen == place).any(axis=1))
            members = np.flatnonzero(self.places == place)
            own = nearest(self, request.of(asking), k, members, mask) if members.size else None
            width = 0 if own is None else own.positions.shape[1]
            positions = np.full((len(request.rows), width), -1, np.int64)
            scores = np.full(positions.shape, -np.inf)
            if own is not None:
                positions[asking], scores[asking] = own.positions, own.scores
            parts.append(Ranked(positions, scores, 0 if own is None else own.compared))
        return merge(parts, k)

    def fine_scores(self, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the cosines of queries with their own candidates in the finer form; -inf marks an empty place."""
        assert self.fine is not None and self.fine_codec is not None
        scores = np.full(positions.shape, -np.inf)
        for row, (query, candidates) in enumerate(zip(self.fine_codec.query(rows), positions, strict=True)):
            real = candidates >= 0
            scores[row, real] = self.fine_codec.scores(query[None], self.fine[candidates[real]])[0]
        return scores


def new_segment(
    ids: Sequence[str],
    rows: np.ndarray,
    codec: Codec,
    version: str,
    rescore: Codec | None,
    tags: Sequence[Sequence[str]] | None,
    fields: Mapping[str, Sequence[Any]] | None,
    lists: Lists | None,
) -> Segment:
    """Return encoded documents. Raises `InputError` for invalid or repeated ids, or counts that differ."""
    names = tuple(ids)
    if len(names) != len(rows) or (tags is not None and len(tags) != len(names)):
        raise InputError(
            f"{len(names)} ids, {len(rows)} embeddings"
            + ("" if tags is None else f" and {len(tags)} tags")
            + ": expected as many of each"
        )
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"id = {name!r}: expected a name")
        if name in seen:
            raise InputError(f"id {name!r} is given twice")
        seen.add(name)
    data = codec.encode(rows)
    blank = codec.blank(rows)
    factors = None
    if isinstance(codec.store, RabitqStore):
        data, factors = data[:, : -codec.store.extra_bytes], data[:, -codec.store.extra_bytes :]
    if codec.planes:
        data = codes_from_bytes(data.reshape(len(names), codec.planes, -1), codec.dims).planes
    return Segment(
        version,
        codec,
        names,
        data,
        rescore,
        None if rescore is None else rescore.encode(rows),
        None if lists is None else lists.nearest(rows, 1)[:, 0].astype(np.int32),
        blank if blank.any() else None,
        factors,
        _read_fields(len(names), tags, fields or {}),
    )


def _read_fields(
    size: int, tags: Sequence[Sequence[str]] | None, fields: Mapping[str, Sequence[Any]]
) -> dict[str, Field]:
    read = {}
    for name, values in fields.items():
        if len(values) != size:
            raise InputError(f"field {name!r} has {len(values)} values: expected {size}, one for each document")
        read[name] = read_field(values, f"field {name!r}")
    if tags is not None:
        # Tags are names, also where they are written as numbers.
        read[TAG] = read_field([[str(tag) for tag in own] for own in tags], TAG)
    return read
