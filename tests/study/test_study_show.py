"""`hwsim study show` and `why`: results are shown, explained and handed out."""

import csv
import re
from pathlib import Path

import pytest
from study_commands import GOOD, plane_file, refused, strict, words

from explorer.commands.study import open_result
from hwbase.numbers import percent


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
    text = plane_file("objectives", "cost = 'min'").replace("plane", "wide")
    assert command("study", "run", "--trust", study_file(text), "--workers", "1", "--out", out)[0] == 0
    worst = int(open_result(out).frame["cost"].idxmax())
    status, shown, _ = command("study", "why", out, str(worst))
    assert status == 0 and "column_7" not in shown and len(shown.splitlines()) < 20
    assert max(len(line) for line in shown.splitlines()) <= 60 and "1 point of the front beats point" in words(shown)


@pytest.mark.slow
def test_brackets_are_no_styles(tmp_path, study_file, command):
    """In titles, names, texts and reasons."""
    text = plane_file("derived", "\"z[/b]\" = 'x'\n[constraints]\n\"c[/red]\" = 'x < 0.5'\n[objectives]\ncost = 'min'")
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
    text = plane_file("objectives", "cost = 'min'", "points = 60").replace("plane", "troubled")
    assert command("study", "run", "--trust", study_file(text), "--workers", "1", "--out", out)[0] == 0
    failed = int(open_result(out).frame["failure"].first_valid_index())
    assert f"point {failed} failed: ValueError: a is too much" in refused(command("study", "why", out, str(failed)))
