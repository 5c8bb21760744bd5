"""`hwsim study`: bad studies end in one line and leave nothing; good ones are shown, explained and handed out."""

import contextlib
import csv
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from explorer.commands.study import open_result
from explorer.study import load_study
from hwbase.numbers import percent

HERE = Path(__file__).parent
GOOD = """
[study]
title = "A plane"
evaluate = "study_cases:plane"
points = 60
seed = 2
[parameters]
x = { low = 0.1, high = 1.0 }
y = { low = 0.0, high = 0.9 }
[constraints]
cheap = "cost <= 1.5"
[objectives]
cost = "min"
speed = "max"
"""


@pytest.fixture(autouse=True)
def functions(monkeypatch):
    """Processes that a test starts find the functions of study_cases too."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def study_file(tmp_path):
    def write(text=GOOD):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return str(path)

    return write


def refused(found):
    """One line that begins with the program's name, and status 2."""
    status, out, errors = found
    assert status == 2 and out == "", (status, out, errors)
    assert errors.startswith("hwsim: ") and errors.count("\n") == 1 and "Traceback" not in errors, errors
    return errors


HARDWIRED = "[parameters]\ncontext = [1024, 2048]\n"


def plane(section, line="", header="points = 8"):
    sections = f'[study]\nevaluate = "study_cases:plane"\n{header}\n[parameters]\nx = {{ low = 0.0, high = 1.0 }}\n'
    return sections + f"[{section}]\n{line}\n"


