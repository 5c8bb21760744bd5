"""The HNLPU paper's claims in the event simulator: sequences at their contexts, 1K/1K, and the GPU's rate.

Reference: doi 10.1145/3779212.3790169, Table 2, Figure 14 and Appendix B; the figures are lines of
`hnlpu_machine.csv`. All simulations use the service grain, to keep the scoreboard quick.
"""

import numpy as np

import hwsim
import models
from hwsim.events.gpu.node import NODE_GPUS, serve_accelerator
from hwsim.events.results import ServingResult
from hwsim.events.serve import serve_hardwired
from hwsim.events.traffic import closed_loop

#: Sequences in the paper's pipeline, and the contexts of Figure 14 by their name there.
SEQUENCES = 216
CONTEXTS = {"2k": 2048, "64k": 65536, "256k": 262144}
#: The economics' workload: 1K in, 1K out; the GPU's was measured at this concurrency.
ONE_K, GPU_USERS = 1024, 50
#: Requests of each user; enough that start and end matter little.
_ROUNDS = 4


def serving_figures(
    spec: models.LLMSpec, design: hwsim.HardwiredDesign, technology: hwsim.Technology
) -> dict[str, float]:
    """Return our figure for each line of the scoreboard that the event simulator covers, by id."""
    ours: dict[str, float] = {}
    for name, context in CONTEXTS.items():
        run = sequences_at(spec, design, technology, context)
        ours[f"ev-{name}-tokens"] = run.output_tokens_per_s
        ours[f"ev-{name}-communication"] = run.busy_s["column links"] / busy_path_s(run)
    whole = sequences_at(spec, design, technology, CONTEXTS["256k"] // 2, sliding_window=False)
    ours["ev-256k-sequences"] = float(np.rint(whole.timeline.running.max()))
    ours["ev-1k1k-tokens"] = one_k_in_and_out(spec, design, technology).tokens_per_s
    # The H100 keeps its constants, independent of the hardwired machine's.
    node = serve_accelerator(spec, closed_loop(GPU_USERS, GPU_USERS * _ROUNDS, prompt=ONE_K, output=ONE_K))
    ours["ev-h100-1k1k"] = node.output_tokens_per_s / NODE_GPUS
    return ours


def sequences_at(
    spec: models.LLMSpec,
    design: hwsim.HardwiredDesign,
    technology: hwsim.Technology,
    context: int,
    sliding_window: bool | None = None,
) -> ServingResult:
    """Return as many sequences as the paper has slots, decoding from 0 to twice `context`, with that mean."""
    traffic = closed_loop(SEQUENCES, SEQUENCES, prompt=1, output=2 * context - 1)
    return serve_hardwired(spec, design, technology, traffic, sliding_window=sliding_window)


def one_k_in_and_out(
    spec: models.LLMSpec, design: hwsim.HardwiredDesign, technology: hwsim.Technology
) -> ServingResult:
    """Return the economics' workload on one machine with a user for every slot; its tokens/s include the prompts."""
    traffic = closed_loop(SEQUENCES, SEQUENCES * _ROUNDS, prompt=ONE_K, output=ONE_K)
    return serve_hardwired(spec, design, technology, traffic)


def busy_path_s(run: ServingResult) -> float:
    """Return the seconds of links, arrays and vector units that a breakdown such as Figure 14 adds up."""
    return sum(run.busy_s[name] for name in ("column links", "HN arrays", "VEX"))
