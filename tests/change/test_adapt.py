"""Adapters, drafts, cascades and prompts on GPUs: no change where there is none, counts by hand, and the command."""

import json

import pytest

import explorer
import hwsim
import models
from hwbase import InputError
from hwsim.additions import adapter_weights, plain_machine, with_adapters, with_draft
from hwsim.simulation import hardwired

LARGE, SMALL = models.spec_of("gpt-oss-120b"), models.spec_of("gpt-oss-20b")
DESIGN, TECHNOLOGY, _ = hardwired(LARGE)
PLAIN = plain_machine(LARGE, DESIGN, TECHNOLOGY)


def test_nothing_added_is_the_machine_to_the_last_digit():
    known = hwsim.simulate("gpt-oss-120b", reading="pipelined")
    assert PLAIN.tokens_per_s == known.tokens_per_s and PLAIN.energy_j_per_token == known.energy_j_per_token
    assert PLAIN.die_area_mm2 * DESIGN.chips == known.area_mm2
    for memory in ("sram", "hbm"):
        assert with_adapters(LARGE, DESIGN, TECHNOLOGY, rank=0, memory=memory) == PLAIN
    assert with_draft(LARGE, SMALL, DESIGN, TECHNOLOGY, tokens=0, acceptance=0.7) == PLAIN


@pytest.mark.parametrize("set", [{"buffer_banks": 2000}, {"buffer_banks": 100, "hbm_stacks": 1}])
def test_a_long_context_waits_for_memory_as_a_simulation_does(set):
    design, technology, _ = hardwired(LARGE, set=set)
    plain = plain_machine(LARGE, design, technology, context=262_144)
    given = {"context": 262_144, "reading": "pipelined", "set": set}
    full, alone = hwsim.simulate(LARGE, **given), hwsim.simulate(LARGE, **given, batch=1)
    assert plain.tokens_per_s == full.tokens_per_s and plain.latency_alone_s == alone.latency_s
    assert plain.energy_j_per_token == full.energy_j_per_token
    assert with_adapters(LARGE, design, technology, rank=0, context=262_144) == plain


def test_links_that_are_priced_are_in_every_bill():
    priced = {"link_class": "optical", "stage_link_class": "optical"}
    cost = explorer.cost("gpt-oss-120b", volume=50, convention="corrected", set=priced)
    row = explorer.adapt("gpt-oss-120b", set=priced).rows[0]
    assert cost.inputs["links_usd_per_chip"] > 0
    expected = cost.comparison.nominal.hardwired.static_usd_per_million_tokens
    assert row["usd_per_million_tokens"] == pytest.approx(expected)
    never = explorer.respins("gpt-oss-120b", fabrics=["metal_embedding"], every=[0], set=priced).rows[0]
    plain = explorer.respins("gpt-oss-120b", fabrics=["metal_embedding"], every=[0]).rows[0]
    assert never["hardwired_usd"] > plain["hardwired_usd"] + 50 * 16 * 0.9 * cost.inputs["links_usd_per_chip"]


def test_a_gpu_of_ones_own_reads_prompts(tmp_path):
    book = tmp_path / "mine.toml"
    book.write_text('[book]\nname = "mine"\nextends = "b200"\n')
    own = explorer.adapt("gpt-oss-120b", beside=book)
    assert own.device == "mine"
    assert own.services == explorer.adapt("gpt-oss-120b", beside="b200").services


def test_adapters_by_hand():
    h, heads, kv, d = 2880, 64, 8, 64
    # Queries, keys and values together, outputs.
    each = (h + heads * d) + (h + 2 * kv * d) + (heads * d + h)
    assert adapter_weights(LARGE, 16) == pytest.approx(16 * 36 * each)
    sram = with_adapters(LARGE, DESIGN, TECHNOLOGY, rank=16, kept=3)
    assert sram.added_bytes == pytest.approx(3 * 2 * adapter_weights(LARGE, 16) / 16)
    assert sram.added_mm2 == pytest.approx(TECHNOLOGY.sram_area_mm2(8 * sram.added_bytes))
    hbm = with_adapters(LARGE, DESIGN, TECHNOLOGY, rank=16, memory="hbm", hbm_read_j_per_bit=4e-12)
    assert hbm.added_mm2 == 0.0 and hbm.energy_j_per_token > sram.energy_j_per_token > PLAIN.energy_j_per_token
    assert PLAIN.tokens_per_s > hbm.tokens_per_s and hbm.latency_alone_s > sram.latency_alone_s


def test_more_rank_never_helps_speed():
    rates = [float(with_adapters(LARGE, DESIGN, TECHNOLOGY, rank=rank).tokens_per_s) for rank in (0, 1, 16, 256, 4096)]
    assert rates == sorted(rates, reverse=True)


def test_draft_takes_slots_and_area():
    one = with_draft(LARGE, SMALL, DESIGN, TECHNOLOGY, tokens=1, acceptance=1.0)
    two = with_draft(LARGE, SMALL, DESIGN, TECHNOLOGY, tokens=1, acceptance=0.0)
    assert two.tokens_per_s == pytest.approx(one.tokens_per_s / 2) and one.tokens_per_s < PLAIN.tokens_per_s
    assert two.latency_alone_s == pytest.approx(2 * one.latency_alone_s)
    assert one.added_mm2 > 50 and not one.fits_reticle


