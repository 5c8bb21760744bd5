"""Other mappings in events: pipeline stages, sharded norms, and the order in which the vector units serve."""

import numpy as np
import pytest
import simpy

import hwsim
import models
from hwsim.events.decode import decode_in_detail
from hwsim.events.recording import Recording
from hwsim.events.serve import serve_in_detail
from hwsim.events.server import Server
from hwsim.events.timing import build_timing
from hwsim.events.traffic import closed_loop
from hwsim.simulation import hardwired

GPT = models.load("gpt-oss-120b")
FURTHEST = {"service": "furthest-first"}
#: The paper's silicon in other mappings: stages x rows x columns.
MAPPINGS = {
    "paper": {"rows": 4, "columns": 4},
    "four stages": {"rows": 1, "columns": 4, "pipeline_stages": 4},
    "two stages": {"rows": 1, "columns": 8, "pipeline_stages": 2, "collective": "two-phase", "norms": "sharded"},
    "squares": {"rows": 2, "columns": 2, "pipeline_stages": 4},
    "uneven": {"rows": 1, "columns": 3, "pipeline_stages": 5, "stage_topology": "ring"},
    "sharded": {"rows": 4, "columns": 4, "collective": "two-phase", "norms": "sharded"},
}


def machine(**set):
    design, technology, _ = hardwired(GPT, set=set, technology="n5-asplos26")
    return GPT, design, technology


def closed(set, **given):
    return hwsim.simulate(GPT, reading="pipelined", set=set, technology="n5-asplos26", **given)


