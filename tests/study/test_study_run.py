"""Running studies: the same rows from threads, processes and one worker, in any pieces, in memory and on disk."""

import dataclasses
import importlib
import json
import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import study_cases
from studies import DESIGNS, TROUBLED, in_pieces, study

from explorer.study import Study, load_study, run
from explorer.study import store as reading
from explorer.study.result import on_disk
from hwbase import InputError

#: The module: the package has a function of that name.
runner = importlib.import_module("explorer.study.run")


@pytest.fixture(scope="module")
def expected():
    return {"points": TROUBLED.run(workers=1).frame, "blocks": DESIGNS.run(workers=1).frame}


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3, 7, 50, 1000])
@pytest.mark.parametrize("place", ["memory", "disk"])
@pytest.mark.parametrize("kind", ["points", "blocks"])
def test_pieces_and_places_do_not_show(kind, place, rows, expected, monkeypatch, tmp_path):
    in_pieces(monkeypatch, rows if kind == "points" else 40 * rows)
    given = {"points": TROUBLED, "blocks": DESIGNS}[kind]
    found = given.run(tmp_path / "out" if place == "disk" else None, workers=1).frame
    pd.testing.assert_frame_equal(found, expected[kind])
    if place == "disk":
        pd.testing.assert_frame_equal(on_disk(given, tmp_path / "out").frame, expected[kind])
        read = pd.read_parquet(tmp_path / "out")
        assert len(read) == len(found) and set(read) == set(found)


@pytest.mark.slow
def test_processes_do_not_show(expected, tmp_path):
    pd.testing.assert_frame_equal(TROUBLED.run(tmp_path / "out", workers=2).frame, expected["points"])


@pytest.mark.slow
def test_threads_do_not_show(expected, tmp_path, monkeypatch):
    in_pieces(monkeypatch, 16)
    pd.testing.assert_frame_equal(DESIGNS.run(workers=3).frame, expected["blocks"])
    pd.testing.assert_frame_equal(DESIGNS.run(tmp_path / "out", workers=3).frame, expected["blocks"])


@pytest.mark.slow
def test_points_run_in_processes():
    found = study(study_cases.where_it_runs, points=48).run(workers=2).frame["process"]
    assert found.nunique() == 2 and os.getpid() not in set(found)


def test_kinds_of_columns(expected):
    frame = expected["points"]
    failed = frame["failure"].notna()
    assert failed.any() and not failed.all()
    assert frame["failure"][failed].str.fullmatch("ValueError: [ab] is too much").all()
    assert frame["count"].dtype == float and frame["gap"].dtype == float
    assert set(frame["flag"]) == {True, False, None} and frame["flag"][~failed].map(type).eq(bool).all()
    assert set(frame["word"]) == {"low", "high", None} and set(frame["label"]) == {"big", "small", None}
    assert frame["big"][failed].isna().all() and frame["twice"][failed].isna().all()
    assert frame["meets enough"].dtype == bool and not frame["meets enough"][failed].any()
    assert frame["feasible"].equals(frame["meets enough"] & frame["meets known"])
    assert list(frame)[-2:] == ["feasible", "failure"] and list(frame)[:3] == ["point", "x", "kind"]


