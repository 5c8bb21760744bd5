"""Figures of results in a notebook: those of the pages, by name, with labels and units."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import explorer
from explorer.documents.plot import Plot
from hwbase import InputError

STUDY = explorer.Study(
    {"link_bandwidth_bytes_per_s": ("32 GB/s", "1 TB/s", "log"), "clock_hz": ("0.5 GHz", "2 GHz")},
    objectives={"tokens_per_s": "max", "energy_j_per_token": "min", "tco_usd": "min"},
    points=64,
)


@pytest.fixture(scope="module")
def result():
    return STUDY.run(workers=1)


def test_the_front_and_its_drivers(result):
    drawn = result.plot_front()
    assert isinstance(drawn, go.Figure) and {trace.name for trace in drawn.data} == {"feasible points", "front", "knee"}
    assert "energy" in drawn.layout.yaxis.title.text and "J" in drawn.layout.yaxis.title.text
    other = result.plot_front(y="tco_usd")
    assert "token" in other.layout.xaxis.title.text and "$" in other.layout.yaxis.title.text
    assert len(result.plot_drivers().data) == 3


@pytest.mark.slow
def test_a_result_draws_its_pages_figures(result):
    assert result.plot().to_json() == result.plot("front-0").to_json()
    turns = explorer.uncertainty.break_even("gpt-oss-120b", axes=["volume"], samples=16)
    assert isinstance(turns.plot(), go.Figure)
    answer = explorer.answer("gpt-oss-120b")
    assert isinstance(answer.plot("occupancy"), go.Figure)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda r: r.plot("fornt-0"), "did you mean 'front-0'"),
        (lambda r: r.plot_front("token_per_s"), "did you mean 'tokens_per_s'"),
        (lambda r: r.plot_front("tco_usd", "tco_usd"), "expected two objectives"),
        (lambda r: explorer.cost().plot(), "has no figures"),
    ],
)
def test_bad_names(result, draw, message):
    with pytest.raises(InputError, match=message):
        draw(result)


def drawing():
    """A plot with an attribute of every kind."""
    plot = Plot(title_text="A plot", margin={"l": 1, "t": 2}, margin_t=3, xaxis={}, yaxis={"tickangle": 0})
    plot.add_scatter(x=np.array([1.0, np.nan, np.inf]), y=pd.Series([1, 2, 3]), error_y={"array": [np.float32(0.5)]})
    plot.update_layout(yaxis2={"overlaying": "y"}, paper_bgcolor="white")
    plot.update_xaxes(title_text="x", type="log")
    plot.update_yaxes(tickangle=None, title={"text": "y"})
    plot.add_hline(2.0, line_color="red")
    plot.add_vline(1.0, line={"color": "red"})
    plot.add_vrect(1.0, 2.0, fillcolor="red")
    plot.add_annotation(x=1.0, y=2.0, text="a note", font_size=9)
    return plot


def test_attributes_are_a_tree_without_gaps_in_json():
    tree = json.loads(drawing().to_json())
    trace, layout = tree["data"][0], tree["layout"]
    assert trace == {"type": "scatter", "x": [1.0, None, None], "y": [1, 2, 3], "error_y": {"array": [0.5]}}
    assert layout["title"] == {"text": "A plot"} and layout["margin"] == {"l": 1, "t": 3}
    assert layout["xaxis"] == {"title": {"text": "x"}, "type": "log"}
    assert layout["yaxis"] == {"title": {"text": "y"}} and layout["yaxis2"]["title"] == {"text": "y"}
    assert [shape["type"] for shape in layout["shapes"]] == ["line", "line", "rect"]


def test_lines_stand_where_plotly_puts_them():
    theirs = go.Figure()
    theirs.add_hline(y=2.0, line_color="red")
    theirs.add_vline(x=1.0, line={"color": "red"})
    theirs.add_vrect(x0=1.0, x1=2.0, fillcolor="red")
    assert drawing().layout.shapes == theirs.layout.shapes


def test_plotly_checks_the_attributes_of_its_figure():
    plot = drawing()
    assert plot.data[0].error_y.array == (0.5,) and plot.layout.annotations[0].font.size == 9
    plot.update_layout(no_such_attribute=1)
    with pytest.raises(ValueError, match="no"):
        plot.figure()
