"""Running studies: the same rows from threads, processes and one worker, in any pieces, in memory and on disk."""

import dataclasses
import functools
import importlib
import itertools
import json
import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import study_cases

from explorer.study import Study, load_study, pieces, run
from explorer.study import store as reading
from explorer.study.result import on_disk
from hwbase import InputError

#: The module: the package has a function of that name.
runner = importlib.import_module("explorer.study.run")


def study(evaluate, **changes):
    space = {"x": (0.0, 1.0), "kind": ["a", "b"]} if evaluate is study_cases.troubled else {"x": (0.0, 1.0)}
    return Study(**{"parameters": space, "evaluate": evaluate, "points": 50, "seed": 1, **changes})


TROUBLED = study(
    study_cases.troubled,
    derived={"twice": "2 * cost", "big": "cost > 0.4", "label": "where(cost > 0.4, 'big', 'small')"},
    constraints={"enough": "count >= 10", "known": "not isnan(gap)"},
    objectives={"cost": "min", "count": "max"},
)
DESIGNS = Study(
    {
        "technology": ["n5", "n3"],
        "chips_asked": (4, 60),
        "beside": {"choices": ["gpu"], "when": {"technology": "n3"}},
        "link_bandwidth_bytes_per_s": (64e9, 1e12, "log"),
    },
    points=200,
    constraints={"fast": "latency_s < 0.001"},
    objectives={"tco_usd": "min", "latency_s": "min"},
)


def in_pieces(monkeypatch, rows):
    monkeypatch.setattr(pieces, "VECTORISED_ROWS", rows)
    monkeypatch.setattr(pieces, "POINT_ROWS", rows)


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


def test_a_block_that_is_refused_is_halved():
    given = study(study_cases.troubled_at_once, points=500, vectorised=True)
    frame = given.run(workers=1).frame
    failed = frame["x"] > 0.9
    assert frame["failure"].notna().equals(failed) and set(frame["failure"][failed]) == {"ValueError: too much"}
    assert frame["cost"][~failed].equals(frame["x"][~failed]) and frame["cost"][failed].isna().all()


def test_reasons_are_lines():
    def function(x):
        raise ValueError("first\n  second\t\ud800")

    assert set(study(function, points=3).run(workers=1).frame["failure"]) == {"ValueError: first second ?"}


def test_functions_may_work_in_place():
    def half(x, y):
        x /= 2
        return {"z": x + y}

    frame = study(half, parameters={"x": [1.0, 2.0], "y": [3.0]}, sampler="grid", points=None, vectorised=True).run()
    assert frame.frame["x"].tolist() == [1.0, 2.0] and frame.frame["z"].tolist() == [3.5, 4.0]


def test_whole_numbers_arrive_whole():
    """Also where a column has gaps, and is one of floats."""
    seen = []

    def function(kind, n, flag):
        seen.append((kind, n, flag))
        return {"y": 1.0}

    space = {
        "kind": ["a", "b"],
        "n": {"low": 2, "high": 3, "whole": True, "when": {"kind": "a"}},
        "flag": {"choices": [True, False], "when": {"kind": "b"}},
    }
    study(function, parameters=space, sampler="grid", points=None).run(workers=1)
    assert len(seen) == 4
    for kind, n, flag in seen:
        assert type(n) is (int if kind == "a" else float) and (n != n) == (kind == "b")
        assert flag is None if kind == "a" else type(flag) is bool


