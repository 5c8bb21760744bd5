"""How long a step of a GPU node takes: the roofline of `hwsim.accelerator` for mixed batches, and what it leaves out.

A step moves some sequences one token on (decode) and reads pieces of some prompts (chunked prefill). To the roofline
come what tensor parallelism, kernels and the host add whatever the work: all-reduces over NVLink, a latency of every
layer, one of every step.
"""

from dataclasses import dataclass

from hwbase import Record
from hwbase.books import Reader, check_fields, from_book, sourced
from hwsim.accelerator import Accelerator, load_accelerator
from hwsim.mapping import attention_macs_per_position
from models import LLMSpec, check_plain, kv_elements_per_token_per_layer, parameters, weight_bytes

#: All-reduces of a split layer: after attention and after the feed-forward (Shoeybi et al., arXiv 1909.08053).
ALL_REDUCES_PER_LAYER = 2


@dataclass(frozen=True)
class ServingNode(Record):
    """What serving adds to a device: its links, what every layer and step takes, and the engine's limits."""

    nvlink_bandwidth_bytes_per_s: float = sourced("B/s", above=0.0, high=1e18)
    nvlink_efficiency: float = sourced("1", above=0.0, high=1.0)
    all_reduce_latency_s: float = sourced("s", low=0.0, high=1.0)
    layer_latency_s: float = sourced("s", low=0.0, high=1.0)
    step_latency_s: float = sourced("s", low=0.0, high=1.0)
    activation_bytes: float = sourced("B", above=0.0, high=64)
    memory_share: float = sourced("1", above=0.0, high=1.0)
    kv_block_tokens: int = sourced("token", low=1, high=1e6, whole=True)
    tokens_per_step: int = sourced("token", low=1, high=1e7, whole=True)
    sequences_per_step: int = sourced("1", low=1, high=1e6, whole=True)
    idle_power_share: float = sourced("1", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


def load_node(reader: Reader) -> tuple[Accelerator, ServingNode]:
    """Return the device and what serving adds to it, both of the reader's book; raises `InputError`."""
    return load_accelerator(reader=reader), from_book(ServingNode, reader)


@dataclass(frozen=True)
class Chunk:
    """A piece of a prompt: `tokens` of it after `before` that are cached; `last` asks for the first output token."""

    before: int
    tokens: int
    last: bool


@dataclass(frozen=True)
class Decoding:
    """Sequences that each take one token: how many, positions they attend to in all, and within the window."""

    sequences: int = 0
    positions: float = 0.0
    windowed: float = 0.0
    #: Sequences whose context is still inside the window: `windowed` grows by so many a step.
    inside: int = 0


class StepModel:
    """Times of the steps of one model on `gpus` GPUs; everything in seconds, bytes and multiply-accumulates."""

    def __init__(self, spec: LLMSpec, device: Accelerator, node: ServingNode, gpus: int) -> None:
        check_plain(spec, "the GPU step model")
        stored, counts = weight_bytes(spec), parameters(spec)
        # Heads of keys and values are copied where there are more GPUs than heads (MLA's latent is one).
        heads = 1 if spec.attention == "mla" else spec.kv_heads
        self.gpus, self.copies = gpus, gpus / min(gpus, heads)
        self.bandwidth = device.memory_bandwidth_bytes_per_s * device.memory_efficiency * gpus
        self.rate = device.peak_ops_per_s * device.compute_efficiency * gpus / 2.0
        self.always_bytes = stored.streamed
        self.expert_bytes = stored.experts
        self.unused = 1.0 - spec.experts_per_token / spec.experts if spec.experts else 1.0
        row = kv_elements_per_token_per_layer(spec) * device.kv_element_bytes * self.copies
        self.full_bytes, self.window_bytes = spec.full_layers * row, spec.windowed_layers * row
        self.window = spec.sliding_window if spec.windowed_layers else 0
        macs = attention_macs_per_position(spec)
        self.full_macs, self.window_macs = spec.full_layers * macs, spec.windowed_layers * macs
        self.logit_macs = counts.unembedding
        self.token_macs = counts.active - self.logit_macs
        exchanges = ALL_REDUCES_PER_LAYER * spec.layers if gpus > 1 else 0
        # A ring moves 2 (n - 1)/n of the vector over every link.
        share = 2.0 * (gpus - 1) / gpus * spec.hidden_size * node.activation_bytes
        self.exchange_s = exchanges * share / (node.nvlink_bandwidth_bytes_per_s * node.nvlink_efficiency)
        self.exchange_latency_s = exchanges * node.all_reduce_latency_s
        self.latency_s = spec.layers * node.layer_latency_s + node.step_latency_s
        self.kv_capacity_bytes = gpus * device.memory_bytes * node.memory_share - stored.total

    def used_expert_bytes(self, tokens: int) -> float:
        """Return bytes of the experts that some of `tokens` tokens is expected to use, E (1 - (1 - k/E)^tokens)."""
        return self.expert_bytes * (1.0 - self.unused**tokens)

    def fixed(self, tokens: int) -> tuple[float, float]:
        """Return (NVLink seconds, seconds of latency) of a step of `tokens` tokens."""
        return self.exchange_s * tokens + self.exchange_latency_s, self.latency_s

    def work(self, decoding: Decoding, chunks: tuple[Chunk, ...] = ()) -> tuple[float, float]:
        """Return (memory seconds, compute seconds) of a step: what is read, and what is multiplied."""
        n = decoding.sequences
        tokens, logits = n, n
        full, windowed = decoding.positions, decoding.windowed
        read_full, read_windowed = full, windowed
        for chunk in chunks:
            end = chunk.before + chunk.tokens
            tokens += chunk.tokens
            logits += chunk.last
            full += positions_sum(end) - positions_sum(chunk.before)
            windowed += positions_sum(end, self.window) - positions_sum(chunk.before, self.window)
            # A chunk's queries share one pass over the keys and values.
            read_full += end
            read_windowed += min(end, self.window + chunk.tokens)
        read: float = self.always_bytes + self.used_expert_bytes(tokens)
        read += self.full_bytes * read_full + self.window_bytes * read_windowed
        macs: float = self.token_macs * tokens + self.logit_macs * logits
        macs += self.full_macs * full + self.window_macs * windowed
        return read / self.bandwidth, macs / self.rate

    def growth(self, decoding: Decoding) -> tuple[float, float]:
        """Return what a step takes more than the one before, (memory, compute) in seconds, the batch unchanged."""
        n, inside = decoding.sequences, decoding.inside
        read = self.full_bytes * n + self.window_bytes * inside
        macs = self.full_macs * n + self.window_macs * inside
        return read / self.bandwidth, macs / self.rate


@dataclass(frozen=True)
class Stretch:
    """Steps whose memory and compute time are linear in the step's number: sums over them in closed form."""

    memory_s: float
    compute_s: float
    memory_growth_s: float = 0.0
    compute_growth_s: float = 0.0
    link_s: float = 0.0
    latency_s: float = 0.0

    def memory(self, steps: int) -> float:
        """Return seconds of memory of the first `steps` steps."""
        return _linear_sum(self.memory_s, self.memory_growth_s, steps)

    def compute(self, steps: int) -> float:
        """Return seconds of arithmetic of the first `steps` steps."""
        return _linear_sum(self.compute_s, self.compute_growth_s, steps)

    def duration(self, steps: int) -> float:
        """Return how long the first `steps` steps take, each by the slower of memory and arithmetic."""
        gap, slope = self.memory_s - self.compute_s, self.memory_growth_s - self.compute_growth_s
        last = gap + slope * (steps - 1)
        fixed = (self.link_s + self.latency_s) * steps
        if min(gap, last) >= 0.0:
            return self.memory(steps) + fixed
        if max(gap, last) <= 0.0:
            return self.compute(steps) + fixed
        # One overtakes the other on the way.
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


def positions_sum(tokens: int, window: int | None = None) -> float:
    """Return positions attended to by the first `tokens` tokens of a prompt, sum of min(i, window) for i from 1."""
    if window is None or tokens <= window:
        return tokens * (tokens + 1) / 2.0
    return window * (window + 1) / 2.0 + (tokens - window) * window


def _linear_sum(start: float, growth: float, steps: int) -> float:
    return steps * start + growth * (steps * (steps - 1) / 2.0)
