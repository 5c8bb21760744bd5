"""The published figures of the HNLPU, written out here rather than read from the scoreboard's own files."""

import json

import numpy as np
import pytest

import hwsim

#: Figure 14 in percent: CXL, projection, attention, stall.
FIGURE_14 = {2048: (82.9, 13.8, 0.6, 0.0), 65536: (70.8, 11.8, 15.1, 0.0), 262144: (48.7, 8.1, 41.6, 0.0)}
#: Elements over one column link a layer and token: Q, K and V, attention, all-gather, feed-forward sum.
ELEMENTS = 1024 + 256 + 1024 + 720 + 2880


@pytest.mark.parametrize("context", FIGURE_14)
def test_figure_14_within_a_percentage_point(run, context):
    shares = run(context=context).breakdown
    ours = [100 * shares[part] for part in ("communication", "projection", "attention", "stall")]
    assert ours == pytest.approx(FIGURE_14[context], abs=1.0)


def test_printed_throughput(run):
    result = run(context=2048)
    assert result.tokens_per_s == pytest.approx(249_960, rel=0.01)
    assert result.tokens_per_kj == pytest.approx(36_226, rel=0.01)
    assert result.tokens_per_s_mm2 == pytest.approx(18.89, rel=0.01)
    assert result.area_mm2 == pytest.approx(13_232, rel=0.01) and result.power_w == pytest.approx(6900, rel=0.01)


def test_link_time_by_hand(run):
    # Nothing is fitted here: 5,904 elements of 2 bytes a layer at 128 GB/s, 36 layers.
    by_hand = 36 * ELEMENTS * 2 / 128e9
    assert by_hand == pytest.approx(3.321e-6)
    published = run(context=2048)
    assert published.occupancy_s["links"] == pytest.approx(by_hand, rel=1e-12, abs=0)
    # The pipelined reading sends the softmax statistics as well (2 x 64 heads / 4 columns = 32 elements), and a link
    # carries the 256 elements of a key and value for one position in four only.
    pipelined = run(context=2048, reading="pipelined")
    elements = ELEMENTS + 32 - 256 * 3 / 4
    assert pipelined.occupancy_s["links"] == pytest.approx(36 * elements * 2 / 128e9, rel=1e-12, abs=0)


def test_link_time_of_a_single_row_by_hand(run):
    # Columns of one chip send nothing: output projection and feed-forward sum cross the row, whole vectors each.
    for reading in hwsim.READINGS:
        links = run(rows=1, columns=16, reading=reading).occupancy_s["links"]
        assert links == pytest.approx(36 * 2 * 2880 * 2 / 128e9, rel=1e-12, abs=0)


def test_array_buffer_and_hbm_time_by_hand(run):
    # 8 bit planes at 1 GHz; a chip reads 1/16 of 4.83 GB at 80 TB/s, and what 216 sequences spill from 8 stacks of HBM.
    result = run(context=65536, reading="pipelined", sliding_window=False)
    kv, buffers = 65536 * 73_728, 16 * 20_000 * 16_384
    assert result.occupancy_s["hn"] == pytest.approx(8e-9, rel=1e-12, abs=0)
    assert result.occupancy_s["buffer"] == pytest.approx(kv / 16 / 80e12, rel=1e-12, abs=0)
    spilled = 1 - buffers / (216 * kv)
    assert result.occupancy_s["hbm"] == pytest.approx(kv / 16 * spilled / (8 * 819e9), rel=1e-12, abs=0)
    assert run(context=65536, reading="pipelined", batch=1).occupancy_s["hbm"] == 0.0


