"""How fast serving is simulated: events of the detailed grain beside bare SimPy, a trace, a million requests.

Seconds are those of one processor's work, so that other programs count little.

python benchmarks/events.py [trace.csv] [requests]     # a trace such as the Azure LLM inference trace 2023
"""

import resource
import sys
import time

import numpy as np
import simpy

import hwsim
from hwsim.events.traffic import Traffic

MODEL = "gpt-oss-120b"
KIB = 1024


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


def detailed() -> None:
    """Print events per second at several numbers of sequences that decode, and what bare SimPy reaches beside them."""
    for sequences, output in ((1, 600), (20, 60), (216, 8)):
        traffic = Traffic("decode", np.zeros(sequences), np.arange(sequences) % 4 + 1, np.full(sequences, output))
        start = time.process_time()
        served = hwsim.serve(MODEL, traffic, grain="detailed")
        took = time.process_time() - start
        ceiling = ping(sequences, served.events)
        print(
            f"detailed, {sequences} sequences: {served.events:,} events in {took:.2f} s: {served.events / took:,.0f} a "
            f"second ({served.notes[0]}); bare SimPy {ceiling:,.0f}"
        )


def trace(path: str) -> None:
    """Print how long a trace takes in the service grain."""
    traffic = hwsim.read_trace(path)
    for factor in (1, 30):
        start = time.process_time()
        served = hwsim.serve(MODEL, traffic.faster(factor))
        took = time.process_time() - start
        print(
            f"service, {len(traffic):,} requests of {traffic.name} x {factor}: {took:.2f} s, {served.events:,} events"
        )


def many(requests: int) -> None:
    """Print time and memory for Poisson traffic at some four fifths of what the machine can do."""
    traffic = hwsim.poisson(200.0, requests, prompt=1024, output=256)
    start = time.process_time()
    served = hwsim.serve(MODEL, traffic)
    took = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    print(f"service, {requests:,} requests: {took:.1f} s, {requests / took:,.0f} a second, {served.events:,} events")
    print(f"{peak:,.0f} MiB at most; links busy {served.utilisation['column links']:.2f}")


if __name__ == "__main__":
    numbers = [int(given) for given in sys.argv[1:] if given.isdigit()]
    paths = [given for given in sys.argv[1:] if not given.isdigit()]
    detailed()
    for path in paths:
        trace(path)
    many(numbers[0] if numbers else 1_000_000)
