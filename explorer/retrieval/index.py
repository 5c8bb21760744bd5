"""An index of embeddings in few bits: segments of one codec each, added to, taken from, searched and rescored.

An index never changes: every operation returns a new one that shares what stayed the same, so whoever searches the old
one is not disturbed. Segments may hold codes of different versions; each asks with its own codec, or all with one whose
training was backward compatible.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from explorer.retrieval.segment import Lists, Segment, merge, new_segment
from hwbase import InputError, unknown_name
from hwbase.check import integer
from models.binarize import Codec, embeddings


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found: `ids` (one tuple a query, best first) and `scores` (queries, n), cosines, larger is better.

    Equal scores are in the order in which documents were added. n is the smaller of k and what could be found; with a
    filter or lists some queries may find less: their scores end in -inf, their ids earlier.
    """

    ids: tuple[tuple[str, ...], ...]
    scores: np.ndarray
    #: Positions in `Index.ids`, int64 (queries, n), -1 where nothing was found.
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Index:
    """Documents in the order they were added, as `segments`; `lists` narrows the search (None: all are scanned)."""

    segments: tuple[Segment, ...] = ()
    lists: Lists | None = None

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of all documents, in order."""
        return tuple(name for segment in self.segments for name in segment.ids)

    @property
    def size(self) -> int:
        """Documents held."""
        return sum(len(segment.ids) for segment in self.segments)

    @property
    def bytes(self) -> int:
        """Bytes of codes and of what rescoring reads."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def versions(self) -> dict[str, int]:
        """Documents of each code version."""
        found: dict[str, int] = {}
        for segment in self.segments:
            found[segment.version] = found.get(segment.version, 0) + len(segment.ids)
        return found

    def add(
        self,
        ids: Sequence[str],
        x: Any,
        codec: Codec,
        *,
        version: str = "1",
        rescore: Codec | None = None,
        tags: Sequence[Sequence[str]] | None = None,
    ) -> "Index":
        """Return the index with documents `ids` of embeddings `x` (N, inputs) coded by `codec` behind the others.

        `rescore` keeps a second, finer form; `tags` names groups of each. Raises `InputError` for ids that are there
        already or twice, counts that differ, other inputs than the index has, a version of another codec, NaN.
        """
        rows = embeddings(x, self.segments[0].codec.inputs if self.segments else codec.inputs)
        for segment in self.segments:
            if segment.version == version and segment.codec is not codec and segment.codec.name != codec.name:
                raise InputError(
                    f"version {version!r} is {segment.codec.name}: expected another name for {codec.name} codes"
                )
        fresh = new_segment(ids, rows, codec, version, rescore, tags, self.lists)
        known = set(self.ids)
        for name in fresh.ids:
            if name in known:
                raise InputError(f"id {name!r} is in the index already: expected a new one, or an update")
        return dataclasses.replace(self, segments=(*self.segments, fresh))

    def delete(self, ids: Sequence[str]) -> "Index":
        """Return the index without those documents; raises `InputError` for an id that is not there."""
        gone, known = set(ids), set(self.ids)
        for name in ids:
            if name not in known:
                raise InputError(f"id {name!r} is not in the index: nothing to delete")
        kept = []
        for segment in self.segments:
            stays = np.array([name not in gone for name in segment.ids], bool)
            if stays.all():
                kept.append(segment)
            elif stays.any():
                kept.append(segment.take(np.flatnonzero(stays)))
        return dataclasses.replace(self, segments=tuple(kept))

    def update(self, ids: Sequence[str], x: Any, codec: Codec, **settings: Any) -> "Index":
        """Return the index with new embeddings for documents that it has; they move behind the others.

        Arguments and errors are those of `add`, and an id that is not there.
        """
        return self.delete(ids).add(ids, x, codec, **settings)

    def where(self, tag: str) -> np.ndarray:
        """Return bool (size,): which documents have the tag; raises `InputError` if none has."""
        known = {name for segment in self.segments for names in segment.tags for name in names}
        if tag not in known:
            raise unknown_name("tag", tag, known)
        return np.array([tag in names for segment in self.segments for names in segment.tags], bool)

    def search(
        self,
        queries: Any,
        k: int,
        *,
        mask: Any = None,
        tag: str | None = None,
        asymmetric: bool = False,
        rescore: int = 0,
        probes: int | None = None,
        ask_with: str | None = None,
        backend: str = "auto",
    ) -> Found:
        """Return the `k` nearest documents of each query embedding (queries, inputs).

        `mask` bool (size,) and `tag` leave only those; `asymmetric` keeps the query's numbers instead of its code;
        `rescore` takes that many first and sorts them by the finer form; `probes` is how many lists are looked into;
        `ask_with` names the version whose codec makes the query codes for all. Raises `InputError` for what cannot be.
        """
        most = integer("k", k)
        kept = self._kept(mask, tag)
        if rescore:
            most_first = integer("rescore", rescore, low=most)
            missing = [s.version for s in self.segments if s.fine is None]
            if missing:
                raise InputError(
                    f"rescore = {rescore}: version {missing[0]!r} was added without a form to rescore with"
                )
        else:
            most_first = most
        if not self.segments:
            raise InputError("the index is empty: expected documents to search")
        rows = embeddings(queries, self.segments[0].codec.inputs, "queries")
        asks = self._asking(ask_with)
        chosen = None if self.lists is None else self.lists.nearest(rows, probes)
        if self.lists is None and probes is not None:
            raise InputError(f"probes = {probes}: the index has no lists")
        parts, start = [], 0
        for segment in self.segments:
            inside = None if kept is None else np.flatnonzero(kept[start : start + len(segment.ids)])
            coder = asks or segment.codec
            positions, scores = segment.search(rows, most_first, coder, asymmetric, inside, chosen, backend)
            if rescore:
                scores = segment.fine_scores(rows, positions)
            parts.append((np.where(positions >= 0, positions + start, -1), scores))
            start += len(segment.ids)
        # Each segment's own candidates may all be rescored; the best k of all remain.
        positions, scores = merge(parts, most)
        names = tuple(tuple(self.ids[i] for i in row if i >= 0) for row in positions.tolist())
        return Found(names, scores, positions)

    def _kept(self, mask: Any, tag: str | None) -> np.ndarray | None:
        kept = None
        if mask is not None:
            kept = np.asarray(mask)
            if kept.dtype != bool or kept.shape != (self.size,):
                raise InputError(f"mask is {kept.dtype} of shape {kept.shape}: expected bool ({self.size},)")
        if tag is not None:
            tagged = self.where(tag)
            kept = tagged if kept is None else kept & tagged
        return kept

    def _asking(self, version: str | None) -> Codec | None:
        if version is None:
            return None
        for segment in self.segments:
            if segment.version == version:
                return segment.codec
        raise unknown_name("version", version, self.versions)
