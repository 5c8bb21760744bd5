"""The benchmark runner: names, tables, an earlier run beside a new one, benchmarks that stop. No figure is judged."""

import json

import pytest

from benchmarks import runner
from benchmarks.measure import Measure, absent, seconds


def record(**ratios: float) -> dict[str, object]:
    rows = [{**vars(Measure(name, ratio, "s", "peer", 1.0)), "note": "a | b"} for name, ratio in ratios.items()]
    machine = {
        "processor": "p",
        "cores": 2,
        "load": 0.1,
        "python": "3",
        "versions": {"numpy": "2"},
        "date": "2026-01-02",
    }
    return {"schema": runner.SCHEMA, "machine": machine, "quick": False, "benchmarks": {"kernels": rows}}


def test_every_benchmark_yields_measures():
    for name in runner.names():
        module = __import__(f"benchmarks.{name}", fromlist=["measures"])
        assert callable(module.measures) and module.__doc__


def test_ratio_is_ours_over_the_peers():
    assert Measure("a", 3.0, "s", "b", 2.0).ratio == 1.5
    assert Measure("a", 3.0, "s").ratio is None
    assert absent("faiss", "faiss-cpu").ratio is None


def test_work_is_timed_in_turn_after_a_run_to_warm_up():
    order: list[str] = []
    clock = iter(range(100))
    times = seconds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, lambda: next(clock))
    assert order == ["a", "b"] * 3 and times == {"a": [1, 1], "b": [1, 1]}


def test_table_sets_an_earlier_run_beside_the_new_one():
    text = runner.table(record(first=2.0, second=1.0), record(first=4.0))
    lines = text.splitlines()
    assert lines[2] == "| benchmark | figure | value | beside | its value | ratio | earlier ratio | change | note |"
    assert "| kernels | first | 2 s | peer | 1 s | 2 | 4 | -50% | a / b |" in lines
    assert "| kernels | second | 1 s | peer | 1 s | 1 |  |  | a / b |" in lines


def test_a_benchmark_that_stops_is_a_row(monkeypatch):
    monkeypatch.setattr(runner, "names", lambda: ["nothing_of_ours"])
    (row,) = runner.run("nothing_of_ours", quick=True)
    assert (row["value"] is None and "invalid choice" in row["note"]) or "unknown benchmark" in row["note"]


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "other"}'])
def test_an_earlier_file_of_another_kind_is_refused(tmp_path, capsys, content):
    path = tmp_path / "old.json"
    path.write_text(content)
    with pytest.raises(SystemExit) as ended:
        runner.main(["kernels", "--beside", str(path)])
    assert ended.value.code == 2 and "expected a file that this command wrote" in capsys.readouterr().err


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        runner.main(["kernel"])
    assert ended.value.code == 2 and "unknown benchmark 'kernel'" in capsys.readouterr().err


@pytest.mark.slow
def test_one_benchmark_end_to_end(tmp_path, capsys):
    out = tmp_path / "figures.json"
    runner.main(["kernels", "--quick", "--out", str(out)])
    data = json.loads(out.read_text())
    rows = data["benchmarks"]["kernels"]
    assert len(rows) == 7 and all(row["value"] > 0 for row in rows)
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out
