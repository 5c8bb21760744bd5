"""Small results in the layouts of `vllm bench serve --save-result` and of GuideLLM's benchmarks.json."""

from typing import Any

#: Means of 1,024 prompt and 512 output tokens over 40 requests.
VLLM: dict[str, Any] = {
    "date": "20250801-120000",
    "endpoint_type": "openai",
    "backend": "openai",
    "label": None,
    "model_id": "openai/gpt-oss-120b",
    "tokenizer_id": "openai/gpt-oss-120b",
    "num_prompts": 40,
    # Of `--metadata machine=h100 tp=2`: always text.
    "machine": "h100",
    "tp": "2",
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 4,
    "duration": 60.0,
    "completed": 40,
    "total_input_tokens": 40960,
    "total_output_tokens": 20480,
    "request_throughput": 0.667,
    "request_goodput": None,
    "output_throughput": 341.3,
    "total_token_throughput": 1024.0,
    "mean_ttft_ms": 50.0,
    "median_ttft_ms": 48.0,
    "std_ttft_ms": 5.0,
    "p99_ttft_ms": 70.0,
    "mean_tpot_ms": 6.0,
    "median_tpot_ms": 6.0,
    "std_tpot_ms": 0.1,
    "p99_tpot_ms": 6.5,
    "mean_itl_ms": 6.1,
    "median_itl_ms": 6.0,
    "std_itl_ms": 0.4,
    "p99_itl_ms": 9.0,
}


def guidellm(users: int, version: str = "0.4", **strategy: Any) -> dict[str, Any]:
    """Return a report of one benchmark, 1,024 tokens in and 512 out, under `users` users; 0.3 or 0.4 and later."""
    strategy = strategy or {"type_": "concurrent", "streams": users}
    benchmark: dict[str, Any] = {
        "type_": "generative_benchmark",
        "metrics": {
            "request_totals": {"successful": 40, "incomplete": 1, "errored": 0, "total": 41},
            "request_concurrency": _distribution(users - 0.2),
            "prompt_token_count": _distribution(1024.0),
            "output_token_count": _distribution(512.0),
            "time_to_first_token_ms": _distribution(50.0),
            "time_per_output_token_ms": _distribution(6.1),
            "inter_token_latency_ms": _distribution(6.0),
        },
        "requests": {
            "successful": [{"model": "of one request", "output_tokens": 512}],
            "incomplete": [],
            "errored": [],
        },
    }
    if version == "0.3":
        benchmark |= {
            "args": {
                "profile": {"type_": "concurrent", "streams": [users, 2 * users]},
                "strategy": strategy,
                "max_number": None,
            },
            "worker": {"type_": "generative_requests_worker", "backend_model": "openai/gpt-oss-120b"},
            "extras": {"machine": "h100", "tp": 2},
        }
        return {"benchmarks": [benchmark]}
    benchmark["config"] = {
        "run_index": 0,
        "profile": {"type_": "concurrent", "streams": [users, 2 * users]},
        "strategy": strategy,
        "backend": {"type_": "openai_http", "target": "http://localhost:8000", "model": "openai/gpt-oss-120b"},
        "environment": {},
    }
    return {
        "metadata": {"version": 1, "guidellm_version": "0.4.0", "python_version": "3.12", "platform": "Linux"},
        "args": {"target": "http://localhost:8000", "model": None, "rate": [users]},
        "benchmarks": [benchmark],
    }


def _distribution(mean: float) -> dict[str, Any]:
    one = {"mean": mean, "median": mean, "std_dev": 0.0, "count": 40, "percentiles": {"p50": mean, "p99": mean}}
    return {"successful": one, "incomplete": {"mean": 0.0}, "errored": {"mean": 0.0}, "total": {"mean": 0.9 * mean}}
