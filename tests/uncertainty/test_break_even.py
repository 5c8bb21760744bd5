"""Where a ratio crosses one, on made-up curves; axes and their ends; and the fleet's own break-evens."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import explorer
from explorer.documents import html
from explorer.pricing.evaluate import evaluate
from explorer.uncertainty import AXES, RATIOS, axis_named, break_even, break_even_document, cross
from explorer.uncertainty.axes import LIFETIME, RESPINS, respins_within
from hwbase import InputError, Quantity

X = np.linspace(1.0, 9.0, 9)
CONSTANTS = {
    LIFETIME: Quantity(26280.0, "hour", "s", "paper", 2025),
    "k.ranged": Quantity(2.0, "USD", "s", "paper", 2025, 1.0, 4.0),
    "k.wide": Quantity(2.0, "USD", "s", "paper", 2025, 1.0, 40.0),
    "k.fixed": Quantity(2.0, "USD", "s", "paper", 2025),
}


def lines(places):
    """Ratios exp(x - place), which cross one at their place."""
    return np.exp(X[:, None] - np.asarray(places, dtype=float)[None, :])


# Crossings


def test_each_draw_crosses_where_it_should():
    places = np.linspace(2.0, 8.0, 101)
    found = cross(X, lines(places), np.exp(X - 4.5))
    assert (found.pays, found.nominal) == ("above", pytest.approx(4.5))
    assert [found.p5, found.p50, found.p95] == pytest.approx([2.3, 5.0, 7.7], abs=0.05)
    assert (found.always, found.never, found.several) == (0, 0, 0)


def test_falling_ratios_pay_below():
    found = cross(X, 1 / lines([3.0, 4.0, 5.0]), np.exp(4.0 - X))
    assert found.pays == "below" and found.p50 == pytest.approx(4.0)


def test_logarithmic_axes_are_interpolated_so():
    x = np.array([1.0, 100.0])
    assert cross(x, np.array([[0.1], [10.0]]), np.array([0.1, 10.0]), log=True).p50 == pytest.approx(10.0)
    assert cross(x, np.array([[0.1], [10.0]]), np.array([0.1, 10.0])).p50 == pytest.approx(50.5)


def test_draws_beyond_the_axis_count_as_never_and_always():
    found = cross(X, lines([-5, -5, 5, 20, 20, 20]), np.exp(X - 20))
    assert (found.always, found.never) == (pytest.approx(2 / 6), pytest.approx(3 / 6))
    assert (found.p5, found.p50, found.p95, found.nominal) == (-np.inf, pytest.approx(5.0), np.inf, np.inf)
    turned = cross(X, 1 / lines([-5, -5, 5, 20, 20, 20]), np.exp(20 - X))
    assert (turned.pays, turned.p5, turned.p95, turned.nominal) == ("below", -np.inf, np.inf, np.inf)
    assert (turned.always, turned.never) == (pytest.approx(3 / 6), pytest.approx(2 / 6))


def test_a_ratio_that_does_not_depend_on_the_axis():
    found = cross(X, np.full((9, 4), 2.0), np.full(9, 2.0))
    assert (found.pays, found.always, found.never) == ("", 1.0, 0.0)


def test_more_crossings_than_one_are_counted_by_the_first():
    ratio = np.array([0.5, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])[:, None]
    found = cross(X, ratio, ratio[:, 0])
    assert found.several == 1.0 and found.p50 == pytest.approx(1.5)


def test_draws_with_a_gap_are_left_out():
    ratio = lines([3.0, 4.0, 5.0])
    ratio[2, 0] = np.nan
    assert cross(X, ratio, ratio[:, 1]).p5 == pytest.approx(4.0)
    gone = cross(X, np.full((9, 2), np.nan), np.full(9, np.nan))
    assert np.isnan([gone.p5, gone.p50, gone.p95, gone.always, gone.never, gone.nominal]).all()


@pytest.mark.slow
@given(st.lists(st.floats(-20, 30), min_size=1, max_size=30), st.booleans())
def test_shares_of_always_never_and_between_make_one(places, falls):
    ratio = 1 / lines(places) if falls else lines(places)
    found = cross(X, ratio, ratio[:, 0])
    # A ratio of exactly 1 does not pay: a falling line that is 1 at the first point never does.
    inside = np.mean([X[0] < place <= X[-1] if falls else X[0] <= place < X[-1] for place in places])
    assert found.always + found.never == pytest.approx(1 - inside, abs=1e-9)
    assert found.p5 <= found.p50 <= found.p95


# Axes


def test_axes_have_ends_points_and_units():
    volumes = AXES["volume"].values(41)
    assert volumes[0] == 1 and volumes[-1] == 1e5 and (volumes == np.rint(volumes)).all() and len(set(volumes)) <= 41
    assert np.diff(np.log(AXES["grid"].values(5))) == pytest.approx(np.log(200) / 4)
    assert AXES["utilisation"].values(20).tolist() == pytest.approx(np.linspace(0.05, 1, 20).tolist())


def test_any_constant_is_an_axis_over_its_range():
    axis = axis_named("k.ranged", CONSTANTS)
    assert (axis.low, axis.high, axis.log, axis.unit) == (1, 4, False, "USD") and axis_named("k.wide", CONSTANTS).log
    assert axis_named("k.fixed", CONSTANTS, 1, 3).values(3).tolist() == [1, 2, 3]
    assert axis_named("electricity", CONSTANTS, 0, 1).log is False


@pytest.mark.parametrize(
    ("name", "low", "high", "said"),
    [
        ("volumes", None, None, "did you mean 'volume'"),
        ("k.range", None, None, "did you mean 'k.ranged'"),
        ("k.fixed", None, None, "axis k.fixed from 2 to 2"),
        ("lifetime", 5, 2, "axis lifetime from 5 to 2"),
        ("grid", float("nan"), None, "low end of axis grid = nan"),
        ("grid", None, float("inf"), "high end of axis grid = inf"),
        ("volume", 0, None, "axis volume = 0"),
        ("volume", 1, 2.5, "axis volume = 2.5"),
    ],
)
def test_bad_axes(name, low, high, said):
    with pytest.raises(InputError, match=said):
        axis_named(name, CONSTANTS, low, high)


@pytest.mark.parametrize(
    ("years", "per_year", "expected"),
    [(3, 1, 2), (3, 0, 0), (3, 1 / 3, 0), (3, 0.5, 1), (5, 1, 4), (3, 2, 5), (2.5, 1, 2), (0.1, 1, 0)],
)
def test_respins_fall_within_the_life_and_not_at_its_end(years, per_year, expected):
    """Once a year over three years is twice, as published."""
    assert respins_within(years, per_year) == expected


def test_the_cadence_follows_each_draws_lifetime():
    put = AXES["respins"].put({LIFETIME: np.array([3.0, 5.0]) * 8760}, np.array([1.0, 1.0]), CONSTANTS)
    assert put[RESPINS].tolist() == [2, 4]
    assert AXES["respins"].put({}, np.array([2.0]), CONSTANTS)[RESPINS].tolist() == [5]
    assert AXES["lifetime"].put({}, np.array([2.0]), CONSTANTS) == {LIFETIME: np.array([17520.0])}


# The fleet


@pytest.fixture(scope="module")
def curves():
    return break_even(axes=("volume", "grid", "respins"), points=9, samples=64)


@pytest.mark.slow
def test_curves_pass_through_what_the_model_gives(curves):
    curve = curves.curve("volume", "tco_ratio")
    alone = evaluate("gpt-oss-120b", {}, volume=curve.x, beside="gpu", die_formula="exact")
    assert curve.nominal == pytest.approx(alone["tco_ratio"].to_numpy(), rel=1e-12)
    price = break_even(axes=("electricity",), points=3, samples=16).curve("electricity", "tco_ratio")
    priced = evaluate("gpt-oss-120b", {"electricity.usd_per_kwh": price.x}, beside="gpu", die_formula="exact")
    assert price.nominal == pytest.approx(priced["tco_ratio"].to_numpy(), rel=1e-12)


@pytest.mark.slow
def test_the_nominal_break_even_volume_is_one(curves):
    """The systems on both sides of it lose and win."""
    at = curves.curve("volume", "tco_ratio").crossing.nominal
    book = {"convention": "corrected", "volume": int(at)}
    below, above = (
        explorer.cost(**(book | {"volume": n})).comparison.nominal.tco_ratio for n in (int(at), int(at) + 1)
    )
    # Between points of the curve it is interpolated.
    assert below < 1.15 and above > 0.9 and below < above


@pytest.mark.slow
def test_bands_are_in_order_and_volume_helps(curves):
    for curve in curves.curves:
        assert (curve.p5 <= curve.p50).all() and (curve.p50 <= curve.p95).all()
        assert ((curve.probability >= 0) & (curve.probability <= 1)).all() and curve.infeasible == 0
    assert curves.curve("volume", "tco_ratio").crossing.pays == "above"
    assert (np.diff(curves.curve("volume", "tco_ratio").p50) > 0).all()
    assert curves.curve("respins", "tco_ratio").crossing.pays == "below"


@pytest.mark.slow
def test_cost_does_not_depend_on_the_grid_and_carbon_does(curves):
    assert curves.curve("grid", "tco_ratio").crossing.pays == ""
    assert "does not depend on it" in curves.curve("grid", "tco_ratio").sentence()
    assert curves.curve("grid", "carbon_ratio").crossing.pays == "above"


@pytest.mark.slow
def test_frames_and_json(curves):
    frame = curves.to_frame()
    assert list(frame) == ["axis", "output", "x", "nominal", "p5", "p50", "p95", "probability"]
    assert list(curves.crossings()["axis"]) == ["volume"] * 2 + ["grid"] * 2 + ["respins"] * 2
    told = json.loads(curves.to_json())
    assert len(told["curves"]) == 6 and told["model"] == "gpt-oss-120b" and told["samples"] == 64
    assert told["curves"][0]["crossing"]["p50"] > 1 and "pays above" in told["curves"][0]["says"]
    assert "use.respins" in set(curves.sources()["name"]) and "<table" in curves._repr_html_()
    assert {curve.output for curve in curves.curves} == set(RATIOS)


@pytest.mark.slow
def test_draws_are_the_same_at_every_point_and_every_run():
    runs = [break_even(axes=("grid",), points=3, samples=16, seed=seed).to_frame() for seed in (4, 4, 5)]
    assert runs[0].equals(runs[1]) and not runs[0].equals(runs[2])


@pytest.mark.slow
def test_nothing_drawn_leaves_the_nominal_curve():
    """Of a single constant that the ratio does not feel."""
    curve = break_even(axes=("grid",), points=3, samples=16, only=["full_adder_delay_s"]).curve("grid", "tco_ratio")
    assert curve.p5 == pytest.approx(curve.nominal) and curve.p95 == pytest.approx(curve.nominal)


@pytest.mark.slow
def test_points_of_an_axis_that_cannot_be_leave_gaps():
    """A die that no exposure prints, at the low end of the density."""
    pinned = {"rows": 6, "columns": 8, "popcnt_slack": 0.1}
    axis = {"axes": ("logic_density_mtr_per_mm2",), "low": 40, "high": 400}
    found = break_even(**axis, technology="n5", points=9, samples=16, set=pinned)
    curve = found.curve("logic_density_mtr_per_mm2", "tco_ratio")
    assert np.isnan(curve.p50[0]) and np.isnan(curve.probability[0]) and np.isfinite(curve.p50[-1])
    assert curve.infeasible > 0 and curve.sentence() == "no draw is feasible at every point of the axis"
    assert "–" in html.render(break_even_document(found, "hwsim break-even"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"axes": ("utilisation",), "high": 2}, "use.utilisation = "),
        ({"axes": ("grid",), "low": -5}, "grid.us_g_per_kwh = -5: expected a number >= 0"),
        ({"axes": ("moon",)}, "unknown axis 'moon'"),
        ({"points": 1}, "points = 1"),
        ({"samples": 100}, "samples = 100"),
        ({"only": ["zz*"]}, "unknown constant"),
        ({"volume": 0}, "volume"),
        ({"technology": "n4"}, "n4"),
        ({"set": {"rows": 1, "columns": 1}}, "the nominal point is infeasible: the die exceeds the reticle"),
    ],
)
def test_bad_questions_of_the_fleet(options, said):
    with pytest.raises(InputError, match=said):
        break_even(**options)


def test_an_unknown_choice_is_a_mistake_of_the_caller():
    with pytest.raises(InputError, match="did you mean 'volume'"):
        break_even(volumes=3)


@pytest.mark.slow
def test_curves_are_records():
    curve = break_even(axes=("volume",), points=3, samples=16).curves[0]
    assert dataclasses.is_dataclass(curve) and curve.to_dict()["axis"]["name"] == "volume"


@pytest.mark.slow
def test_a_ratio_that_rises_and_falls_pays_between():
    """Short contexts leave a GPU fast, long ones fill the attention units of the hardwired machine."""
    result = break_even("gpt-oss-120b", axes=["context"], samples=16, volume=50, beside="h100")
    curve = result.curve("context", "tco_ratio")
    ((low, high),) = curve.crossing.intervals
    inside = (curve.x > low) & (curve.x < high)
    assert (curve.nominal[inside] > 1).all() and (curve.nominal[~inside] <= 1).all() and 256 < low < 2048 < high
    table = result.document().sections[0].tables[0]
    assert any(" to " in str(cell) for cell in table.rows[0])


def test_intervals_of_a_ratio():
    ratio = np.array([2.0, 2.0, 0.5, 0.5, 2.0, 0.5])
    crossing = cross(np.arange(6.0), ratio[:, None], ratio)
    assert crossing.intervals == ((-np.inf, 1.5), (3.5, 4.5)) and crossing.several == 1.0
    assert cross(np.arange(3.0), np.full((3, 1), 0.5), np.full(3, 0.5)).intervals == ()
