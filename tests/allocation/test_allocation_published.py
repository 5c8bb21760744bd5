"""Published allocations, memory and latency: the scoreboard of MixDQ, and the data it rests on."""

from functools import cache

import numpy as np
import pytest

import explorer
from explorer.papers import mixdq_data as data
from explorer.papers.mixdq import GPUS, network_times, solve_group
from hwbase import InputError

pytestmark = pytest.mark.slow


@cache
def board():
    return explorer.reproduce("mixdq")


@cache
def rows_by_id():
    return {row.id: row for row in board().rows}


def test_the_board_holds():
    assert board().summary["ok"] and board().summary["fitted"] == 0 and board().fitted_constants == ()
    assert {row.group for row in board().rows} == {
        "Weight configurations",
        "Noise power",
        "HAWQ-V3 ResNet18",
        "Memory",
        "Latency",
    }
    for row in board().rows:
        assert row.status in ("agrees", "input", "misfit explained"), row.id
        if row.status == "misfit explained":
            assert len(row.note) > 60, row.id


@pytest.mark.parametrize(("name", "layers"), [("3.66", 794), ("4.00", 794), ("8.00", 791)])
def test_layers_agree_one_by_one(name, layers):
    assert rows_by_id()[f"config-{name}-layers"].ours == layers


def test_objectives_are_the_golden_ones():
    golden = data.budgets()
    for name, group, spent, objective, bound in golden.itertuples(index=False):
        found = solve_group(name, group)
        assert found.status == "optimal" and found.spent["bits"] <= spent
        assert found.objective == pytest.approx(objective, rel=1e-12, abs=1e-12)
        # The relaxation's bound is below ours, which is below the optimum.
        assert bound - 1e-9 * abs(bound) <= found.bound + 1e-12 and found.bound <= found.objective


def test_budgets_are_those_of_the_published_bits():
    for name in data.CONFIGURATIONS:
        published = data.published_bits(name)
        layers = data.sdxl_layers()
        for group, rows in layers.groupby("group"):
            spent = int((rows["size"] * published[rows["layer"]].to_numpy()).sum())
            golden = data.budgets().set_index(["configuration", "group"])["budget_bits"]
            assert spent == golden[(name, group)]


def test_both_groups_in_one_call_are_the_two_alone():
    options = data.sdxl_options()
    best = {g: options[options["group"] == g].groupby("layer")[m].transform("max") for g, m in data.METRICS.items()}
    options["loss"] = [
        best[g][i] - (sqnr if g == "quality" else ssim)
        for i, g, sqnr, ssim in options[["group", "sqnr", "ssim"]].itertuples()
    ]
    golden = data.budgets().set_index(["configuration", "group"])["budget_bits"]
    budgets = {group: int(golden[("4.00", group)]) for group in data.CANDIDATES}
    found = explorer.allocate(options, unit="bits", groups=budgets)
    assert found.bits == {layer: int(bits) for layer, bits in data.published_bits("4.00").items()}


def test_noise_powers_add_up_to_more():
    options = data.sdxl_options("quality").set_index(["layer", "bits"])["sqnr"]
    published = data.published_bits("4.00")
    layers = {layer for layer, _ in options.index}
    theirs = -10 * np.log10(sum(10 ** (-options[(layer, published[layer])] / 10) for layer in layers))
    assert theirs == pytest.approx(rows_by_id()["noise-power-sqnr"].paper, abs=0.01)
    assert rows_by_id()["noise-power-sqnr"].ours == pytest.approx(37.18, abs=0.01)


def test_hawq_needs_its_shortcuts_tied():
    options = data.resnet18_options()
    budget = data.hawq_budget(options, "bops", 0.25)
    published = data.resnet18().set_index("layer")["published_bops_0.25"]
    loose = explorer.allocate(options.drop(columns="tie"), budget, unit="bops")
    tied = explorer.allocate(options, budget, unit="bops")
    assert loose.objective < tied.objective
    assert tied.bits == {layer: int(bits) for layer, bits in published.items()}


def test_latencies_follow_the_constants():
    for gpu in GPUS:
        fp16, w8a8 = network_times(gpu)
        assert w8a8.seconds < fp16.seconds and w8a8.attention_s == fp16.attention_s
        faster, _ = network_times(gpu, {"fp16_ops_per_s": 1e15, "kernel_latency_s": 0.0})
        assert faster.products_s < fp16.products_s and faster.latency_s == 0.0
    board = explorer.reproduce("mixdq", set={"compute_efficiency": 0.4})
    assert not board.summary["ok"]
    with pytest.raises(InputError, match="did you mean 'compute_efficiency'"):
        explorer.reproduce("mixdq", set={"compute_eficiency": 0.4})


def test_the_layer_table():
    layers, attention = data.sdxl_layers(), data.sdxl_attention()
    assert len(layers) == 794 and layers["layer"].is_unique and len(attention) == 140
    # Shapes, counts and multiply-accumulates hang together; the network's published totals.
    assert (layers["size"] == layers["in_ch"] * layers["kernel"] ** 2 * layers["out_ch"]).all()
    assert (layers["macs"] == layers["size"] * layers["tokens"]).all()
    assert layers["macs"].sum() == pytest.approx(766.86e9, rel=1e-4)
    heads = attention["heads"] * attention["head_dim"] * attention["q_tokens"] * attention["kv_tokens"]
    assert 2 * heads.sum() == pytest.approx(27.53e9, rel=1e-3)
    assert layers["float_activations"].sum() == 9


def test_unknown_names():
    for call in (lambda: data.sdxl_options("qualty"), lambda: data.published_bits("5.00")):
        with pytest.raises(InputError, match="unknown"):
            call()
