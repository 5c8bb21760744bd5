"""Formulas: what Python and NumPy make of the same text, and nothing that is not on the list."""

import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.study.expressions import FUNCTIONS, evaluate_formula, parse
from hwbase import InputError

COLUMNS = {
    "a": np.array([1.0, -2.0, 0.0, np.nan, np.inf, 1e300]),
    "b": np.array([3.0, 0.5, -1.0, 2.0, 1.0, -1e300]),
    "n": np.array([1, 2, 3, 4, 5, -6]),
    "flag": np.array([True, False, True, False, True, False]),
    "gaps": np.array([True, False, None, True, None, True], dtype=object),
    "word": np.array(["n5", "n3", None, "n5", "n2", "n5"], dtype=object),
    "n5.wafer_price_usd": np.full(6, 17e3),
    "fixed": np.asarray(4.0),
    "node": np.asarray("n5"),
}
ROWS = 6


def value(text, columns=COLUMNS):
    return evaluate_formula("derived x", parse("derived x", text), columns)


NUMBERS = st.recursive(
    st.sampled_from(["a", "b", "n", "fixed", "2", "0.5", "1e3", "0"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        )
        | inner.map(lambda t: f"(-{t})")
        | inner.map(lambda t: f"(+{t})")
        | st.tuples(st.sampled_from(["abs", "ceil", "exp", "floor", "log", "log10", "log2", "sqrt"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        )
        | st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
        | st.tuples(st.sampled_from(["a < b", "flag", "not flag", "n == 3"]), inner, inner).map(
            lambda t: f"where({t[0]}, {t[1]}, {t[2]})"
        )
    ),
    max_leaves=12,
)
TRUTHS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map(lambda t: f"({' '.join(t)})")
    | st.sampled_from(["flag", "isnan(a)"]),
    lambda inner: (
        inner.map(lambda t: f"(not {t})")
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})")
    ),
    max_leaves=6,
)


def row_by_row(text):
    """What Python makes of the formula at one row after the other; of numbers as arrays of one, which compute alike."""
    names = {name: function for name, (function, _) in FUNCTIONS.items()}
    literals = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?(?:e\d+)?)(?![\w.])", r"F(\1)", text)
    found = []
    for i in range(ROWS):
        row = {name: COLUMNS[name][i : i + 1] for name in ("a", "b", "n", "flag")}
        row |= {"n": row["n"].astype(float), "fixed": COLUMNS["fixed"].reshape(1)}
        with np.errstate(all="ignore"):
            value = eval(literals, {"__builtins__": {}}, names | row | {"F": lambda x: np.array([float(x)])})
        found.append(np.asarray(value).reshape(-1)[0])
    return np.array(found)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(NUMBERS)
