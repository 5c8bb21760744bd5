"""Figures and pages of served traffic: they show the numbers of the result, and hold no others."""

import json

import numpy as np
import pandas as pd
import pytest

import models
from explorer.documents import html
from explorer.serving.document import serving_document
from explorer.serving.figures import (
    chip_heat_map,
    latency_cdf,
    latency_frame,
    queues_over_time,
    timeline_frame,
    token_gantt,
    utilisation_over_time,
)
from explorer.serving.folder import serving_files
from explorer.writing import check_folder, write_folder
from hwbase import InputError
from hwsim.events.gpu.node import serve_accelerator
from hwsim.events.scheduling import Scheduling
from hwsim.events.traffic import Traffic, poisson

SPEC = models.load("gpt-oss-120b")


@pytest.fixture(scope="module")
def result():
    return serve_accelerator(SPEC, poisson(10.0, 200, prompt=800, output=50), gpus=2)


def test_a_distribution_rises_from_the_least_to_the_most(result):
    drawn = latency_cdf({"a": result, "b": result}, "time_to_first_token_s")
    assert [trace.name for trace in drawn.data] == ["a", "b"]
    line = drawn.data[0]
    assert np.all(np.diff(line.x) >= 0) and np.all(np.diff(line.y) > 0)
    assert (line.x[0], line.x[-1]) == (result.time_to_first_token_s.min(), result.time_to_first_token_s.max())
    frame = latency_frame({"a": result})
    first = frame[frame.latency == "time to first token"].iloc[0]
    assert first.p50 == pytest.approx(np.median(result.time_to_first_token_s))


def test_time_lines_are_the_timeline(result):
    shares = {trace.name: trace.y for trace in utilisation_over_time(result).data}
    assert np.array_equal(shares["memory bandwidth"], result.timeline.utilisation["memory bandwidth"])
    running, waiting = queues_over_time(result).data
    assert np.array_equal(running.y, result.timeline.running) and np.array_equal(waiting.y, result.timeline.waiting)
    assert len(timeline_frame(result)) == len(result.timeline.time_s)


def test_a_grid_of_chips_is_drawn_as_it_lies():
    busy = np.arange(12).reshape(3, 4) / 20
    drawn = chip_heat_map(busy)
    assert np.array_equal(drawn.data[0].z, busy)
    assert len(drawn.layout.annotations) == 12
    assert drawn.layout.yaxis.autorange == "reversed"


def test_a_way_through_a_layer_begins_at_nought():
    spans = pd.DataFrame(
        {
            "stage": ["query", "scores", "query"],
            "resource": ["HN arrays", "VEX", "links"],
            "start_s": [5.0, 7.0, 6.0],
            "end_s": [6.0, 9.0, 7.0],
        }
    )
    drawn = token_gantt(spans)
    assert {trace.name for trace in drawn.data} == {"HN arrays", "VEX", "links"}
    assert min(min(trace.base) for trace in drawn.data) == 0.0
    assert max(base + x for trace in drawn.data for base, x in zip(trace.base, trace.x, strict=True)) == 4.0


@pytest.mark.slow
def test_the_page_holds_its_numbers_and_escapes_names():
    sent = Traffic("<script>alert(1)</script>", np.zeros(3), np.full(3, 10), np.full(3, 5))
    page = html.render(serving_document(serve_accelerator(SPEC, sent), "hwsim simulate '<b>'"))
    assert "<script>alert" not in page and "&lt;script&gt;" in page and "&lt;b&gt;" in page
    assert "Content-Security-Policy" in page


@pytest.mark.slow
def test_a_result_in_which_nothing_happened_still_has_a_page():
    refused = serve_accelerator(SPEC, poisson(1.0, 3), scheduling=Scheduling(max_context=10))
    assert "rejected" in html.render(serving_document(refused, "hwsim"))
    assert (
        json.loads(serving_files(refused, serving_document(refused, "hwsim"))["result.json"])["states"]["rejected"] == 3
    )


@pytest.mark.slow
def test_files_agree_with_each_other(result):
    files = serving_files(result, serving_document(result, "hwsim"))
    summary = json.loads(files["result.json"])
    assert summary["requests"] == 200 == files["requests.csv"].count("\n") - 1
    assert summary["percentiles_s"]["time to first token"]["p50"] == pytest.approx(
        np.median(result.time_to_first_token_s)
    )


def test_a_folder_is_whole_or_as_it_was(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_folder(out, {"result.json": "1", "page.html": "2"})
    with pytest.raises(InputError):
        write_folder(out, {"result.json": "3", "no/such/folder.csv": "4"})
    assert {path.name: path.read_text() for path in out.iterdir()} == {"result.json": "1", "page.html": "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    write_folder(out, {"result.json": "5"})
    assert [path.name for path in out.iterdir()] == ["result.json"]


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "absent/below"])
def test_folders_that_cannot_be(tmp_path, name):
    with pytest.raises(InputError, match="--out"):
        check_folder(tmp_path / name)
