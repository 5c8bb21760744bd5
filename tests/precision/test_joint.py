"""Pairs of widths within what a machine spends: budgets, what each way makes least, layers that share a choice."""

from functools import partial

import numpy as np
import pytest
from precision_cases import tiny_language

from explorer.allocation.allocate import allocate
from explorer.precision import Bits, fronts, sensitivity
from explorer.precision.findings import findings, joint_findings
from explorer.precision.joint import SCHEMES, joint_fronts
from explorer.precision.study import JointPart, Part, front_study
from hwbase import InputError

WIDTHS = {"weight_bits": (4, 6, 8), "activation_bits": (6, 8, 16)}


def held_out():
    return tiny_language(seed=9, windows=4)


@pytest.fixture(scope="module")
def found():
    return joint_fronts(tiny_language, held_out, hardware="mac-array", points=3, **WIDTHS)


@pytest.mark.slow
def test_budgets_are_kept(found):
    mixed = found.table[found.table["scheme"] != "uniform"]
    assert (mixed["cost"] <= mixed["budget"] * (1 + 1e-12)).all() and len(mixed) == 3 * (len(SCHEMES) - 1)
    assert (found.table["scheme"] == "uniform").sum() == 9


@pytest.mark.slow
def test_together_is_never_predicted_to_lose_more_than_apart(found):
    at = found.table.set_index(["scheme", "budget"])["predicted"]
    for budget in found.table[found.table["scheme"] == "joint"]["budget"]:
        assert at["joint", budget] <= min(at["apart", budget], at["decibels", budget]) + 1e-12


@pytest.mark.slow
def test_losses_are_those_of_the_pairs(found):
    row = found.choices[found.choices["scheme"] == "joint"].iloc[1]
    choice = {name: Bits(*row[name]) for name in found.choices.columns[2:]}
    measured = found.table[found.table["scheme"] == "joint"].iloc[1]
    assert measured["loss"] == pytest.approx(held_out().losses(choice)["kl"].mean())
    sides = [sensitivity(tiny_language, bits=(4, 6, 8, 16), what=what).table for what in ("weights", "activations")]
    tables = [side.set_index(["layer", "bits"])["loss"] for side in sides]
    predicted = sum(tables[0][name, bits.weights] + tables[1][name, bits.activations] for name, bits in choice.items())
    assert measured["predicted"] == pytest.approx(predicted)
    assert measured["mean_bits"] == pytest.approx(
        sum(network_layer.weights * choice[network_layer.name].weights for network_layer in held_out().layers)
        / sum(network_layer.weights for network_layer in held_out().layers)
    )


@pytest.mark.slow
def test_pairs_of_kernels_step(tmp_path):
    found = joint_fronts(
        tiny_language,
        held_out,
        hardware="rtx4080",
        unit="ms",
        weight_bits=(8, 16),
        activation_bits=(8, 16),
        schemes=("uniform",),
        cache=tmp_path,
    )
    at = found.table.set_index(["mean_bits", "mean_act_bits"])
    assert at.loc[(8, 16), "cost"] == at.loc[(16, 16), "cost"] > at.loc[(8, 8), "cost"]
    assert at.loc[(16, 16), "loss"] < 1e-7


@pytest.mark.slow
def test_bad_input():
    good = {"hardware": "mac-array", **WIDTHS}
    with pytest.raises(InputError, match="did you mean 'joint'"):
        joint_fronts(tiny_language, held_out, schemes=("jiont",), **good)
    with pytest.raises(InputError, match="did you mean 'mac-array'"):
        joint_fronts(tiny_language, held_out, **(good | {"hardware": "mac-aray"}))
    with pytest.raises(InputError, match="unit"):
        joint_fronts(tiny_language, held_out, unit="USD", **good)
    with pytest.raises(InputError, match="points"):
        joint_fronts(tiny_language, held_out, points=0, **good)


@pytest.mark.slow
def test_sentences_name_what_is_compared(found):
    said = " ".join(joint_findings(found))
    assert "Choosing pairs jointly" in said and "times the sum of the layer losses" in said


@pytest.mark.slow
def test_layers_that_read_one_input_share_their_bits(tmp_path):
    table = sensitivity(tiny_language, bits=(3, 4, 6, 8), fused=True, cache=tmp_path).table
    ties = table.drop_duplicates("layer").set_index("layer")["tie"]
    assert ties["blk.0.attn_q"] == ties["blk.0.attn_k"] == ties["blk.0.attn_v"] != ties["blk.1.attn_q"]
    assert ties["blk.0.ffn_gate"] == ties["blk.0.ffn_up"] and ties["output"] == ties["blk.0.ffn_down"] == ""
    tied, free = allocate(table, 5.0), allocate(table.drop(columns="tie"), 5.0)
    for _, names in ties[ties != ""].groupby(ties):
        assert len({tied.bits[name] for name in names.index}) == 1
    assert tied.objective >= free.objective - 1e-12 and tied.mean_bits <= 5.0
    found = fronts(
        tiny_language,
        held_out,
        bits=(3, 4, 6, 8),
        budgets=(5.0,),
        schemes=("power", "fused power"),
        cache=tmp_path,
    )
    choice = found.choices[found.choices["scheme"] == "fused power"].iloc[0]
    assert {name: choice[name] for name in tied.bits} == tied.bits
    assert "Fused layers sharing their bits" in " ".join(findings(found))


@pytest.mark.slow
def test_a_study_has_both(tmp_path, monkeypatch):
    from explorer.precision import models
    from explorer.precision.document import study_document, study_files

    def made(held_out=False, **settings):
        return tiny_language(seed=9 if held_out else 0, windows=3 if held_out else 2)

    monkeypatch.setitem(models.MAKERS, "smollm2-135m", made)
    study = front_study(
        "smollm2-135m",
        parts=[Part("weights", "weights", (4, 8), (6.0,), schemes=("uniform", "power"))],
        joint=[JointPart("together", "mac-array", "mJ", (4, 8), (8, 16))],
        held_out={},
        cache=tmp_path,
    )
    files = study_files(study, study_document(study))
    assert {"joint-1.csv", "joint-choices-1.csv", "choices-1.csv"} <= set(files)
    assert "joint-part-1" in files["page.html"] and np.isfinite(study.joint["together"].table["loss"]).all()


@pytest.mark.slow
def test_makers_may_be_partial():
    found = joint_fronts(
        partial(tiny_language), held_out, hardware="hardwired", unit="mm2", points=1, schemes=("joint",), **WIDTHS
    )
    assert found.unit == "mm2" and len(found.table) == 1
