"""`hwsim simulate` on a spatial accelerator: language models, networks of convolutions, ONNX files, allocations."""

import json

import pytest
import yaml

import hwsim
from explorer.npu.answer import simulate_network
from explorer.papers.mixdq_data import published_bits, sdxl_layers
from hwbase import InputError
from hwsim.npu.bits import read_allocation
from hwsim.npu.decoding import decoding_products
from hwsim.npu.design import load_npu
from models import load, macs_per_token

SMALL = "smollm2-135m"


def allocation_of(products, bits=4):
    return {product.name: bits for product in products if product.stored}


@pytest.fixture
def small_bits(tmp_path):
    path = tmp_path / "bits.yaml"
    path.write_text(yaml.safe_dump(allocation_of(decoding_products(load(SMALL), load_npu(), context=1, batch=1))))
    return path


@pytest.mark.parametrize("model", [SMALL, "gpt-oss-120b", "deepseek-v3"])
def test_products_of_a_token_are_the_macs_of_the_model(model):
    spec = load(model)
    products = decoding_products(spec, load_npu(), context=2048, batch=1)
    macs = sum(product.macs * product.repeats for product in products)
    assert macs == pytest.approx(macs_per_token(spec, 2048).total, rel=0.01)


@pytest.mark.slow
def test_an_allocation_changes_speed_energy_and_memory(small_bits):
    eight, four = hwsim.simulate(SMALL, "npu"), hwsim.simulate(SMALL, "npu", allocation=small_bits)
    assert four.tokens_per_s > 1.2 * eight.tokens_per_s
    assert four.energy_j_per_token < eight.energy_j_per_token
    assert four.checks[0].demand < eight.checks[0].demand
    assert sum(four.breakdown.values()) == pytest.approx(1.0)


def test_a_machine_takes_no_allocation_that_it_cannot_use(small_bits):
    with pytest.raises(InputError, match="bits by layer are of spatial accelerators"):
        hwsim.simulate(SMALL, "hnlpu", allocation=small_bits)


def test_contexts_may_be_an_array():
    run = hwsim.simulate(SMALL, "npu", context=[128, 1024], prompt=16)
    assert run.tokens_per_s.shape == (2,) and run.tokens_per_s[0] > run.tokens_per_s[1]


def test_simulate_shows_a_language_model(command, small_bits):
    status, printed, _ = command("simulate", SMALL, "--on", "npu", "--prompt", "64", "--allocation", str(small_bits))
    assert status == 0 and "at 4 bits of weight" in " ".join(printed.split())


@pytest.mark.slow
def test_sdxl_runs_with_the_published_allocation():
    bits = {layer: int(each) for layer, each in published_bits("4.00").items()}
    answer = simulate_network("sdxl-turbo", allocation=bits, compare=[(8, 8), (4, 8)])
    times = answer.widths_frame().set_index("widths")["run_s"]
    assert times["W8A8"] > times["allocation"] > times["W4A8"]
    layers = [layer.product for layer in answer.run.layers]
    # The precomputed first token: MixDQ states 166,400 values.
    assert sum(layer.fixed_bytes for layer in layers) == 2 * 166_400
    assert len([layer for layer in layers if layer.stored]) == len(sdxl_layers())


