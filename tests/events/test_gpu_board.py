"""The scoreboard of measured GPUs: the best number of GPUs, and constants fitted without a network."""

import numpy as np
import pandas as pd
import pytest

from explorer.serving import fit_gpus, gpu_board
from explorer.serving.gpu_board import CELL, best_gpus
from explorer.serving.measured_gpus import FITTED, TIMES, against_measured


def service(rates, ours, network="gpt-oss-120b", **changes):
    """Return one service measured on 1, 2, 4 ... GPUs that gives `rates` and, by us, `ours` output tokens/s a GPU."""
    rows = []
    for index, (measured, simulated) in enumerate(zip(rates, ours, strict=True)):
        gpus = 2**index
        users, tokens, first = 8, 100, 1.0
        row = {
            "network": network,
            "machine": "h100",
            "engine": "vllm",
            "format": "mxfp4",
            "gpus": gpus,
            "expert_parallel": 1,
            "prompt_tokens": 1000,
            "output_tokens": tokens,
            "users": users,
            "why": "",
        }
        for kind, rate in (("", measured), ("ours_", simulated)):
            # users * tokens / (first + tokens * each) / gpus = rate
            row[f"{kind}time_to_first_token_s"] = first
            row[f"{kind}time_per_output_token_s"] = (users * tokens / (rate * gpus) - first) / tokens
        rows.append({**row, **changes})
    return pd.DataFrame(rows)


def test_a_choice_is_right_where_both_name_the_same_gpus():
    right = service([30.0, 50.0, 20.0], [10.0, 12.0, 11.0])
    wrong = service([30.0, 50.0, 20.0], [50.0, 30.0, 20.0], network="llama-3-70b")
    assert best_gpus(pd.concat([right, wrong])) == {"groups": 2, "right": 1}
    # Whatever the order of the rows.
    assert best_gpus(pd.concat([wrong, right])[::-1]) == {"groups": 2, "right": 1}


def test_a_choice_counts_the_rate_of_a_gpu_not_of_the_service():
    """Twice the GPUs give more tokens/s in all and fewer a GPU."""
    assert best_gpus(service([30.0, 20.0], [30.0, 20.0])) == {"groups": 1, "right": 1}
    assert best_gpus(service([30.0, 20.0], [20.0, 30.0])) == {"groups": 1, "right": 0}


@pytest.mark.parametrize("changes", [{"why": "does not fit"}, {"expert_parallel": 8}])
def test_points_without_an_answer_and_with_parallel_experts_are_not_compared(changes):
    points = pd.concat([service([30.0], [30.0]), service([90.0], [1.0], **changes).assign(gpus=2)])
    assert best_gpus(points) == {"groups": 0, "right": 0}


def test_services_that_differ_are_not_compared_with_each_other():
    points = pd.concat([service([30.0], [30.0]), service([90.0], [1.0]).assign(gpus=2, users=16)])
    assert best_gpus(points) == {"groups": 0, "right": 0}


@pytest.fixture(scope="module")
def measured():
    """Two points of each of two networks on one machine, measured as we say they are."""
    rows = []
    for network, users in (("gpt-oss-120b", 4), ("gpt-oss-120b", 16), ("llama-3-8b", 4), ("llama-3-8b", 16)):
        point = {"network": network, "machine": "h100", "engine": "vllm", "gpus": 2, "expert_parallel": 1}
        fmt = "mxfp4" if network == "gpt-oss-120b" else "bf16"
        rows.append({**point, "format": fmt, "prompt_tokens": 1024, "output_tokens": 1024, "users": users})
    points = pd.DataFrame(rows).assign(**dict.fromkeys(TIMES, 1.0))
    ours = against_measured(points)
    spread = {f"spread_{name}": [0.0, 0.2, 0.0, 0.0] for name in TIMES}
    return points.assign(**{name: ours[f"ours_{name}"] for name in TIMES}, **spread)


def test_a_network_is_also_judged_by_constants_fitted_without_it(measured, monkeypatch):
    slow = fit_gpus.present()
    slow[fit_gpus.places().index(("h100", "layer_latency_s"))] *= 10.0
    monkeypatch.setattr(gpu_board, "measured_points", lambda: measured)
    monkeypatch.setattr(gpu_board, "left_out", lambda: {"llama-3-8b": slow})
    board = gpu_board.gpu_board()
    rows = {row["network"]: row for row in board.rows}
    assert all(row["tpot_ratio"] == pytest.approx(1.0) for row in rows.values())
    assert rows["llama-3-8b"]["tpot_left_out_error"] > 0.5
    assert rows["gpt-oss-120b"]["tpot_left_out_error"] is None
    assert (rows["gpt-oss-120b"]["tpot_noise"], rows["gpt-oss-120b"]["tpot_repeated"]) == (0.2, 1)
    assert (rows["llama-3-8b"]["tpot_noise"], rows["llama-3-8b"]["tpot_repeated"]) == (None, 0)
    assert board.summary["fitted"]["points"] == 4 and board.summary["best_gpus"] == {"groups": 0, "right": 0}
    assert board.points["left_out_time_per_output_token_s"].notna().tolist() == [False, False, True, True]


def test_constants_without_a_network_are_close_to_those_of_all_and_not_the_same():
    apart, present = fit_gpus.left_out(), fit_gpus.present()
    assert set(apart) == set(FITTED)
    for constants in apart.values():
        assert constants.shape == present.shape and (constants > 0).all()
        assert not np.allclose(constants, present, rtol=1e-3)


@pytest.mark.slow
def test_every_cell_of_the_scoreboard_is_a_row():
    pytest.importorskip("aiconfigurator_core", reason="measured GPUs: pip install 'hwsim[gpu]'")
    board = gpu_board.gpu_board()
    assert len(board.rows) == len(board.points[list(CELL)].drop_duplicates())
    assert sum(row["points"] for row in board.rows) == len(board.points)
    groups, right = board.summary["best_gpus"].values()
    assert groups > 250 and right / groups >= 0.9
    fitted = board.summary["fitted"]
    assert fitted["tpot_error"] < fitted["tpot_left_out_error"] < 0.2
