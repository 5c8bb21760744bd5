"""What is not quite a number, a unit or a file: refused in one short sentence, and in little time."""

import datetime
import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError, check, load_book, units, unknown_name
from hwbase.errors import MOST_SHOWN, cut, shown
from hwbase.parsing import MOST_BYTES, parse_json, read_json, read_text, read_toml

#: The longest message: one echo, and the sentence around it.
LONGEST = MOST_SHOWN + 200
LONG = "a" * 100_000
ENDLESS = Path("/dev/zero")


def refusal(call, *arguments, **options):
    """The message of the InputError that a call raises, which must be one short line."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) <= LONGEST
    return message


# Numbers


@pytest.mark.parametrize(
    "value",
    [
        *(np.array([True, False]), np.array(True), [True, 2.0], (1, [True]), [np.True_], pd.Series([True])),
        *(np.array(["2020-01-01"], "M8[D]"), np.array([5], "m8[s]"), np.datetime64("2020"), np.timedelta64(5, "s")),
        *([np.timedelta64(5, "s")], datetime.date(2020, 1, 1), [datetime.datetime(2020, 1, 1)], pd.Timestamp("2020")),
        *(["2048"], [b"2048"], np.array(["2048"]), np.array("5"), np.array(b"5"), [1.0, "2"], pd.Series(["1"])),
        *(1j, [1 + 0j], np.array([1 + 0j]), np.complex64(1), np.zeros(1, "V8"), np.array([(1.0,)], "f8,")),
        *(np.array([1, True], object), np.array([1, "2"], object), np.array([None], object), np.array([b"1"], object)),
        *(pd.Series([1, None], dtype="Int64"), pd.Categorical(["a"]), {1.0}, iter([1.0]), lambda: 1.0),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0][:30],
)
def test_what_only_looks_like_numbers(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in (check.number, check.positive, check.count):
            message = refusal(call, "x", value)
            assert message.startswith("x") and "expected a" in message


@pytest.mark.parametrize(
    "value",
    [
        np.ma.array([2048.0, 4096.0], mask=[0, 1]),
        np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [0, 1]]),
        np.ma.masked,
        [1.0, np.ma.masked],
        [np.ma.array([1.0, 2.0], mask=[0, 1])],
    ],
    ids=["floats", "integers", "constant", "in a list", "nested"],
)
def test_masked_values_are_not_read(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "mask" in refusal(check.number, "x", value) or isinstance(value, list)


def test_arrays_without_a_masked_value_are_arrays():
    array = check.number("x", np.ma.array([1.0, 2.0], mask=[0, 0]))
    assert type(array) is np.ndarray and array.tolist() == [1.0, 2.0]
    assert check.number("x", pd.Series([1, 2], dtype="Int64")).tolist() == [1.0, 2.0]
    assert check.number("x", pd.Series([1.5])).tolist() == [1.5]
    assert check.number("x", range(3)).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, object])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_later_changes_of_the_callers_array_do_not_matter(dtype, whole, shape):
    given_array = np.array([1, 2, 3], dtype).reshape(shape)
    kept = check.number("x", given_array, whole=whole)
    given_array[...] = 99
    assert kept.tolist() == np.reshape([1.0, 2.0, 3.0], shape).tolist() and kept.dtype == float


def test_narrow_and_wide_floats_are_checked_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check.number("x", np.array([1.0, 2.0], np.float32)).tolist() == [1.0, 2.0]
        assert check.number("x", np.array([0.5], np.float16)).tolist() == [0.5]
        refusal(check.number, "x", np.array([1.0, 3e38], np.float32))
        refusal(check.number, "x", np.array([np.longdouble("1e4000"), np.longdouble(1)]), high=None)


def test_lists_without_end_are_refused():
    circle = []
    circle.append(circle)
    refusal(check.number, "x", circle)
    deep = [1.0]
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    refusal(check.number, "x", deep)


def test_one_number_is_no_array():
    assert check.integer("x", 5.0) == 5 and type(check.integer("x", np.int8(5))) is int
    assert type(check.real("x", 5)) is float and check.real("x", np.array(0.5), high=1.0) == 0.5
    for value in ([5], np.array([5]), np.array([1, 2]), np.ones((1, 1)), pd.Series([1, 2])):
        for call in (check.integer, check.real):
            assert "expected one number" in refusal(call, "x", value)
    for value in (1.5, "5", True, None, math.nan, 0):
        refusal(check.integer, "x", value)


@pytest.mark.slow
def test_infinity_only_where_it_is_asked_for():
    assert check.number("x", math.inf, high=math.inf) == math.inf
    assert check.number("x", [1.0, math.inf], above=0.0, high=math.inf).tolist() == [1.0, math.inf]
    assert check.number("x", np.array([1.0, math.inf]), high=math.inf).tolist() == [1.0, math.inf]
    for value in (math.nan, -math.inf, [math.nan, 1.0], np.array([math.nan, 1.0]), np.array([1.0, -math.inf])):
        refusal(check.number, "x", value, low=0.0, high=math.inf)
        refusal(check.number, "x", value, high=None)
    refusal(check.number, "x", math.inf, high=None)


# Shapes


def test_shapes_broadcast():
    assert check.shapes() == check.shapes(a=1.0, b="text") == ()
    assert check.shapes(a=np.ones((2, 1)), b=[1.0, 2.0, 3.0], c=None) == (2, 3)


def test_shapes_that_do_not_fit_are_named():
    message = refusal(check.shapes, volume=1.0, context=np.ones(3), set=np.ones((2, 1)), batch=np.ones(2))
    assert message == "context has shape (3,) and batch has shape (2,): expected shapes that broadcast together"


@given(st.lists(st.lists(st.integers(1, 3), max_size=3).map(tuple), max_size=4))
@pytest.mark.slow
def test_shapes_are_those_of_numpy(given_shapes):
    values = {f"v{i}": np.ones(shape) for i, shape in enumerate(given_shapes)}
    try:
        expected = np.broadcast_shapes(*given_shapes)
    except ValueError:
        refusal(check.shapes, **values)
    else:
        assert check.shapes(**values) == expected


# Units


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "9**9**9**9",
            "10**10**10*byte/s",
            "byte/s**(10**10**10)",
            "USD/kWh*9**9**9",
            "m**9**9",
            "m^9^9",
            "m**(9)**9",
        ),
        *("(KiB**99)**99*(KiB**99)**99*((KiB**99)**99)", "((((9**99)**99)**99)**99)**99", "(9*m)**99", "m**999"),
        *(
            "m**1_000",
            "m**1e9",
            "m**(9*9)",
            "m**0x99",
            "1e9*m",
            "0x10*m",
            "m\u00b2\u00b3\u00b2",
            "m\u00b3**99",
            "m\u2079\u2079",
        ),
        *("W" * 61, "(" * 60, "1" * 60, "*".join("m" * 40), "__import__('os')", "m\nm", "m\0", "\ud800", "", " "),
    ],
    ids=lambda unit: ascii(unit)[:30],
)
def test_units_that_would_take_for_ever_or_are_none(unit):
    # Before they were bounded, the first of them did not end.
    if unit.strip():
        refusal(units.parse, unit)
    refusal(units.factor, unit, "F/um", "x")


def test_a_unit_with_too_large_a_factor():
    assert "too large" in refusal(units.factor, "(KiB**99)**99", "(B**99)**99", "x")


@pytest.mark.parametrize(
    ("unit", "expected", "factor"),
    [
        ("mm\u00b2", "um**2", 1e6),
        ("cm^2", "mm**2", 100.0),
        ("m**(-2)", "1/m**2", 1.0),
        ("\u00b5s", "s", 1e-6),
        ("\u03bcm", "m", 1e-6),
        ("USD / (kW * hour)", "USD/kWh", 1.0),
        ("W per mm**2", "W/cm**2", 100.0),
        ("%", "1", 0.01),
    ],
)
def test_units_as_people_write_them(unit, expected, factor):
    assert units.factor(unit, expected, "x") == pytest.approx(factor)


@pytest.mark.parametrize("unit", ["mB/s", "mbit/s", "mtoken", "mUSD", "mHz", "uB", "cbit", "1/mtoken", "mUSD/kWh"])
def test_fractions_of_what_comes_whole(unit):
    message = refusal(units.parse, unit)
    assert "fractions of one" in message and "k, M or G" in message


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789*^() mKiB/s.e-+_", max_size=70))
@pytest.mark.slow
def test_any_arithmetic_is_a_unit_or_is_refused(text):
    try:
        units.factor(text, "m", "x")
    except InputError as error:
        assert len(str(error)) <= LONGEST


# Files


@pytest.fixture(params=[read_toml, read_json, read_text])
def reader(request):
    return request.param


def test_a_file_that_is_not_there_says_so(reader, tmp_path):
    assert refusal(reader, tmp_path / "nope.toml").endswith("nope.toml': it does not exist")


def test_files_that_cannot_be_read(reader, tmp_path):
    assert "cannot read" in refusal(reader, tmp_path)
    assert "no file can have this name" in refusal(reader, tmp_path / "a\0b")
    assert "cannot read" in refusal(reader, tmp_path / LONG)


def test_files_of_other_encodings(reader, tmp_path):
    path = tmp_path / "a.txt"
    for data in ("caf\u00e9 = 1".encode("latin-1"), '{"a": 1}'.encode("utf-16"), b"\xff\xfe\x00"):
        path.write_bytes(data)
        assert refusal(reader, path) == "a.txt is not UTF-8 text"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(path) == {"a": 1} and read_text(path) == "a = 1\n"


@pytest.mark.skipif(not ENDLESS.exists(), reason="no endless file on this system")
def test_an_endless_file_ends(reader):
    assert f"larger than {MOST_BYTES:,} bytes" in refusal(reader, ENDLESS)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a = " + "[" * 100_000, '{"a":' * 100_000, "1" * 10_000, "a = " + "1" * 10_000]
)
def test_nesting_and_digits_without_end(text, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert "is not valid TOML" in refusal(read_toml, path)
    message = refusal(read_json, path)
    assert "is not valid JSON" in message or "expected a JSON object" in message


def test_keys_come_once(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"layers": 32, "other": [{"a": 1}]})[:-1] + ', "layers": 2}')
    assert refusal(read_json, path) == "a.json: key 'layers' is there twice: expected each key once"
    assert "key 'b' is there twice" in refusal(parse_json, '[{"a": {"b": 1, "b": 1}}]', "line 3")
    assert parse_json('[{"a": 1}, {"a": 2}]', "line 3") == [{"a": 1}, {"a": 2}]
    long = json.dumps(LONG)
    refusal(parse_json, f"{{{long}: 1, {long}: 2}}", "line 3")


BOOK = '[book]\nname = "mine"\n'
ENTRY = 'nominal = 1\nunit = "W"\nyear = 2024\nkind = "paper"\nsource = "me"\n'
STATED = 'rho = 0.5\nyear = 2024\nkind = "paper"\nsource = "me"\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        f"{BOOK}[a]\n{ENTRY.replace(chr(34) + 'W' + chr(34), chr(34) + LONG + chr(34))}",
        f"{BOOK}[a]\n{ENTRY.replace('2024', chr(34) + LONG + chr(34))}",
        f"{BOOK}[a]\n{ENTRY.replace('paper', LONG)}",
        f"{BOOK}[a]\n{ENTRY.replace('nominal = 1', 'nominal = ' + chr(34) + LONG + chr(34))}",
        f"{BOOK}[a]\n{ENTRY}{LONG} = 1\n",
        f"{BOOK}[{LONG}]\n{ENTRY}",
        f"{BOOK}[{'.'.join('a' * 5000)}]\n{ENTRY}",
        f"{BOOK}{LONG} = 1\n[a]\n{ENTRY}",
        f"{BOOK}title = [{'1, ' * 10_000}]\n[a]\n{ENTRY}",
        f'[book]\nname = "mine"\nextends = "{LONG}"\n',
        f'[book]\nname = "mine"\nextends = ["{LONG}"]\n',
        f'{BOOK}[a]\n{ENTRY}[[correlations]]\nbetween = ["a", "{LONG}"]\n{STATED}',
        f'{BOOK}[a]\n{ENTRY}[[correlations]]\nbetween = ["{LONG}"]\n{STATED}',
    ],
    ids=range(13),
)
def test_books_repeat_little_of_what_they_refuse(text, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    refusal(load_book, "mine", tmp_path)


def test_overrides_repeat_little_of_what_they_refuse(tmp_path):
    (tmp_path / "mine.toml").write_text(f"{BOOK}[a]\n{ENTRY}")
    book = load_book("mine", tmp_path)
    for given_value in (LONG, f"1 {LONG}", f"{LONG} W", [LONG], -np.ones(10**5), "9" * 10_000, "-1 W", "1 mB/s"):
        refusal(book.override, {"a": given_value})
    refusal(book.override, {LONG: 1})
    refusal(load_book, LONG, tmp_path)
    refusal(load_book, LONG + ".toml", tmp_path)


# Messages


@pytest.mark.parametrize(
    "value",
    [LONG, LONG.encode(), [1] * 100_000, 10**6000, np.ones((99, 99)), "a\nb\tc", "\ud800", {LONG: LONG}],
    ids=["text", "bytes", "list", "integer", "array", "lines", "surrogate", "dictionary"],
)
def test_values_are_shown_on_one_short_line(value):
    text = shown(value)
    assert len(text) <= MOST_SHOWN and "\n" not in text
    assert len(cut(text * 9)) <= MOST_SHOWN
    text.encode("utf-8")


def test_a_value_that_cannot_describe_itself():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert shown(Broken()) == "a value of type Broken"
    refusal(check.number, "x", Broken())


@pytest.mark.slow
def test_unknown_names_are_cut():
    raise_it = lambda name, valid: (_ for _ in ()).throw(unknown_name("thing", name, valid))  # noqa: E731
    refusal(raise_it, LONG, ["machine"])
    assert "did you mean" in refusal(raise_it, "machin", ["machine", LONG])
    with pytest.raises(InputError) as caught:
        raise_it("zzz", [f"{LONG}{i}" for i in range(20)])
    assert len(str(caught.value)) < 13 * MOST_SHOWN
