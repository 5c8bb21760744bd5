"""The scan engine in closed form: cases by hand, invariants, gates, and input that makes no sense."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbase import InputError
from hwsim.retrieval import (
    MEMORIES,
    SCANNERS,
    ScanDevice,
    ScanIndex,
    document_cycles,
    engine_areas_mm2,
    expected_insertions,
    lane_transistors,
    load_engine,
    load_server,
    matching_lanes,
    scan_index,
    server_device,
    simulate_scan,
)
from hwsim.technology import load_technology

TECHNOLOGY = load_technology("n5")

#: Round rates, so that every figure can be worked out by hand.
PLAIN = ScanDevice(
    name="plain",
    stream_bytes_per_s=1e9,
    random_bytes_per_s=1e8,
    access_bytes=64,
    memory_bytes=1e9,
    slots=4,
    comparisons_per_s=1e8,
    heaps=4,
    slices=1,
    insert_s=1e-9,
    start_s=1e-6,
    link_bytes_per_s=1e9,
    link_latency_s=1e-5,
    fan_in=8,
    standing_w=10.0,
    area_mm2=2.0,
    j_per_byte=1e-10,
    j_per_comparison=1e-12,
)


def test_one_query_by_hand() -> None:
    index = ScanIndex(1e7, 256, id_bytes=0)
    found = simulate_scan(index, PLAIN, batch=1, k=10)
    assert found.shards == 1
    assert found.bound_by == "memory"
    # 1e7 codes of 32 bytes at 1 GB/s; compared at 1e8 a second meanwhile.
    assert found.occupancy_s["memory"] == pytest.approx(0.32)
    assert found.occupancy_s["comparison"] == pytest.approx(0.1)
    assert found.queries_per_s == pytest.approx(1 / 0.32)
    assert found.latency_s == pytest.approx(1e-6 + 0.32 + 1e-5 + 120 / 1e9)
    assert found.energy_parts_j["memory"] == pytest.approx(0.032)
    assert found.energy_parts_j["comparison"] == pytest.approx(1e-5)
    assert found.energy_parts_j["standing"] == pytest.approx(3.2)
    assert found.power_w == pytest.approx(found.energy_j_per_query * found.queries_per_s)


def test_a_full_pass_is_bound_by_lanes_and_a_fifth_query_takes_another() -> None:
    index = ScanIndex(1e7, 256, id_bytes=0)
    four, five = (simulate_scan(index, PLAIN, batch=b, k=10) for b in (4, 5))
    assert four.bound_by == "comparison"
    assert four.queries_per_s == pytest.approx(1e8 / 1e7)
    assert five.occupancy_s["memory"] == pytest.approx(2 * four.occupancy_s["memory"])


def test_shards_hold_codes_ids_and_vectors() -> None:
    index = ScanIndex(1e9, 256, id_bytes=8, vector_bytes=384, overhead_bytes=16)
    assert index.stored_bytes_per_document == 440
    found = simulate_scan(index, PLAIN)
    assert found.shards == 440
    assert found.checks[0].ok
    assert not simulate_scan(index, PLAIN, shards=439).checks[0].ok


def test_rescoring_reads_whole_accesses_at_random() -> None:
    index = ScanIndex(1e6, 256, vector_bytes=100)
    plain, rescored = (simulate_scan(index, PLAIN, batch=2, k=10, candidates=c) for c in (0, 50))
    assert rescored.rescored_bytes_per_query == 50 * 128
    extra = rescored.occupancy_s["memory"] - plain.occupancy_s["memory"]
    assert extra == pytest.approx(2 * 50 * 128 / 1e8)


def test_probing_lists_saves_comparisons_in_full_and_streams_less_together() -> None:
    whole, tenth = ScanIndex(1e7, 256), ScanIndex(1e7, 256, scanned_share=0.1)
    one, many = (simulate_scan(tenth, PLAIN, batch=b) for b in (1, 4))
    full = simulate_scan(whole, PLAIN, batch=4)
    assert many.occupancy_s["comparison"] == pytest.approx(0.1 * full.occupancy_s["comparison"])
    assert one.occupancy_s["memory"] == pytest.approx(0.1 * full.occupancy_s["memory"])
    assert many.occupancy_s["memory"] == pytest.approx((1 - 0.9**4) * full.occupancy_s["memory"])


def test_insertions_are_those_of_a_random_order() -> None:
    rng, n, k, runs = np.random.default_rng(1), 2000, 10, 200
    counted = 0
    for _ in range(runs):
        ranks = rng.permutation(n)
        best: list[int] = []
        for rank in ranks.tolist():
            if len(best) < k or rank < best[-1]:
                counted += 1
                best = sorted([*best, rank])[:k]
    # The sum of k/i is below its integral by at most one half insertion here.
    assert counted / runs == pytest.approx(expected_insertions(n, k), rel=0.03)
    assert expected_insertions(5, 10) == 5


def test_codes_of_several_planes_cost_a_square_of_planes() -> None:
    engine = load_engine()
    assert document_cycles(engine, ScanIndex(1, 256)) == 1
    assert document_cycles(engine, ScanIndex(1, 1024)) == 4
    # 2 planes of 128: four comparisons of 128 bits.
    assert document_cycles(engine, ScanIndex(1, 256, planes=2)) == 2
    assert document_cycles(load_engine(unit="table"), ScanIndex(1, 256, planes=2)) == 1


def test_a_lane_by_hand() -> None:
    engine, index = load_engine(), ScanIndex(1, 256)
    # A distance of 0 to 256 takes 9 bits. Registers of document and query and half the counters; XOR and adder a bit.
    expected = 256 * 24 + 256 * (10 + 28 + 36) + 9 * (2 * 28 + 24)
    assert lane_transistors(engine, index, TECHNOLOGY) == expected


def test_the_identity_needs_fewer_transistors_than_the_table() -> None:
    index = ScanIndex(1e9, 256, planes=2)
    work = {}
    for unit in ("popcount", "table"):
        engine = load_engine(unit=unit)
        work[unit] = lane_transistors(engine, index, TECHNOLOGY) * document_cycles(engine, index)
    assert work["table"] > 2 * work["popcount"]


@pytest.mark.parametrize("memory", MEMORIES)
def test_lanes_of_the_books_keep_up_with_their_memory(memory: str) -> None:
    engine = load_engine(memory)
    needed = matching_lanes(engine, ScanIndex(1e9, 256))
    assert needed <= engine.lanes <= 1.3 * needed
    areas = engine_areas_mm2(engine, ScanIndex(1e9, 256), TECHNOLOGY)
    assert 0 < sum(areas.values()) < TECHNOLOGY.reticle_area_mm2


def test_a_server_with_one_core_is_bound_by_its_own_stream() -> None:
    server = load_server()
    alone, all_cores = (server_device(server, ScanIndex(1e6, 256), cores=c) for c in (1, server.cores))
    assert alone.stream_bytes_per_s == server.core_bytes_per_s
    assert all_cores.stream_bytes_per_s == server.memory_bandwidth_bytes_per_s * server.memory_efficiency


def test_arrays_give_what_their_elements_give() -> None:
    batches, bits = np.array([1, 16, 300]), np.array([[128], [256]])
    found = scan_index(ScanIndex(1e9, bits), batch=batches, k=10)
    assert found.queries_per_s.shape == (2, 3)
    for row, size in enumerate((128, 256)):
        for column, batch in enumerate((1, 16, 300)):
            one = scan_index(ScanIndex(1e9, size), batch=batch, k=10)
            assert found.queries_per_s[row, column] == pytest.approx(one.queries_per_s)
            assert found.bound_by[row, column] == one.bound_by
    assert len(found.to_frame()) == 6


@settings(max_examples=20, deadline=None)
@given(
    documents=st.integers(1, 10**12),
    bits=st.sampled_from([64, 256, 1024]),
    batch=st.integers(1, 2000),
    k=st.integers(1, 1000),
    on=st.sampled_from(SCANNERS),
)
def test_invariants(documents: int, bits: int, batch: int, k: int, on: str) -> None:
    index = ScanIndex(documents, bits)
    found = scan_index(index, on, batch=batch, k=k)
    assert found.queries_per_s > 0
    assert np.isfinite(found.latency_s)
    # No batch is answered faster than its busiest scanning resource, and shares of energy sum to the whole.
    assert found.latency_s >= max(found.occupancy_s[name] for name in ("comparison", "top-k"))
    assert sum(found.energy_parts_j.values()) == pytest.approx(found.energy_j_per_query)
    assert found.queries_per_s == pytest.approx(batch / max(found.occupancy_s.values()))
    assert found.checks[0].ok
    # Twice the shards hold the index too and answer no slower, merging apart.
    more = scan_index(index, on, batch=batch, k=k, shards=2 * int(found.shards))
    for name in ("memory", "comparison", "top-k"):
        assert more.occupancy_s[name] <= found.occupancy_s[name] * (1 + 1e-12)
    longer = scan_index(ScanIndex(documents, 2 * bits), on, batch=batch, k=k, shards=found.shards)
    assert longer.occupancy_s["memory"] >= found.occupancy_s["memory"]


def test_every_constant_read_is_named() -> None:
    read = scan_index(ScanIndex(1e9, 256)).assumptions
    assert {"hbm3.energy_j_per_bit", "engine.clock_hz", "full_adder_transistors"} <= set(read)
    assert "popcount_bits_per_s" in scan_index(ScanIndex(1e9, 256), "gpu").assumptions


def test_overrides_reach_their_book() -> None:
    slow = scan_index(ScanIndex(1e9, 256), set={"hbm3.channels": 3})
    assert slow.occupancy_s["memory"] == pytest.approx(2 * scan_index(ScanIndex(1e9, 256)).occupancy_s["memory"])


BAD = [0, -1, float("nan"), float("inf"), 1.5, 1e40, "many", None, []]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", ["documents", "bits"])
def test_an_index_refuses_what_cannot_be(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        ScanIndex(**{"documents": 1e6, "bits": 256, name: value})


@pytest.mark.parametrize("value", [value for value in BAD if value is not None])
@pytest.mark.parametrize("name", ["batch", "k", "shards"])
def test_a_scan_refuses_what_cannot_be(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        scan_index(ScanIndex(1e6, 256), **{name: value})


def test_other_bad_input() -> None:
    with pytest.raises(InputError, match="multiple of the planes"):
        ScanIndex(1e6, 257, planes=2)
    with pytest.raises(InputError, match="scanned_share"):
        ScanIndex(1e6, 256, scanned_share=0.0)
    with pytest.raises(InputError, match="vector_bytes"):
        scan_index(ScanIndex(1e6, 256), candidates=10)
    with pytest.raises(InputError, match="'hbm3'"):
        load_engine("hbm")
    with pytest.raises(InputError, match="'popcount'"):
        load_engine(unit="popcnt")
    with pytest.raises(InputError, match="'engine'"):
        scan_index(ScanIndex(1e6, 256), "engin")
    with pytest.raises(InputError, match=r"hbm3\.channels"):
        scan_index(ScanIndex(1e6, 256), set={"hbm3.channel": 3})
    with pytest.raises(InputError, match="lanes of tables"):
        scan_index(ScanIndex(1e6, 256), unit="table")
    with pytest.raises(InputError, match="k = 2000"):
        scan_index(ScanIndex(1e6, 256), k=2000)
    with pytest.raises(InputError, match="lanes"):
        load_engine(lanes=0)
    with pytest.raises(InputError, match="'slots'"):
        load_engine(slot=3)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_fields_of_an_engine_have_limits(value: float) -> None:
    engine = load_engine()
    for field in fields(engine):
        if field.metadata and not (value == 0 and field.metadata["limits"].get("low") == 0.0):
            with pytest.raises(InputError, match=field.name):
                replace(engine, **{field.name: value})
