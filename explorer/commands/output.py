"""Results of commands: JSON on standard output or in a file, CSV in a file with that suffix."""

import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.documents.files import PAGES, SUFFIXES, check_report_name, write_document
from explorer.documents.schema import with_schema
from explorer.writing import FILES, check_folder, json_text, write_folder
from hwbase import InputError, Record
from hwbase.errors import shown

if TYPE_CHECKING:
    from explorer.documents.document import Document

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
#: One rule for --out: a name with an ending is a file, and the ending says what is written; one without is a folder.
#: A result that is one document goes to a file; a run with tables of its own to a folder, or its document to a file.
FILE = "A file, by its name: .html, .md, .csv, .parquet or .json."
RUN = "A folder of tables and a page; or a file, by its name: .html, .md, .csv, .parquet or .json."
#: Bytes that mean themselves in a quoted argument.
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-=,: "
OutFile = Annotated[str | None, typer.Option("--out", help=FILE)]
OutRun = Annotated[str | None, typer.Option("--out", help=RUN)]


def emit(value: Record | Any, schema: str) -> None:
    """Print `value` (a record, or what JSON can hold) as JSON, which names its `schema` and has lists under "rows"."""
    sys.stdout.write(json_text(with_schema(value.to_dict() if isinstance(value, Record) else value, schema)))


def made_by() -> str:
    """Return the running command, quoted for a shell."""
    return " ".join(["hwsim", *map(_quoted, sys.argv[1:])])


def _quoted(argument: str) -> str:
    """Return an argument quoted for a shell; names that are not UTF-8, and control characters, as their bytes."""
    if argument.isprintable():
        return shlex.quote(argument)
    data = argument.encode("utf-8", "surrogateescape")
    return "$'" + "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in data) + "'"


def check_file(out: str | None) -> None:
    """Check that the suffix of the file `out` is known and that it can be written. Raises `InputError`."""
    if out is None:
        return
    check_report_name(out)
    check_writable(out)


def check_writable(out: str) -> None:
    """Check that a file `out` of any suffix can be written. Raises `InputError`."""
    folder = Path(out).absolute().parent
    if not folder.is_dir():
        raise InputError(f"cannot write {shown(out)}: expected a folder that exists")
    if Path(out).is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"cannot write {shown(out)}: expected a file, in a folder that may be written")


def check_kept(out: str | None, *inputs: str | None) -> None:
    """Check that the command does not read the file `out`. Raises `InputError`."""
    for path in inputs:
        if out is not None and path is not None and Path(out).absolute() == Path(path).absolute():
            raise InputError(f"--out {shown(out)} is a file that the command reads: expected another name")


def check_out(out: str | None, known: Collection[str] = FILES) -> None:
    """Check that `write_out` can write `out`, as a file or a folder. Raises `InputError`."""
    if out is not None and Path(out).suffix.lower() in SUFFIXES:
        check_file(out)
    elif out is not None:
        check_folder(out, known)


def write_out(out: str, document: "Document", files: Callable[[], Mapping[str, str]]) -> None:
    """Write a result to `out`: its document if the suffix is one of `SUFFIXES`, else `files` as a folder.

    Raises `InputError` if that fails.
    """
    if Path(out).suffix.lower() in SUFFIXES:
        write_document(document, out)
    else:
        write_folder(out, files())


def deliver(document: "Document", out: str | None, as_json: bool) -> None:
    """Write a document to the file `out` if given; print its data as JSON if requested, else show it.

    A command whose file holds all that it would show prints only the name of the file.
    """
    from rich.console import Console

    from explorer.documents import rows, terminal

    if out is not None:
        write_document(document, out)
    if as_json:
        sys.stdout.write(json_text(rows.data(document)))
    elif out is None:
        terminal.show(Console(), document)
    elif check_report_name(out) in PAGES:
        Console().print(f"wrote {out}", highlight=False, soft_wrap=True)
