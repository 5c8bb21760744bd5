"""Tables of layers and their options: read from CSV, checked line by line.

Long form, one line for each option of each layer: `layer`, `bits`, and as needed `act_bits`, `group`, `size` (elements
of the layer's weights), `act_size` (elements of its activations), `tie`, `loss`, and any other column of numbers. The
separator is the most frequent of comma, semicolon and tab in the first line; with semicolons a decimal comma is
accepted, in all numbers of the file or in none. A byte-order mark is skipped. Messages name the line of the file, or
the row of a frame.
"""

import csv
import difflib
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError, patterns, unknown_name
from hwbase.check import ABSURD
from hwbase.parsing import read_text

#: Columns that hold names; all others hold numbers.
NAMES = ("layer", "group", "tie")
#: Columns of numbers whose meaning is fixed; any other has one where an objective or a limit names it.
_KNOWN = (*("bits", "act_bits", "size", "act_size", "loss", "macs"), *("inputs", "outputs", "tokens"))
#: Names that belong to a layer rather than to one of its options.
_LABELS = ("group", "tie")
#: A number with one separator, and the digits after it.
_SEPARATED = re.compile(r"\s*[+-]?\d*(?P<mark>[.,])(?P<rest>\d+)(?:[eE][+-]?\d+)?\s*")
_THOUSAND = 3
#: Bits of a double: no format is wider.
_MOST_BITS = 64.0
_DELIMITERS = ",;\t"
_EXAMPLE = "layer,group,bits,size,loss"
#: Most lines or names in a message.
_LISTED = 5
#: Likeness of two names of which one may be a slip of the pen.
_NEAR = 0.8


