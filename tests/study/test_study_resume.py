"""Studies that were stopped: nothing lost, nothing twice, whatever stopped them; and nothing of others touched."""

import dataclasses
import json
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
import pyarrow.parquet
import pytest
import study_cases

from explorer import cli
from explorer.study import Study, identity, load_study, manifest, pieces, run
from explorer.study.commands import open_result
from explorer.study.result import on_disk
from explorer.study.store import Store, opened
from hwbase import InputError

PLANE = Study(
    {"x": (0.0, 1.0), "y": (0.0, 0.9)},
    evaluate=study_cases.plane,
    points=50,
    objectives={"cost": "min", "speed": "max"},
)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def expected():
    return PLANE.run(workers=1).frame


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("part-*")}


def touched(folder):
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob("part-*")}


def test_what_is_there_is_not_computed_again(out, expected):
    PLANE.run(out, workers=1)
    before = touched(out)
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert touched(out) == before and len(before) == 7


def test_what_is_missing_is_computed(out, expected):
    PLANE.run(out, workers=1)
    whole = files(out)
    for name in list(whole)[::2]:
        (out / name).unlink()
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert files(out) == whole


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "one byte", "of another study", "of another size"])
def test_what_is_damaged_is_computed_again(damage, out, expected, tmp_path, monkeypatch):
    PLANE.run(out, workers=1)
    whole = files(out)
    path = out / "part-000000000008.parquet"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-20])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not Parquet")
    elif damage == "one byte":
        column = pyarrow.parquet.read_metadata(path).row_group(0).column(1)
        place = column.data_page_offset + column.total_compressed_size - 3
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"part-000000000008.parquet in .* is damaged .*: run the study again"):
            on_disk(PLANE, out).to_frame()
    elif damage == "of another study":
        other = dataclasses.replace(PLANE, seed=5)
        other.run(tmp_path / "other", workers=1)
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
        with pytest.raises(InputError, match="is of another study"):
            on_disk(PLANE, out).to_frame()
    else:
        with monkeypatch.context() as changed:
            changed.setattr(pieces, "POINT_ROWS", 4)
            PLANE.run(tmp_path / "other", workers=1)
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert files(out) == whole


def test_pieces_of_another_size_are_not_mixed(out, expected, monkeypatch):
    PLANE.run(out, workers=1)
    monkeypatch.setattr(pieces, "POINT_ROWS", 16)
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert len(files(out)) == 4


def test_leftovers_are_removed(out, expected):
    PLANE.run(out, workers=1)
    (out / "part-000000000000.parquet").rename(out / "_part-000000000000.parquet.tmp")
    (out / "._study.json.abc").write_text("half a manif")
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert {path.name for path in out.iterdir()} == {"_lock", "_study.json", *files(out)}


@pytest.mark.parametrize("left", [[], ["_lock"], ["_lock", "._study.json.x1"]])
def test_a_run_that_was_killed_as_it_began(left, out, expected):
    out.mkdir()
    for name in left:
        (out / name).write_text("")
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)


@pytest.mark.parametrize(
    "name", ["notes.txt", "part-00000.parquet", "part-000000000000.parquet", "_SUCCESS", ".hidden", "_study.jsonl"]
)
def test_other_files_are_not_touched(name, out):
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(InputError, match=f"it holds other files \\({name}\\)"):
        PLANE.run(out, workers=1)
    assert [path.name for path in out.iterdir()] == [name] and (out / name).read_text() == "precious"


def test_files_beside_the_results_are_left_alone(out, expected):
    PLANE.run(out, workers=1)
    (out / "part-mine.parquet").write_text("precious")
    (out / "report.html").write_text("precious")
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert (out / "part-mine.parquet").read_text() == (out / "report.html").read_text() == "precious"


# What makes another study.

