import csv
from collections import Counter
from pathlib import Path

import pytest

from explorer.papers import hnlpu_economics
from explorer.papers.hnlpu_economics import economics_rows

ROWS = economics_rows()
BY_ID = {row["id"]: row for row in ROWS}
STANDARD = 0.0015


@pytest.mark.parametrize("row", [r for r in ROWS if r["tolerance"] is not None], ids=lambda r: r["id"])
def test_cell(row):
    assert abs(row["rel_err"]) <= row["tolerance"], f"{row['what']}: paper {row['paper']}, ours {row['ours']}"


def test_ids_are_unique_and_complete():
    assert len(BY_ID) == len(ROWS) >= 115
    assert {r["evidence"] for r in ROWS} == {"input", "fitted", "predicted", "not derivable"}


def test_only_what_cannot_be_derived_has_no_figure():
    none = {r["id"] for r in ROWS if r["ours"] is None}
    assert none == {r["id"] for r in ROWS if r["evidence"] == "not derivable"} == {i for i in BY_ID if i[:2] == "v1"}
    assert all(r["rel_err"] is None and r["tolerance"] is None for r in ROWS if r["ours"] is None)


def test_tolerances_are_not_widened():
    cells = Path(hnlpu_economics.__file__).with_name("hnlpu_economics.csv")
    with cells.open(encoding="utf-8", newline="") as file:
        printed = {cell["id"]: cell["paper"] for cell in csv.DictReader(file)}
    for row in ROWS:
        if row["tolerance"] in (None, STANDARD) or row["id"] in ("t4-qwq", "t4-llama-3"):
            continue
        decimals = len(printed[row["id"]].partition(".")[2])
        assert row["tolerance"] == pytest.approx(0.5 * 10**-decimals / row["paper"], rel=2e-3), row["id"]
        assert round(row["ours"], decimals) == row["paper"] and "digits printed" in row["note"]


def test_what_misses_says_why():
    silent = [r["id"] for r in ROWS if r["tolerance"] is None and len(r["note"]) < 20]
    assert not silent
    missing = {r["id"] for r in ROWS if r["tolerance"] is None and r["ours"] is not None}
    assert missing == {
        "t3-dc-infra-hnlpu-low-unrounded",
        "t3-electricity-hnlpu-low-unrounded",
        "t3-tco2e-hnlpu-low-static-unrounded",
        "s8-1-yield-extra-wafers-50x",
        "s8-1-yield-wafers-low-0.5m",
        "t4-kimi-k2",
        "t4-deepseek-v3",
    }


def test_known_misfits_stay_visible():
    assert BY_ID["t4-kimi-k2"]["rel_err"] == pytest.approx(0.46, abs=0.005)
    assert BY_ID["t4-deepseek-v3"]["rel_err"] == pytest.approx(0.28, abs=0.005)
    assert BY_ID["s8-1-yield-extra-wafers-50x"]["ours"] == pytest.approx(43.1, abs=0.05)
    assert BY_ID["t3-tco2e-hnlpu-low-static-unrounded"]["ours"] == pytest.approx(98.467, abs=1e-3)


def test_fed_in_numbers_are_not_predictions():
    counts = Counter(r["evidence"] for r in ROWS)
    assert counts["input"] >= 17 and counts["predicted"] >= 85
    for name in ("h100-count", "node-price-h100"):
        assert BY_ID[f"t3-{name}-low"]["evidence"] == BY_ID[f"t3-{name}-high"]["evidence"] == "input"
    assert all(r["evidence"] == "input" for i, r in BY_ID.items() if i.startswith(("t5-ip", "t5-arch", "t5-integ")))


def test_headline():
    assert round(BY_ID["h-tco-ratio-high-low"]["ours"], 1) == 80.4
    assert round(BY_ID["h-tco-ratio-high-high"]["ours"], 1) == 41.7
    assert round(BY_ID["h-co2-ratio-dynamic"]["ours"], 1) == 357.2
    assert round(BY_ID["b-module-carbon-rebuilt"]["ours"], 2) == 124.86
