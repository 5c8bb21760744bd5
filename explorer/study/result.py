"""The result of a study: every point, the front, and why a point is not on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.pareto import Dominators, dominators, front, knee
from explorer.study.columns import whole_frame
from explorer.study.spec import Study
from explorer.study.store import manifest, read_folder, unfinished
from hwbase import InputError, unknown_name

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Rows of a front in a notebook, and reasons of failure in a summary.
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class StudyResult(Documented):
    """All points of a study as a frame, one row each, in order of "point", which is also its index."""

    study: Study
    table: pd.DataFrame | None = None
    """The points, if they are in memory; otherwise they are read from `out` on first use."""
    out: str | None = None
    computed_as: str | None = None
    """The digest of the study at its run, if its results are in a folder."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every point, as `to_frame` returns it. Raises `InputError` for a folder that cannot be read."""
        table = read_folder(self.out) if self.table is None and self.out is not None else self.table
        if table is None:
            raise InputError("the result has neither a table nor a folder")
        return table.set_axis(pd.Index(table["point"].to_numpy()), axis="index")

    @property
    def digest(self) -> str:
        """The digest of the study at its run: books may have changed since."""
        return self.computed_as or self.study.digest()

    @cached_property
    def unfinished(self) -> int:
        """Number of points not yet computed, if a run was stopped or is still active."""
        return unfinished(self.out, int(self.study.points or 0)) if self.table is None and self.out else 0

    def to_frame(self) -> pd.DataFrame:
        """Return every point: "point", parameters, outputs, derived columns, constraints, "feasible", "failure"."""
        return self.frame

    @property
    def feasible(self) -> pd.DataFrame:
        """Points that did not fail and meet all constraints."""
        rows: pd.DataFrame = self.frame[self.frame["feasible"]]
        return rows

    @cached_property
    def _front(self) -> pd.DataFrame:
        trouble = self.trouble()
        if trouble:
            raise InputError(trouble)
        best = front(self.feasible, self.study.objectives)
        return best[~best.duplicated(self._design())]

    def _design(self) -> list[str]:
        """Columns that identify a design: parameters, or what was built where a parameter is only a request."""
        built_of = self.study.target.asked
        names = (built_of[name] if built_of.get(name) in self.frame else name for name in self.study.space)
        return [*dict.fromkeys(names)]

    def front(self) -> pd.DataFrame:
        """Return the feasible points that no other beats in all objectives, in order of the first objective.

        Several points with the same design are listed once, as the first of them. Raises `InputError` if the study has
        no objectives or no point can be compared: see `trouble`.
        """
        first, direction = next(iter(self.study.objectives.items()), ("point", "min"))
        return self._front.sort_values([first, "point"], ascending=[direction == "min", True])

    def knee(self) -> pd.Series:
        """Return the point of the front closest to the ideal by distance from its extremes. Raises like `front`."""
        best = self.front()
        return best.loc[knee(best, self.study.objectives)]

    def dominated_by(self, point: int) -> Dominators:
        """Return the points of the front that beat `point`, and by how much. Raises `InputError` as `front` does."""
        if isinstance(point, bool) or np.ndim(point) or point not in self.frame.index:
            raise InputError(f"point = {point!r}: expected one of the {len(self.frame):,} points of the study")
        row = self.frame.loc[point]
        if isinstance(row["failure"], str):
            raise InputError(f"point {point} failed: {row['failure']}")
        # A point that breaks a constraint may beat the front; compare it anyway.
        best = self.front()
        pool = best if point in best.index else pd.concat([best, self.frame.loc[[point]]])
        return dominators(pool, self.study.objectives, point)

    def failures(self) -> pd.Series:
        """Return the number of failed points for each reason, the commonest first."""
        counts: pd.Series = self.frame["failure"].value_counts()
        return counts

    def met(self) -> dict[str, int]:
        """Return the number of points that meet each constraint."""
        return {name: int(self.frame[f"meets {name}"].sum()) for name in self.study.constraints}

    def trouble(self) -> str | None:
        """Return a sentence on why there is no front, or None if there is one."""
        if not self.study.objectives:
            return "the study has no objectives: there is no front"
        failed = int(self.frame["failure"].notna().sum())
        if failed == len(self.frame):
            reason = self.failures().index[0]
            return f"all {failed:,} points failed; the commonest reason: {reason}"
        # If all points failed, objectives may have no column.
        valued = np.isfinite(self.frame.reindex(columns=[*self.study.objectives]).to_numpy(dtype=float))
        for name, column in zip(self.study.objectives, valued.T, strict=True):
            if not column.any():
                return f"objective {name} is NaN or infinite at every point"
        if not self.frame["feasible"].any():
            counts = ", ".join(f"{name}: {count:,}" for name, count in self.met().items())
            return f"no point meets all constraints; of {len(self.frame) - failed:,} that did not fail: {counts}"
        if not (valued.all(axis=1) & self.frame["feasible"].to_numpy()).any():
            return "no feasible point has a finite value in every objective"
        return None

    def plot_front(self, x: str | None = None, y: str | None = None) -> "go.Figure":
        """Return the feasible points, the front and the knee in two objectives.

        Parameters
        ----------
        x, y : str, optional
            Objectives along the axes; the first two unless given.

        Returns
        -------
        plotly.graph_objects.Figure

        Raises
        ------
        InputError
            For names that are no objectives of the study, fewer than two objectives, and as `front` does.
        """
        from explorer.study.figures import front_scatter

        objectives = list(self.study.objectives)
        for name in (x, y):
            if name is not None and name not in objectives:
                raise unknown_name("objective", name, objectives)
        left = [name for name in objectives if name not in (x, y)]
        across = x if x is not None else left.pop(0) if left else None
        up = y if y is not None else left.pop(0) if left else None
        if across is None or up is None or across == up:
            raise InputError(f"a front of {', '.join(objectives) or 'no objectives'}: expected two objectives to draw")
        return front_scatter(self, across, up).figure()

    def plot_drivers(self) -> "go.Figure":
        """Return the share of each objective's variance that each parameter explains alone.

        Returns
        -------
        plotly.graph_objects.Figure

        Raises
        ------
        InputError
            As `front` does.
        """
        from explorer.study.drivers import drivers
        from explorer.study.figures import driver_bars

        if trouble := self.trouble():
            raise InputError(trouble)
        return driver_bars(drivers(self), list(self.study.objectives)).figure()

    def write_report(self, path: str | Path, command: str = "") -> Path:
        """Write a report to `path` - .html, .md, .csv, .parquet or .json by its name - and return the path.

        Raises `InputError` for another suffix, and where the file cannot be written.
        """
        from explorer.study.document import write_study_report

        return write_study_report(self, path, command or f"hwsim study run {self.study.name}")

    def summary(self) -> dict[str, Any]:
        """Return counts, ranges of the objectives over feasible points, the size of the front and the knee."""
        trouble = self.trouble()
        summary: dict[str, Any] = {
            "study": self.study.name,
            "digest": self.digest,
            "points": len(self.frame),
            "unfinished": self.unfinished,
            "feasible": int(self.frame["feasible"].sum()),
            "failed": int(self.frame["failure"].notna().sum()),
            "failures": {str(reason): int(n) for reason, n in self.failures().head(_SHOWN).items()},
            "reasons": len(self.failures()),
            "constraints": self.met(),
            "trouble": trouble,
        }
        if trouble is None:
            best = self.feasible[[*self.study.objectives]].replace([np.inf, -np.inf], np.nan)
            summary["objectives"] = {
                name: {"direction": direction, "low": float(best[name].min()), "high": float(best[name].max())}
                for name, direction in self.study.objectives.items()
            }
            summary["front"] = len(self._front)
            summary["knee"] = plain_row(self.knee())
        return summary

    def to_dict(self) -> dict[str, Any]:
        """Return the summary and the front as rows; all points are in the frame and the folder."""
        rows = [] if self.trouble() else [plain_row(row) for _, row in self.front().iterrows()]
        return {**self.study.to_dict(), "summary": self.summary(), "front": rows}

    def shown_columns(self) -> list[str]:
        """Return the columns to show: the point, objectives, parameters, and what was built for them."""
        built_of = self.study.target.asked
        built = [built_of[name] for name in self.study.space if built_of.get(name) in self.frame]
        return [*dict.fromkeys(("point", *self.study.objectives, *self.study.space, *built))]

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.study.document import study_document

        return study_document(self, command or f"hwsim study run {self.study.name}")


def in_memory(study: Study, tables: Mapping[int, pd.DataFrame]) -> StudyResult:
    """Return the result of pieces by their first point."""
    return StudyResult(study, whole_frame([tables[start] for start in sorted(tables)]))


def on_disk(study: Study, out: str | Path) -> StudyResult:
    """Return the result in the folder `out`, read on first use. Raises `InputError` if it holds none."""
    return StudyResult(study, None, str(out), str(manifest(out)["digest"]))


def plain_row(row: pd.Series) -> dict[str, Any]:
    """Return a row in types of JSON."""
    return {str(name): value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
