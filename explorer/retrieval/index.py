"""An index of embeddings in few bits: segments of one codec each; add, delete, update, search and rescore.

An index is immutable: every operation returns a new index that shares the unchanged parts, so a concurrent search of
the old one is not disturbed. Segments may hold codes of different versions. Each is searched with its own codec, or all
with one whose training was backward compatible.
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
    """The result of a search: `ids` (one tuple a query, best first) and `scores` (queries, n), cosines.

    Equal scores keep the order in which documents were added. n is the smaller of k and the number of documents; with
    a mask or lists a query may have fewer results: its scores end in -inf and its ids are fewer. A tag has k results if
    k documents have it: where the lists that are searched hold fewer, all are searched. A query of zeros has none.
    """

    ids: tuple[tuple[str, ...], ...]
    scores: np.ndarray
    #: Positions in `Index.ids`, int64 (queries, n); -1 marks an empty place.
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Index:
    """Documents in the order they were added, as `segments`; `lists` narrows the search (None scans everything)."""

    segments: tuple[Segment, ...] = ()
    lists: Lists | None = None

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of all documents, in order."""
        return tuple(name for segment in self.segments for name in segment.ids)

    @property
    def size(self) -> int:
        """Number of documents."""
        return sum(len(segment.ids) for segment in self.segments)

    @property
    def bytes(self) -> int:
        """Bytes of the codes and of the data for rescoring."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def versions(self) -> dict[str, int]:
        """Number of documents of each code version."""
        versions: dict[str, int] = {}
        for segment in self.segments:
            versions[segment.version] = versions.get(segment.version, 0) + len(segment.ids)
        return versions

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
        """Return the index with documents `ids` of embeddings `x` (N, inputs), encoded by `codec`, appended.

        `rescore` is the codec of a second, finer form; `tags` holds the tags of each document. Raises `InputError` for
        ids that exist or repeat, counts that differ, other dimensions than the index has, a version of another codec,
        NaN.
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
        """Return the index without these documents. Raises `InputError` for an unknown id."""
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
        """Return the index with new embeddings for existing documents, which move to the end.

        Arguments and errors are those of `add`; an unknown id raises `InputError` too.
        """
        return self.delete(ids).add(ids, x, codec, **settings)

    def where(self, tag: str) -> np.ndarray:
        """Return bool (size,), true for documents with the tag. Raises `InputError` if no document has it."""
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

        `mask` bool (size,) and `tag` restrict the search; `asymmetric` compares the query's floats with the codes;
        `rescore` is the number of candidates that the finer form sorts again; `probes` is the number of lists searched;
        `ask_with` is the version whose codec encodes the queries for all segments. Raises `InputError` for bad
        arguments.
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
        positions, scores = self._nearest(
            rows, most_first, kept, asks, asymmetric, bool(rescore), chosen, most, backend
        )
        if tag is not None and kept is not None and chosen is not None:
            # Lists narrow a search, but a tag is not answered by what they happen to hold.
            short = (positions >= 0).sum(axis=1) < min(most, int(kept.sum()))
            if short.any():
                whole = self._nearest(
                    rows[short], most_first, kept, asks, asymmetric, bool(rescore), None, most, backend
                )
                width = max(positions.shape[1], whole[0].shape[1])
                positions, scores = _widened(positions, width, -1), _widened(scores, width, -np.inf)
                positions[short], scores[short] = _widened(whole[0], width, -1), _widened(whole[1], width, -np.inf)
        names = tuple(tuple(self.ids[i] for i in row if i >= 0) for row in positions.tolist())
        return Found(names, scores, positions)

    def _nearest(
        self,
        rows: np.ndarray,
        first: int,
        kept: np.ndarray | None,
        asks: Codec | None,
        asymmetric: bool,
        fine: bool,
        chosen: np.ndarray | None,
        most: int,
        backend: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the best `most` of the `first` of every segment, by the finer form if `fine`."""
        parts, start = [], 0
        for segment in self.segments:
            inside = None if kept is None else np.flatnonzero(kept[start : start + len(segment.ids)])
            coder = asks or segment.codec
            positions, scores = segment.search(rows, first, coder, asymmetric, inside, chosen, backend)
            if fine:
                scores = segment.fine_scores(rows, positions)
            parts.append((np.where(positions >= 0, positions + start, -1), scores))
            start += len(segment.ids)
        # Each segment may rescore its own candidates; the best k of all segments remain.
        return merge(parts, most)

    def _kept(self, mask: Any, tag: str | None) -> np.ndarray | None:
        rows = None
        if mask is not None:
            rows = np.asarray(mask)
            if rows.dtype != bool or rows.shape != (self.size,):
                raise InputError(f"mask is {rows.dtype} of shape {rows.shape}: expected bool ({self.size},)")
        if tag is not None:
            tagged = self.where(tag)
            rows = tagged if rows is None else rows & tagged
        return rows

    def _asking(self, version: str | None) -> Codec | None:
        if version is None:
            return None
        for segment in self.segments:
            if segment.version == version:
                return segment.codec
        raise unknown_name("version", version, self.versions)


def _widened(values: np.ndarray, width: int, fill: float) -> np.ndarray:
    """Return the columns of `values` (queries, n) with columns of `fill` up to `width`."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)
