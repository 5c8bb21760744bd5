"""The map of users and promises for which hardwiring pays."""

import numpy as np
import pytest

import explorer
from explorer.uncertainty import break_even_document, promise_map
from explorer.uncertainty.document import pays_from
from hwbase import InputError

pytestmark = pytest.mark.slow

GRID = {"users": [1e3, 1e5, 1e7], "speeds": [25, 150, 1e3, 1e4]}


@pytest.fixture(scope="module")
def found():
    return promise_map(**GRID, samples=64)


def test_more_users_favour_the_machine_with_the_larger_fixed_cost(found):
    assert (np.diff(found.tco_ratio[:, :2], axis=0) > 0).all()
    assert (np.diff(found.tco_ratio[:, :2], axis=1) > 0).all()


def test_bands_hold_the_nominal_and_probabilities_follow(found):
    cells = found.to_frame().dropna()
    assert (cells["p5"] <= cells["tco_ratio"]).all() and (cells["tco_ratio"] <= cells["p95"]).all()
    assert cells["probability"].between(0, 1).all()
    assert (cells[cells["p5"] > 1]["probability"] > 0.9).all() and (cells[cells["p95"] < 1]["probability"] < 0.1).all()


def test_a_promise_that_no_server_keeps_has_no_ratio(found):
    # 1,000 tokens/s a user is beyond the GPU; 10,000 beyond the hardwired machine too.
    assert np.isnan(found.tco_ratio[:, 2:]).all() and np.isnan(found.gpus[:, 2:]).all()
    assert np.isfinite(found.systems[:, 2]).all() and np.isnan(found.systems[:, 3]).all()
    (sentence,) = pays_from(found)
    assert "1000 tokens/s: no bought server" in sentence and "10000 tokens/s: the hardwired machine" in sentence


def test_a_cell_is_the_comparison_of_its_fleets(found):
    systems = int(found.systems[1, 1])
    answer = explorer.cost(volume=systems, convention="corrected", set={"service.time_per_token_s": 1 / 150})
    wanted = 1e5 * 150 / (systems * answer.inputs["tokens_per_s"])
    assert found.tco_ratio[1, 1] == pytest.approx(float(answer.comparison.nominal.tco_ratio) * wanted, rel=1e-6)


def test_memory_may_need_more_systems_than_speed():
    few = promise_map(users=[1e5], speeds=[1.0], samples=16)
    assert few.systems[0, 0] > np.ceil(1e5 / 309_502)


def test_the_document_shows_each_cell(found):
    curves = explorer.uncertainty.break_even(axes=["volume"], points=2, samples=16)
    document = break_even_document(curves, "", found)
    section = document.sections[0]
    table = section.parts[-1].table
    assert section.title == "Who it pays for" and len(table.rows) == found.to_frame()["tco_ratio"].notna().sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"users": [0.0]}, "users = 0"),
        ({"speeds": [float("nan")]}, "speeds"),
        ({"volume": 50}, "volume"),
        ({"samples": 100}, "power of two"),
        ({"context": 0}, "context = 0"),
    ],
)
def test_bad_maps(options, message):
    with pytest.raises(InputError, match=message):
        promise_map(**(GRID | {"samples": 16} | options))
