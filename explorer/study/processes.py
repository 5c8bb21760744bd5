"""Processes for single points, which may die of what they compute."""

import contextlib
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pandas as pd

from explorer.study.columns import whole_frame
from explorer.study.pieces import evaluate_columns, failed_columns
from explorer.study.spec import Study
from explorer.study.store import INSTALL
from hwbase import InputError


class Processes:
    """A pool of `workers` processes that can be had anew when one of them has died and taken the others along."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = _pool(workers)

    def submit(self, function: Any, *given: Any) -> "Future[pd.DataFrame]":
        """Have `function(*given)` computed; a pool that has just died says so in the result."""
        try:
            found: Future[pd.DataFrame] = self._pool.submit(function, *given)
        except BrokenProcessPool as error:
            found = Future()
            found.set_exception(error)
        return found

    def renew(self) -> None:
        """Start afresh; what was under way is lost."""
        self.stop()
        self._pool = _pool(self._workers)

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        self._pool.shutdown(wait=False, kill_workers=True)


def carefully(study: Study, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the table of points of which one may kill the process that computes it: that one is a row that failed.

    All of them are given a process of their own; where it dies, so are their halves.
    """
    pool = _pool(1)
    try:
        found: pd.DataFrame = pool.submit(evaluate_columns, study, columns).result()
        return found
    except BrokenProcessPool as error:
        died = re.search(r"\{(.*?)\}", str(error))
        reason = f"the process that computed it died ({died[1] if died else type(error).__name__})"
    finally:
        pool.shutdown(wait=False, kill_workers=True)
    points = len(columns["point"])
    if points == 1:
        return failed_columns(study, columns, reason)
    halves = np.array_split(np.arange(points), 2)
    return whole_frame([carefully(study, {name: values[half] for name, values in columns.items()}) for half in halves])


def _pool(workers: int) -> Any:
    try:
        from loky import ProcessPoolExecutor
    except ImportError:
        raise InputError(f"single points run in processes by loky: {INSTALL}, or ask for 1 worker") from None
    pool = ProcessPoolExecutor(max_workers=workers, initializer=_hush)
    with _deaf():
        # The first task starts the processes.
        pool.submit(int)
    return pool


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started inside never hear an interrupt: whoever started them hears it and ends them.

    A signal that is ignored stays so in what is started; one in this very moment is lost. Only the main thread may.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hush() -> None:
    """What a function prints in a worker is no result of the command that runs it; nor does an interrupt reach it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr
