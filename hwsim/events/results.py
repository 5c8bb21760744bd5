"""Results of serving traffic, independent of machine and grain: one record, by request and over time."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase import Quantity, Record

if TYPE_CHECKING:
    import pandas as pd

#: End states of a request; the position is the code in `ServingResult.state`.
STATES = ("finished", "cancelled", "rejected", "failed", "unfinished")
#: Percentiles of summaries.
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, eq=False)
class Timeline(Record):
    """The machine over time, each (bins,): means over bins that end at `time_s`."""

    time_s: np.ndarray
    utilisation: dict[str, np.ndarray]
    running: np.ndarray
    waiting: np.ndarray
    kv_bytes: np.ndarray
    tokens_per_s: np.ndarray


@dataclass(frozen=True, eq=False)
class ServingResult(Record):
    """Every request of a simulation, and the use of the machine.

    Per request, (requests,): `arrival_s`, `admitted_s`, `first_token_s`, `end_s` (times from the start, NaN if it never
    happened), `prompt_tokens`, `output_tokens` (requested), `generated_tokens`, `state` (index into `STATES`). `busy_s`
    and `energy_j` are by resource over `duration_s`; `capacity` is the number of each (utilisation is busy / capacity /
    duration); static power is under "standing". `events` counts simulated events. `grain` is "detailed" or "service";
    `kind` and `label` are those of the machine's book.
    """

    machine: str
    model: str
    grain: str
    traffic: str
    chips: int
    arrival_s: np.ndarray
    admitted_s: np.ndarray
    first_token_s: np.ndarray
    end_s: np.ndarray
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray
    generated_tokens: np.ndarray
    state: np.ndarray
    duration_s: float
    busy_s: dict[str, float]
    capacity: dict[str, float]
    energy_j: dict[str, float]
    timeline: Timeline
    events: int
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    kind: str = ""
    label: str = ""
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    @property
    def time_to_first_token_s(self) -> np.ndarray:
        """Seconds from arrival to the first output token, (requests,); NaN if there was none."""
        return self.first_token_s - self.arrival_s

    @property
    def time_per_output_token_s(self) -> np.ndarray:
        """Mean seconds between output tokens after the first, (requests,); NaN with fewer than two."""
        gaps = np.where(self.generated_tokens > 1, self.generated_tokens - 1.0, np.nan)
        return (self.end_s - self.first_token_s) / gaps

    @property
    def latency_s(self) -> np.ndarray:
        """Seconds from arrival to the end of a finished request, (requests,); NaN for the others."""
        return np.where(self.state == STATES.index("finished"), self.end_s - self.arrival_s, np.nan)

    @property
    def waiting_s(self) -> np.ndarray:
        """Seconds from arrival to admission, (requests,)."""
        return self.admitted_s - self.arrival_s

    @property
    def output_tokens_per_s(self) -> float:
        """Output tokens over the whole duration, per second."""
        return float(self.generated_tokens.sum() / self.duration_s) if self.duration_s > 0.0 else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Prompt tokens of requests that got a first token, and output tokens, per second."""
        read = self.prompt_tokens[np.isfinite(self.first_token_s)].sum()
        return float((read + self.generated_tokens.sum()) / self.duration_s) if self.duration_s > 0.0 else 0.0

    @property
    def utilisation(self) -> dict[str, float]:
        """Busy share of each resource over the duration."""
        if not self.duration_s > 0.0:
            return dict.fromkeys(self.busy_s, 0.0)
        return {name: busy / self.capacity[name] / self.duration_s for name, busy in self.busy_s.items()}

    @property
    def energy_j_per_output_token(self) -> float:
        """All energy over all output tokens, in J; NaN if there were none."""
        made = float(self.generated_tokens.sum())
        return sum(self.energy_j.values()) / made if made else float("nan")

    @property
    def states(self) -> dict[str, int]:
        """Number of requests by end state."""
        counts = np.bincount(self.state, minlength=len(STATES))
        return {name: int(n) for name, n in zip(STATES, counts, strict=True)}

    def percentiles(self, of: tuple[int, ...] = PERCENTILES) -> "pd.DataFrame":
        """Return a row for each latency (first token, output token, request, waiting; s), a column a percentile."""
        import pandas as pd

        what = {
            "time to first token": self.time_to_first_token_s,
            "time per output token": self.time_per_output_token_s,
            "request": self.latency_s,
            "waiting": self.waiting_s,
        }
        rows = {}
        for name, values in what.items():
            known = values[np.isfinite(values)]
            rows[name] = np.percentile(known, of) if known.size else np.full(len(of), np.nan)
        return pd.DataFrame.from_dict(rows, orient="index", columns=[f"p{p}" for p in of])

    def summary(self) -> dict[str, Any]:
        """Return the figures without the requests and the timeline: rates, percentiles, states, utilisation, energy."""
        return {
            "machine": self.machine,
            "model": self.model,
            "grain": self.grain,
            "traffic": self.traffic,
            "chips": self.chips,
            "requests": int(self.state.size),
            "duration_s": self.duration_s,
            "tokens_per_s": self.tokens_per_s,
            "output_tokens_per_s": self.output_tokens_per_s,
            "energy_j_per_output_token": self.energy_j_per_output_token,
            "states": self.states,
            "percentiles_s": self.percentiles().to_dict(orient="index"),
            "utilisation": self.utilisation,
            "energy_j": self.energy_j,
            "events": self.events,
            "interrupted": self.interrupted,
            "notes": list(self.notes),
        }

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each request: times in s, tokens, state and the latencies."""
        import pandas as pd

        columns = ("arrival_s", "admitted_s", "first_token_s", "end_s", "prompt_tokens", "output_tokens")
        frame = pd.DataFrame({name: getattr(self, name) for name in (*columns, "generated_tokens")})
        frame["state"] = np.asarray(STATES)[self.state]
        for name in ("time_to_first_token_s", "time_per_output_token_s", "latency_s"):
            frame[name] = getattr(self, name)
        return frame

    def _repr_html_(self) -> str:
        from hwbase.notebook import values_table

        frame = self.percentiles()
        labels = ("time_to_first_token_s", "time_per_output_token_s", "request_s", "waiting_s")
        rows = dict(zip(labels, frame.to_numpy().tolist(), strict=True))
        return values_table(f"{self.model} on {self.machine}", rows, [f"{str(name)[1:]} %" for name in frame])
