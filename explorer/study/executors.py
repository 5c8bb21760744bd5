"""Processes for single points, which may die of what they compute."""

import asyncio
import contextlib
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pandas as pd

from explorer.study.columns import whole_frame
from explorer.study.pieces import evaluate_columns, failed_columns
from explorer.study.spec import Study
from explorer.study.store import INSTALL
from hwbase import InputError

#: How long to wait for a scheduler: for a door to open, and for it to answer as one.
_KNOCK_S, _ANSWER_S = 5.0, 10.0
#: How often a cluster tries a piece again that failed with its worker.
_RETRIES = 5


@contextlib.contextmanager
def cluster(address: str, study: Study) -> Iterator[tuple[Executor, int]]:
    """Give (what runs tasks on the cluster at `address`, its threads).

    Raises `InputError` without Dask, if no scheduler answers, if it has no workers, and if these have another version,
    other books or files, or cannot import the function that `study` evaluates.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("a cluster needs Dask: pip install 'hwsim[dask]'") from None
    try:
        _knock(address)
        client: Any = Client(address, timeout=_ANSWER_S, set_as_default=False)
    except Exception as error:  # whatever answers there may be no scheduler at all
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cluster = {address!r}: no Dask scheduler answers there ({reason}); expected an address such as "
            "tcp://host:8786"
        ) from None
    with client:
        threads = sum(client.ncores().values())
        if not threads:
            raise InputError(f"cluster = {address!r}: it has no workers; start some with: dask worker {address}")
        _compare(client, study)
        yield client.get_executor(retries=_RETRIES), threads


def _knock(address: str) -> None:
    """Raise an error of whatever kind unless a scheduler, or something that speaks its language, answers."""
    from distributed.comm import connect, get_address_host_port

    if "://" in address and not address.startswith("tcp://"):
        return  # Dask itself knows the certificates and whatever else it takes
    # Where nobody listens this fails at once; Dask would try until its time is up.
    socket.create_connection(get_address_host_port(address), timeout=_KNOCK_S).close()

    async def greet() -> None:
        comm = await connect(address, timeout=_ANSWER_S)
        await comm.close()

    # In a thread, because a notebook has a loop of its own.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, greet()).result()


def _compare(client: Any, study: Study) -> None:
    try:
        theirs = client.run(Study.ground, study)
    except InputError as error:
        raise InputError(f"workers of the cluster cannot take this study on: {error}") from None
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"workers of the cluster cannot take this study on ({type(error).__name__}: {reason}): they need hwsim and "
            f"the module of {study.target.name}, or a function that is defined in the script itself"
        ) from None
    mine = study.ground()
    strangers = [worker for worker, other in theirs.items() if other != mine]
    if strangers:
        raise InputError(
            f"worker {strangers[0]} has another version of hwsim, its books, or the files and functions of this study"
        )


class Processes:
    """A pool of `workers` processes that can be had anew when one of them has died and taken the others along."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = _pool(workers)

    def submit(self, function: Any, *given: Any) -> "Future[pd.DataFrame]":
        """Have `function(*given)` computed; a pool that has just died says so in the result."""
        try:
            future: Future[pd.DataFrame] = self._pool.submit(function, *given)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Start afresh; what was under way is lost."""
        self.stop()
        self._pool = _pool(self._workers)

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        self._pool.shutdown(wait=False, kill_workers=True)


def carefully(study: Study, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the table of points of which one may kill the process that computes it: that one is a row that failed.

    They are computed one after the other, in one process until it dies, then in a new one.
    """
    tables: list[pd.DataFrame] = []
    pool: Any = None
    try:
        for index in range(len(columns["point"])):
            one = {name: values[index : index + 1] for name, values in columns.items()}
            pool = pool or _pool(1)
            try:
                tables.append(pool.submit(evaluate_columns, study, one).result())
            except BrokenProcessPool as error:
                died = re.search(r"\{(.*?)\}", str(error))
                reason = f"the process that computed it died ({died[1] if died else type(error).__name__})"
                tables.append(failed_columns(study, one, reason))
                pool.shutdown(wait=False, kill_workers=True)
                pool = None
    finally:
        if pool:
            pool.shutdown(wait=False, kill_workers=True)
    return whole_frame(tables)


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