def read_layers(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Return the options as a frame indexed by "line" (of a file) or "row" (of a frame), with checked names.

    Cells are unchanged, but an option without a group or tie has that of its layer. Raises `InputError` for an invalid
    table, a layer without a name or in two groups, bits out of range, or a repeated option.
    """
    frame = _from_frame(source) if isinstance(source, pd.DataFrame) else _from_csv(Path(source))
    for name in ("layer", "bits"):
        if name not in frame:
            if len(frame.columns) == 1:
                raise InputError(
                    f"the first line {str(frame.columns[0])[:80]!r} is one column: expected columns such as "
                    f"{_EXAMPLE}, separated by commas, semicolons or tabs"
                )
            raise unknown_name("columns: no column", name, [str(column) for column in frame.columns])
    if frame.empty:
        raise InputError(f"the table has no rows: expected lines under {','.join(map(str, frame.columns))!r}")
    for name in NAMES:
        if name in frame:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str).str.strip()
    unnamed = frame["layer"] == ""
    if unnamed.any():
        raise InputError(f"{place(frame, unnamed)}: layer has no name")
    for name in NAMES:
        if name in frame and (odd := ~frame[name].map(str.isprintable)).any():
            raise InputError(
                f"{place(frame, odd)}: {name} = {frame[name][odd].iloc[0]!r}: expected no control characters"
            )
    for name in _LABELS:
        if name in frame:
            frame[name] = _one_label(frame, name)
    keys = ["layer", "bits", *(["act_bits"] if "act_bits" in frame else [])]
    for name in keys[1:]:
        frame[name] = numbers(frame, name, low=0.0, high=_MOST_BITS)
    twice = frame.duplicated(keys)
    if twice.any():
        which = frame[twice].iloc[0]
        first = place(frame, (frame[keys] == which[keys]).all(axis=1))
        raise InputError(
            f"{place(frame, twice)}: layer {which['layer']!r} at {_choice(which)} is given twice, first in {first}"
        )
    return frame


def numbers(
    frame: pd.DataFrame, name: str, *, low: float = -ABSURD, high: float = ABSURD, gaps: bool = False
) -> pd.Series:
    """Return a column as floats; `gaps` allows cells that are empty or not finite (NaN then).

    Raises `InputError` for an unknown column (nearest name suggested) or a cell that is not a number from `low` to
    `high`, with its line.
    """
    if name not in frame:
        raise unknown_name("column", name, [str(column) for column in frame.columns])
    series = frame[name]
    values = pd.to_numeric(series, errors="coerce").astype(float)
    infinite = ~np.isfinite(values)
    words = infinite & ~series.astype(str).str.strip().str.lower().isin(
        ("", "nan", "none", "null", "na", "<na>", "inf", "-inf", "+inf")
    )
    bad = words | (~infinite & ~values.between(low, high)) | (infinite & (not gaps))
    if bad.any():
        at_least = "" if low == -ABSURD else f" >= {low:g}"
        raise InputError(
            f"{place(frame, bad)}: {name} = {str(series[bad].iloc[0])[:80]!r}: "
            f"expected a finite number{at_least}{' and' if at_least else ''} <= {high:g}"
        )
    return values.mask(infinite)


def place(frame: pd.DataFrame, where: pd.Series | np.ndarray) -> str:
    """Return "line 7" for the first row that `where` marks."""
    return f"{frame.index.name} {frame.index[np.asarray(where)][0]}"


def drop_gaps(frame: pd.DataFrame, needed: Mapping[str, pd.Series]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return (rows with all `needed` columns, notes on dropped rows).

    Raises `InputError` for a layer without any row left.
    """
    gone = pd.Series(False, index=frame.index)
    for values in needed.values():
        gone |= values.isna()
    if not gone.any():
        return frame, ()
    names = " or ".join(name for name, values in needed.items() if values.isna().any())
    left = frame[~gone]
    lost = frame.loc[~frame["layer"].isin(left["layer"])]
    if len(lost):
        layer = lost["layer"].iloc[0]
        lines = ", ".join(str(line) for line in lost.index[lost["layer"] == layer][:_LISTED])
        raise InputError(f"layer {layer!r} has no candidate: no {names} that is a number ({frame.index.name} {lines})")
    dropped = frame[gone]
    shown = "; ".join(
        f"{frame.index.name} {i}: {row['layer']} at {_choice(row)}" for i, row in dropped.head(_LISTED).iterrows()
    )
    more = f"; and {len(dropped) - _LISTED} more" if len(dropped) > _LISTED else ""
    return left, (f"options without a number in {names} are left out: {shown}{more}",)


def unread(frame: pd.DataFrame, needed: Iterable[str]) -> tuple[str, ...]:
    """Return a note on columns that cannot be meant as they are, if there are any.

    They are not among `needed`, and hold no numbers or nearly have the name of a column whose meaning is fixed.
    """
    known = {*NAMES, *_KNOWN}
    names = {each.partition(":")[2] or each for each in needed} | {*needed, *known}
    others = [
        str(column)
        for column in frame.columns
        if column not in names
        and (
            difflib.get_close_matches(str(column), known, n=1, cutoff=_NEAR)
            or pd.to_numeric(frame[column], errors="coerce").isna().all()
        )
    ]
    more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    return (f"columns that are not read: {', '.join(map(repr, others[:_LISTED]))}{more}",) if others else ()


def allow(frame: pd.DataFrame, allowed: Mapping[str, Iterable[float]]) -> pd.DataFrame:
    """Return the rows with allowed bits: `allowed` maps layers, or patterns such as "*.ff.*", to bits.

    A layer with several matches may have the bits that all of them allow. Raises `InputError` for a name without a
    match, or a layer without any row left.
    """
    keep = pd.Series(True, index=frame.index)
    for pattern, bits in allowed.items():
        matched = frame["layer"].isin(matching(frame, pattern))
        keep &= ~matched | frame["bits"].isin([float(b) for b in bits])
    left = frame[keep]
    lost = frame.loc[~frame["layer"].isin(left["layer"])]
    if len(lost):
        layer = lost["layer"].iloc[0]
        has = ", ".join(f"{b:g}" for b in lost.loc[lost["layer"] == layer, "bits"])
        raise InputError(f"layer {layer!r} has no candidate among the bits allowed: it has {has}")
    return left


def matching(frame: pd.DataFrame, pattern: str) -> list[str]:
    """Return the layers called `pattern`, or matching it (see `hwbase.patterns`).

    Raises `InputError` if there are none.
    """
    matches = patterns.matching(pattern, frame["layer"])
    if not matches:
        raise unknown_name("layer", pattern, dict.fromkeys(frame["layer"]))
    return matches


def _one_label(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of labels, one for each layer: options without one have that of their layer."""
    labels = frame[name]
    first = labels.mask(labels == "").groupby(frame["layer"]).transform("first").fillna("")
    differ = (labels != "") & (labels != first)
    if differ.any():
        layer, now, before = (column[differ].iloc[0] for column in (frame["layer"], labels, first))
        raise InputError(
            f"{place(frame, differ)}: layer {layer!r} has {name} {now!r}, before {before!r}: "
            f"expected one {name} a layer"
        )
    spelled: dict[str, str] = {}
    for label in dict.fromkeys(first):
        same = spelled.setdefault(label.casefold(), label)
        if same != label:
            raise InputError(
                f"{place(frame, first == label)}: {name} {label!r} is {same!r} before: expected one spelling"
            )
    return first


def _choice(row: pd.Series) -> str:
    activations = f" and {float(row['act_bits']):g} activation bits" if "act_bits" in row else ""
    return f"{float(row['bits']):g} bits{activations}"


def _from_frame(table: pd.DataFrame) -> pd.DataFrame:
    frame = table.reset_index(drop=True)
    frame.index.name = "row"
    if isinstance(frame.columns, pd.MultiIndex):
        raise InputError(f"columns have {frame.columns.nlevels} levels: expected one, such as {_EXAMPLE}")
    if not frame.columns.is_unique:
        raise InputError(f"column {frame.columns[frame.columns.duplicated()][0]!r} appears twice: expected once")
    return frame


def _from_csv(path: Path) -> pd.DataFrame:
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path.name} is empty: expected a first line such as {_EXAMPLE}")
    head = text.lstrip("\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header: list[str] | None = None
        lines, rows = [], []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"line {reader.line_num}: {len(cells)} cells: expected {len(header)}, as in the header"
                )
            lines.append(reader.line_num)
            rows.append(cells)
    except csv.Error as error:
        raise InputError(f"{path.name}, line {reader.line_num}: {error}") from None
    if header is None:
        raise InputError(f"{path.name} is empty: expected a first line such as {_EXAMPLE}")
    if len(set(header)) < len(header):
        raise InputError(f"column {next(n for n in header if header.count(n) > 1)!r} appears twice: expected once")
    frame = pd.DataFrame(rows, columns=header, index=pd.Index(lines, name="line"), dtype=object)
    return _with_points(frame) if delimiter == ";" else frame


def _with_points(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with decimal points in place of decimal commas.

    Raises `InputError` where numbers have both marks, or one that may separate thousands: three digits after it, and
    no number that shows which mark is the decimal one.
    """
    cells: dict[str, tuple[Any, str, str]] = {}
    surely: dict[str, tuple[Any, str, str]] = {}
    for name in frame.columns.difference(list(NAMES), sort=False):
        for line, cell in frame[name].items():
            if match := _SEPARATED.fullmatch(cell):
                cells.setdefault(match["mark"], (line, name, cell))
                if len(match["rest"]) != _THOUSAND:
                    surely.setdefault(match["mark"], (line, name, cell))
    if len(cells) > 1:
        (line, name, cell), (other, _, another) = sorted(cells.values(), reverse=True)
        raise InputError(
            f"line {line}: {name} = {cell.strip()!r}, but line {other} has {another.strip()!r}: expected one decimal "
            "mark in the file, and no separators of thousands"
        )
    if cells and not surely:
        ((line, name, cell),) = cells.values()
        raise InputError(
            f"line {line}: {name} = {cell.strip()!r} may be a decimal mark or separate thousands: expected such as 1024"
        )
    if "," in cells:
        for name in frame.columns.difference(list(NAMES)):
            frame[name] = frame[name].str.replace(",", ".", n=1)
    return frame