@pytest.mark.parametrize("reading", hwsim.READINGS)
def test_first_token_is_the_prompt_in_a_row_or_one_path(run, reading):
    # Tokens follow each other at the pace of the prompt's middle; the last one cannot be faster than its path alone.
    for prompt in (2, 1000, 131_072):
        given = {"reading": reading, "sliding_window": True}
        path = run(context=prompt, batch=1, reading="pipelined", sliding_window=True).latency_s
        middle = run(context=prompt // 2, **given)
        pace = max(middle.occupancy_s.values()) if reading == "pipelined" else sum(middle.occupancy_s.values())
        first = run(context=2048, prompt=prompt, **given).time_to_first_token_s
        assert first == pytest.approx(max(path * max(prompt / 216, 1), prompt * pace), rel=1e-9, abs=0)


def test_communication_to_projection_is_constant_over_contexts(run):
    shares = run(context=np.array([2048, 8192, 65536, 131072, 262144, 524288])).breakdown
    ratio = shares["communication"] / shares["projection"]
    assert np.ptp(ratio) < 1e-12 and ratio[0] == pytest.approx(6.0, abs=0.02)


def test_attention_time_on_one_vex_by_hand(run):
    # 65,536 positions x 8 KV heads x 2 (K and V) over 16 chips at 32 head vectors a cycle: 2,048 cycles a layer.
    cycles = 65536 * 8 * 2 / 16 / 32
    result = run(context=65536, reading="pipelined", sliding_window=False)
    assert cycles == 2048 and result.bound_by == "vex"
    # The VEX norms and gates as well, whatever the context.
    rest = run(context=1, reading="pipelined", sliding_window=False).occupancy_s["vex"] - 36 * cycles / 65536 * 1e-9
    assert result.occupancy_s["vex"] - rest == pytest.approx(36 * cycles * 1e-9, rel=1e-12, abs=0)
    assert result.tokens_per_s == pytest.approx(13_500, rel=0.01)


def test_checks_that_fail_where_the_published_claims_do(run):
    def broken(**given):
        return {check.name for check in run(**given).checks if not check.ok}

    assert broken(context=2048) <= {"KV in buffer"}
    assert "VEX time" in broken(context=65536) and "KV in HBM" not in broken(context=65536)
    assert {"VEX time", "KV in HBM"} <= broken(context=262144)
    assert "KV in HBM" not in broken(context=262144, batch=100)
    assert "link bandwidth" not in broken(context=2048, reading="pipelined")
    assert broken(context=1, batch=1) == set()
    assert "token slots" in broken(context=2048, batch=217) and "token slots" not in broken(context=2048, batch=216)


def test_kv_check_by_hand(run):
    # 2 (K, V) x 8 heads x 64 x 36 layers x 2 bytes = 73,728 bytes a position.
    result = run(context=65536)
    checks = {check.name: check for check in result.checks}
    assert result.kv_bytes_per_sequence == 65536 * 73_728
    assert checks["KV in buffer"].demand == 216 * 65536 * 73_728
    assert checks["KV in buffer"].capacity == 16 * 20_000 * 16_384
    embedding = 201_088 * 2880 * 2
    assert checks["KV in HBM"].demand == 216 * 65536 * 73_728 + embedding
    assert checks["KV in HBM"].capacity == 16 * 8 * 24e9


def test_a_broken_check_is_said_in_a_note(run):
    assert run(context=2048).notes == ()
    assert "VEX time" in run(context=65536).notes[0]


def test_readings_differ_as_documented(run):
    summed, overlapped = run(context=2048), run(context=2048, reading="pipelined")
    parts = summed.occupancy_s
    assert summed.interval_s == pytest.approx(parts["links"] + parts["hn"] + parts["vex"], rel=1e-12, abs=0)
    assert parts["buffer"] == parts["hbm"] == 0.0
    assert overlapped.interval_s == pytest.approx(max(overlapped.occupancy_s.values()), rel=1e-12, abs=0)
    assert overlapped.tokens_per_s > summed.tokens_per_s
    # Always busy, against busy as much as the work asks for.
    assert overlapped.power_w < summed.power_w
    # The paper's linear attention means no windows; the model has one in every second layer.
    assert summed.kv_bytes_per_sequence == 2048 * 73_728
    assert overlapped.kv_bytes_per_sequence == (2048 + 128) / 2 * 73_728


def test_windows_can_be_asked_for_in_either_reading(run):
    for reading in hwsim.READINGS:
        on = run(context=65536, reading=reading, sliding_window=True)
        off = run(context=65536, reading=reading, sliding_window=False)
        assert on.kv_bytes_per_sequence == (65536 + 128) / 2 * 73_728 < off.kv_bytes_per_sequence
        assert on.tokens_per_s > off.tokens_per_s
    assert run(context=128, sliding_window=True).tokens_per_s == run(context=128, sliding_window=False).tokens_per_s


def test_half_the_bandwidth_doubles_link_time_alone(run):
    whole, half = run(context=2048), run(context=2048, link_bandwidth_bytes_per_s=64e9)
    assert half.occupancy_s["links"] == 2 * whole.occupancy_s["links"]
    assert half.interval_s - whole.interval_s == pytest.approx(whole.occupancy_s["links"], rel=1e-12, abs=0)


def test_one_sequence_gets_one_over_its_latency(run):
    # Empty machine: a token walks the whole path before the next one of its sequence starts.
    alone, full = run(context=2048, batch=1, reading="pipelined"), run(context=2048, reading="pipelined")
    assert alone.bound_by == "latency" and full.bound_by == "links"
    assert alone.tokens_per_s == pytest.approx(1 / alone.latency_s) and alone.latency_s < full.latency_s
    assert full.tokens_per_s > 10 * alone.tokens_per_s


def test_path_latency_by_hand(run):
    # Steps of direct collectives a layer: 5 of the attention in columns, 1 + 1 for the output projection, 2 for the
    # feed-forward sum, of which one in a row: each pays 100 ns once.
    slow, fast = (run(context=2048, batch=1, reading="pipelined", link_latency_s=s) for s in (100e-9, 0.0))
    steps = (slow.latency_s - fast.latency_s) / 36 / 100e-9
    assert steps == pytest.approx(8)


def test_stall_appears_when_one_sequence_outgrows_the_buffer_and_hbm_is_slow(run):
    assert run(context=262144).breakdown["stall"] == 0.0
    starved = run(context=262144, hbm_stack_bandwidth_bytes_per_s=1e9)
    assert starved.breakdown["stall"] > 0.1 and starved.tokens_per_s < run(context=262144).tokens_per_s
    assert sum(starved.breakdown.values()) == pytest.approx(1.0)


def test_more_sequences_than_memory_holds(run):
    # 3.07 TB of HBM and 5.2 GB of buffers hold 159 sequences of 19.3 GB each.
    kv = 262144 * 73_728
    held = int((3.072e12 + 16 * 20_000 * 16_384) / kv)
    assert held == 159
    result = run(context=262144, reading="pipelined", sliding_window=False)
    assert result.latency_s * result.tokens_per_s == pytest.approx(held)


def test_the_embedding_table_takes_room_from_the_sequences(run, gpt, design):
    # Ten sequences of 4.83 GB and a table of 1.16 GB: a little less than both holds nine.
    table = 2.0 * gpt.vocab_size * gpt.hidden_size
    kv = 65536 * 73_728
    assert table == pytest.approx(1.158e9, rel=1e-3)
    for sequences, room in [(10, 1.001 * table), (10, table + 0.9 * kv), (9, 0.999 * table), (9, table - 0.9 * kv)]:
        bytes_per_chip = (10 * kv + room) / design.chips - design.buffer_bytes
        result = run(
            context=65536,
            reading="pipelined",
            sliding_window=False,
            hbm_stack_bytes=bytes_per_chip / design.hbm_stacks,
        )
        assert result.latency_s * result.tokens_per_s == pytest.approx(sequences), room
        assert result.notes == (f"memory holds {sequences} of the sequences asked for; the others wait outside",)


def test_result_is_json_and_says_where_it_comes_from():
    result = hwsim.simulate("gpt-oss-120b")
    data = json.loads(result.to_json())
    assert data["tokens_per_s"] == result.tokens_per_s and data["bound_by"] == "links"
    assert {"clock_hz", "link_bandwidth_bytes_per_s", "logic_density_mtr_per_mm2"} <= data["assumptions"].keys()
    assert all(entry["source"] for entry in data["assumptions"].values())


@pytest.mark.parametrize("reading", hwsim.READINGS)
def test_scalars_in_scalars_out(run, reading):
    result = run(context=4096, batch=10, reading=reading)
    lists = ("checks", "notes", "short_of", "fitted_constants")
    for name, value in result.to_dict().items():
        assert not isinstance(value, (list, np.ndarray)) or name in lists, name
    assert isinstance(result.bound_by, str)
    assert all(isinstance(check.to_dict()["ok"], bool) for check in result.checks)


def test_frame_has_a_row_a_point(run):
    assert run(context=2048).to_frame().shape[0] == 1
    frame = run(context=np.array([2048, 65536, 262144]), reading="pipelined").to_frame()
    assert list(frame["context"]) == [2048, 65536, 262144]
    assert frame["tokens_per_s"].is_monotonic_decreasing and frame["breakdown.attention"].is_monotonic_increasing
    assert set(frame["reading"]) == {"pipelined"} and "assumptions.clock_hz.unit" not in frame


def test_unknown_reading_names_the_nearest(run):
    with pytest.raises(hwsim.InputError, match="did you mean 'pipelined'"):
        run(reading="piplined")


@pytest.mark.parametrize("name", ["context", "batch", "prompt"])
@pytest.mark.parametrize("value", [0, -5, 1.5, np.nan, np.inf, 1e30, "abc", None, True, [], [1, np.nan]])
def test_bad_workloads(run, name, value):
    if value is None and name != "context":
        return
    with pytest.raises(hwsim.InputError, match=name):
        run(**{name: value})
