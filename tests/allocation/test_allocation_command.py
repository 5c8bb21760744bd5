"""`hwsim allocate`: its contract as a process, its files, and how it refuses."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from explorer.commands import app as cli
from explorer.papers import mixdq_data

CONTRACT = ("bits", "objective", "bound", "gap", "mean_bits", "status")


def process(*arguments, cwd):
    """(status, standard output, standard error) of the command as a process of its own."""
    command = [sys.executable, "-c", "from explorer.commands.app import main; main()", "allocate", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def hwsim(capfd, tmp_path, monkeypatch):
    """The same within this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["allocate", *map(str, arguments)])
        captured = capfd.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def asked(hwsim):
    def run(*arguments):
        status, out, err = hwsim(*arguments, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    return run


@pytest.mark.slow
def test_the_contract(layers_csv, tmp_path):
    question = (layers_csv, "--budget", "4.0", "--unit", "mean-bits", "--two-sided", "0.5", "--json")
    status, out, err = process(*question, cwd=tmp_path)
    assert (status, err) == (0, "")
    data = json.loads(out)
    assert data["schema"].startswith("hwsim/allocat") and tuple(data)[1:7] == CONTRACT
    assert set(data["bits"]) == {"a", "b", "c"} and all(isinstance(b, int) for b in data["bits"].values())
    assert data["status"] == "optimal" and data["gap"] <= 1e-9 and data["bound"] <= data["objective"]
    assert 3.5 <= data["mean_bits"] <= 4.5


@pytest.mark.slow
def test_the_published_table(asked, tmp_path):
    options = mixdq_data.sdxl_options("quality")
    best = options.groupby("layer")["sqnr"].transform("max")
    options.assign(loss=best - options["sqnr"])[["layer", "group", "bits", "size", "loss"]].to_csv(
        tmp_path / "quality.csv", index=False
    )
    data = asked("quality.csv", "--budget", "5.4475721027113915")
    assert data["bits"] == {k: v for k, v in mixdq_data.published_bits("4.00").items() if k in data["bits"]}
    assert data["objective"] == pytest.approx(2421.8852729797363, rel=1e-12)
    assert len(data["bits"]) == 374 and data["status"] == "optimal"


@pytest.mark.slow
def test_files(hwsim, asked, layers_csv, tmp_path):
    yaml = pytest.importorskip("yaml")
    data = asked(layers_csv, "--budget", "4")
    for name in ("bits.csv", "bits.yaml", "bits.json"):
        assert hwsim(layers_csv, "--budget", "4", "--out", name)[0] == 0
    frame = pd.read_csv(tmp_path / "bits.csv")
    assert dict(zip(frame["layer"], frame["bits"], strict=True)) == data["bits"]
    assert yaml.safe_load((tmp_path / "bits.yaml").read_text()) == data["bits"]
    assert json.loads((tmp_path / "bits.json").read_text())["bits"] == data["bits"]


@pytest.mark.slow
def test_everything_at_once(asked, layers_csv):
    data = asked(
        layers_csv,
        *("--group", "x=5", "--group", "y=4", "--constraint", "ms<=2.2", "--constraint", "loss>=0"),
        *("--objective", "loss", "--ties", "a, b", "--allow", "c=2,4", "--gap", "1e-6", "--solver", "highs"),
    )
    assert data["bits"]["a"] == data["bits"]["b"] and data["bits"]["c"] in (2, 4)
    assert data["spent"]["ms"] <= 2.2 and data["tolerance"] == 1e-6 and data["solver"] == "highs"


@pytest.mark.slow
def test_ties_from_a_file(asked, layers_csv, tmp_path):
    (tmp_path / "ties.txt").write_text("a, b\n\nb, c\n")
    assert len(set(asked(layers_csv, "--budget", "5", "--ties", "ties.txt")["bits"].values())) == 1


@pytest.mark.slow
def test_fronts(hwsim, asked, layers_csv, tmp_path):
    rows = asked(layers_csv, "--front", "2:8:4")["rows"]
    assert [row["budget"] for row in rows] == [2, 4, 6, 8] and {row["status"] for row in rows} == {"optimal"}
    assert hwsim(layers_csv, "--front", "corners", "--out", "front.csv")[0] == 0
    assert list(pd.read_csv(tmp_path / "front.csv")) == ["budget", "cost", "objective", "bound", "gap", "status"]


@pytest.mark.slow
def test_on_the_terminal(hwsim, layers_csv):
    status, out, _ = hwsim(layers_csv, "--budget", "4")
    assert status == 0 and "optimal: loss" in out and "mean-bits" in out
    assert "Least objective" in hwsim(layers_csv, "--front", "2:8:3")[1]


def test_notes_go_to_standard_error(hwsim, table, tmp_path):
    table.assign(loss=table["loss"].where(table["bits"] != 8)).to_csv(tmp_path / "gaps.csv", index=False)
    status, out, err = hwsim("gaps.csv", "--budget", "4", "--json")
    assert status == 0 and err.startswith("hwsim: note: options without a number in loss")
    assert json.loads(out)["notes"]


def test_the_file_is_checked_before_anything_is_solved(hwsim, layers_csv, monkeypatch):
    monkeypatch.setattr("explorer.commands.allocate.allocate", lambda *_, **__: pytest.fail("solved"))
    for out, why in (("no/x.yaml", "a folder that exists"), (str(layers_csv), "a file that the command reads")):
        status, _, err = hwsim(layers_csv, "--budget", "4", "--out", out)
        assert status == 2 and why in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "1"], "the least possible is 2"),
        (["--budget", "x"], "--budget"),
        ([], "no budget is given"),
        (["--budget", "4", "--unit", "mss"], "did you mean 'ms'"),
        (["--budget", "4", "--group", "x"], "--group 'x': expected NAME=VALUE"),
        (["--group", "x=4", "--group", "x=5"], "--group names 'x' twice"),
        (["--group", "x=four"], "--group: 'four' is not a number"),
        (["--budget", "4", "--allow", "a=16"], "has no candidate"),
        (["--front", "2:8"], "expected LOW:HIGH:POINTS"),
        (["--front", "2:8:0"], "whole number of points"),
        (["--front", "2:8:3", "--budget", "4"], "expected no --budget"),
        (["--budget", "4", "--time-limit", "-1"], "time_limit_s"),
    ],
)
def test_bad_input(hwsim, layers_csv, tmp_path, arguments, message):
    status, out, err = hwsim(layers_csv, *arguments, "--out", "never.json")
    assert (status, out) == (2, "") and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["layers.csv"]


