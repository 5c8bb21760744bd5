"""The progress of long commands: a bar on a screen, a line a minute in a file or a pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from explorer.progress import Report

#: Seconds between lines where there is no screen.
_BETWEEN_S = 60.0


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Report]:
    """Yield a `report` that draws one bar on standard error if that is a terminal; the bar is removed at the end.

    Otherwise it prints a line a minute there, the first after a minute.
    """
    screen = console or Console(stderr=True)
    if not screen.is_terminal:
        yield _lines(screen)
        return
    # Labels are shown as they are: brackets in them are no styles.
    label = TextColumn("{task.description}", markup=False)
    columns = label, BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn()
    with Progress(*columns, console=screen, transient=True) as progress:
        bar = progress.add_task("starting", total=None)

        def report(name: str, done: int, total: int) -> None:
            if progress.tasks[bar].total is None:
                # What an earlier run did says nothing of the time that is left.
                progress.reset(bar, completed=done, total=total, description=name)
            progress.update(bar, description=name, completed=done, total=total)

        yield report


def _lines(console: Console) -> Report:
    last_s = time.monotonic()

    def report(name: str, done: int, total: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _BETWEEN_S:
            last_s = time.monotonic()
            console.print(f"hwsim: {name}: {done:,} of {total:,}", markup=False, highlight=False, soft_wrap=True)

    return report
