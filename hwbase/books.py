"""Assumption books: named constants with a range, a unit, a year, a source and a kind.

A book is a TOML file. A table that has a `nominal` key is a quantity; its name is the dotted path to it. The `[book]`
table says what the book is about (see `hwbase.header`). A book may extend another one in the same folder (or beside
itself) and then may only override quantities that exist there, in a unit that converts. Loading is strict: unknown
keys, wrong units, non-finite numbers and low > nominal are errors. `[[correlations]]` say which quantities move
together (see `hwbase.correlations`).
"""

import dataclasses
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
from pydantic import TypeAdapter

from hwbase import units
from hwbase.check import Number, number
from hwbase.correlations import Correlation, check_correlations, merge_correlations, read_correlations
from hwbase.errors import InputError, shown, unknown_name
from hwbase.header import Header, check_about, inherit, missing_own, read_header, with_texts, without_own
from hwbase.kinds import Kind
from hwbase.parsing import parse_strict, parse_toml, read_text
from hwbase.values import read_value

if TYPE_CHECKING:
    import pandas as pd

Level = Literal["low", "nominal", "high"]
R = TypeVar("R")
#: Tables inside tables, and characters of a dotted name: more is no book.
_MOST_LEVELS, _LONGEST_NAME = 20, 200
#: Files whose content is kept in memory.
_MOST_FILES = 128


@dataclass(frozen=True)
class Quantity:
    """One sourced constant. `nominal` may be an array when a sweep varies it."""

    nominal: Any
    unit: str
    source: str
    kind: Kind
    year: int
    low: Any = None
    high: Any = None
    note: str = ""
    valid_until: int | None = None
    """The last year of a figure that is published anew from time to time, such as a grid's."""

    def at(self, level: Level) -> Number:
        """Return the number at "low", "nominal" or "high" (a missing end of the range is the nominal value)."""
        value = getattr(self, level)
        return self.nominal if value is None else value

    def to(self, unit: str, where: str = "quantity") -> "Quantity":
        """Return the same quantity in another unit; raises `InputError`, about `where`, if its own does not convert."""
        scale = units.factor(self.unit, unit, where)
        if scale == 1.0 and self.unit == unit:
            return self
        low, high = self.at("low") * scale, self.at("high") * scale
        return dataclasses.replace(self, low=low, nominal=self.nominal * scale, high=high, unit=unit)


_QUANTITY = TypeAdapter(Quantity)


