"""The traffic of a command line: a file, a rate, or users."""

from hwbase import InputError
from hwsim.events.traffic import Traffic, bursty, closed_loop, read_trace

#: Default limit of tokens per request: the context length of today's models.
LONGEST = 131_072


def traffic_from(
    path: str | None,
    *,
    time_scale: float = 1.0,
    limit: int | None = None,
    rate_per_s: float | None = None,
    burstiness: float = 1.0,
    users: int | None = None,
    think_s: float = 0.0,
    requests: int = 1000,
    prompt_tokens: int = 1024,
    output_tokens: int = 1024,
    seed: int = 0,
    max_context: int | None = None,
) -> Traffic:
    """Return the traffic of a CSV file (`path`), or drawn at `rate_per_s`, or sent by `users` who wait for answers.

    Without `max_context`, a request of more than `LONGEST` tokens raises `InputError`; with it, the machine rejects
    requests beyond it. Raises `InputError` unless exactly one of path, rate and users is given, and for other invalid
    input.
    """
    sources = {"--traffic": path, "--rate": rate_per_s, "--users": users}
    named = [name for name, value in sources.items() if value is not None]
    if len(named) != 1:
        raise InputError(f"{' and '.join(named) or 'no traffic'}: expected one of {', '.join(sources)}")
    if path is not None:
        traffic = read_trace(path, time_scale=time_scale, longest=LONGEST if max_context is None else None)
        return traffic if limit is None else traffic.first(limit)
    for name, value, default in (("--time-scale", time_scale, 1.0), ("--limit", limit, None)):
        if value != default:
            raise InputError(f"{name} {value} has no effect without a file: expected --traffic")
    if max_context is None and prompt_tokens + output_tokens > LONGEST:
        raise InputError(
            f"--prompt-tokens {prompt_tokens} and --output-tokens {output_tokens}: expected at most {LONGEST:,} "
            "together (--max-context sets another limit)"
        )
    if users is not None:
        return closed_loop(users, requests, prompt=prompt_tokens, output=output_tokens, think_s=think_s, seed=seed)
    assert rate_per_s is not None
    return bursty(
        rate_per_s,
        requests,
        burstiness,
        prompt=prompt_tokens,
        output=output_tokens,
        seed=seed,
        name="poisson" if burstiness == 1.0 else "bursty",
    )
