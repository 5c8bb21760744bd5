"""Figures of every command say that they are fitted where their GPU, or their machine, is."""

import pytest

import explorer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answer():
    return explorer.answer("gpt-oss-120b")


def test_the_headline_gives_the_evidence_of_each_machine(answer):
    lines = {line.what: line for line in answer.headline}
    speed = lines["tokens/s"].evidence_of
    # Figure 14 gives constants of the published reading, serving points those of the GPU's step.
    assert speed == {"hnlpu": "fitted", "hnlpu-pipelined": "predicted", "h100": "fitted", "b200": "fitted"}
    assert lines["tokens/s"].evidence == "fitted"
    silicon = lines["silicon"].evidence_of
    assert silicon == {"hnlpu": "fitted", "hnlpu-pipelined": "fitted", "h100": "predicted", "b200": "predicted"}
    for ratio in ("tokens per kilojoule", "tokens/s per mm2"):
        assert set(lines[ratio].evidence_of.values()) == {"fitted"}


def test_a_fleet_is_fitted_where_the_rate_of_its_gpus_is(answer):
    line = next(line for line in answer.headline if line.what.startswith("TCO"))
    # The published system and the published rate are inputs.
    assert line.evidence_of["hnlpu"] == line.evidence_of["h100"] == "predicted"
    assert line.evidence_of["h100:corrected"] == line.evidence_of["hnlpu-pipelined"] == "fitted"


def test_cost_says_it(command):
    corrected, published = (explorer.cost(convention=name) for name in ("corrected", "as-published"))
    assert corrected.to_dict()["evidence"] == {"hardwired": "fitted", "gpu": "fitted", "ratio": "fitted"}
    assert set(published.evidence.values()) == {"predicted"}
    # A rate of the user is an input, the hardwired machine's area is not.
    own = explorer.cost(convention="corrected", set={"b200.tokens_per_s": 3000})
    assert own.evidence["ratio"] == "fitted"
    _, out, _ = command("cost", "--convention", "corrected")
    assert "their ratio fitted" in " ".join(out.split())


def test_evaluate_says_it():
    frame = explorer.evaluate("gpt-oss-120b", beside="gpu")
    labels = frame.attrs["evidence"]
    assert labels["tokens_per_s"] == "predicted" and labels["die_area_mm2"] == "fitted"
    assert {labels[name] for name in ("gpu_tokens_per_s", "gpus", "tco_ratio", "carbon_ratio")} == {"fitted"}
    assert set(labels) == {str(name) for name in frame.select_dtypes("number")}


def test_uncertainty_says_it():
    result = explorer.uncertainty.analyse(samples=16)
    assert result.to_dict()["evidence"]["tco_ratio"] == "fitted"
    assert result.evidence["latency_s"] == "predicted"
