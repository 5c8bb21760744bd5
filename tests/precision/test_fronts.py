"""Fronts of a tiny network: budgets kept, predictions, schemes, intervals, estimates, the folder and its page."""

import dataclasses
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from precision_cases import tiny_language
from scipy.stats import spearmanr

from explorer.precision import models
from explorer.precision.document import STUDY_FILES, study_document, study_files
from explorer.precision.estimate import estimates, rank_correlations, weight_errors
from explorer.precision.findings import findings
from explorer.precision.fronts import SCHEMES, fronts, interval
from explorer.precision.sensitivity import sensitivity
from explorer.precision.study import Part, front_study
from hwbase import InputError

pytestmark = pytest.mark.slow

BITS, BUDGETS = (3, 4, 6, 8), (4.5, 5.5)


def held_out():
    return tiny_language(seed=9, windows=4)


@pytest.fixture(scope="module")
def found():
    return fronts(tiny_language, held_out, bits=BITS, budgets=BUDGETS)


def test_budgets_are_kept_and_used(found):
    mixed = found.table[found.table["scheme"] != "uniform"]
    assert (mixed["mean_bits"] <= mixed["budget"] + 1e-9).all() and (mixed["mean_bits"] > mixed["budget"] - 0.7).all()
    assert len(found.table) == len(BITS) + (len(SCHEMES) - 1) * len(BUDGETS)
    assert len(found.choices.columns) == 2 + 15


def test_each_scheme_is_best_at_what_it_adds(found):
    at = found.table.set_index(["scheme", "budget"])
    table = found.measured.table.set_index(["layer", "bits"])["loss_kl"]
    choices = found.choices.set_index(["scheme", "budget"])
    for budget in BUDGETS:
        chosen = {s: list(choices.loc[(s, budget)].items()) for s in ("power", "decibels")}
        decibels = {s: -10 * np.log10(table.loc[pairs]).sum() for s, pairs in chosen.items()}
        predicted = {s: at.loc[(s, budget), "loss_kl_predicted"] for s in chosen}
        assert predicted["power"] <= predicted["decibels"] + 1e-12
        assert decibels["decibels"] >= decibels["power"] - 1e-9
        assert predicted["power"] == pytest.approx(table.loc[chosen["power"]].sum())


def test_fronts_may_be_judged_by_another_metric(found):
    other = fronts(tiny_language, held_out, bits=BITS, budgets=BUDGETS, metric="noise", schemes=("power",))
    first = found.table[found.table["scheme"] == "power"].set_index("budget")["loss_noise_predicted"]
    by_noise = other.table.set_index("budget")["loss_noise_predicted"]
    assert other.metric == "noise" and (by_noise <= first + 1e-12).all()


def test_measured_losses_are_those_of_the_network(found):
    from explorer.precision import Bits

    row = found.choices[found.choices["scheme"] == "power"].iloc[0]
    choice = {name: Bits(int(row[name])) for name in found.choices.columns[2:]}
    losses = held_out().losses(choice)
    measured = found.table[found.table["scheme"] == "power"].iloc[0]
    assert measured["loss_kl"] == pytest.approx(losses["kl"].mean())
    assert measured["loss_kl_low"] < measured["loss_kl"] < measured["loss_kl_high"]


def test_more_bits_lose_less(found):
    for _, rows in found.table.groupby("scheme"):
        losses = rows.sort_values("budget")["loss_noise"].to_numpy()
        assert (np.diff(losses) < 0).all()


def test_a_second_run_measures_nothing(tmp_path):
    first = fronts(tiny_language, held_out, bits=BITS, budgets=BUDGETS, cache=tmp_path)
    sizes = {file: file.stat().st_size for file in tmp_path.iterdir()}
    second = fronts(tiny_language, held_out, bits=BITS, budgets=BUDGETS, cache=tmp_path)
    assert sizes == {file: file.stat().st_size for file in tmp_path.iterdir()} and second.measured.measured == 0
    pd.testing.assert_frame_equal(first.table, second.table)


def test_activations_have_fronts_too():
    found = fronts(
        tiny_language, held_out, bits=(4, 8, 16), budgets=(6.0, 9.0), what="activations", schemes=("uniform", "power")
    )
    at16 = found.table[found.table["mean_bits"] == 16]
    assert len(at16) == 1 and at16["loss_kl"].iloc[0] < 1e-7
    assert (found.table.set_index("mean_bits")["loss_kl"].drop(16) > 1e-6).all()


def test_an_interval_holds_its_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = [low <= 1.0 <= high for low, high in (interval(random.exponential(size=40)) for _ in range(300))]
    assert 0.88 < np.mean(held) < 0.98
    assert all(np.isnan(end) for end in interval(np.array([1.0, np.nan])))
    assert interval(np.array([2.0, 2.0])) == (2.0, 2.0)


