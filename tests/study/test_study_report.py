"""What a study's report says, in every form; and what drives an objective, against a function that is known."""

import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from explorer.study import Study, StudyResult, example_names, load_study
from explorer.study.drivers import drivers
from explorer.study.figures import driver_bars, front_along, front_scatter
from hwbase import InputError
from hwbase.columns import column

GOALS = {"cost": "min", "speed": "max"}


def trade(x, y, kind):
    """Cost falls with x, speed rises with y and costs something; `kind` changes nothing."""
    return {"cost": 10.0 - x + 0.1 * y, "speed": y + 0.2 * x}


def study(**changes) -> Study:
    settings = {
        "parameters": {"x": (0.0, 1.0), "y": (1.0, 9.0), "kind": ["a", "<b>"]},
        "evaluate": trade,
        "vectorised": False,
        "objectives": GOALS,
        "points": 64,
        "name": "trade",
        "title": "Cost <against> speed",
    }
    return Study(**{**settings, **changes})


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return study().run(workers=1)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        self.loads += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith(("#", "data:"))]


@pytest.mark.slow
def test_page_is_whole_escaped_and_asks_for_nothing(result, tmp_path):
    path = result.write_report(tmp_path / "study.html", "hwsim study run trade.toml")
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not page.loads
    assert len(page.ids) == len(set(page.ids))
    assert {"brief", "front", "drivers", "space", "methods", "reproduce"} <= set(page.ids)
    assert "Cost &lt;against&gt; speed" in text and "<against>" not in text
    assert "hwsim study run trade.toml" in text and result.study.digest() in text


def test_markdown_holds_the_tables(result, tmp_path):
    text = result.write_report(tmp_path / "study.md").read_text(encoding="utf-8")
    for head in (
        "## In brief",
        "## The front",
        "## What drives it",
        "## What was varied",
        "## Methods",
        "## Reproduce",
    ):
        assert head in text
    assert f"| {len(result.frame):,} |" in text and result.study.digest() in text


@pytest.mark.slow
def test_data_files_hold_the_front(result, tmp_path):
    best = result.front()
    table = pd.read_csv(result.write_report(tmp_path / "front.csv"))
    assert table["point"].tolist() == best["point"].tolist()
    pytest.importorskip("pyarrow", reason="pip install 'hwsim[study]'")
    stored = pd.read_parquet(result.write_report(tmp_path / "front.parquet"))
    np.testing.assert_array_equal(stored["cost"], best["cost"])
    data = json.loads(result.write_report(tmp_path / "front.json").read_text(encoding="utf-8"))
    assert data["summary"]["front"] == len(best) == len(data["front"])


@pytest.mark.slow
def test_a_study_without_a_front_says_why(tmp_path):
    none = study(constraints={"free": "cost < 0"}).run(workers=1)
    text = none.write_report(tmp_path / "none.md").read_text(encoding="utf-8")
    assert "no point meets all constraints" in text and "## The front" not in text
    none.write_report(tmp_path / "none.html")
    assert len(pd.read_csv(none.write_report(tmp_path / "all.csv"))) == 64


def test_a_bad_name_leaves_nothing(result, tmp_path):
    with pytest.raises(InputError, match=r"\.html"):
        result.write_report(tmp_path / "study.docx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", example_names())
def test_shipped_examples_run(name, tmp_path):
    shipped = load_study(name)
    few = {} if shipped.sampler == "grid" else {"points": 24}
    if name == "serving-load":
        few |= {"points": 4}
    found = Study(**{**vars(shipped), **few}).run(workers=1)
    assert found.trouble() is None or "no point meets" in found.trouble()
    text = found.write_report(tmp_path / "example.md").read_text(encoding="utf-8")
    assert shipped.title in text


@pytest.mark.slow
def test_hardwired_studies_report_constants_scopes_and_formulas(tmp_path):
    few = Study(**{**vars(load_study("hardwired-space")), "points": 512})
    text = few.run(workers=1).write_report(tmp_path / "space.md").read_text(encoding="utf-8")
    for said in ("## Carbon by scope", "## Assumptions", "Scope 2", "Outside", "Murphy", "| n5"):
        assert said in text


def test_drivers_of_a_known_function():
    """Of z = 2 + 3 a + b with independent uniforms, a explains 9/10 and b 1/10; c nothing."""
    known = Study(
        parameters={"a": (0.0, 1.0), "b": (0.0, 1.0), "c": ["x", "y"]},
        evaluate=lambda a, b, c: {"z": 2.0 + 3.0 * a + b},
        vectorised=True,
        objectives={"z": "min"},
        points=8192,
    )
    table = drivers(known.run())
    assert table["z"].to_dict() == pytest.approx({"a": 0.9, "b": 0.1, "c": 0.0}, abs=0.01)
    assert table["points"].tolist() == [8192] * 3


def test_drivers_need_points():
    table = drivers(study(points=4).run(workers=1))
    assert table[["cost", "speed"]].isna().all(axis=None)


def test_figures_show_what_they_are_asked_for(result):
    best, knee = result.front(), result.knee()
    scatter = front_scatter(result, "cost", "speed")
    assert [trace.name for trace in scatter.data] == ["feasible points", "front", "knee"]
    assert sorted(scatter.data[1].customdata) == sorted(best["point"])
    along = front_along(result)
    assert list(along.data[1].x) == ["cost", "speed", "x", "y", "kind"]
    assert along.data[1].customdata[0] == column("cost").text(knee["cost"])
    bars = driver_bars(drivers(result), list(GOALS))
    assert len(bars.data) == 2 and set(bars.data[0].y) == {"x", "y", "kind"}
