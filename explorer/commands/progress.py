"""The progress bar of long commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Called with (stage, done, total).
Report = Callable[[str, int, int], None]


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Report]:
    """Yield a `report` that draws one bar on standard error if that is a terminal; the bar is removed at the end."""
    screen = console or Console(stderr=True)
    # Labels are shown as they are: brackets in them are no styles.
    label = TextColumn("{task.description}", markup=False)
    columns = label, BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        bar = progress.add_task("starting", total=None)

        def report(name: str, done: int, total: int) -> None:
            if progress.tasks[bar].total is None:
                # What an earlier run did says nothing of the time that is left.
                progress.reset(bar, completed=done, total=total, description=name)
            progress.update(bar, description=name, completed=done, total=total)

        yield report
