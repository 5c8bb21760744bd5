"""A recording of every resource in a window of simulated time, for Perfetto and for one token's path."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from hwbase.check import integer, real

#: Default limit of spans, about what Perfetto opens easily.
MOST_SPANS = 200_000


class Span(NamedTuple):
    """A resource of a chip that works from `start_s` to `end_s` on `what`, for a token of a request in a layer.

    HBM fetches keys and values for a later layer: there `layer` is -1.
    """

    start_s: float
    end_s: float
    chip: int
    resource: str
    what: str
    request: int
    position: int
    layer: int


class Recording:
    """Spans of the detailed grain that begin from `start_s` on and before `end_s`, at most `most`.

    Pass one to `hwsim.serve(..., grain="detailed", record=...)` and read it afterwards. `dropped` counts spans beyond
    `most`. Raises `InputError` for numbers out of range.
    """

    def __init__(self, start_s: float = 0.0, end_s: float = float("inf"), most: int = MOST_SPANS) -> None:
        self.start_s = real("start_s", start_s, low=0.0)
        self.end_s = end_s if end_s == float("inf") else real("end_s", end_s, above=self.start_s)
        self.most = integer("most", most, high=1e8)
        self.spans: list[Span] = []
        self.dropped = 0

    def covers(self, now_s: float) -> bool:
        """Return whether work that begins now is recorded."""
        return self.start_s <= now_s < self.end_s

    def add(self, end_s: float, seconds: float, chip: int, resource: str, what: str, token: Sequence[int]) -> None:
        """Record the work of a resource in the `seconds` before `end_s` for a token (request, position, layer).

        Empty work, work outside the window, and work beyond the limit are left out.
        """
        if seconds > 0.0 and self.covers(end_s - seconds):
            if len(self.spans) < self.most:
                self.spans.append(Span(end_s - seconds, end_s, chip, resource, what, *token))
            else:
                self.dropped += 1

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each span, in order of their starts."""
        frame = pd.DataFrame(self.spans, columns=list(Span._fields))
        return frame.sort_values(["start_s", "chip", "resource"], kind="stable", ignore_index=True)

    def way(self, request: int, position: int, layer: int, chip: int = 0) -> pd.DataFrame:
        """Return the spans of one token in one layer on one chip, one row each, for a Gantt chart."""
        frame = self.to_frame()
        tags = {"request": request, "position": position, "layer": layer, "chip": chip}
        for name, value in tags.items():
            frame = frame[frame[name] == value]
        return frame.reset_index(drop=True)

    def chrome_trace(self) -> dict[str, Any]:
        """Return the spans as a Chrome trace (JSON that Perfetto opens): one process a chip, one thread a resource.

        Format: "Trace Event Format", complete events (`ph` "X"), times in microseconds.
        """
        threads: dict[tuple[int, str], int] = {}
        events: list[dict[str, Any]] = []
        for span in sorted(self.spans):
            thread = threads.setdefault((span.chip, span.resource), len(threads) + 1)
            events.append(
                {
                    "name": span.what,
                    "cat": span.resource,
                    "ph": "X",
                    "ts": span.start_s * 1e6,
                    "dur": (span.end_s - span.start_s) * 1e6,
                    "pid": span.chip,
                    "tid": thread,
                    "args": {"request": span.request, "position": span.position, "layer": span.layer},
                }
            )
        chips = sorted({chip for chip, _ in threads})
        names = [_name("process_name", chip, 0, f"chip {chip}") for chip in chips]
        names += [_name("thread_name", chip, thread, resource) for (chip, resource), thread in threads.items()]
        return {"traceEvents": names + events, "displayTimeUnit": "ns", "otherData": {"dropped_spans": self.dropped}}


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
