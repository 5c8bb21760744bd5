"""The books of machines and processes, the records made from them, and the limits of every field."""

import dataclasses
import math

import numpy as np
import pytest

import hwsim
from hwbase import book_names, load_book
from hwsim.technology import BOOKS

ALL, NODES = book_names(BOOKS), hwsim.technology_names()
#: Nodes that no cost book prices: their technologies are for single circuits.
UNPRICED = {"n65", "n130"}
RECORDS = {
    hwsim.HardwiredDesign: hwsim.load_design(),
    hwsim.Technology: hwsim.load_technology(),
    hwsim.Accelerator: hwsim.load_accelerator("h100"),
}
FIELDS = [
    (record, field.name) for record in RECORDS for field in dataclasses.fields(record) if "unit" in field.metadata
]
#: Where nothing at all is a machine too.
MAY_BE_ZERO = {
    "vex_startup_cycles",
    "vex_operations_per_exponential",
    "layer_latency_s",
    "expert_layer_latency_s",
    "latent_layer_latency_s",
    "prefill_layer_latency_s",
    "prefill_expert_layer_latency_s",
    "prefill_latent_layer_latency_s",
    "step_latency_s",
    "first_token_latency_s",
    "all_reduce_latency_s",
    "popcnt_slack",
    "link_latency_s",
    "hbm_stacks",
    "sram_read_energy_j_per_bit",
    "switched_capacitance_f_per_transistor",
    "switching_activity",
    "input_toggles",
    "embedding_wire_f",
    "leakage_w_per_mm2",
    "hn_static_w_per_mm2",
    "wire_capacitance_f_per_um",
    "vex_mac_area_um2",
    "vex_mac_energy_j",
    "link_area_mm2",
    "link_energy_j_per_bit",
    "hbm_phy_area_mm2",
    "hbm_phy_power_w",
    "control_area_mm2",
    "control_power_w",
    "sram_latency_cycles",
    "drafted_tokens",
    "draft_acceptance",
    "draft_time_share",
    "cached_prompt_share",
    "separate_pools",
    "idle_power_share",
    "working_power_share",
    "memory_power_share",
    "compute_power_share",
}
WHOLE = {
    "rows",
    "columns",
    "activation_bits",
    "buffer_banks",
    "hbm_stacks",
    "vex_macs",
    "vex_lanes",
    "stages_per_layer",
    "node_gpus",
    "pipeline_stages",
    "drafted_tokens",
    "separate_pools",
    "prefill_pool_tokens",
}
every_field = pytest.mark.parametrize(
    ("record", "field"), FIELDS, ids=lambda x: x if isinstance(x, str) else x.__name__
)


@pytest.mark.parametrize("name", ALL)
def test_every_book_loads_and_is_sourced(name):
    book = load_book(name, BOOKS)
    assert len(book) > 0 and book.name == name and book.title
    for key, quantity in book.items():
        assert quantity.source.strip() and 1950 < quantity.year < 2100, key
        assert quantity.at("low") <= quantity.nominal <= quantity.at("high"), key
        assert math.isfinite(book.value(key, quantity.unit))
    assert set(book.to_frame()["name"]) == set(book)


@pytest.mark.parametrize("name", NODES)
def test_every_node_is_a_technology(name):
    technology = hwsim.load_technology(name)
    assert technology.name == name and technology.reticle_area_mm2 == 858
    for level in ("low", "high"):
        hwsim.load_technology(reader=hwsim.technology_book(name).at(level).reader())
    assert hwsim.technology_book(name).header.node in {"n16", "n7", "n5", "n3", "n2", *UNPRICED}


def test_nodes_get_denser_and_quicker_and_thriftier():
    nodes = [hwsim.load_technology(name) for name in ("n16", "n7", "n5", "n3", "n2")]
    density = [node.logic_density_mtr_per_mm2 for node in nodes]
    assert density == sorted(set(density))
    for field in (
        "sram_bitcell_um2",
        "full_adder_delay_s",
        "supply_v",
        "sram_read_energy_j_per_bit",
        "routing_pitch_nm",
    ):
        values = [getattr(node, field) for node in nodes]
        assert values == sorted(values, reverse=True), field
    energy = [node.switching_j_per_transistor for node in nodes]
    assert energy == sorted(set(energy), reverse=True)


def test_the_published_density_is_fitted_and_nothing_else_moves():
    ours, theirs = hwsim.load_technology("n5"), hwsim.load_technology("n5-asplos26")
    moved = {
        field.name for field in dataclasses.fields(ours) if getattr(ours, field.name) != getattr(theirs, field.name)
    }
    assert moved == {"name", "logic_density_mtr_per_mm2", "hn_static_w_per_mm2", "link_energy_j_per_bit"}
    book = hwsim.technology_book("n5-asplos26")
    assert {book[field].kind for field in moved - {"name"}} == {"fitted"}


def test_reader_knows_what_was_read():
    reader = hwsim.design_book().reader()
    hwsim.load_design(reader=reader)
    assert set(reader.used) == {name for record, name in FIELDS if record is hwsim.HardwiredDesign}


