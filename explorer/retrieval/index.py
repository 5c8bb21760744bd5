"""An index of embeddings in few bits: segments of one codec each; add, delete, update, search and rescore.

An index is immutable: every operation returns a new index that shares the unchanged parts, so a concurrent search of
the old one is not disturbed. Segments may hold codes of different versions. Each is searched with its own codec, or all
with one whose training was backward compatible.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from explorer.retrieval.fields import TAG, Field, join_fields, no_field
from explorer.retrieval.filters import matching
from explorer.retrieval.lists import Lists
from explorer.retrieval.rescoring import rescored
from explorer.retrieval.scanning import WAYS, Ranked, Request, merge
from explorer.retrieval.segment import Segment, new_segment
from hwbase import InputError, unknown_name
from hwbase.check import integer
from hwsim.kernels.nearest import check_mask
from models.binarize import Codec, embeddings


@dataclass(frozen=True, eq=False)
class Found:
    """The result of a search: `ids` (one tuple a query, best first) and `scores` (queries, n), cosines.

    Equal scores keep the order in which documents were added. n is the smaller of k and the number of documents; with
    a filter or lists a query may have fewer results: its scores end in -inf and its ids are fewer. A filter has k
    results if it leaves k documents in: where the lists that are searched hold fewer, all are searched. A query of
    zeros has none.
    """

    ids: tuple[tuple[str, ...], ...]
    scores: np.ndarray
    #: Positions in `Index.ids`, int64 (queries, n); -1 marks an empty place.
    positions: np.ndarray
    #: Codes that were compared with a query, over all queries.
    compared: int = 0
    #: Documents that the filter leaves in.
    matching: int = 0
    #: Rows of the finer form that were read, over all queries.
    rescored: int = 0


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
        fields: Mapping[str, Sequence[Any]] | None = None,
    ) -> "Index":
        """Return the index with documents `ids` of embeddings `x` (N, inputs), encoded by `codec`, appended.

        `rescore` is the codec of a second, finer form; `tags` holds the tags of each document and `fields` the
        values of other fields by name, each a number, a name, a list of them or None. Raises `InputError` for ids that
        exist or repeat, counts that differ, other dimensions than the index has, a version of another codec, NaN.
        """
        rows = embeddings(x, self.segments[0].codec.inputs if self.segments else codec.inputs)
        for segment in self.segments:
            if segment.version == version and segment.codec is not codec and segment.codec.name != codec.name:
                raise InputError(
                    f"version {version!r} is {segment.codec.name}: expected another name for {codec.name} codes"
                )
        fresh = new_segment(ids, rows, codec, version, rescore, tags, fields, self.lists)
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

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Fields of all documents, in order; a field that a segment lacks is absent from its documents."""
        names = dict.fromkeys(name for segment in self.segments for name in segment.fields)
        return {
            name: join_fields([part.fields.get(name) or no_field(len(part.ids)) for part in self.segments])
            for name in names
        }

    def where(self, tag: str) -> np.ndarray:
        """Return bool (size,), true for documents with the tag. Raises `InputError` if no document has it."""
        field = self.fields.get(TAG, no_field(self.size))
        if tag not in field.names:
            raise unknown_name("tag", tag, field.names)
        return field.having(field.codes == field.code(tag))

    def matching(self, expression: str) -> np.ndarray:
        """Return bool (size,), true for documents that satisfy a filter such as `year >= 2020 and tag in (a, b)`.

        See `explorer.retrieval.filters`. Raises `InputError` for a filter that cannot be read or names what no document
        has.
        """
        return matching(expression, self.fields)

    def search(
        self,
        queries: Any,
        k: int,
        *,
        mask: Any = None,
        tag: str | None = None,
        filter: str | None = None,
        filtering: str = "auto",
        asymmetric: bool = False,
        rescore: int = 0,
        bound: bool = False,
        probes: int | None = None,
        ask_with: str | None = None,
        backend: str = "auto",
    ) -> Found:
        """Return the `k` nearest documents of each query embedding.

        Documents that a filter leaves in are found even if the lists that are searched hold fewer than `k` of them:
        then all are searched.

        Parameters
        ----------
        queries : array_like of float, (queries, inputs)
            Embeddings of any length.
        k : int
            Documents a query, >= 1.
        mask : array_like of bool, (size,), optional
            Documents to search.
        tag : str, optional
            Only documents with this tag.
        filter : str, optional
            Only documents that satisfy the expression (`matching`).
        filtering : str
            How documents are left out, one of `scanning.WAYS`; the answers are the same. Default "auto".
        asymmetric : bool
            Compare the query's floats with the codes. Default False.
        rescore : int
            Candidates that the finer form sorts again; 0 (the default) for none.
        bound : bool
            Read the finer form only of candidates that RaBitQ's error bound leaves open. Default False.
        probes : int, optional
            Lists that a query looks into, where the index has lists.
        ask_with : str, optional
            Version whose codec encodes the queries for all segments.
        backend : str
            That of `hwsim.kernels.search`.

        Returns
        -------
        Found

        Raises
        ------
        InputError
            For bad arguments, an empty index, or names that no document has.
        """
        most = integer("k", k)
        if filtering not in WAYS:
            raise unknown_name("filtering", filtering, WAYS)
        kept = self._kept(mask, tag, filter)
        first = most
        if rescore:
            first = integer("rescore", rescore, low=most)
            missing = [s.version for s in self.segments if s.fine is None]
            if missing:
                raise InputError(
                    f"rescore = {rescore}: version {missing[0]!r} was added without a form to rescore with"
                )
        elif bound:
            raise InputError("bound without rescore: expected the number of candidates that may be rescored")
        if not self.segments:
            raise InputError("the index is empty: expected documents to search")
        rows = embeddings(queries, self.segments[0].codec.inputs, "queries")
        if self.lists is None and probes is not None:
            raise InputError(f"probes = {probes}: the index has no lists")
        chosen = None if self.lists is None else self.lists.nearest(rows, probes)
        fine = None if not rescore else "bounded" if bound else "whole"
        request = Request(rows, self._asking(ask_with), asymmetric, backend, filtering)
        (positions, scores, compared), read = self._nearest(request, first, kept, fine, chosen, most)
        if kept is not None and chosen is not None:
            short = np.flatnonzero((positions >= 0).sum(axis=1) < min(most, int(kept.sum())))
            if short.size:
                whole, more = self._nearest(request.of(short), first, kept, fine, None, most)
                width = max(positions.shape[1], whole.positions.shape[1])
                positions, scores = _widened(positions, width, -1), _widened(scores, width, -np.inf)
                positions[short] = _widened(whole.positions, width, -1)
                scores[short] = _widened(whole.scores, width, -np.inf)
                compared, read = compared + whole.compared, read + more
        names = tuple(tuple(self.ids[i] for i in row if i >= 0) for row in positions.tolist())
        matches = self.size if kept is None else int(kept.sum())
        return Found(names, scores, positions, compared, matches, read)

    def _nearest(
        self,
        request: Request,
        first: int,
        kept: np.ndarray | None,
        fine: str | None,
        chosen: np.ndarray | None,
        most: int,
    ) -> tuple[Ranked, int]:
        """Return the best `most` of the `first` of every segment, and the rows of the finer form that were read.

        `fine` says which candidates the finer form sorts again: "whole" all, "bounded" those that are open, None none.
        """
        parts: list[Ranked] = []
        start = read = 0
        for segment in self.segments:
            mask = None if kept is None else kept[start : start + len(segment.ids)]
            ranked = segment.search(request, first, mask, chosen)
            if fine:
                ranked, more = rescored(segment, request, ranked, most, fine == "bounded")
                read += more
            parts.append(ranked._replace(positions=np.where(ranked.positions >= 0, ranked.positions + start, -1)))
            start += len(segment.ids)
        # Each segment may rescore its own candidates; the best k of all segments remain.
        return merge(parts, most), read

    def _kept(self, mask: Any, tag: str | None, expression: str | None) -> np.ndarray | None:
        rows = check_mask(mask, self.size)
        more = [] if tag is None else [self.where(tag)]
        more += [] if expression is None else [self.matching(expression)]
        for own in more:
            rows = own if rows is None else rows & own
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
