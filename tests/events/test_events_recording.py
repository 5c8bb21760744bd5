"""Recordings: what Perfetto needs, one token's way through a layer, one thing at a time on a server, the cap."""

import json

import numpy as np
import pytest
from event_cases import BINDING, GRID, serve

from hwsim.events.recording import Recording
from hwsim.events.traffic import closed_loop


def recorded(traffic=None, set=GRID, **given):
    recording = Recording(**given)
    result = serve(traffic or closed_loop(3, 3, prompt=6, output=3), "detailed", set=set, record=recording)
    return recording, result


def test_the_chrome_trace_is_what_perfetto_reads():
    recording, result = recorded()
    trace = json.loads(json.dumps(recording.chrome_trace()))
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    names = [event for event in trace["traceEvents"] if event["ph"] == "M"]
    assert len(spans) == len(recording.spans) and len(spans) + len(names) == len(trace["traceEvents"])
    threads = {(event["pid"], event["tid"]) for event in names if event["name"] == "thread_name"}
    for event in spans:
        assert event.keys() == {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"}
        assert event["ts"] >= 0.0 and event["dur"] > 0.0
        assert event["ts"] + event["dur"] <= result.duration_s * 1e6 * (1 + 1e-9)
        assert (event["pid"], event["tid"]) in threads
    assert {event["pid"] for event in names if event["name"] == "process_name"} == {0, 1, 2, 3}
    assert len({event["tid"] for event in names if event["name"] == "thread_name"}) == len(threads)


@pytest.mark.slow
@pytest.mark.parametrize("binding", ["links", "vex", "hbm"])
def test_a_server_does_one_thing_at_a_time_and_all_is_recorded(binding):
    recording, result = recorded(closed_loop(6, 12, prompt=20, output=10), set=BINDING[binding], most=1_000_000)
    assert recording.dropped == 0
    frame = recording.to_frame()
    for _, spans in frame.groupby(["chip", "resource"]):
        starts, ends = spans["start_s"].to_numpy(), spans["end_s"].to_numpy()
        assert np.all(starts[1:] >= ends[:-1] - 1e-12)
    lengths = frame["end_s"] - frame["start_s"]
    for resource in ("VEX", "attention buffer"):
        assert lengths[frame["resource"] == resource].sum() / 4 == pytest.approx(result.busy_s[resource], rel=1e-6)
    if binding == "hbm":
        assert (frame["resource"] == "HBM").any()
    # Of a chip's links one goes along its column, one along its row.
    links = frame[frame["resource"].str.startswith("link")]
    columns = (links["chip"] - links["resource"].str.extract(r"(\d+)", expand=False).astype(int)).abs() == 2
    taken = lengths[links.index]
    assert taken[columns].sum() / 4 == pytest.approx(result.busy_s["column links"], rel=1e-6)
    assert taken[~columns].sum() / 4 == pytest.approx(result.busy_s["row links"], rel=1e-6)


def test_one_tokens_way_through_a_layer():
    recording, _ = recorded()
    way = recording.way(request=1, position=2, layer=1)
    assert {"query", "attention", "norms and residuals", "gating", "feed-forward sum", "hidden vector"} <= set(
        way["what"]
    )
    assert (way["chip"] == 0).all()
    first, last = way["start_s"].min(), way["end_s"].max()
    following = recording.way(request=1, position=2, layer=2)
    assert first < last <= following["start_s"].min()
    # Between the end of one thing and the start of the next no more than a link's latency and the arrays' depth.
    order = way.sort_values("start_s")
    assert order["what"].iloc[0] == "query, key and value"
    assert recording.way(request=99, position=0, layer=0).empty


def test_the_window_and_the_cap_bound_what_is_kept():
    everything, result = recorded()
    middle = result.duration_s / 2
    late, _ = recorded(start_s=middle)
    assert 0 < len(late.spans) < len(everything.spans)
    assert min(span.start_s for span in late.spans) >= middle
    few, _ = recorded(most=10)
    assert len(few.spans) == 10
    assert few.dropped == len(everything.spans) - 10
    assert few.chrome_trace()["otherData"]["dropped_spans"] == few.dropped


@pytest.mark.slow
def test_recording_changes_nothing():
    traffic = closed_loop(5, 10, prompt=20, output=5)
    plain = serve(traffic, "detailed")
    _, seen = recorded(traffic)
    assert plain.to_json() == seen.to_json()
