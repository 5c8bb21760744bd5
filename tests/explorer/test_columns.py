"""The registry of columns: labels, units and formats of every name that a study, a page or a book uses."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import costmodel
import explorer
from explorer.documents.tables import scaled_table
from explorer.study.targets import TARGETS
from hwbase import InputError, book_names, load_book, units
from hwbase.columns import Column, column, is_known
from hwsim.technology import BOOKS

COST_BOOKS = Path(costmodel.__file__).parent / "books"
CONSTANTS = {
    name: quantity.unit
    for folder in (BOOKS, COST_BOOKS)
    for book in book_names(folder)
    for name, quantity in load_book(book, folder).items()
}


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_every_constant_has_its_unit_and_a_label_without_it(name):
    entry = column(name)
    assert units.factor(CONSTANTS[name], entry.unit or "1", name) == pytest.approx(1.0)
    assert not re.search(r"\b(usd|mm2|um2|cm2|bytes per s|per s|s|w|j|kwh)$", entry.label), entry.label
    assert "_" not in entry.heading and entry.name == name


@pytest.mark.slow
def test_every_name_of_a_shipped_study_is_listed():
    for target in TARGETS.values():
        names = {name for name in target.known({}) if "." not in name and name not in CONSTANTS}
        assert [name for name in sorted(names) if not is_known(name)] == []
    columns = explorer.evaluate("gpt-oss-120b", {}, beside="gpu").columns
    assert [name for name in columns if not is_known(name)] == []


def test_labels_tell_what_is_asked_for_from_what_is_built():
    assert column("chips").label == "chips built" and column("chips_asked").label == "chips asked for"
    assert column("out.power_w").label == "power, as it came out" and column("out.power_w").unit == "W"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_s", 0.0005676, "567.6 µs"),
        ("tco_usd", 59.25e6, "$59.25 M"),
        ("carbon_t", 0.0056, "5.6 kg CO₂e"),
        ("kg_per_million_tokens", 0.25, "250 g CO₂e"),
        ("usd_per_year", 2e6, "$2 M per year"),
        ("link_bandwidth_bytes_per_s", 128e9, "128 GB/s"),
        ("context", 65536, "64K"),
        ("scanned_share", 0.125, "12.5 %"),
        ("tco_ratio", 6.25, "6.25×"),
        ("chips", 1024, "1,024"),
        ("technology", "n5", "n5"),
        ("n5.d0_per_cm2", 0.1, "0.1 1/cm²"),
        ("latency_s", float("nan"), "–"),
        ("bound_by", None, "–"),
    ],
)
def test_values_as_text(name, value, text):
    assert column(name).text(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("latency_s", "5 ms", 0.005),
        ("link_bandwidth_bytes_per_s", ["64 GB/s", "1 TB/s"], [64e9, 1e12]),
        ("context", ["2K", "64K"], [2048, 65536]),
        ("tco_usd", "3 MUSD", 3e6),
        ("technology", "n5", "n5"),
    ],
)
def test_values_are_read(name, given, value):
    read = column(name).read(given)
    assert read == value if isinstance(value, str) else np.allclose(read, value)
    assert isinstance(value, str) or column(name).read(column(name).example) > 0


def test_a_value_of_another_unit_is_refused():
    with pytest.raises(InputError, match=r"latency_s = '5 GB' has unit 'GB': expected 's'"):
        column("latency_s").read("5 GB")


def test_frames_for_people():
    frame = pd.DataFrame({"latency_s": [0.0005676, 0.0011], "technology": ["n5", "n7"], "context": [2048, 65536]})
    shown = scaled_table("Frame", frame)
    assert [entry.heading for entry in shown.columns] == ["latency, µs", "technology", "context"]
    assert shown.rows[0] == ("567.6", "n5", "2K")
    assert [entry.numeric for entry in shown.columns] == [True, False, True]


def test_columns_of_one_label_stay_apart():
    frame = pd.DataFrame({"volume": [1], "built": [2]})
    assert [entry.label for entry in scaled_table("Frame", frame).columns] == ["systems built", "systems built (built)"]


def test_a_column_without_a_name_shows_its_unit():
    assert Column("area", "mm²").heading == "area, mm²" and Column("share").heading == "share"


def test_a_table_and_a_constant_of_one_name_have_their_own_labels():
    assert column("service").label == "order of service of the VEX"
    assert column("service.gpu_speed_factor").label == "service: GPU speed factor"
