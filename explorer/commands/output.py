"""What a command hands out: JSON on standard output or in a file, CSV in a file whose name ends so."""

import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.documents.files import PAGES, SUFFIXES, check_report_name, write_document
from explorer.documents.schema import with_schema
from explorer.writing import FILES, check_folder, json_text, write_folder, write_text
from hwbase import InputError, Record
from hwbase.errors import shown

if TYPE_CHECKING:
    from explorer.documents.document import Document

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[
    str | None, typer.Option("--out", help="Write to this file (JSON, or CSV by its name), not the screen.")
]
OutFile = Annotated[
    str | None, typer.Option("--out", help="What to write, by its name: .html, .md, .csv, .parquet or .json.")
]


def emit(value: Record | Any, schema: str, out: str | None = None) -> None:
    """Print `value` (a record, or what JSON can hold) as JSON, or write it to the file `out`, whole or not at all.

    The JSON names its `schema`, and has lists under "rows". A file whose name ends in .csv gets the rows of its frame.
    Raises `InputError` if `out` cannot be written.
    """
    data = value.to_dict() if isinstance(value, Record) else value
    if out is not None and out.lower().endswith(".csv"):
        import pandas as pd

        frame = value.to_frame() if isinstance(value, Record) else pd.DataFrame(data)
        write_text(frame.to_csv(index=False), out)
        return
    text = json_text(with_schema(data, schema))
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(text, out)


def emit_rows(values: Sequence[Record], schema: str, out: str | None = None) -> None:
    """Print or write several results as `emit` does one: under "rows" in JSON, one after the other in CSV.

    One alone is as `emit` has it; the schema of several is that of one with "-rows" added. Raises `InputError` if `out`
    cannot be written.
    """
    if len(values) == 1:
        emit(values[0], schema, out)
    elif out is not None and out.lower().endswith(".csv"):
        import pandas as pd

        write_text(pd.concat([value.to_frame() for value in values]).to_csv(index=False), out)
    else:
        emit([value.to_dict() for value in values], f"{schema}-rows", out)


def made_by() -> str:
    """Return the command that runs, quoted so that a shell reads it back as it was typed."""
    return shlex.join(["hwsim", *sys.argv[1:]])


def check_file(out: str | None) -> None:
    """Check that the name of the file `out` says what to write; raises `InputError`."""
    if out is not None:
        check_report_name(out)


def check_kept(out: str | None, *inputs: str | None) -> None:
    """Check that the file `out` is none of the files that the command reads; raises `InputError`."""
    for path in inputs:
        if out is not None and path is not None and Path(out).absolute() == Path(path).absolute():
            raise InputError(f"--out {shown(out)} is a file that the command reads: expected another name")


def check_out(out: str | None, known: Collection[str] = FILES) -> None:
    """Check that `out` can be written, as the file or the folder that `write_out` writes; raises `InputError`."""
    if out is not None and Path(out).suffix.lower() in SUFFIXES:
        check_report_name(out)
    elif out is not None:
        check_folder(out, known)


def write_out(out: str, document: "Document", files: Callable[[], Mapping[str, str]]) -> None:
    """Write a result to `out`: its document where the name ends in one of `SUFFIXES`, else `files` as a folder.

    Raises `InputError` if that cannot be done.
    """
    if Path(out).suffix.lower() in SUFFIXES:
        write_document(document, out)
    else:
        write_folder(out, files())


def deliver(document: "Document", out: str | None, as_json: bool) -> None:
    """Write a document to the file `out` if there is one; print its data as JSON if asked for, or show what it says.

    A command whose file holds all that it would show says only which page it wrote.
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
