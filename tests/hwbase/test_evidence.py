"""One rule for what a figure rests on."""

import numpy as np

from hwbase import Quantity, evidence_by_figure, evidence_of


def constant(kind, nominal=2.0):
    return Quantity(nominal, "1", "a source", kind, 2026)


def test_what_rests_on_a_fitted_number_is_fitted():
    assert evidence_of([constant("vendor"), constant("assumed")]) == "predicted"
    assert evidence_of([constant("vendor"), constant("fitted")]) == "fitted"
    assert evidence_of(["input", "fitted"]) == "fitted" and evidence_of([]) == "predicted"


def test_a_figure_is_fitted_where_it_moves_with_a_fitted_constant():
    constants = {"share": constant("fitted", 0.3), "speed": constant("vendor"), "zero": constant("fitted", 0.0)}

    def figures(values):
        assert set(values) == {"share", "zero"}
        share = values["share"]
        return {"rest": 1.0 - share, "ratio": 2.0 / share, "speed": 5.0, "none": np.nan}

    expected = {"rest": "fitted", "ratio": "fitted", "speed": "predicted", "none": "predicted"}
    assert evidence_by_figure(constants, figures) == expected
    assert evidence_by_figure({}, lambda values: {"a": 1.0}) == {"a": "predicted"}