BAD_STUDIES = [
    # Fields.
    ("[parameters]\nclock_hert = [1e9]\n", "did you mean 'clock_hz'"),
    ("[parameters]\nn5.wafer_price = [1e4]\n", "did you mean 'n5.wafer_price_usd'"),
    ("[parameters]\nmodel.layrs = [36]\n", "did you mean 'model.layers'"),
    (HARDWIRED + "[fixed]\nclock_hert = 1e9\n", "did you mean 'clock_hz'"),
    (HARDWIRED + "[fixed]\ncontext = 5\n", "context is both varied and fixed"),
    (HARDWIRED + "[fixed]\nclock_hz = nan\n", "fixed clock_hz = nan"),
    (HARDWIRED + "[fixed]\nclock_hz = inf\n", "fixed clock_hz = inf"),
    (HARDWIRED + "[fixed]\nclock_hz = [1e9]\n", "fixed clock_hz = [1000000000.0]"),
    (HARDWIRED + "[fixed]\nclock_hz = 2026-01-01\n", "fixed clock_hz = datetime.date"),
    (HARDWIRED + '[fixed]\nmodel = "gpt-oss-12b"\n', "did you mean 'gpt-oss-120b'"),
    (HARDWIRED + '[fixed]\ntechnology = "n55"\n', "did you mean 'n5'"),
    ('[parameters]\ntechnology = ["n5", "n44"]\n', "'n44'"),
    (
        '[study]\nevaluate = "serving"\n[parameters]\nrate_per_s = [1.0]\npolicy = ["first-com"]\n',
        "did you mean 'first-come'",
    ),
    ('[study]\nevaluate = "serving"\n[parameters]\nrate_per_s = [1.0]\n[fixed]\non = "hnlp"\n', "did you mean 'hnlpu'"),
    ('[study]\nevaluate = "accelerator"\n[parameters]\nbatch = [1]\n[fixed]\non = "h10"\n', "did you mean 'h100'"),
    # Spaces.
    ("", "parameters: 0 given"),
    ("[study]\n", "parameters: 0 given"),
    ("[parameters]\n", "parameters: 0 given"),
    ("parameters = 3\n", "parameters = 3: expected a mapping"),
    ("parameters = []\n", "parameters = []: expected a mapping"),
    ("[parameters]\ncontext = []\n", "context.choices = []"),
    ("[parameters]\ncontext = 2048\n", "parameter context = 2048"),
    ('[parameters]\ncontext = "2048"\n', "parameter context = '2048'"),
    ("[parameters]\ncontext = true\n", "parameter context = True"),
    ("[parameters]\ncontext = {}\n", "context.low is missing"),
    ("[parameters]\ncontext = { low = 1 }\n", "context.high is missing"),
    ("[parameters]\ncontext = { low = 5, high = 1 }\n", "the space is empty"),
    ("[parameters]\ncontext = { low = nan, high = 1 }\n", "context.low = nan"),
    ("[parameters]\ncontext = { low = 0, high = inf }\n", "context.high = inf"),
    ("[parameters]\ncontext = { low = 'one', high = 2 }\n", "context = 'one'"),
    ("[parameters]\ncontext = { low = [1], high = 2 }\n", "low and high are lists"),
    ("[parameters]\ncontext = { low = 0, high = 2, scale = 'log' }\n", "expected a number > 0 on a log scale"),
    ("[parameters]\ncontext = { low = 1, high = 2, scale = 'lg' }\n", "did you mean 'log'"),
    ("[parameters]\ncontext = { low = 1, high = 2, whole = 1 }\n", "context.whole = 1"),
    ("[parameters]\ncontext = { low = 1, high = 2, hihg = 1 }\n", "did you mean 'high'"),
    ("[parameters]\ncontext = { low = 1, high = 2, when = 3 }\n", "context.when = 3"),
    ("[parameters]\ncontext = { low = 1, high = 2, when = { reading = 'pipelined' } }\n", "parameter in context.when"),
    ("[parameters]\ncontext = [1, 1]\n", "repeats a value"),
    ("[parameters]\ncontext = [1, 'a']\n", "context = 'a': expected a whole number"),
    ("[parameters]\ncontext = [1, nan]\n", "context.choices = nan"),
    ("[parameters]\ncontext = [[1], [2]]\n", "expected a number, a text or a flag"),
    ("[parameters]\ncontext = [2026-01-01]\n", "context.choices = datetime.date"),
    # Sizes.
    ('[study]\nsampler = "grid"\n[parameters]\ncontext = { low = 1.0, high = 2.0 }\n', "context.levels is missing"),
    (
        '[study]\nsampler = "grid"\n[parameters]\ncontext = { low = 1, high = 2, levels = 100000 }\n'
        "volume = { low = 1, high = 1000000, whole = true }\n",
        "points of the grid = 100000000000",
    ),
    (
        '[study]\nsampler = "grid"\npoints = 5\n' + HARDWIRED,
        "points = 5: the grid has 2; leave points out",
    ),
    ("[study]\npoints = 0\n" + HARDWIRED, "points = 0"),
    ("[study]\npoints = -5\n" + HARDWIRED, "points = -5"),
    ("[study]\npoints = 1.5\n" + HARDWIRED, "points = 1.5"),
    ("[study]\npoints = nan\n" + HARDWIRED, "points = nan"),
    ("[study]\npoints = '9'\n" + HARDWIRED, "points = '9'"),
    ("[study]\npoints = [9]\n" + HARDWIRED, "points = [9]"),
    ("[study]\npoints = true\n" + HARDWIRED, "points = True"),
    ("[study]\npoints = 100000000000\n" + HARDWIRED, "points = 100000000000"),
    ('[study]\npoints = 1000000000\nsampler = "latin-hypercube"\n' + HARDWIRED, "keeps their strata in memory"),
    # Headers.
    ("[study]\nseed = -1\n" + HARDWIRED, "seed = -1"),
    ("[study]\nseed = 'x'\n" + HARDWIRED, "seed = 'x'"),
    ("[study]\nseed = []\n" + HARDWIRED, "seed = []"),
    ("[study]\npopulation = 1\n" + HARDWIRED, "population = 1"),
    ("[study]\npopulation = {}\n" + HARDWIRED, "population = {}"),
    ("[study]\nsampler = 'soboll'\n" + HARDWIRED, "did you mean 'sobol'"),
    ("[study]\nsampler = 3\n" + HARDWIRED, "unknown sampler '3'"),
    ("[study]\nsampler = ['grid']\n" + HARDWIRED, "unknown sampler"),
    ("[study]\nsampler = 'nsga2'\n" + HARDWIRED, "'nsga2' needs objectives"),
    ("[study]\nevaluate = 'hardwird'\n" + HARDWIRED, "did you mean 'hardwired'"),
    ("[study]\nevaluate = ''\n" + HARDWIRED, "unknown evaluate ''"),
    ("[study]\nevaluate = 3\n" + HARDWIRED, "evaluate = 3"),
    ("[study]\nevaluate = []\n" + HARDWIRED, "evaluate = []"),
    ("[study]\nevaluate = ':'\n" + HARDWIRED, "cannot import ''"),
    ("[study]\nevaluate = '.a:b'\n" + HARDWIRED, "cannot import '.a'"),
    ("[study]\nevaluate = 'no_such_module:f'\n" + HARDWIRED, "cannot import 'no_such_module'"),
    ("[study]\nevaluate = 'study_cases:plan'\n" + HARDWIRED, "did you mean 'plane'"),
    ("[study]\nevaluate = 'study_cases:np'\n" + HARDWIRED, "expected one of"),
    ("[study]\nevaluate = 'study_cases:'\n" + HARDWIRED, "unknown function of study_cases"),
    ("[study]\nevaluate = 'study_cases:plane'\nvectorised = 'yes'\n[parameters]\nx = [1]\n", "vectorised = 'yes'"),
    ("[study]\nevaluate = 'study_cases:plane'\n[parameters]\ny = [1]\n", "study_cases:plane needs x"),
    (
        "[study]\nevaluate = 'study_cases:plane'\n[parameters]\nx = [1]\nz = [1]\n",
        "unknown field of study_cases:plane: 'z'",
    ),
    ("[study]\nname = 3\n" + HARDWIRED, "name = 3: expected a text"),
    ("[study]\ntitle = ['a']\n" + HARDWIRED, "title = ['a']: expected a text"),
    ("[study]\npoint = 3\n" + HARDWIRED, "did you mean 'points'"),
    ("[[study]]\npoints = 3\n" + HARDWIRED, "expected a table [study]"),
    ("study = 3\n" + HARDWIRED, "expected a table [study]"),
    ("[paramters]\ncontext = [1]\n", "did you mean 'parameters'"),
    ("[objective]\ncontext = 'min'\n" + HARDWIRED, "did you mean 'objectives'"),
    # Formulas, constraints, objectives.
    (plane("derived", "z = 3"), "derived z = 3"),
    (plane("derived", "z = ''"), "derived z = ''"),
    (plane("derived", "z = 'x +'"), "not a formula"),
    (plane("derived", "z = '__import__(\"os\")'"), "unknown function '__import__'"),
    (plane("derived", "z = 'x.real()'"), "not a formula (call is not allowed)"),
    (plane("derived", "x = 'cost'"), "derived x: a column of this name is there already"),
    (plane("derived", "point = 'cost'"), "derived point: a column of this name"),
    (plane("derived", "cost = 'x'"), "derived cost: study_cases:plane has an output of this name"),
    (plane("derived", "z = 'cots'"), "did you mean 'cost'"),
    ("derived = 'x'\n" + HARDWIRED, "derived = 'x': expected a mapping"),
    (plane("constraints", "c = 'cots < 1'"), "did you mean 'cost'"),
    (plane("constraints", "c = 'cost'"), "expected a comparison"),
    (plane("constraints", "c = true"), "constraint c = True"),
    (plane("objectives", "cots = 'min'"), "unknown objective 'cots'; did you mean 'cost'"),
    (plane("objectives", "cost = 'minimise'"), "unknown direction of cost"),
    (plane("objectives", "cost = 1"), "unknown direction of cost"),
    (plane("objectives", "cost = ['min']"), "unknown direction of cost"),
    (plane("objectives", "failure = 'min'"), "objective failure: expected a column of numbers"),
    (
        "[parameters]\ntechnology = ['n5']\n[objectives]\ntechnology = 'min'\n",
        "objective technology: expected a column",
    ),
    ("[study]\npoints = 8\n" + HARDWIRED + "[objectives]\nbound_by = 'min'\n", "objective bound_by is a text"),
    # Files.
    ("[study\n", "is not valid TOML"),
    ("x = " + "[" * 3000, "is not valid TOML"),
    ("seed = 1\nseed = 2\n", "is not valid TOML"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "said"), BAD_STUDIES)
