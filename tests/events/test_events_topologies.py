"""Classes and topologies of links in events: the closed form's times, and conservation under any mapping."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.events.decode import decode_in_detail
from hwsim.events.faults import Fault
from hwsim.events.ledger import FAILED, FINISHED
from hwsim.events.serve import serve_in_detail
from hwsim.events.timing import build_timing
from hwsim.events.traffic import closed_loop
from hwsim.fabric import COLLECTIVES
from hwsim.mapping import NORMS, layer_links
from hwsim.occupancy import step_elements
from hwsim.pipeline import TOPOLOGIES as STAGE_TOPOLOGIES
from hwsim.simulation import hardwired

GPT = models.load("gpt-oss-120b")
#: A model of few layers, which is soon simulated.
TINY = replace(models.load("smollm2-135m"), name="tiny", layers=5)
LINKED = {
    "ring of a row": {"rows": 1, "columns": 4, "pipeline_stages": 4, "grid_topology": "torus", "collective": "ring"},
    "torus": {"rows": 4, "columns": 4, "grid_topology": "torus", "collective": "two-phase", "norms": "sharded"},
    "mesh on a wafer": {"rows": 4, "columns": 4, "grid_topology": "mesh", "link_class": "wafer"},
    "switch": {"rows": 2, "columns": 4, "pipeline_stages": 2, "grid_topology": "switch", "link_class": "nvlink"},
    "two classes": {"rows": 1, "columns": 4, "pipeline_stages": 4, "link_class": "ucie", "stage_link_class": "optical"},
    "cheapest": {"rows": 4, "columns": 4, "collective": "cheapest", "norms": "sharded"},
    "3D torus": {"rows": 3, "columns": 4, "pipeline_stages": 6, "grid_topology": "torus", "stage_topology": "ring"},
}


def machine(spec, **set):
    design, technology, _ = hardwired(spec, set=set, technology="n5-asplos26")
    return spec, design, technology


@pytest.mark.parametrize("name", LINKED)
def test_one_user_alone_takes_the_closed_forms_time(name):
    # As many positions on each row, where a reduce ends.
    detailed = decode_in_detail(*machine(GPT, **LINKED[name]), context=2048, sequences=1, tokens=9)
    known = hwsim.simulate(GPT, reading="pipelined", set=LINKED[name], context=2048, batch=1)
    assert detailed.latency_s == pytest.approx(float(known.latency_s), rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["furthest-first", "deadline"])
@pytest.mark.parametrize("name", ["ring of a row", "two classes", "torus"])
def test_a_full_machine_reaches_the_closed_form(name, service):
    # Few layers, and slow links, fill with few sequences.
    spec = replace(GPT, name="short", layers=8, windowed_layers=4)
    slow = {"link_bandwidth_bytes_per_s": 8e9, "links.ucie.bandwidth_bytes_per_s": 8e9}
    set = LINKED[name] | slow | {"service": service}
    detailed = decode_in_detail(*machine(spec, **set), context=2048, sequences=32, tokens=16)
    known = hwsim.simulate(spec, reading="pipelined", set=set, context=2048, batch=32)
    assert detailed.tokens_per_s == pytest.approx(float(known.tokens_per_s), rel=0.02)
    assert detailed.latency_s == pytest.approx(float(known.latency_s), rel=0.05)


mappings = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 4),
        "columns": st.integers(1, 3),
        "pipeline_stages": st.integers(1, 4),
        "collective": st.sampled_from(COLLECTIVES),
        "norms": st.sampled_from(NORMS),
        "grid_topology": st.sampled_from(["row-column", "torus", "mesh", "switch"]),
        "stage_topology": st.sampled_from(STAGE_TOPOLOGIES),
        "link_class": st.sampled_from(["cxl", "nvlink", "optical"]),
        "stage_link_class": st.sampled_from(["own", "optical"]),
        "service": st.sampled_from(["first-come", "furthest-first", "deadline"]),
        "links_per_pair": st.sampled_from([1, 3]),
    }
)


@settings(max_examples=25, deadline=None)
@given(mapping=mappings)
def test_every_token_is_served_once_and_busy_times_are_sums_of_visits(mapping):
    spec, design, technology = machine(TINY, **mapping)
    # Every row keeps as many positions of each of two requests: a reduce ends on each as often.
    prompt, output = 5, 8
    result = serve_in_detail(spec, design, technology, closed_loop(2, 2, prompt=prompt, output=output, seed=0))
    assert result.output_tokens.tolist() == [output, output] and set(result.state) == {FINISHED}
    timing = build_timing(spec, design, technology)
    tokens, layers = 2 * (prompt + output - 1), TINY.layers
    visits_s = tokens * layers * timing.visits_s
    # Positions 0 to 11 attend to one position more each, the chips of a column share them.
    attended = 2 * sum(range(1, prompt + output)) * layers / timing.rows
    vex_s = (visits_s + attended * timing.attention_s) / timing.stages
    assert result.busy_s["VEX"] == pytest.approx(vex_s, rel=1e-9)
    loads = layer_links(
        spec,
        design.rows,
        design.columns,
        design.collective,
        rotating=True,
        norms=design.norms,
        topology=design.grid_topology,
        step_elements=step_elements(design),
    )
    for axis in ("column", "row"):
        expected = tokens * layers * loads[f"{axis}_mean"] * timing.element_s / timing.stages
        assert result.busy_s[f"{axis} links"] == pytest.approx(expected, rel=1e-9, abs=1e-15)
    hops = sum(map(len, timing.stage_rounds))
    if timing.stages > 1:
        crossing = sum(map(len, timing.stage_rounds[: timing.stages - 1]))
        crossings = tokens * crossing + 2 * output * (hops - crossing)
        assert result.busy_s["stage links"] == pytest.approx(crossings * timing.handover_s / timing.stage_links)
    if design.chips == 1:
        assert not any(result.busy_s[f"{kind} links"] for kind in ("column", "row", "stage"))
    assert max(result.busy_s.values()) <= result.duration_s * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(mapping=mappings)
def test_energy_of_events_is_that_of_the_closed_form_by_block(mapping):
    spec, design, technology = machine(TINY, **mapping)
    result = serve_in_detail(spec, design, technology, closed_loop(1, 1, prompt=1, output=4, seed=0))
    chip = hwsim.build_chip(spec, design, technology)
    for block in chip.blocks:
        if block.name in result.energy_j:
            most = float(block.dynamic_w * design.chips * design.power_overhead) * result.duration_s
            assert 0.0 <= result.energy_j[block.name] <= most * (1 + 1e-9)


def test_a_broken_link_of_a_ring_sends_messages_the_other_way_and_isolates_in_a_line():
    set = {"rows": 1, "columns": 4, "service": "furthest-first"}
    traffic = closed_loop(1, 1, prompt=8, output=24, seed=0)
    broken = [Fault("link", 1e-6, 1, peer=2)]

    def served(topology, faults=()):
        spec, design, technology = machine(TINY, **set, grid_topology=topology)
        return serve_in_detail(spec, design, technology, traffic, faults=faults)

    whole, around = served("torus"), served("torus", broken)
    assert around.state.tolist() == whole.state.tolist() and around.duration_s > whole.duration_s
    assert served("mesh", broken).state.tolist() == [FAILED]
    # Chips that are not joined have no link that breaks.
    for topology, pair in (("torus", (0, 2)), ("mesh", (0, 3)), ("switch", (0, 1))):
        more = {"link_class": "cxl"} if topology == "switch" else {}
        spec, design, technology = machine(TINY, **set, **more, grid_topology=topology)
        with pytest.raises(hwsim.InputError, match="no link joins chips"):
            serve_in_detail(spec, design, technology, traffic, faults=[Fault("link", 1e-6, pair[0], peer=pair[1])])


@pytest.mark.slow
def test_the_oldest_first_keeps_stages_apart_too():
    set = {"rows": 1, "columns": 4, "pipeline_stages": 4}
    spec = replace(GPT, name="short", layers=8, windowed_layers=4)
    first, furthest, oldest = (
        decode_in_detail(*machine(spec, **set, service=service), context=2048, sequences=48, tokens=16).tokens_per_s
        for service in ("first-come", "furthest-first", "deadline")
    )
    assert oldest > 0.97 * furthest and first < 0.8 * oldest