def test_published_constants():
    design, h100 = hwsim.load_design(), hwsim.load_accelerator("h100")
    assert (design.rows, design.columns, design.links_per_chip, design.chips) == (4, 4, 6, 16)
    assert design.buffer_bandwidth_bytes_per_s == 80e12 and design.hbm_bytes == 192e9
    assert design.buffer_bytes == 20_000 * 16 * 1024
    assert (h100.area_mm2, h100.power_w, h100.memory_bytes) == (814, 1300, 80e9)


@every_field
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e31, "abc", None, True, [], "NaN in an array"])
def test_no_field_takes_what_is_not_a_number_in_range(record, field, value):
    if value == "NaN in an array":
        value = np.array([getattr(RECORDS[record], field), np.nan])
    with pytest.raises(hwsim.InputError, match=field):
        dataclasses.replace(RECORDS[record], **{field: value})


@every_field
def test_zero_only_where_it_means_something(record, field):
    if field in MAY_BE_ZERO:
        assert getattr(dataclasses.replace(RECORDS[record], **{field: 0}), field) == 0
    else:
        with pytest.raises(hwsim.InputError, match=f"{field} = 0"):
            dataclasses.replace(RECORDS[record], **{field: 0})


@every_field
def test_counts_are_whole(record, field):
    half = {field: getattr(RECORDS[record], field) + 0.5}
    if field in WHOLE:
        with pytest.raises(hwsim.InputError, match=f"{field} = .*whole"):
            dataclasses.replace(RECORDS[record], **half)


@every_field
def test_fields_take_arrays(record, field):
    value = getattr(RECORDS[record], field)
    array = dataclasses.replace(RECORDS[record], **{field: np.array([value, value])})
    assert np.array_equal(getattr(array, field), [value, value])


def test_field_limits_are_tested_everywhere():
    names = {name for _, name in FIELDS}
    assert names >= MAY_BE_ZERO | WHOLE and len(FIELDS) > 60


# The front door


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "gpt-oss-12b"}, "did you mean 'gpt-oss-120b'"),
        ({"on": "h20"}, "did you mean 'h200'"),
        ({"on": None}, "unknown machine"),
        ({"reading": "pipeline"}, "did you mean 'pipelined'"),
        ({"technology": "n4"}, "unknown book 'n4'"),
        ({"book": "hnlp"}, "did you mean 'hnlpu'"),
        ({"set": {"link_bandwith_bytes_per_s": 1}}, "did you mean 'link_bandwidth_bytes_per_s'"),
        ({"on": "h100", "set": {"clock_hz": 1e9}}, "clock_hz"),
        ({"on": "h100", "set": {"power": 1}}, "did you mean 'power_w'"),
        ({"set": {"clock_hz": "1 kg"}}, "'kg': expected 'Hz'"),
        ({"set": {"clock_hz": "1 blorp"}}, "blorp"),
        ({"set": {"clock_hz": -1}}, "clock_hz = -1"),
        ({"set": {"supply_v": 0}}, "supply_v = 0"),
        ({"set": {"supply_v": math.nan}}, "supply_v = nan"),
        ({"set": {"supply_v": [0.6, math.inf]}}, "supply_v = inf"),
        ({"set": {"rows": 4}}, "rows and columns"),
        ({"set": {"columns": 4}}, "rows and columns"),
        ({"set": {"rows": 0, "columns": 4}}, "rows = 0"),
        ({"set": {"rows": 5000, "columns": 4}}, "rows = 5000"),
    ],
)
def test_simulate_refuses(given, said):
    with pytest.raises(hwsim.InputError, match=said):
        hwsim.simulate(**{"model": "gpt-oss-120b"} | given)


def test_simulate_takes_arrays_and_units():
    result = hwsim.simulate(
        "gpt-oss-120b", set={"link_bandwidth_bytes_per_s": np.array([64e9, 128e9]), "clock_hz": "1000 MHz"}
    )
    links = result.occupancy_s["links"]
    assert links[0] == 2 * links[1] and list(np.broadcast_to(result.chips, 2)) == [16, 16]
    assert result.assumptions["clock_hz"].kind == "user" and result.assumptions["clock_hz"].nominal == 1e9


def test_a_given_grid_is_kept():
    result = hwsim.simulate("gpt-oss-120b", set={"rows": 8, "columns": 2})
    assert result.chips == 16
    small = hwsim.simulate("gpt-oss-120b", set={"rows": 2, "columns": 2})
    assert not next(check for check in small.checks if check.name == "die area").ok


def test_collectives_and_formats_are_named(gpt, design, technology):
    for field, value, near in (("collective", "rings", "ring"), ("weight_format", "fp5", "fp4")):
        with pytest.raises(hwsim.InputError, match=f"did you mean '{near}'"):
            hwsim.simulate_hardwired(gpt, dataclasses.replace(design, **{field: value}), technology)


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [("norms", "shard", "sharded"), ("service", "first come", "first-come"), ("stage_topology", "rings", "ring")],
)
def test_choices_are_named(name, value, near):
    with pytest.raises(hwsim.InputError, match=f"did you mean '{near}'"):
        hwsim.simulate("gpt-oss-120b", set={name: value}, reading="pipelined")


@pytest.mark.parametrize("bits", range(2, 8))
def test_the_chip_follows_the_weight_format(gpt, design, technology, bits):
    areas = [
        hwsim.hn_array(gpt, dataclasses.replace(design, weight_format=f"int{b}"), technology)[0]
        for b in (bits, bits + 1)
    ]
    assert areas[0] < areas[1]
