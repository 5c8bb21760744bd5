"""What a command hands out: JSON on standard output or in a file, CSV in a file whose name ends so."""

import sys
from typing import Annotated, Any

import pandas as pd
import typer

from explorer.writing import json_text, write_text
from hwbase import Record

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[
    str | None, typer.Option("--out", help="Write to this file (JSON, or CSV by its name), not the screen.")
]


def emit(value: Record | Any, out: str | None = None) -> None:
    """Print `value` (a record, or what JSON can hold) as JSON, or write it to the file `out`, whole or not at all.

    A file whose name ends in .csv gets the rows of its frame. Raises `InputError` if `out` cannot be written.
    """
    data = value.to_dict() if isinstance(value, Record) else value
    if out is not None and out.lower().endswith(".csv"):
        frame = value.to_frame() if isinstance(value, Record) else pd.DataFrame(data)
        write_text(frame.to_csv(index=False), out)
        return
    if out is None:
        sys.stdout.write(json_text(data))
    else:
        write_text(json_text(data), out)
