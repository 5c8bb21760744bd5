"""`hwsim study run` and `list`: what they print, and studies without an answer."""

from pathlib import Path

import pandas as pd
import pytest
from study_commands import GOOD, plane_file, refused, strict, words

from explorer.commands.study import open_result
from explorer.study import load_study


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
    text = plane_file("derived", "z = 'log(x - 2)'\nw = '1 / (x - x)'\n[objectives]\ncost = 'min'")
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
def test_going_on_from_the_folder_alone(folder, command):
    """The folder knows its study."""
    whole = {path.name: path.read_bytes() for path in Path(folder).glob("part-*")}
    for name in sorted(whole)[1:3]:
        (Path(folder) / name).unlink()
    status, _, errors = command("study", "run", "--trust", folder, "--workers", "1", "--out", folder)
    assert (status, errors) == (0, "")
    assert {path.name: path.read_bytes() for path in Path(folder).glob("part-*")} == whole


REASON = "ValueError: a is too much"
NO_ANSWERS = {
    "nothing meets": (
        plane_file("constraints", "c = 'cost > 99'\n[objectives]\ncost = 'min'"),
        "no point meets all constraints; of 8 that did not fail: c: 0",
    ),
    "all fail": (
        plane_file("objectives", "cost = 'min'").replace("plane", "troubled").replace("low = 0.0", "low = 0.95"),
        f"all 8 points failed; the commonest reason: {REASON}",
    ),
    "NaN": (
        plane_file("derived", "z = 'log(-1 - x)'\n[objectives]\ncost = 'min'\nz = 'min'"),
        "objective z is NaN or infinite at every point",
    ),
    "infinite": (plane_file("derived", "z = '1 / (x - x)'\n[objectives]\nz = 'max'"), "objective z is NaN or infinite"),
    "never both": (
        plane_file("derived", "a = 'log(x - 0.5)'\nb = 'log(0.5 - x)'\n[objectives]\na = 'min'\nb = 'min'"),
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
    status, shown, errors = command("study", "run", "--trust", study_file(plane_file("derived")), "--workers", "1")
    assert status == 0 and errors == "" and "points" in shown


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
