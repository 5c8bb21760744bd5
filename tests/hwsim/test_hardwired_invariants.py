"""What must hold for the hardwired machine whatever the workload: monotony, conservation, arrays as loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.simulation import hardwired

SPECS = {name: models.load(name) for name in models.reference_names()}
MACHINES = {name: hardwired(spec)[:2] for name, spec in SPECS.items()}

NAMES = st.sampled_from(sorted(SPECS))
CONTEXTS = st.integers(1, 2_000_000)
BATCHES = st.integers(1, 1000)
READINGS = st.sampled_from(hwsim.READINGS)
WINDOWS = st.sampled_from([None, True, False])
FACTORS = st.floats(1.0, 1e4)

fast = settings(max_examples=60, deadline=None)


def simulate(name, design=None, **given):
    own, technology = MACHINES[name]
    return hwsim.simulate_hardwired(SPECS[name], design or own, technology, **given)


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, BATCHES, READINGS, WINDOWS)
def test_shares_sum_to_one_and_all_is_finite(name, context, batch, reading, window):
    result = simulate(name, context=context, batch=batch, reading=reading, sliding_window=window)
    assert sum(result.breakdown.values()) == pytest.approx(1.0, abs=1e-12)
    assert all(0.0 <= share <= 1.0 for share in result.breakdown.values())
    for figure in ("tokens_per_s", "latency_s", "interval_s", "time_to_first_token_s", "power_w", "area_mm2"):
        assert 0.0 < getattr(result, figure) < math.inf
    assert result.energy_j_per_token == pytest.approx(result.power_w / result.tokens_per_s)


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, CONTEXTS, BATCHES, READINGS, WINDOWS)
def test_throughput_never_rises_with_context(name, one, other, batch, reading, window):
    contexts = np.sort([one, other])
    found = simulate(name, context=contexts, batch=batch, reading=reading, sliding_window=window)
    assert found.tokens_per_s[1] <= found.tokens_per_s[0] * (1 + 1e-9)


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, CONTEXTS, READINGS, WINDOWS)
def test_one_sequence_never_gets_faster_with_context(name, one, other, reading, window):
    # With many, latency may fall: memory then holds fewer sequences, so fewer wait for each other.
    contexts = np.sort([one, other])
    found = simulate(name, context=contexts, batch=1, reading=reading, sliding_window=window)
    assert found.latency_s[1] >= found.latency_s[0] * (1 - 1e-9)


@pytest.mark.slow
@fast
@given(NAMES, st.integers(1, 100_000), BATCHES, READINGS)
def test_windows_never_slow(name, context, batch, reading):
    on, off = (
        simulate(name, context=context, batch=batch, reading=reading, sliding_window=window) for window in (True, False)
    )
    assert on.tokens_per_s >= off.tokens_per_s * (1 - 1e-9)
    assert on.kv_bytes_per_sequence <= off.kv_bytes_per_sequence


@pytest.mark.slow
@fast
@given(
    NAMES,
    st.integers(1, 300_000),
    BATCHES,
    READINGS,
    FACTORS,
    st.sampled_from(
        [
            "link_bandwidth_bytes_per_s",
            "hbm_stack_bandwidth_bytes_per_s",
            "published_vex_speedup",
            "published_nonlinear_lanes",
        ]
    ),
)
def test_a_faster_part_never_slows_the_machine(name, context, batch, reading, factor, part):
    design = MACHINES[name][0]
    faster = replace(design, **{part: getattr(design, part) * factor})
    before, after = (simulate(name, d, context=context, batch=batch, reading=reading) for d in (design, faster))
    assert after.tokens_per_s >= before.tokens_per_s * (1 - 1e-12)
    assert after.latency_s <= before.latency_s * (1 + 1e-12)
    assert after.time_to_first_token_s <= before.time_to_first_token_s * (1 + 1e-12)


@pytest.mark.slow
@fast
@given(
    NAMES, st.integers(1, 300_000), BATCHES, READINGS, st.integers(1, 64), st.sampled_from(["vex_macs", "vex_lanes"])
)
def test_a_wider_vex_never_slows(name, context, batch, reading, factor, part):
    design = MACHINES[name][0]
    wider = replace(design, **{part: getattr(design, part) * factor})
    before, after = (simulate(name, d, context=context, batch=batch, reading=reading) for d in (design, wider))
    assert after.tokens_per_s >= before.tokens_per_s * (1 - 1e-12)


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, BATCHES, READINGS, WINDOWS)
def test_littles_law(name, context, batch, reading, window):
    result = simulate(name, context=context, batch=batch, reading=reading, sliding_window=window)
    design = MACHINES[name][0]
    table = 2.0 * models.embedding_table_elements(SPECS[name])
    held = ((design.hbm_bytes + design.buffer_bytes) * design.chips - table) // result.kv_bytes_per_sequence
    in_service = result.tokens_per_s * result.latency_s
    # Every sequence there is room for is either in a slot or waits for one; the summed reading does not ask for room.
    room = max(held, 1.0) if reading == "pipelined" else batch
    assert in_service == pytest.approx(min(batch, room), rel=1e-9)


@pytest.mark.parametrize("reading", hwsim.READINGS)
@pytest.mark.parametrize("context", [1, 2048, 65536, 1_000_000])
def test_throughput_grows_with_batch_and_saturates_at_the_slots(reading, context):
    batch = np.arange(1, 1001)
    rate = simulate("gpt-oss-120b", context=context, batch=batch, reading=reading).tokens_per_s
    assert np.all(np.diff(rate) >= -1e-12 * rate[:-1])
    assert np.ptp(rate[215:]) <= 1e-12 * rate[-1]


def test_a_batch_that_spills_may_slow_the_machine():
    # Llama-3-8B on its one chip: keys and values of 8 sequences outgrow the buffer, and HBM has to serve the rest.
    rate = simulate("llama-3-8b", context=2048, batch=np.arange(1, 193), reading="pipelined")
    assert rate.tokens_per_s[-1] < rate.tokens_per_s.max() and rate.bound_by[-1] == "hbm"
    assert np.all(np.diff(rate.occupancy_s["hbm"]) >= 0)


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, st.integers(1, 10**6), st.integers(1, 10**6), READINGS, WINDOWS)
def test_first_token_takes_longer_with_the_prompt(name, context, one, other, reading, window):
    prompts = np.sort([one, other])
    found = simulate(name, context=context, prompt=prompts, reading=reading, sliding_window=window)
    first = found.time_to_first_token_s
    assert first[1] > first[0] if one != other else first[1] == first[0]


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, READINGS, WINDOWS)
def test_a_full_machine_is_bound_by_its_largest_occupancy(name, context, reading, window):
    result = simulate(name, context=context, batch=10**6, reading=reading, sliding_window=window)
    largest = max(result.occupancy_s, key=lambda key: result.occupancy_s[key])
    assert result.bound_by in (largest, "latency")
    if result.bound_by == "latency":
        assert result.interval_s > max(result.occupancy_s.values()) * (1 - 1e-9)


@pytest.mark.slow
@fast
@given(NAMES, CONTEXTS, BATCHES, WINDOWS)
def test_pace_is_the_larger_of_resources_and_latency(name, context, batch, window):
    result = simulate(name, context=context, batch=batch, reading="pipelined", sliding_window=window)
    slowest = max(result.occupancy_s.values())
    assert result.interval_s >= slowest * (1 - 1e-12)
    if result.bound_by != "latency":
        assert result.interval_s == pytest.approx(slowest, rel=1e-12, abs=0)


def test_bound_by_is_right_for_machines_of_nanoseconds():
    # At 100 GHz the VEX takes a cycle a layer, 0.36 ns a token, and the empty machine would pass one sooner.
    design, technology = MACHINES["gpt-oss-120b"]
    quick = replace(
        design,
        clock_hz=1e11,
        link_bandwidth_bytes_per_s=1e18,
        link_latency_s=0.0,
        vex_macs=1e12,
        vex_lanes=1e12,
        hbm_stack_bandwidth_bytes_per_s=1e18,
        buffer_port_bits=1e6,
        stages_per_layer=1000,
    )
    result = hwsim.simulate_hardwired(SPECS["gpt-oss-120b"], quick, technology, reading="pipelined", context=128)
    assert result.interval_s == pytest.approx(0.36e-9, rel=1e-3, abs=0)
    alone = hwsim.simulate_hardwired(
        SPECS["gpt-oss-120b"], quick, technology, reading="pipelined", context=128, batch=1
    )
    assert alone.latency_s / result.batch < result.interval_s
    assert result.bound_by == "vex" and alone.bound_by == "latency"


@pytest.mark.slow
@pytest.mark.parametrize("reading", hwsim.READINGS)
@pytest.mark.parametrize("name", sorted(SPECS))
def test_arrays_are_loops(name, reading):
    contexts, batches = np.array([[1], [2048], [131072], [10**7]]), np.array([1, 7, 216, 5000])
    many = simulate(name, context=contexts, batch=batches, prompt=contexts + 5, reading=reading)
    for i in range(4):
        for j in range(4):
            c, b = int(contexts[i, 0]), int(batches[j])
            one = simulate(name, context=c, batch=b, prompt=c + 5, reading=reading)
            for figure in ("tokens_per_s", "latency_s", "energy_j_per_token", "power_w", "time_to_first_token_s"):
                whole = np.broadcast_to(getattr(many, figure), (4, 4))
                assert whole[i, j] == pytest.approx(getattr(one, figure), rel=1e-12, abs=0), figure
            assert np.broadcast_to(many.bound_by, (4, 4))[i, j] == one.bound_by
            for part, share in one.breakdown.items():
                assert np.broadcast_to(many.breakdown[part], (4, 4))[i, j] == pytest.approx(share, rel=1e-9, abs=1e-12)
            for whole, single in zip(many.checks, one.checks, strict=True):
                assert np.broadcast_to(whole.ok, (4, 4))[i, j] == single.ok, single.name


VARIED = {
    "rows": [1, 2, 4, 8],
    "columns": [1, 3, 4, 16],
    "clock_hz": [5e8, 1e9, 1.5e9, 2e9],
    "activation_bits": [4, 8, 8, 16],
    "popcnt_slack": [0.0, 0.05, 0.1, 0.5],
    "link_bandwidth_bytes_per_s": [32e9, 64e9, 128e9, 1e12],
    "link_latency_s": [0.0, 1e-8, 1e-7, 1e-6],
    "buffer_banks": [1, 10, 20_000, 10**6],
    "hbm_stacks": [0, 1, 8, 12],
    "vex_macs": [1, 1024, 16384, 10**6],
    "stages_per_layer": [1, 6, 7, 100],
    "kv_element_bytes": [0.5, 1, 2, 4],
    "power_overhead": [1.0, 1.2, 1.4, 2.0],
}


@pytest.mark.slow
@pytest.mark.parametrize("reading", hwsim.READINGS)
@pytest.mark.parametrize("field", sorted(VARIED))
def test_a_varied_field_is_a_loop(field, reading):
    design, technology = MACHINES["gpt-oss-120b"]
    spec = SPECS["gpt-oss-120b"]
    array = replace(design, **{field: np.array(VARIED[field])})
    many = hwsim.simulate_hardwired(spec, array, technology, context=65536, reading=reading)
    for i, value in enumerate(VARIED[field]):
        single = replace(design, **{field: value})
        one = hwsim.simulate_hardwired(spec, single, technology, context=65536, reading=reading)
        for figure in ("tokens_per_s", "latency_s", "power_w", "area_mm2", "time_to_first_token_s", "chips"):
            whole = np.broadcast_to(getattr(many, figure), (4,))
            assert whole[i] == pytest.approx(getattr(one, figure), rel=1e-12, abs=0), (figure, value)
        assert np.broadcast_to(many.bound_by, (4,))[i] == one.bound_by
        for part, seconds in one.occupancy_s.items():
            whole = np.broadcast_to(many.occupancy_s[part], (4,))
            assert whole[i] == pytest.approx(seconds, rel=1e-12, abs=1e-30), (part, value)


@pytest.mark.slow
@fast
@given(st.integers(1, 64), st.integers(1, 64), READINGS)
def test_any_grid_simulates(rows, columns, reading):
    design, technology = MACHINES["gpt-oss-120b"]
    grid = replace(design, rows=rows, columns=columns)
    result = hwsim.simulate_hardwired(SPECS["gpt-oss-120b"], grid, technology, reading=reading)
    assert result.chips == rows * columns and 0 < result.tokens_per_s < math.inf
    assert sum(result.breakdown.values()) == pytest.approx(1.0)
