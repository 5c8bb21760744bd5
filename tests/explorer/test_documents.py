"""One document in every form: page, Markdown, terminal, notebook and rows say the same, and nothing is lost."""

import io
import json
import pickle

import pandas as pd
import pytest
from rich.console import Console

import hwsim
from explorer.documents import html, markdown, notebook, rows, terminal
from explorer.documents.document import (
    Aside,
    Beside,
    Bullets,
    Code,
    Document,
    Documented,
    Facts,
    Figure,
    Folded,
    Heading,
    Method,
    Methods,
    Note,
    Searched,
    Section,
)
from explorer.documents.files import write_document
from explorer.documents.plot import Plot
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.simulation import simulation_document
from explorer.documents.tables import Column, Table, flag, frame_table, quantity_table
from explorer.papers.document import scoreboard_document
from explorer.papers.scoreboard import Row, Scoreboard
from hwbase import InputError
from hwbase.numbers import Number, context_label, counted, mass, money, percent, plain, si, times, with_unit

HOSTILE = "<script>alert(1)</script>"
POWER = Table(
    "Power",
    (Column("machine", numeric=False), Column("mean", "W", group="drawn"), Column("peak", "W", group="drawn")),
    (("HNLPU", plain(6909.4), plain(7000.0)), ("H100", plain(700), plain(None))),
)


def draw():
    plot = Plot()
    plot.add_bar(x=["HNLPU"], y=[6909.4])
    return plot


@pytest.fixture(scope="module")
def document():
    parts = (
        "A paragraph.",
        Aside("An aside."),
        Heading("A heading"),
        Code("hwsim report"),
        Bullets(("One point.", "Another point.")),
        Facts((("rows", "3"), ("holds", flag("yes")))),
        Note("A note", "Its text."),
        Methods((Method("A step", "What was done.", "a reference", "What came out."),)),
        POWER,
    )
    details = (
        Beside((Figure("bars", draw, "Bars", POWER, 1), Aside(HOSTILE))),
        Folded("Folded", (Searched((Table("Status", STATUS, (("x", flag("agrees")),)),), ("status",)),), "1 row"),
    )
    return Document(
        "A title",
        "A lead.",
        (Section("short", "Short", parts), Section("long", "Long", details, short=False)),
        subject={"model": "tiny"},
    )


STATUS = (Column("figure", numeric=False), Column("status", numeric=False))
SHORT = ("A title", "A lead.", "A paragraph.", "An aside.", "A heading", "hwsim report", "One point.", "Its text.")
SHORT += ("What was done. What came out.", "6,909", "H100")


def screen(document):
    console = Console(file=io.StringIO(), width=200)
    terminal.show(console, document)
    return console.file.getvalue()


@pytest.mark.slow
def test_every_form_has_every_part_of_a_short_section(document):
    for text in (html.render(document), markdown.render(document), screen(document)):
        for words in SHORT:
            assert words in text
    assert "A lead." in notebook.render(document) and "6,909" in notebook.render(document)
    assert set(rows.frame(document)["table"]) == {"Power", "Status"}


@pytest.mark.slow
def test_long_sections_are_in_files_alone(document):
    assert "Status" in html.render(document) and "Status" in markdown.render(document)
    assert "agrees" not in screen(document) and "In a file (--out) also: Long." in screen(document)


@pytest.mark.slow
def test_texts_are_escaped(document):
    assert HOSTILE not in html.render(document) and HOSTILE not in markdown.render(document)
    hostile = Document(HOSTILE, HOSTILE, ())
    assert HOSTILE not in notebook.render(hostile) and HOSTILE not in html.render(hostile)


@pytest.mark.slow
def test_a_page_without_figures_needs_no_library(document):
    bare = Document("A title", "", document.sections[:1])
    assert len(html.render(bare)) < 40_000 < len(html.render(document))


def test_rows_keep_the_numbers_behind_the_texts(document):
    frame = rows.frame(document)
    assert list(frame.columns) == ["model", *rows.COLUMNS]
    mean = frame[(frame["item"] == "HNLPU") & (frame["column"] == "mean")].iloc[0]
    assert (mean["value"], mean["text"], mean["unit"], mean["group"]) == (6909.4, "6,909", "W", "drawn")
    peak = frame[(frame["item"] == "H100") & (frame["column"] == "peak")].iloc[0]
    assert peak["value"] != peak["value"] and peak["text"] == plain(None)


def test_a_row_is_named_by_its_leading_texts():
    columns = (Column("machine", numeric=False), Column("resource", numeric=False), Column("share"))
    cells = rows.cells(Table("t", columns, (("H100", "memory", percent(0.5)),)))
    assert cells == [("H100, memory", "", "share", "1", 0.5, "50.0\u00a0%")]


