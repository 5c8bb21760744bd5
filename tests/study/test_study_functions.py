"""What functions that studies evaluate may take and return."""

import functools

import numpy as np
import pandas as pd
import pytest
import study_cases
from studies import in_pieces, study

from hwbase import InputError


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
