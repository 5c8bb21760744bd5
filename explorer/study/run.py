"""Run a study: its pieces are submitted to threads, processes or a cluster, and each is stored when it returns."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from pickle import PicklingError
from typing import Any

import numpy as np
import pandas as pd

from explorer.study.columns import whole_frame
from explorer.study.executors import Processes, carefully
from explorer.study.executors import cluster as on_cluster
from explorer.study.pieces import evaluate_columns, evaluate_piece, piece_rows
from explorer.study.result import StudyResult, in_memory, on_disk
from explorer.study.sampling import sample
from explorer.study.search import Search
from explorer.study.spec import SEARCH, Study
from explorer.study.store import Store, memory_bytes, opened
from explorer.study.unread import refuse_unread_constants
from hwbase import InputError
from hwbase.check import integer

#: Called with each finished piece: rows done, rows in all, the piece (None for pieces of an earlier run).
Watch = Callable[[int, int, pd.DataFrame | None], None]
#: Pieces in flight for each worker: the next is ready when one ends, and memory stays bounded.
_AHEAD = 2


def run(
    study: Study,
    out: str | Path | None = None,
    *,
    workers: int = 2,
    cluster: str | None = None,
    watch: Watch | None = None,
) -> StudyResult:
    """Return every point of `study`, evaluated, in memory or (`out`) in a folder of Parquet files.

    Pieces of the same study in the folder are kept and only the others are computed, so an interrupted run continues.
    Blocks of closed forms run on `workers` threads, single points in as many processes; `cluster` is the address of a
    Dask scheduler (tcp://host:port) to use instead. Results do not depend on where and in which pieces they are
    computed. Raises `InputError` for a constant that no point reads, an output that cannot be written, a missing
    package, or a cluster that does not answer.
    """
    workers = integer("workers", workers, high=1024)
    refuse_unread_constants(study)
    with contextlib.ExitStack() as stack:
        # Workers first: without them nothing is written.
        pool, width = stack.enter_context(_executor(study, workers, cluster))
        rows = study.population if study.sampler == SEARCH else piece_rows(study)
        store = stack.enter_context(opened(out, study, rows)) if out is not None else None
        pieces = _searched if study.sampler == SEARCH else _sampled
        tables: dict[int, pd.DataFrame] = {}
        for start, table in pieces(study, store, pool, width, watch):
            if store is None:
                _check_memory(study, table)
                tables[start] = table
        if store is not None:
            store.level()
    return on_disk(study, out) if out is not None else in_memory(study, tables)


def _check_memory(study: Study, table: pd.DataFrame) -> None:
    """Raise `InputError` if the tables of all points would fill the machine's memory."""
    # A number or a reference to a text takes eight bytes; joining holds the pieces and the whole at once.
    needed = 2 * 8 * int(study.points or 0) * len(table.columns)
    if needed > memory_bytes() / 2:
        raise InputError(
            f"points = {study.points:,}: they take {needed / 1e9:.1f} GB, more than half of this machine's memory: "
            "give a folder for the results (out)"
        )


def _sampled(
    study: Study, store: Store | None, pool: Any, width: int, watch: Watch | None
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield (first point, table) of each new piece as it is finished, already stored."""
    points, rows = int(study.points or 0), piece_rows(study)
    finished = set(store.kept()) if store else set()
    starts = (start for start in range(0, points, rows) if start not in finished)
    done = sum(min(start + rows, points) - start for start in finished)
    if watch and finished:
        watch(done, points, None)
    for start, table in _computed(study, starts, rows, pool, width):
        if store:
            store.keep(start, table)
        done += min(start + rows, points) - start
        if watch:
            watch(done, points, table)
        yield start, table


def _computed(
    study: Study, starts: Iterator[int], rows: int, pool: Any, width: int
) -> Iterator[tuple[int, pd.DataFrame]]:
    points = int(study.points or 0)
    if pool is None:
        for start in starts:
            yield start, evaluate_piece(study, start, min(start + rows, points))
        return
    flying: dict[Future[pd.DataFrame], int] = {}
    while True:
        while len(flying) < _AHEAD * width and (start := next(starts, -1)) >= 0:
            flying[pool.submit(evaluate_piece, study, start, min(start + rows, points))] = start
        if not flying:
            return
        ready, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in sorted(ready, key=flying.__getitem__):
            try:
                table = _result(study, future)
            except BrokenProcessPool:
                break
            yield flying.pop(future), table
        else:
            continue
        # A process died and lost all running tasks: retry the pieces one by one, to find the failing one.
        lost = sorted(flying.values())
        flying.clear()
        pool.renew()
        for start in lost:
            stop = min(start + rows, points)
            yield start, carefully(study, sample(study.space, study.drawn_by, points, study.seed, start, stop))


def _searched(
    study: Study, store: Store | None, pool: Any, width: int, watch: Watch | None
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield each generation. The search reads stored generations from their files, and repeats its steps."""
    points = int(study.points or 0)
    done = set(store.kept()) if store else set()
    search = Search(study)
    for start in range(0, points, study.population):
        stop = min(start + study.population, points)
        columns = search.ask(start, stop)
        if store and start in done:
            table = store.read(start)
        else:
            table = _generation(study, columns, pool, width)
            if store:
                store.keep(start, table)
        search.tell(table)
        if watch:
            watch(stop, points, table)
        yield start, table


def _generation(study: Study, columns: dict[str, np.ndarray], pool: Any, width: int) -> pd.DataFrame:
    if pool is None or study.target.vectorised:
        return evaluate_columns(study, columns)
    size = len(columns["point"])
    cuts = [cut for cut in np.array_split(np.arange(size), min(size, _AHEAD * width)) if cut.size]
    futures = [pool.submit(evaluate_columns, study, {n: v[cut] for n, v in columns.items()}) for cut in cuts]
    try:
        return whole_frame([_result(study, future) for future in futures])
    except BrokenProcessPool:
        pool.renew()
        return carefully(study, columns)


def _result(study: Study, future: "Future[pd.DataFrame]") -> pd.DataFrame:
    try:
        return future.result()
    except (InputError, BrokenProcessPool):
        raise
    except PicklingError as error:
        # The cause is the text of a traceback, in quotes.
        lines = [line for line in str(error.__cause__ or error).splitlines() if line.strip(' "')]
        raise InputError(f"{study.target.name} cannot be sent to processes ({lines[-1]}): ask for 1 worker") from None
    except Exception as error:
        # A dead worker of a cluster loses its piece; every other error is a row of the results already.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"a worker stopped ({reason}); finished pieces are kept: run the study again to continue"
        ) from None


@contextlib.contextmanager
def _executor(study: Study, workers: int, cluster: str | None) -> Iterator[tuple[Any, int]]:
    """Yield (executor, number of parallel tasks); the executor is None for one worker, which is this process."""
    if cluster is not None:
        with on_cluster(cluster, study) as both:
            yield both
        return
    if workers == 1:
        yield None, 1
        return
    if study.target.vectorised:
        threads = ThreadPoolExecutor(workers)
        try:
            yield threads, workers
        finally:
            # When a study ends early, running tasks are no longer needed.
            threads.shutdown(wait=False, cancel_futures=True)
        return
    processes = Processes(workers)
    try:
        yield processes, workers
    finally:
        processes.stop()
