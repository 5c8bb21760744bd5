"""How fast GPU nodes are simulated, and tokens/s of a GPU beside what the HNLPU paper measured.

How far times a token are from measured ones is a scoreboard: `hwsim reproduce gpus`.
"""

import resource
import time
from collections.abc import Iterator

import models
from benchmarks.measure import Measure
from hwsim.events.gpu.node import serve_accelerator
from hwsim.events.traffic import closed_loop, poisson

MODEL = "gpt-oss-120b"
KIB = 1024
#: Output tokens/s of one H100 at 50 users, 1K/1K (HNLPU paper, Table 2).
PAPER_TOKENS_PER_S = 1080.0


def measures(quick: bool) -> Iterator[Measure]:
    """Yield requests per second of one node, and the output tokens/s of a GPU, alone and in a group of eight."""
    requests = 1_000 if quick else 100_000
    spec = models.load(MODEL)
    start = time.process_time()
    served = serve_accelerator(spec, poisson(40.0, requests, prompt=1155, output=211))
    took = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    note = f"{served.notes[0]}, {memory:,.0f} MiB at most"
    yield Measure(f"{requests:,} requests on one node", requests / took, "requests/s", note=note)
    for gpus in (1, 8):
        served = serve_accelerator(spec, closed_loop(50, 500, prompt=1024, output=1024), gpus=gpus)
        each = served.output_tokens_per_s / gpus
        name = f"50 users, 1K/1K, GPUs that share the model: {gpus}"
        yield Measure(name, each, "output tokens/s a GPU", "the paper", PAPER_TOKENS_PER_S)
