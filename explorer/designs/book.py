"""A design as a machine's book, which every command takes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import hwsim
from explorer.designs.evaluation import READING
from explorer.writing import write_text
from hwbase import Book, InputError
from hwbase.errors import shown
from hwbase.numbers import context_label
from hwsim.design import CHOICES

if TYPE_CHECKING:
    from explorer.designs.result import DesignSearch


def write_design_book(result: "DesignSearch", design: pd.Series, path: str | Path) -> Path:
    """Write `design`, a row of the front of `result`, as a machine's book to `path`, and return the path.

    The book extends that of the machine; its constants are of kind "user". Raises `InputError` where the file cannot be
    written, and for a name that does not end in .toml.
    """
    check_book_name(path)
    return write_text(book_text(result, design, Path(path).stem), path)


def check_book_name(path: str | Path) -> None:
    """Check that `path` can be a book's. Raises `InputError`."""
    if Path(path).suffix != ".toml":
        raise InputError(f"cannot write {shown(str(path))}: expected a name that ends in .toml")
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"cannot write {shown(str(path))}: expected a folder that exists")


def book_text(result: "DesignSearch", design: pd.Series, name: str) -> str:
    """Return the text of the book called `name`."""
    base = hwsim.design_book(result.on)
    fields = hwsim.HardwiredDesign.__dataclass_fields__
    chosen = {each: design[each] for each in design.index if each in fields and each not in CHOICES}
    pinned = base.override({each: value for each, value in result.set.items() if each in base.settable()})
    chosen |= {each: pinned[each].nominal for each in result.set if each in base}
    lines = [
        f"# {result.model} in {result.technology}, weights {result.weights}: {_reason(result)}.",
        "[book]",
        f"name = {_text(name)}",
        f"title = {_text(f'Designed for {result.model}')}",
        f"extends = {_text(_extended(result.on))}",
        "",
        "[book.choices]",
        *(f"{each} = {_text(design[each])}" for each in CHOICES),
    ]
    for each, value in chosen.items():
        old = base.get(each)
        note = [] if old is None else [f"note = {_text(f'{base.name} has {_number(old.nominal)}')}"]
        lines += [
            "",
            f"[{each}]",
            f"nominal = {_number(value)}",
            f"unit = {_text(fields[each].metadata['unit'] if old is None else old.unit)}",
            f"year = {base['rows'].year if old is None else old.year}",
            'kind = "user"',
            f"source = {_text(_reason(result))}",
            *note,
        ]
    return "\n".join(lines) + "\n"


def _reason(result: "DesignSearch") -> str:
    """Return where the constants come from, in a sentence."""
    first, direction = next(iter(result.objectives.items()))
    load = result.workload
    context = f"at a context of {context_label(load.context)}" if not load.prompt_tokens else load.describe()
    if result.tried == 1:
        return f"chosen by hand {context}, {READING} reading, within {'; '.join(result.constraints.values())}"
    return (
        f"hwsim design: {'most' if direction == 'max' else 'least'} {first} {context} of {result.tried:,} designs, "
        f"{READING} reading, within {'; '.join(result.constraints.values())}"
    )


def _extended(on: str | Path | Book) -> str:
    """Return what the book extends: a book of the package by name, one of the user's by its path."""
    if isinstance(on, Book):
        return on.name
    return str(Path(on).resolve()) if Path(on).suffix == ".toml" else hwsim.design_book(on).name


def _number(value: float) -> str:
    number = float(np.asarray(value))
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _text(value: object) -> str:
    """Return a text as a basic string of TOML."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