RETURNS = {
    "a number": (3.0, "returned float: expected a mapping"),
    "nothing": (None, "returned NoneType: expected a mapping"),
    "an empty mapping": ({}, "expected a mapping"),
    "a table": (pd.DataFrame({"y": [1]}), "returned DataFrame"),
    "two rows": ({"y": [1.0, 2.0]}, "output y has the shape (2,)"),
    "a matrix": ({"y": [[1.0]]}, "output y has the shape (1, 1)"),
    "ragged lists": ({"y": [[1.0], [2.0, 3.0]]}, "lists of different lengths"),
    "an empty list": ({"y": []}, "output y has the shape (0,)"),
    "a complex number": ({"y": 1j}, "output y is complex128"),
    "a date": ({"y": np.datetime64("2026-01-01")}, "output y is datetime64"),
    "bytes": ({"y": b"a"}, "output y is bytes"),
    "an object": ({"y": object()}, "output y is object"),
    "a column of its own": ({"point": 3}, "output point: every study has a column of this name"),
    "feasible": ({"feasible": True}, "output feasible: every study"),
    "a constraint's column": ({"meets a": True}, "output meets a: every study"),
    "a failure of numbers": ({"failure": 3}, "expected None, or a text"),
    "a failure of its own": ({"failure": "did not converge", "y": 1.0}, "did not converge"),
    "a text that is none": ({"y": "\ud800"}, "expected a text that can be written as UTF-8"),
    "no reason": ({"failure": "", "y": 1.0}, "no reason given"),
    "a long reason": ({"failure": "a\n\tb\ud800 c", "y": 1.0}, "a b? c"),
    "an absurd number": ({"y": 10**400}, "OverflowError"),
}


@pytest.mark.parametrize("vectorised", [False, True])
@pytest.mark.parametrize("name", list(RETURNS))
def test_what_functions_may_not_return(name, vectorised):
    returned, said = RETURNS[name]

    def function(x):
        return returned

    frame = study(function, points=3 if name == "two rows" else 5, vectorised=vectorised).run(workers=1).frame
    assert frame["failure"].str.contains(said, regex=False).all(), frame["failure"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returned", "column"),
    [
        ({"y": 3}, [3.0]),
        ({"y": np.float32(0.5)}, [0.5]),
        ({"y": np.int8(3)}, [3.0]),
        ({"y": True}, [True]),
        ({"y": np.bool_(False)}, [False]),
        ({"y": "text"}, ["text"]),
        ({"y": np.str_("text")}, ["text"]),
        ({"y": [3]}, [3.0]),
        ({"y": pd.Series([3])}, [3.0]),
        ({"y": 10**30}, [1e30]),
        ({"y": float("inf")}, [float("inf")]),
        ({"y": ""}, [""]),
        ({3: 1.0}, None),
        ({"failure": None, "y": 1.0}, [1.0]),
        ({"failure": float("nan"), "y": 1.0}, [1.0]),
    ],
)
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_what_functions_may_return(returned, column, place, tmp_path):
    def function(x):
        return returned

    frame = study(function, points=3).run(tmp_path / "out" if place == "disk" else None, workers=1).frame
    assert frame["failure"].isna().all()
    assert frame["3" if column is None else "y"].tolist() == (column or [1.0]) * 3


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_column_is_of_one_kind(place, tmp_path, monkeypatch):
    in_pieces(monkeypatch, 10)

    def function(x):
        return {"y": "text" if x > 0.5 else 1.0}

    given = study(function, parameters={"x": {"low": 0, "high": 1, "levels": 40}}, sampler="grid", points=None)
    with pytest.raises(InputError, match="output"):
        given.run(tmp_path / "out" if place == "disk" else None, workers=1)


def test_outputs_that_come_and_go():
    def function(x):
        return {"y": 1.0} | ({"z": "late"} if x > 0.5 else {})

    frame = study(function).run(workers=1).frame
    assert frame["z"].tolist() == ["late" if x > 0.5 else None for x in frame["x"]]


def test_names_that_come_out_again_have_columns_of_their_own():
    def function(x, y):
        return {"x": x * 10, "y": y + 1}

    given = study(
        function,
        parameters={"x": [1.0, 2.0]},
        fixed={"y": 5},
        derived={"z": "out.x + x + y"},
        sampler="grid",
        points=None,
    )
    frame = given.run(workers=1).frame
    assert frame["x"].tolist() == [1.0, 2.0] and frame["out.x"].tolist() == [10.0, 20.0]
    assert frame["y"].tolist() == [6.0, 6.0] and frame["z"].tolist() == [17.0, 28.0]


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


