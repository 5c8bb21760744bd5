"""The document of measured GPUs: our times against measured ones."""

from typing import Any

import pandas as pd

from explorer.documents.document import Bullets, Document, Part, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Table, frame_table, is_number
from explorer.serving.gpu_board import CELL, GpuBoard
from hwbase.numbers import percent, plain, words

#: Labels of the parts of the columns' names.
_TIMES = {"tpot": "time per output token", "ttft": "time to first token"}
_FIGURES = {
    "ratio": "ours over measured",
    "error": "median error",
    "error_p90": "error, 90th percentile",
    "left_out_error": "median error, network left out of the fit",
    "left_out_error_p90": "error, network left out, 90th percentile",
    "noise": "noise of measurements",
    "repeated": "measured again",
}
#: Figures that a terminal and a notebook show of each time.
_SHORT = ("ms", "ratio", "error", "left_out_error", "noise")


def gpu_document(board: GpuBoard, command: str = "") -> Document:
    """Return a scoreboard of measured GPUs as a document."""
    frame = board.to_frame()
    reasons = frame.pop("why").dropna() if "why" in frame else pd.Series(dtype=object)
    columns = {str(name): _column(str(name), frame[name]) for name in frame}
    formats = {name: percent for name in columns if "error" in name or name.endswith("noise")}
    short = {name: entry for name, entry in columns.items() if _is_short(name)}
    left_out = tuple(f"line {int(str(line)) + 1}: {reason}" for line, reason in reasons.items())
    rows: list[Part] = [frame_table("Measured beside ours", frame, short, formats)]
    rows += [Bullets(left_out)] if left_out else []
    more = len(short) < len(columns)
    return Document(
        "Measured GPUs: published figures and ours",
        "Serving times that others measured, and ours for the same machine, engine and format.",
        sections(
            Section("rows", "Measurements", tuple(rows)),
            Section("summary", "Summary", (_summary(board.summary),)),
            Section("all", "All figures", (frame_table("All figures", frame, columns, formats),), short=False)
            if more
            else None,
            reproduce_section(command),
        ),
        schema="reproduce-gpus",
        data=board.to_dict,
        frame=board.to_frame,
    )


def _column(name: str, values: "pd.Series[Any]") -> Column:
    short, _, figure = name.partition("_")
    numbers = all(is_number(value) or value is None for value in values)
    if short in _TIMES and figure in _FIGURES:
        return Column(_FIGURES[figure], group=_TIMES[short])
    return Column(words(name), numeric=numbers)


def _is_short(name: str) -> bool:
    short, _, figure = name.partition("_")
    return name in CELL or short not in _TIMES or figure in _SHORT


def _summary(summary: dict[str, Any]) -> Table:
    """Return the figures of a summary: a row each, those of a kind of evidence under its name."""
    rows = []
    for kind, figures in summary.items():
        for name, value in figures.items() if isinstance(figures, dict) else [("", figures)]:
            short, _, figure = name.partition("_")
            label = f"{_TIMES[short]}, {_FIGURES[figure]}" if short in _TIMES and figure in _FIGURES else words(name)
            text = ", ".join(map(str, value)) if isinstance(value, list) else plain(value)
            shown = percent(value) if "error" in name or name.endswith("noise") else text
            rows.append((", ".join(part for part in (words(kind), label) if part), shown))
    return Table("Summary", (Column("figure", numeric=False), Column("value")), tuple(rows))
