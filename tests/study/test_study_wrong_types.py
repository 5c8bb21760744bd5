"""Every field of a study file with every kind of value: a study, or a sentence; never a traceback."""

import contextlib
import datetime
import json
import math

import pytest

from explorer.study.spec import study_from
from hwbase import InputError

VALUES = [
    None,
    True,
    False,
    0,
    3,
    -1,
    1.5,
    10**30,
    10**400,
    math.nan,
    math.inf,
    "",
    "x",
    "context",
    "1",
    "a\0b",
    "\ud800",
    "../..",
    [],
    [1],
    ["x"],
    [[1], [2]],
    [{}],
    [None],
    {},
    {"a": 1},
    {"low": 1},
    {"choices": [1]},
    {"context": 1},
    {"context": {"context": 1}},
    datetime.date(2026, 1, 1),
    datetime.datetime(2026, 1, 1),
    datetime.time(1),
    lambda: 1,
    object(),
]
HEADER = ("name", "title", "evaluate", "vectorised", "sampler", "points", "seed", "population")
SECTIONS = ("study", "parameters", "fixed", "derived", "constraints", "objectives")
RANGE = ("low", "high", "log", "scale", "whole", "levels", "when", "otherwise", "choices")
GOOD = {
    "study": {"points": 4},
    "parameters": {
        "reading": ["pipelined", "as-published"],
        "context": {"low": 1024, "high": 2048, "whole": True, "when": {"reading": "pipelined"}, "otherwise": 4096},
    },
    "fixed": {"volume": 10},
    "derived": {"twice": "2 * chips"},
    "constraints": {"small": "chips < 100"},
    "objectives": {"tco_usd": "min"},
}


def places():
    for section in SECTIONS:
        yield (section,)
    for key in HEADER:
        yield "study", key
    for key in RANGE:
        yield "parameters", "context", key
    yield "parameters", "context", "when", "reading"
    yield "parameters", "context"
    yield "parameters", "clock_hz"
    for section, names in (
        (
            "fixed",
            (
                "volume",
                "model",
                "technology",
                "weights",
                "convention",
                "book",
                "die_formula",
                "beside",
                "chips_asked",
                "clock_hz",
            ),
        ),
        ("derived", ("twice",)),
        ("constraints", ("small",)),
        ("objectives", ("tco_usd", "chips")),
    ):
        for name in names:
            yield section, name


def changed(place, value):
    data = {section: dict(content) for section, content in GOOD.items()}
    data["parameters"]["context"] = dict(GOOD["parameters"]["context"])
    inner = data
    for key in place[:-1]:
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[place[-1]] = value
    return data


@pytest.mark.slow
@pytest.mark.parametrize("place", list(places()), ids=".".join)
def test_any_value_anywhere(place):
    made = 0
    for value in VALUES:
        try:
            study = study_from(changed(place, value), "file")
        except InputError as error:
            assert "\n" not in str(error).strip(), value
            continue
        made += 1
        # What is a study has a digest, and survives a file.
        again = study_from(json.loads(json.dumps(study.to_dict())), "file")
        assert again.digest() == study.digest(), value
        if study.points <= 4:
            with contextlib.suppress(InputError):  # of formulas, whose columns show when they are computed
                assert len(study.run(workers=1).frame) <= 4
    assert made < len(VALUES)


@pytest.mark.slow
@pytest.mark.parametrize("evaluate", ["accelerator", "serving", "scan"])
@pytest.mark.parametrize("name", ["model", "on", "technology", "policy", "grain", "memory", "weights", "traffic"])
def test_any_setting_of_other_targets(evaluate, name):
    for value in VALUES:
        try:
            study_from({"study": {"evaluate": evaluate}, "parameters": {"batch": [1]}, "fixed": {name: value}}, "file")
        except InputError as error:
            assert "\n" not in str(error).strip()


def test_the_study_they_are_taken_from_is_one():
    assert len(study_from(GOOD, "file").run(workers=1).frame) == 4
