"""Searches by NSGA-II: better than samples, the same wherever they run and however often they stop."""

import dataclasses
import itertools

import pandas as pd
import pytest
import study_cases
from studies import study

from explorer.study import Study, run

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


@pytest.mark.slow
def test_a_generation_outlives_a_point_that_kills_its_process():
    given = study(study_cases.dies, points=12, population=12, seed=3, sampler="nsga2", objectives={"cost": "min"})
    given = dataclasses.replace(given, parameters={"x": [0.1, 0.2, 0.3, 0.99]})
    frame = given.run(workers=2).frame
    assert frame["failure"].notna().equals(frame["x"] == 0.99) and (frame["x"] == 0.99).any()
