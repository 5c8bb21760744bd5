"""Results of serving traffic, independent of machine and grain: one record, by request and over time."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase import Quantity, Record, unknown_name

if TYPE_CHECKING:
    import pandas as pd

#: End states of a request; the position is the code in `ServingResult.state`.
STATES = ("finished", "cancelled", "rejected", "failed", "unfinished")
#: Percentiles of summaries.
PERCENTILES = (50, 90, 95, 99)
#: Latencies of a request: properties of `ServingResult` and their names in tables.
LATENCIES = {
    "time_to_first_token_s": "time to first token",
    "time_per_output_token_s": "time per output token",
    "latency_s": "request",
    "waiting_s": "waiting",
}


def percentiles_of(values: np.ndarray, of: Any) -> Any:
    """Return percentiles of `values`, linear between finite neighbours; infinite beyond the share of finite values.

    NaN where there are no values.

    Examples
    --------
    >>> percentiles_of(np.array([1.0, 2.0, 3.0, np.inf]), (50, 75, 90)).tolist()
    [2.5, 3.0, inf]
    """
    ranks = np.asarray(of, dtype=float)
    if not values.size:
        return np.full(ranks.shape, np.nan)
    known = values[np.isfinite(values)]
    if not known.size:
        return np.full(ranks.shape, np.inf)
    reached = np.percentile(np.minimum(values, known.max()), ranks)
    return np.where(ranks <= 100 * known.size / values.size, reached, np.inf)


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
        return np.where(self.finished, self.end_s - self.arrival_s, np.nan)

    @property
    def waiting_s(self) -> np.ndarray:
        """Seconds from arrival to admission, (requests,)."""
        return self.admitted_s - self.arrival_s

    @property
    def finished(self) -> np.ndarray:
        """Whether the user got the whole answer, (requests,)."""
        return self.state == STATES.index("finished")

    @property
    def served_share(self) -> float:
        """Finished requests over all requests."""
        return float(np.mean(self.finished))

    def felt(self, latency: str) -> np.ndarray:
        """Return one of `LATENCIES` of all requests, (requests,): infinite for a user who never got there.

        An unfinished, failed, cancelled or rejected request has an infinite latency, except for what it reached before
        (its first token, its admission). NaN is left only where a latency does not exist: time between tokens of a
        finished request with one token. Raises `InputError` for an unknown latency.
        """
        if latency not in LATENCIES:
            raise unknown_name("latency", latency, LATENCIES)
        values = getattr(self, latency)
        if latency in ("time_to_first_token_s", "waiting_s"):
            return np.where(np.isnan(values), np.inf, values)
        return np.where(self.finished, values, np.inf)

    @property
    def output_tokens_per_s(self) -> float:
        """Output tokens over the whole duration, per second."""
        return float(self.generated_tokens.sum() / self.duration_s) if self.duration_s > 0.0 else 0.0

    @property
    def served_tokens_per_s(self) -> float:
        """Output tokens of finished requests over the whole duration, per second."""
        served = float(self.generated_tokens[self.finished].sum())
        return served / self.duration_s if self.duration_s > 0.0 else 0.0

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
        """Return a row for each latency (first token, output token, request, waiting; s), a column a percentile.

        Percentiles are over all requests (see `felt`): infinite where too many were not served.
        """
        import pandas as pd

        rows = {}
        for latency, name in LATENCIES.items():
            values = self.felt(latency)
            rows[name] = percentiles_of(values[~np.isnan(values)], of)
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
            "served_share": self.served_share,
            "duration_s": self.duration_s,
            "tokens_per_s": self.tokens_per_s,
            "output_tokens_per_s": self.output_tokens_per_s,
            "served_tokens_per_s": self.served_tokens_per_s,
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
        from hwbase.numbers import percent

        frame = self.percentiles()
        labels = ("time_to_first_token_s", "time_per_output_token_s", "request_s", "waiting_s")
        rows = dict(zip(labels, frame.to_numpy().tolist(), strict=True))
        title = f"{self.model} on {self.machine}, {percent(self.served_share)} of requests served"
        return values_table(title, rows, [f"{str(name)[1:]} %" for name in frame])
