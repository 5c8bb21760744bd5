"""Accounting conventions: named sets of choices, one for each questionable choice of the published economics.

A set is a TOML file, in `costmodel/books/conventions` or anywhere else: its `[conventions]` table describes the set,
its `[choices]` table has the choices. With `extends` it holds only the differences from another set.
"""

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from costmodel.dies import Formula
from costmodel.yields import Model
from hwbase import InputError, Record, unknown_name
from hwbase.books import Level
from hwbase.check import non_negative
from hwbase.parsing import read_toml

FOLDER = Path(__file__).parent / "books" / "conventions"
#: Fields that describe a set, besides its choices.
ABOUT = ("name", "title", "book", "reading", "levels", "headline", "published_system", "beside")


@dataclass(frozen=True)
class Conventions(Record):
    """The conventions of costs and carbon, separate from constants, with a description.

    Raises `InputError` for an unknown choice.
    """

    name: str
    title: str
    """The title of the set."""
    book: str
    """The cost book of the set."""
    reading: str
    """The reading of a hardwired machine's speed, for simulations."""
    levels: tuple[Level, ...]
    """Ends of the constants' ranges to show."""
    headline: Level
    """The level to show where only one is."""
    published_system: bool
    """Whether the published system of a cost book is used for its own model."""
    beside: str
    """The machine that is bought instead, where none is named."""

    die_formula: Formula
    """Gross dies: "plain" is the published formula, "exact" places dies on the wafer."""
    edge_and_scribe: bool
    """Whether the wafer's edge exclusion and the scribe lanes reduce the area."""
    round_good_dies: bool
    """Whether good dies per wafer are rounded to a whole number before prices are divided by them."""
    yield_model: Model
    """Yield model of the die's price."""
    carbon_yield_model: Model
    """Yield model of the die's carbon (the published module was counted by a tool with another yield model)."""
    pue_in_system_power: bool
    """Whether the power of a hardwired system includes PUE once before the facility multiplies by PUE again."""
    facility_power_step_mw: float
    """Facility power is rounded to this step in MW; 0 does not round."""
    construction_basis: Literal["facility", "it"]
    """The megawatts on which data-centre construction is paid."""
    maintenance_basis: Literal["capex", "nodes"]
    """The base of the yearly maintenance rate: all initial capital, buildings included, or the price of the nodes."""
    licence_counted: bool
    """Whether the GPUs pay a software licence; the hardwired system pays none."""
    bought_power: Literal["stated", "activity"]
    """Power of bought devices: that stated, or the share of it that they draw at work (NAME.power_share)."""
    gpu_count: Literal["rounded", "exact"]
    """GPUs that match one hardwired system: rounded to one significant digit, or the whole fleet's rounded up."""
    hardwired_maintenance: Literal["spares", "rate", "spares-and-rate"]
    """Upkeep of the hardwired fleet.

    Spare systems at recurring cost only; or the GPUs' rate on the GPUs' basis (masks and design included, no spares);
    or the spares and the rate on the recurring cost of the systems. """
    spares_respun: bool
    """Whether a re-spin rebuilds the spares too."""
    spares_embodied: bool
    """Whether the spares' embodied carbon counts."""
    module_carbon: Literal["gpu", "rebuilt"]
    """One published figure for a GPU card for both machines, or each module counted from its own parts."""
    ceil_carbon: bool
    """Whether the hardwired fleet's printed tonnes are rounded up."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name in (*CHOICES, "published_system", "headline"):
            value, valid = getattr(self, name), get_args(hints[name])
            if hints[name] is bool:
                valid = (True, False)
            if valid and not any(value is v or (isinstance(value, str) and value == v) for v in valid):
                raise unknown_name(f"choice for convention {name}:", value, valid)
        non_negative("facility_power_step_mw", self.facility_power_step_mw)
        for name in ("name", "title", "book", "reading", "beside"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"conventions: {name} = {getattr(self, name)!r}: expected a text")
        known = get_args(Level)
        if not isinstance(self.levels, (list, tuple)) or not self.levels or not {*self.levels} <= {*known}:
            raise InputError(f"conventions: levels = {self.levels!r}: expected some of {', '.join(known)}")
        object.__setattr__(self, "levels", tuple(self.levels))

    def switched(self, **choices: Any) -> "Conventions":
        """Return these conventions with other choices. Raises `InputError` for an unknown name or choice."""
        for name in choices:
            if name not in CHOICES:
                raise unknown_name("convention", name, CHOICES)
        return dataclasses.replace(self, **({"name": f"{self.name}, changed"} | choices))


#: Names of the choices.
CHOICES = tuple(field.name for field in dataclasses.fields(Conventions) if field.name not in ABOUT)


def named(name_or_path: "str | Path | Conventions") -> Conventions:
    """Return the conventions by name, in any case, or from a TOML file by path.

    Raises `InputError` for a missing name or file, and an unknown key or choice.

    >>> named("corrected").die_formula
    'exact'
    """
    if isinstance(name_or_path, Conventions):
        return name_or_path
    if isinstance(name_or_path, (str, Path)) and Path(name_or_path).suffix == ".toml":
        return _read(Path(name_or_path), ())
    known = {name.lower(): name for name in names()}
    name = known.get(str(name_or_path).lower())
    if name is None:
        raise unknown_name("conventions", name_or_path, names())
    return _package_set(name)


def names() -> list[str]:
    """Return the names of the package's sets, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def differences(base: Conventions, other: Conventions) -> dict[str, Any]:
    """Return the choices of `other` that differ from `base`, in the order of the fields."""
    return {name: getattr(other, name) for name in CHOICES if getattr(other, name) != getattr(base, name)}


@cache
def _package_set(name: str) -> Conventions:
    return _read(FOLDER / f"{name}.toml", ())


def _read(path: Path, seen: tuple[Path, ...]) -> Conventions:
    data = read_toml(path)
    if path.resolve() in seen:
        raise InputError(f"conventions {path.name} extend themselves")
    about, choices = data.pop("conventions", {}), data.pop("choices", {})
    for table, valid, where in ((about, (*ABOUT, "extends"), "[conventions]"), (choices, CHOICES, "[choices]")):
        if not isinstance(table, dict):
            raise InputError(f"{path.name}: expected a table {where}")
        for key in table:
            if key not in valid:
                raise unknown_name(f"key in {where} of {path.name}:", key, valid)
    for key in data:
        raise unknown_name(f"table in {path.name}:", key, ("conventions", "choices"))
    base = about.pop("extends", None)
    for named_book in ("book", "beside"):
        if isinstance(book := about.get(named_book), str) and book.endswith(".toml"):
            # A user's books may be in the folder of the conventions.
            about[named_book] = str(path.parent / book)
    fields = {"name": path.stem, "title": about.get("name", path.stem)} | about | choices
    if base is not None:
        return dataclasses.replace(_base(base, path, (*seen, path.resolve())), **fields)
    missing = [name for name in (*ABOUT, *CHOICES) if name not in fields]
    if missing:
        raise InputError(f'{path.name}: {", ".join(missing)} missing: expected them, or extends = "corrected"')
    return Conventions(**fields)


def _base(name: object, path: Path, seen: tuple[Path, ...]) -> Conventions:
    if isinstance(name, str) and name.endswith(".toml"):
        return _read(path.parent / name, seen)
    if not isinstance(name, str) or name not in names():
        raise unknown_name(f"conventions that {path.name} extends:", name, names())
    return _read(FOLDER / f"{name}.toml", seen)


#: The choices of the published tables, and our own.
AS_PUBLISHED, CORRECTED = named("as-published"), named("corrected")
