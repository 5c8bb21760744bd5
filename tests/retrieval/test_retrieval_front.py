"""Recall against dollars: what is dear to hold, what is dear to scan, which codecs no other beats, and the page."""

import json

import numpy as np
import pandas as pd
import pytest

from explorer.documents import html
from explorer.retrieval.document import holding_figure, scanning_figure, study_document
from explorer.scan.cost import scan_fleet
from explorer.scan.front import holding_cost, scanning_cost
from hwbase import InputError
from hwsim.retrieval import ScanIndex


def table(**changed):
    """Five codecs: floats, int8, signs, signs rescored, and recurrent codes of as many bits as the signs of 768."""
    rows = {
        "collection": ["made <up>"] * 6,
        "family": ["floats and integers"] * 2
        + ["signs", "signs, best 400 again by int8", "recurrent, untrained", "signs"],
        "codec": ["float32", "int8", "sign", "sign", "recurrent:2", "rotation:768"],
        "bits": [12288, 3072, 384, 384, 768, 768],
        "bytes": [1536.0, 384.0, 48.0, 432.0, 96.0, 96.0],
        "asymmetric": [False] * 6,
        "rescore": [0, 0, 0, 400, 0, 0],
        "recall@10": [0.5, 0.5, 0.4, 0.49, 0.48, 0.45],
    } | changed
    frame = pd.DataFrame(rows)
    return frame.assign(**{"recall@10_low": frame["recall@10"] - 0.02, "recall@10_high": frame["recall@10"] + 0.02})


def test_holding_costs_go_with_the_bytes():
    held = holding_cost(table())
    by = held.set_index(["codec", "rescore"])
    assert by.loc[("float32", 0), "usd"] / by.loc[("sign", 0), "usd"] == pytest.approx((1536 + 8) / (48 + 8))
    # Beaten: floats by int8, which finds as much; signs with int8 beside them, which take more than int8 alone.
    front = [("sign", 0), ("recurrent:2", 0), ("int8", 0)]
    assert list(held[held["front"]][["codec", "rescore"]].itertuples(index=False, name=None)) == front
    assert holding_cost(table(), 2e9)["usd"].to_numpy() == pytest.approx(2 * held["usd"].to_numpy())
    # The servers of a full fleet: what they hold costs what they cost.
    fleet = scan_fleet(ScanIndex(1e11, 768), "cpu", queries_per_s=1.0)
    held = holding_cost(table(), 1e11).set_index(["codec", "rescore"])
    assert fleet.usd_per_year == pytest.approx(held.loc[("recurrent:2", 0), "usd"], rel=1 / (fleet.devices - 1))


@pytest.mark.slow
def test_scanning_costs_are_those_of_the_fleets():
    scanned = scanning_cost(table(), 1e10, queries_per_s=5000.0)
    assert len(scanned) == 4 * 3 and "float32" not in set(scanned["codec"])
    by = scanned.set_index(["machine", "codec", "rescore"])["usd"]
    server = scan_fleet(ScanIndex(1e10, 384), "cpu").machine
    same = scan_fleet(ScanIndex(1e10, 768, 2), "cpu", queries_per_s=5000.0)
    assert by[server, "recurrent:2", 0] == pytest.approx(same.usd_per_million_queries)
    rescored = scan_fleet(ScanIndex(1e10, 384, vector_bytes=384), "cpu", queries_per_s=5000.0, candidates=400)
    assert by[server, "sign", 400] == pytest.approx(rescored.usd_per_million_queries)
    # Population counts compare every plane with every plane; an int8 product does not mind planes.
    assert by[server, "recurrent:2", 0] > 1.5 * by[server, "rotation:768", 0]
    assert by["h100", "recurrent:2", 0] < by["h100", "rotation:768", 0]


def test_queries_that_keep_their_numbers_are_not_scanned_by_counts():
    asymmetric = scanning_cost(table(asymmetric=[False, False, True, True, False, False]))
    assert set(asymmetric["codec"]) == {"recurrent:2", "rotation:768"}


def test_no_point_of_a_front_is_beaten():
    rng = np.random.default_rng(0)
    size = 40
    quality = pd.DataFrame(
        {
            "collection": "x",
            "family": "signs",
            "codec": "int8",
            "bits": 8,
            "bytes": rng.integers(1, 20, size),
            "rescore": 0,
            "asymmetric": False,
            "recall@10": rng.integers(0, 10, size) / 10,
        }
    )
    held = holding_cost(quality)
    usd, recall = held["usd"].to_numpy(), held["recall@10"].to_numpy()
    beaten = [
        bool((((usd <= usd[i]) & (recall >= recall[i])) & ((usd < usd[i]) | (recall > recall[i]))).any())
        for i in range(size)
    ]
    assert held["front"].tolist() == [not each for each in beaten]


@pytest.mark.slow
def test_the_figures_show_the_table_and_the_page_escapes_it():
    held, scanned = holding_cost(table()), scanning_cost(table())
    drawn = holding_figure(held)
    assert list(drawn.data[0].x) == held[held["front"]]["usd"].tolist()
    assert sum(len(trace.x) for trace in drawn.data[1:]) == len(held)
    assert sum(len(trace.x) for trace in scanning_figure(scanned).data) == len(scanned)
    page = html.render(study_document(table(), "hwsim retrieve study"))
    assert "made &lt;up&gt;" in page and "<up>" not in page and "recurrent:2" in page


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: holding_cost(table().drop(columns="bytes")), "no column 'bytes'"),
        (lambda: holding_cost(table(), metric="recall@7"), "no column 'recall@7'"),
        (lambda: scanning_cost(table()[:0]), "table of quality is empty"),
        (lambda: holding_cost(table(), -1), "documents = -1"),
        (lambda: scanning_cost(table(), queries_per_s=float("nan")), "queries_per_s = nan"),
        (lambda: scanning_cost(table(codec=["flaot32"] * 6)), "flaot32"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.slow
def test_a_saved_table_is_drawn_again(command, tmp_path):
    table().to_csv(tmp_path / "study.csv", index=False)
    page = tmp_path / "page.html"
    status, _, _ = command("retrieve", "study", "--from", str(tmp_path / "study.csv"), "--out", str(page))
    assert status == 0 and "recurrent:2" in page.read_text(encoding="utf-8")
    status, out, _ = command("retrieve", "study", "--from", str(tmp_path / "study.csv"), "--json")
    assert status == 0 and len(json.loads(out)["rows"]) == len(table())


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("", (), "is not a table in CSV"),
        ("a,b\n1,2\n", (), "no whole column 'collection'"),
        (None, (), "cannot read"),
    ],
)
def test_bad_tables_leave_no_page(command, tmp_path, content, more, message):
    if content is not None:
        (tmp_path / "t.csv").write_text(content)
    files = ("--from", str(tmp_path / "t.csv"), "--out", str(tmp_path / "p.html"))
    status, out, err = command("retrieve", "study", *files, *more)
    assert (status, out) == (2, "") and message in err and not (tmp_path / "p.html").exists()