def test_bad_studies(text, said, study_file, tmp_path, command):
    name = study_file(text)
    errors = refused(command("study", "run", "--trust", name, "--out", str(tmp_path / "out"), "--workers", "1"))
    assert said in errors, errors
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff\xfe", "is not UTF-8 text"), (b"\x00", "is not valid TOML"), (None, "cannot read")]
)
def test_files_that_are_none(content, said, tmp_path, command):
    if content is not None:
        (tmp_path / "study.toml").write_bytes(content)
    assert said in refused(command("study", "run", "--trust", str(tmp_path / "study.toml")))
    assert "cannot read" in refused(command("study", "run", str(tmp_path / "missing.toml")))


def test_modules_that_fail(tmp_path, study_file, command, monkeypatch):
    """Whatever a module does as it is imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for i, line in enumerate(("1 / 0", "import sys; sys.exit(3)", "def f(:", "raise KeyError")):
        (tmp_path / f"study_broken{i}.py").write_text(line)
        name = study_file(f'[study]\nevaluate = "study_broken{i}:f"\n[parameters]\nx = [1]\n')
        assert f"cannot import 'study_broken{i}'" in refused(command("study", "run", "--trust", name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--points", "0"], "points = 0"),
        (["--points", "-3"], "points = -3"),
        (["--points", "many"], "points = 'many'"),
        (["--points", "1.5"], "points = '1.5'"),
        (["--points", "nan"], "points = 'nan'"),
        (["--points", "1e12"], "points = 1e+12"),
        (["--points", ""], "points = ''"),
        (["--seed", "-1"], "seed = -1"),
        (["--seed", "x"], "seed = 'x'"),
        (["--seed", "99999999999"], "seed = 99999999999"),
        (["--sampler", "soboll"], "did you mean 'sobol'"),
        (["--sampler", ""], "unknown sampler ''"),
        (["--sampler", "grid"], "x.levels is missing"),
        (["--workers", "0"], "workers = 0"),
        (["--workers", "-1"], "workers = -1"),
        (["--workers", "two"], "workers = 'two'"),
        (["--workers", "5000"], "workers = 5000"),
        (["--workers", "nan"], "workers = 'nan'"),
        (["--set", "x=1"], "x is both varied and fixed"),
        (["--set", "z=1"], "unknown field of study_cases:plane: 'z'"),
        (["--set", "x"], "expected key=value"),
        (["--set", "=1"], "expected key=value"),
        (["--set", "x="], "expected key=value"),
        (["--set", "z=nan"], "fixed z = nan"),
        (["--set", "z=1e999"], "fixed z = inf"),
        (["--set", "z=1", "--set", "z=2"], "z is given twice"),
        (["--cluster", "nowhere"], "no Dask scheduler answers there"),
        (["--pionts", "3"], "--pionts"),
    ],
)
def test_bad_options(options, said, study_file, tmp_path, command):
    errors = refused(command("study", "run", "--trust", study_file(), "--out", str(tmp_path / "out"), *options))
    assert said in errors
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_studies_that_are_none(command):
    assert "did you mean 'hardwired-space'" in refused(command("study", "run", "hardwired-spac"))
    assert "unknown study ''" in refused(command("study", "run", ""))
    assert "unknown study" in refused(command("study", "run", "a\nb"))
    assert "Missing argument" in refused(command("study", "run"))


OUTPUTS = {
    "a file": (lambda folder: (folder / "out").write_text("precious"), "out", "it is a file"),
    "in a file": (lambda folder: (folder / "file").write_text("precious"), "file/out", "it is a file, or in one"),
    "no parent": (lambda folder: None, "no/such/out", "there is no folder"),
    "other files": (
        lambda folder: ((folder / "out").mkdir(), (folder / "out" / "a.txt").write_text("precious")),
        "out",
        "it holds other files (a.txt)",
    ),
    "too long": (lambda folder: None, "o" * 300, "File name too long"),
    "nothing": (lambda folder: None, None, "expected the name of a folder"),
    "a null": (lambda folder: None, "o\0t", "null"),
}


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_outputs_that_cannot_be(name, study_file, tmp_path, command):
    prepare, out, said = OUTPUTS[name]
    prepare(tmp_path)
    study = study_file()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    given = "" if out is None else str(tmp_path / out)
    assert said in refused(command("study", "run", "--trust", study, "--workers", "1", "--out", given))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="needs a user who may not write everywhere")
def test_outputs_without_permission(study_file, tmp_path, command):
    (tmp_path / "closed").mkdir(mode=0o500)
    errors = refused(command("study", "run", "--trust", study_file(), "--out", str(tmp_path / "closed" / "out")))
    assert "Permission denied" in errors


@pytest.mark.slow
def test_the_output_of_another_study(study_file, tmp_path, command):
    out = str(tmp_path / "out")
    assert command("study", "run", "--trust", study_file(), "--workers", "1", "--out", out)[0] == 0
    errors = refused(command("study", "run", "--trust", study_file(), "--workers", "1", "--out", out, "--seed", "5"))
    assert "holds another study" in errors and "give another folder" in errors
    assert command("study", "show", out)[0] == 0


# Studies without an answer.

REASON = "ValueError: a is too much"
NO_ANSWERS = {
    "nothing meets": (
        plane("constraints", "c = 'cost > 99'\n[objectives]\ncost = 'min'"),
        "no point meets all constraints; of 8 that did not fail: c: 0",
    ),
    "all fail": (
        plane("objectives", "cost = 'min'").replace("plane", "troubled").replace("low = 0.0", "low = 0.95"),
        f"all 8 points failed; the commonest reason: {REASON}",
    ),
    "NaN": (
        plane("derived", "z = 'log(-1 - x)'\n[objectives]\ncost = 'min'\nz = 'min'"),
        "objective z is NaN or infinite at every point",
    ),
    "infinite": (plane("derived", "z = '1 / (x - x)'\n[objectives]\nz = 'max'"), "objective z is NaN or infinite"),
    "never both": (
        plane("derived", "a = 'log(x - 0.5)'\nb = 'log(0.5 - x)'\n[objectives]\na = 'min'\nb = 'min'"),
        "no feasible point has a finite value in every objective",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NO_ANSWERS))
@pytest.mark.parametrize("as_json", [False, True])
def test_studies_without_an_answer(name, as_json, study_file, tmp_path, command):
    """Status 1, the reason in a line, and all that was computed kept."""
    text, said = NO_ANSWERS[name]
    out = tmp_path / "out"
    options = ["--out", str(out), *(["--json"] if as_json else [])]
    status, shown, errors = command("study", "run", "--trust", study_file(text), "--workers", "1", *options)
    assert status == 1 and errors.count("\n") == 1 and said in errors and "the results are kept" in errors
    if as_json:
        found = strict(shown)
        assert said in found["summary"]["trouble"] and found["front"] == []
    assert len(open_result(out).frame) == 8 and len(pd.read_parquet(out)) == 8
    assert command("study", "show", str(out))[0] == 1
    assert (f"point 0 failed: {REASON}" if name == "all fail" else said) in refused(
        command("study", "why", str(out), "0")
    )


def test_a_study_without_objectives(study_file, command, tmp_path):
    status, shown, errors = command("study", "run", "--trust", study_file(plane("derived")), "--workers", "1")
    assert status == 0 and errors == "" and "points" in shown


# What is told.


def words(shown):
    """What a terminal shows, without its lines: titles are broken to the width of their tables."""
    return " ".join(shown.split())


def strict(text):
    def no(value):
        raise AssertionError(f"{value} is no JSON")

    return json.loads(text, parse_constant=no)


@pytest.fixture
def folder(study_file, tmp_path, command):
    name = str(tmp_path / "plane")
    assert command("study", "run", "--trust", study_file(), "--workers", "1", "--out", name)[0] == 0
    return name


@pytest.mark.slow
def test_running(study_file, tmp_path, command):
    out = str(tmp_path / "out")
    status, shown, errors = command("study", "run", "--trust", study_file(), "--workers", "1", "--out", out)
    assert status == 0 and errors == ""
    assert "A plane" in shown and "the knee" in words(shown) and f"wrote {out}" in shown
    front = open_result(out).front()
    assert (
        f"{len(front)} points that no other feasible point beats" in words(shown)
        and str(int(front["point"].iloc[0])) in shown
    )


@pytest.mark.slow
def test_running_as_json(study_file, command):
    status, shown, errors = command("study", "run", "--trust", study_file(), "--workers", "1", "--json")
    found = strict(shown)
    assert status == 0 and errors == ""
    result = load_study(study_file()).run(workers=1)
    assert found["summary"]["digest"] == result.study.digest() and found["summary"]["points"] == 60
    assert [row["point"] for row in found["front"]] == result.front()["point"].tolist()
    assert found["summary"]["knee"]["point"] == int(result.knee()["point"])


def test_json_is_strict_where_values_are_missing(study_file, command):
    text = plane("derived", "z = 'log(x - 2)'\nw = '1 / (x - x)'\n[objectives]\ncost = 'min'")
    status, shown, _ = command("study", "run", "--trust", study_file(text), "--workers", "1", "--json")
    row = strict(shown)["front"][0]
    assert status == 0 and row["z"] is None and row["w"] is None and row["failure"] is None


@pytest.mark.slow
def test_options_change_the_study(study_file, command):
    text = GOOD.replace("y = { low = 0.0, high = 0.9 }\n", "")
    options = ["--points", "2K", "--seed", "9", "--sampler", "random", "--set", "y=0.25"]
    status, shown, _ = command("study", "run", "--trust", study_file(text), "--workers", "1", "--json", *options)
    found = strict(shown)
    assert status == 0 and found["summary"]["points"] == 2048
    assert found["study"] | {"points": 2048, "seed": 9, "sampler": "random"} == found["study"]
    assert found["fixed"] == {"y": 0.25}


@pytest.mark.slow
def test_a_grid_in_place_of_a_sample(study_file, command):
    """Points that the file asks for are no matter then."""
    text = GOOD.replace("high = 1.0", "high = 1.0, levels = 4").replace("high = 0.9", "high = 0.9, levels = 3")
    status, shown, _ = command(
        "study", "run", "--trust", study_file(text), "--workers", "1", "--json", "--sampler", "grid"
    )
    assert status == 0 and strict(shown)["summary"]["points"] == 12
    grid = text.replace("points = 60", 'sampler = "grid"')
    status, shown, _ = command(
        "study", "run", "--trust", study_file(grid), "--workers", "1", "--json", "--sampler", "sobol"
    )
    assert status == 0 and strict(shown)["summary"]["points"] == 1024
    errors = refused(command("study", "run", "--trust", study_file(grid), "--workers", "1", "--points", "5"))
    assert "the grid has 12; leave points out" in errors


@pytest.mark.slow
def test_units_and_flags_on_the_command_line(command):
    options = ["--points", "8", "--set", "link_latency_s=100 ns", "--set", "beside=gpu", "--json"]
    status, _, errors = command("study", "run", "hardwired-space", *options)
    assert status == 2 and "link_latency_s is both varied and fixed" in errors
    options[3] = "clock_hz=1.2 GHz"
    status, shown, _ = command("study", "run", "hardwired-space", *options)
    assert status in (0, 1) and strict(shown)["fixed"]["clock_hz"] == 1.2e9


@pytest.mark.slow
def test_showing(folder, command):
    status, shown, errors = command("study", "show", folder)
    assert status == 0 and errors == "" and "the knee" in words(shown)
    found = strict(command("study", "show", folder, "--json")[1])
    assert found["summary"]["points"] == 60 and found["summary"]["unfinished"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_handing_out_the_front(suffix, folder, tmp_path, command):
    path = tmp_path / f"front{suffix}"
    status, shown, errors = command("study", "show", folder, "--out", str(path))
    assert (status, shown, errors) == (0, "", "")
    front = open_result(folder).front()
    rows = list(csv.DictReader(path.open())) if suffix == ".csv" else strict(path.read_text())["front"]
    assert [int(row["point"]) for row in rows] == front["point"].tolist()


@pytest.mark.slow
def test_an_unfinished_study_says_so(folder, command):
    for path in sorted(Path(folder).glob("part-*"))[2:5]:
        path.unlink()
    status, shown, errors = command("study", "show", folder)
    assert status == 0 and "36" in shown and "24 points are not computed yet; run the study again" in errors
    assert strict(command("study", "show", folder, "--json")[1])["summary"]["unfinished"] == 24
    last = sorted(Path(folder).glob("part-*"))[-1]
    last.unlink()
    assert "28 points are not computed yet" in command("study", "show", folder)[2]


@pytest.mark.parametrize("what", ["show", "why"])
@pytest.mark.parametrize("name", ["missing", "empty", "file", "broken", "no parts"])
@pytest.mark.slow
def test_folders_that_are_none(what, name, folder, tmp_path, command):
    where = tmp_path / "where"
    if name == "empty":
        where.mkdir()
    elif name == "file":
        where.write_text("x")
    elif name in ("broken", "no parts"):
        where.mkdir()
        text = (Path(folder) / "_study.json").read_text()
        (where / "_study.json").write_text(text if name == "no parts" else text[:50])
    errors = refused(command("study", what, str(where), *(["0"] if what == "why" else [])))
    said = {"broken": "_study.json is not valid JSON", "no parts": "holds no results yet"}.get(name, "holds no study")
    assert said in errors


# Why a point is not on the front.


@pytest.mark.slow
def test_why(folder, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = open_result(folder)
    beaten = next(point for point in result.feasible["point"] if len(result.dominated_by(int(point)).better) > 1)
    found = result.dominated_by(int(beaten))
    status, shown, errors = command("study", "why", folder, str(beaten))
    assert status == 0 and errors == ""
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert f"{len(found.better)} points of the front beat point {beaten}" in words(shown)
    best = found.better.iloc[0]
    first = next(line for line in shown.splitlines() if re.match(rf"│ {best['point']} +│", line))
    assert percent(best["cost_better_by"]) in first and percent(best["speed_better_by"]) in first
    assert f"front point {best['point']}" in shown and "What is different" in shown
    for name in ("cost", "speed", "x", "y"):
        assert re.search(rf"│ {name} +│ +[\d.]+ +│ +[\d.]+", shown), name


@pytest.mark.slow
def test_why_with_many_columns(tmp_path, study_file, command, monkeypatch):
    """Two hundred outputs, of which none explains anything."""
    monkeypatch.setenv("COLUMNS", "60")
    out = str(tmp_path / "out")
    text = plane("objectives", "cost = 'min'").replace("plane", "wide")
    assert command("study", "run", "--trust", study_file(text), "--workers", "1", "--out", out)[0] == 0
    worst = int(open_result(out).frame["cost"].idxmax())
    status, shown, _ = command("study", "why", out, str(worst))
    assert status == 0 and "column_7" not in shown and len(shown.splitlines()) < 20
    assert max(len(line) for line in shown.splitlines()) <= 60 and "1 point of the front beats point" in words(shown)


@pytest.mark.slow
def test_brackets_are_no_styles(tmp_path, study_file, command):
    """In titles, names, texts and reasons."""
    text = plane("derived", "\"z[/b]\" = 'x'\n[constraints]\n\"c[/red]\" = 'x < 0.5'\n[objectives]\ncost = 'min'")
    text = text.replace("points = 8", 'points = 60\ntitle = "A [/bold] title"\nname = "[/x]"').replace(
        "plane", "troubled"
    )
    text = text.replace("x = {", 'kind = ["[/i]"]\nx = {')
    out = str(tmp_path / "out[red]")
    status, shown, errors = command("study", "run", "--trust", study_file(text), "--workers", "1", "--out", out)
    assert (status, errors) == (0, "")
    for each in ("A [/bold] title", "meet c[/red]", "[/i]", "ValueError: [/i] is too much", f"wrote {out}"):
        assert each in words(shown), each
    result = open_result(out)
    broken = int(result.frame.index[~result.frame["feasible"] & result.frame["failure"].isna()][0])
    assert "does not meet c[/red]" in command("study", "why", out, str(broken))[1]


@pytest.mark.slow
def test_going_on_from_the_folder_alone(folder, command):
    """The folder knows its study."""
    whole = {path.name: path.read_bytes() for path in Path(folder).glob("part-*")}
    for name in sorted(whole)[1:3]:
        (Path(folder) / name).unlink()
    status, _, errors = command("study", "run", "--trust", folder, "--workers", "1", "--out", folder)
    assert (status, errors) == (0, "")
    assert {path.name: path.read_bytes() for path in Path(folder).glob("part-*")} == whole


@pytest.mark.slow
def test_why_of_a_point_on_the_front(folder, command):
    point = int(open_result(folder).front()["point"].iloc[0])
    assert f"Point {point}: it is on the front" in command("study", "why", folder, str(point))[1]
    found = strict(command("study", "why", folder, str(point), "--json")[1])
    assert found["better"] == [] and found["point"]["point"] == point


@pytest.mark.slow
def test_why_of_a_point_that_breaks_a_constraint(tmp_path, study_file, command):
    out = str(tmp_path / "out")
    text = GOOD.replace("cost <= 1.5", "cost >= 0.5")
    assert command("study", "run", "--trust", study_file(text), "--workers", "1", "--out", out)[0] == 0
    result = open_result(out)
    cheapest = int(result.frame["cost"].idxmin())
    status, shown, _ = command("study", "why", out, str(cheapest))
    assert status == 0 and f"Point {cheapest} does not meet cheap" in shown
    assert "no point of the front beats it" in shown and "is on the front" not in shown


@pytest.mark.slow
def test_why_as_a_table(folder, tmp_path, command):
    result = open_result(folder)
    beaten = next(point for point in result.feasible["point"] if len(result.dominated_by(int(point)).better))
    assert command("study", "why", folder, str(beaten), "--out", str(tmp_path / "why.csv"))[0] == 0
    rows = list(csv.DictReader((tmp_path / "why.csv").open()))
    assert [int(row["point"]) for row in rows] == result.dominated_by(int(beaten)).better["point"].tolist()


@pytest.mark.parametrize(
    ("point", "said"),
    [("60", "point = 60: expected one of the 60 points"), ("x", "valid integer"), ("1.5", "valid integer")],
)
@pytest.mark.slow
def test_points_that_are_none(point, said, folder, command):
    assert said in refused(command("study", "why", folder, point))


@pytest.mark.slow
def test_why_of_a_point_that_failed(tmp_path, study_file, command):
    out = str(tmp_path / "out")
    text = plane("objectives", "cost = 'min'", "points = 60").replace("plane", "troubled")
    assert command("study", "run", "--trust", study_file(text), "--workers", "1", "--out", out)[0] == 0
    failed = int(open_result(out).frame["failure"].first_valid_index())
    assert f"point {failed} failed: ValueError: a is too much" in refused(command("study", "why", out, str(failed)))


def test_the_list(command):
    found = strict(command("study", "list", "--json")[1])["rows"]
    assert {"hardwired-space", "serving-load", "accelerators"} <= {each["study"] for each in found}
    assert command("study", "list")[0] == 0


@pytest.mark.slow
def test_every_example_runs(command):
    for name in [each["study"] for each in strict(command("study", "list", "--json")[1])["rows"]]:
        study = load_study(name)
        few = [] if study.sampler == "grid" else ["--points", "4"]
        status, _, errors = command("study", "run", "--trust", name, "--workers", "1", "--json", *few)
        assert status in (0, 1), (name, errors)


# As a process: what goes to the screen while it runs.


@pytest.mark.slow
def test_a_pipe_gets_results_alone(study_file):
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        study_file(),
        "--json",
    ]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert found.stderr == "" and strict(found.stdout)["summary"]["points"] == 60


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_functions_that_print_and_leave(workers, study_file):
    """Results alone on standard output; a function that ends the program ends a row."""
    text = plane("objectives", "cost = 'min'", "points = 24").replace("plane", "chatty")
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        study_file(text),
    ]
    found = subprocess.run([*arguments, "--json", "--workers", workers], capture_output=True, text=True, check=True)
    assert found.stderr.count("computing") == 24
    summary = strict(found.stdout)["summary"]
    assert summary["failed"] > 0 and summary["failures"] == {"SystemExit: enough": summary["failed"]}


@pytest.mark.slow
def test_a_terminal_gets_the_time_left_and_the_front(study_file):
    text = GOOD.replace("plane", "slow").replace("y = { low = 0.0, high = 0.9 }\n", "")
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        study_file(text),
    ]
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(
        [*arguments, "--workers", "1"], stdout=subprocess.PIPE, stderr=terminal, env=environment, close_fds=True
    )
    os.close(terminal)
    seen, deadline = b"", time.monotonic() + 120
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while time.monotonic() < deadline:
            if select.select([main], [], [], 0.1)[0]:
                seen += os.read(main, 65536)
    os.close(main)
    out, _ = process.communicate(timeout=60)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert process.returncode == 0
    assert re.search(r"\d+/60", shown) and "left" in shown and re.search(r"left 0:\d\d:\d\d", shown)
    assert re.search(r"front [\d,]+: cost [\d.e-]+, speed [\d.e-]+", shown)
    assert "front" not in out.decode().split("points")[0] and "the knee" in out.decode()
