"""`hwsim study`: bad studies, options and outputs end in one line and leave nothing."""

import os
import sys

import pytest
from study_commands import HARDWIRED, plane_file, refused

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
    (plane_file("derived", "z = 3"), "derived z = 3"),
    (plane_file("derived", "z = ''"), "derived z = ''"),
    (plane_file("derived", "z = 'x +'"), "not a formula"),
    (plane_file("derived", "z = '__import__(\"os\")'"), "unknown function '__import__'"),
    (plane_file("derived", "z = 'x.real()'"), "not a formula (call is not allowed)"),
    (plane_file("derived", "x = 'cost'"), "derived x: a column of this name is there already"),
    (plane_file("derived", "point = 'cost'"), "derived point: a column of this name"),
    (plane_file("derived", "cost = 'x'"), "derived cost: study_cases:plane has an output of this name"),
    (plane_file("derived", "z = 'cots'"), "did you mean 'cost'"),
    ("derived = 'x'\n" + HARDWIRED, "derived = 'x': expected a mapping"),
    (plane_file("constraints", "c = 'cots < 1'"), "did you mean 'cost'"),
    (plane_file("constraints", "c = 'cost'"), "expected a comparison"),
    (plane_file("constraints", "c = true"), "constraint c = True"),
    (plane_file("objectives", "cots = 'min'"), "unknown objective 'cots'; did you mean 'cost'"),
    (plane_file("objectives", "cost = 'minimise'"), "unknown direction of cost"),
    (plane_file("objectives", "cost = 1"), "unknown direction of cost"),
    (plane_file("objectives", "cost = ['min']"), "unknown direction of cost"),
    (plane_file("objectives", "failure = 'min'"), "objective failure: expected a column of numbers"),
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
