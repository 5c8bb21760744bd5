"""One report as page, Markdown, tables and JSON; and what each says of its methods, sources, carbon and making."""

import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pandas as pd
import pytest

import costmodel
from costmodel import Conventions
from explorer.documents import markdown, rows
from explorer.documents.conventions import choice_text, conventions_table
from explorer.documents.files import SUFFIXES
from explorer.documents.markdown import table
from explorer.documents.sources import GRADES, book_sha256, distinct, quality, quality_table, reproduction
from explorer.report.answer import answer as make_answer
from explorer.report.document import render, report_document, write_report
from explorer.report.findings import Note
from explorer.report.scopes import boundary_text, carbon_scopes, scope_table
from hwbase import InputError
from hwbase.books import Kind

pytestmark = pytest.mark.slow

COLUMNS = ["model", "technology", "machine", "convention", "level", *rows.COLUMNS]
HOSTILE = "<script>alert(1)</script> | `x` *y* _z_ [a](b)\n# new"


@pytest.fixture(scope="module")
def answer():
    return make_answer("gpt-oss-120b", command="hwsim report", date="2026-01-02")


@pytest.fixture(scope="module")
def other():
    return make_answer(
        "llama-3-8b",
        convention="corrected",
        technology="n5-synthesised",
        set={"n5.d0_per_cm2": "0.2", "clock_hz": "2 GHz"},
        date="2026-01-02",
    )


