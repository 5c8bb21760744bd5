"""Units and conversions that the books need are known without pint, and are what pint says they are."""

import tomllib
from pathlib import Path

import pytest

from hwbase import units

ROOT = Path(units.__file__).parents[1]


def _units_of(table):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _units_of(value)
        elif key == "unit":
            yield value


def test_every_unit_of_our_books_is_usual_and_is_known_to_pint():
    books = [*ROOT.glob("hwsim/books/*.toml"), *ROOT.glob("costmodel/books/*.toml")]
    stated = {unit for path in books for unit in _units_of(tomllib.loads(path.read_text(encoding="utf-8")))}
    assert stated <= units.USUAL_UNITS
    for unit in units.USUAL_UNITS:
        units.parse(unit)


@pytest.mark.parametrize("pair", units.USUAL_FACTORS)
def test_a_usual_conversion_is_that_of_pint(pair):
    given, expected = (units.parse(unit) for unit in pair)
    converted = units.registry().Quantity(1.0, given).to(expected).magnitude
    assert units.USUAL_FACTORS[pair] == pytest.approx(converted, rel=1e-15)
