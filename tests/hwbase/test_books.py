"""Assumption books: what loads, what extends what, and everything that is refused with a sentence."""

from dataclasses import dataclass

import numpy as np
import pytest

from hwbase import Book, InputError, Quantity, Reader, book_names, load_book, quantities_frame
from hwbase.books import check_fields, from_book, sourced

BASE = """
[book]
name = "base"
title = "The base"

[clock_hz]
low = 0.5e9
nominal = 1e9
high = 2e9
unit = "Hz"
year = 2024
kind = "vendor"
source = "a data sheet"

[wafer.price]
nominal = 17000
unit = "USD"
year = 2023
kind = "analyst"
source = "a report"
note = "per wafer"
"""
FIELDS = {"nominal": "1e9", "unit": '"Hz"', "year": "2025", "kind": '"user"', "source": '"me"'}


def entry(name="clock_hz", **changed):
    """A table; a field set to None is left out."""
    lines = "\n".join(f"{key} = {value}" for key, value in (FIELDS | changed).items() if value is not None)
    return f"[{name}]\n{lines}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "base.toml").write_text(BASE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def base(folder):
    return load_book("base", folder)


@pytest.fixture
def load(folder):
    """Load a book of the given text that extends the base (or stands alone)."""

    def of(text, extends="base"):
        header = '[book]\nname = "mine"\n' + (f'extends = "{extends}"\n' if extends else "")
        (folder / "mine.toml").write_text(header + text, encoding="utf-8")
        return load_book("mine", folder)

    return of


# What loads


def test_a_book_is_a_mapping(base):
    assert isinstance(base, Book) and (base.name, base.title, len(base)) == ("base", "The base", 2)
    assert list(base) == ["clock_hz", "wafer.price"] and "clock_hz" in base and "clock" not in base
    assert base["wafer.price"] == Quantity(17000, "USD", "a report", "analyst", 2023, note="per wafer")


def test_levels(base):
    assert [base.at(level).value("clock_hz", "Hz") for level in ("low", "nominal", "high")] == [0.5e9, 1e9, 2e9]
    # A missing end of the range is the nominal value.
    assert [base.at(level).value("wafer.price", "USD") for level in ("low", "high")] == [17000, 17000]
    assert base.value("clock_hz", "GHz") == pytest.approx(1.0) and base.value("wafer.price", "kUSD") == pytest.approx(
        17
    )


def test_books_by_name_and_by_path(folder, base, tmp_path_factory):
    assert book_names(folder) == ["base"]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert load_book(folder / "base.toml", elsewhere) == base
    assert load_book(str(folder / "base.toml"), elsewhere) == base
    (elsewhere / "mine.toml").write_text('[book]\nname = "mine"\nextends = "base"\n' + entry(), encoding="utf-8")
    # A book beside the user extends one of the folder; one beside itself would come first.
    assert load_book(elsewhere / "mine.toml", folder)["clock_hz"].source == "me"
    (elsewhere / "base.toml").write_text(BASE.replace("The base", "The nearer"), encoding="utf-8")
    assert load_book(elsewhere / "mine.toml", folder).title == "The nearer"


def test_extending(load, base):
    mine = load(entry(nominal="3", unit='"GHz"', high="4"))
    assert mine.name == "mine" and mine.title == "The base"
    assert mine["wafer.price"] == base["wafer.price"]
    clock = mine["clock_hz"]
    assert (clock.nominal, clock.high, clock.unit, clock.source) == (pytest.approx(3e9), pytest.approx(4e9), "Hz", "me")
    # The range is the new book's own: no low means nominal.
    assert clock.at("low") == pytest.approx(3e9)


def test_a_chain_of_books(folder, load):
    load(entry(nominal="2e9"))
    (folder / "third.toml").write_text(
        '[book]\nname = "third"\nextends = "mine"\n' + entry("wafer.price", unit='"kUSD"', nominal="20")
    )
    third = load_book("third", folder)
    assert third.value("clock_hz", "Hz") == 2e9 and third.value("wafer.price", "USD") == pytest.approx(20_000)


def test_a_users_book_extends_a_users_book_that_extends_one_of_the_folder(folder, base, tmp_path_factory):
    own = tmp_path_factory.mktemp("own")
    (own / "first.toml").write_text('[book]\nextends = "base"\n' + entry(), encoding="utf-8")
    for named in ("first", "first.toml"):
        text = f'[book]\nname = "second"\nextends = "{named}"\n' + entry(nominal="3e9", high="4e9")
        (own / "second.toml").write_text(text, encoding="utf-8")
        book = load_book(own / "second.toml", folder)
        assert book.bases == ("first", "base") and book["clock_hz"].nominal == 3e9
    assert base.bases == ()


