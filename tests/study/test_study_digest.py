"""What makes another study, and what a folder tells of its own."""

import dataclasses
import json

import pandas as pd
import pytest
import study_cases
from study_stored import PLANE, files

from explorer.commands.study import open_result
from explorer.study import Study, identity, load_study, manifest
from hwbase import InputError
from hwbase.checksums import with_sum

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


@pytest.mark.slow
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


@pytest.mark.parametrize("function", ["numpy:sin", "numpy:add"])
def test_functions_without_source_have_a_digest_too(function):
    try:
        study = Study({"x": (0.0, 1.0)}, evaluate=function)
    except InputError as error:
        assert "needs" in str(error) or "unknown field" in str(error)
    else:
        assert len(study.digest()) == 64


@pytest.mark.parametrize("function", ["math:sqrt", "itertools:count", "json:dumps", "os:system"])
def test_functions_of_python_itself_are_refused(function):
    with pytest.raises(InputError, match="is a function of Python itself"):
        Study({"x": (0.0, 1.0)}, evaluate=function)


# Manifests.


def test_the_manifest_tells_the_study(out):
    result = PLANE.run(out, workers=1)
    content = manifest(out)
    assert content["digest"] == PLANE.digest() == result.digest
    assert content["study"] == PLANE.to_dict()


@pytest.mark.slow
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
    text = text.replace("study_cases:plane", "gone_for_good:plane")
    (out / "_study.json").write_text(json.dumps(with_sum(json.loads(text))))
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