def conv_net(path, *, operator="Relu", side=16):
    onnx = pytest.importorskip("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    tensors = [
        helper.make_tensor(name, float32, shape, [0.0] * size)
        for name, shape, size in (("a.weight", (8, 3, 3, 3), 216), ("b.weight", (5, 8), 40))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "a.weight"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node(operator, ["y"], ["z"], name="act"),
        helper.make_node("GlobalAveragePool", ["z"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "b.weight"], ["out"], transB=1),
        helper.make_node("Einsum", ["out", "out"], ["square"], equation="bi,bj->bij"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", float32, ("batch", 3, side, side))],
        [helper.make_tensor_value_info("square", float32, None)],
        tensors,
    )
    onnx.save(helper.make_model(graph), path)
    return path


def test_an_onnx_file_runs(tmp_path):
    answer = simulate_network(conv_net(tmp_path / "net.onnx"), batch=2, allocation={"a": 4, "b": {"bits": 2}})
    first, second, outer = (layer.product for layer in answer.run.layers)
    assert (first.name, first.tokens, first.inputs, first.outputs, first.stride, first.width) == ("a", 128, 27, 8, 2, 8)
    assert (second.name, second.tokens, second.inputs, second.outputs, second.weight_bits) == ("b", 2, 8, 5, 2)
    assert (outer.tokens, outer.inputs, outer.outputs, outer.repeats, outer.stored) == (5, 1, 5, 2, False)


@pytest.mark.slow
def test_simulate_shows_an_onnx_file(command, tmp_path):
    network = str(conv_net(tmp_path / "net.onnx"))
    status, printed, _ = command("simulate", network, "--on", "npu", "--cycles")
    assert status == 0 and "Clocks of each layer" in printed and "filling" in printed
    status, printed, _ = command("simulate", network, "--on", "npu", "--json")
    answer = json.loads(printed)
    assert status == 0 and answer["schema"] == "hwsim/simulate-network/1" and answer["chosen"] == "W8A8"
    assert [row["widths"] for row in answer["widths"]] == ["W16A16", "W8A8", "W4A8", "W4A4"]


@pytest.mark.slow
def test_terrain_runs_from_its_file():
    pytest.importorskip("onnx")
    pytest.importorskip("terrain_diffusion")
    from explorer.npu.networks import network_products
    from models.diffusion import read_terrain

    products = network_products("terrain", load_npu())
    assert [p.name for p in products if p.stored] == [layer.name for layer in read_terrain().layers]


@pytest.mark.slow
def test_bad_input_is_one_sentence(command, tmp_path, small_bits):
    unknown = conv_net(tmp_path / "odd.onnx", operator="Fft")
    bits = yaml.safe_load(small_bits.read_text())
    (tmp_path / "missing.yaml").write_text(yaml.safe_dump({k: v for k, v in bits.items() if k != "blk.3.ffn_up"}))
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(bits | {"blk.3.ffn_upp": 4}))
    (tmp_path / "wide.yaml").write_text(yaml.safe_dump(bits | {"blk.3.ffn_up": 64}))
    on_npu = ("simulate", SMALL, "--on", "npu")
    for arguments, message in (
        ((*on_npu, "--set", "array_rows=0"), "array_rows = 0: expected a whole number >= 1"),
        ((*on_npu, "--set", "dataflow=wieght"), "unknown dataflow 'wieght'; did you mean 'weight'?"),
        ((*on_npu, "--set", "pe=fuse"), "unknown kind of processing element: 'fuse'; did you mean 'fused'?"),
        ((*on_npu, "--set", "weight_buffer_bytes=1"), "half of weight_buffer_bytes of npu is 0 B"),
        ((*on_npu, "--allocation", str(tmp_path / "missing.yaml")), "no bits for 'blk.3.ffn_up'"),
        ((*on_npu, "--allocation", str(tmp_path / "more.yaml")), "did you mean 'blk.3.ffn_up'?"),
        ((*on_npu, "--allocation", str(tmp_path / "wide.yaml")), "blk.3.ffn_up: bits = 64"),
        ((*on_npu, "--allocation", str(tmp_path / "none.yaml")), "none.yaml"),
        (("simulate", SMALL, "--on", "hnlpu", "--allocation", str(small_bits)), "--allocation has no effect here"),
        (("simulate", "sdxl-turbo", "--on", "npu", "--prompt", "5"), "--prompt has no effect here"),
        ((*on_npu, "--weights", "int4"), "--weights has no effect here"),
        (("simulate", "sdxl-turbo", "--on", "h100"), "expected --on with a machine of kind 'npu'"),
        (("simulate", str(unknown), "--on", "npu"), "unknown ONNX operator 'Fft' of node 'act'"),
        (("simulate", str(tmp_path / "no.onnx"), "--on", "npu"), "cannot read"),
    ):
        status, printed, errors = command(*arguments)
        assert status == 2 and printed == "" and message in errors and errors.count("\n") == 1, (arguments, errors)


def test_allocations_are_read_as_written(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 4\nb: {bits: 8, act_bits: 6}\n")
    (tmp_path / "a.csv").write_text("layer,group,bits,act_bits\na,x,4,\nb,x,8,6\n")
    assert read_allocation(tmp_path / "a.yaml") == read_allocation(tmp_path / "a.csv")
    with pytest.raises(InputError, match="expected a whole number"):
        (tmp_path / "b.csv").write_text("layer,bits\na,four\n")
        read_allocation(tmp_path / "b.csv")


@pytest.mark.slow
def test_cycles_by_resource_and_layer(command):
    status, printed, _ = command("simulate", SMALL, "--on", "npu", "--cycles", "--prompt", "8")
    assert status == 0 and "initiation interval" in printed and "blk.0.attn_q" in printed
    status, printed, _ = command("simulate", SMALL, "--on", "hnlpu", "--cycles")
    assert status == 0 and "initiation interval" in printed
    status, printed, _ = command("simulate", SMALL, "--on", "npu", "--cycles", "--prompt", "8", "--json")
    cycles = json.loads(printed)["cycles"]
    assert sum(cycles["parts"].values()) == pytest.approx(cycles["latency_cycles"])
    layers = sum(layer["cycles"] * layer["repeats"] for layer in cycles["layers"])
    assert layers == pytest.approx(cycles["latency_cycles"])
    for arguments, message in (
        (("--on", "h100", "--cycles"), "h100 states no clock_hz"),
        (("--on", "npu,hnlpu", "--cycles"), "--cycles is of one machine"),
    ):
        status, _, errors = command("simulate", SMALL, *arguments)
        assert status == 2 and message in errors