CHANGES = {
    "seed": {"seed": 1},
    "points": {"points": 51},
    "sampler": {"sampler": "random"},
    "parameter": {"parameters": {"x": (0.0, 1.0), "y": (0.0, 0.8)}},
    "order": {"parameters": {"y": (0.0, 0.9), "x": (0.0, 1.0)}},
    "fixed": {"parameters": {"x": (0.0, 1.0)}, "fixed": {"y": 0.5}},
    "derived": {"derived": {"z": "x"}},
    "constraints": {"constraints": {"z": "x < 1"}},
    "objectives": {"objectives": {"cost": "min"}},
    "function": {"evaluate": study_cases.slow, "parameters": {"x": (0.0, 1.0)}},
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_another_study_is_refused(name, out):
    PLANE.run(out, workers=1)
    before = files(out)
    with pytest.raises(InputError, match="holds another study"):
        dataclasses.replace(PLANE, **CHANGES[name]).run(out, workers=1)
    assert files(out) == before


def test_names_and_titles_make_no_other_study(out):
    PLANE.run(out, workers=1)
    dataclasses.replace(PLANE, name="other", title="Other").run(out, workers=1)


def test_books_and_networks_make_another_study(monkeypatch, tmp_path):
    paths = list(identity.shipped_files())
    assert {path.parent.name for path in paths} == {"books", "zoo"} and len(paths) > 20
    before = PLANE.digest()
    for at in (0, -1):
        changed = tmp_path / paths[at].name
        changed.write_text(paths[at].read_text() + "\n# a figure was corrected\n")
        now = list(paths)
        now[at] = changed
        monkeypatch.setattr(identity, "shipped_files", lambda now=now: iter(now))
        assert PLANE.digest() != before
    monkeypatch.setattr(identity, "shipped_files", lambda: iter(paths))
    assert PLANE.digest() == before


def test_files_that_a_study_names_make_another_study(tmp_path):
    book = tmp_path / "mine.toml"
    text = '[book]\nname = "mine"\ntitle = "Mine"\nextends = "default"\n'
    book.write_text(text)
    study = Study({"context": [1, 2]}, fixed={"book": str(book)})
    before = study.digest()
    assert study.digest() == before
    book.write_text(text + "\n")
    assert study.digest() != before


def make(scale):
    def function(x, power=1):
        return {"y": scale * x**power}

    return function


def digest(function):
    return Study({"x": (0.0, 1.0)}, evaluate=function).digest()


def test_what_a_function_carries_along_makes_another_study():
    assert digest(make(1)) == digest(make(1)) != digest(make(2))
    assert digest(lambda x, k=1: {"y": k}) != digest(lambda x, k=2: {"y": k})


def test_the_source_of_a_module_makes_another_study(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "study_digested.py").write_text("def f(x):\n    return {'y': x}\n")
    study = Study({"x": (0.0, 1.0)}, evaluate="study_digested:f")
    before = study.digest()
    (tmp_path / "study_digested.py").write_text("K = 1\ndef f(x):\n    return {'y': x}\n")
    assert study.digest() != before


@pytest.mark.parametrize("function", ["math:sqrt", "itertools:count", "numpy:sin", "json:dumps"])
def test_functions_without_source_have_a_digest_too(function):
    try:
        study = Study({"x": (0.0, 1.0)}, evaluate=function)
    except InputError as error:
        assert "needs" in str(error) or "unknown field" in str(error)
    else:
        assert len(study.digest()) == 64


# Manifests.


def test_the_manifest_tells_the_study(out):
    result = PLANE.run(out, workers=1)
    content = manifest(out)
    assert content["digest"] == PLANE.digest() == result.digest
    assert content["study"] == PLANE.to_dict()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"digest": 3}', '{"digest": "a", "study": []}', "null"])
def test_broken_manifests(content, out):
    PLANE.run(out, workers=1)
    (out / "_study.json").write_text(content)
    for look in (lambda: open_result(out), lambda: PLANE.run(out, workers=1)):
        with pytest.raises(InputError, match=r"_study\.json"):
            look()
    assert len(files(out)) == 7


def test_results_open_where_the_function_is_not(out):
    here = PLANE.run(out, workers=1)
    text = (out / "_study.json").read_text()
    (out / "_study.json").write_text(text.replace("study_cases:plane", "gone_for_good:plane"))
    there = open_result(out)
    pd.testing.assert_frame_equal(there.front(), here.front())
    assert there.summary() == here.summary() and there.study.target.name == "gone_for_good:plane"
    assert len(there.dominated_by(int(here.frame.index.difference(here.front().index)[0])).better)
    with pytest.raises(InputError, match="holds another study"):
        there.study.run(out, workers=1)


def test_results_of_other_books_open_too(out, monkeypatch):
    result = dataclasses.replace(load_study("accelerators")).run(out, workers=1)
    text = json.loads((out / "_study.json").read_text())
    monkeypatch.setattr(identity, "shipped_files", lambda: iter(()))
    assert open_result(out).digest == text["digest"] == result.digest != result.study.digest()


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
from explorer import cli
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


@pytest.mark.parametrize("place", ["manifest", "piece"])
def test_a_full_disk(place, tmp_path, environment, command):
    """The limit lets the manifest through, but not the first piece; or not even that."""
    path, out = write_study(tmp_path, "wide", 40), tmp_path / "out"
    limit = {"manifest": 100, "piece": 4096}[place]
    arguments = ["study", "run", str(path), "--out", str(out), "--workers", "1"]
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
        with pytest.raises(InputError, match="No space left on device; what was written is kept"):
            PLANE.run(out, workers=1)
    assert len(files(out)) == 3 and not list(out.glob("*.tmp"))
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


def test_a_disk_of_ten_pages(small_disk):
    out = small_disk / "out"
    with pytest.raises(InputError, match=r"cannot write .*No space left on device; what was written is kept"):
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
    context.set_forkserver_preload(["explorer.cli", "study_cases", "pyarrow.parquet", "optuna.samplers"])
    process = context.Process(target=_hwsim, args=(arguments,))
    process.start()
    return process


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["sobol", "nsga2"])
def test_killed_at_ten_random_moments(sampler, tmp_path, environment):
    path = write_study(tmp_path, "slow", 240)
    text = path.read_text().replace("[parameters]", f'sampler = "{sampler}"\npopulation = 12\n[parameters]')
    path.write_text(text + 'speed = "max"\n[fixed]\nwait = 0.01\n')
    arguments = ["study", "run", str(path), "--workers", "1", "--out"]
    whole = _process([*arguments, str(tmp_path / "whole")])
    whole.join()
    assert whole.exitcode == 0
    random = np.random.default_rng(0 if sampler == "sobol" else 1)
    progress = []
    for _ in range(10):
        process = _process([*arguments, str(tmp_path / "out")])
        deadline = time.monotonic() + 60
        # From the moment that it holds the folder, or now and then earlier.
        while random.random() > 0.02 and not (tmp_path / "out" / "_study.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.5))
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
    arguments = [sys.executable, "-c", "from explorer import cli; cli.main()", "study", "run", str(path)]
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
    code = f"{listening}from explorer import cli; cli.main()"
    arguments = [sys.executable, "-c", code, "study", "run", str(path)]
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
