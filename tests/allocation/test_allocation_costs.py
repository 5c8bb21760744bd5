"""What options cost on machines: the GPU roofline of networks, and tables that allocate takes."""

import numpy as np
import pandas as pd
import pytest

import explorer
import hwsim
from explorer.allocation.costs import HARDWARE
from explorer.papers import mixdq_data
from hwbase import InputError
from hwsim.network_roofline import Gpu, attention_seconds, kernel_widths, layer_seconds, load_gpu, network_time

GPU = Gpu("test", 1e12, 1e14, 2e14, 0.5, 0.5, 1e-6, 300.0)


@pytest.fixture
def layers():
    rows = [
        (layer, bits, inputs, outputs, tokens, inputs * outputs, noise / 4**bits)
        for layer, inputs, outputs, tokens, noise in (("a", 512, 512, 64, 1.0), ("b", 2048, 256, 16, 7.0))
        for bits in (2, 4, 8)
    ]
    return pd.DataFrame(rows, columns=["layer", "bits", "inputs", "outputs", "tokens", "size", "loss"])


# The roofline


def test_a_layer_is_bound_by_arithmetic_or_by_bytes():
    product, preparation, latency = layer_seconds(
        GPU, macs=1e12, weights=1e6, in_elements=1e6, out_elements=1e6, weight_bits=16, activation_bits=16
    )
    assert product == pytest.approx(2e12 / 5e13) and latency == pytest.approx(2e-6)
    assert preparation == pytest.approx(4e6 / 5e11)
    product, _, _ = layer_seconds(GPU, macs=1e6, weights=1e9, in_elements=0.0, out_elements=0.0)
    assert product == pytest.approx(2e9 / 5e11)
    int8, _, _ = layer_seconds(
        GPU, macs=1e12, weights=1e6, in_elements=1e6, out_elements=1e6, weight_bits=8, activation_bits=8
    )
    assert int8 == pytest.approx(2e12 / 1e14)


def test_widths_run_on_the_narrowest_kernel_that_holds_both():
    weights, activations = kernel_widths([2, 4, 8, 4, 16, 8], [8, 4, 8, 16, 16, 16])
    assert weights.tolist() == [8, 8, 8, 16, 16, 16] and activations.tolist() == [8, 8, 8, 16, 16, 16]
    weights, activations = kernel_widths([4, 4], [8, 16], ((4, 16), (8, 8), (16, 16)))
    assert (weights.tolist(), activations.tolist()) == ([8, 4], [8, 16])
    with pytest.raises(InputError, match="no kernel holds W32A8: expected at most one of W8A8, W16A16"):
        kernel_widths(32, 8)


def test_attention_is_two_products():
    assert attention_seconds(GPU, 1000, 1000, 10, 64) == pytest.approx(4 * 640 * 1e6 / 5e13)
    assert attention_seconds(GPU, 1, 1, 10, 64) == pytest.approx(2 * 640 * 2 * 2 / 5e11)


def test_a_network_is_the_sum_of_its_layers():
    shapes = {"macs": np.array([1e9, 2e9]), "weights": np.array([1e6, 2e6])}
    shapes |= {"in_elements": np.array([1e5, 1e5]), "out_elements": np.array([1e5, 1e5])}
    heads = {
        "q_tokens": np.array([64]),
        "kv_tokens": np.array([77]),
        "heads": np.array([8]),
        "head_dim": np.array([64]),
    }
    found = network_time(GPU, shapes, heads)
    assert found.kernels == 5 and found.latency_s == pytest.approx(5e-6)
    assert found.seconds == pytest.approx(
        sum(np.sum(part) for part in layer_seconds(GPU, **shapes))
        + float(np.sum(attention_seconds(GPU, **heads)))
        + 1e-6
    )


@pytest.mark.parametrize("name", ["rtx4080", "rtx3090", "a100"])
def test_gpus_have_books(name):
    gpu = load_gpu(name)
    assert gpu.name == name and gpu.int8_ops_per_s > gpu.fp16_ops_per_s
    # Data sheets: INT8 runs at two or four times the rate of FP16 with FP32 accumulation.
    assert round(gpu.int8_ops_per_s / gpu.fp16_ops_per_s) == (2 if name == "a100" else 4)


def test_bad_gpus():
    with pytest.raises(InputError, match="unknown book"):
        load_gpu("rtx5090ti")
    with pytest.raises(InputError, match="memory_bandwidth"):
        Gpu("g", 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0)
    with pytest.raises(InputError, match="macs"):
        layer_seconds(GPU, macs=0.0, weights=1.0, in_elements=1.0, out_elements=1.0)


# Tables


@pytest.mark.slow
@pytest.mark.parametrize("hardware", HARDWARE)
def test_costs_plug_into_allocate(layers, hardware):
    # Wider activations lose less, and on a GPU run on a slower kernel.
    wide = pd.concat([layers.assign(act_bits=a, loss=layers["loss"] + 0.1 / a) for a in (8, 16)])
    table = explorer.cost_table(wide, hardware)
    assert len(table) == len(wide) and np.isfinite(table[["ms", "mJ"]]).all(axis=None)
    whole = explorer.allocate(table, 8.0)
    limit = 0.999 * float(whole.to_frame()["mJ"].sum())
    found = explorer.allocate(table, 8.0, constraints=[f"mJ<={limit!r}"])
    assert found.spent["mJ"] <= limit and found.objective > whole.objective


