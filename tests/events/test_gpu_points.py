"""A user's own measurements of GPUs, in the layouts of the tools that write them, beside ours."""

import json

import pandas as pd
import pytest
from gpu_reports import VLLM, guidellm

from explorer.serving.gpu_board import board_of_points
from explorer.serving.gpu_points import COLUMNS, as_points, read_points
from hwbase import InputError

CSV = """model,machine,format,engine,tp,prompt_tokens,output_tokens,users,tpot_ms,ttft_ms
gpt-oss-120b,h100,mxfp4,vllm,2,1024,512,4,6.0,50.0
gpt-oss-120b,h100,mxfp4,vllm,2,1024,512,16,8.0,
"""
#: Lengths of points are the longest that are drawn, from 0.8 of it on; reports have their means.
LONGEST = 1.0 / 0.9


@pytest.fixture
def write(tmp_path):
    def write(data, name="points.json"):
        path = tmp_path / name
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return path

    return write


def test_a_result_of_vllm_is_a_point(write):
    (row,) = read_points(write(VLLM)).to_dict("records")
    assert set(COLUMNS) == set(row)
    assert (row["model"], row["machine"], row["tp"], row["users"]) == ("openai/gpt-oss-120b", "h100", "2", 4)
    assert (row["tpot_ms"], row["ttft_ms"]) == (6.0, 50.0)
    assert row["prompt_tokens"] == pytest.approx(1024 * LONGEST)
    assert row["output_tokens"] == pytest.approx(512 * LONGEST)


def test_results_appended_to_one_file_are_points_in_order(write):
    lines = "\n".join(json.dumps({**VLLM, "max_concurrency": users}) for users in (4, 16, 64))
    assert list(read_points(write(lines)).users) == [4, 16, 64]
    assert list(read_points(write([VLLM, VLLM])).users) == [4, 4]


@pytest.mark.parametrize("client", ["openai", "openai-chat", "openai-comp"])
def test_the_protocol_of_a_client_is_no_engine(write, client):
    result = {**VLLM, "endpoint_type": client, "backend": client}
    assert as_points(read_points(write(result))).engine.item() == "vllm"
    assert as_points(read_points(write(result), {"engine": "sglang"})).engine.item() == "sglang"


@pytest.mark.parametrize(("client", "engine"), [("vllm", "vllm"), ("sglang", "sglang"), ("tensorrt-llm", "trtllm")])
def test_the_client_of_an_engine_names_it(write, client, engine):
    result = {**VLLM, "endpoint_type": client, "backend": client}
    assert as_points(read_points(write(result))).engine.item() == engine


@pytest.mark.parametrize("version", ["0.3", "0.4"])
def test_a_report_of_guidellm_is_a_point_a_benchmark(write, version):
    report = guidellm(4, version)
    report["benchmarks"] += guidellm(8, version)["benchmarks"]
    rows = read_points(write(report), {"machine": "h100", "tp": 2})
    assert list(rows.model) == ["openai/gpt-oss-120b"] * 2
    assert list(rows.machine) == ["h100"] * 2 and list(rows.tp) == [2, 2]
    assert list(rows.users) == [4, 8]
    assert list(rows.tpot_ms) == [6.0, 6.0] and list(rows.ttft_ms) == [50.0, 50.0]
    assert list(rows.prompt_tokens) == pytest.approx([1024 * LONGEST] * 2)


@pytest.mark.parametrize(
    ("strategy", "users"),
    [
        ({"type_": "synchronous"}, 1),
        ({"type_": "concurrent", "max_concurrency": 8}, 8),
        # The users at work on average; a limit that no rate reaches is not the users.
        ({"type_": "constant", "rate": 2.0, "max_concurrency": 512}, 8),
    ],
)
def test_users_of_each_strategy_of_guidellm(write, strategy, users):
    assert read_points(write(guidellm(8, **strategy))).users.item() == users


def test_the_model_of_the_whole_report_is_that_of_a_benchmark_without_one(write):
    report = guidellm(4)
    del report["benchmarks"][0]["config"]["backend"]["model"]
    report["args"]["model"] = "openai/gpt-oss-120b"
    assert read_points(write(report)).model.item() == "openai/gpt-oss-120b"


@pytest.mark.slow
def test_the_same_measurement_answers_alike_in_every_layout(write):
    server = {"machine": "h100", "tp": 2, "format": "mxfp4", "engine": "vllm"}
    files = [write(VLLM), write(guidellm(4), "new.json"), write(guidellm(4, "0.3"), "old.json")]
    answers = [board_of_points(path, defaults=server).rows[0] for path in files]
    csv = CSV.splitlines()[0] + f"\ngpt-oss-120b,h100,mxfp4,vllm,2,{1024 * LONGEST},{512 * LONGEST},4,6.0,50.0\n"
    answers.append(board_of_points(write(csv, "points.csv")).rows[0])
    for name in ("ours_tpot_ms", "ours_ttft_ms", "ratio_tpot", "ratio_ttft"):
        assert [row[name] for row in answers] == pytest.approx([answers[0][name]] * 4)
    assert answers[0]["ratio_tpot"] == pytest.approx(answers[0]["ours_tpot_ms"] / 6.0)


