"""The detailed grain, the service grain and the closed form, where they have to say the same."""

import dataclasses

import numpy as np
import pytest
from event_cases import BINDING, DENSE, GRID, LATENT, TINY, serve

import hwsim
import models
from hwsim.events.serve import serve_hardwired, serve_in_detail
from hwsim.events.traffic import Traffic, closed_loop, poisson
from hwsim.simulation import hardwired

GPT = "gpt-oss-120b"
MACHINES = {
    "tiny": (TINY, GRID),
    "one chip": (TINY, {"rows": 1, "columns": 1}),
    "one row": (TINY, {"rows": 1, "columns": 4}),
    "wide": (TINY, {"rows": 2, "columns": 8}),
    "slow links": (TINY, BINDING["links"]),
    "slow VEX": (TINY, BINDING["vex"]),
    "slow buffers": (TINY, BINDING["buffer"]),
    "dense": (DENSE, GRID),
    "latent attention": (LATENT, {"rows": 4, "columns": 2}),
    GPT: (GPT, {}),
}


def closed_form(spec, set, collective="direct", **given):
    """`hwsim.simulate` takes no collective: the same through the design."""
    loaded = models.load(spec) if isinstance(spec, str) else spec
    design, technology, _ = hardwired(loaded, set=set)
    design = dataclasses.replace(design, collective=collective)
    return (
        loaded,
        design,
        technology,
        hwsim.simulate_hardwired(loaded, design, technology, reading="pipelined", **given),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MACHINES)
def test_a_lone_token_takes_the_closed_forms_path(name):
    spec, set = MACHINES[name]
    # One token of a prompt, then one that attends to two positions: both are known to the closed form.
    for grain in ("detailed", "service"):
        served = serve(closed_loop(1, 1, prompt=1, output=2), grain, spec, set)
        first, second = (
            hwsim.simulate(spec, set=set, context=context, batch=1, reading="pipelined").latency_s for context in (1, 2)
        )
        # The detailed grain deals positions out to rows whole.
        assert served.time_to_first_token_s[0] == pytest.approx(first, rel=0.01)
        assert served.time_per_output_token_s[0] == pytest.approx(second, rel=0.01)


@pytest.mark.parametrize("collective", ["direct", "ring", "tree"])
@pytest.mark.parametrize("grid", [(2, 2), (4, 2), (3, 3)])
def test_any_collective_takes_the_closed_forms_path(collective, grid):
    set = {"rows": grid[0], "columns": grid[1]}
    spec, design, technology, alone = closed_form(TINY, set, collective, context=1, batch=1)
    for run in (serve_in_detail, serve_hardwired):
        served = run(spec, design, technology, closed_loop(1, 1, prompt=1, output=1))
        assert served.time_to_first_token_s[0] == pytest.approx(alone.latency_s, rel=1e-3)


@pytest.mark.parametrize("grain", ["detailed", "service"])
@pytest.mark.parametrize("name", ["tiny", "slow links", "slow VEX", "slow buffers", "dense"])
@pytest.mark.slow
def test_a_lone_prompt_takes_the_closed_forms_time(name, grain):
    spec, set = MACHINES[name]
    prompt = 960
    served = serve(closed_loop(1, 1, prompt=prompt, output=1), grain, spec, set)
    known = hwsim.simulate(spec, set=set, prompt=prompt, reading="pipelined")
    # In a machine that latency binds, tokens enter in companies; they leave a little apart.
    assert served.time_to_first_token_s[0] == pytest.approx(known.time_to_first_token_s, rel=0.08)


@pytest.mark.slow
def test_a_lone_prompt_of_the_published_machine():
    for prompt in (64, 1000):
        known = hwsim.simulate(GPT, prompt=prompt, reading="pipelined").time_to_first_token_s
        for grain in ("detailed", "service"):
            served = serve(closed_loop(1, 1, prompt=prompt, output=1), grain, GPT, {})
            assert served.time_to_first_token_s[0] == pytest.approx(known, rel=0.02)


def decoding(sequences, output, seed=0):
    """Sequences that decode side by side at different positions: prompts of a few tokens, then the same output."""
    prompts = np.random.default_rng(seed).integers(1, 9, sequences)
    return Traffic(f"{sequences} decode", np.zeros(sequences), prompts, np.full(sequences, output), users=sequences)


