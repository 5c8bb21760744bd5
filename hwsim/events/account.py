"""The parts of every serving result, independent of the machine: requests as arrays, machines over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.events.bins import Bins
from hwsim.events.ledger import Ledger
from hwsim.events.results import Timeline

#: Columns of the bins after the resources.
LEVELS = ("running", "waiting", "kv_bytes", "tokens_per_s")


def request_arrays(ledger: Ledger) -> dict[str, Any]:
    """Return the fields of `ServingResult` with one value for each request, (requests,)."""
    return {
        "arrival_s": np.array(ledger.arrival),
        "admitted_s": np.array(ledger.admitted),
        "first_token_s": np.array(ledger.first),
        "end_s": np.array(ledger.end),
        "prompt_tokens": np.array(ledger.prompt),
        "output_tokens": np.array(ledger.output),
        "generated_tokens": np.array(ledger.generated),
        "state": np.array(ledger.state, dtype=np.int64),
    }


def timeline(parts: Sequence[Bins], resources: Sequence[str]) -> Timeline:
    """Return means over time of machines with bins `parts`: utilisations averaged, levels added."""
    whole = Bins(len(resources) + len(LEVELS))
    for part in parts:
        whole.include(part)
    times, means = whole.means()
    levels: dict[str, Any] = dict(zip(LEVELS, means[:, len(resources) :].T, strict=True))
    utilisation = {name: means[:, index] / len(parts) for index, name in enumerate(resources)}
    return Timeline(time_s=times, utilisation=utilisation, **levels)
