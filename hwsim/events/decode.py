"""Sequences that only decode, token by token in the detailed grain: what a closed form's tokens per second come to.

Keys and values of every sequence are in place at the start, so that no prompt has to be read. The rate is that of a
middle stretch, when tokens have spread over the machine and no sequence has ended.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import integer
from hwsim.design import HardwiredDesign
from hwsim.events.account import timeline
from hwsim.events.detailed import DetailedMachine
from hwsim.events.ledger import Ledger
from hwsim.events.machine import Progress, Users
from hwsim.events.memory import Memory
from hwsim.events.outcome import RESOURCES
from hwsim.events.results import Timeline
from hwsim.events.scheduling import Scheduling
from hwsim.events.slots import Slots
from hwsim.events.timing import build_timing
from hwsim.events.traffic import Traffic
from hwsim.technology import Technology
from models import LLMSpec

#: Tokens that every sequence makes, and the stretch of the run that counts, as shares of the time to the first end.
TOKENS = 24
_FROM, _TO = 0.4, 0.95


@dataclass(frozen=True)
class DecodeResult(Record):
    """What `sequences` made at `context` positions: tokens per second, time per token, and busy shares by resource."""

    context: int
    sequences: int
    tokens_per_s: float
    latency_s: float
    busy: dict[str, float]
    events: int


def decode_in_detail(
    model: LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    *,
    context: int,
    sequences: int,
    tokens: int = TOKENS,
    sliding_window: bool | None = None,
    progress: Progress | None = None,
) -> DecodeResult:
    """Return what the detailed events make of `sequences` that decode at `context` positions.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    technology : Technology
    context : int
        Positions that each sequence holds in the middle of the run; they differ by one from sequence to sequence, over
        the rows of a grid.
    sequences : int
        Sequences, at most the token slots of the machine.
    tokens : int
        Tokens that each sequence makes, at least 4.
    sliding_window : bool, optional
        False: windowed layers attend to the whole context.
    progress : callable, optional
        Called with (sequences done, sequences, seconds simulated).

    Returns
    -------
    DecodeResult

    Raises
    ------
    InputError
        For sequences that the slots or the memory do not hold, and a design whose fields are arrays.
    """
    context, sequences = integer("context", context, high=10**8), integer("sequences", sequences)
    tokens = integer("tokens", tokens, low=4, high=10**6)
    timing = build_timing(model, design, technology, sliding_window)
    if sequences > timing.slots:
        raise InputError(f"sequences = {sequences}: expected at most the {timing.slots} token slots of {design.name}")
    memory = Memory(timing, model, design)
    if sequences * memory.bytes_of(context + tokens) > memory.room_bytes:
        raise InputError(f"sequences = {sequences}: the memory of {design.name} does not hold them at {context:,}")
    start = max(context - tokens // 2, 1)
    traffic = Traffic(
        "decoding",
        np.zeros(sequences),
        start + np.arange(sequences) % timing.rows,
        np.full(sequences, tokens),
        users=sequences,
    )
    ledger = Ledger(traffic)
    slots = Slots(timing.slots, timing.layers, ledger, memory, Scheduling(), prefilled=True)
    machine = DetailedMachine(timing, memory, ledger, Users(traffic), slots, [], None, progress)
    machine.run()
    line = timeline([machine.bins], RESOURCES)
    from_s, to_s, tokens_per_s = _whole_rounds(line, sequences, min(ledger.end))
    counted = (line.time_s >= from_s) & (line.time_s <= to_s)
    if not counted.any():
        # A run shorter than a piece of the timeline.
        counted = np.ones_like(counted)
    first, end = np.array(ledger.first), np.array(ledger.end)
    return DecodeResult(
        context=context,
        sequences=sequences,
        tokens_per_s=tokens_per_s,
        latency_s=float(np.median((end - first) / (tokens - 1))),
        busy={name: float(np.mean(share[counted])) for name, share in line.utilisation.items()},
        events=machine.events,
    )


def _whole_rounds(line: Timeline, sequences: int, until_s: float) -> tuple[float, float, float]:
    """Return (start, end, tokens per second) of whole rounds in the stretch that counts.

    In a round every sequence makes a token. Tokens of a machine that is not full come close together, so that a stretch
    of any other length would count some of them once too often.
    """
    spans_s = np.diff(line.time_s, prepend=0.0)
    made = np.concatenate([[0.0], np.cumsum(line.tokens_per_s * spans_s)])
    time_s = np.concatenate([[0.0], line.time_s])
    first, last = (np.interp(share * until_s, time_s, made) / sequences for share in (_FROM, _TO))
    rounds = np.arange(np.ceil(first), np.floor(last) + 1.0)
    # The middle of a round, between its first token and its last.
    marks_s = np.interp((rounds - 0.5) * sequences, made, time_s)
    if len(rounds) < 2 or not marks_s[-1] > marks_s[0]:
        from_s, to_s = _FROM * until_s, _TO * until_s
        return from_s, to_s, float((last - first) * sequences / (to_s - from_s))
    return float(marks_s[0]), float(marks_s[-1]), float((len(rounds) - 1) * sequences / (marks_s[-1] - marks_s[0]))
