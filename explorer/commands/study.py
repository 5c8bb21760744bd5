"""`hwsim study`: run a study file, show its front, and explain why a point is not on it."""

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console

from explorer.commands.arguments import CONSTANTS, CostBook, parse_count, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.documents.document import Document, Section
from explorer.documents.tables import scaled_table
from explorer.pareto import front
from explorer.progress import Report
from explorer.study.document import dominators_document
from explorer.study.result import StudyResult, on_disk
from explorer.study.spec import Study, example_names, load_study, study_from
from explorer.study.store import is_study, manifest
from hwbase.columns import column


class Live:
    """Reports the progress of a study and the front so far."""

    def __init__(self, study: Study, report: Report) -> None:
        self._study = study
        self._report = report
        self.front: pd.DataFrame | None = None

    def watch(self, done: int, total: int, table: pd.DataFrame | None) -> None:
        """Take a finished piece; without one, what an earlier run has done."""
        if table is not None:
            self._take(table)
        self._report(f"points of {self._study.name}{self._describe()}", done, total)

    def _take(self, table: pd.DataFrame) -> None:
        names = [*self._study.objectives]
        if not names or not {*names} <= {*table.columns}:
            return
        fresh = table.loc[table["feasible"], names]
        both = fresh if self.front is None else pd.concat([self.front, fresh])
        self.front = front(both, self._study.objectives)

    def _describe(self) -> str:
        if self.front is None or self.front.empty:
            return ""
        best = []
        for name, direction in self._study.objectives.items():
            values = self.front[name].to_numpy(dtype=float)
            value = np.nanmin(values) if direction == "min" else np.nanmax(values)
            best.append(f"{column(name).label} {column(name).text(value)}")
        return f", front {len(self.front):,}: {', '.join(best)}"


#: Exit status of a study without an answer; its results are kept.
NO_ANSWER = 1

StudyName = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study file (TOML), a name of `hwsim study list`, or a folder of results."),
]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="A folder that `hwsim study run` wrote.")]


def list_command(as_json: AsJson = False, out: OutFile = None) -> None:
    """The shipped examples."""
    check_file(out)
    rows = [
        {"study": name, "title": study.title, "points": study.points, "parameters": ", ".join(study.space)}
        for name in example_names()
        for study in (load_study(name),)
    ]
    deliver(
        Document(
            "Studies that come with hwsim",
            "Run one with `hwsim study run NAME`.",
            (Section("studies", "Studies", (scaled_table("Studies", pd.DataFrame(rows)),)),),
            schema="study-list",
            data=lambda: rows,
        ),
        out,
        as_json,
    )


def run_command(
    name: StudyName,
    out: Annotated[
        str | None,
        typer.Option("--out", help="A folder, for results (Parquet); one begun earlier is gone on with."),
    ] = None,
    workers: Annotated[str, typer.Option("--workers", help="Threads for closed forms, processes for the rest.")] = "2",
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Address of a Dask scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    points: Annotated[str | None, typer.Option("--points", help="Points, in place of the study's own number.")] = None,
    seed: Annotated[str | None, typer.Option("--seed", help="Seed, in place of the study's own.")] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="grid, random, latin-hypercube, sobol, distinct or nsga2.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Pin a field or constant that the study fixes or leaves alone: key=value. Repeat it.",
            rich_help_panel=CONSTANTS,
        ),
    ] = None,
    book: CostBook = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the Python function that the file or folder names.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate every point of a study; exit 1 if there is no front (results are kept)."""
    # Standard output is for results only, independent of prints in a user's function.
    with contextlib.redirect_stdout(sys.stderr):
        opened = open_study(name, trusted=trust) if is_study(name) else load_study(name, trusted=trust)
        study = _changed(
            opened, points, seed, sampler, parse_overrides(settings) | ({} if book is None else {"book": book})
        )
        with progress_bar() as report:
            # A front that nobody sees need not be kept.
            watch = Live(study, report).watch if sys.stderr.isatty() else None
            result = study.run(out, workers=parse_count("workers", workers) or 0, cluster=cluster, watch=watch)
    _tell(result, as_json)


def show_command(folder: Folder, as_json: AsJson = False, out: OutFile = None) -> None:
    """The result of a study: counts, failures, the front and its knee (--out front.csv writes the front)."""
    check_file(out)
    _tell(open_result(folder), as_json, out)


def why_command(folder: Folder, point: int, as_json: AsJson = False, out: OutFile = None) -> None:
    """Which points of the front beat a point, and by how much in each objective."""
    check_file(out)
    result = open_result(folder)
    deliver(dominators_document(result.dominated_by(point), result.study, made_by()), out, as_json)


def open_result(folder: str | Path) -> StudyResult:
    """Return the result in the folder of a study. Raises `InputError` if there is none."""
    return on_disk(study_from(manifest(folder)["study"], str(folder), computed=True), folder)


def open_study(folder: str | Path, *, trusted: bool) -> Study:
    """Return the study whose results a folder holds, as `load_study` does. Raises `InputError` if there is none."""
    return study_from(manifest(folder)["study"], str(folder), trusted=trusted)


def _changed(
    study: Study, points: str | None, seed: str | None, sampler: str | None, settings: dict[str, Any]
) -> Study:
    values = {"points": parse_count("points", points), "seed": parse_count("seed", seed), "sampler": sampler}
    changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if "grid" in (study.drawn_by, sampler) and sampler is not None and points is None:
        # The number of points of a grid is not a setting.
        changes["points"] = None
    if settings:
        changes["fixed"] = {**study.fixed, **{name: _value(value) for name, value in settings.items()}}
    return dataclasses.replace(study, **changes) if changes else study


def _value(text: str) -> Any:
    """Return a number or a flag if the text is one, otherwise the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _tell(result: StudyResult, as_json: bool, out: str | None = None) -> None:
    deliver(result.document(made_by()), out, as_json)
    summary = result.summary()
    if result.out and out is None and not as_json:
        Console().print(f"\nwrote {result.out}", highlight=False, soft_wrap=True, markup=False)
    if summary["unfinished"] and not as_json:
        typer.echo(
            f"hwsim: {summary['unfinished']:,} points are not computed yet; run the study again to go on", err=True
        )
    if out is None and summary["trouble"] and result.study.objectives:
        typer.echo(f"hwsim: {summary['trouble']}; the results are kept", err=True)
        raise typer.Exit(NO_ANSWER)
