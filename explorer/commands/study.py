"""`hwsim study`: run a study file, see its front, and ask why a point is not on it."""

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
from explorer.commands.output import AsJson, Out, emit
from explorer.commands.progress import Report, progress_bar
from explorer.commands.terminal import show_frame
from explorer.documents.columns import column, readable
from explorer.documents.numbers import counted
from explorer.pareto import Dominators, front
from explorer.study.result import StudyResult, on_disk
from explorer.study.spec import Study, example_names, load_study, study_from
from explorer.study.store import is_study, manifest


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
        wanted = [*self._study.objectives]
        if not wanted or not {*wanted} <= {*table.columns}:
            return
        fresh = table.loc[table["feasible"], wanted]
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


#: What a study without an answer ends with; what was computed is kept.
NO_ANSWER = 1
#: Rows of a front that fit a terminal.
_SHOWN = 12

StudyName = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study file (TOML), a name of `hwsim study list`, or a folder of results."),
]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="A folder that `hwsim study run` wrote.")]


def list_command(as_json: AsJson = False, out: Out = None) -> None:
    """The shipped examples."""
    found = [
        {"study": name, "title": study.title, "points": study.points, "parameters": ", ".join(study.space)}
        for name in example_names()
        for study in (load_study(name),)
    ]
    if as_json or out:
        emit(found, "study-list", out)
    else:
        show_frame(Console(), "Studies that come with hwsim", pd.DataFrame(found))


