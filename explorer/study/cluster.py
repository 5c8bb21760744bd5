"""A Dask cluster in place of local workers: found at once or not at all, and of the same books and code."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from explorer.study.spec import Study
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
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cluster = {address!r}: no Dask scheduler answers there ({said}); expected an address such as "
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
        said = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"workers of the cluster cannot take this study on ({type(error).__name__}: {said}): they need hwsim and "
            f"the module of {study.target.name}, or a function that is defined in the script itself"
        ) from None
    mine = study.ground()
    strangers = [worker for worker, other in theirs.items() if other != mine]
    if strangers:
        raise InputError(
            f"worker {strangers[0]} has another version of hwsim, its books, or the files and functions of this study"
        )