@pytest.fixture(scope="module")
def result():
    return explorer.adapt("gpt-oss-120b", small="gpt-oss-20b")


def test_plain_rows_are_those_of_cost(result):
    pair = explorer.cost("gpt-oss-120b", volume=50, convention="corrected").comparison.nominal
    assert result.rows[0]["usd_per_million_tokens"] == pytest.approx(pair.hardwired.static_usd_per_million_tokens)
    served = explorer.cost(
        "gpt-oss-120b", volume=50, convention="corrected", prompt_tokens=1024, output_tokens=1024
    ).comparison.nominal
    hard, mixed, gpus = result.services
    assert hard["usd_per_million_tokens"] == pytest.approx(served.hardwired.static_usd_per_million_tokens)
    assert gpus["usd_per_million_tokens"] == pytest.approx(served.gpu.static_usd_per_million_tokens)
    assert mixed["tokens_per_s"] > hard["tokens_per_s"]


def test_cascade_is_linear_in_the_share():
    rows = [
        {row["way"]: row for row in explorer.adapt(LARGE, small=SMALL, set={"cascade.deferred_share": share}).rows}
        for share in (0.0, 0.5, 1.0)
    ]
    for name in ("usd_per_million_tokens", "energy_j_per_token", "kg_per_million_tokens"):
        none, half, whole = (each["cascade"][name] for each in rows)
        assert half == pytest.approx((none + whole) / 2) and whole - none == pytest.approx(rows[0]["plain"][name])


def test_a_narrow_port_limits_decoding():
    narrow = explorer.adapt("gpt-oss-120b", set={"split.link_bytes_per_s": 1e9})
    wide = explorer.adapt("gpt-oss-120b")
    assert narrow.services[1]["tokens_per_s"] < wide.services[1]["tokens_per_s"]
    assert narrow.services[1]["link_bytes_per_s"] == pytest.approx(1e9)


def test_adapters_keep_demand():
    common = {"fabrics": ("metal_embedding",), "every": (0,)}
    without, beside = explorer.respins(**common), explorer.respins(**common, adapters=True)
    assert beside.rows[0]["hardwired_share"] > without.rows[0]["hardwired_share"]
    same = explorer.respins(**common, adapters=True, set={"adapter.demand_kept_share": 0})
    assert same.rows == without.rows


def test_bytes_of_keys_flow_through_buffer_memory_and_energy():
    two, one, half = (
        hwsim.simulate("llama-3-8b", reading="pipelined", context=16384, set={"kv_element_bytes": size})
        for size in (2, 1, 0.5)
    )
    assert one.kv_bytes_per_sequence == two.kv_bytes_per_sequence / 2 == 2 * half.kv_bytes_per_sequence
    assert one.occupancy_s["buffer"] == pytest.approx(two.occupancy_s["buffer"] / 2)
    assert half.occupancy_s["hbm"] < one.occupancy_s["hbm"] < two.occupancy_s["hbm"]
    assert half.energy_j_per_token < one.energy_j_per_token < two.energy_j_per_token
    needed = [{check.name: check.demand for check in run.checks}["KV in buffer"] for run in (two, one)]
    assert needed[1] == pytest.approx(needed[0] / 2)


def test_command(command, tmp_path):
    page = tmp_path / "page.html"
    status, printed, _ = command("adapt", "gpt-oss-120b", "--small", "gpt-oss-20b", "--json")
    data = json.loads(printed)
    assert status == 0 and data["schema"] == "hwsim/adapt/1" and len(data["rows"]) == 4 and len(data["services"]) == 3
    assert command("adapt", "smollm2-135m", "--adapter-memory", "hbm", "--out", str(page))[0] == 0
    assert "Dollars over latency" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--small", "llama-3-8b"), "small = llama-3-8b has a vocabulary of 128,256 tokens"),
        (("--adapter-memory", "dram"), "adapter memory = 'dram': expected one of sram, hbm"),
        (("--prompt-tokens", "0"), "prompt_tokens = 0"),
        (("--set", "adapter.rank=-1"), "adapter.rank = -1"),
        (("--set", "adapter.rnk=1"), "did you mean 'adapter.rank'"),
        (("--set", "draft.tokens=2"), "draft.tokens has no effect here"),
        (("--small", "smollm2-135m", "--set", "cascade.deferred_share=1.5"), "cascade.deferred_share = 1.5"),
        (("--set", "split.link_bytes_per_s=0"), "split.link_bytes_per_s = 0"),
        (("--adapter-memory", "hbm", "--set", "adapter.kept=1e9"), "HBM has"),
    ],
)
def test_bad_input_is_one_sentence(given, message, command):
    status, printed, errors = command("adapt", "smollm2-135m", *given)
    assert status == 2 and printed == "" and message in errors and errors.count("\n") == 1, errors


def test_unknown_memory_is_refused_in_code():
    with pytest.raises(InputError, match="expected one of sram, hbm"):
        with_adapters(LARGE, DESIGN, TECHNOLOGY, rank=1, memory="flash")