def run_command(
    name: StudyName,
    out: Annotated[
        str | None, typer.Option("--out", help="Folder for the results (Parquet); one begun earlier is gone on with.")
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
    as_json: AsJson = False,
) -> None:
    """Evaluate every point of a study; exit 1 if there is nothing to choose from (what was computed is kept)."""
    # Standard output is for results alone, whatever a user's function prints.
    with contextlib.redirect_stdout(sys.stderr):
        given = open_study(name) if is_study(name) else load_study(name)
        study = _changed(
            given, points, seed, sampler, parse_overrides(settings) | ({} if book is None else {"book": book})
        )
        with progress_bar() as report:
            # A front that nobody sees need not be kept.
            watch = Live(study, report).watch if sys.stderr.isatty() else None
            result = study.run(out, workers=parse_count("workers", workers) or 0, cluster=cluster, watch=watch)
    _tell(result, as_json)


def show_command(folder: Folder, as_json: AsJson = False, out: Out = None) -> None:
    """What a study came to: counts, failures, the front and its knee (--out front.csv writes the front)."""
    result = open_result(folder)
    if out is None:
        _tell(result, as_json)
        return
    if out.lower().endswith(".csv"):
        emit(result.front(), "study-front", out)
    else:
        emit(result, "study", out)


def why_command(folder: Folder, point: int, as_json: AsJson = False, out: Out = None) -> None:
    """Which points of the front beat a point, and by how much in each objective."""
    result = open_result(folder)
    found = result.dominated_by(point)
    if as_json or out:
        emit(found, "study-why", out)
        return
    _explain(Console(), found, result.study)


def _explain(console: Console, found: Dominators, study: Study) -> None:
    point, better = int(found.point["point"]), found.to_frame()
    broken = [name for name in study.constraints if not found.point[f"meets {name}"]]
    if broken:
        console.print(f"point {point} does not meet {', '.join(broken)}", highlight=False, markup=False)
    if better.empty:
        place = "no point of the front beats it" if broken else "it is on the front: no other point beats it"
        console.print(f"point {point}: {place}", highlight=False)
        return
    gains = {column(name).label: [_share(gain) for gain in better[f"{name}_better_by"]] for name in study.objectives}
    shown = pd.DataFrame({"front point": [str(label) for label in better["point"]], **gains}).head(_SHOWN)
    those = "point of the front beats" if len(better) == 1 else "points of the front beat"
    show_frame(console, f"{len(better):,} {those} point {point}; how much better each is", shown)
    best = better.iloc[0]
    objectives = [(name, found.point[name], best[name]) for name in study.objectives]
    inputs = [(name, found.point[name], best[name]) for name in study.space if name not in study.objectives]
    rows = [
        (column(name).label, column(name).text(mine), column(name).text(theirs))
        for name, mine, theirs in (*objectives, *inputs)
    ]
    # What is the same in both explains nothing.
    rows = [row for i, row in enumerate(rows) if row[1] != row[2] or i < len(objectives)]
    head = ["", f"point {point}", f"front point {int(best['point'])}"]
    show_frame(console, "What is different", pd.DataFrame(rows, columns=head))


def _share(gain: float) -> str:
    return "-" if gain != gain else "from 0" if np.isinf(gain) else f"{gain:.1%}"


def open_result(folder: str | Path) -> StudyResult:
    """Return the result in a folder that a study was run into; raises `InputError` if there is none."""
    return on_disk(study_from(manifest(folder)["study"], str(folder), computed=True), folder)


def open_study(folder: str | Path) -> Study:
    """Return the study that a folder holds the results of; raises `InputError` if there is none."""
    return study_from(manifest(folder)["study"], str(folder))


def _changed(
    study: Study, points: str | None, seed: str | None, sampler: str | None, settings: dict[str, Any]
) -> Study:
    given = {"points": parse_count("points", points), "seed": parse_count("seed", seed), "sampler": sampler}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "grid" in (study.drawn_by, sampler) and sampler is not None and points is None:
        # The size of a grid is no wish of the user's, and no wish changes it.
        changes["points"] = None
    if settings:
        changes["fixed"] = {**study.fixed, **{name: _value(value) for name, value in settings.items()}}
    return dataclasses.replace(study, **changes) if changes else study


def _value(text: str) -> Any:
    """A number where the text is one, a flag for true and false, otherwise the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _tell(result: StudyResult, as_json: bool) -> None:
    summary = result.summary()
    if as_json:
        emit(result, "study")
    else:
        console = Console()
        counts = {name: summary[name] for name in ("points", "feasible", "failed")}
        counts |= {f"meet {name}": count for name, count in summary["constraints"].items()}
        show_frame(
            console, result.study.title or result.study.name, pd.DataFrame(counts.items(), columns=["", "number"])
        )
        if summary["failures"]:
            failures = pd.DataFrame(list(summary["failures"].items())[:_SHOWN], columns=["failed because", "points"])
            show_frame(console, "Failures", failures)
        if not summary["trouble"]:
            best, knee = result.front(), result.knee()
            values = [(column(name).label, column(name).text(knee[name])) for name in _columns(result)]
            inputs = pd.DataFrame(values, columns=["the knee", "value"])
            show_frame(console, f"Point {knee['point']}, the knee of the front", inputs)
            shown = readable(_thinned(best[[*dict.fromkeys(("point", *result.study.objectives))]]))
            show_frame(console, f"Front: {counted(len(best), 'point')}, {len(shown)} shown", shown)
        if result.out:
            console.print(f"\nwrote {result.out}", highlight=False, soft_wrap=True, markup=False)
    if summary["unfinished"] and not as_json:
        typer.echo(
            f"hwsim: {summary['unfinished']:,} points are not computed yet; run the study again to go on", err=True
        )
    if summary["trouble"] and result.study.objectives:
        typer.echo(f"hwsim: {summary['trouble']}; the results are kept", err=True)
        raise typer.Exit(NO_ANSWER)


def _columns(result: StudyResult) -> list[str]:
    return [name for name in result.shown_columns() if name != "point"]


def _thinned(best: pd.DataFrame) -> pd.DataFrame:
    """At most `_SHOWN` rows, evenly from the first to the last."""
    rows = np.unique(np.linspace(0, len(best) - 1, min(len(best), _SHOWN)).astype(int))
    return best.iloc[rows]
