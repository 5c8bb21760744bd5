"""Steps of mixed batches, singly or as runs of equal steps, from the times of `hwsim.gpu.step`."""

from dataclasses import dataclass
from math import inf

from hwbase import InputError, Record
from hwbase.books import check_fields, sourced
from hwsim.gpu.step import StepModel, positions_sum


@dataclass(frozen=True)
class ServingNode(Record):
    """Limits of an engine's steps and its cache."""

    kv_block_tokens: int = sourced("token", low=1, high=1e6, whole=True)
    tokens_per_step: int = sourced("token", low=1, high=1e7, whole=True)
    sequences_per_step: int = sourced("1", low=1, high=1e6, whole=True)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


@dataclass(frozen=True)
class Chunk:
    """A chunk of a prompt: `tokens` of it after `before` cached ones; `last` produces the first output token."""

    before: int
    tokens: int
    last: bool


@dataclass(frozen=True)
class Decoding:
    """Decoding sequences: their number, the positions they attend to in all, and within the window."""

    sequences: int = 0
    positions: float = 0.0
    windowed: float = 0.0
    #: Sequences whose context is still inside the window: `windowed` grows by this many a step.
    inside: int = 0


def mixed_step(model: StepModel, decoding: Decoding, chunks: tuple[Chunk, ...] = ()) -> "Stretch":
    """Return one step that decodes, with chunks of prompts, or the first of equal steps if there are none."""
    attended = _by_limit(model, decoding.positions, decoding.windowed)
    if not chunks:
        step = model.step(decoding.sequences, attended)
        memory_s, compute_s = model.attention_s(decoding.sequences, attended)
        memory_growth, compute_growth = model.attention_s(0, _by_limit(model, decoding.sequences, decoding.inside))
        busy = float(step.memory_s), float(step.compute_s), float(step.exchange_s)
        return Stretch(memory_s, compute_s, memory_growth, compute_growth, float(step.fixed_s), busy)
    limits = model.limits
    ends = [(chunk.before, chunk.before + chunk.tokens) for chunk in chunks]
    step = model.step(
        decoding.sequences,
        attended,
        prompt=sum(chunk.tokens for chunk in chunks),
        prompts_end=sum(chunk.last for chunk in chunks),
        prompt_attended=[sum(positions_sum(b, limit) - positions_sum(a, limit) for a, b in ends) for limit in limits],
        # A chunk's queries share one pass over the keys and values of earlier chunks.
        prompt_read=[sum(min(before, limit) for before, _ in ends) for limit in limits],
    )
    busy = float(step.memory_s), float(step.compute_s), float(step.exchange_s)
    return Stretch(float(step.attention_s), 0.0, fixed_s=float(step.fixed_s), busy=busy)


def window_of(model: StepModel) -> int:
    """Return the largest limit of attended positions, 0 if no layer has one. Raises `InputError`."""
    windows = [limit for limit in model.limits if limit < inf]
    if len(windows) > 1:
        shown = ", ".join(f"{window:g}" for window in windows)
        raise InputError(f"{model.spec.name}: its layers attend to at most {shown} positions: expected one such limit")
    return int(windows[0]) if windows else 0


def _by_limit(model: StepModel, positions: float, windowed: float) -> list[float]:
    return [positions if limit == inf else windowed for limit in model.limits]


@dataclass(frozen=True)
class Stretch:
    """Steps whose attention, in memory or arithmetic, grows linearly from step to step: sums in closed form.

    `fixed_s` is the rest of every step; `busy` are the first step's seconds of memory, arithmetic and links.
    """

    memory_s: float
    compute_s: float
    memory_growth_s: float = 0.0
    compute_growth_s: float = 0.0
    fixed_s: float = 0.0
    busy: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def memory(self, steps: int) -> float:
        """Return seconds of memory for attention of the first `steps` steps."""
        return _linear_sum(self.memory_s, self.memory_growth_s, steps)

    def compute(self, steps: int) -> float:
        """Return seconds of arithmetic for attention of the first `steps` steps."""
        return _linear_sum(self.compute_s, self.compute_growth_s, steps)

    def busy_s(self, steps: int) -> tuple[float, float, float]:
        """Return the busy seconds of memory, arithmetic and links in the first `steps` steps."""
        memory, compute, link = self.busy
        return (
            _linear_sum(memory, self.memory_growth_s, steps),
            _linear_sum(compute, self.compute_growth_s, steps),
            link * steps,
        )

    def duration(self, steps: int) -> float:
        """Return the duration of the first `steps` steps, each set by the slower of memory and arithmetic."""
        gap, slope = self.memory_s - self.compute_s, self.memory_growth_s - self.compute_growth_s
        last = gap + slope * (steps - 1)
        fixed = self.fixed_s * steps
        if min(gap, last) >= 0.0:
            return self.memory(steps) + fixed
        if max(gap, last) <= 0.0:
            return self.compute(steps) + fixed
        # The slower of the two changes within the steps.
        turn = min(int(-gap / slope) + 1, steps)
        first, then = (self.memory, self.compute) if gap > 0.0 else (self.compute, self.memory)
        return first(turn) + then(steps) - then(turn) + fixed

    def steps_until(self, seconds: float, most: int) -> int:
        """Return the fewest steps, 1 to `most`, that take at least `seconds` (`most` if none do)."""
        low, high = 1, most
        while low < high:
            middle = (low + high) // 2
            if self.duration(middle) >= seconds:
                high = middle
            else:
                low = middle + 1
        return low


def _linear_sum(start: float, growth: float, steps: int) -> float:
    return steps * start + growth * (steps * (steps - 1) / 2.0)
