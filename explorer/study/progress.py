"""A study while it runs: a bar with the time left, and the front as it stands."""

from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from explorer.figures.numbers import compact
from explorer.pareto import front
from explorer.study.spec import Study


class Live:
    """Shows progress on a terminal; on anything else it only keeps the front. Use it in a `with`."""

    def __init__(self, study: Study, console: Console) -> None:
        self._study = study
        self._bar = Progress(
            # Names are shown as they are: brackets in them are no styles.
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[front]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(study.name, total=study.points, front="")
        self.front: pd.DataFrame | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def watch(self, done: int, total: int, table: pd.DataFrame | None) -> None:
        """Take a finished piece."""
        if table is not None and not self._bar.disable:
            self._take(table)
        if table is None:
            # What an earlier run did says nothing of the time that is left.
            self._bar.reset(self._task, completed=done, total=total)
            return
        self._bar.update(self._task, completed=done, total=total, front=self._describe())

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
            best.append(f"{name} {compact(np.nanmin(values) if direction == 'min' else np.nanmax(values))}")
        return f"front {len(self.front):,}: {', '.join(best)}"
