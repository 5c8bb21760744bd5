"""Correlations of a book: what loads, what a book that extends another replaces, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel
from hwbase import Correlation, InputError, load_book
from hwbase.correlations import correlation_matrix, read_correlations

QUANTITIES = "\n".join(
    f'{name} = {{ low = 1, nominal = 2, high = 3, unit = "1", year = 2025, kind = "assumed", source = "s" }}'
    for name in ("a", "b", "c", "d")
)
BASE = f'[book]\nname = "base"\n[x]\n{QUANTITIES}\n'


def stated(*names, rho=0.5, **more):
    fields = {"between": list(names), "rho": rho, "source": "why", "kind": "assumed", "year": 2025} | more
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in fields.items() if value is not None)
    return f"[[correlations]]\n{lines}\n"


@pytest.fixture
def load(tmp_path):
    def of(text, extending=None):
        (tmp_path / "base.toml").write_text(BASE + text, encoding="utf-8")
        if extending is None:
            return load_book("base", tmp_path)
        (tmp_path / "mine.toml").write_text('[book]\nname = "mine"\nextends = "base"\n' + extending, encoding="utf-8")
        return load_book("mine", tmp_path)

    return of


def test_a_book_without_any(load):
    assert load("").correlations == ()


def test_every_pair_of_those_named(load):
    book = load(stated("x.c", "x.a", "x.b", rho=0.5))
    assert [c.between for c in book.correlations] == [("x.a", "x.b"), ("x.a", "x.c"), ("x.b", "x.c")]
    assert book.correlations[0] == Correlation(("x.a", "x.b"), 0.5, "why", "assumed", 2025)
    matrix = correlation_matrix(["x.b", "x.d", "x.a"], book.correlations)
    assert np.array_equal(matrix, [[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1]])
    assert list(book) == ["x.a", "x.b", "x.c", "x.d"]  # correlations are no quantities


def test_they_stay_with_the_book(load):
    book = load(stated("x.a", "x.b"))
    assert book.at("high").correlations == book.override({"x.a": 2}).correlations == book.correlations


def test_extending_carries_adds_and_replaces(load):
    base = stated("x.a", "x.b", "x.c", rho=0.5)
    assert load(base, "").correlations == load(base).correlations
    mine = load(base, stated("x.b", "x.a", rho=0.9, source="mine") + stated("x.c", "x.d", rho=-0.1))
    found = {c.between: (c.rho, c.source) for c in mine.correlations}
    assert found == {
        ("x.a", "x.b"): (0.9, "mine"),
        ("x.a", "x.c"): (0.5, "why"),
        ("x.b", "x.c"): (0.5, "why"),
        ("x.c", "x.d"): (-0.1, "why"),
    }


def test_what_the_extended_book_states_counts_too(load):
    """Each alone is possible; together they are not."""
    base = stated("x.a", "x.b", rho=0.7) + stated("x.a", "x.c", rho=0.7)
    with pytest.raises(InputError, match=r"mine.toml: the correlations of x.a, x.b, x.c cannot all hold"):
        load(base, stated("x.b", "x.c", rho=-0.9))


@pytest.mark.parametrize("rho", [-1.0, 0.0, 1.0])
def test_bounds_may_be_reached(load, rho):
    assert load(stated("x.a", "x.b", rho=rho)).correlations[0].rho == rho


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (stated("x.a", "x.bb"), "did you mean 'x.b'"),
        (stated("x.a", "y"), "unknown assumption in a correlation of base.toml"),
        (stated("x.a"), "expected two names or more"),
        (stated(), "expected two names or more"),
        (stated("x.a", "x.a"), "each once"),
        (stated("x.a", "x.b", rho=1.01), "rho = 1.01: expected"),
        (stated("x.a", "x.b", rho=-2), "rho = -2"),
        (stated("x.a", "x.b", rho="high"), "rho = 'high'"),
        (stated("x.a", "x.b").replace("0.5", "nan"), "rho = nan"),
        (stated("x.a", "x.b").replace("0.5", "inf"), "rho = inf"),
        (stated("x.a", "x.b", rho=None), "rho is missing"),
        (stated("x.a", "x.b", source=None), "source is missing"),
        (stated("x.a", "x.b", source="  "), "source is empty"),
        (stated("x.a", "x.b", kind="guess"), "kind = 'guess'"),
        (stated("x.a", "x.b", year=None), "year is missing"),
        (stated("x.a", "x.b", rhoo=0.5), "did you mean 'rho'"),
        (stated("x.a", "x.b") + stated("x.b", "x.a"), "stated twice"),
        (stated("x.a", "x.b", "x.c", rho=-0.9), "cannot all hold"),
    ],
)
def test_what_is_refused(load, text, said):
    with pytest.raises(InputError, match=said):
        load(text)


@pytest.mark.parametrize("tables", [{"between": ["a", "b"]}, 3, "none", [1, 2]])
def test_only_tables(tables):
    with pytest.raises(InputError, match=r"expected \[\[correlations\]\] tables"):
        read_correlations("mine.toml", tables)


@pytest.mark.slow
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_three_that_load_are_possible(tmp_path_factory, ab, ac, bc):
    """A book loads if and only if the determinant of the three (their only condition beside |rho| <= 1) allows it."""
    determinant = 1 + 2 * ab * ac * bc - ab**2 - ac**2 - bc**2
    folder = tmp_path_factory.mktemp("book")
    pairs = stated("x.a", "x.b", rho=ab) + stated("x.a", "x.c", rho=ac) + stated("x.b", "x.c", rho=bc)
    (folder / "base.toml").write_text(BASE + pairs, encoding="utf-8")
    if determinant > 1e-9:
        assert len(load_book("base", folder).correlations) == 3
    elif determinant < -1e-6:
        with pytest.raises(InputError, match="cannot all hold"):
            load_book("base", folder)


@pytest.mark.parametrize("name", costmodel.book_names())
def test_ours_are_marked_as_assumed_and_say_why(name):
    correlations = costmodel.load_book(name).correlations
    assert correlations and all(c.kind == "assumed" and len(c.source) > 20 for c in correlations)
