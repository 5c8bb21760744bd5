"""Simulated serving points beside measured ones; nothing is fitted to them."""

import pytest

from explorer.serving.measured_gpus import against_measured, measured_points
from hwbase import InputError

pytest.importorskip("aiconfigurator_core", reason="measured GPUs: pip install 'hwsim[gpu]'")


@pytest.fixture(scope="module")
def compared():
    return against_measured()


def test_points_are_there_once():
    points = measured_points()
    assert len(points) > 40
    assert not points.duplicated().any()
    assert set(points.gpus) == {2, 4, 8}


def test_time_per_output_token_is_predicted(compared):
    ratio = compared.ratio_time_per_output_token_s
    assert 0.85 < ratio.median() < 1.1
    assert ratio.quantile(0.75) - ratio.quantile(0.25) < 0.15


def test_first_tokens_are_sooner_than_measured(compared):
    """A roofline has no server in front of it, and its large products are faster than real ones."""
    ratio = compared.ratio_time_to_first_token_s
    assert 0.3 < ratio.median() < 0.6
    # But by one factor, whatever the load and the prompt: rankings hold.
    ranks = compared[["time_to_first_token_s", "ours_time_to_first_token_s"]].rank().corr().iloc[0, 1]
    assert ranks > 0.9


def test_without_latencies_small_batches_would_be_far_too_fast(compared):
    few = compared[(compared.users == 4) & (compared.gpus == 8)]
    assert len(few) == 3
    bare = against_measured(points=few.iloc[:, :6], set={"layer_latency_s": 0.0, "step_latency_s": 0.0})
    assert bare.ratio_time_per_output_token_s.max() < 0.4 < few.ratio_time_per_output_token_s.min()


def test_another_model_is_said_to_be_missing():
    with pytest.raises(InputError, match="gpt-oss-120b"):
        measured_points("llama-3-8b")
