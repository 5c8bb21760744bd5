"""Tokens per second of SmolLM2-135M in each arithmetic, beside what the memory allows. Needs the extra [llm].

    OPENBLAS_NUM_THREADS=1 python benchmarks/inference.py [--tokens 60] [--arithmetic float ...]

Every token reads all matrices once, so the bound on float32 decoding is bandwidth / (4 bytes x parameters): 45 tokens/s
of 134.5 M parameters ask for 24.2 GB/s from one core. The best of five runs is shown: whatever else the machine does
only slows it down.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from explorer.inference.arithmetic import ARITHMETICS, linear_operator
from models.inference import FloatLinear, Transformer, read_model

RUNS = 5
PREFILL = 256


def best(action: Callable[[], object], runs: int = RUNS) -> float:
    """Return the least seconds that `action` took."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print loading, bandwidth, the two ways to multiply one token, and decoding and prefill of each arithmetic."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=60, help="tokens decoded in a run")
    parser.add_argument("--arithmetic", nargs="*", default=list(ARITHMETICS), choices=ARITHMETICS)
    given = parser.parse_args()
    start = time.perf_counter()
    weights, _ = read_model()
    print(f"load {time.perf_counter() - start:.1f} s")

    matrices = weights.matrices()
    size = sum(matrix.nbytes for matrix in matrices.values())
    one = {name: np.ones((1, matrix.shape[1]), np.float32) for name, matrix in matrices.items()}
    reading = best(lambda: [matrix.sum() for matrix in matrices.values()])
    blas = best(lambda: [matrix @ one[name][0] for name, matrix in matrices.items()])
    linear = FloatLinear(matrices)
    ours = best(lambda: [linear(name, one[name], 0) for name in matrices])
    for name, seconds in (("read (sum)", reading), ("matrix @ vector (BLAS)", blas), ("vecdot (ours)", ours)):
        print(f"{name:24} {seconds * 1e3:6.1f} ms  {size / seconds / 1e9:5.1f} GB/s  <= {1 / seconds:5.1f} tokens/s")

    prompt = np.arange(100, 100 + PREFILL)
    for arithmetic in given.arithmetic:
        model = Transformer(weights, linear_operator(weights, arithmetic))
        cache = model.cache(8 + given.tokens)

        def decode(model: Transformer = model, cache: object = cache) -> None:
            cache.rollback(8)
            for token in range(200, 200 + given.tokens):
                model.forward([token], cache)

        model.forward(prompt[:8], cache)
        rate = given.tokens / best(decode)
        prefill = PREFILL / best(lambda model=model: model.forward(prompt, last=True), 2)
        print(f"{arithmetic:10} decode {rate:6.1f} tokens/s   prefill of {PREFILL} {prefill:7.1f} tokens/s")


if __name__ == "__main__":
    main()
