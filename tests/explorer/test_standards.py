"""Carbon statements: each recomputed from its own JSON, each adds up to the one bill, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import explorer
from explorer.documents.theme import machine_name
from explorer.report.standards import STANDARDS, carbon_statements, expired

SCRIPT = Path(__file__).with_name("recompute_statements.py")
CASES = (
    ("gpt-oss-120b", "--convention", "corrected"),
    ("gpt-oss-120b", "--convention", "as-published"),
    ("gpt-oss-120b", "--convention", "as-published", "--on", "hnlpu,b200"),
    ("llama-3-8b", "--convention", "corrected", "--region", "india", "--fab-region", "south_korea"),
    ("gpt-oss-120b", "--convention", "corrected", "--technology", "n7", "--on", "hnlpu,b200", "--volume", "7"),
)


@pytest.fixture(scope="module")
def costed():
    return explorer.cost(volume=50, convention="corrected")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_every_line_is_recomputed_from_the_report_alone(command, tmp_path, case):
    path = tmp_path / "statements.json"
    status, _, err = command("report", *case, "--standard", "ghg,sci,iso14067", "--out", str(path))
    assert status == 0, err
    done = subprocess.run([sys.executable, "-I", str(SCRIPT), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(SCRIPT.read_text().splitlines()) <= 100


@pytest.mark.slow
def test_a_changed_line_is_noticed(command, tmp_path):
    path = tmp_path / "statements.json"
    command("report", *CASES[0], "--standard", "sci", "--out", str(path))
    data = json.loads(path.read_text())
    data["statements"][0]["lines"][0]["value"] *= 1 + 1e-8
    path.write_text(json.dumps(data))
    assert subprocess.run([sys.executable, "-I", str(SCRIPT), str(path)], capture_output=True).returncode == 1


def test_statements_add_up_to_the_bill_and_to_the_answer(costed):
    statements = carbon_statements(costed, year=2026)
    pair = costed.comparison.nominal
    assert {each.standard for each in statements.statements} == set(STANDARDS)
    for fleet, carbon in (("hardwired", pair.hardwired_carbon), (machine_name(costed.device), pair.gpu_carbon)):
        bill = [line for line in statements.bill if line.fleet == fleet]
        assert sum(line.t for line in bill) == pytest.approx(carbon.total_t, rel=1e-12)
        assert all(line.low_t <= line.t <= line.high_t for line in bill)
        for each in (s for s in statements.statements if s.fleet == fleet):
            assert (each.total + each.outside) * each.divisor == pytest.approx(carbon.total_t, rel=1e-12)
    ghg, sci, iso = (s for s in statements.statements if s.fleet == "hardwired")
    assert ghg.outside == 0 and {line.batch for line in sci.lines if line.heading == "outside"} == {"spare modules"}
    made_kg = pair.hardwired_module.total_kg * pair.hardwired_carbon.modules
    assert iso.total == pytest.approx(made_kg / costed.volume, rel=1e-12)


def test_constants_past_their_year_are_named(costed):
    assert expired(costed.assumptions, 2025) == ()
    assert set(expired(costed.assumptions, 2026)) == {"grid.us_g_per_kwh", "grid.taiwan_g_per_kwh"}


def test_data_are_scored_by_their_kinds(costed):
    lines = carbon_statements(costed, ["ghg"], year=2026).bill
    boards = next(line for line in lines if line.part == "boards")
    assert boards.score == 2 and {costed.assumptions[name].kind for name in boards.constants} == {"paper"}
    assert all(line.constants and 1 <= line.score <= 5 for line in lines)


@pytest.mark.slow
def test_all_formats_show_every_line(command, tmp_path):
    for name in ("s.html", "s.md", "s.csv"):
        assert command("report", *CASES[0], "--standard", "sci", "--out", str(tmp_path / name))[0] == 0
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "spare modules" in text and "modules of re-spins" in text
    assert "past the year that they were valid until" in (tmp_path / "s.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--standard", "gh"), "did you mean 'ghg'"),
        (("--standard", "ghg,ghg"), "each once"),
        (("--standard", "ghg", "--events"), "no --events"),
        (("--standard", "ghg", "--technology", "n5", "--technology", "n7"), "one technology"),
    ],
)
def test_bad_statements(command, tmp_path, arguments, message):
    status, out, err = command("report", *arguments, "--out", str(tmp_path / "s.html"))
    assert (status, out) == (2, "") and message in err and not (tmp_path / "s.html").exists()
