"""`hwsim assumptions`: the constants of a book."""

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

import costmodel
from costmodel.tools import TOOL_BOOKS
from explorer.commands.arguments import Set, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.documents.document import Document, Section
from explorer.documents.sections import reproduce_section
from explorer.documents.sources import quality, quality_table, source_table
from hwbase import Book, InputError, Quantity, book_names, load_book, unknown_name
from hwsim.technology import BOOKS as MACHINE_BOOKS


def assumptions_command(
    book: Annotated[str, typer.Argument(help="A book of costs, of a machine or of a technology, by name or file.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tables or constants of it, such as grid or '*.wafer_price_usd'; all by default."),
    ] = None,
    settings: Set = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Constants of an assumption book, with range, unit, year, kind and source."""
    check_file(out)
    constants = _chosen(find_book(book).override(parse_overrides(settings)), names or [])
    graded = quality(constants.values())
    document = Document(
        constants.name,
        f"{constants.title}. {graded.sentence()}",
        (
            Section("constants", "Constants", (source_table({constants.name: constants}, constants.title),)),
            Section("quality", "Quality of the constants", (quality_table(graded),)),
            reproduce_section(made_by()),
        ),
        schema="assumptions",
        data=lambda: constants.to_frame().to_dict(orient="records"),
        frame=constants.to_frame,
    )
    deliver(document, out, as_json)


def _chosen(book: Book, names: list[str]) -> Book:
    """Return the constants of a book that are in one of the named tables, or match a pattern; all without names."""
    tables = {name.rsplit(".", depth)[0] for name in book for depth in range(1, name.count(".") + 1)}
    kept: dict[str, Quantity] = {}
    for chosen in names:
        some = {name: q for name, q in book.items() if name.startswith(f"{chosen}.") or fnmatchcase(name, chosen)}
        if not some:
            raise unknown_name("constant or table", chosen, [*sorted(tables), *book])
        kept |= some
    return replace(book, quantities=kept) if names else book


def find_book(name: str) -> Book:
    """Return the cost, machine or technology book, or that of another tool, by name or file; raises `InputError`."""
    folders = (Path(costmodel.books.__file__).parent, MACHINE_BOOKS, TOOL_BOOKS)
    known = [each for folder in folders for each in book_names(folder)]
    if not name.endswith(".toml"):
        if name not in known:
            raise unknown_name("book", name, known)
        return load_book(name, next(folder for folder in folders if name in book_names(folder)))
    errors = []
    for folder in folders:
        try:
            return load_book(name, folder)
        except InputError as error:
            errors.append(str(error))
    raise InputError(errors[0])
