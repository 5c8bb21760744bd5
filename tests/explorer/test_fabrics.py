"""Weight fabrics with prices, and published machines of ROM and SRAM beside them."""

import json
from functools import cache

import pytest

import costmodel
import explorer
from hwbase import InputError
from hwsim.weight_fabrics import FABRICS


@cache
def board():
    return {row.id: row for row in explorer.reproduce("fabrics").rows}


@cache
def priced():
    return {row["fabric"]: row for row in explorer.weight_fabrics("llama-3-8b", "n7", "int4").rows}


def test_nothing_is_fitted_and_claims_hold():
    summary = explorer.reproduce("fabrics").summary
    assert summary["ok"] and summary["fitted"] == 0 and summary["fitted_constants"] == []
    for row in board().values():
        assert row.evidence in ("input", "predicted")
        assert row.status != "misfit explained" or len(row.note) > 60, row.id


#: What Taalas, BitROM, Groq and ankhdjet print.
PUBLISHED = {
    "hc1-area-int3": 815.0,
    "hc1-transistors-int6": 53e9,
    "hc1-tokens": 17_000.0,
    "hc1-power": 200.0,
    "bitrom-density": 4967.0,
    "bitrom-efficiency": 20.8e12,
    "ankhdjet-cell": 2.21,
    "groq-area": 725.0,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_are_on_the_board(name):
    assert board()[name].paper == PUBLISHED[name] and board()[name].evidence == "predicted"


def test_published_area_lies_between_ranges_of_what_is_not_stated():
    few, many = (explorer.reproduce("fabrics", set={"mask_rom.weights_per_multiplier": n}) for n in (64, 1024))
    areas = [{row.id: row.ours for row in each.rows}["hc1-area-int3"] for each in (few, many)]
    assert areas[1] < 815.0 < areas[0]


def test_known_misfits_stay_visible():
    for name in ("hc1-power", "bitrom-efficiency", "groq-area", "ankhdjet-cell"):
        assert board()[name].rel_err < -0.6 and board()[name].status == "misfit explained"


def test_sets_reach_the_board():
    with pytest.raises(InputError, match=r"mask_rom\.bits_per_cell"):
        explorer.reproduce("fabrics", set={"mask_rom.bits_per_cel": 1})
    board = explorer.reproduce("fabrics", set={"rom.array_efficiency": 0.5})
    assert {row.id: row.ours for row in board.rows}["ankhdjet-macro"] == pytest.approx(0.57 / 0.5)


def test_price_of_a_respin_by_hand():
    book, rows = costmodel.load_book(), priced()
    mask_usd = book.value("n7.mask_set_usd", "USD") / book.value("n7.duv_masks", "mask")
    assert rows["mask_rom"]["respin_usd"] == pytest.approx(2 * mask_usd * rows["mask_rom"]["dies"])
    assert rows["metal_embedding"]["respin_usd"] == pytest.approx(10 * mask_usd * rows["metal_embedding"]["dies"])
    assert rows["cell_embedding"]["respin_usd"] == pytest.approx(12e6 * rows["cell_embedding"]["dies"])
    assert rows["sram"]["respin_usd"] == rows["dram"]["respin_usd"] == 0.0
    assert rows["mask_rom"]["dies"] == 2 and set(rows) == set(FABRICS)


def test_constants_of_every_book_can_be_set():
    changed = {"n7.mask_set_usd": 6e6, "mask_rom.respin_masks": 4, "logic_density_mtr_per_mm2": 182.4}
    rows = {row["fabric"]: row for row in explorer.weight_fabrics("llama-3-8b", "n7", "int4", set=changed).rows}
    assert rows["cell_embedding"]["area_mm2"] == pytest.approx(0.5 * priced()["cell_embedding"]["area_mm2"])
    assert rows["mask_rom"]["respin_usd"] == pytest.approx(6e6 / 87 * 4 * rows["mask_rom"]["dies"])


def test_a_node_without_prices_has_none():
    rows = explorer.weight_fabrics("smollm2-135m", "n65", "ternary").rows
    assert all(row["respin_usd"] is None and row["area_mm2"] > 0 for row in rows)


def test_command(command):
    status, printed, _ = command("fabrics", "smollm2-135m", "--technology", "n7,n65", "--weights", "int4", "--json")
    data = json.loads(printed)
    assert status == 0 and data["schema"] == "hwsim/fabrics/1" and len(data["rows"]) == 2 * len(FABRICS)
    assert {row["technology"] for row in data["rows"]} == {"n7", "n65"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--fabrics", "rom"), "unknown fabric 'rom'"),
        (("--weights", "int44"), "unknown weight format 'int44'"),
        (("--technology", "n77"), "n77"),
        (("--set", "mask_rom.bits_per_cell=0"), "bits_per_cell = 0"),
        (("--set", "use.respins=2"), "use.respins has no effect here"),
        (("--set", "mask_rom.bits=1"), "mask_rom.bits"),
        (("--out", "folder"), "cannot write 'folder'"),
    ],
)
def test_bad_input_is_one_sentence(given, message, command):
    status, printed, errors = command("fabrics", "smollm2-135m", *given)
    assert status == 2 and printed == "" and message in errors and errors.count("\n") == 1


@pytest.mark.slow
def test_page_has_the_figure(command, tmp_path):
    out = tmp_path / "fabrics.html"
    assert command("fabrics", "smollm2-135m", "--out", str(out))[0] == 0
    assert "cycles per token" in out.read_text(encoding="utf-8")
    document = explorer.fabrics.document.fabrics_document(explorer.weight_fabrics("smollm2-135m"), "hwsim fabrics")
    drawn = document.section("axes").figures[0].draw()
    assert len(drawn.data) == 1 and len(drawn.data[0].x) == len(FABRICS)
