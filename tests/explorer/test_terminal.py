"""Tables on screens of any width and in pipes: numbers stay whole, and nothing is left out."""

import io
import json

import pytest
from rich.console import Console

from explorer.documents.tables import Column, Table
from explorer.documents.terminal import show_table

LOW, HIGH = "1,234,567 tokens/s", "9.87654 MW"


def printed(table, width, terminal=True):
    stream = io.StringIO()
    show_table(Console(file=stream, width=width, force_terminal=terminal, color_system=None), table)
    return stream.getvalue()


def table(rows, groups=("ours", "theirs", "published")):
    columns = [Column("item", numeric=False)]
    columns += [Column(label, group=group) for group in groups for label in ("low", "high")]
    values = [(f"row {at}", *((LOW, HIGH) * len(groups))) for at in range(rows)]
    return Table("A table", tuple(columns), tuple(values))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("rows", [3, 40])
def test_numbers_stay_whole_at_any_width(width, rows):
    text = printed(table(rows), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert words.count(HIGH) == words.count(LOW) == 3 * rows


def test_parts_repeat_the_first_column_and_keep_groups():
    text = printed(table(3), 60)
    assert text.count("row 1") == 3 and text.count("A table") == 3
    assert all(text.count(f"{group}:") == 2 for group in ("ours", "theirs", "published"))


def test_many_rows_are_printed_one_by_one():
    text = printed(table(40), 60)
    assert text.count("A table") == 1 and text.count("theirs: high: ") + text.count("theirs: high:\n") == 40


def test_texts_get_a_few_words_a_line():
    columns = (Column("name", numeric=False), Column("value"), Column("source", numeric=False))
    source = "a long source with many words that would fill more than one line"
    text = printed(Table("Sources", columns, (("a", "1", source), ("b", "2", source))), 40)
    assert max(line.count(" ") for line in text.splitlines() if "source" in line) > 3


def test_a_pipe_has_one_line_a_row():
    lines = printed(table(3), 40, terminal=False).splitlines()
    assert sum("row 1" in line and line.count(HIGH) == 3 for line in lines) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("grid",), {"grid"}),
        (("*.wafer_price_usd",), {"n16", "n7", "n5", "n3", "n2"}),
        (("grid.us_g_per_kwh", "wafer"), {"grid", "wafer"}),
    ],
)
def test_constants_of_a_book_by_table_or_pattern(command, names, expected):
    status, out, _ = command("assumptions", "default", *names, "--json")
    assert status == 0 and {row["name"].split(".")[0] for row in json.loads(out)["rows"]} == expected


def test_an_unknown_table_names_the_nearest(command):
    status, out, err = command("assumptions", "default", "gird")
    assert (status, out) == (2, "") and "did you mean 'grid'" in err
