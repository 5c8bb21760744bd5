"""A study on a Dask cluster: the same results, also when workers die; and clear words when there is none."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import study_cases

from explorer.study import Study, run
from hwbase import InputError

HERE = str(Path(__file__).parent)
PLANE = Study({"x": (0.0, 1.0)}, evaluate=study_cases.plane, points=16)


FILE = "[study]\nevaluate = 'study_cases:slow'\npoints = 200\n[parameters]\nx = { low = 0.0, high = 1.0 }\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "missing port"),
        ("nonsense", "missing port"),
        ("tcp://", "missing port"),
        ("tcp://127.0.0.1:notaport", "notaport"),
        ("http://127.0.0.1:80", "unknown address scheme 'http'"),
        ("tcp://no-such-host.invalid:8786", "known|resolution"),
    ],
)
def test_addresses_that_are_none(address, said, tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match=rf"cluster = '{address}': no Dask scheduler answers there \(.*({said})"):
        PLANE.run(tmp_path / "out", cluster=address)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_nobody_there(command, tmp_path):
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        found = command("study", "run", "accelerators", "--out", str(tmp_path / "out"), "--cluster", address)
    assert found[0] == 2 and found[1] == ""
    assert (
        found[2].startswith(f"hwsim: cluster = '{address}': no Dask scheduler answers there (")
        and "refused" in found[2]
    )
    assert found[2].count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_somebody_else_there(tmp_path):
    """Something that answers in another language: no scheduler, said in a line."""
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match="no Dask scheduler answers there"):
            PLANE.run(tmp_path / "out", cluster=f"tcp://127.0.0.1:{server.getsockname()[1]}")
        server.shutdown(socket.SHUT_RDWR)
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def dask(*workers):
    """A scheduler and a worker process for each environment of `workers`; gives (address, processes)."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, processes = f"tcp://127.0.0.1:{port}", []

    def start(*command, **environment):
        # No nanny: what is killed stays dead.
        given = {**os.environ, "PYTHONPATH": HERE, **environment}
        started = [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]]
        process = subprocess.Popen(started, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.append(process)

    try:
        start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show")
        for environment in workers:
            start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", **environment)
        wait_for(address, len(workers))
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_for(address, workers):
    from distributed import Client

    deadline = time.monotonic() + 120
    while True:
        try:
            with Client(address, timeout="5s", set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=max(deadline - time.monotonic(), 1)) if workers else None
                return
        except OSError:
            if time.monotonic() > deadline:
                raise


@pytest.mark.slow
def test_workers_die_and_results_do_not_change(tmp_path, command, monkeypatch):
    space = {"x": (0.0, 1.0), "kind": ["a", "b"]}
    trouble = Study(space, evaluate=study_cases.troubled, points=120, constraints={"enough": "count >= 10"})
    slow = Study(
        {"x": (0.0, 1.0)}, evaluate="study_cases:slow", points=200, objectives={"cost": "min"}, fixed={"wait": 0.01}
    )
    blocks = Study({"chips_asked": (4, 60), "technology": ["n5", "n3"]}, points=400, objectives={"tco_usd": "min"})
    search = Study(
        {"x": (0.0, 1.0), "y": (0.0, 1.0)},
        evaluate=study_cases.plane,
        objectives={"cost": "min", "speed": "max"},
        sampler="nsga2",
        points=40,
        population=10,
    )
    with dask({}, {}, {}) as (address, (_, first, second, third)):
        for given in (trouble, blocks, search):
            pd.testing.assert_frame_equal(given.run(cluster=address).frame, given.run(workers=1).frame)
        # A function that only this process has.
        mine = Study({"x": (0.0, 1.0)}, evaluate=local_function(3.0), points=16)
        pd.testing.assert_frame_equal(mine.run(cluster=address).frame, mine.run(workers=1).frame)
        killed = []

        def kill(done, total, table):
            if done >= 24 and not killed:
                killed.append(first)
                first.send_signal(signal.SIGKILL)
            if done >= 96 and len(killed) == 1:
                killed.append(second)
                second.send_signal(signal.SIGKILL)

        alone = slow.run(tmp_path / "alone", workers=1)
        found = run(slow, tmp_path / "out", cluster=address, watch=kill)
        assert len(killed) == 2 and first.wait() == second.wait() == -signal.SIGKILL
        pd.testing.assert_frame_equal(found.frame, alone.frame)
        assert files(tmp_path / "out") == files(tmp_path / "alone")
        # By the command and under a notebook's loop too; then there is nobody left.
        monkeypatch.syspath_prepend(HERE)
        (tmp_path / "study.toml").write_text(FILE)
        status, _, errors = command(
            "study", "run", "--trust", str(tmp_path / "study.toml"), "--cluster", address, "--json"
        )
        assert (status, errors) == (0, "")

        async def notebook():
            return PLANE.run(cluster=address).frame

        pd.testing.assert_frame_equal(asyncio.run(notebook()), PLANE.run(workers=1).frame)
        third.kill()
        third.wait()
        deadline = time.monotonic() + 60
        while True:
            with pytest.raises(InputError) as caught:
                PLANE.run(tmp_path / "never", cluster=address)
            if "it has no workers" in str(caught.value) or time.monotonic() > deadline:
                break
        assert "it has no workers" in str(caught.value) and not (tmp_path / "never").exists()


def local_function(scale):
    def function(x):
        return {"y": scale * x}

    return function


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


@pytest.mark.slow
def test_workers_that_lack_the_function(tmp_path):
    """Given by name or as such, a function of a module that the worker cannot import."""
    with dask({"PYTHONPATH": ""}) as (address, _):
        for function in ("study_cases:plane", study_cases.plane):
            study = Study({"x": (0.0, 1.0)}, evaluate=function, points=16)
            with pytest.raises(InputError, match=r"workers of the cluster cannot run this study.*'study_cases'"):
                study.run(tmp_path / "out", cluster=address)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_workers_with_other_files(tmp_path):
    """A function's module that reads differently there."""
    (tmp_path / "study_cases.py").write_text(Path(study_cases.__file__).read_text() + "\n# changed\n")
    with dask({"PYTHONPATH": str(tmp_path)}) as (address, _):
        study = Study({"x": (0.0, 1.0)}, evaluate="study_cases:plane", points=16)
        with pytest.raises(InputError, match=r"worker tcp://.* has another version of hwsim, its books, or the files"):
            study.run(cluster=address)