@pytest.mark.parametrize("name", MAPPINGS)
def test_one_user_alone_takes_the_closed_forms_time(name):
    set = MAPPINGS[name]
    detailed = decode_in_detail(*machine(**set), context=2048, sequences=1, tokens=6)
    assert detailed.latency_s == pytest.approx(float(closed(set, context=2048, batch=1).latency_s), rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("banks", [20_000, 2_000])
@pytest.mark.parametrize("context", [65_536, 262_144])
@pytest.mark.parametrize("name", MAPPINGS)
def test_one_user_alone_waits_for_memory_as_the_closed_form_says(name, context, banks):
    set = MAPPINGS[name] | {"buffer_banks": banks}
    detailed = decode_in_detail(*machine(**set), context=context, sequences=1, tokens=4)
    known = closed(set, context=context, batch=1)
    assert detailed.latency_s == pytest.approx(float(known.latency_s), rel=0.05)


@pytest.mark.parametrize("network", ["llama-3-8b", "deepseek-v3"])
def test_a_network_without_windows_waits_for_memory_as_the_closed_form_says(network):
    spec = models.load(network)
    set = {"rows": 4, "columns": 4, "buffer_banks": 100}
    design, technology, _ = hardwired(spec, set=set, technology="n5-asplos26")
    detailed = decode_in_detail(spec, design, technology, context=65_536, sequences=1, tokens=4)
    known = hwsim.simulate(spec, reading="pipelined", set=set, technology="n5-asplos26", context=65_536, batch=1)
    assert detailed.latency_s == pytest.approx(float(known.latency_s), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper", "four stages", "two stages", "uneven"])
def test_the_furthest_first_reaches_the_closed_form(name):
    set = MAPPINGS[name] | FURTHEST
    detailed = decode_in_detail(*machine(**set), context=2048, sequences=64)
    known = closed(set, context=2048, batch=64)
    assert detailed.tokens_per_s == pytest.approx(float(known.tokens_per_s), rel=0.02)
    assert detailed.latency_s == pytest.approx(float(known.latency_s), rel=0.05)
    assert max(detailed.busy.values()) <= 1.0 + 1e-9


@pytest.mark.slow
def test_first_come_lets_tokens_bunch():
    """What made the order of service a choice: the same machine makes half as much."""
    first, furthest = (
        decode_in_detail(*machine(**MAPPINGS["four stages"], service=service), context=2048, sequences=64)
        for service in ("first-come", "furthest-first")
    )
    assert 0.4 < first.tokens_per_s / furthest.tokens_per_s < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["four stages", "two stages"])
def test_both_grains_agree(name):
    """Near the knee, where queues matter most; the service grain takes arrivals for random, which they are not."""
    # Few multipliers, so that short contexts keep them busy.
    set = MAPPINGS[name] | FURTHEST | {"vex_macs": 512}
    traffic = closed_loop(24, 36, prompt=np.arange(20, 56), output=np.arange(20, 56), seed=1)
    detailed, service = (
        hwsim.serve(GPT, traffic, grain=grain, set=set, technology="n5-asplos26") for grain in ("detailed", "service")
    )
    assert service.tokens_per_s == pytest.approx(detailed.tokens_per_s, rel=0.08)
    times = (np.nanmedian(result.time_per_output_token_s) for result in (detailed, service))
    assert next(times) == pytest.approx(next(times), rel=0.08)
    for resource, seconds in detailed.busy_s.items():
        # A prompt's tokens but the last need no unembedding, and cross to no other stage for it.
        rel = 0.4 if resource == "stage links" else 0.03
        assert service.busy_s[resource] == pytest.approx(seconds, rel=rel, abs=1e-9), resource


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_lone_prompt_with_the_furthest_first(name):
    """Stages work together on a prompt; the closed form adds the path of its last token, of which a part overlaps."""
    set = MAPPINGS[name] | FURTHEST
    served = serve_in_detail(*machine(**set), closed_loop(1, 1, prompt=96, output=1))
    known = float(closed(set, prompt=96).time_to_first_token_s)
    assert 0.75 * known < served.time_to_first_token_s[0] < 1.1 * known


def test_stages_that_serve_tokens_as_they_come_say_that_they_bunch():
    assert "bunch" in closed(MAPPINGS["four stages"]).notes[-1]
    assert not any(
        "bunch" in note for name in ("paper", "four stages") for note in closed(MAPPINGS[name] | FURTHEST).notes
    )


@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.parametrize("service", ["first-come", "furthest-first"])
def test_every_request_ends_and_nothing_works_more_than_all_the_time(name, service):
    traffic = closed_loop(6, 12, prompt=3, output=np.arange(1, 13), seed=2)
    result = serve_in_detail(*machine(**MAPPINGS[name], service=service), traffic)
    assert result.generated_tokens.sum() == result.output_tokens.sum()
    assert all(share.max() <= 1.0 + 1e-9 for share in result.timeline.utilisation.values())
    stages = MAPPINGS[name].get("pipeline_stages", 1)
    assert (result.busy_s["stage links"] > 0) == (stages > 1)


def test_messages_of_a_token_are_those_of_its_stages():
    traffic = closed_loop(1, 1, prompt=1, output=1)
    result = serve_in_detail(*machine(**MAPPINGS["four stages"]), traffic)
    # Two all-reduces a layer between 4 chips, and 3 + 3 vectors between stages, each by 4 chips.
    assert f"{36 * 2 * 4 * 3 + 4 * 6:,} messages" in result.notes[0]


def test_a_machine_of_stages_needs_the_furthest_first_in_the_service_grain():
    with pytest.raises(hwsim.InputError, match="furthest-first"):
        hwsim.serve(GPT, closed_loop(1, 1), set=MAPPINGS["four stages"])


@pytest.mark.parametrize("service", ["first-come", "furthest-first"])
@pytest.mark.parametrize("grain", ["service", "detailed"])
def test_one_chip_has_no_links_to_wait_for(grain, service):
    set = {"rows": 1, "columns": 1, "service": service}
    result = hwsim.serve("smollm2-135m", closed_loop(3, 6, prompt=4, output=5), grain=grain, set=set)
    assert result.output_tokens.sum() == 30 and result.busy_s["row links"] == 0.0


def test_faults_of_a_stage():
    set = MAPPINGS["four stages"]
    run = {"traffic": closed_loop(2, 4, prompt=2, output=8), "grain": "detailed", "set": set}
    whole = hwsim.serve(GPT, **run)
    slower = hwsim.serve(GPT, **run, faults=[hwsim.Fault("link", 0.0, 4, 5)])
    assert slower.duration_s > whole.duration_s
    for pair in ((3, 4), (0, 4)):
        with pytest.raises(hwsim.InputError, match="no link joins"):
            hwsim.serve(GPT, **run, faults=[hwsim.Fault("link", 0.0, *pair)])
    with pytest.raises(hwsim.InputError, match="0 to 15"):
        hwsim.serve(GPT, **run, faults=[hwsim.Fault("chip", 0.0, 16)])


@pytest.mark.parametrize("service", ["first-come", "furthest-first"])
def test_a_recording_shows_the_work_of_every_stage(service):
    recording = Recording()
    traffic = closed_loop(1, 1, prompt=1, output=2)
    result = serve_in_detail(*machine(**MAPPINGS["four stages"], service=service), traffic, record=recording)
    frame = recording.to_frame()
    assert set(frame.chip) == set(range(16))
    vex_s = (frame.end_s - frame.start_s)[frame.resource == "VEX"].sum() / 16
    assert vex_s == pytest.approx(result.busy_s["VEX"], rel=1e-6)


def test_a_server_takes_the_least_rank_of_those_that_wait():
    env, ends = simpy.Environment(), []
    server = Server(env, lambda booking: None, 1.0, 1.0)
    for rank in (5, 3, 9, 3):
        server.visit(1.0, rank).callbacks.append(lambda _, rank=rank: ends.append((env.now, rank)))
    env.run()
    # The first is under way before the others come.
    assert ends == [(1.0, 5), (2.0, 3), (3.0, 3), (4.0, 9)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"context": 2048, "sequences": 217}, "216 token slots"),
        ({"context": 10**7, "sequences": 100}, "memory"),
        ({"context": 2048, "sequences": 0}, "sequences = 0"),
        ({"context": 2048, "sequences": 1, "tokens": 2}, "tokens = 2"),
    ],
)
def test_decoding_that_cannot_be(given, sentence):
    with pytest.raises(hwsim.InputError, match=sentence):
        decode_in_detail(*machine(), **given)


def test_prefilled_sequences_hold_their_keys_and_values():
    long, short = (decode_in_detail(*machine(), context=context, sequences=1, tokens=6) for context in (65536, 64))
    assert long.busy["VEX"] > 2 * short.busy["VEX"]
    assert long.latency_s > short.latency_s


@pytest.mark.parametrize("stages", [2, 5, 12, 36])
@pytest.mark.parametrize("context", [5.0, 127.5, 2049.3])
def test_the_fullest_stage_attends_to_the_positions_of_its_layers(stages, context):
    model, design, technology = machine(rows=1, columns=1, pipeline_stages=stages)
    for windows in (True, False):
        timing = build_timing(model, design, technology, windows)
        loads = [0.0] * stages
        for stage, windowed in zip(timing.stage_of, timing.windowed, strict=True):
            loads[stage] += min(context, timing.window) if windowed else context
        assert timing.fullest_attended(context) == stages * max(loads)