def test_callables_of_all_sorts():
    class Scaled:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, x):
            return {"y": self.scale * x}

        def method(self, x):
            return {"y": self.scale * x}

    functions = [
        lambda x: {"y": 2 * x},
        Scaled(2),
        Scaled(2).method,
        functools.partial(lambda scale, x: {"y": scale * x}, 2),
        functools.partial(lambda x, scale: {"y": scale * x}, scale=2),
    ]
    frames = [study(function, points=8).run(workers=1).frame for function in functions]
    for frame in frames:
        pd.testing.assert_frame_equal(frame, frames[0])
    assert frames[0]["y"].tolist() == (2 * frames[0]["x"]).tolist()


def test_functions_say_what_they_take():
    def function(x, *, needed, other=1):
        return {"y": x}

    with pytest.raises(InputError, match="needs needed"):
        study(function)
    with pytest.raises(InputError, match=r"unknown field of .*'neded'; did you mean 'needed'"):
        study(function, fixed={"neded": 1})
    with pytest.raises(InputError, match="unknown field of"):
        study(lambda *args: {"y": 1})
    assert study(function, fixed={"needed": 1}, points=2).run(workers=1).frame["y"].notna().all()


# What is told while it runs.


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


@pytest.mark.slow
def test_a_generation_outlives_a_point_that_kills_its_process():
    given = study(study_cases.dies, points=12, population=12, seed=3, sampler="nsga2", objectives={"cost": "min"})
    given = dataclasses.replace(given, parameters={"x": [0.1, 0.2, 0.3, 0.99]})
    frame = given.run(workers=2).frame
    assert frame["failure"].notna().equals(frame["x"] == 0.99) and (frame["x"] == 0.99).any()


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


# Searching.

SEARCH = Study(
    {
        "x": (0.0, 1.0),
        "y": (0.0, 1.0),
        "n": (1, 9),
        "kind": ["a", "b"],
        "z": {"low": 0, "high": 1, "when": {"kind": "a"}},
    },
    evaluate=lambda x, y, n, kind, z: {
        "cost": x + y + n + (kind == "b"),
        "speed": x * (1.0 - y) + (z if z == z else 0),
    },
    constraints={"some": "x > 0.1"},
    objectives={"cost": "min", "speed": "max"},
    sampler="nsga2",
    points=60,
    population=16,
    seed=2,
)


@pytest.mark.slow
def test_searching_beats_sampling():
    optuna = pytest.importorskip("optuna")
    assert optuna
    searched = dataclasses.replace(SEARCH, points=320).run(workers=1)
    sampled = dataclasses.replace(SEARCH, points=320, sampler="random").run(workers=1)
    # The best of each objective, and more points near the front.
    assert searched.frame["feasible"].mean() > sampled.frame["feasible"].mean()
    assert searched.feasible["cost"].median() < sampled.feasible["cost"].median()
    assert len(searched.front()) > len(sampled.front())


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(kept, tmp_path):
    whole = SEARCH.run(tmp_path / "whole", workers=1)
    seen = itertools.count(1)

    def stop(done, total, table):
        if next(seen) > kept:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SEARCH, tmp_path / "cut", workers=1, watch=stop)
    assert len(list((tmp_path / "cut").glob("part-*"))) == kept + 1
    again = run(SEARCH, tmp_path / "cut", workers=1)
    pd.testing.assert_frame_equal(again.frame, whole.frame)
    same_files(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.slow
def test_a_search_does_not_depend_on_where_it_runs():
    plain = dataclasses.replace(SEARCH, points=32)
    pd.testing.assert_frame_equal(plain.run(workers=1).frame, plain.run(workers=2).frame)


def same_files(one, other):
    files = {path.name: path.read_bytes() for path in one.glob("part-*")}
    assert files == {path.name: path.read_bytes() for path in other.glob("part-*")} and files


@pytest.mark.slow
def test_a_search_in_which_everything_fails():
    def function(x):
        raise ValueError("never")

    result = study(function, sampler="nsga2", objectives={"cost": "min"}, points=20, population=5).run(workers=1)
    assert result.trouble() == "all 20 points failed; the commonest reason: ValueError: never"


@pytest.mark.slow
def test_a_search_asks_for_one_of_each_point_number():
    assert SEARCH.run(workers=1).frame["point"].tolist() == list(range(60))


# What results are.


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


# What is missing.


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
