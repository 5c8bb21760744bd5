"""Records: plain values, strict JSON, frames, and notebook tables that escape what they show."""

import dataclasses
import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbase import Record
from hwbase.columns import column
from hwbase.notebook import value_text
from hwbase.record import finite, flatten, plain


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Part(Record):
    name: str
    size: Any


@dataclass(frozen=True)
class Whole(Record):
    title: str = "t"
    value: Any = 1.5
    part: Part | None = None
    table: dict[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Foreign:
    x: int = 3


def strict(text):
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_plain_values():
    record = Whole(
        part=Part("p", np.array([1, 2])), table={"a": np.float64(2), 3: Colour.RED}, parts=(Part("q", None),)
    )
    assert record.to_dict() == {
        "title": "t",
        "value": 1.5,
        "part": {"name": "p", "size": [1, 2]},
        "table": {"a": 2.0, "3": "red"},
        "parts": [{"name": "q", "size": None}],
    }
    assert plain(Foreign()) == {"x": 3} and plain(Foreign) is Foreign
    assert type(plain(np.bool_(True))) is bool and type(plain(np.int16(3))) is int


@pytest.mark.parametrize(
    "value",
    [np.nan, np.inf, -np.inf, np.float32("nan"), np.array([1.0, np.nan]), {"a": [np.inf, {"b": np.nan}]}, (np.nan,)],
    ids=repr,
)
def test_json_is_strict(value):
    data = strict(Whole(value=value).to_json())
    assert "null" in Whole(value=value).to_json() and data["title"] == "t"


@pytest.mark.slow
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_json_round_trips_what_is_finite(value):
    assert strict(Whole(value=value).to_json()) == finite(Whole(value=value).to_dict())


def test_json_keeps_text_as_it_is():
    assert "µm² 中" in Whole(title="µm² 中").to_json() and Whole().to_json(indent=None).count("\n") == 0


def test_a_scalar_record_is_one_row():
    frame = Whole(part=Part("p", 3)).to_frame()
    assert frame.shape[0] == 1 and frame["part.size"][0] == 3 and frame["title"][0] == "t"


def test_arrays_are_rows():
    frame = Whole(value=np.array([1.0, 2.0, 3.0]), table={"x": np.array([4, 5, 6])}).to_frame()
    assert (
        list(frame["value"]) == [1, 2, 3] and list(frame["table.x"]) == [4, 5, 6] and list(frame["title"]) == ["t"] * 3
    )


@pytest.mark.parametrize("where", ["title", "value", "key", "inner"])
def test_html_is_escaped(where):
    evil = "<script>alert('&')</script>"
    record = {
        "title": Whole(title=evil),
        "value": Whole(value=[evil, evil]),
        "key": Whole(table={evil: 1}),
        "inner": Whole(part=Part(evil, 1)),
    }[where]
    page = record._repr_html_()
    assert (
        "<script>" not in page and "&lt;script&gt;" in page and "&amp;" in page and "<caption>Whole</caption>" in page
    )


def test_html_shortens_long_arrays():
    page = Whole(value=np.arange(1000)).to_frame and Whole(value=np.arange(1000))._repr_html_()
    assert "0, 1, 2, ... 1,000 values" in page and len(page) < 2000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5678, "1,235"),
        (1e9, "1,000,000,000"),
        (5, "5"),
        (None, "–"),
        ([1.0, 2.0], "1, 2"),
        ([], ""),
        ([{"a": 1}, {"a": 2}], "2 entries"),
        (float("nan"), "–"),
        ("as-published", "as-published"),
    ],
)
def test_values_of_a_notebook(value, text):
    assert value_text(column("value"), value) == text


def test_a_record_is_shown_with_labels_and_units():
    page = Whole(table={"latency_s": 0.0005676, "n5.d0_per_cm2": 0.11})._repr_html_()
    assert "latency_s" not in page and "567.6\xa0µs" in page and "0.11 1/cm²" in page


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2} and flatten({"a": {}}) == {}


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Whole().title = "x"