def test_frames(base):
    frame = base.to_frame()
    assert list(frame.columns) == ["name", "low", "nominal", "high", "unit", "kind", "year", "source", "note"]
    assert list(frame["name"]) == list(base) and list(frame["low"]) == [0.5e9, 17000]
    assert list(quantities_frame({}).columns) == list(frame.columns)


def test_html_is_escaped(base):
    page = base.override({"clock_hz": 1}, source="<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page


# Overrides


@pytest.mark.parametrize("given", [2e9, "2e9", "2e9 Hz", "2 GHz", " 2000  MHz ", np.float32(2e9), np.int64(2 * 10**9)])
def test_override(base, given):
    mine = base.override({"clock_hz": given})
    clock = mine["clock_hz"]
    assert mine.value("clock_hz", "Hz") == pytest.approx(2e9)
    # Pinned: the range is gone, and it says who set it and what it was.
    assert (clock.low, clock.high, clock.kind, clock.source) == (None, None, "user", "set by the user")
    assert clock.note == "was 1000000000.0" and mine.at("high").value("clock_hz", "Hz") == pytest.approx(2e9)
    assert base.value("clock_hz", "Hz") == 1e9


def test_override_with_an_array(base):
    mine = base.override({"clock_hz": [1e9, 2e9], "wafer.price": np.array([1, 2, 3])})
    assert np.array_equal(mine.value("clock_hz", "GHz"), [1, 2]) and len(mine.value("wafer.price", "USD")) == 3


def test_arrays_of_an_override(base):
    assert base.arrays() == {}
    given = np.array([1e9, 2e9])
    mine = base.override({"clock_hz": given, "wafer.price": 5})
    given[:] = 0.0
    assert list(mine.arrays()) == ["clock_hz"] and mine.arrays()["clock_hz"].tolist() == [1e9, 2e9]


@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        ("clock_h", 1, "did you mean 'clock_hz'"),
        ("wafer", 1, "unknown assumption"),
        ("clock_hz", "5 kg", "has unit 'kg': expected 'Hz'"),
        ("clock_hz", "5 blorps", "'blorps' is not known"),
        ("clock_hz", "five", "'five': expected a finite number"),
        ("clock_hz", "5kg", "expected 'Hz'"),
        ("clock_hz", "", "expected a finite number"),
        ("clock_hz", "nan Hz", "nan"),
        ("clock_hz", np.nan, "nan"),
        ("clock_hz", -np.inf, "-inf"),
        ("clock_hz", [1, np.nan], "nan"),
        ("clock_hz", None, "None"),
        ("clock_hz", True, "True"),
        ("clock_hz", [], "empty"),
        ("clock_hz", {"a": 1}, "clock_hz"),
        ("clock_hz", 10**400, "too large"),
        ("clock_hz", 1e31, "1e\\+31"),
        ("clock_hz", -1, ">= 0"),
        ("clock_hz", [1, -1], ">= 0"),
        ("wafer.price", "-5 kUSD", ">= 0"),
    ],
)
def test_bad_overrides(base, key, given, said):
    with pytest.raises(InputError, match=said):
        base.override({key: given})


def test_a_quantity_that_may_be_negative_may_stay_so(load):
    book = load("[t]\nnominal = -5.0\n" + entry("t").partition("nominal = 1e9\n")[2], extends=None)
    assert book.override({"t": -6}).value("t", "Hz") == -6


def test_lists_of_texts_override(base):
    given = ["2 GHz", 3e9, "4e9"]
    np.testing.assert_allclose(base.override({"clock_hz": given}).value("clock_hz", "Hz"), [2e9, 3e9, 4e9])


# Readers and records


@dataclass(frozen=True)
class Record:
    name: str
    clock_hz: float = sourced("Hz", above=0.0)
    other: int = 3

    def __post_init__(self):
        check_fields(type(self), vars(self))


def test_records_from_books(base):
    reader = base.reader()
    record = from_book(Record, reader, name="r")
    assert record == Record("r", 1e9) and list(reader.used) == ["clock_hz"]
    assert reader.used["clock_hz"].source == "a data sheet"
    assert from_book(Record, base.reader(), name="r", clock_hz=5.0).clock_hz == 5.0
    with pytest.raises(InputError, match="clock_hz = 0"):
        Record("r", 0)


def test_records_need_their_quantities(load):
    book = load(entry("clock"), extends=None)
    with pytest.raises(InputError, match="unknown assumption in book 'mine': 'clock_hz'; did you mean 'clock'"):
        from_book(Record, book.reader(), name="r")