def test_rows_are_in_the_order_of_the_file_and_say_what_keeps_us_from_an_answer(write):
    rows = CSV + "gpt-oss-1200b,h100,mxfp4,vllm,2,1024,512,4,6.0,50.0\ngpt-oss-120b,,mxfp4,vllm,2,1024,512,4,6,50\n"
    board = board_of_points(write(rows + "gpt-oss-120b,h100,mxfp4,vllm,2,1024,512,2.5,6,50\n", "points.csv"))
    assert [row["users"] for row in board.rows] == [4, 16, 4, 4, 2.5]
    first, second, unknown, nowhere, half = board.rows
    assert first["ratio_ttft"] > 0 and second["ratio_ttft"] is None and second["ratio_tpot"] > 0
    assert "did you mean 'gpt-oss-120b'" in unknown["why"]
    assert nowhere["why"] == "machine: expected a name"
    assert half["why"] == "users: expected a number >= 1"
    assert board.summary["all"]["points"] == 5 and board.summary["all"]["answered"] == 2
    assert list(board.to_frame().columns[: len(COLUMNS)]) == list(COLUMNS)


def test_a_result_under_a_rate_has_no_users(write):
    result = {**VLLM, "request_rate": 4.0, "max_concurrency": None}
    assert board_of_points(write(result)).rows[0]["why"] == "users: expected a number >= 1"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a result of vllm bench serve, or a report of GuideLLM"),
        ({"mean": 1.0}, "expected a result of vllm bench serve, or a report of GuideLLM"),
        ({"benchmarks": []}, "expected a result of vllm bench serve, or a report of GuideLLM"),
        ({"benchmarks": "none"}, "expected a result of vllm bench serve, or a report of GuideLLM"),
        ({"benchmarks": [{"mode": "synchronous"}]}, r"benchmarks\[0\]: no metrics: .* GuideLLM 0.2 or newer"),
        ({"benchmarks": [7]}, r"benchmarks\[0\]: no metrics"),
        ({**VLLM, "total_input_tokens": "many"}, "total_input_tokens = 'many': expected a number"),
        ({**VLLM, "mean_tpot_ms": [6.0]}, r"mean_tpot_ms = \[6.0\]: expected a number"),
        ("tpot_ms,users\n6.0,4\n", "no column model, prompt_tokens, output_tokens: expected model, machine"),
    ],
)
def test_files_that_are_no_measurements_are_refused(write, data, message):
    path = write(data)
    with pytest.raises(InputError, match=f"points.json:? .*{message}"):
        read_points(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nothing.json"):
        read_points(tmp_path / "nothing.json")


@pytest.mark.slow
def test_the_command_reads_points_and_prints_both(write, command):
    status, out, _ = command("reproduce", "gpus", "--points", str(write(VLLM)), "--format", "mxfp4", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["rows"][0]["format"] == "mxfp4" and answer["summary"]["all"]["answered"] == 1
    status, out, _ = command("reproduce", "gpus", "--points", str(write(CSV, "points.csv")))
    assert status == 0 and "Measured beside ours" in out and "all, answered" in out
    status, _, error = command("reproduce", "gpus", "--points", str(write("{", "bad.json")))
    assert status == 2 and "not valid JSON" in error and "Traceback" not in error


def test_points_stay_a_table_of_the_columns(write):
    points = as_points(read_points(write(CSV, "points.csv")))
    assert isinstance(points, pd.DataFrame) and list(points.users) == [4.0, 16.0]
    assert list(points.network) == ["gpt-oss-120b"] * 2 and list(points.why) == ["", ""]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("tpot_ms", "0", "tpot_ms: expected a number > 0"),
        ("ttft_ms", "-3", "ttft_ms: expected a number > 0"),
        ("tpot_ms", "fast", "tpot_ms: expected a number > 0"),
        ("users", "-4", "users: expected a number >= 1"),
        ("users", "0", "users: expected a number >= 1"),
        ("tp", "", "tp: expected a number >= 1"),
    ],
)
def test_a_number_out_of_range_is_named(write, column, value, message):
    point = {**dict(zip(COLUMNS, CSV.splitlines()[1].split(","), strict=True)), column: value}
    (row,) = board_of_points(write(f"{','.join(COLUMNS)}\n{','.join(point.values())}\n", "points.csv")).rows
    assert row["why"] == message and "ours_tpot_ms" not in row