@dataclass(frozen=True)
class Book(Mapping[str, Quantity]):
    """A named set of quantities; behaves as a read-only mapping from dotted names to `Quantity`."""

    header: Header
    quantities: dict[str, Quantity]
    level: Level = "nominal"
    correlations: tuple[Correlation, ...] = ()
    bases: tuple[str, ...] = ()
    """Names of the books that it extends, the nearest first."""

    @property
    def name(self) -> str:
        """Name of the book."""
        return self.header.name

    @property
    def title(self) -> str:
        """Full name of what the book describes."""
        return self.header.title

    @property
    def kind(self) -> str:
        """What the book describes, such as "gpu" or "technology"."""
        return self.header.kind

    def __getitem__(self, key: str) -> Quantity:
        try:
            return self.quantities[key]
        except KeyError:
            raise unknown_name(f"assumption in book {shown(self.name)}:", key, self.quantities) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.quantities)

    def __len__(self) -> int:
        return len(self.quantities)

    def __contains__(self, key: object) -> bool:
        return key in self.quantities

    def at(self, level: Level) -> "Book":
        """Return the same book read at its "low", "nominal" or "high" values."""
        if level not in get_args(Level):
            raise unknown_name("level", level, get_args(Level))
        return dataclasses.replace(self, level=level)

    def value(self, key: str, unit: str) -> Number:
        """Return the number named `key` at the book's level; raises `InputError` if its unit is not `unit`."""
        quantity = self[key]
        return quantity.at(self.level) * units.factor(quantity.unit, unit, f"{self.name}: {key}")

    def override(self, values: Mapping[str, Any], source: str = "set by the user") -> "Book":
        """Return a book in which each named quantity is pinned to a number, a text like "18 kUSD", or an array.

        Arrays may be lists of texts. Numbers are in the quantity's own unit. The texts of a header that may be replaced
        ("region", "fab_region") are taken too. Raises `InputError` for unknown names, other units, and numbers that
        are not finite.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"overrides {shown(values)}: expected constants by name, such as {{'clock_hz': 1e9}}")
        changed = dict(self.quantities)
        texts: dict[str, Any] = {}
        for key, given in values.items():
            if key in self.header.texts:
                if not isinstance(given, str):
                    raise InputError(f"{key} = {shown(given)}: expected one name")
                texts[key] = given
                continue
            old = self[key]
            value = number(key, read_value(key, given, old.unit))
            if np.any(np.asarray(value) < 0) and np.all(np.asarray(old.nominal) >= 0):
                raise InputError(f"{key} = {np.min(value):.12g}: expected a number >= 0 in {old.unit}")
            changed[key] = Quantity(value, old.unit, source, "user", old.year, note=f"was {old.nominal}")
        return dataclasses.replace(self, header=with_texts(self.header, texts), quantities=changed)

    def settable(self) -> list[str]:
        """Return the names that `override` takes."""
        return [*self.quantities, *self.header.texts]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the numbers that are arrays at the book's level, by name: those that an override varies."""
        return {key: self.quantities[key].at(self.level) for key in self._varied}

    @cached_property
    def _varied(self) -> tuple[str, ...]:
        """Names of the quantities that are arrays at the book's level."""
        levels = {key: quantity.at(self.level) for key, quantity in self.quantities.items()}
        return tuple(key for key, value in levels.items() if isinstance(value, np.ndarray))

    def section(self, prefix: str) -> dict[str, Quantity]:
        """Return the quantities of the table `prefix`, by their names in it; none where the book has no such table."""
        start = f"{prefix}."
        return {name.removeprefix(start): q for name, q in self.quantities.items() if name.startswith(start)}

    def without(self, prefix: str) -> "Book":
        """Return the book without the table `prefix`."""
        kept = {name: q for name, q in self.quantities.items() if not name.startswith(f"{prefix}.")}
        return dataclasses.replace(self, quantities=kept)

    def reader(self) -> "Reader":
        """Return a reader that remembers which quantities were asked for."""
        return Reader(self, {})

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a quantity: name, low, nominal, high, unit, kind, year, source, note."""
        return quantities_frame(self.quantities)

    def _repr_html_(self) -> str:
        from hwbase.columns import column
        from hwbase.notebook import html_table

        values = [(column(name, q.unit), name, q) for name, q in self.quantities.items()]
        rows = [
            (c.label, name, *(c.text(q.at(level)) for level in get_args(Level)), q.kind, q.year, q.source)
            for c, name, q in values
        ]
        heads = ("constant", "name", *get_args(Level), "kind", "year", "source")
        return html_table(f"{self.name}: {self.title}", heads, rows, [head in get_args(Level) for head in heads])


@dataclass(frozen=True)
class WatchedBook(Book):
    """A book that records which of its quantities were read, in copies with overrides too."""

    asked: set[str] = dataclasses.field(default_factory=set)

    def __getitem__(self, key: str) -> Quantity:
        self.asked.add(key)
        return super().__getitem__(key)


@dataclass(frozen=True)
class Reader:
    """Reads a book and keeps what it read in `used`, so that a result can print where its numbers came from."""

    book: Book
    used: dict[str, Quantity]

    def __call__(self, key: str, unit: str) -> Number:
        """Return the number named `key`, which must be in `unit` or convert to it."""
        value = self.book.value(key, unit)
        self.used[key] = self.book[key]
        return value


def sourced(unit: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """Return a dataclass field that `from_book` fills from the quantity of the same name, in `unit`.

    `limits` are those of `hwbase.check.number` (low, high, above, whole). A book may lack a field that has a `default`.
    """
    return dataclasses.field(default=default, metadata={"unit": unit, "limits": limits or {"low": 0.0}})


def from_book(record: type[R], reader: Reader, prefix: str = "", **given: Any) -> R:
    """Return an instance of the dataclass `record`, each `sourced` field read from the book under `prefix`.

    Fields that are not sourced come from `given`. Raises `InputError` for a name that the book does not have, and for
    a value out of its field's limits.
    """
    values = dict(given)
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        if "unit" in field.metadata and field.name not in values:
            if prefix + field.name not in reader.book and field.default is not dataclasses.MISSING:
                continue
            value = reader(prefix + field.name, field.metadata["unit"])
            # Whole numbers become ints here, so that counts stay counts.
            values[field.name] = number(prefix + field.name, value, **field.metadata["limits"])
    return record(**values)


def missing_fields(record: type, book: Book) -> list[str]:
    """Return the `sourced` fields without a default of the dataclass `record` that `book` has no quantity for."""
    needed = [f for f in dataclasses.fields(record) if "unit" in f.metadata and f.default is dataclasses.MISSING]
    return [field.name for field in needed if field.name not in book]


def check_fields(record: type, values: Mapping[str, Any]) -> None:
    """Check `values` against the limits of the `sourced` fields of the dataclass `record`; raises `InputError`."""
    for field in dataclasses.fields(record):
        if "unit" in field.metadata and field.name in values:
            number(field.name, values[field.name], **field.metadata["limits"])


def quantities_frame(quantities: Mapping[str, Quantity]) -> "pd.DataFrame":
    """Return one row a quantity, in the columns name, low, nominal, high, unit, kind, year, source, note."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "name": name,
                "low": q.at("low"),
                "nominal": q.nominal,
                "high": q.at("high"),
                "unit": q.unit,
                "kind": q.kind,
                "year": q.year,
                "source": q.source,
                "note": q.note,
            }
            for name, q in quantities.items()
        ],
        columns=["name", "low", "nominal", "high", "unit", "kind", "year", "source", "note"],
    )