def test_arithmetic_is_that_of_numpy(text):
    ours, theirs = np.broadcast_to(value(text), (ROWS,)).astype(float), row_by_row(text)
    # NumPy takes nan ** 0 as 1 and nan < 1 as false; what is unknown stays so here.
    differ = np.isnan(ours) & any(sign in text for sign in ("**", "where"))
    np.testing.assert_array_equal(ours[~differ], theirs[~differ])


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(TRUTHS)
def test_conditions_are_those_of_python(text):
    ours = np.broadcast_to(value(text), (ROWS,))
    known = ours != None  # noqa: E711 - element by element
    sides = re.split(r"and|or|not|<=|>=|==|!=|<|>", text.strip("()"))
    assert ours[known].tolist() == row_by_row(text)[known].tolist() or "**" in text or "where" in text
    assert {type(each) for each in ours.tolist()} <= {bool, type(None)} and (known.all() or len(sides) > 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 < a < 2", [True, False, False, None, False, False]),
        ("0 < 1 < a", [False, False, False, None, True, True]),
        # A part that is known may decide; otherwise unknown stays unknown, also the other way round.
        ("a != 5", [True, True, True, None, True, True]),
        ("not (a < 0.2)", [True, False, False, None, True, True]),
        ("a < 0.2 or b > 1", [True, True, True, True, False, False]),
        ("a < 0.2 and b < 1", [False, True, True, False, False, False]),
        ("a ** 0 == 1", [True, True, True, None, True, True]),
        ("where(a < 1, 1, 2)", [2.0, 1.0, 1.0, np.nan, 2.0, 2.0]),
        ("1 < 2", True),
        ("fixed < 0 / 0", None),
        ("1 < fixed <= n", [False, False, False, True, True, False]),
        ("word == 'n5'", [True, False, None, True, False, True]),
        ("word != 'n5'", [False, True, None, False, True, False]),
        ("node == 'n5'", True),
        ("node == word", [True, False, None, True, False, True]),
        ("word == 5", [False, False, None, False, False, False]),
        ("flag == 1", [True, False, True, False, True, False]),
        ("gaps", [True, False, None, True, None, True]),
        ("gaps and flag", [True, False, None, False, None, False]),
        ("not gaps", [False, True, None, False, None, False]),
        ("gaps == True", [True, False, None, True, None, True]),
        ("isnan(a) or a > 5", [False, False, False, True, True, True]),
        ("where(word == 'n5', 'old', 'newer')", ["old", "newer", None, "old", "newer", "old"]),
        ("n ** -1", [1.0, 0.5, 1 / 3, 0.25, 0.2, -1 / 6]),
        ("n // 2", [0.0, 1.0, 1.0, 2.0, 2.0, -3.0]),
        ("n5.wafer_price_usd / 1000", [17.0] * 6),
        ("flag + flag", [2.0, 0.0, 2.0, 0.0, 2.0, 0.0]),
        ("log2(8)", 3.0),
        ("max(n, 3)", [3.0, 3.0, 3.0, 4.0, 5.0, 3.0]),
        (" 2\t* 3 ", 6.0),
    ],
)
def test_particular_formulas(text, expected):
    np.testing.assert_array_equal(value(text), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency_s <= 5 ms", [True, False]),
        ("latency_s <= 5ms and tco_usd < 20 kUSD", [True, False]),
        ("latency_s <= '5 ms'", [True, False]),
        ("1 us < latency_s < .005 s", [True, False]),
        ("link_bandwidth_bytes_per_s >= 128 GB/s", [False, True]),
        ("context > 2K", [False, True]),
        ("context == '64K'", [False, True]),
        ("batch_size < 2K", [True, False]),
        ("technology == '5 nm'", [False, True]),
        ("n5.wafer_price_usd < 18 kUSD", [True, True]),
        ("where(latency_s < 5 ms, 1, 0) == 1", [True, False]),
    ],
)
def test_numbers_with_units_are_read_as_the_column_has_them(text, expected):
    columns = {
        "latency_s": np.array([0.001, 0.01]),
        "tco_usd": np.array([1e4, 1e5]),
        "link_bandwidth_bytes_per_s": np.array([64e9, 128e9]),
        "context": np.array([2048, 65536]),
        "batch_size": np.array([1, 4096]),
        "technology": np.array(["n5", "5 nm"], dtype=object),
        "n5.wafer_price_usd": np.asarray(17e3),
    }
    np.testing.assert_array_equal(np.broadcast_to(value(text, columns), (2,)), expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency_s <= 5 GB", "has unit 'GB': expected 's'"),
        ("latency_s <= 5 wombats", "unit 'wombats' is not known"),
        ("latency_s <= 'soon'", "expected a finite number such as '18' or '18 s'"),
        ("context <= 1.00001K", "expected a whole number"),
        ("tco_usd / tokens_per_s <= 5 USD", "'5 USD' has a unit: expected it beside a column"),
        ("latency_s * 5 ms", "'5 ms' has a unit: expected it beside a column"),
    ],
)
def test_units_that_do_not_fit_are_refused_before_anything_is_computed(text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        parse("constraint x", text)


def test_single_flags_are_not_rounded():
    """NumPy takes logarithms of flags in half precision."""
    assert np.asarray(value("log(flag + 2)")).dtype == np.float64
    assert value("exp(flag)")[0] == math.e


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1 / 0", np.inf), ("0 / 0", np.nan), ("log(-1)", np.nan), ("log(0)", -np.inf), ("1e308 * 10", np.inf)],
)
def test_what_is_undefined(text, expected, recwarn):
    np.testing.assert_equal(float(value(text)), expected)
    assert not recwarn


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a +",
        "(a",
        "a b",
        "a = 1",
        "a; b",
        "import os",
        "lambda: 1",
        "lambda x: x",
        "[a]",
        "(a, b)",
        "{a}",
        "{'a': 1}",
        "[x for x in a]",
        "(x for x in a)",
        "{x for x in a}",
        "{x: x for x in a}",
        "a[0]",
        "a[0:1]",
        "a if b else n",
        "(y := 1)",
        "f'{a}'",
        "'a' 'b'.upper()",
        "b'bytes'",
        "None",
        "...",
        "1j",
        "~n",
        "n & 1",
        "n | 1",
        "n ^ 1",
        "n << 1",
        "n >> 1",
        "a @ b",
        "a is b",
        "a is not b",
        "a in b",
        "a not in b",
        "await a",
        "yield a",
        "*a",
        "__import__('os')",
        "__import__('os').system('true')",
        "open('x')",
        "eval('1')",
        "exec('1')",
        "abs",
        "abs.__class__",
        "abs()",
        "abs(a, b)",
        "abs(a)(b)",
        "max(a)",
        "max(a, b, n)",
        "max(*a)",
        "abs(**a)",
        "abs(x=a)",
        "max(a, b, key=n)",
        "a.__class__()",
        "a.copy()",
        "().__class__.__bases__",
        "''.join(a)",
        "(1).real",
        "abs(a).real",
        "where(flag, a, b).dtype",
        "x\0y",
        "'\ud800'",
        "9" * 400,
        "1" * 1999,
        "a\n+ b",
        3,
        None,
        True,
        ["a"],
        b"a",
        "a" * 2001,
        "+".join(["a"] * 1000),
        "-" * 1500 + "a",
        "(" * 900 + "a" + ")" * 900,
        "not " * 450 + "flag",
        "abs(" * 300 + "a" + ")" * 300,
        "a" + ".b" * 900,
    ],
)
def test_everything_else_is_refused(text):
    """When it is read, but for names: a formula may name any column."""
    with pytest.raises(InputError, match=r"derived x( = |: |)") as caught:
        tree = parse("derived x", text)
        evaluate_formula("derived x", tree, COLUMNS)
    assert "\n" not in str(caught.value).strip() or "\n" in str(text)


