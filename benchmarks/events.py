"""How fast serving is simulated: events of the detailed grain beside bare SimPy, a trace, a million requests.

Seconds are those of one processor's work, so that other programs count little.
"""

import resource
import time
from collections.abc import Iterator

import numpy as np
import simpy

import hwsim
from benchmarks.measure import Measure
from hwsim.events.traffic import Traffic

MODEL = "gpt-oss-120b"
KIB = 1024
#: A machine of one chip a stage, in which turns grow the most with the positions read.
STAGES = {"rows": 1, "columns": 1, "pipeline_stages": 12, "norms": "sharded", "service": "furthest-first"}


def ping(processes: int, events: int) -> float:
    """Return the events per second of SimPy when `processes` do nothing but wait: the ceiling of the engine."""

    def wait(env: simpy.Environment, times: int, gap: float):
        for _ in range(times):
            yield env.timeout(gap)

    env = simpy.Environment()
    for process in range(processes):
        env.process(wait(env, events // processes, 1.0 + process * 1e-3))
    start = time.process_time()
    env.run()
    return events / (time.process_time() - start)


def measures(quick: bool) -> Iterator[Measure]:
    """Yield events per second of the detailed grain, and requests per second of the service grain."""
    cases = ((1, 60), (20, 6)) if quick else ((1, 600), (20, 60), (216, 8))
    for sequences, output in cases:
        traffic = Traffic("decode", np.zeros(sequences), np.arange(sequences) % 4 + 1, np.full(sequences, output))
        start = time.process_time()
        served = hwsim.serve(MODEL, traffic, grain="detailed")
        rate = served.events / (time.process_time() - start)
        ceiling = ping(sequences, served.events)
        yield Measure(f"detailed, {sequences} sequences", rate, "events/s", "bare SimPy", ceiling)
    requests = 5_000 if quick else 1_000_000
    traffic = hwsim.poisson(200.0, requests, prompt=1024, output=256)
    start = time.process_time()
    served = hwsim.serve(MODEL, traffic)
    took = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    note = f"{took:.1f} s, {served.events:,} events, {memory:,.0f} MiB at most"
    yield Measure(f"service, {requests:,} requests", requests / took, "requests/s", note=note)
    requests = 500 if quick else 20_000
    traffic = hwsim.poisson(20.0, requests, prompt=1024, output=256)
    start = time.process_time()
    served = hwsim.serve(MODEL, traffic, set=STAGES)
    took = time.process_time() - start
    note = f"{took:.1f} s, {served.events:,} events"
    yield Measure(f"service, 12 stages, {requests:,} requests", requests / took, "requests/s", note=note)
