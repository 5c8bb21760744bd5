"""What a study varies: ranges that keep their ends, conditions, and everything that is no parameter."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.study import Choice, Integer, Real, Study
from explorer.study.pieces import evaluate_piece
from explorer.study.sampling import sample
from explorer.study.space import check_conditions, parameter
from explorer.study.spec import load_study, study_from
from hwbase import InputError


def nothing(**inputs):
    return {"y": 0.0}


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_real_ranges_keep_their_ends(low, width, place):
    given_range = parameter("x", (low, low + width))
    values = given_range.values(np.array([0.0, place, np.nextafter(1.0, 0.0)]))
    assert (values >= low).all() and (values <= low + width).all() and values[0] == low


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.floats(1e-30, 1e29), st.floats(1, 10), st.floats(0, 1, exclude_max=True))
def test_log_ranges_keep_their_ends(low, factor, place):
    given_range = parameter("x", (low, low * factor, "log"))
    values = given_range.values(np.array([0.0, place, np.nextafter(1.0, 0.0)]))
    assert (values >= low).all() and (values <= low * factor).all()


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(-1000, 1000), st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_whole_ranges_keep_their_ends(low, width, place):
    values = parameter("n", (low, low + width)).values(np.array([0.0, place, np.nextafter(1.0, 0.0)]))
    assert values.dtype == np.int64 and values[0] == low and values[-1] == low + width
    assert low <= values[1] <= low + width


def test_each_whole_number_is_as_likely():
    unit = (np.arange(6000) + 0.5) / 6000
    values, counts = np.unique(parameter("n", (3, 8)).values(unit), return_counts=True)
    assert values.tolist() == [3, 4, 5, 6, 7, 8] and set(counts) == {1000}


def test_whole_numbers_on_a_log_scale():
    values = parameter("n", (1, 1024, "log")).values((np.arange(100_000) + 0.5) / 100_000)
    assert values.min() == 1 and values.max() == 1024
    # As many from 1 to 31 as from 32 to 1024, give or take the rounding of the first few.
    assert np.mean(values < 32) == pytest.approx(np.log(32) / np.log(1025), abs=1e-3)


def test_log_samples_are_even_in_the_logarithm():
    values = parameter("x", (1e-3, 1e3, "log")).values(np.array([0.0, 0.25, 0.5, 0.75]))
    assert values == pytest.approx([1e-3, 10**-1.5, 1.0, 10**1.5])


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ([1, 2, 4], Choice([1, 2, 4])),
        (["a", "b"], Choice(["a", "b"])),
        ([True, False], Choice([True, False])),
        (np.array([1, 2]), Choice([1, 2])),
        ((1, 8), Integer(1, 8)),
        ((1, 8, "log"), Integer(1, 8, log=True)),
        ((1.0, 8), Real(1.0, 8.0)),
        ((np.int64(1), np.int64(8)), Integer(1, 8)),
        ({"low": 1, "high": 8}, Real(1.0, 8.0)),
        ({"low": 1.0, "high": 8.0, "whole": True, "scale": "log"}, Integer(1, 8, log=True)),
        ({"low": 0, "high": 8, "scale": "linear", "levels": 3}, Real(0.0, 8.0, levels=3)),
        ({"choices": ["x"]}, Choice(["x"])),
    ],
)
def test_ways_to_say_a_parameter(given_as, expected):
    found = parameter("x", given_as)
    assert found == expected and type(found) is type(expected)
    ends = ("low", "high") if not isinstance(found, Choice) else ()
    assert [type(getattr(found, end)) for end in ends] == [type(getattr(expected, end)) for end in ends]


@pytest.mark.parametrize(
    ("given_as", "said"),
    [
        (3, "expected a list of choices"),
        ("abc", "expected a list of choices"),
        (None, "expected a list of choices"),
        ((1, 2, 3), "expected a list of choices"),
        ((1,), "expected a list of choices"),
        ((1, 2, "lin"), "expected a list of choices"),
        ([], "at least one value"),
        ([[1, 2], [3, 4]], "expected a number, a text or a flag"),
        ([{}], "expected a finite number"),
        ([None], "expected a finite number"),
        ([1, "a"], "mixes numbers and texts"),
        ([True, 1], "mixes flags and numbers"),
        ([1, 1.0], "repeats a value"),
        (["a", "a"], "repeats a value"),
        ([1.0, float("nan")], "x.choices = nan"),
        ([float("inf")], "x.choices = inf"),
        ((2, 1), "the space is empty"),
        ((float("nan"), 1.0), "x.low = nan"),
        ((0.0, float("inf")), "x.high = inf"),
        ((0.0, 1.0, "log"), "expected a number > 0 on a log scale"),
        ((-1, 1, "log"), "expected a number > 0 on a log scale"),
        (("one", "2"), "x = 'one': expected a finite number"),
        ((True, 2), "x.low = True"),
        (([1, 2], [3, 4]), "low and high are lists"),
        ({"low": 1}, "x.high is missing"),
        ({"whole": True}, "x.low is missing"),
        ({}, "x.low is missing"),
        ({"low": 1, "high": 2, "hihg": 3}, "did you mean 'high'"),
        ({"low": 1, "high": 2, "scale": "logg"}, "did you mean 'log'"),
        ({"low": 1, "high": 2, "scale": ["log"]}, "unknown x.scale"),
        ({"low": 1, "high": 2, "log": "yes"}, "x.log = 'yes'"),
        ({"low": 1, "high": 2, "whole": "yes"}, "x.whole = 'yes'"),
        ({"low": 1, "high": 2, "levels": 0}, "x.levels = 0"),
        ({"low": 1, "high": 2, "levels": 2.5}, "x.levels = 2.5"),
        ({"low": 1, "high": 2, "levels": [2]}, "x.levels = \\[2\\]"),
        ({"low": 1, "high": 2, "levels": 10**9}, "x.levels = 1000000000"),
        ({"low": 1, "high": 2, "levels": True}, "x.levels = True"),
        ({"low": 1.5, "high": 2, "whole": True}, "x.low = 1.5"),
        ({"low": 0, "high": 1e300}, "x.high = 1e"),
        ({"low": 0, "high": 1e17, "whole": True}, "x.high = 1e"),
        ({"choices": 3}, "x.choices = 3"),
        ({"choices": "abc"}, "x.choices = 'abc'"),
        ({"choices": [1], "levels": 3}, "unknown field of parameter x: 'levels'"),
        ({"choices": [1], "scale": "log"}, "unknown field of parameter x: 'scale'"),
        ({"choices": [1], "when": 3}, "x.when = 3"),
        ({"choices": [1], "otherwise": 2}, "x.otherwise without x.when"),
        ({"choices": [1], "when": {"y": 1}, "otherwise": "none"}, "x.otherwise = 'none'"),
        ({"choices": ["a"], "when": {"y": 1}, "otherwise": 3}, "x.otherwise = 3"),
        ({"low": 1, "high": 2, "when": {"y": 1}, "otherwise": True}, "x.otherwise = True"),
        ({"low": 1, "high": 2, "whole": True, "when": {"y": 1}, "otherwise": 1.5}, "x.otherwise = 1.5"),
        ({"low": 1, "high": 2, "when": {"y": 1}, "otherwise": float("nan")}, "x.otherwise = nan"),
    ],
)
def test_what_is_no_parameter(given_as, said):
    with pytest.raises(InputError, match=said):
        parameter("x", given_as)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"kidn": "a"}, "did you mean 'kind'"),
        ({"later": 1}, "which comes later"),
        ({"x": 1}, "which comes later"),
        ({"kind": "c"}, "kind is never 'c'"),
        ({"kind": ["a", "c"]}, "kind is never 'c'"),
        ({"kind": 1}, "kind is never 1"),
        ({"kind": []}, "kind has no values"),
        ({"kind": {"low": 1}}, "kind = {'low': 1}"),
        ({"n": 5}, "n is never 5"),
        ({"n": 2.5}, "n is never 2.5"),
        ({"n": True}, "n is never True"),
        ({"n": "2"}, "n is never '2'"),
        ({"flag": 1}, "flag is never 1"),
        ({"one": True}, "one is never True"),
        ({"real": 0.5}, "real, a range"),
    ],
)
def test_conditions_that_nothing_meets(when, said):
    space = {
        "kind": parameter("kind", ["a", "b"]),
        "n": parameter("n", (1, 4)),
        "flag": parameter("flag", [True, False]),
        "one": parameter("one", [1, 2]),
        "real": parameter("real", (0.0, 1.0)),
        "x": parameter("x", {"low": 0, "high": 1, "when": when}),
        "later": parameter("later", [1]),
    }
    with pytest.raises(InputError, match=said):
        check_conditions(space)


SPACE = {
    "kind": ["a", "b", "c"],
    "n": {"low": 1, "high": 3, "whole": True, "when": {"kind": ["a", "b"]}},
    "deep": {"low": 0.0, "high": 1.0, "levels": 4, "when": {"n": [2, 3], "kind": "a"}, "otherwise": -1.0},
    "word": {"choices": ["x", "y"], "when": {"kind": "b"}, "otherwise": "none"},
    "bare": {"choices": ["x", "y"], "when": {"kind": "b"}},
    "flag": {"choices": [True, False], "when": {"kind": "a"}},
    "sure": {"choices": [True, False], "when": {"kind": "a"}, "otherwise": False},
    "free": [0, 1],
}


@pytest.mark.parametrize("sampler", ["grid", "random", "latin-hypercube", "sobol"])
def test_conditions_and_otherwise(sampler):
    study = Study(SPACE, evaluate=nothing, sampler=sampler, **({} if sampler == "grid" else {"points": 500}))
    table = sample(study.space, sampler, study.points, 3, 0, study.points)
    a, b = table["kind"] == "a", table["kind"] == "b"
    counts_n = a | b
    n = table["n"]
    assert np.isnan(n[~counts_n]).all() and set(n[counts_n]) == {1, 2, 3}
    deep = a & (n >= 2)
    assert (table["deep"][~deep] == -1).all() and (table["deep"][deep] >= 0).all() and deep.any()
    assert set(table["word"][b]) == {"x", "y"} and set(table["word"][~b]) == {"none"}
    assert set(table["bare"][b]) == {"x", "y"} and set(table["bare"][~b]) == {None}
    assert table["flag"].dtype == object and set(table["flag"][a]) == {True, False} and set(table["flag"][~a]) == {None}
    assert table["sure"].dtype == bool and set(table["sure"][a]) == {True, False} and not table["sure"][~a].any()


def test_a_parameter_does_not_count_where_the_one_above_it_does_not():
    """n counts under kind a alone, so what hangs on n does too, whatever n was drawn there."""
    space = {
        "kind": parameter("kind", ["a", "b"]),
        "n": parameter("n", {"low": 1, "high": 2, "whole": True, "when": {"kind": "a"}, "otherwise": 2}),
        "x": parameter("x", {"choices": [5, 6], "when": {"n": 2}, "otherwise": 0}),
    }
    table = sample(space, "random", 200, 0, 0, 200)
    b = table["kind"] == "b"
    assert (table["n"][b] == 2).all() and (table["x"][b] == 0).all() and b.any()


@pytest.mark.parametrize("form", ["json", "toml"])
def test_a_study_survives_a_file(form, tmp_path):
    study = Study(
        {
            "technology": ["n5", "n3"],
            "reading": ["pipelined", "as-published"],
            "rows": (0, 3),
            "vex_macs": Integer(1, 64, log=True, levels=3),
            "clock_hz": Real(0.0, 2e9, when={"technology": "n5"}, otherwise=0.0),
            "n5.d0_per_cm2": (np.float64(0.05), 0.2),
            "hbm_stacks": np.array([1, 2, 8]),
        },
        fixed={"model": "gpt-oss-120b", "volume": np.int64(10), "n5.wafer_price_usd": 17e3},
        derived={"twice": "2 * chips", "odd": "twice + n5.wafer_price_usd"},
        constraints={"small": "chips <= 64"},
        objectives={"tokens_per_s": "max", "tco_usd": "min"},
        sampler="nsga2",
        points=100,
        seed=5,
        title='A "title"',
    )
    if form == "json":
        data = json.loads(json.dumps(study.to_dict(), allow_nan=False))
    else:
        data = tomllib.loads(as_toml(study.to_dict()))
    again = study_from(data, "file")
    assert again == study and again.digest() == study.digest()


def as_toml(data):
    """Enough TOML for a study: JSON's literals are TOML's, but for tables."""

    def value(given):
        if isinstance(given, dict):
            return "{ " + ", ".join(f"{json.dumps(k)} = {value(v)}" for k, v in given.items()) + " }"
        return json.dumps(given)

    sections = []
    for section, content in data.items():
        lines = [f"{json.dumps(key)} = {value(each)}" for key, each in content.items()]
        sections.append("\n".join([f"[{section}]", *lines]))
    return "\n".join(sections)


def test_dotted_names_need_no_quotes():
    text = """
    [parameters]
    n5.d0_per_cm2 = { low = 0.05, high = 0.2 }
    n5.wafer_price_usd = [16e3, 17e3]
    [fixed]
    electricity.usd_per_kwh = 0.1
    [objectives]
    n5.d0_per_cm2 = "min"
    """
    study = study_from(tomllib.loads(text), "file")
    assert set(study.space) == {"n5.d0_per_cm2", "n5.wafer_price_usd"}
    assert study.fixed == {"electricity.usd_per_kwh": 0.1} and study.objectives == {"n5.d0_per_cm2": "min"}


@pytest.mark.parametrize("example", ["hardwired-space", "accelerators", "scan-fleets"])
def test_the_outputs_of_a_target_are_those_of_its_points(example):
    study = load_study(example)
    table = evaluate_piece(study, 0, 1)
    own = {"point", "feasible", "failure", *study.space, *study.derived, *(f"meets {n}" for n in study.constraints)}
    assert set(table.columns) - own <= study.target.outputs


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"objectives": {"tco_usdd": "min"}}, "unknown objective 'tco_usdd'; did you mean 'tco_usd'"),
        ({"constraints": {"fast": "latency < 1"}}, "unknown column in constraint fast: 'latency'; did you mean"),
        ({"derived": {"z": "tco_usdd * 2"}}, "unknown column in derived z: 'tco_usdd'; did you mean 'tco_usd'"),
        ({"derived": {"z": "y * 2", "y": "tco_usd"}}, "unknown column in derived z: 'y'"),
    ],
)
def test_an_unknown_column_is_refused_before_a_study_runs(given, message):
    with pytest.raises(InputError) as error:
        Study({"chips_asked": [16, 32]}, **given)
    assert message in str(error.value)


def test_formulas_read_parameters_fixed_values_outputs_and_what_is_derived():
    study = Study(
        {"chips_asked": [16, 32], "volume": [1, 50]},
        fixed={"beside": "h100"},
        derived={"each_usd": "tco_usd / volume", "share": "where(chips > chips_asked, each_usd, gpu_tco_usd)"},
        constraints={"fast": "latency_s <= 5 ms", "one": "beside == 'h100'"},
        objectives={"each_usd": "min"},
    )
    assert len(study.run(workers=1).front())
