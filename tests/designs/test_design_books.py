"""The best machine as a book that every command takes, with the figures that the search printed."""

import json
import tomllib
from pathlib import Path

import pytest
from design_cases import STEPS, searched

import explorer
import hwsim
from hwbase import InputError

MODEL = "gpt-oss-120b"


@pytest.fixture
def book(tmp_path):
    return str(searched().write_book(tmp_path / "best.toml"))


def test_a_book_gives_exactly_the_figures_of_the_search(book):
    best = searched().best
    run = hwsim.simulate(MODEL, book)
    assert (run.tokens_per_s, run.area_mm2, run.power_w) == (best["tokens_per_s"], best["area_mm2"], best["power_w"])
    assert run.reading == "pipelined" and run.feasible
    assert hwsim.simulate(MODEL, book, batch=1).latency_s == best["latency_alone_s"]
    priced = explorer.cost(MODEL, on=book, volume=50, convention="corrected").comparison.nominal
    assert priced.hardwired.total_usd == pytest.approx(best["tco_usd"], rel=1e-12)
    assert priced.hardwired.usd_per_million_tokens == pytest.approx(best["usd_per_million_tokens"], rel=1e-12)
    assert priced.hardwired_carbon.total_t == pytest.approx(best["carbon_t"], rel=1e-12)
    evaluated = explorer.evaluate(MODEL, on=book, die_formula="exact").iloc[0]
    for name in ("tco_usd", "usd_per_million_tokens", "carbon_t", "kg_per_million_tokens"):
        assert evaluated[name] == best[name]


def test_a_book_says_who_chose_what(book):
    content = tomllib.loads(Path(book).read_text(encoding="utf-8"))
    assert content["book"]["extends"] == "hnlpu" and content["book"]["choices"]["norms"] == searched().best["norms"]
    for name in ("rows", "columns", "pipeline_stages", "vex_macs", "vex_lanes"):
        assert content[name]["kind"] == "user" and "area_mm2 <= 13300" in content[name]["source"]


@pytest.mark.slow
def test_a_search_starts_from_a_book(book, tmp_path):
    again = explorer.design(MODEL, on=book, vary={**STEPS, "columns": [8]}, confirm=0)
    assert again.own.iloc[0]["tokens_per_s"] == searched().best["tokens_per_s"]
    second = again.write_book(tmp_path / "second.toml")
    assert hwsim.simulate(MODEL, second).tokens_per_s == again.best["tokens_per_s"]


def test_a_grid_that_a_user_chose_stays(book):
    # Any other book is sized for the model.
    assert hwsim.simulate("smollm2-135m", book).chips == searched().best["chips"]
    assert hwsim.simulate("smollm2-135m").chips == 1


@pytest.mark.slow
def test_other_commands_take_the_book(book, command, tmp_path):
    for arguments in (
        ("simulate", MODEL),
        ("simulate", MODEL, "--events", "service", "--users", "4", "--requests", "8"),
        ("cost", MODEL, "--convention", "corrected"),
        ("report", MODEL),
        ("limits", MODEL),
        ("uncertainty", "--samples", "16"),
    ):
        on = book if arguments[0] in ("simulate", "report") else f"{book},h100"
        status, printed, errors = command(*arguments, "--on", on, *(["--json"] if arguments[0] == "simulate" else []))
        assert status == 0 and printed, (arguments, errors)
    study = explorer.Study({"context": [2048, 4096]}, fixed={"on": book}, objectives=["tokens_per_s"])
    assert study.run().frame["tokens_per_s"].iloc[0] == searched().best["tokens_per_s"]


@pytest.mark.slow
def test_a_command_writes_the_book_and_a_page(command, tmp_path):
    vary = [f"--vary={name}={','.join(map(str, values))}" for name, values in STEPS.items()]
    out, page = str(tmp_path / "best.toml"), str(tmp_path / "page.html")
    status, printed, errors = command("design", MODEL, *vary, "--confirm=0", "--out", out, "--page", page)
    assert status == 0 and f"wrote {out}" in printed, errors
    assert hwsim.simulate(MODEL, out).tokens_per_s == searched().best["tokens_per_s"]
    assert "A machine for gpt-oss-120b" in Path(page).read_text(encoding="utf-8")
    status, printed, _ = command("design", MODEL, *vary, "--confirm=0", "--json")
    data = json.loads(printed)
    assert data["schema"] == "hwsim/design/1" and data["best"]["chips"] == searched().best["chips"]
    assert len(data["front"]) == len(searched().front)


def test_a_command_refuses_in_one_line(command, tmp_path):
    for arguments, message in (
        (("--out", str(tmp_path / "best.json")), "a name that ends in .toml"),
        (("--vary", "vex_macs=16384,"), "separated by commas"),
        (("--vary", "vex_macs=1", "--vary", "vex_macs=2"), "given twice"),
        (("--objective", "tokens_per_s", "--objective", "tokens_per_s=min"), "given twice"),
        (("--objective", "tokens"), "unknown objective"),
    ):
        status, printed, errors = command("design", MODEL, *arguments)
        assert status == 2 and not printed and message in errors and errors.count("\n") == 1, errors


@pytest.mark.slow
def test_figures_are_drawn_for_every_machine_of_a_front():
    result = searched()
    document = result.document()
    figures = [figure for section in document.sections for figure in section.figures]
    assert {figure.id for figure in figures} == {"front-0", "busy", "machine", "chip"}
    for figure in figures:
        assert figure.draw().layout.title.text and figure.summary
    chips = [shape for shape in result.plot("machine").layout.shapes if shape.fillcolor == "#4477AA"]
    assert len(chips) == result.best["chips"]


def test_a_result_compares_and_becomes_a_frame():
    frame = searched().to_frame()
    assert frame["machine"].iloc[0] == "best" and frame["machine"].iloc[-1] == "own"
    assert len(frame) == len(searched().front) + 1
    with pytest.raises(InputError, match=r"ends in \.toml"):
        searched().write_book("best.json")
