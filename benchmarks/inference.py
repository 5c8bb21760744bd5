"""Tokens per second of SmolLM2-135M in each arithmetic, beside what the memory allows. Needs the extra [llm].

Set OPENBLAS_NUM_THREADS=1 for one core.

Every token reads all matrices once, so the bound on float32 decoding is bandwidth / (4 bytes x parameters): 45 tokens/s
of 134.5 M parameters ask for 24.2 GB/s from one core. The best of five runs is shown: whatever else the machine does
only slows it down.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.measure import Measure
from explorer.inference.arithmetic import COMPARED, linear_operator
from models.inference import FloatLinear, Transformer, read_model

RUNS = 5
PREFILL = 256
TOKENS = 60


def best(action: Callable[[], object], runs: int = RUNS) -> float:
    """Return the least seconds that `action` took."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def measures(quick: bool) -> Iterator[Measure]:
    """Yield the bandwidth of each way to multiply one token, and decoding and prefill of each arithmetic."""
    tokens, runs = (4, 1) if quick else (TOKENS, RUNS)
    weights, _ = read_model()
    matrices = weights.matrices()
    size = sum(matrix.nbytes for matrix in matrices.values())
    one = {name: np.ones((1, matrix.shape[1]), np.float32) for name, matrix in matrices.items()}
    linear = FloatLinear(matrices)
    reading = size / best(lambda: [matrix.sum() for matrix in matrices.values()], runs)
    blas = size / best(lambda: [matrix @ one[name][0] for name, matrix in matrices.items()], runs)
    ours = size / best(lambda: [linear(name, one[name], 0) for name in matrices], runs)
    yield Measure("matrix @ vector (BLAS)", blas / 1e9, "GB/s", "reading (sum)", reading / 1e9)
    yield Measure("vecdot (ours)", ours / 1e9, "GB/s", "reading (sum)", reading / 1e9)
    bound = reading / size
    prompt = np.arange(100, 100 + PREFILL)
    rates: dict[str, float] = {}
    for arithmetic, sums in (*((name, "auto") for name in COMPARED), ("hardwired", "matmul")):
        model = Transformer(weights, linear_operator(weights, arithmetic, sums=sums))
        cache = model.cache(8 + tokens)

        def decode(model: Transformer = model, cache: object = cache) -> None:
            cache.rollback(8)
            for token in range(200, 200 + tokens):
                model.forward([token], cache)

        model.forward(prompt[:8], cache)
        rate = tokens / best(decode, runs)
        if (arithmetic, sums) == ("hardwired", "auto"):
            # Packed in 4 bits a weight where numba is installed, with the same logits as in floats.
            yield Measure("decode, hardwired beside float", rate, "tokens/s", "decode, float", rates["float"])
        name = arithmetic if sums == "auto" else f"{arithmetic}, not packed"
        rates[name] = rate
        prefill = PREFILL / best(lambda model=model: model.forward(prompt, last=True), min(runs, 2))
        note = f"prefill {prefill:.0f} tokens/s"
        yield Measure(f"decode, {name}", rate, "tokens/s", "reading float32 once a token", bound, note)
