"""The `[book]` table of an assumption book: what the book is about, apart from its constants."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from hwbase.errors import InputError, shown, unknown_name
from hwbase.parsing import parse_strict
from hwbase.patterns import matching


@dataclass(frozen=True)
class Header:
    """What a book says of itself. What `INHERITED` names passes to the books that extend it."""

    name: str
    """The name of the file, without its ending, unless the file gives one."""
    title: str = ""
    """The full name, for headings; a book without one has the title of the book that it extends."""
    extends: str = ""
    """The book whose constants it has and may override."""
    kind: str = ""
    """What the book describes: "gpu", "hardwired", "technology", "costs" ..."""
    label: str = ""
    """The short name for tables and figures; the name unless the file gives one."""
    node: str = ""
    """Of a technology: the process node of the cost books that it is made at."""
    model: str = ""
    """Of a hardwired machine: the model that its published figures are of."""
    color: str = ""
    """Of a machine: a colour in hexadecimal, and a marker and a dash of Plotly, for figures."""
    marker: str = ""
    dash: str = ""
    unpriced: str = ""
    """Of a machine without prices: why it has none."""
    region: str = ""
    """Of a cost book: the grid that fleets run on, and the one that chips are made on; constants are under "grid"."""
    fab_region: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    """What is chosen by name, such as the collective of a machine; a book that extends this one may choose anew."""
    may_add: tuple[str, ...] = ()
    """Constants that a book which extends this one may add, although this one has none: names, or patterns with *.

    What is added in a pattern's name has the unit of the constants that this book has in it.
    """
    own: tuple[str, ...] = ()
    """Constants, or tables of constants, that hold for this book alone: one that extends it does not have them."""

    def keeps(self, name: str) -> bool:
        """Return whether the constant called `name` holds for this book alone."""
        return _is_under(name, self.own)

    def takes(self, name: str) -> bool:
        """Return whether a book that extends this one may add the constant called `name`."""
        return any(matching(pattern, [name]) for pattern in self.may_add)

    def beside(self, name: str, names: Iterable[str]) -> str | None:
        """Return the first of `names` that a pattern of `may_add` has in common with the constant called `name`."""
        patterns = [pattern for pattern in self.may_add if matching(pattern, [name])]
        return next((found for pattern in patterns for found in matching(pattern, names)), None)

    @property
    def texts(self) -> dict[str, str]:
        """The entries that overrides may replace, by name, where the book has them."""
        return {name: getattr(self, name) for name in TEXTS if getattr(self, name)} | self.choices


#: Entries that a book takes from the one that it extends, and those that overrides may replace.
INHERITED = ("title", "kind", "node", "region", "fab_region", "may_add")
TEXTS = ("region", "fab_region")
_DRAWN = ("gpu", "hardwired", "wafer", "npu", "fixed-model", "cpu", "scan-engine")
#: Kinds of book that an entry is about; the others say what every book may.
ABOUT: dict[str, tuple[str, ...]] = dict.fromkeys(TEXTS, ("costs",))
ABOUT |= dict.fromkeys(("color", "marker", "dash"), _DRAWN)
ABOUT |= {"model": ("hardwired", "fixed-model"), "node": ("technology", *_DRAWN)}
_HEADER = TypeAdapter(Header)


def _is_under(name: str, tables: Iterable[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in tables)


def read_header(path: Path, table: Any) -> Header:
    """Return the header of the book in the file `path`, of which `table` is the `[book]` table.

    Raises `InputError` where there is no such table, for a key that a header does not have, and for wrong types.
    """
    if not isinstance(table, dict):
        raise InputError(f"{path.name}: expected a [book] table")
    header = parse_strict(_HEADER, {"name": path.stem} | table, Header, f"[book] of {path.name}")
    return dataclasses.replace(header, label=header.label or header.name)


def check_about(where: str, header: Header) -> None:
    """Raise `InputError` for an entry that books of this kind do not have, since nothing would read it."""
    for name, kinds in ABOUT.items():
        if header.kind and getattr(header, name) and header.kind not in kinds:
            raise InputError(f"{where}: {name} has no effect in a book of kind {header.kind!r}: expected it left out")


def inherit(header: Header, base: Header) -> Header:
    """Return `header` with what it takes from the header of the book that it extends.

    Raises `InputError` for another kind, whose constants would be others, and for a choice that the other book does
    not have.
    """
    if header.kind and base.kind and header.kind != base.kind:
        raise InputError(
            f"book {header.name} is of kind {header.kind!r} and extends {base.name}, of kind {base.kind!r}"
        )
    for name in header.choices:
        if not base.choices:
            raise InputError(f"choice {shown(name)} in {header.name}.toml: book {shown(base.name)} has no choices")
        if name not in base.choices:
            raise unknown_name(
                f"choice in {header.name}.toml (book {shown(base.name)} has no such name):", name, base.choices
            )
    taken = {name: getattr(header, name) or getattr(base, name) for name in INHERITED}
    return dataclasses.replace(header, **taken, choices=base.choices | header.choices)


def with_texts(header: Header, texts: Mapping[str, str]) -> Header:
    """Return `header` with other `texts`, by name: choices, or entries of `TEXTS`."""
    choices = {name: text for name, text in texts.items() if name in header.choices}
    entries: dict[str, Any] = {name: text for name, text in texts.items() if name not in choices}
    return dataclasses.replace(header, **entries, choices=header.choices | choices)


def without_own(quantities: Mapping[str, Any], header: Header) -> dict[str, Any]:
    """Return the quantities of a book that a book which extends it has too."""
    return {name: quantity for name, quantity in quantities.items() if not header.keeps(name)}


def missing_own(header: Header, names: Iterable[str]) -> list[str]:
    """Return the entries of `own` that name no constant of the book."""
    known = list(names)
    return [each for each in header.own if not any(_is_under(name, [each]) for name in known)]
