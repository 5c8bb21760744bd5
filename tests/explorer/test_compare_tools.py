"""Tools side by side: rows, exchanged terms, published figures, the page, and `hwsim compare-tools`."""

import csv
import json
import math
from pathlib import Path

import pytest

from explorer import compare_tools
from explorer.documents import html
from explorer.papers.cost_tools import published_checks
from explorer.tools.compare import MOST_DIES, all_nodes, largest_exchange
from explorer.tools.document import tools_document
from explorer.tools.figures import tool_dots, tools_over_area
from hwbase import InputError


@pytest.fixture(scope="module")
def found():
    return compare_tools((827.08, 100.0), ("n5", "n7"))


@pytest.fixture
def call(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return command


def row(found, tool, area=827.08, node="n5"):
    return next(r for r in found.rows if (r.tool, r.die_area_mm2, r.node) == (tool, area, node))


@pytest.mark.slow
def test_rows_are_tools_times_dies(found):
    assert len(found.rows) == 7 * 2 * 2
    blank = row(found, "eco-chip")
    assert blank.cost_usd is blank.carbon_kg is None and "n28, n22, n14, n10, n7" in blank.includes
    assert row(found, "eco-chip", node="n7").carbon_kg > 100
    for each in found.rows:
        if each.cost_usd is not None:
            assert each.cost_low_usd <= each.cost_usd <= each.cost_high_usd and each.die_usd <= each.cost_usd
        if each.carbon_kg is not None:
            assert each.carbon_low_kg <= each.carbon_kg <= each.carbon_high_kg and each.die_kg <= each.carbon_kg


@pytest.mark.slow
def test_spread_of_the_papers_die(found):
    assert found.spread("cost_usd", 827.08, "n5") == pytest.approx(1.977, abs=0.001)
    assert found.spread("carbon_kg", 827.08, "n5") == pytest.approx(2.866, abs=0.001)
    assert found.spread("carbon_kg", 827.08, "n7") == pytest.approx(5.42, abs=0.005)
    assert found.spread("carbon_kg", 100.0, "n7") < found.spread("carbon_kg", 827.08, "n7")
    assert math.isnan(found.spread("cost_usd", 1.0, "n5"))


def test_what_makes_the_difference(found):
    most = {
        (r.tool, r.quantity): r.term
        for r in largest_exchange(found.exchanges).itertuples()
        if (r.die_area_mm2, r.node) == (827.08, "n5")
    }
    assert most["ACT", "carbon"] == "yield" and most["CATCH", "cost"] == "yield"
    assert most["3D-Carbon", "carbon"] == "grid"


def test_all_terms_lead_to_ours(found):
    every = found.exchanges[found.exchanges["term"] == "all of them"]
    for r in every.itertuples():
        ours = row(found, "ours", r.die_area_mm2, r.node)
        assert r.with_ours == pytest.approx(ours.cost_usd if r.quantity == "cost" else ours.carbon_kg)
    # Two dies; three tools say cost and three carbon at n5, two and three at n7.
    assert len(every) == 2 * (3 + 3 + 2 + 3)


@pytest.mark.slow
def test_a_grid_for_all_tools(found):
    taiwan = compare_tools(grid="tw")
    assert taiwan.grid == "taiwan"
    assert row(taiwan, "ours").carbon_kg == pytest.approx(row(found, "ours").carbon_kg)
    assert row(taiwan, "3d-carbon").carbon_kg > row(found, "3d-carbon").carbon_kg
    sweden = compare_tools(grid="sweden", node="n7")
    for tool in ("act", "3d-carbon", "eco-chip", "ours"):
        assert row(sweden, tool, node="n7").carbon_kg < row(found, tool, node="n7").carbon_kg
    grids = sweden.exchanges[sweden.exchanges["term"] == "grid"]
    assert grids["ratio"].to_list() == pytest.approx([1.0] * len(grids))
    assert sweden.assumptions["ours.grid.sweden_g_per_kwh"].nominal == pytest.approx(40.695)


def test_overrides_reach_their_tool(found):
    changed = compare_tools(set={"act.fab.yield": "0.5", "ours.n5.d0_per_cm2": 0.0})
    assert row(changed, "act").die_kg == pytest.approx(row(found, "act").die_kg * 0.875 / 0.5)
    assert row(changed, "ours").die_yield == 1.0
    assert changed.assumptions["act.fab.yield"].kind == "user"
    assert row(changed, "catch") == row(found, "catch")


def test_every_claimed_agreement_holds():
    board = published_checks()
    assert board.summary["ok"] and board.summary["agree"] == 20
    status = {r.id: r.status for r in board.rows}
    assert status["3dc-thor-die"] == "agrees" and status["catch-wafer-7"] == "misfit explained"
    assert all(r.note for r in board.rows)


def test_over_nodes_and_areas(found):
    ours = found.over_nodes[found.over_nodes["tool"] == "ours, corrected"]
    assert ours["node"].to_list() == ["n16", "n7", "n5", "n3", "n2"]
    assert ours["carbon_kg"].is_monotonic_increasing
    for _, curve in found.over_areas.groupby("tool"):
        for key in ("cost_usd", "carbon_kg"):
            # Rounded good dies and exposure fields make steps, so dollars of small growth may stand still.
            assert curve[key].isna().all() or curve[key].iloc[::8].is_monotonic_increasing


@pytest.mark.slow
def test_figures(found):
    dots = tool_dots(found, 827.08, "n5")
    assert {trace.name for trace in dots.data} == {r.name for r in found.rows if r.tool != "eco-chip"}
    assert len(tools_over_area(found, "n5").data) == 4 + 4


@pytest.mark.slow
def test_page(found):
    page = html.render(tools_document(found, "hwsim compare-tools --set '<script>'"))
    assert "<script>'" not in page and "No constants" not in page
    for said in ("ECO-CHIP", "no constants for n5", "16.8", "Causes of the differences", "act.fab.yield"):
        assert said in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"area_mm2": 900.0}, "fits one exposure field"),
        ({"area_mm2": -1.0}, "area_mm2 = -1"),
        ({"area_mm2": float("nan")}, "nan"),
        ({"area_mm2": []}, "empty"),
        ({"node": "n6"}, "process node 'n6'"),
        ({"node": []}, "node is empty"),
        ({"grid": "atlantis"}, "grid region 'atlantis'"),
        ({"set": {"fab.yield": 1}}, "TOOL.name=value"),
        ({"set": {"act.fab.yeild": 1}}, "did you mean 'fab.yield'"),
        ({"set": {"act.fab.yield": 1.5}}, "die_yield"),
        ({"set": {"act.fab.yield": 0}}, "die_yield"),
        ({"set": {"catch.wafer.edge_mm": 200}}, "less both edges"),
        ({"book": "defualt"}, "did you mean 'default'"),
        ({"area_mm2": list(range(1, MOST_DIES + 2))}, "at most 12 dies"),
    ],
)
def test_bad_input(options, said):
    with pytest.raises(InputError, match=said):
        compare_tools(**options)


