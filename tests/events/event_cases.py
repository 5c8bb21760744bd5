"""Small machines that are quick to simulate token by token, and checks that hold for every result."""

import dataclasses
import itertools

import numpy as np

import hwsim
import models
from hwsim.events.results import STATES
from hwsim.events.traffic import Traffic, bursty

#: Four layers, half of them windowed, on four chips.
TINY = dataclasses.replace(
    models.load("gpt-oss-120b"),
    name="tiny",
    layers=4,
    hidden_size=512,
    query_heads=16,
    kv_heads=4,
    head_dim=32,
    windowed_layers=2,
    sliding_window=32,
    vocab_size=4096,
    experts=8,
    experts_per_token=2,
    expert_intermediate_size=512,
)
DENSE = dataclasses.replace(
    models.load("llama-3-8b"),
    name="dense",
    layers=3,
    hidden_size=256,
    query_heads=8,
    kv_heads=4,
    head_dim=32,
    vocab_size=1024,
    intermediate_size=512,
)
LATENT = dataclasses.replace(
    models.load("deepseek-v3"),
    name="latent",
    layers=3,
    dense_layers=1,
    hidden_size=256,
    query_heads=8,
    q_lora_rank=64,
    kv_lora_rank=32,
    qk_nope_head_dim=16,
    qk_rope_head_dim=8,
    v_head_dim=16,
    vocab_size=1024,
    intermediate_size=512,
    experts=8,
    experts_per_token=2,
    expert_intermediate_size=128,
)
GRID = {"rows": 2, "columns": 2}
#: What binds the tiny model on four chips: latency, links, VEX, buffer reads with a spill to HBM.
BINDING = {
    "latency": GRID,
    "links": {**GRID, "link_bandwidth_bytes_per_s": 8e9},
    "vex": {**GRID, "vex_macs": 64},
    "buffer": {**GRID, "buffer_banks": 4, "hbm_stack_bandwidth_bytes_per_s": 2e9},
    "hbm": {**GRID, "buffer_banks": 4, "buffer_port_bits": 4096, "hbm_stack_bandwidth_bytes_per_s": 1e8},
}
TIMES = ("arrival_s", "admitted_s", "first_token_s", "end_s")


def serve(traffic, grain, spec=TINY, set=GRID, **given):
    return hwsim.serve(spec, traffic, grain=grain, set=set, **given)


def mixed_traffic(n, seed, rate=2e5, longest=60, cancel=True):
    """Bursts of small requests of three priorities, some of whose users give up."""
    random = np.random.default_rng(seed)
    made = bursty(rate, n, 3.0, prompt=random.integers(1, longest, 20), output=random.integers(1, 20, 20), seed=seed)
    patience = np.where(random.random(n) < 0.3, random.exponential(1e-4, n) + 1e-7, np.inf)
    return Traffic(
        made.name,
        made.arrival_s,
        made.prompt_tokens,
        made.output_tokens,
        priority=random.integers(0, 3, n),
        cancel_s=patience if cancel else np.zeros(0),
    )


def check_conserved(result, traffic):
    """Every request has one end, tokens are those asked for, times are in order, bins add up to totals."""
    finished = result.state == STATES.index("finished")
    assert sum(result.states.values()) == len(traffic)
    assert result.states["unfinished"] == 0
    assert np.array_equal(result.generated_tokens[finished], result.output_tokens[finished])
    assert np.all(result.generated_tokens <= result.output_tokens) and np.all(result.generated_tokens >= 0)
    assert np.all(np.isfinite(result.end_s))
    assert np.all(np.isfinite(result.first_token_s) == (result.generated_tokens > 0))
    for earlier, later in itertools.pairwise(TIMES):
        known = np.isfinite(getattr(result, earlier)) & np.isfinite(getattr(result, later))
        assert np.all(getattr(result, earlier)[known] <= getattr(result, later)[known] + 1e-12)
    assert all(0.0 <= share <= 1.0 + 1e-6 for share in result.utilisation.values())
    line = result.timeline
    widths = np.diff(line.time_s, prepend=0.0)
    for name, share in line.utilisation.items():
        assert np.isclose(np.dot(widths, share), result.busy_s[name], rtol=1e-9, atol=1e-15)
    if result.machine == "hnlpu":
        passes = np.dot(widths, line.tokens_per_s)
        least = (result.prompt_tokens[finished] + result.output_tokens[finished] - 1).sum()
        most = (result.prompt_tokens + result.output_tokens - 1)[np.isfinite(result.admitted_s)].sum()
        assert least * (1 - 1e-6) <= passes <= most * (1 + 1e-6) + 1e-6
