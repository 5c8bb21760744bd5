"""Seconds to solve the matrices of SmolLM2-135M by GPTQ, beside rounding to nearest. Needs the extra [llm].

Hessians are those of random inputs: the solver's time does not depend on them. The calibration text's runs through the
layers are not counted.
"""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.measure import Measure
from models.inference import read_model
from models.quantise import gptq, nearest, weight_format

#: Tokens of the random inputs.
TOKENS = 4096
FORMATS = ("mxfp4", "int4")


def measures(quick: bool) -> Iterator[Measure]:
    """Yield the seconds of all matrices in each format; those of one layer if `quick`."""
    weights, _ = read_model()
    matrices = [m for name, m in weights.matrices().items() if not quick or name.startswith("blk.0.")]
    random = np.random.default_rng(0)
    hessians = {}
    for size in sorted({matrix.shape[1] for matrix in matrices}):
        inputs = random.standard_normal((TOKENS, size)).astype(np.float32)
        hessians[size] = inputs.T @ inputs
    for name in FORMATS:
        to = weight_format(name)
        start = time.perf_counter()
        solved = [gptq(matrix, hessians[matrix.shape[1]], to) for matrix in matrices]
        between = time.perf_counter()
        for matrix in matrices:
            nearest(matrix, to, search=True)
        stop = time.perf_counter()
        gain = sum(each.loss for each in solved) / sum(each.nearest_loss for each in solved)
        note = f"error {gain:.2f} times that of rounding to nearest"
        label = f"GPTQ of {len(matrices)} matrices, {name}"
        yield Measure(label, between - start, "s", "searched rounding to nearest", stop - between, note)
