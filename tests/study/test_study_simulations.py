"""Studies of single simulations: each row is one call of the simulator and of the bill behind it."""

import numpy as np
import pytest

import costmodel
import hwsim
from explorer import serving_cost
from explorer.scan.cost import scan_fleet
from explorer.study import Study
from explorer.study.scanning import scan_points
from explorer.study.serving import serving_points
from hwbase import InputError
from hwsim.retrieval import ScanIndex

SERVING = Study(
    {
        "rate_per_s": (20.0, 200.0),
        "burstiness": [1.0, 4.0],
        "prompt_tokens": (64, 512),
        "policy": ["first-come", "shortest-prompt"],
        "most_running": {"low": 8, "high": 64, "whole": True, "when": {"policy": "shortest-prompt"}},
        "link_bandwidth_bytes_per_s": (64e9, 1e12),
        "machines": [1, 2],
    },
    evaluate="serving",
    fixed={"requests": 25, "output_tokens": 32, "built": 10, "seed": 4},
    points=6,
    seed=2,
)


@pytest.mark.slow
def test_serving_equals_the_simulator():
    frame = SERVING.run(workers=1).frame
    assert frame["failure"].isna().all() and frame["most_running"].isna().any() and frame["most_running"].notna().any()
    for _, row in frame.iterrows():
        traffic = hwsim.events.traffic.bursty(
            row["rate_per_s"],
            25,
            row["burstiness"],
            prompt=int(row["prompt_tokens"]),
            output=32,
            seed=4,
            name="poisson" if row["burstiness"] == 1 else "bursty",
        )
        running = None if np.isnan(row["most_running"]) else int(row["most_running"])
        link = {"link_bandwidth_bytes_per_s": row["link_bandwidth_bytes_per_s"]}
        machines = int(row["machines"])
        result = hwsim.serve(
            "gpt-oss-120b",
            traffic,
            scheduling=hwsim.Scheduling(policy=row["policy"], most_running=running),
            machines=machines,
            set=link,
        )
        cost = serving_cost(result, machines=machines, built=10, set=link)
        expected = {
            "tokens_per_s": result.tokens_per_s,
            "finished": result.states["finished"],
            "first_token_p99_s": np.percentile(result.time_to_first_token_s, 99),
            "per_output_token_p50_s": np.percentile(result.time_per_output_token_s, 50),
            "request_p99_s": np.percentile(result.latency_s, 99),
            "energy_j_per_output_token": result.energy_j_per_output_token,
            "usd_per_million_output_tokens": cost.usd_per_million_output_tokens,
            "kg_per_million_output_tokens": cost.kg_per_million_output_tokens,
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.slow
def test_scans_equal_the_fleet():
    study = Study(
        {
            "on": ["engine", "cpu", "gpu"],
            "memory": {"choices": ["ddr5", "hbm3"], "when": {"on": "engine"}, "otherwise": "hbm3"},
            "batch": (1, 512, "log"),
            "electricity.usd_per_kwh": (0.04, 0.2),
        },
        evaluate="scan",
        fixed={"documents": 1e9, "bits": 256},
        points=9,
    )
    frame = study.run(workers=1).frame
    assert frame["failure"].isna().all() and frame["on"].nunique() == 3
    for _, row in frame.iterrows():
        book = costmodel.load_book().override({"electricity.usd_per_kwh": row["electricity.usd_per_kwh"]})
        index = ScanIndex(documents=1e9, bits=256)
        fleet = scan_fleet(index, row["on"], memory=row["memory"], batch=int(row["batch"]), book=book)
        for name in ("devices", "usd_per_year", "t_per_year", "usd_per_million_queries"):
            assert row[name] == pytest.approx(float(getattr(fleet, name)), rel=1e-12), name
        assert row["latency_s"] == pytest.approx(float(fleet.scan.latency_s)) and row["bound_by"] == fleet.scan.bound_by


@pytest.mark.parametrize("evaluate", [serving_points, scan_points])
def test_one_point_at_a_time(evaluate):
    with pytest.raises(InputError, match="one point at a time"):
        evaluate({}, 2)


@pytest.mark.parametrize(
    ("evaluate", "fixed", "said"),
    [
        ("serving", {"requests": 2.5}, "2.5"),
        ("serving", {"requests": 0}, "0"),
        ("serving", {"users": 4}, "expected one of"),
        ("serving", {"prompt_tokens": 10**6}, "131,072"),
        ("serving", {"most_running": 2.5}, "most_running = 2.5"),
        ("serving", {"traffic": "missing.csv"}, "expected one of"),
        ("scan", {"batch": 2.5, "documents": 1e9, "bits": 256}, "batch = 2.5"),
        ("scan", {"k": 0, "documents": 1e9, "bits": 256}, "k"),
    ],
)
def test_points_that_cannot_be_say_why(evaluate, fixed, said):
    space = {"rate_per_s": [50.0]} if evaluate == "serving" else {"queries_per_s": [100.0]}
    failure = Study(space, evaluate=evaluate, fixed=fixed, sampler="grid").run(workers=1).frame["failure"][0]
    assert failure and said in failure, failure


def test_requests_beyond_the_context_are_turned_away():
    """With a limit of its own the machine says no; without one such traffic is a mistake."""
    space, fixed = {"rate_per_s": [50.0]}, {"requests": 5, "prompt_tokens": 200_000, "output_tokens": 8}
    study = Study(space, evaluate="serving", fixed=fixed | {"max_context": 100_000}, sampler="grid")
    row = study.run(workers=1).frame.iloc[0]
    assert row["failure"] is not None or row["finished"] == 0
    assert "expected at most" not in str(row["failure"])


def test_a_count_that_cannot_be_read_ends_a_study_before_it_runs():
    with pytest.raises(InputError, match="prompt_tokens = 'many'"):
        Study({"rate_per_s": [50.0]}, evaluate="serving", fixed={"prompt_tokens": "many"}, sampler="grid")
