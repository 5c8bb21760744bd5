"""Bits in metal at a perplexity floor: areas from a layer's own values, floors, costs, the command and its folder."""

import json

import numpy as np
import pandas as pd
import pytest
from inference_cases import needs_gguf, needs_tokenizers, random_weights, tiny_config, tiny_vocabulary, write_gguf

import explorer
import hwsim
from explorer.precision.silicon import silicon_fronts, weight_values
from explorer.precision.silicon_document import SILICON_FILES
from hwbase import InputError
from models.quantise import codes

pytestmark = [needs_gguf, needs_tokenizers]
BITS = (3, 4, 8)
HARDWIRE = ("hardwire", "--weights-file", "tiny.gguf", "--cache", "cache", "--bits", "3,4,8", "--windows", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("silicon")
    begin = {"tokenizer.ggml.bos_token_id": 1}
    write_gguf(made / "tiny.gguf", random_weights(tiny_config(context=256)), tiny_vocabulary(), **begin)
    return made


@pytest.fixture(scope="module")
def found(folder):
    return silicon_fronts(
        bits=BITS,
        processes=("n16", "n5"),
        held_out={"windows": 3},
        path=folder / "tiny.gguf",
        cache=folder / "cache",
        systems=100,
    )


@pytest.fixture
def call(command, folder, monkeypatch):
    """Run the command in the folder; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(folder)
    return command


def test_values_are_those_of_the_layers_own_weights(network):
    values = weight_values(network, "blk.0.attn_q", 3)
    found = codes(network.weight("blk.0.attn_q"), 3)
    assert values.bits == 3 and set(values.values) == set(np.unique(found)) and -4 not in values.values
    assert values.zero_fraction == pytest.approx((found == 0).mean())


def test_area_counts_the_values_that_occur(network):
    options = pd.DataFrame({"layer": ["a", "a"], "bits": [3, 4], "inputs": 8, "outputs": 8, "tokens": 1})
    ternary = hwsim.WeightFormat("t", 3, np.array([-1, 0, 1]), np.array([0.25, 0.5, 0.25]))
    full = explorer.cost_table(options, "hardwired")["mm2"]
    few = explorer.cost_table(options, "hardwired", weights=lambda layer, bits: ternary)["mm2"]
    assert few[0] == few[1] < full[0] < full[1]


@pytest.mark.slow
def test_more_bits_take_more_area_and_lose_less(found):
    for _, rows in found.table[found.table["kind"] == "uniform"].groupby("process"):
        rows = rows.sort_values("mean_bits")
        assert rows["mm2"].is_monotonic_increasing and rows["kl"].is_monotonic_decreasing
        assert rows["recurring_usd"].is_monotonic_increasing and rows["kg_co2e"].is_monotonic_increasing


@pytest.mark.slow
def test_a_floor_leaves_room_for_the_logarithm_of_its_ratio(found):
    mixed = found.table[found.table["kind"] == "least silicon"]
    assert (mixed["kl_predicted"] <= np.log(mixed["floor"] / found.exact_perplexity) + 1e-12).all()
    assert mixed["perplexity_predicted"].to_numpy() == pytest.approx(
        found.exact_perplexity * np.exp(mixed["kl_predicted"])
    )
    for _, rows in mixed.groupby("process"):
        assert rows.sort_values("floor")["mm2"].is_monotonic_decreasing


@pytest.mark.slow
def test_no_uniform_choice_is_smaller_at_the_same_predicted_loss(found):
    for _, rows in found.table.groupby("process"):
        mixed = rows[rows["kind"] == "least silicon"]
        for _, one in rows[rows["kind"] == "uniform"].iterrows():
            rooms = np.log(mixed["floor"] / found.exact_perplexity)
            smaller = mixed[(rooms >= one["kl_predicted"]) & (mixed["kl_predicted"] >= one["kl_predicted"])]
            assert (smaller["mm2"] <= one["mm2"] + 1e-9).all()


@pytest.mark.slow
def test_nre_is_design_and_whole_masks(found):
    table = found.table
    parts = table[["design_usd", "shared_masks_usd", "own_masks_usd"]].sum(axis=1)
    assert table["nre_usd"].to_numpy() == pytest.approx(parts.to_numpy())
    # One chip each: bits change nothing of NRE, the process does.
    assert (table["chips"] == 1).all() and (table.groupby("process")["nre_usd"].nunique() == 1).all()
    assert table["nre_usd"].nunique() == 2
    assert table["build_usd"].to_numpy() == pytest.approx((table["nre_usd"] + 100 * table["recurring_usd"]).to_numpy())
    assert set(found.least_nre()["process"]) == {"n16"}


def test_another_chip_brings_masks_of_its_own():
    reticle = float(hwsim.load_technology("n16").reticle_area_mm2)
    one, two = (explorer.hardwired_silicon(n * reticle, technology="n16") for n in (1.0, 2.0))
    assert (one.chips, two.chips) == (1, 2) and two.own_masks_usd == pytest.approx(2 * one.own_masks_usd)
    assert two.nre_usd - one.nre_usd == pytest.approx(one.own_masks_usd) and one.design_usd == two.design_usd


@pytest.mark.slow
def test_the_command_writes_a_folder_and_resumes(call, folder):
    status, out, err = call(*HARDWIRE, "--processes", "n16,n5", "--systems", "100", "--out", "study")
    assert (status, err.strip()) == (0, "") and "wrote" in out and "limits on held-out text" in out
    assert {path.name for path in (folder / "study").iterdir()} == set(SILICON_FILES)
    page = (folder / "study" / "page.html").read_text()
    assert "What NRE is made of" in page and "http-equiv" in page
    sizes = {file: file.stat().st_size for file in (folder / "cache").iterdir()}
    floor = str(json.loads((folder / "study" / "summary.json").read_text())["exact_perplexity"] * 1.1)
    status, out, _ = call(
        *HARDWIRE, "--processes", "n5", "--perplexity", floor, "--json", "--set", "design.ip_usd=1 MUSD"
    )
    data = json.loads(out)
    assert status == 0 and sizes == {file: file.stat().st_size for file in (folder / "cache").iterdir()}
    assert [row["floor"] for row in data["table"] if row["kind"] == "least silicon"] == [pytest.approx(float(floor))]
    assert data["table"][0]["nre_usd"] < 60e6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--perplexity", "x"), "perplexity = 'x': expected a number"),
        (("--perplexity", "nan"), "perplexity"),
        (("--perplexity", "1"), "expected a finite number >"),
        (("--processes", "n4"), "n4"),
        (("--systems", "0"), "systems = 0"),
        (("--windows", "99999"), "the text has"),
        (("--windows", "0"), "windows = 0"),
        (("--ranges", "max"), "range method"),
        (("--set", "n5.wafer=1"), "n5.wafer"),
        (("--book", "nothing"), "nothing"),
        (("--out", "tiny.gguf"), "is a file"),
    ],
)
def test_bad_input_ends_in_one_sentence(call, folder, options, said):
    before = sorted(path.name for path in folder.iterdir())
    status, out, err = call(*HARDWIRE, *options)
    assert status == 2 and out == "" and said in err and err.strip().count("\n") == 0
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
def test_a_floor_out_of_reach_says_what_is_within(found, folder):
    with pytest.raises(InputError, match="the prediction with every layer at its best width"):
        silicon_fronts(
            floors=[1.001 * found.exact_perplexity],
            bits=(3,),
            held_out={"windows": 3},
            path=folder / "tiny.gguf",
            cache=folder / "cache",
        )


def test_other_networks_have_no_perplexity(call):
    status, _, err = call("hardwire", "terrain")
    assert status == 2 and "expected 'smollm2-135m'" in err
    with pytest.raises(InputError, match="language model"):
        silicon_fronts("terrain")