@pytest.fixture
def call(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return command


# Files


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_name_decides_what_is_written(answer, tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="pip install 'hwsim[study]'")
    path = tmp_path / f"report{suffix.upper() if suffix == '.md' else suffix}"
    assert write_report(answer, path) == path
    assert list(tmp_path.iterdir()) == [path]
    content = path.read_bytes()
    if suffix in (".html", ".htm"):
        assert content.decode() == render(answer)
    elif suffix in (".md", ".markdown"):
        assert content.decode() == _markdown(answer)
    elif suffix == ".json":
        data = json.loads(content, parse_constant=pytest.fail)
        assert data["reproduce"]["date"] == "2026-01-02" and data["methods"] and data["quality"]["by_kind"]
        assert {scope["convention"] for scope in data["scopes"]} == {"as-published", "corrected"}
    else:
        read = pd.read_csv if suffix == ".csv" else pd.read_parquet
        frame = read(io.BytesIO(content))
        assert list(frame.columns) == COLUMNS and len(frame) == len(answer.to_frame())


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.htm5", ".csv", "report.csv.gz"])
def test_other_names_are_refused(answer, tmp_path, name):
    with pytest.raises(InputError, match=r"expected a name that ends in \.html, .*\.md.*\.parquet"):
        write_report(answer, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_parquet_without_pyarrow_says_what_to_install(answer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'hwsim\[study\]'"):
        write_report(answer, tmp_path / "report.parquet")
    assert not list(tmp_path.iterdir())


def test_failed_table_keeps_the_old_file(answer, tmp_path):
    path = tmp_path / "report.csv"
    path.write_text("old")
    with pytest.raises(AttributeError):
        write_report(dataclasses.replace(answer, cost=None), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_command_writes_each_kind(call, tmp_path):
    for name in ("r.md", "r.csv", "r.json"):
        status, out, err = call("report", "smollm2-135m", "--out", name)
        assert (status, err) == (0, "") and f"wrote {name}" in out
    status, printed, _ = call("report", "smollm2-135m", "--out", "r.json", "--json")
    data = json.loads(Path("r.json").read_text())
    assert status == 0 and json.loads(printed) == data
    assert data["command"] == "hwsim report smollm2-135m --out r.json --json" and re.fullmatch(
        r"[\d-]{10}", data["date"]
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.csv", "r.json", "r.md"]


def test_command_refuses_a_name_before_it_computes(call, tmp_path, monkeypatch):
    monkeypatch.setattr("explorer.commands.report.answer", lambda *_, **__: pytest.fail("computed"))
    for name in ("report.pdf", "report"):
        status, out, err = call("report", "--out", name)
        assert (status, out) == (2, "") and err.count("\n") == 1 and ".parquet" in err
    assert not list(tmp_path.iterdir())


# The long table


def test_table_holds_published_beside_ours(answer):
    frame = answer.to_frame()
    lines = frame[(frame["section"] == "Machines side by side") & (frame["item"] == "tokens/s")]
    line = lines[lines["group"] == "HNLPU, as published"].set_index("column")
    assert line.loc["published", "value"] == 249960 and line.loc["published", "unit"] == "token/s"
    assert line.loc["ours", "value"] == pytest.approx(answer.published.tokens_per_s)
    # The step of the GPU beside it is fitted, and so is the published reading.
    assert set(lines[lines["column"] == "evidence"]["text"]) == {"fitted"}
    scores = frame[(frame["section"] == "Scoreboard") & (frame["column"] == "status")]
    assert len(scores) == len(answer.scoreboard.rows)
    total = frame[
        (frame["table"] == "Cost of both fleets over their life, corrected, beside B200, US") & (frame["item"] == "TCO")
    ]
    total = total.set_index(["group", "column"])
    assert total.loc[("hardwired", "nominal"), "value"] == answer.other_cost.comparison.nominal.hardwired.total_usd
    assert total.loc[("hardwired", "nominal"), "unit"] == "USD"
    assert not frame["item"].isna().any() and not frame["unit"].isna().any()


# Markdown


def _markdown(answer):
    return markdown.render(report_document(answer))


def cells(line):
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_markdown_tables_are_rectangular(answer, other):
    for each in (answer, other):
        lines = _markdown(each).splitlines()
        starts = [i for i, line in enumerate(lines) if re.fullmatch(r"\|(---:?\|)+", line)]
        assert len(starts) > 10
        for start in starts:
            width, at = len(cells(lines[start])), start - 1
            while at < len(lines) and lines[at].startswith("|"):
                assert len(cells(lines[at])) == width, lines[at]
                at += 1
            assert at > start + 1


def test_markdown_has_the_sections_of_the_page(answer):
    heads = re.findall(r"^## (.*)$", _markdown(answer), re.MULTILINE)
    for title in ("Machines side by side", "Carbon by scope", "Scoreboard", "Assumptions", "Methods", "Reproduce"):
        assert title in heads and f">{title}</h2>" in render(answer)
    assert "249,960" in _markdown(answer)


def test_markdown_escapes_what_it_is_given(answer):
    hostile = dataclasses.replace(
        answer,
        model=dataclasses.replace(answer.model, name=HOSTILE),
        notes=(Note(HOSTILE, HOSTILE),),
        command=HOSTILE + "\n```\n<b>",
    )
    text = _markdown(hostile)
    body, fenced = text.split("## Reproduce")
    assert "<script>" not in body and "\n# new" not in text and "[a](b)" not in body
    assert fenced.count("````") == 2 and "\n<b>" not in fenced
    row = table(conventions_table(costmodel.AS_PUBLISHED)).splitlines()[4]
    assert len(cells(row)) == 2


def test_markdown_of_a_model_without_a_paper(other):
    text = _markdown(other)
    assert "No paper describes this machine" in text and "nan" not in text.lower().split()


# Carbon by scope


@pytest.mark.parametrize("which", ["answer", "other"])
def test_scopes_add_up_to_the_carbon(which, request):
    found = request.getfixturevalue(which)
    for cost in (found.cost, found.other_cost):
        scopes = carbon_scopes(cost)
        frame = scopes.to_frame()
        assert set(frame["scope"]) == {1, 2, 3} and (frame[frame["scope"] == 1]["t"] == 0).all()
        for level in frame["level"].unique():
            pair = getattr(cost.comparison, level)
            for fleet, carbon in (("hardwired", pair.hardwired_carbon), ("GPU", pair.gpu_carbon)):
                rows = frame[(frame["fleet"] == fleet) & (frame["level"] == level)]
                assert rows[rows["scope"] == 2]["t"].sum() == pytest.approx(carbon.scope2_t)
                assert rows[rows["scope"] == 3]["t"].sum() == pytest.approx(carbon.scope3_t)
                assert scopes.total(fleet, level) == pytest.approx(carbon.total_t)


def test_scope_3_is_split_where_modules_are_counted(answer):
    published, corrected = (carbon_scopes(cost).to_frame() for cost in (answer.cost, answer.other_cost))
    assert {"dies", "memory", "packages"} <= set(corrected["category"])
    assert not {"dies", "memory"} & set(published["category"])
    assert (corrected["t"] >= 0).all()


def test_boundary_says_grid_year_source_and_what_is_out(answer):
    published, corrected = (" ".join(boundary_text(carbon_scopes(cost))) for cost in (answer.cost, answer.other_cost))
    assert "location-based" in published and "380 g/kWh" in published and "2022" in published
    assert "369.5 g/kWh (grid: US, 2023" in corrected and "Fabs run on 642.4 g/kWh" in corrected
    for text in (published, corrected):
        assert "Outside" in text and "end of life" in text and "transport" in text and "Scope 1 is zero" in text
    assert "spare systems (by this convention)" in published and "spare systems (by" not in corrected
    assert len(scope_table(carbon_scopes(answer.cost)).rows) > 4


# Quality


def test_every_kind_has_a_grade():
    assert set(GRADES) == set(get_args(Kind))


def test_constants_are_counted_by_kind(answer):
    constants = distinct(answer.constants)
    found = quality(q for _, q, _ in constants)
    assert sum(found.by_kind.values()) == found.constants == len(constants) > 100
    assert found.assumed == sum(q.kind == "assumed" for _, q, _ in constants) > 0
    assert (
        found.sentence() in report_document(answer).section("assumptions").parts[0]
        and "% are assumed" in found.sentence()
    )
    assert len(quality_table(found).rows) == len(found.by_kind)
    assert quality(()).sentence() == "No constants were read."


def test_constants_of_both_conventions_are_listed(answer):
    names = {name for name, _, _ in distinct(answer.constants)}
    assert set(answer.cost.assumptions) | set(answer.other_cost.assumptions) <= names
    masks = [read_by for name, _, read_by in distinct(answer.constants) if name == "n5.euv_masks"]
    assert sorted(masks) == [("as-published costs",), ("corrected costs",)]
    shared = [read_by for name, _, read_by in distinct(answer.constants) if name == "masks.per_chip_duv_masks"]
    assert shared == [("as-published costs", "corrected costs")]


# Methods


def test_every_choice_of_every_convention_is_said():
    hints = get_type_hints(Conventions)
    for name in costmodel.conventions.CHOICES:
        choices = (True, False) if hints[name] is bool else get_args(hints[name]) or (0.0, 0.001)
        said = [choice_text(name, choice) for choice in choices]
        assert all(said) and len(set(said)) == len(said)


def test_conventions_table_shows_where_they_differ():
    rows = {row[0]: row[1:] for row in conventions_table(costmodel.AS_PUBLISHED, costmodel.CORRECTED).rows}
    assert rows["yield model"][1] == "" and "Stapper" in rows["carbon yield model"][0]
    assert "best of several placements" in rows["die formula"][1]


def test_methods_follow_what_was_used(answer, other):
    first, second = ({step.name: step.full_text for step in each.methods} for each in (answer, other))
    assert "n5-asplos26" in first["Silicon"] and "n5-synthesised" in second["Silicon"]
    assert "rounded down" in first["Dies and yield"] and "D0 = 0.11" in first["Dies and yield"]
    assert "placements" in second["Dies and yield"] and "D0 = 0.2" in second["Dies and yield"]
    assert "124.9" in first["Carbon"] and "taiwan" in second["Carbon"]
    assert "bound by links" in first["Speed, as-published"]
    assert "Overridden" not in first
    assert "n5.d0_per_cm2 = 0.2" in second["Overridden"] and "clock_hz" in second["Overridden"]


def test_cases_of_the_paper_are_those_of_its_own_book(answer):
    own = next(step.full_text for step in answer.methods if step.name == "Ranges")
    other_book = make_answer("smollm2-135m", book="default")
    bounds = next(step.full_text for step in other_book.methods if step.name == "Ranges")
    assert "pessimistic case of the paper" in own and "bounds, not a forecast" in bounds


def test_machines_that_run_are_named(answer):
    text = " ".join(step.full_text for step in answer.methods).replace("\u00a0", " ")
    assert "H100: 50 sequences" in text and "WSE-3" in text and "216 sequences" in text


# Reproduce


def test_reproduction_holds_versions_books_and_the_command(other):
    found = other.reproduction
    assert found.overrides == {"n5.d0_per_cm2": "0.2", "clock_hz": "2 GHz"}
    assert {"numpy", "scipy", "pandas", "plotly"} <= found.packages.keys()
    books = {use.role: use for use in found.books}
    assert books["process"].name == "n5-synthesised" and books["corrected costs"].name == "default"
    assert all(re.fullmatch(r"[0-9a-f]{64}", use.sha256) for use in found.books)
    assert books["corrected costs"].sha256 == book_sha256(costmodel.load_book())
    page = render(other)
    assert books["process"].sha256[:16] in page and "2026-01-02" in page and "n5.d0_per_cm2=0.2" in page


def test_digest_follows_the_numbers():
    book = costmodel.load_book()
    assert book_sha256(book) == book_sha256(costmodel.load_book("default"))
    assert book_sha256(book) != book_sha256(book.override({"n5.d0_per_cm2": 0.12}))
    assert book_sha256(dataclasses.replace(book, header=dataclasses.replace(book.header, name="mine"))) == book_sha256(
        book
    )


def test_date_is_there_only_if_given():
    assert reproduction("x").date == "" and reproduction("x", date="2026-01-02").date == "2026-01-02"


def test_a_report_enters_few_files(tmp_path):
    count = (
        "import sys\nfrom explorer.commands import app\n"
        "try:\n    app.main(sys.argv[1:])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "names = [name for name in sys.modules if name.partition('.')[0] == 'explorer']\n"
        "print(len(names), 'plotly' in sys.modules)\n"
    )
    command = [sys.executable, "-c", count, "report", "gpt-oss-120b"]
    page, rows = (
        subprocess.run([*command, *out], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()[-2:]
        for out in ([], ["--out", "r.csv"])
    )
    # Only a page needs Plotly, for its scripts.
    assert int(page[0]) < 60 and int(rows[0]) < 60 and rows[1] == "False"


def test_a_report_is_built_once(call, monkeypatch):
    built = []
    monkeypatch.setattr(
        "explorer.commands.report.report_document",
        lambda *parts: built.append(report_document(*parts)) or built[-1],
    )
    assert call("report", "smollm2-135m", "--out", "r.csv")[0] == 0 and len(built) == 1


def test_rows_say_which_case_they_are_of():
    answer = make_answer(on=("hnlpu", "h100", "b200"), convention=("as-published", "corrected"))
    frame = answer.to_frame()
    texts = ["unit", "value", "text"]
    keys = [name for name in frame if name not in texts]
    assert frame[frame.duplicated(keys)].empty
    rows = frame[frame["table"].str.startswith("Cost of both fleets") & (frame["item"] == "TCO")]
    assert set(rows["convention"]) == {"as-published", "corrected"} and set(rows["machine"]) == {"H100", "B200"}
    ratios = frame[(frame["table"] == "GPU fleet over hardwired fleet") & (frame["item"] == "TCO")]
    assert {"low", "high", "nominal"} == set(ratios["level"]) and "" not in set(ratios["convention"])
    total = rows[(rows["convention"] == "corrected") & (rows["level"] == "nominal") & (rows["group"] == "hardwired")]
    assert total["value"].iloc[0] == pytest.approx(float(answer.costs[1].comparison.nominal.hardwired.total_usd))