def load_book(
    name_or_path: str | Path, folder: Path, *, beside: Mapping[str, Mapping[str, Quantity]] | None = None
) -> Book:
    """Return the book called `name_or_path` in `folder`, or the one in the TOML file of that path.

    Names ignore case. `beside` gives quantities from elsewhere by the name of a book: they stand beside that book's own
    and override what it extends, so that files which extend it may name them too.
    Raises `InputError` for a book that is missing, is not TOML, extends itself, or breaks a rule of this module.
    """
    return _load(_find(name_or_path, folder), folder, beside or {}, seen=())


def book_names(folder: Path) -> list[str]:
    """Return the names of the books in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def _load(path: Path, folder: Path, beside: Mapping[str, Mapping[str, Quantity]], seen: tuple[Path, ...]) -> Book:
    if path in seen:
        raise InputError(f"book {path.name} extends itself")
    header, correlations, stated = _read(path, read_text(path))
    more = beside.get(header.name, {})
    if header.extends:
        # A file beside this one, which may itself extend a book of `folder`.
        near = path.parent if _beside(header.extends, path) else folder
        base = _load(_find(header.extends, near), folder, beside, (*seen, path))
        bases = (base.name, *base.bases)
        quantities = {**without_own(base.quantities, base.header), **more}
        for name, quantity in stated.items():
            old = quantities.get(name) or base.quantities.get(name)
            if old is None and base.header.takes(name):
                like = base.header.beside(name, base.quantities)
                where = f"{path.name}: {name}"
                quantities[name] = quantity if like is None else quantity.to(base.quantities[like].unit, where)
                continue
            if old is None:
                known = [*base.quantities, *more]
                raise unknown_name(
                    f"assumption in {path.name} (book {shown(base.name)} has no such name):", name, known
                )
            quantities[name] = quantity.to(old.unit, f"{path.name}: {name}")
        header = inherit(header, base.header)
        kept = [each for each in base.correlations if set(each.between) <= quantities.keys()]
        correlations = merge_correlations(kept, correlations)
    else:
        quantities, bases = {**stated, **more}, ()
    check_about(path.name, header)
    for name in missing_own(header, quantities):
        raise unknown_name(f"constant in `own` of {path.name}:", name, quantities)
    check_correlations(path.name, correlations, quantities)
    return Book(header, quantities, correlations=correlations, bases=bases)


@lru_cache(maxsize=_MOST_FILES)
def _read(path: Path, text: str) -> tuple[Header, tuple[Correlation, ...], dict[str, Quantity]]:
    """Return the header, correlations and quantities that the `text` of a file states.

    Commands load the same books many times over. A file that has changed has another text.
    """
    data = parse_toml(text, path.name)
    header = read_header(path, data.pop("book", None))
    correlations = read_correlations(path.name, data.pop("correlations", []))
    stated = {name: _quantity(f"{path.name}: {name}", table) for name, table in _tables(path.name, data)}
    return header, correlations, stated


def _find(name_or_path: str | Path, folder: Path) -> Path:
    if not isinstance(name_or_path, (str, Path)):
        raise unknown_name("book", name_or_path, book_names(folder))
    given = Path(name_or_path)
    if given.suffix == ".toml":
        for path in (given, folder / given):
            if _is_file(path):
                return path.resolve()
        raise InputError(f"book file {shown(str(given))} does not exist")
    path = folder / f"{given.name}.toml"
    if str(given) == given.name and _is_file(path):
        return path.resolve()
    for name in book_names(folder):
        if name.lower() == str(given).lower():
            return (folder / f"{name}.toml").resolve()
    raise unknown_name("book", str(name_or_path), book_names(folder))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _beside(name: object, path: Path) -> bool:
    return _is_file(path.parent / f"{name}.toml") or str(name).endswith(".toml")


def _tables(where: str, data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in data.items():
        if len(prefix) + len(key) > _LONGEST_NAME or prefix.count(".") > _MOST_LEVELS:
            raise InputError(
                f"{where}: {shown(prefix + key)} is no name: expected at most {_LONGEST_NAME} characters and "
                f"{_MOST_LEVELS} levels"
            )
        if not isinstance(value, dict):
            raise InputError(
                f"{where}: {prefix}{key} = {shown(value)}: expected a table with nominal, unit, year, source, kind"
            )
        if "nominal" in value or not any(isinstance(v, dict) for v in value.values()):
            yield prefix + key, value
        else:
            yield from _tables(where, value, f"{prefix}{key}.")


def _quantity(where: str, table: dict[str, Any]) -> Quantity:
    quantity = parse_strict(_QUANTITY, table, Quantity, where)
    for level in ("nominal", "low", "high"):
        if np.ndim(number(f"{where}.{level}", quantity.at(level))):
            raise InputError(f"{where}.{level} is a list: expected one number")
    low, nominal, high = quantity.at("low"), quantity.nominal, quantity.at("high")
    if low > nominal or nominal > high:
        raise InputError(
            f"{where}: low = {low:g}, nominal = {nominal:g}, high = {high:g}: expected low <= nominal <= high"
        )
    if not quantity.source.strip():
        raise InputError(f"{where}.source is empty: expected where the number comes from")
    units.check(quantity.unit)
    return quantity


__all__ = [
    "Book",
    "Kind",
    "Level",
    "Quantity",
    "Reader",
    "WatchedBook",
    "book_names",
    "check_fields",
    "from_book",
    "load_book",
    "missing_fields",
    "quantities_frame",
    "sourced",
]


def refuse_old(**names: Any) -> None:
    """Raise `InputError` for older names of `set` that are given: name=value, None where it is not."""
    for name, value in names.items():
        if value is not None:
            raise InputError(f"{name} is no longer taken: expected set, which takes the constants of every book")


def share_overrides(overrides: Mapping[str, Any], *books: Book) -> tuple[dict[str, Any], ...]:
    """Return the overrides that each of the `books` takes: every one goes to the first book that has its name.

    Raises `InputError` for a name that no book has, with the nearest name of all of them.
    """
    shares: tuple[dict[str, Any], ...] = tuple({} for _ in books)
    known = [book.settable() for book in books]
    for key, value in overrides.items():
        for share, names in zip(shares, known, strict=True):
            if key in names:
                share[key] = value
                break
        else:
            raise unknown_name("constant", key, [name for names in known for name in names])
    return shares


def refuse_unread(overrides: Mapping[str, Any], *read: Container[str]) -> None:
    """Raise `InputError` for an override of a constant that is in none of `read`: it has no effect.

    Words are no constants, such as the name of a region or a machine's choice: the book that has them reads them.
    """
    for name, value in overrides.items():
        is_word = isinstance(value, str) and value.strip()[:1].isalpha()
        if not is_word and not any(name in each for each in read):
            raise InputError(f"{name} has no effect here: the machines, conventions and workload chosen do not read it")


def split_overrides(overrides: Mapping[str, Any], known: Container[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (those whose key is in `known`, the others)."""
    inside = {key: value for key, value in overrides.items() if key in known}
    return inside, {key: value for key, value in overrides.items() if key not in known}