# The command


@pytest.mark.slow
def test_command_prints_tables(call):
    status, out, err = call("compare-tools")
    assert (status, err) == (0, "")
    for said in ("Chiplet", "23.13", "$746.1", "2.866", "yield"):
        assert said in out


@pytest.mark.slow
def test_command_as_json(call, tmp_path):
    status, out, err = call("compare-tools", "--area", "827.08,814", "--node", "n5", "--grid", "tw", "--json")
    assert (status, err) == (0, "")
    data = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert len(data["rows"]) == 14 and data["grid"] == "taiwan" and data["checks"]["summary"]["ok"]
    assert {r["term"] for r in data["exchanges"]} > {"yield", "grid", "all of them"}
    assert call("compare-tools", "--area", "827.08,814", "--grid", "tw", "--out", "t.json")[0] == 0
    assert Path("t.json").read_text(encoding="utf-8") == out


@pytest.mark.slow
def test_command_writes_csv_and_page(call, tmp_path):
    assert call("compare-tools", "--out", "tools.csv") == (0, "", "")
    with Path("tools.csv").open(newline="") as file:
        rows = {line["tool"]: line for line in csv.DictReader(file)}
    assert float(rows["act"]["carbon_kg"]) == pytest.approx(23.126, abs=0.001) and rows["act"]["cost_usd"] == ""
    status, out, _ = call("compare-tools", "--out", "page.html")
    assert status == 0 and "wrote page.html" in out
    assert "hwsim compare-tools --out page.html" in Path("page.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "tools.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--area", "big"), "area_mm2 = 'big'"),
        (("--area", ""), "area_mm2 = ''"),
        (("--area", "nan"), "finite"),
        (("--area", "inf"), "finite"),
        (("--area", "-5"), "area_mm2 = -5"),
        (("--area", "0"), "area_mm2 = 0"),
        (("--area", "1e5"), "exposure field"),
        (("--node", "5nm"), "process node '5nm'"),
        (("--node", ""), "process node ''"),
        (("--grid", "mars"), "grid region"),
        (("--set", "act.fab.yield"), "expected key=value"),
        (("--set", "act.fab.yield=lots"), "expected a finite number"),
        (("--set", "acct.fab.yield=1"), "did you mean 'act'"),
        (("--book", "none.toml"), "none.toml"),
        (("--out", "no/such/page.html"), "cannot write"),
        (("--out", "no/such/page.csv"), "cannot write"),
    ],
)
def test_bad_command(call, tmp_path, arguments, said):
    status, out, err = call("compare-tools", *arguments)
    assert (status, out) == (2, "") and err.startswith("hwsim: ") and err.count("\n") == 1
    assert said in err
    assert not list(tmp_path.iterdir())


def test_all_nodes_are_in_order():
    assert all_nodes()[0] == "n55" and all_nodes()[-1] == "n2"


@pytest.mark.parametrize("book", ["act", "3d-carbon", "eco-chip", "chiplet-actuary", "catch"])
def test_books_of_tools_are_shown_like_any_other(call, book):
    status, out, err = call("assumptions", book, "--json")
    assert (status, err) == (0, "") and all(row["source"] and row["kind"] for row in json.loads(out)["rows"])