@pytest.mark.parametrize("place", ["memory", "disk"])
@pytest.mark.slow
def test_pieces_in_which_everything_failed(place, monkeypatch, tmp_path):
    """They do not know their columns; in the end they have those of the others."""
    in_pieces(monkeypatch, 4)
    given = Study(
        {"x": {"low": 0.0, "high": 1.0, "levels": 41}},
        evaluate=study_cases.halves,
        sampler="grid",
        derived={"big": "cost > 0.2", "name": "where(flag, 'yes', 'no')"},
        constraints={"some": "flag"},
    )
    frame = given.run(tmp_path / "out" if place == "disk" else None, workers=1).frame
    late = frame["x"] > 0.5
    assert frame["failure"][late].eq("ValueError: beyond a half").all() and frame["failure"][~late].isna().all()
    assert frame["big"][late].isna().all() and set(frame["big"][~late]) == {True, False}
    assert not frame["meets some"][late].any() and frame["meets some"].dtype == bool
    if place == "disk":
        arrow = pytest.importorskip("pyarrow.parquet")
        schemas = {str(arrow.read_schema(path)) for path in sorted((tmp_path / "out").glob("part-*"))}
        assert len(schemas) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"derived": {"cost": "x"}}, "derived cost: .* has an output of this name"),
        ({"derived": {"z": "cots + 1"}}, "unknown column in derived z: 'cots'; did you mean 'cost'"),
        ({"derived": {"z": "word + 1"}}, "derived z = 'word \\+ 1': cannot be computed"),
        ({"constraints": {"c": "cost"}}, "constraint c = 'cost': expected a comparison"),
        ({"constraints": {"c": "cots < 1"}}, "unknown column in constraint c: 'cots'"),
        ({"objectives": {"csot": "min"}}, "unknown objective 'csot'; did you mean 'cost'"),
        ({"objectives": {"word": "min"}}, "objective word is a text"),
    ],
)
def test_what_shows_at_the_first_piece_leaves_nothing(changes, said, tmp_path):
    given = study(study_cases.slow, fixed={"wait": 0.0}, points=64, **changes)
    with pytest.raises(InputError, match=said):
        given.run(tmp_path / "out", workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_processes_stop_with_the_study(tmp_path):
    given = study(study_cases.slow, fixed={"wait": 0.0}, points=64, derived={"z": "cots"})
    with pytest.raises(InputError, match="unknown column in derived z: 'cots'; did you mean 'cost'"):
        given.run(tmp_path / "out", workers=2)
    assert list(tmp_path.iterdir()) == []


def test_watching(tmp_path, monkeypatch):
    in_pieces(monkeypatch, 8)
    seen = []
    given = study(study_cases.plane)
    run(given, tmp_path / "out", workers=1, watch=lambda done, total, table: seen.append((done, total, len(table))))
    assert seen == [(min(8 * i, 50), 50, min(8, 50 - 8 * (i - 1))) for i in range(1, 8)]
    (tmp_path / "out" / "part-000000000016.parquet").unlink()
    seen.clear()
    run(given, tmp_path / "out", workers=1, watch=lambda done, total, table: seen.append((done, table is None)))
    assert seen == [(42, True), (50, False)]


@pytest.mark.slow
def test_a_point_that_kills_its_process_is_a_row(tmp_path):
    """And takes no other point along, nor the study."""
    frame = study(study_cases.dies, points=24, seed=0, derived={"z": "2 * cost"}).run(tmp_path / "out", workers=2).frame
    dead = frame["x"] > 0.95
    assert 1 <= dead.sum() <= 3 and frame["failure"].notna().equals(dead)
    assert set(frame["failure"][dead]) == {"the process of this point died (EXIT(3))"}
    assert frame["z"][~dead].equals(2 * frame["x"][~dead]) and frame["z"][dead].isna().all()
    assert len(list((tmp_path / "out").glob("part-*"))) == 3


def test_functions_that_stay_here():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return {"y": x}

    assert study(locked, points=2).run(workers=1).frame["y"].notna().all()
    with pytest.raises(InputError, match=r"locked cannot be sent to processes \(.*pickle.*\): ask for 1 worker"):
        study(locked).run(workers=2)


def test_more_points_than_memory_holds(monkeypatch):
    monkeypatch.setattr(runner, "memory_bytes", lambda: 2 * 50 * 7 * 16)
    study(study_cases.plane).run(workers=1)
    with pytest.raises(InputError, match=r"points = 5,000: they take 0.0 GB, more than half .* give a folder"):
        study(study_cases.plane, points=5000).run(workers=1)


@pytest.mark.parametrize("workers", [0, -1, 2.5, "2", None, True, 10**6, float("nan")])
def test_bad_numbers_of_workers(workers):
    with pytest.raises(InputError, match="workers"):
        study(study_cases.plane).run(workers=workers)


@pytest.mark.slow
def test_results_are_records():
    result = dataclasses.replace(DESIGNS, points=64).run(workers=1)
    found = json.loads(result.to_json())
    assert found["summary"]["points"] == 64 and len(found["front"]) == len(result.front())
    beaten = next(p for p in result.feasible["point"] if len(result.dominated_by(p).better))
    why = json.loads(result.dominated_by(beaten).to_json())
    assert why["point"]["point"] == beaten and len(why["better"]) == len(result.dominated_by(beaten).better)
    assert "<table" in result._repr_html_() and "<table" in DESIGNS._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize("point", ["x", -1, 64, True, None, [1], np.array([1]), 1.5, float("nan")])
def test_points_that_are_none(point):
    with pytest.raises(InputError, match="expected one of the 64 points"):
        dataclasses.replace(DESIGNS, points=64).run(workers=1).dominated_by(point)


@pytest.mark.parametrize("out", [3, b"out", ["out"], ""])
def test_outputs_that_are_no_folder(out):
    with pytest.raises(InputError, match="expected the name of a folder"):
        study(study_cases.plane).run(out, workers=1)


@pytest.mark.parametrize("name", [None, 3, "no-such-study", "/tmp"])
def test_studies_that_are_none(name):
    with pytest.raises(InputError, match=r"unknown study|expected a text or a path"):
        load_study(name)


@pytest.mark.slow
@pytest.mark.parametrize("package", ["pyarrow", "loky", "optuna", "distributed"])
def test_without_the_packages(package, monkeypatch, tmp_path):
    """What needs none of them works; what does says what to install."""
    for name in list(sys.modules):
        if name.split(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    plain = study(study_cases.plane, objectives={"cost": "min"})
    assert len(plain.run(workers=1).front()) == 1
    assert len(dataclasses.replace(DESIGNS, points=8).run(workers=2).frame) == 8
    asks = {
        "pyarrow": lambda: plain.run(tmp_path / "out", workers=1),
        "loky": lambda: plain.run(workers=2),
        "optuna": lambda: dataclasses.replace(plain, sampler="nsga2").run(workers=1),
        "distributed": lambda: plain.run(cluster="tcp://127.0.0.1:1"),
    }
    with pytest.raises(InputError, match=r"pip install 'hwsim\[(study|dask)\]'"):
        asks[package]()
    assert list(tmp_path.iterdir()) == []


def test_results_too_large_to_read(tmp_path, monkeypatch):
    given = study(study_cases.plane)
    given.run(tmp_path / "out", workers=1)
    monkeypatch.setattr(reading, "memory_bytes", lambda: 50 * 6 * 8 * 2)
    with pytest.raises(
        InputError, match=r"holds 50 rows, which take .* more than half of this machine's memory: read some"
    ):
        on_disk(given, tmp_path / "out").to_frame()
