"""Serving points measured on GPUs beside ours: how far off, and that closed form and events agree on them."""

import numpy as np
import pytest

from explorer.serving.measured_gpus import (
    FITTED,
    POINT,
    ROUNDS,
    SHORTEST,
    against_measured,
    errors,
    measured_points,
    network_spec,
)
from hwbase import InputError
from hwsim.events.gpu.node import serve_accelerator
from hwsim.events.traffic import closed_loop
from hwsim.gpu.formats import serve_in

pytestmark = pytest.mark.slow

pytest.importorskip("aiconfigurator_core", reason="measured GPUs: pip install 'hwsim[gpu]'")


@pytest.fixture(scope="module")
def compared():
    return against_measured()


def test_points_are_there_once():
    points = measured_points()
    assert not points.duplicated(list(POINT)).any()
    assert points.measurements.sum() > len(points) > 1500
    assert set(points.machine) == {"h100", "h200", "b200", "b300"}
    assert set(points.engine) == {"vllm", "sglang", "trtllm"}
    assert set(FITTED) <= set(points.network)


def test_every_point_has_figures_or_a_reason(compared):
    answered = compared.ours_time_per_output_token_s.notna()
    assert (answered == (compared.why == "")).all()
    fitted = compared[compared.evidence == "fitted"]
    assert (fitted.why == "").mean() > 0.98
    assert fitted[fitted.why != ""].why.str.contains("GB of weights").all()


def test_time_per_output_token_of_fitted_networks(compared):
    found = errors(compared[compared.evidence == "fitted"].ratio_time_per_output_token_s)
    assert found.points > 1500
    assert 0.95 < found.ratio < 1.05
    assert found.error <= 0.10 and found.error_p90 <= 0.28


def test_time_to_the_first_token_of_fitted_networks(compared):
    assert errors(compared[compared.evidence == "fitted"].ratio_time_to_first_token_s).error <= 0.30


def test_the_tensor_parallelism_chosen_is_the_best_measured(compared):
    """Of the GPUs that a service was measured on, those with most tokens/s a GPU by our figures are those measured."""
    known = compared[(compared.why == "") & (compared.expert_parallel == 1)]
    cycle = [name for name in POINT if name not in ("gpus", "expert_parallel")]
    rates = {}
    for kind in ("", "ours_"):
        first, each = known[f"{kind}time_to_first_token_s"], known[f"{kind}time_per_output_token_s"]
        rates[kind] = known.users * known.output_tokens / (first + known.output_tokens * each) / known.gpus
    known = known.assign(measured=rates[""], ours=rates["ours_"])
    groups = [group for _, group in known.groupby(cycle) if len(group) > 1]
    right = [group.ours.idxmax() == group.measured.idxmax() for group in groups]
    assert len(groups) > 250
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize(
    ("network", "machine", "engine", "fmt", "gpus", "users", "prompt", "output"),
    [
        ("gpt-oss-120b", "h100", "vllm", "mxfp4", 2, 4, 1024, 1024),
        ("gpt-oss-120b", "h200", "trtllm", "mxfp4", 1, 32, 1024, 1024),
        ("llama-3-70b", "b200", "trtllm", "nvfp4", 2, 16, 8192, 1024),
        ("llama-3-70b", "h100", "vllm", "fp8", 4, 8, 8192, 1024),
        ("deepseek-v3", "h200", "sglang", "fp8", 8, 16, 1024, 1024),
    ],
)
def test_closed_form_and_events_agree(network, machine, engine, fmt, gpus, users, prompt, output):
    one = {"network": network, "machine": machine, "engine": engine, "format": fmt, "gpus": gpus, "users": users}
    points = measured_points().iloc[:1].assign(**one, prompt_tokens=prompt, output_tokens=output)
    ours = against_measured(points).iloc[0]
    random = np.random.default_rng(0)
    drawn = (random.integers(int(SHORTEST * most), most + 1, 512) for most in (prompt, output))
    traffic = closed_loop(users, ROUNDS * users, prompt=next(drawn), output=next(drawn))
    served = serve_accelerator(serve_in(network_spec(network), fmt), traffic, book=machine, engine=engine, gpus=gpus)
    assert ours.ours_time_per_output_token_s == pytest.approx(np.nanmean(served.time_per_output_token_s), rel=0.05)
    assert ours.ours_time_to_first_token_s == pytest.approx(np.nanmean(served.time_to_first_token_s), rel=0.25)


def test_without_latencies_small_batches_would_be_far_too_fast(compared):
    few = compared[(compared.users == 4) & (compared.gpus == 8) & (compared.network == "gpt-oss-120b")]
    bare = against_measured(
        few[list(measured_points().columns)],
        set={"layer_latency_s": 0.0, "expert_layer_latency_s": 0.0, "step_latency_s": 0.0},
    )
    assert bare.ratio_time_per_output_token_s.median() < 0.5 < few.ratio_time_per_output_token_s.median()


def test_a_network_that_is_not_known_has_a_reason():
    points = measured_points().iloc[:2].assign(network="gpt-oss-1200b")
    assert against_measured(points).why.str.contains("did you mean 'gpt-oss-120b'").all()
    with pytest.raises(InputError, match="did you mean 'layer_latency_s'"):
        against_measured(points.assign(network="llama-3-8b"), set={"layer_latncy_s": 1.0})
