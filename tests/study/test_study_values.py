"""What a study is given and gives back: values with units, spaces that are finite, values that are unknown."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from explorer.pricing.evaluate import evaluate
from explorer.study import Choice, Integer, Real, Study
from explorer.study.drivers import drivers
from explorer.study.figures import front_along
from explorer.study.sampling import sample, suited_sampler
from explorer.study.spec import study_from
from hwbase import InputError

MODEL = "gpt-oss-120b"


def plain(x, y=0.0):
    return {"cost": x, "value": y}


def study(function=plain, **changed):
    given = {"parameters": {"x": (0.0, 1.0), "y": (0.0, 1.0)}, "points": 64, "sampler": "random", "seed": 1}
    return Study(**{**given, "evaluate": function, "objectives": {"cost": "min"}, **changed})


# Values with units


@pytest.mark.parametrize(
    ("parameters", "same"),
    [
        ({"context": ["2K", "64K"]}, {"context": [2048, 65536]}),
        ({"context": ("1K", "128K", "log")}, {"context": (1024, 131072, "log")}),
        ({"context": Integer("1K", "2K")}, {"context": Integer(1024, 2048)}),
        ({"link_latency_s": ("20 ns", "1 us")}, {"link_latency_s": (2e-8, 1e-6)}),
        ({"link_latency_s": {"low": "20 ns", "high": "1 us"}}, {"link_latency_s": (2e-8, 1e-6)}),
        ({"n5.wafer_price_usd": Choice(["17 kUSD"])}, {"n5.wafer_price_usd": [17e3]}),
        (
            {"context": ["2K", "4K"], "volume": {"choices": ["1K"], "when": {"context": "4K"}, "otherwise": "2K"}},
            {"context": [2048, 4096], "volume": {"choices": [1024], "when": {"context": 4096}, "otherwise": 2048}},
        ),
        ({"model.attention": ["gqa"]}, {"model.attention": ["gqa"]}),
    ],
)
def test_parameters_are_read_with_units(parameters, same):
    assert Study(parameters).to_dict() == Study(same).to_dict()


def test_files_and_fixed_values_are_read_with_units():
    data = {"study": {}, "parameters": {"volume": [10]}, "fixed": {"context": "64K", "link_latency_s": "100 ns"}}
    assert study_from(data, "file").fixed == {"context": 65536, "link_latency_s": pytest.approx(1e-7)}


def test_ranges_of_a_function_are_read_and_its_texts_left_alone():
    given = study(parameters={"x": ("2", "4"), "y": ["1", "2"]})
    assert (given.space["x"].low, given.space["x"].high) == (2.0, 4.0) and given.space["y"].choices == ["1", "2"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parameters": {"context": ["2K", "much"]}}, "context = 'much': expected a whole number"),
        ({"parameters": {"link_latency_s": ("1 ns", "1 GB")}}, "link_latency_s = '1 GB' has unit 'GB'"),
        ({"parameters": {"volume": [1]}, "fixed": {"context": "64 KB"}}, "context = '64 KB'"),
        ({"parameters": {"volume": [1]}, "constraints": {"c": "latency_s <= 5 GB"}}, "latency_s = '5 GB' has unit"),
        ({"parameters": {"x": ("a", 2)}, "evaluate": plain}, "x = 'a': expected a finite number"),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_runs(changed, said):
    with pytest.raises(InputError, match=re.escape(said)):
        Study(**changed)


def test_constraints_with_units_judge_as_numbers_do():
    frame = Study({"context": ["2K", "64K"]}, constraints={"a": "latency_s <= 1 ms", "b": "latency_s <= 0.001"}).run(
        workers=1
    )
    assert frame.frame["meets a"].tolist() == frame.frame["meets b"].tolist() == [True, False]


def test_evaluate_reads_lists_with_units():
    texts = evaluate(MODEL, {"link_bandwidth_bytes_per_s": ["64 GB/s", "128 GB/s"]}, context=["2K", "4K"])
    numbers = evaluate(MODEL, {"link_bandwidth_bytes_per_s": [64e9, 128e9]}, context=[2048, 4096])
    pd.testing.assert_frame_equal(texts, numbers)


# One name, one meaning


def test_a_study_of_an_earlier_version_is_told_what_to_change():
    data = {"parameters": {"chips": {"low": 8, "high": 64, "whole": True}}, "derived": {"mm2": "out.chips * 2"}}
    with pytest.raises(
        InputError, match=r"^old.toml: parameter chips is now called chips_asked, .*chips for out\.chips$"
    ):
        study_from(data, "old.toml")
    with pytest.raises(InputError, match="chips is now called chips_asked"):
        Study({"volume": [1]}, fixed={"chips": 16})


def test_outputs_of_shipped_targets_have_names_of_their_own():
    for evaluated, space in (
        ("hardwired", {"chips_asked": [16, 20]}),
        ("accelerator", {"devices": [4, 8], "batch": [1, 2]}),
    ):
        frame = Study(space, evaluate=evaluated).run(workers=1).frame
        assert not [name for name in frame if name.startswith("out.")]


def test_objectives_may_be_a_list_of_columns():
    given = Study({"volume": [1, 2]}, objectives=["tco_usd", "tokens_per_s"])
    assert given.objectives == {"tco_usd": "min", "tokens_per_s": "max"}
    with pytest.raises(InputError, match="objective bound_by: which direction is better is not known"):
        Study({"volume": [1, 2]}, objectives=["bound_by"])


# Finite spaces


def test_a_finite_space_is_enumerated_unless_a_sampler_is_named():
    given = Study({"chips_asked": (8, 64), "context": ["2K", "64K"]}, objectives=["tco_usd", "latency_s"])
    assert (given.drawn_by, given.points) == ("grid", 114)
    result = given.run(workers=1)
    assert len(result.frame) == 114 and not result.frame[["chips_asked", "context"]].duplicated().any()
    best = result.front()
    assert len(best) == 8 and not best[["chips", "context"]].duplicated().any()
    assert result.knee()["chips"] in best["chips"].tolist()
    assert dataclasses.replace(given, sampler="sobol", points=64).drawn_by == "sobol"
    assert dataclasses.replace(given, points=50).drawn_by == "distinct"
    assert study_from(given.to_dict(), "file").digest() == given.digest()


@pytest.mark.parametrize("points", [1, 7, 500, 999, 1000])
def test_a_larger_space_is_sampled_without_repeats(points):
    space = Study({"a": (1, 50, "log"), "b": list(range(20))}, evaluate=plain_of_two, points=points)
    assert space.drawn_by == ("distinct" if points < 1000 else "grid")
    frame = sample(space.space, "distinct", points, 3, 0, points)
    pairs = set(zip(frame["a"].tolist(), frame["b"].tolist(), strict=True))
    assert len(pairs) == points == len(frame["point"])
    assert all(1 <= a <= 50 and 0 <= b < 20 for a, b in pairs)
    # Any stretch is a stretch of the whole.
    part = sample(space.space, "distinct", points, 3, points // 3, points)
    assert part["a"].tolist() == frame["a"][points // 3 :].tolist()


def plain_of_two(a, b):
    return {"cost": a + b}


def test_designs_that_differ_in_what_does_not_count_are_one():
    space = {"kind": ["p", "q"], "n": {"choices": list(range(10)), "when": {"kind": "q"}, "otherwise": 0}}
    given = Study(space, evaluate=lambda kind, n: {"cost": n}, points=11)
    assert given.drawn_by == "grid" and len(given.run(workers=1).frame) == 11
    few = dataclasses.replace(given, points=8)
    frame = few.run(workers=1).frame
    assert few.drawn_by == "distinct" and len(frame) == 8 and not frame[["kind", "n"]].duplicated().any()


def test_ranges_of_real_numbers_are_sampled_as_before():
    given = study(sampler=None)
    assert given.drawn_by == "sobol"
    assert suited_sampler({"x": Integer(1, 9, levels=3), "y": Real(0, 1)}, 10**6) == "sobol"
    with pytest.raises(InputError, match="sampler 'distinct' needs choices and whole numbers"):
        study(sampler="distinct")


def test_an_objective_that_is_a_parameter_has_one_axis():
    result = study(objectives={"x": "min", "value": "max"}).run(workers=1)
    drawn = front_along(result)
    axes = list(drawn.data[1].x)
    assert axes == ["x", "value", "y"]
    # The least value stands at the foot of its axis.
    lines = np.array([y for y in drawn.data[0].y if y is not None]).reshape(-1, 3)
    best = result.front()
    assert lines[best["x"].argmin(), 0] == 0.0 and lines[best["x"].argmax(), 0] == 1.0


# What is unknown


def unknown_below(x, y=0.0):
    return {"cost": x, "acc": float("nan") if x < 0.5 else x}


@pytest.mark.parametrize("condition", ["acc != 5", "not (acc < 0.2)", "acc > 0.2", "min(acc, 1) <= 1", "acc ** 0 == 1"])
def test_nan_meets_no_constraint(condition):
    frame = study(unknown_below, constraints={"c": condition}).run(workers=1).frame
    assert frame["acc"].isna().any() and not frame.loc[frame["feasible"], "acc"].isna().any()
    assert frame["feasible"].sum() == (frame["x"] >= 0.5).sum()


def masked(x, y):
    return {"cost": np.ma.masked_array(x, mask=x < 0.5)}


def shuffled(x, y):
    cost = pd.Series(x)
    return {"cost": cost.sample(frac=1.0, random_state=0)}


def elsewhere(x, y):
    return {"cost": pd.Series(x, index=np.arange(len(x)) + 1)}


def test_masked_outputs_are_missing():
    result = study(masked, vectorised=True).run(workers=1)
    assert result.front()["x"].iloc[0] >= 0.5
    assert result.frame["cost"].isna().tolist() == (result.frame["x"] < 0.5).tolist()


def test_series_are_put_in_the_order_of_the_points():
    result = study(shuffled, vectorised=True).run(workers=1)
    np.testing.assert_array_equal(result.frame["cost"], result.frame["x"])


def test_series_of_another_index_are_refused():
    failures = study(elsewhere, vectorised=True).run(workers=1).frame["failure"]
    assert failures.str.contains("a Series whose index is not 0 to").all()


@pytest.mark.parametrize(
    "varied",
    [
        {"link_bandwidth_bytes_per_s": np.ma.masked_array([64e9, 128e9], mask=[False, True])},
        {"link_bandwidth_bytes_per_s": pd.Series([64e9, 128e9], index=[1, 0]), "vex_macs": pd.Series([4096, 8192])},
        {"link_bandwidth_bytes_per_s": pd.Series([64e9, 128e9], index=[1, 0]), "vex_macs": [4096, 8192]},
    ],
)
def test_evaluate_refuses_masked_arrays_and_series_in_different_orders(varied):
    with pytest.raises(InputError, match=r"masked array|another index"):
        evaluate(MODEL, varied)


def constant(x, y):
    return {"cost": 0.1 + 0.2, "value": 1.0 + 1e-16 * x}


@pytest.mark.slow
def test_what_does_not_vary_has_no_drivers():
    table = drivers(study(constant, objectives={"cost": "min", "value": "min"}, points=500).run(workers=1))
    assert table[["cost", "value"]].isna().all(axis=None)