@pytest.mark.parametrize("suffix", [".html", ".md", ".csv", ".json"])
def test_the_name_decides_what_is_written(document, tmp_path, suffix):
    path = write_document(document, tmp_path / f"file{suffix}")
    text = path.read_text(encoding="utf-8")
    if suffix == ".csv":
        pd.testing.assert_frame_equal(
            pd.read_csv(path, keep_default_na=False, na_values={"value": [""]}), rows.frame(document)
        )
    elif suffix == ".json":
        assert len(json.loads(text)["rows"]) == len(rows.frame(document))
    else:
        assert "A paragraph." in text
    with pytest.raises(InputError, match="ends in"):
        write_document(document, tmp_path / "file.doc")


def test_documents_survive_pickling(document):
    again = pickle.loads(pickle.dumps(document))
    assert again == document and rows.frame(again).equals(rows.frame(document))


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        (plain(249960.4), 249960.4, ""),
        (plain(3.2e-7, unit="s"), 3.2e-7, "s"),
        (si(3.3214e-6, "s"), 3.3214e-6, "s"),
        (with_unit(128e9, "B/s per link"), 128e9, "B/s per link"),
        (with_unit(8, "1"), 8.0, "1"),
        (money(59_254_321), 59_254_321.0, "USD"),
        (mass(0.2643), 0.2643, "t"),
        (mass(5123.2), 5123.2, "t"),
        (counted(16, "chip"), 16.0, "chip"),
        (times(80.424), 80.424, "1"),
        (percent(0.829), 0.829, "1"),
        (context_label(65536), 65536.0, ""),
    ],
)
def test_written_numbers_keep_their_values(text, value, unit):
    assert isinstance(text, Number) and (text.value, text.unit) == (value, unit)
    assert pickle.loads(pickle.dumps(text)).value == value


def test_cells_of_frames_and_records_keep_their_values():
    frame = pd.DataFrame({"name": ["a"], "usd": [1500.0]})
    table = frame_table(
        "t", frame, {"name": Column("name", numeric=False), "usd": Column("cost")}, {"usd": "{:.0f}".format}
    )
    assert table.rows[0][1] == "1500" and table.rows[0][1].value == 1500.0
    lines = (("real part", "real", plain), ("both", lambda z: f"{z.real:g} and {z.imag:g}"))
    table = quantity_table("t", lines, {"z": 1 + 2j}, head="part")
    assert table.rows == (("real part", "1"), ("both", "1 and 2")) and table.rows[0][1].value == 1.0


def test_a_notebook_shows_no_more_than_a_screen():
    long = Table("Long", (Column("n"), Column("n squared")), tuple((plain(n), plain(n * n)) for n in range(1000)))
    shown = notebook.render(Document("t", "", (Section("a", "A", (long,)), Section("b", "B", (POWER,)))))
    assert shown.count("<tr>") < 40 and "... 1000 rows" in shown and "Power" not in shown


def test_sections_that_many_documents_have():
    assert assumptions_section({"machine": {}}) is None
    parts = reproduce_section("hwsim report x").parts
    assert parts[0] == Code("hwsim report x") and "NumPy".lower() in parts[1]


def test_a_scoreboard_prints_its_rows_and_reasons():
    rows_ = (
        Row("a", "speed", 10.0, 10.0, "token/s", "predicted", 0.01, group="G"),
        Row("b", "area", 10.0, 12.0, "mm2", "predicted", None, "The reason.", "G"),
    )
    made = scoreboard_document(Scoreboard("paper", rows_, ("k",)), "hwsim reproduce paper")
    text = screen(made)
    assert "✓ agrees" in text and "misfit explained: area. The reason." in text
    assert "Fitted to published figures: k." in text
    assert [float(cell.value) for cell in made.section("figures").tables[0].rows[1][1:3]] == [10.0, 12.0]


def test_a_simulation_prints_its_result():
    result = hwsim.simulate("smollm2-135m")
    made = simulation_document(result, "hwsim simulate smollm2-135m")
    cells = {row[0]: row[1] for row in made.section("figures").tables[0].rows}
    assert cells["tokens/s"].value == float(result.tokens_per_s) and cells["power"].value == float(result.power_w)
    assert cells["latency per token"].value == float(result.latency_s)
    assert [row[1].value for row in made.section("checks").tables[0].rows] == [float(c.demand) for c in result.checks]
    assert "bound by" in screen(made)


def test_constants_are_an_appendix():
    from explorer.documents.sections import assumptions_section, reproduce_section
    from hwbase import Quantity

    constants = {"": {"clock_hz": Quantity(1e9, "Hz", "me", "assumed", 2026)}}
    page = html.render(Document("Title", "", (assumptions_section(constants), reproduce_section("hwsim cost"))))
    assert page.index('id="reproduce"') < page.index('<section id="assumptions" class="appendix"')
    assert "break-before: page" in page


def test_a_result_without_a_document_cannot_be_made():
    class Bare(Documented):
        pass

    with pytest.raises(TypeError, match="document"):
        Bare()