def test_reader_reads_once_more(base):
    reader = Reader(base, {})
    assert reader("clock_hz", "Hz") == reader("clock_hz", "Hz") and len(reader.used) == 1


# What is refused


def test_a_level_that_is_not(base):
    with pytest.raises(InputError, match="did you mean 'nominal'"):
        base.at("nominl")


def test_a_name_or_unit_that_is_not(base):
    with pytest.raises(InputError, match="did you mean 'clock_hz'"):
        base["clock_hx"]
    with pytest.raises(InputError, match="base: clock_hz has unit 'Hz': expected 'W'"):
        base.value("clock_hz", "W")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry(nominal=None), "clock_hz: nominal is missing"),
        (entry(unit=None), "unit is missing"),
        (entry(year=None), "year is missing"),
        (entry(kind=None), "kind is missing"),
        (entry(source=None), "source is missing"),
        (entry(source='""'), "source is empty"),
        (entry(source='"  "'), "source is empty"),
        (entry(source="5"), "source = 5"),
        (entry(kind='"guess"'), "kind = 'guess'"),
        (entry(year='"recent"'), "year = 'recent'"),
        (entry(sorce='"me"'), "did you mean 'source'"),
        (entry(nominal="nan"), "nominal = nan"),
        (entry(nominal="inf"), "nominal = inf"),
        (entry(nominal="1e31"), "nominal = 1e\\+31"),
        (entry(nominal="1e999"), "nominal = inf"),
        (entry(nominal="9" * 400), "mine.toml"),
        (entry(nominal="9" * 5000), "mine.toml"),
        (entry(nominal='"1e9"'), "nominal = '1e9'"),
        (entry(nominal="true"), "nominal = True"),
        (entry(nominal="2024-01-01"), "nominal"),
        (entry(nominal="[]"), "nominal"),
        (entry(nominal="[1.0, 2.0]"), "nominal"),
        (entry(low="nan"), "low = nan"),
        (entry(high="-inf"), "high = -inf"),
        (entry(low="2e9"), r"low = 2e\+09, nominal = 1e\+09, high = 1e\+09: expected low <= nominal <= high"),
        (entry(high="1e8"), "expected low <= nominal <= high"),
        (entry(low="1e8", high="9e8"), "expected low <= nominal <= high"),
        (entry(low="2e9", high="3e9"), "expected low <= nominal <= high"),
        (entry(unit='"kg"'), "has unit 'kg': expected 'Hz'"),
        (entry(unit='"blorp"'), "'blorp' is not known"),
        (entry(unit="5"), "unit = 5"),
        (entry("clock_h"), "did you mean 'clock_hz'"),
        ("clock_hz = 5\n", r"unknown field in \[book\] of mine.toml: 'clock_hz'"),
        ("[wafer]\nprice = 5\n", "wafer"),
        (entry() + entry(), "not valid TOML"),
        ("[clock_hz\n", "not valid TOML"),
        ("a = " + "[" * 5000, "not valid TOML"),
    ],
)
@pytest.mark.parametrize("extends", ["base", None])
def test_broken_books(load, text, said, extends):
    alone = extends is None and said in ("has unit 'kg': expected 'Hz'", "did you mean 'clock_hz'")
    if alone:
        assert len(load(text, extends)) == 1
        return
    with pytest.raises(InputError, match=said) as refused:
        load(text, extends)
    assert "mine.toml" in str(refused.value) or "unit" in str(refused.value)
    assert len(str(refused.value)) < 400 and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", r"expected a \[book\] table"),
        ("book = 5\n", r"expected a \[book\] table"),
        ("[book]\nname = 5\n", r"\[book\] of mine.toml: name = 5"),
        ('[book]\nname = "m"\nextend = "base"\n', "did you mean 'extends'"),
        ('[book]\nname = "m"\ntitle = 5\n', "title"),
        ('[book]\nname = "m"\nextends = 5\n', "extends = 5"),
        ('[book]\nname = "m"\nextends = "bse"\n', "did you mean 'base'"),
        ('[book]\nname = "m"\nextends = "mine"\n', "mine.toml extends itself"),
        ('[book]\nname = "m"\nextends = "mine.toml"\n', "mine.toml extends itself"),
        ('[book]\nname = "m"\nextends = "no.toml"\n', "'no.toml' does not exist"),
        ('[book]\nname = "m"\nextends = "../base"\n', "unknown book"),
    ],
)
def test_broken_headers(folder, header, said):
    (folder / "mine.toml").write_text(header)
    with pytest.raises(InputError, match=said):
        load_book("mine", folder)


