"""Several models, or one on several technologies, side by side: `hwsim report A B`."""

import json
from pathlib import Path

import pandas as pd
import pytest

from explorer.documents import html, markdown
from explorer.documents.files import write_document
from explorer.report.answer import answer
from explorer.report.side_by_side import MOST, compare_models
from explorer.report.side_by_side_document import (
    comparison_frame,
    merged_methods,
    scopes_table,
    side_by_side_document,
    side_by_side_table,
)
from hwbase import InputError

pytestmark = pytest.mark.slow

MODELS = ("llama-3-8b", "smollm2-135m")


@pytest.fixture(scope="module")
def found():
    return compare_models(MODELS, date="2026-01-02", volume=10)


@pytest.fixture(scope="module")
def processes():
    return compare_models(["llama-3-8b"], ("n5-asplos26", "n3"), date="2026-01-02")


@pytest.fixture
def call(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return command


def column(table, label):
    at = [c.label for c in table.columns].index(label)
    return {row[0]: row[at] for row in table.rows}


def test_columns_are_what_one_report_says(found):
    assert tuple(found.answers) == MODELS
    alone = answer("llama-3-8b", volume=10)
    pair = alone.other_cost.comparison.nominal
    frame = comparison_frame(found).set_index("label").loc["llama-3-8b"]
    assert frame["pipelined_tokens_per_s"] == float(alone.pipelined.tokens_per_s)
    assert frame["total_usd"] == pair.hardwired.total_usd and frame["tco_ratio"] == pair.tco_ratio
    ours = column(side_by_side_table(found), "llama-3-8b")
    assert ours["chips"] == "1" and ours["parameters"] == "8.03\u00a0G" and ours["resources short"] == "none"


def test_technologies_are_told_apart(processes):
    assert list(processes.answers) == ["n5-asplos26", "n3"]
    names = [step.name for step in merged_methods(processes)]
    assert "Speed, pipelined" in names and "Silicon (n3)" in names and "Silicon (n5-asplos26)" in names
    assert {"machine (n3)", "machine (n5-asplos26)"} <= processes.constants.keys()
    assert {use.name for use in processes.reproduction.books} >= {"n3", "n5-asplos26", "hnlpu", "default"}
    page = html.render(side_by_side_document(processes))
    assert "llama-3-8b, hardwired, on n5-asplos26 and n3" in page


def test_two_models_on_two_technologies():
    four = compare_models(MODELS, ("n5", "n3"))
    assert list(four.answers) == [f"{model}, {node}" for model in MODELS for node in ("n5", "n3")]


def test_scopes_add_up(found):
    for label, each in found.answers.items():
        assert column(scopes_table(found), label)["Scope 1: fuel and refrigerants, none modelled"] == "0\u00a0t"
        carbon = each.other_cost.comparison.nominal.hardwired_carbon
        assert carbon.total_t == pytest.approx(carbon.scope2_t + carbon.scope3_t)


def test_long_table_is_that_of_each(found):
    frame = found.to_frame()
    assert list(dict.fromkeys(frame["model"])) == list(MODELS)
    first = frame[frame["model"] == "llama-3-8b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, found.answers["llama-3-8b"].to_frame())


def test_files(found, tmp_path):
    for suffix in ("html", "md", "csv", "json"):
        write_document(side_by_side_document(found), tmp_path / f"models.{suffix}")
    assert (tmp_path / "models.html").read_text(encoding="utf-8") == html.render(side_by_side_document(found))
    text = (tmp_path / "models.md").read_text(encoding="utf-8")
    assert text == markdown.render(side_by_side_document(found)) and "2026-01-02" in text and "## Methods" in text
    assert set(json.loads((tmp_path / "models.json").read_text())["answers"]) == set(MODELS)
    with pytest.raises(InputError, match="ends in"):
        write_document(side_by_side_document(found), tmp_path / "models.pdf")


def test_page_asks_for_nothing_and_escapes(found):
    page = html.render(side_by_side_document(found))
    assert 'src="' not in page.split("</style>")[0] and page.count("<h1>") == 1
    assert "Content-Security-Policy" in page and "<script>alert" not in page


@pytest.mark.parametrize(
    ("models", "technologies", "said"),
    [
        ([], ["n5"], "no model"),
        (["llama-3-8b"], [], "no technology"),
        (["llama-3-8b", "llama-3-8b"], ["n5"], "'llama-3-8b' is given twice"),
        (["llama-3-8b"], ["n5", "n5"], "'n5' is given twice"),
        ([f"m{i}" for i in range(MOST + 1)], ["n5"], f"at most {MOST}"),
        (["llama-3-8b", "llama-3-9b"], ["n5"], "unknown model 'llama-3-9b'"),
        (["llama-3-8b"], ["n5", "n4"], "n4"),
    ],
)
def test_bad_input(models, technologies, said):
    with pytest.raises(InputError, match=said):
        compare_models(models, technologies)


def test_command(call, tmp_path):
    status, out, err = call("report", *MODELS, "--out", "models.md", "--volume", "10")
    assert (status, err) == (0, "") and "wrote models.md" in out and "GPU TCO / hardwired TCO" in out
    assert f"hwsim report {' '.join(MODELS)} --out models.md" in Path("models.md").read_text(encoding="utf-8")
    status, out, _ = call("report", "smollm2-135m", "--technology", "n5", "--technology", "n3", "--json")
    assert status == 0 and list(json.loads(out)["answers"]) == ["n5", "n3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models.md", "report.html"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("llama-3-8b", "llama-3-8b"), "given twice"),
        (("llama-3-8b", "gpt-os-120b"), "did you mean 'gpt-oss-120b'"),
        (("llama-3-8b", "--technology", "n5", "--technology", "n4"), "'n4'"),
        (("llama-3-8b", "smollm2-135m", "--context", "0"), "context"),
        (("llama-3-8b", "smollm2-135m", "--out", "x.doc"), "ends in"),
        (("llama-3-8b", "smollm2-135m", "--set", "clock_h=1"), "clock_hz"),
    ],
)
def test_bad_command(call, tmp_path, arguments, said):
    status, out, err = call("report", *arguments)
    assert (status, out) == (2, "") and err.count("\n") == 1 and said in err
    assert not list(tmp_path.iterdir())