def test_estimates_rank_layers():
    table = sensitivity(tiny_language, bits=BITS).table
    errors = weight_errors(tiny_language(), (*BITS, 16))
    assert len(errors) == 15 * len(BITS)
    estimated = estimates(table, errors, measured_bits=4)
    ranks = rank_correlations(estimated).set_index("bits")
    assert ranks.loc["all", "weight error"] > 0.7 and ranks.loc["all", "one width"] > 0.9
    assert ranks.loc["4", "one width"] == pytest.approx(1.0)
    direct = spearmanr(estimated["weight error"], estimated["measured"]).statistic
    assert ranks.loc["all", "weight error"] == pytest.approx(direct)
    with pytest.raises(InputError, match="bits = 5: expected one of the widths"):
        estimates(table, errors, measured_bits=5)


def test_a_weight_error_is_that_of_the_layers_own_output():
    from models.quantise import rounded

    network = tiny_language(outlier="shared")
    name = "blk.0.attn_q"
    inputs = []
    from models.inference import Transformer
    from models.quantise import RoundedLinear

    inner = RoundedLinear(network._matrices)

    def watching(layer, x, position):
        if layer == name:
            inputs.append(x)
        return inner(layer, x, position)

    for states in network._states:
        Transformer(network._weights, watching).resume(states[0], 0)
    x, weight = np.concatenate(inputs), network.weight(name)
    off = x @ (rounded(weight, 4) - weight).T
    direct = np.square(off).sum() / np.square(x @ weight.T).sum()
    errors = weight_errors(network, (4,)).set_index("layer")["error"]
    assert errors[name] == pytest.approx(direct, rel=0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schemes": ("powr",)}, "did you mean 'power'"),
        ({"what": "both"}, "part to round"),
        ({"metric": "niose"}, "did you mean 'noise'"),
        ({"budgets": (2.0,)}, "budgets = 2"),
        ({"budgets": (float("nan"),)}, "budgets"),
        ({"budgets": ()}, "budgets is empty"),
        ({"bits": (0, 8)}, "bits = 0"),
    ],
)
def test_bad_questions_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        fronts(tiny_language, held_out, **({"bits": BITS, "budgets": BUDGETS} | options))


# The study


def tiny_maker(held_out=False, seed=0, **options):
    return tiny_language(seed=9 if held_out else seed, windows=4 if held_out else 2, **options)


@pytest.fixture(scope="module")
def study():
    patch = pytest.MonkeyPatch()
    patch.setitem(models.MAKERS, "tiny", tiny_maker)
    try:
        parts = (
            Part("weights", "weights", BITS, BUDGETS),
            Part("<b>activations</b>", "activations", (4, 8), (6.0,), {"outlier": "shared"}, ("uniform", "power")),
        )
        yield front_study("tiny", parts=parts, held_out={}, command="hwsim fronts tiny")
    finally:
        patch.undo()


def test_the_folder_holds_what_was_measured(study):
    files = study_files(study, study_document(study))
    assert set(files) <= set(STUDY_FILES)
    data = json.loads(files["summary.json"])
    assert data["network"] == "tiny" and len(data["fronts"]["weights"]) == len(study.fronts["weights"].table)
    assert files["fronts.csv"].count("\n") == 1 + sum(len(found.table) for found in study.fronts.values())
    page = files["page.html"]
    assert "&lt;b&gt;activations" in page.lower() and "<b>activations" not in page.lower()
    assert page.count('<div class="plot"') == 2 * 4 + 2 and "Rank correlations" in page
    assert "hwsim fronts tiny" in page and "Assumptions" not in page


def test_sentences_follow_the_numbers(study):
    said = " ".join(findings(study.fronts["weights"]))
    assert "Adding losses instead of decibels is better in" in said and "of 2 budgets" in said
    assert "divided by the sum of the layer losses" in said and "on the same inputs" in said


def test_sentences_count_better_and_worse_budgets(found):
    column = "loss_kl"
    table = found.table.copy()
    power, decibels = (table["scheme"] == name for name in ("power", "decibels"))
    table.loc[power, [column, f"{column}_low", f"{column}_high"]] = [0.1, 0.09, 0.11]
    table.loc[decibels, [column, f"{column}_low", f"{column}_high"]] = [0.2, 0.10, 0.30]
    said = " ".join(findings(dataclasses.replace(found, table=table)))
    assert "Adding losses instead of decibels is better in 2 and worse in 0 of 2 budgets" in said
    assert "with separate 95 % intervals in 0; the measured loss is 0.5 times that of decibels" in said


def test_an_unknown_network_is_refused():
    with pytest.raises(InputError, match="did you mean 'smollm2-135m'"):
        front_study("smollm-135m")
    with pytest.raises(InputError, match="did you mean 'terrain'"):
        models.maker("terain")
    assert isinstance(models.maker("terrain", images=1), partial)