@pytest.mark.slow
def test_bad_input_as_a_process(layers_csv, tmp_path):
    status, out, err = process(layers_csv, "--budget", "1", "--out", "never.csv", cwd=tmp_path)
    assert (status, out) == (2, "") and err == "hwsim: mean-bits <= 1 cannot be kept: the least possible is 2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["layers.csv"]


def test_bad_files_and_places(hwsim, layers_csv):
    assert "cannot read 'none.csv'" in hwsim("none.csv", "--budget", "4")[2]
    status, _, err = hwsim(layers_csv, "--budget", "4", "--out", "no/where.yaml")
    assert status == 2 and "cannot write" in err


def test_a_machine_prices_the_options(hwsim, tmp_path):
    lines = ["layer,bits,inputs,outputs,tokens,size,loss"]
    for name, outputs in (("a", 512), ("b", 64)):
        lines += [f"{name},{bits},512,{outputs},1,{512 * outputs},{4.0**-bits}" for bits in (2, 4, 8)]
    path = tmp_path / "shapes.csv"
    path.write_text("\n".join(lines))
    dual = ("--objective", "mm2", "--constraint", "loss<=0.01", "--json")
    status, out, err = hwsim(path, "--hardware", "hardwired", *dual)
    found = json.loads(out)
    assert (status, err) == (0, "") and found["objective_name"] == "mm2" and found["spent"]["loss"] <= 0.01
    status, out, err = hwsim(path, "--hardware", "hardwire", "--budget", "4")
    assert (status, out) == (2, "") and "did you mean 'hardwired'" in err
