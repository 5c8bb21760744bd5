"""What hwsim 0.1 wrote - studies, an index, books - is read, or refused with what to change.

The files in `data/0.1` were written by that version: the studies by `hwsim study run FILE --out FOLDER --workers 1`,
the index by `save_index`, of 20 vectors of 16 numbers in sign codes with int8 to rescore.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from explorer.commands.study import open_result
from explorer.retrieval.storage import load_index
from explorer.study import load_study
from hwbase import InputError
from models.binarize import unit

OLD = Path(__file__).parent / "data" / "0.1"
RENAMED = r"parameter chips is now called chips_asked, .*write chips_asked for chips"


def test_the_results_of_a_study_are_read():
    pytest.importorskip("pyarrow")
    result = open_result(OLD / "study")
    assert len(result.frame) == 8 and result.frame["tco_usd"].notna().all()
    assert len(result.front()) == 1


def test_a_study_is_not_continued_with_other_books_and_code(tmp_path, command):
    pytest.importorskip("pyarrow")
    out = shutil.copytree(OLD / "study", tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    status, _, error = command("study", "run", str(OLD / "study.toml"), "--out", str(out), "--workers", "1")
    assert status == 2 and "holds another study" in error and "give another folder, or remove it" in error
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.name != "_lock"} == before


def test_a_study_file_that_needs_no_change_runs():
    frame = load_study(OLD / "study.toml").run(workers=1).frame
    assert frame["failure"].isna().all() and frame["tco_usd"].notna().all()


def test_a_study_of_chips_says_what_to_write(command):
    with pytest.raises(InputError, match=RENAMED):
        load_study(OLD / "study-of-chips.toml")
    with pytest.raises(InputError, match=RENAMED):
        open_result(OLD / "study-of-chips")
    status, out, error = command("study", "show", str(OLD / "study-of-chips"))
    assert (status, out) == (2, "") and "chips for out.chips" in error


@pytest.mark.slow
def test_an_index_is_read_and_searched():
    index = load_index(OLD / "index")
    vectors = unit(np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32))
    assert [ids[0] for ids in index.search(vectors[:5], 1, rescore=5).ids] == [f"d{i}" for i in range(5)]


def test_an_index_of_another_version_is_refused(tmp_path):
    index = shutil.copytree(OLD / "index", tmp_path / "index")
    manifest = index / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(InputError, match=r"manifest.json"):
        load_index(index)


BOOK = """[book]
name = "mine"
extends = "default"

[{name}]
nominal = 100
unit = "{unit}"
year = 2025
source = "our own bill"
kind = "user"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "unit"), [("electricity.usd_per_kwh", "USD/kWh"), ("n5.wafer_price_usd", "USD"), ("h100.power_w", "W")]
)
def test_a_cost_book_may_still_hold_constants_that_moved_to_the_book_of_a_machine(tmp_path, command, name, unit):
    path = tmp_path / "mine.toml"
    path.write_text(BOOK.format(name=name, unit=unit))
    status, out, _ = command("cost", "gpt-oss-120b", "--book", str(path), "--json")
    _, plain, _ = command("cost", "gpt-oss-120b", "--json")
    assert status == 0 and out != plain