def passes_per_s(served):
    """Tokens through the machine per second: the last one that a sequence makes does not go in again."""
    return (served.prompt_tokens + served.output_tokens - 1).sum() / served.duration_s


@pytest.mark.slow
@pytest.mark.parametrize("grain", ["detailed", "service"])
@pytest.mark.parametrize(("name", "tolerance"), [("slow links", 0.02), ("slow VEX", 0.06), ("slow buffers", 0.02)])
def test_a_full_machine_keeps_the_closed_forms_pace(name, tolerance, grain):
    spec, set = MACHINES[name]
    slots, output = 6 * spec.layers, 400
    served = serve(decoding(slots, output), grain, spec, set)
    # The pace changes with the context: the mean over it.
    contexts = np.arange(5, 5 + output)
    known = hwsim.simulate(spec, set=set, context=contexts, reading="pipelined")
    assert passes_per_s(served) == pytest.approx(1.0 / np.mean(known.interval_s), rel=tolerance)


@pytest.mark.slow
def test_the_published_machine_keeps_the_closed_forms_pace_when_positions_are_mixed():
    known = hwsim.simulate(GPT, context=20, reading="pipelined").tokens_per_s
    together = serve(closed_loop(216, 216, prompt=1, output=12), "detailed", GPT, {})
    traffic = Traffic("mixed", np.zeros(216), np.arange(216) % 4 + 1, np.full(216, 24), users=216)
    mixed = serve(traffic, "detailed", GPT, {})
    assert passes_per_s(mixed) == pytest.approx(known, rel=0.02)
    # In step, all keys and values of a moment go to one row, over the same links: 3 % slower, and no closed form says.
    assert 0.96 < passes_per_s(together) / known < 0.98


TRAFFIC = {
    "closed": lambda: closed_loop(12, 60, prompt=np.arange(60, 140), output=np.arange(30, 90), seed=3),
    "full": lambda: closed_loop(30, 90, prompt=np.arange(60, 140), output=np.arange(30, 90), seed=4),
    "open": lambda: poisson(6e4, 80, prompt=np.arange(20, 200), output=np.arange(5, 60), seed=5),
}


def agree(traffic, spec, set, **given):
    """Throughput within 2 %, median latencies within 5 %: what both grains promise."""
    detailed, service = (serve(traffic, grain, spec, set, **given) for grain in ("detailed", "service"))
    assert service.tokens_per_s == pytest.approx(detailed.tokens_per_s, rel=0.02)
    for name in ("time_to_first_token_s", "time_per_output_token_s"):
        one, other = (np.nanmedian(getattr(result, name)) for result in (service, detailed))
        assert one == pytest.approx(other, rel=0.05), name
    for name, energy in detailed.energy_j.items():
        assert service.energy_j[name] == pytest.approx(energy, rel=0.03, abs=1e-9), name
    return detailed, service


@pytest.mark.slow
@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("binding", BINDING)
def test_both_grains_agree_on_small_machines(binding, traffic):
    agree(TRAFFIC[traffic](), TINY, BINDING[binding])


@pytest.mark.slow
def test_both_grains_agree_with_a_prefill_cap():
    agree(TRAFFIC["full"](), TINY, BINDING["links"], scheduling=hwsim.Scheduling(prefill_cap=6))


@pytest.mark.slow
@pytest.mark.parametrize("users", [8, 40])
def test_both_grains_agree_on_the_published_machine(users):
    agree(closed_loop(users, 2 * users, prompt=np.arange(10, 100), output=np.arange(20, 60), seed=1), GPT, {})


@pytest.mark.slow
def test_around_the_knee_the_service_grain_is_a_little_fast():
    # Where path and pace meet, queues are all there is; its analysis takes arrivals for random, which they are not.
    for sequences in (10, 12, 14):
        one, other = (serve(decoding(sequences, 40), grain, GPT, {}) for grain in ("service", "detailed"))
        ratio = np.nanmedian(one.time_per_output_token_s) / np.nanmedian(other.time_per_output_token_s)
        assert 0.93 < ratio < 1.01


def test_power_of_a_full_machine_is_the_closed_forms():
    output = 2000
    served = serve(decoding(216, output), "service", GPT, {})
    known = hwsim.simulate(GPT, context=np.arange(5, 5 + output), reading="pipelined")
    mean_w = np.sum(known.power_w * known.interval_s) / np.sum(known.interval_s)
    assert sum(served.energy_j.values()) / served.duration_s == pytest.approx(mean_w, rel=0.005)