def test_what_a_header_says_and_what_it_passes_on(folder, load):
    (folder / "machine.toml").write_text(
        '[book]\ntitle = "The machine"\nkind = "gpu"\nlabel = "M"\nnode = "n5"\ncolor = "#123456"\n'
        'own = ["rate", "costs.paper"]\n'
        + "".join(entry(name) for name in ("clock_hz", "rate", "costs.paper.usd", "costs.ours.usd"))
    )
    book = load_book("machine", folder)
    assert (book.name, book.title, book.kind, book.header.label) == ("machine", "The machine", "gpu", "M")
    assert book.section("costs.paper").keys() == {"usd"} and not book.section("costs.nobody")
    mine = load("", extends="machine")
    assert (mine.name, mine.title, mine.kind, mine.header.node) == ("mine", "The machine", "gpu", "n5")
    assert (mine.header.label, mine.header.color) == ("mine", "")
    # What was measured on the machine is not of another one, which may state its own.
    assert set(mine) == {"clock_hz", "costs.ours.usd"}
    assert set(load(entry("rate"), extends="machine")) == {"clock_hz", "costs.ours.usd", "rate"}
    with pytest.raises(InputError, match="did you mean 'rate'"):
        load(entry("rat"), extends="machine")


def test_own_constants_must_exist(folder):
    (folder / "machine.toml").write_text('[book]\nown = ["rat"]\n' + entry("rate"))
    with pytest.raises(InputError, match=r"constant in `own` of machine.toml: 'rat'; did you mean 'rate'"):
        load_book("machine", folder)


def test_quantities_of_another_book_stand_beside_a_books_own(folder, base):
    foreign = {"machine.usd": Quantity(1.0, "USD", "another book", "vendor", 2024)}
    assert set(load_book("base", folder, beside={"base": foreign})) == {*base, "machine.usd"}
    assert set(load_book("base", folder, beside={"other": foreign})) == set(base)
    (folder / "mine.toml").write_text('[book]\nextends = "base"\n' + entry("machine.usd", unit='"kUSD"', nominal="5"))
    mine = load_book("mine", folder, beside={"base": foreign})
    assert mine.value("machine.usd", "USD") == 5000 and mine["machine.usd"].source == "me"
    later = {"machine.usd": Quantity(2.0, "USD", "another book", "vendor", 2025)}
    (folder / "next.toml").write_text('[book]\nextends = "base"\n')
    assert load_book("next", folder, beside={"base": foreign, "next": later}).value("machine.usd", "USD") == 2


def test_names_of_books_ignore_case(folder, base):
    assert load_book("BASE", folder) == base


def test_a_circle_of_books(folder):
    for one, other in (("a", "b"), ("b", "a")):
        (folder / f"{one}.toml").write_text(f'[book]\nname = "{one}"\nextends = "{other}"\n')
    with pytest.raises(InputError, match="extends itself"):
        load_book("a", folder)


@pytest.mark.parametrize("name", ["bas", "", "..", "base.tml", "sub/base", "\0", "x" * 5000])
def test_missing_books(folder, name):
    with pytest.raises(InputError, match="unknown book"):
        load_book(name, folder)


@pytest.mark.parametrize("name", ["no.toml", "sub/no.toml", "\0.toml", "x" * 5000 + ".toml"])
def test_missing_files(folder, name):
    with pytest.raises(InputError, match="does not exist"):
        load_book(name, folder)


def test_files_that_are_not_text(folder):
    (folder / "bytes.toml").write_bytes(b"[book]\nname = '\xff\xfe'\n")
    with pytest.raises(InputError, match=r"bytes.toml is not UTF-8 text"):
        load_book("bytes", folder)
    (folder / "inside.toml").mkdir()
    for name in ("inside", "inside.toml", folder / "inside.toml"):
        with pytest.raises(InputError, match="inside"):
            load_book(name, folder)


@pytest.mark.parametrize("name", [None, 5, ["base"]])
def test_books_that_are_not_names(folder, name):
    with pytest.raises(InputError, match="book"):
        load_book(name, folder)


def test_a_file_that_changes_is_read_anew(tmp_path):
    path = tmp_path / "mine.toml"
    for nominal in (1.0, 2.0, 1.0):
        path.write_text(f'[book]\n[a]\nnominal = {nominal}\nunit = "W"\nyear = 2025\nsource = "s"\nkind = "assumed"\n')
        book = load_book(path, tmp_path)
        assert book["a"].nominal == nominal
        # What one caller does to its book is not seen by the next.
        book.quantities.clear()
