"""`hwsim scan` as a process, its page and figures, the design space and its front."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from explorer.scan.figures import cost_over_load, designs_and_front, saving_bars
from explorer.scan.fleets import compare_scans, fleets_over_load
from explorer.scan.saving import PUBLISHED, saving_tornado
from explorer.scan.space import OBJECTIVES, design_space
from hwbase import InputError
from hwsim.retrieval import ScanIndex, published_scanners, scan_index


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from explorer.commands.app import main; main()", "scan", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
    )


@pytest.fixture(scope="module")
def space():  # type: ignore[no-untyped-def]
    return design_space(1e10, channels=(2, 6, 12), lane_ratios=(0.25, 1.0), bits=(128, 256))


@pytest.mark.slow
def test_json_is_what_python_gives() -> None:
    done = run("--documents", "1e9", "--on", "engine", "--memory", "ddr5", "--batch", "16", "--json")
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout)
    fleet, one = given["fleets"][0], scan_index(ScanIndex(10**9, 256), memory="ddr5", batch=16)
    assert fleet["scan"]["queries_per_s"] == pytest.approx(float(one.queries_per_s))
    assert fleet["scan"]["bound_by"] == one.bound_by
    assert given["assumptions"]["ddr5.energy_j_per_bit"]["source"]


@pytest.mark.slow
def test_all_machines_on_the_terminal_and_in_a_table(tmp_path: Path) -> None:
    done = run("--documents", "1e8", "--out", "scan.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "scan.csv").read_text().splitlines()
    assert len(lines) == 6
    shown = run("--documents", "1e8", "--on", "cpu")
    assert "per million queries" in shown.stdout.replace("\n", " ")


@pytest.mark.slow
def test_events_say_what_is_felt() -> None:
    done = run(
        *("--documents", "1e9", "--on", "engine", "--qps", "2000", "--requests", "2000"),
        *("--events", "--lose-shard", "0.5", "--set", "hbm3.channels=1", "--json"),
    )
    assert done.returncode == 0, done.stderr
    felt = json.loads(done.stdout)["services"][0]
    assert felt["queries"] == 2000
    assert felt["worst_answered_share"] == pytest.approx(1 - 1 / felt["shards"])


@pytest.mark.slow
def test_the_page_holds_figures_and_sources(tmp_path: Path) -> None:
    done = run("--documents", "1e9", "--out", "scan.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "scan.html").read_text()
    for anchor in ("machines", "load", "designs", "saving", "published", "assumptions"):
        assert f'id="{anchor}"' in page


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--documents", "0"), "documents"),
        (("--documents", "nan"), "documents"),
        (("--documents", "1e40"), "documents"),
        (("--documents", "-5"), "documents"),
        (("--bits", "257", "--planes", "2"), "planes"),
        (("--bits", "x"), "bits"),
        (("--on", "gpus"), "'gpu'"),
        (("--memory", "hbm"), "'hbm3'"),
        (("--memory", "ddr5", "--on", "cpu"), "engine"),
        (("--qps", "0"), "queries_per_s"),
        (("--qps", "inf"), "queries_per_s"),
        (("--batch", "0"), "batch"),
        (("--k", "5000"), "k = 5000"),
        (("--candidates", "10"), "vector_bytes"),
        (("--scanned-share", "0"), "scanned_share"),
        (("--set", "hbm3.chanels=2", "--on", "engine"), "hbm3.channels"),
        (("--cost-set", "dram.price=2"), "expected --set"),
        (("--region", "mars"), "region"),
        (("--events",), "--on"),
        (("--out", "/nowhere/at/all.json"), "cannot write"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    from explorer.commands.app import main

    with pytest.raises(SystemExit) as ended:
        main(["scan", *arguments])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert word in said and said.count("\n") == 1


@pytest.mark.slow
def test_bad_input_as_a_process() -> None:
    done = run("--documents", "many")
    assert done.returncode == 2
    assert done.stdout == "" and "Traceback" not in done.stderr and "many" in done.stderr


@pytest.mark.slow
def test_the_space_holds_what_single_scans_give(space) -> None:  # type: ignore[no-untyped-def]
    row = space[(space["memory"] == "hbm3") & (space["channels"] == 6) & (space["bits"] == 256)].iloc[-1]
    changes = {"hbm3.channels": 6, "hbm3.lanes": float(row["lanes"])}
    one = scan_index(ScanIndex(1e10, 256), batch=256, set=changes)
    for name in ("queries_per_s", "latency_s", "energy_j_per_query", "shards"):
        assert row[name] == pytest.approx(float(getattr(one, name)))


@pytest.mark.slow
def test_the_front_is_beaten_by_none_and_beats_the_rest(space) -> None:  # type: ignore[no-untyped-def]
    for _, group in space.groupby("bits"):
        costs = group[list(OBJECTIVES)].to_numpy(float)
        for cost, kept in zip(costs, group["front"], strict=True):
            beaten = (np.all(costs <= cost, axis=1) & np.any(costs < cost, axis=1)).any()
            assert kept == (not beaten)
    assert space["front"].any() and not space["front"].all()


@pytest.mark.slow
def test_channels_beyond_the_books_are_left_out() -> None:
    table = design_space(1e9, channels=(12, 32), lane_ratios=(1.0,), bits=(256,))
    assert set(table[table["memory"] == "hbm3"]["channels"]) == {12}
    assert set(table[table["memory"] == "flash"]["channels"]) == {12, 32}


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["channels", "lane_ratios", "bits"])
def test_a_space_refuses_what_cannot_be(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        design_space(1e9, **{name: (value,)})


@pytest.mark.slow
def test_figures_hold_the_tables(space) -> None:  # type: ignore[no-untyped-def]
    drawn = designs_and_front(space, 256)
    assert sum(len(trace.x) for trace in drawn.data) == (space["bits"] == 256).sum()
    loads = fleets_over_load(ScanIndex(1e8, 256), (1.0, 1e4))
    lines = cost_over_load(loads)
    assert len(lines.data) == 5
    assert list(lines.data[0].y) == list(loads[loads["machine"] == lines.data[0].name]["usd_per_year"])
    table = saving_tornado()
    bars = saving_bars(table, 0.43, PUBLISHED, most=3)
    assert len(bars.data) == 2 and len(bars.data[0].x) == 3


def test_published_machines_have_sources_and_no_model_reads_them() -> None:
    table = published_scanners().set_index(["machine", "figure"])
    assert table["source"].str.len().min() > 10
    fanns = table.loc["FANNS, FPGA (U55C)"]["low"]
    assert fanns["clock_hz"] / fanns["cycles_per_query"] == pytest.approx(fanns["queries_per_s"], rel=1e-3)
    read = compare_scans(ScanIndex(1e8, 256)).assumptions
    assert not any(name.startswith(("fanns", "anna", "reis", "cagra")) for name in read)
