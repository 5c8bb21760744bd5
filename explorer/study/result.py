"""What a study came to: every point, what is best, and why a point is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.pareto import Dominators, dominators, front, knee
from explorer.study.columns import whole_frame
from explorer.study.spec import Study
from explorer.study.store import manifest, read_folder, unfinished
from hwbase import InputError

#: Rows that a notebook shows of a front, and reasons of failure that a summary names.
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class StudyResult(Documented):
    """All points of a study as a frame, a row each, in order of "point", which is its index too."""

    study: Study
    table: pd.DataFrame | None = None
    """The points, if they are in memory; otherwise they are read from `out` on first use."""
    out: str | None = None
    computed_as: str | None = None
    """The digest of the study when it was run, if its results lie in a folder."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every point, as `to_frame` returns it. Raises `InputError` for a folder that cannot be read."""
        table = read_folder(self.out) if self.table is None and self.out is not None else self.table
        if table is None:
            raise InputError("the result has neither a table nor a folder")
        return table.set_axis(pd.Index(table["point"].to_numpy()), axis="index")

    @property
    def digest(self) -> str:
        """The digest of the study that the results are of: books may have changed since."""
        return self.computed_as or self.study.digest()

    @cached_property
    def unfinished(self) -> int:
        """Points that are not computed yet, where a run was stopped or still goes on."""
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
        """Columns that tell designs apart: parameters, or what was built where one only asks for it."""
        built_of = self.study.target.asked
        names = (built_of[name] if built_of.get(name) in self.frame else name for name in self.study.space)
        return [*dict.fromkeys(names)]

    def front(self) -> pd.DataFrame:
        """Return the feasible points that no other beats in all objectives, in order of the first objective.

        A design that several points come to is listed once, as the first of them. Raises `InputError` if the study has
        no objectives, or no point can be judged: see `trouble`.
        """
        first, direction = next(iter(self.study.objectives.items()), ("point", "min"))
        return self._front.sort_values([first, "point"], ascending=[direction == "min", True])

    def knee(self) -> pd.Series:
        """Return the point of the front that bulges farthest towards the ideal; raises `InputError` as `front` does."""
        best = self.front()
        return best.loc[knee(best, self.study.objectives)]

    def dominated_by(self, point: int) -> Dominators:
        """Return the points of the front that beat `point`, and by how much; raises `InputError` as `front` does."""
        if isinstance(point, bool) or np.ndim(point) or point not in self.frame.index:
            raise InputError(f"point = {point!r}: expected one of the {len(self.frame):,} points of the study")
        row = self.frame.loc[point]
        if isinstance(row["failure"], str):
            raise InputError(f"point {point} failed: {row['failure']}")
        # A point that breaks a constraint may beat the front; it is compared all the same.
        best = self.front()
        pool = best if point in best.index else pd.concat([best, self.frame.loc[[point]]])
        return dominators(pool, self.study.objectives, point)

    def failures(self) -> pd.Series:
        """Return how many points failed for each reason, the commonest first."""
        counts: pd.Series = self.frame["failure"].value_counts()
        return counts

    def met(self) -> dict[str, int]:
        """Return how many points meet each constraint."""
        return {name: int(self.frame[f"meets {name}"].sum()) for name in self.study.constraints}

    def trouble(self) -> str | None:
        """Return in a sentence why there is no front, or None if there is one."""
        if not self.study.objectives:
            return "the study has no objectives: there is no front"
        failed = int(self.frame["failure"].notna().sum())
        if failed == len(self.frame):
            reason = self.failures().index[0]
            return f"all {failed:,} points failed; the commonest reason: {reason}"
        # Of points that failed, objectives may have no column at all.
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

    def write_report(self, path: str | Path, command: str = "") -> Path:
        """Write a report to `path` - .html, .md, .csv, .parquet or .json by its name - and return the path.

        Raises `InputError` for another name, and where the file cannot be written.
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
        """Return the summary and the front, row by row; all points are in the frame and the folder."""
        rows = [] if self.trouble() else [plain_row(row) for _, row in self.front().iterrows()]
        return {**self.study.to_dict(), "summary": self.summary(), "front": rows}

    def shown_columns(self) -> list[str]:
        """Return what tells designs apart for a reader: the point, objectives, parameters, what was built of them."""
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
    """Return the result in the folder `out`, read on first use; raises `InputError` if it holds none."""
    return StudyResult(study, None, str(out), str(manifest(out)["digest"]))


def plain_row(row: pd.Series) -> dict[str, Any]:
    """Return a row as what JSON holds."""
    return {str(name): value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