def test_hardwired_silicon_is_made_of_regions(layers):
    table = explorer.cost_table(layers, "hardwired").set_index(["layer", "bits"])
    technology = hwsim.load_technology("n5")
    direct = hwsim.metal_embedding(512, 512, hwsim.weight_format("int4", technology), technology, activation_bits=8)
    assert table.loc[("a", 4), "mm2"] == pytest.approx(float(direct.area_mm2))
    assert table.loc[("a", 4), "mJ"] == pytest.approx(float(direct.energy_j) * 64 * 1e3)
    for layer in "ab":
        costs = table.loc[layer]
        assert costs["mm2"].is_monotonic_increasing and costs["nre_usd"].is_monotonic_increasing
        # Eight bits are 256 regions where four are 16: far more than twice the silicon.
        assert costs.loc[8, "mm2"] > 2 * costs.loc[4, "mm2"]
    assert (table["kg_co2e"] / table["mm2"]).std() == pytest.approx(0.0, abs=1e-12)


def test_a_mac_array_pays_for_bits_in_sram(layers):
    table = explorer.cost_table(layers, "mac-array").set_index(["layer", "bits"])
    technology = hwsim.load_technology("n5")
    assert table.loc[("a", 8), "mm2"] == pytest.approx(float(technology.sram_area_mm2(8 * 512 * 512)))
    assert table.loc[("a", 8), "ms"] == table.loc[("a", 2), "ms"]
    assert table.loc[("a", 8), "mJ"] > table.loc[("a", 4), "mJ"]


def test_gpu_times_step_with_kernels(layers):
    wide = pd.concat([layers.assign(act_bits=a) for a in (8, 16)])
    table = explorer.cost_table(wide, "rtx4080").set_index(["layer", "bits", "act_bits"])["ms"]
    assert table[("a", 2, 8)] == table[("a", 8, 8)] < table[("a", 2, 16)] == table[("a", 8, 16)]
    narrow = explorer.cost_table(layers.assign(in_elements=1.0, out_elements=1.0), "rtx4080")
    assert (narrow["ms"] <= explorer.cost_table(layers, "rtx4080")["ms"]).all()


def test_silicon_becomes_chips_dollars_and_carbon():
    one, four = explorer.hardwired_silicon(800.0), explorer.hardwired_silicon(2800.0)
    assert (one.chips, four.chips) == (1, 4) and four.die_area_mm2 == 700.0
    assert four.masks_usd > one.masks_usd and four.nre_usd - one.nre_usd == pytest.approx(
        four.masks_usd - one.masks_usd
    )
    assert four.kg_co2e > one.kg_co2e > 0 and four.recurring_usd > one.recurring_usd


def test_bad_costs(layers):
    with pytest.raises(InputError, match="unknown hardware 'hardwire'; did you mean 'hardwired'"):
        explorer.cost_table(layers, "hardwire")
    with pytest.raises(InputError, match="column 'inputs'"):
        explorer.cost_table(layers.drop(columns="inputs"), "hardwired")
    with pytest.raises(InputError, match="expected whole bits, weights from 1 to 8"):
        explorer.cost_table(layers.assign(bits=layers["bits"] + 0.5), "hardwired")
    with pytest.raises(InputError, match="tokens"):
        explorer.cost_table(layers.assign(tokens=0), "hardwired")
    for area in (0.0, float("nan"), -1.0):
        with pytest.raises(InputError, match="area_mm2"):
            explorer.hardwired_silicon(area)


@pytest.mark.slow
def test_bits_are_not_silicon():
    """What docs/allocation.md says: at one quality, the least mean bits is not the least silicon."""
    table = explorer.cost_table(mixdq_data.sdxl_options(), "hardwired")
    by_bits = explorer.allocate(table, 4.56, objective="noise:sqnr")
    by_silicon = explorer.allocate(table, objective="noise:sqnr", constraints=["mm2<=855"])
    area = float(by_bits.to_frame()["mm2"].sum())
    assert -10 * np.log10(by_bits.objective) == pytest.approx(31.6, abs=0.05) and area == pytest.approx(932, abs=1)
    assert -10 * np.log10(by_silicon.objective) == pytest.approx(31.5, abs=0.05)
    assert (explorer.hardwired_silicon(area).chips, explorer.hardwired_silicon(855).chips) == (2, 1)
    least = explorer.allocate(table, objective="mm2", constraints=["noise:sqnr<=1e-3"])
    assert least.objective == pytest.approx(737, abs=1) and least.spent["noise:sqnr"] <= 1e-3
    four = table[table["bits"] == 4]
    better = explorer.allocate(table, objective="noise:sqnr", constraints=[f"mm2<={float(four['mm2'].sum())!r}"])
    assert better.objective < float((10 ** (-four["sqnr"] / 10)).sum()) / 2


def test_a_spatial_accelerator_pays_for_bits_in_time_and_energy(layers, tmp_path):
    table = explorer.cost_table(layers, "npu").set_index(["layer", "bits"])
    for layer in "ab":
        costs = table.loc[layer]
        assert costs["ms"].is_monotonic_increasing and costs["mJ"].is_monotonic_increasing
    own = tmp_path / "own.toml"
    own.write_text('[book]\nname = "own"\nextends = "npu"\n')
    assert explorer.cost_table(layers, str(own))["ms"].tolist() == explorer.cost_table(layers, "npu")["ms"].tolist()
    with pytest.raises(InputError, match="bits"):
        explorer.cost_table(layers.assign(bits=2.5), "npu")
    layers.assign(kernel=1, width=1).to_csv(tmp_path / "layers.csv", index=False)
    from_file = explorer.cost_table(str(tmp_path / "layers.csv"), "npu")
    assert from_file["ms"].tolist() == explorer.cost_table(layers, "npu")["ms"].tolist()
