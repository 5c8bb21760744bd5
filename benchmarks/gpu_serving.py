"""How fast GPU nodes are simulated, and how their figures compare with measured ones.

python benchmarks/gpu_serving.py [requests]        # the second part needs: pip install 'hwsim[gpu]'
"""

import resource
import sys
import time

import models
from explorer.serving.measured_gpus import against_measured
from hwbase import InputError
from hwsim.events.gpu import serve_accelerator
from hwsim.events.traffic import closed_loop, poisson

KIB = 1024


def speed(requests: int) -> None:
    """Print requests and steps per second, and memory, for Poisson traffic on one node."""
    traffic = poisson(40.0, requests, prompt=1155, output=211)
    start = time.perf_counter()
    served = serve_accelerator(models.load("gpt-oss-120b"), traffic)
    took = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    print(f"{requests:,} requests in {took:.1f} s: {requests / took:,.0f} a second, {served.notes[0]}")
    print(f"{memory:,.0f} MiB at most")


def published() -> None:
    """Print tokens/s of a GPU at 1K/1K and 50 users, which the HNLPU paper measured at 1,080."""
    for gpus in (1, 8):
        traffic = closed_loop(50, 500, prompt=1024, output=1024)
        served = serve_accelerator(models.load("gpt-oss-120b"), traffic, gpus=gpus)
        each = served.output_tokens_per_s / gpus
        print(f"{gpus} GPUs, 50 users, 1K/1K: {each:,.0f} output tokens/s a GPU (the paper: 1,080)")


def measured() -> None:
    """Print simulated over measured, by number of users."""
    try:
        found = against_measured()
    except InputError as error:
        print(error)
        return
    ratios = [name for name in found if name.startswith("ratio")]
    print(found.groupby("users")[ratios].median().round(3).to_string())
    print(found[ratios].describe(percentiles=[0.1, 0.5, 0.9]).round(3).to_string())


if __name__ == "__main__":
    speed(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    published()
    measured()