@pytest.mark.parametrize("depth", [1, 50, 99])
def test_formulas_of_a_sensible_depth(depth):
    assert float(value("-" * depth + "1")) == (-1) ** depth
    assert float(value("+".join(["1"] * depth))) == depth


def test_depth_is_no_matter_of_pythons_stack(monkeypatch):
    """Deep in other calls, as deep a formula is read and computed; none ever ends in a RecursionError."""

    def under(frames, text):
        return value(text) if frames == 0 else under(frames - 1, text)

    room = sys.getrecursionlimit() - 450
    assert float(under(room - 150, "-" * 90 + "1")) == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("abss(a)", "unknown function 'abss'; did you mean 'abs'"),
        ("wafer + a", "unknown column in derived x: 'wafer'"),
        ("fixde * 2", "did you mean 'fixed'"),
        ("n5.wafer_price", "did you mean 'n5.wafer_price_usd'"),
        ("sum(a, b)", "unknown function 'sum'"),
        ("word + 1", "a text where a number is expected"),
        ("-word", "a text where a number is expected"),
        ("'1' + 1", "a text where a number is expected"),
        ("'3' * 2", "a text where a number is expected"),
        ("abs(word)", "a text where a number is expected"),
        ("max(word, 'a')", "a text where a number is expected"),
        ("isnan(node)", "a text where a number is expected"),
        ("word < 3", "cannot be computed"),
        ("word < 'n5'", "cannot be computed"),
        ("node < 3", "cannot be computed"),
        ("a and b", "a number or text where a comparison is expected"),
        ("not a", "a number or text where a comparison is expected"),
        ("flag and word", "a number or text where a comparison is expected"),
        ("where(a, 1, 2)", "a number or text where a comparison is expected"),
        ("where(flag, 'a', 2)", "a text in one branch and a number in the other"),
    ],
)
def test_operands_that_do_not_go_together(text, said):
    with pytest.raises(InputError, match=said):
        value(text)


def test_columns_are_left_alone():
    columns = {"a": np.array([1.0, 2.0])}
    columns["a"].flags.writeable = False
    value("-a * 2 + max(a, 1)", columns)
    assert value("a", columns) is columns["a"]
