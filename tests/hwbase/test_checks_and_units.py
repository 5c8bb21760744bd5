"""Numbers at the boundary, and units that convert."""

import decimal
import fractions
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError, check, units, unknown_name

finite = st.floats(-1e30, 1e30, allow_nan=False)
CHECKS = {"number": check.number, "positive": check.positive, "non_negative": check.non_negative}
CHECKS |= {"fraction": check.fraction, "count": check.count}
every = pytest.mark.parametrize("name", list(CHECKS))


@given(finite)
def test_numbers_come_back(value):
    assert check.number("x", value) == value and type(check.number("x", value)) is float
    assert np.array_equal(check.number("x", [value, 1.0]), [value, 1.0])
    assert check.number("x", np.float64(value)) == value


@every
@pytest.mark.parametrize(
    "value", [1, 1.0, np.int8(1), np.float32(1), decimal.Decimal(1), fractions.Fraction(1), np.array(1)]
)
def test_all_kinds_of_one(name, value):
    found = CHECKS[name]("x", value)
    assert found == 1 and type(found) is (int if name == "count" else float)


@every
@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, np.True_, "", "5", b"5", "nan", [], (), np.array([]), {}, {1: 2}, object(), 1j, [1, None]),
        *(
            math.nan,
            math.inf,
            -math.inf,
            [1.0, math.nan],
            np.array([[1.0], [math.inf]]),
            10**400,
            [1, 10**400],
            -(10**400),
        ),
        *(1e31, [[1], [1, 2]], ["a"], slice(3)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_not_a_number_in_range(name, value):
    with pytest.raises(InputError, match=r"^x(:| )") as refused:
        CHECKS[name]("x", value)
    assert "expected" in str(refused.value)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_bounds(value):
    def passes(function, **limits):
        try:
            function("x", value, **limits)
        except InputError:
            return False
        return True

    good = math.isfinite(value) and abs(value) <= 1e30
    assert passes(check.positive) == (good and value > 0)
    assert passes(check.non_negative) == (good and value >= 0)
    assert passes(check.fraction) == (good and 0 <= value <= 1)
    assert passes(check.count) == (good and 1 <= value <= 1e15 and value == int(value))
    assert passes(check.number, low=-2.0, high=3.0) == (good and -2 <= value <= 3)
    assert passes(check.number, above=-2.0, high=None) == (math.isfinite(value) and value > -2)


def test_one_bad_element_among_many():
    values = np.ones((100, 100))
    values[63, 17] = -7.25
    with pytest.raises(InputError, match=r"^x = -7.25: expected a finite number >= 0 and <= 1e\+30$"):
        check.non_negative("x", values)


def test_messages_show_the_value_itself():
    with pytest.raises(InputError, match=r"^x = 100000005: expected a whole number >= 1 and <= 1e\+08$"):
        check.count("x", 100_000_005, high=1e8)
    with pytest.raises(InputError, match=r"^x = 1.5: expected a whole number"):
        check.count("x", 1.5)


def test_shapes_are_kept():
    values = np.arange(6).reshape(2, 3) + 1
    assert check.count("x", values).shape == (2, 3) and check.number("x", np.float64(3)) == 3.0


@pytest.mark.parametrize("names", [["clock_hz", "batch"], {"clock_hz": 1}, ("Clock_Hz",)])
def test_unknown_names_suggest(names):
    assert "did you mean '" in str(unknown_name("field", "CLOCK_HX", names))


def test_unknown_names_list_what_there_is():
    error = unknown_name("thing", "zzz", [f"name{i:02d}" for i in range(20)])
    assert (
        str(error) == "unknown thing 'zzz'; expected one of: " + ", ".join(f"name{i:02d}" for i in range(12)) + ", ..."
    )
    assert isinstance(error, ValueError)


# Units

COMPATIBLE = [
    ("B/s", "GB/s", 1e-9),
    ("Gbit/s", "B/s", 0.125e9),
    ("mm**2", "um**2", 1e6),
    ("mm**2", "cm**2", 0.01),
    ("USD", "kUSD", 1e-3),
    ("MUSD", "kUSD", 1e3),
    ("kgCO2e", "tCO2e", 1e-3),
    ("gCO2e", "kgCO2e", 1e-3),
    ("J", "pJ", 1e12),
    ("kW*h", "J", 3.6e6),
    ("Hz", "1/s", 1.0),
    ("1", "percent", 100.0),
    ("W/mm**2", "W/cm**2", 100.0),
    ("GiB", "B", 2**30),
    ("year", "day", 365.25),
]
FAMILIES = [
    ["B/s", "GB/s", "Gbit/s", "B/us"],
    ["mm**2", "um**2", "cm**2"],
    ["USD", "kUSD", "MUSD"],
    ["J", "pJ", "kW*h"],
]


@pytest.mark.parametrize(("given", "expected", "factor"), COMPATIBLE)
def test_factors(given, expected, factor):
    assert units.factor(given, expected, "x") == pytest.approx(factor, rel=1e-12, abs=0)
    assert units.factor(expected, given, "x") == pytest.approx(1 / factor, rel=1e-12, abs=0)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.floats(1e-20, 1e20))
@pytest.mark.slow
def test_round_trips(data, value):
    family = data.draw(st.sampled_from(FAMILIES))
    a, b, c = (data.draw(st.sampled_from(family)) for _ in range(3))
    there = value * units.factor(a, b, "x")
    assert there * units.factor(b, a, "x") == pytest.approx(value, rel=1e-12, abs=0)
    assert there * units.factor(b, c, "x") == pytest.approx(value * units.factor(a, c, "x"), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("kg", "Hz"),
        ("USD", "kgCO2e"),
        ("B", "B/s"),
        ("mm", "mm**2"),
        ("chip", "gpu"),
        ("token/s", "Hz"),
        ("W", "J"),
        ("1", "m"),
    ],
)
def test_other_things(given, expected):
    with pytest.raises(InputError, match=r"field has unit .*: expected"):
        units.factor(given, expected, "field")


@pytest.mark.parametrize("unit", ["blorp", "mm***2", "5 kg", "m/", "(", "__import__('os')", "W W W W oops", "1/0"])
def test_unknown_units(unit):
    with pytest.raises(InputError, match="is not known"):
        units.factor(unit, "m", "field")


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_unit_or_an_input_error(text):
    try:
        assert math.isfinite(units.factor(text, "m", "field"))
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(("given", "expected"), [("degC", "K"), ("K", "degC"), ("degF", "degC"), ("dB", "1")])
def test_scales_with_another_zero_are_not_factors(given, expected):
    with pytest.raises(InputError, match="field"):
        units.factor(given, expected, "field")
