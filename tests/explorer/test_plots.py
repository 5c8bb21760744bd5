"""Figures of results in a notebook: those of the pages, by name, with labels and units."""

import plotly.graph_objects as go
import pytest

import explorer
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
