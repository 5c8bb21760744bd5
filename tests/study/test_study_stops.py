"""Runs that are stopped - by an interrupt, a full disk, a kill - lose nothing and go on."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import study_cases
from study_stored import PLANE, files

from explorer.commands import app as cli
from explorer.commands.study import open_result
from explorer.study import Study, load_study, pieces, run
from explorer.study.result import on_disk
from explorer.study.store import Store, opened
from hwbase import InputError

# Several at once, and stops.


def test_two_runs_at_once(out):
    with opened(out, PLANE, 8), pytest.raises(InputError, match="is being written by another run"):
        PLANE.run(out, workers=1)


def test_an_interrupt_keeps_what_is_done(out, expected):
    seen = []

    def stop(done, total, table):
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(PLANE, out, workers=1, watch=stop)
    assert len(files(out)) == 3
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)


def test_an_interrupt_before_the_first_piece_leaves_nothing(out):
    def function(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Study({"x": (0.0, 1.0)}, evaluate=function).run(out, workers=1)
    assert not out.exists()


def test_a_simulation_that_was_interrupted_is_no_point(monkeypatch):
    """Simulations end early when they are interrupted; a study must not take what they have by then."""
    from explorer.study import serving

    served = serving.hwsim.serve

    def interrupted(*given, **how):
        return dataclasses.replace(served(*given, **how), interrupted=True)

    monkeypatch.setattr(serving.hwsim, "serve", interrupted)
    study = Study({"rate_per_s": [50.0]}, evaluate="serving", fixed={"requests": 20}, sampler="grid")
    with pytest.raises(KeyboardInterrupt):
        study.run(workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_stop_while_columns_are_levelled(written, tmp_path, monkeypatch):
    """Pieces in which everything failed get the columns of the others one after the other."""
    monkeypatch.setattr(pieces, "POINT_ROWS", 4)
    study = Study({"x": {"low": 0.0, "high": 1.0, "levels": 41}}, evaluate=study_cases.halves, sampler="grid")
    whole = study.run(tmp_path / "whole", workers=1)
    write, calls = Store._write, []

    def stopping(store, path, table):
        calls.append(path)
        if len(calls) == 11 + written + 1:
            raise KeyboardInterrupt
        write(store, path, table)

    with monkeypatch.context() as changed:
        changed.setattr(Store, "_write", stopping)
        with pytest.raises(KeyboardInterrupt):
            study.run(tmp_path / "out", workers=1)
    assert files(tmp_path / "out") != files(tmp_path / "whole")
    # What is there can be looked at; and a run completes it.
    pd.testing.assert_frame_equal(on_disk(study, tmp_path / "out").frame, whole.frame)
    study.run(tmp_path / "out", workers=1)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


# A disk that is full: files beyond a size cannot be written.

LIMITED = """
import resource, signal, sys
from explorer.commands import app as cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
cli.main(sys.argv[2:])
"""

FILE = """
[study]
evaluate = "study_cases:{function}"
points = {points}
seed = 4
[parameters]
x = {{ low = 0.0, high = 1.0 }}
[objectives]
cost = "min"
"""


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    return os.environ


def write_study(folder, function, points):
    path = folder / "study.toml"
    path.write_text(FILE.format(function=function, points=points))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("place", ["manifest", "piece"])
def test_a_full_disk(place, tmp_path, environment, command):
    """The limit lets the manifest through, but not the first piece; or not even that."""
    path, out = write_study(tmp_path, "wide", 40), tmp_path / "out"
    limit = {"manifest": 100, "piece": 4096}[place]
    arguments = ["study", "run", "--trust", str(path), "--out", str(out), "--workers", "1"]
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *arguments], capture_output=True, text=True, env=environment
    )
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.count("\n") == 1 and f"cannot write '{out}" in found.stderr and "large" in found.stderr
    assert not out.exists()
    status, _, errors = command(*arguments)
    assert status == 0 and errors == "" and len(files(out)) == 5


def test_a_disk_that_fills_up(out, expected, monkeypatch):
    """What was written stays, the rest comes when there is room."""
    fsync, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        fsync(file)

    with monkeypatch.context() as changed:
        changed.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left on device; finished pieces are kept"):
            PLANE.run(out, workers=1)
    assert len(files(out)) == 3 and not list(out.glob("*.tmp"))
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)


def test_an_interrupt_while_a_piece_is_written_leaves_no_half_of_it(out, expected, monkeypatch):
    def interrupt(file):
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            PLANE.run(out, workers=1)
    assert not list(out.glob("*.tmp"))
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of ten pages, where the system lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=40k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_disk_of_ten_pages(small_disk):
    out = small_disk / "out"
    with pytest.raises(InputError, match=r"cannot write .*No space left on device; finished pieces are kept"):
        dataclasses.replace(PLANE, points=400).run(out, workers=1)
    assert 0 < len(files(out)) < 10 and not list(out.glob("*.tmp"))
    found = open_result(out)
    assert found.unfinished == 400 - len(found.frame) and found.frame["cost"].notna().all()
    if resize(small_disk):
        pd.testing.assert_frame_equal(
            dataclasses.replace(PLANE, points=400).run(out, workers=1).frame,
            dataclasses.replace(PLANE, points=400).run(workers=1).frame,
        )


def resize(disk):
    """Room for all."""
    given = ["mount", "-o", "remount,size=4m", str(disk)]
    return subprocess.run(given, capture_output=True).returncode == 0


# Killed.


def _hwsim(arguments):
    cli.main(arguments)


def _process(arguments):
    """`hwsim` as a process of its own, that need not import everything again."""
    context = multiprocessing.get_context("forkserver")
    # Commands import what they need when they run: named here, so that a process reaches its points before it dies.
    ours = ["explorer.commands.parser", "explorer.commands.study", "explorer.study.run", "explorer.study.search"]
    context.set_forkserver_preload([*ours, "study_cases", "pyarrow.parquet", "optuna.samplers", "pint", "scipy.stats"])
    process = context.Process(target=_hwsim, args=(arguments,))
    process.start()
    return process


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["sobol", "nsga2"])
def test_killed_at_ten_random_moments(sampler, tmp_path, environment):
    path = write_study(tmp_path, "slow", 240)
    text = path.read_text().replace("[parameters]", f'sampler = "{sampler}"\npopulation = 12\n[parameters]')
    path.write_text(text + 'speed = "max"\n[fixed]\nwait = 0.01\n')
    arguments = ["study", "run", "--trust", str(path), "--workers", "1", "--out"]
    whole = _process([*arguments, str(tmp_path / "whole")])
    whole.join()
    assert whole.exitcode == 0
    random = np.random.default_rng(0 if sampler == "sobol" else 1)
    progress = []
    for _ in range(10):
        # Now and then before it holds the folder; otherwise then, or when one more piece is there.
        early, pieces = random.random() < 0.2, min(len(files(tmp_path / "out")) + int(random.integers(2)), 240 // 8)
        process = _process([*arguments, str(tmp_path / "out")])
        deadline = time.monotonic() + 120
        while not early and not (
            (tmp_path / "out" / "_study.json").exists() and len(files(tmp_path / "out")) >= pieces
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        progress.append(len(files(tmp_path / "out")))
    assert progress == sorted(progress) and progress[-1] > 0
    last = _process([*arguments, str(tmp_path / "out")])
    last.join()
    assert last.exitcode == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}
    pd.testing.assert_frame_equal(open_result(tmp_path / "out").frame, open_result(tmp_path / "whole").frame)
    points = pd.read_parquet(tmp_path / "out")["point"]
    assert sorted(points) == list(range(240))


@pytest.mark.slow
def test_killed_with_its_workers(tmp_path, environment):
    """Two processes at work when their study is killed: they end, and the study goes on."""
    path = write_study(tmp_path, "slow", 200)
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        str(path),
    ]
    out = tmp_path / "out"
    process = subprocess.Popen([*arguments, "--out", str(out)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(files(out)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    done = len(files(out))
    assert 3 <= done < 25
    finished = subprocess.run([*arguments, "--out", str(out)], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0 and finished.stderr == ""
    study = load_study(path)
    pd.testing.assert_frame_equal(open_result(out).frame, study.run(workers=1).frame)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_interrupted_from_the_keyboard(workers, tmp_path, environment):
    """One word, status 130, none from the workers; what was computed is kept."""
    path, out = write_study(tmp_path, "slow", 400), tmp_path / "out"
    # A background job may have the signal ignored, and its children with it.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = f"{listening}from explorer.commands.app import main; main()"
    arguments = [sys.executable, "-c", code, "study", "run", "--trust", str(path)]
    process = subprocess.Popen(
        [*arguments, "--out", str(out), "--workers", workers],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(files(out)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    # To the whole group, as a terminal does.
    os.killpg(process.pid, signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert said == "" and process.returncode == 130
    # The keeper of the workers' semaphores may add a word on those that were killed.
    assert "hwsim: interrupted\n" in complained and "Process Loky" not in complained
    assert workers == "2" or complained == "hwsim: interrupted\n"
    assert 2 <= len(files(out)) < 50 and not list(out.glob("*.tmp"))
