"""Processes for single points, which may crash, and clusters."""

import asyncio
import contextlib
import os
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
from explorer.study.parts import INSTALL
from explorer.study.pieces import evaluate_columns, failed_columns
from explorer.study.spec import Study
from hwbase import InputError
from hwbase.orphans import end_with_parent

#: Timeouts for a scheduler: to open a connection, and to answer.
_KNOCK_S, _ANSWER_S = 5.0, 10.0
#: Retries of a piece on a cluster after its worker failed.
_RETRIES = 5


@contextlib.contextmanager
def cluster(address: str, study: Study) -> Iterator[tuple[Executor, int]]:
    """Yield (executor of the cluster at `address`, its threads).

    Raises `InputError` without Dask, if no scheduler answers, if it has no workers, or if these have another version,
    other books or files, or cannot import the function that `study` evaluates.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("a cluster needs Dask: pip install 'hwsim[dask]'") from None
    try:
        _knock(address)
        client: Any = Client(address, timeout=_ANSWER_S, set_as_default=False)
    except Exception as error:  # another kind of server may answer
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
    """Raise an error of any kind unless a scheduler, or a server of its protocol, answers."""
    from distributed.comm import connect, get_address_host_port

    if "://" in address and not address.startswith("tcp://"):
        return  # Dask itself handles certificates and other protocols
    # This fails at once if nothing listens; Dask would retry until its timeout.
    socket.create_connection(get_address_host_port(address), timeout=_KNOCK_S).close()

    async def greet() -> None:
        comm = await connect(address, timeout=_ANSWER_S)
        await comm.close()

    # In a thread, because a notebook has its own event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, greet()).result()


def _compare(client: Any, study: Study) -> None:
    try:
        worker_ground = client.run(Study.ground, study)
    except InputError as error:
        raise InputError(f"workers of the cluster cannot run this study: {error}") from None
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"workers of the cluster cannot run this study ({type(error).__name__}: {reason}): they need hwsim and "
            f"the module of {study.target.name}, or a function that is defined in the script itself"
        ) from None
    own_ground = study.ground()
    strangers = [worker for worker, other in worker_ground.items() if other != own_ground]
    if strangers:
        raise InputError(
            f"worker {strangers[0]} has another version of hwsim, its books, or the files and functions of this study"
        )


class Processes:
    """A pool of `workers` processes that can be restarted when one of them dies and breaks the pool."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = _pool(workers)

    def submit(self, function: Any, *arguments: Any) -> "Future[pd.DataFrame]":
        """Submit `function(*arguments)`; the future of a broken pool holds the error."""
        try:
            future: Future[pd.DataFrame] = self._pool.submit(function, *arguments)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Restart the processes; running tasks are lost."""
        self.stop()
        self._pool = _pool(self._workers)

    def stop(self) -> None:
        """Stop the processes, running tasks included."""
        _stop(self._pool)


def carefully(study: Study, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the table of points of which one may crash its process; that point becomes a failed row.

    The points run in one process, one after the other; a new process replaces one that dies.
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
                reason = f"the process of this point died ({died[1] if died else type(error).__name__})"
                tables.append(failed_columns(study, one, reason))
                _stop(pool)
                pool = None
    finally:
        if pool:
            _stop(pool)
    return whole_frame(tables)


def _pool(workers: int) -> Any:
    try:
        from loky import ProcessPoolExecutor
    except ImportError:
        raise InputError(f"single points run in processes by loky: {INSTALL}, or ask for 1 worker") from None
    pool = ProcessPoolExecutor(max_workers=workers, initializer=_prepare, initargs=(os.getpid(),))
    with _deaf():
        # The first task starts the processes.
        pool.submit(int)
    return pool


def _stop(pool: Any) -> None:
    # Waits for the pool's own thread: at exit it would die between removing a semaphore and saying so, and the process
    # that tracks semaphores would warn about a leak on standard error.
    pool.shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that ignore interrupts: the parent receives them and stops its processes.

    An ignored signal stays ignored in child processes; one that arrives meanwhile is lost. Main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _prepare(parent: int) -> None:
    """Hide a function's printed output in a worker, ignore interrupts there, and end with the `parent` process."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr
