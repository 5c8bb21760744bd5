"""Fields of documents beside their text: numbers, names, or lists of them, as arrays that filters read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.errors import shown

#: The field that holds the tags of a document.
TAG = "tag"


@dataclass(frozen=True, eq=False)
class Field:
    """One field of N documents. Document i has the entries `starts[i]` to `starts[i + 1]`, each a number or a name.

    `starts` int64 (N + 1,); `numbers` float64 (entries,), NaN for a name; `codes` int32 (entries,), the place of a name
    in `names`, -1 for a number.
    """

    starts: np.ndarray
    numbers: np.ndarray
    codes: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise `InputError` for arrays that do not belong together."""
        counts = np.diff(self.starts)
        whole = self.starts.size > 0 and self.starts[0] == 0 and bool((counts >= 0).all())
        known = self.codes.size == 0 or (self.codes.min() >= -1 and self.codes.max() < len(self.names))
        if not whole or self.starts[-1] != self.numbers.size or self.numbers.shape != self.codes.shape or not known:
            raise InputError(
                f"a field has {self.numbers.size} numbers, {self.codes.size} codes and {len(self.names)} names: "
                f"expected parts that belong together"
            )

    @property
    def size(self) -> int:
        """Number of documents."""
        return int(self.starts.size) - 1

    def having(self, entries: np.ndarray) -> np.ndarray:
        """Return bool (N,), true for documents with a true one among their `entries` bool (entries,)."""
        before = np.concatenate([[0], np.cumsum(entries)])
        return before[self.starts[1:]] > before[self.starts[:-1]]

    def code(self, name: str) -> int:
        """Return the place of a name; raises `InputError` with the nearest one if no document has it."""
        if name not in self.names:
            raise unknown_name("value of a field", name, self.names)
        return self.names.index(name)

    def values(self, document: int) -> tuple[str | float, ...]:
        """Return the entries of one document."""
        own = slice(int(self.starts[document]), int(self.starts[document + 1]))
        pairs = zip(self.numbers[own].tolist(), self.codes[own].tolist(), strict=True)
        return tuple(number if code < 0 else self.names[code] for number, code in pairs)

    def take(self, positions: np.ndarray) -> "Field":
        """Return the field of the documents at `positions`, in that order."""
        counts = np.diff(self.starts)[positions]
        starts = np.concatenate([[0], np.cumsum(counts)])
        entries = np.repeat(self.starts[:-1][positions] - starts[:-1], counts) + np.arange(starts[-1])
        return Field(starts, self.numbers[entries], self.codes[entries], self.names)


def read_field(values: Sequence[Any], name: str = "field") -> Field:
    """Return the field whose value in each document is None, a number, a name, or a list of them.

    true and false become the names "true" and "false". Raises `InputError` for any other value.
    """
    entries: list[float] = []
    codes: list[int] = []
    names: dict[str, int] = {}
    counts = np.zeros(len(values), np.int64)
    for document, value in enumerate(values):
        own = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
        counts[document] = len(own)
        for entry in own:
            if isinstance(entry, bool):
                entry = str(entry).lower()
            if isinstance(entry, str):
                entries.append(np.nan)
                codes.append(names.setdefault(entry, len(names)))
            elif isinstance(entry, (int, float)) and abs(entry) <= np.finfo(float).max:
                entries.append(float(entry))
                codes.append(-1)
            else:
                raise InputError(
                    f"{name} = {shown(value)} in document {document}: expected a number, a name or a list of them"
                )
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Field(starts, np.array(entries, float), np.array(codes, np.int32), tuple(names))


def no_field(size: int) -> Field:
    """Return the field of `size` documents that do not have it."""
    return Field(np.zeros(size + 1, np.int64), np.empty(0), np.empty(0, np.int32), ())


def join_fields(parts: Sequence[Field]) -> Field:
    """Return the field of the documents of all `parts`, one after the other."""
    names: dict[str, int] = {}
    codes = []
    for part in parts:
        places = np.array([names.setdefault(name, len(names)) for name in part.names] + [-1], np.int32)
        codes.append(places[part.codes])
    counts = np.concatenate([np.diff(part.starts) for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    return Field(np.concatenate([[0], np.cumsum(counts)]), numbers, np.concatenate(codes), tuple(names))
