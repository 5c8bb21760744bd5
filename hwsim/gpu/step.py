"""How long a step of a GPU server takes, as a function of arrays: closed form, events and studies all ask here.

A step moves some sequences one token on (decode) and may read pieces of prompts beside them. On each GPU it takes

    products + routed experts + attention + exchanges + latencies,

one after the other, as kernels run. Each of the first three is bound by the bytes it reads or by its arithmetic,
whichever takes longer (Williams, Waterman and Patterson, CACM 52(4), 2009), at the share of the peaks that such kernels
reach. Of E experts with k active, E (1 - (1 - k/E)^tokens) are expected to be read. A group of t GPUs adds two
all-reduces a layer, each moving 2 (t - 1)/t of the hidden vector of every token over every link; several groups that
share experts add two all-to-alls. Latencies are those of kernels, a layer at a time, and of the host between two steps.
Where prompts are read, kernels are launched one by one, which takes its time unless they hide it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from hwbase import Record
from hwbase.check import Number
from hwsim.accelerator import Accelerator
from hwsim.gpu.speculation import steps_per_token
from hwsim.gpu.split import Split, cached_parts, element_bytes, expert_shares
from models import (
    Cache,
    LLMSpec,
    check_decoder,
    feed_forwards,
    macs_per_token,
    mixers,
    parameters,
    state_bytes_per_sequence,
    weight_bytes,
)

#: All-reduces of a split layer: after attention and after the feed-forward (Shoeybi et al., arXiv 1909.08053).
ALL_REDUCES_PER_LAYER = 2
#: All-to-alls of a layer whose experts are spread over groups: to the experts and back.
ALL_TO_ALLS_PER_LAYER = 2
#: Weights up to so many bits, scales included, are computed in 4 bits, or in 8, where the chip has such units.
_FP4_BITS, _FP8_BITS, _BF16_BITS = 5.0, 9.0, 16.0
#: Mixers with a latent cache or an index, whose layers have more kernels.
_LATENT_KINDS = ("mla", "sparse", "compressed")
#: Products with the weights and with the cache are two operations a multiply-accumulate.
_OPS_PER_MAC = 2.0


@dataclass(frozen=True)
class StepTime(Record):
    """Seconds of a step by what they go into, and how much of them memory and arithmetic are at work."""

    products_s: Number
    attention_s: Number
    exchange_s: Number
    layers_s: Number
    host_s: Number
    memory_s: Number
    compute_s: Number

    @property
    def fixed_s(self) -> Number:
        """All but attention: what does not grow with the contexts."""
        return self.products_s + self.exchange_s + self.layers_s + self.host_s

    @property
    def seconds(self) -> Number:
        """The whole step."""
        return self.fixed_s + self.attention_s


@dataclass(frozen=True)
class Attention(Record):
    """Seconds that one position costs a query: to read, to decode, and to read a prompt, up to `limit` positions."""

    limit: float
    read_s: Number
    decode_s: Number
    prompt_s: Number


class StepModel:
    """Times of the steps of one network on one split of GPUs; constants may be arrays. Raises `InputError`."""

    def __init__(self, spec: LLMSpec, device: Accelerator, split: Split) -> None:
        check_decoder(spec, "the GPU step model")
        stored, counts = weight_bytes(spec), parameters(spec)
        gpus, shares = split.gpus, expert_shares(spec, split)
        self.spec, self.device, self.split = spec, device, split
        self.first_token_s, self.host_s = device.first_token_latency_s, device.step_latency_s
        bandwidth = device.memory_bandwidth_bytes_per_s
        self._weights_s = stored.streamed / split.tensor / (bandwidth * device.memory_efficiency)
        self._experts_s = stored.experts / shares / (bandwidth * device.expert_memory_efficiency)
        self._unused = 1.0 - spec.experts_per_token / spec.experts if spec.experts else 1.0

        macs = macs_per_token(spec, 0)
        experts = sum(
            block.layers * matrix.used * matrix.inputs * matrix.outputs
            for block in feed_forwards(spec)
            for matrix in block.matrices
            if matrix.component == "experts"
        )
        seconds_per_mac = _OPS_PER_MAC / gpus
        wide = _rate(device, _BF16_BITS)
        self._token_s = seconds_per_mac * (
            counts.attention / _rate(device, spec.attention_weight_bits, spec.attention_format)
            + (macs.feed_forward - experts) / _rate(device, spec.ffn_weight_bits, spec.ffn_format)
            + (counts.router + macs.state) / wide
        )
        self._logit_s = seconds_per_mac * counts.unembedding / wide
        peak = _peak(device, spec.expert_weight_bits, spec.expert_format)
        self._expert_token_s = seconds_per_mac * experts / (peak * device.expert_compute_efficiency)

        self.attention = _attention(spec, device, split)
        state = state_bytes_per_sequence(spec) / split.tensor / split.replicas
        # A state is read and written.
        self._sequence_s = 2.0 * state / (bandwidth * device.kv_memory_efficiency)
        self._exchange_s, self._exchange_latency_s = _exchanges(spec, device, split, shares)
        self._verified = 1.0 + device.drafted_tokens
        self._drafts, self._step_share = bool(np.any(device.drafted_tokens)), steps_per_token(device)

        latent = sum(mixer.layers for mixer in mixers(spec) if mixer.kind in _LATENT_KINDS)
        self.layers_s = device.layer_latency_factor * (
            spec.layers * device.layer_latency_s
            + spec.moe_layers * device.expert_layer_latency_s
            + latent * device.latent_layer_latency_s
        )
        self.prefill_layers_s = (
            spec.layers * device.prefill_layer_latency_s
            + spec.moe_layers * device.prefill_expert_layer_latency_s
            + latent * device.prefill_latent_layer_latency_s
        )
        for name, value in vars(self).items():
            if isinstance(value, np.generic):
                setattr(self, name, float(value))

    @property
    def limits(self) -> tuple[float, ...]:
        """The most positions that a query attends to in some layers: infinity, a window, or as many as it chooses."""
        return tuple(each.limit for each in self.attention)

    def decode(self, sequences: Number, context: Number) -> StepTime:
        """Return the time of a step of `sequences` sequences that each attend to `context` positions."""
        return self.step(sequences, [sequences * _least(context, limit) for limit in self.limits])

    def prefill(self, tokens: Number, beside: Number = 0.0, prompts: Number = 1.0) -> StepTime:
        """Return the time of one step that reads whole `prompts` of `tokens` tokens, `beside` sequences decoding.

        What those attend to is left out. Tokens that are in the cache are attended to, and not computed again.
        """
        cached = self.device.cached_prompt_share * tokens
        whole = [positions_sum(tokens, limit) - positions_sum(cached, limit) for limit in self.limits]
        return self.step(
            beside,
            [0.0] * len(whole),
            prompt=prompts * (tokens - cached),
            prompts_end=prompts,
            prompt_attended=[prompts * positions for positions in whole],
            prompt_read=[prompts * _least(cached, limit) for limit in self.limits],
        )

    def step(
        self,
        sequences: Number,
        attended: Sequence[Number],
        *,
        prompt: Number = 0.0,
        prompts_end: Number = 0.0,
        prompt_attended: Sequence[Number] = (),
        prompt_read: Sequence[Number] = (),
    ) -> StepTime:
        """Return the time in which sequences move one token on, beside prompts; everything broadcasts.

        With drafted tokens it is a step's share of a token, and what prompts add to the step.

        Parameters
        ----------
        sequences
            Sequences that decode, each one token.
        attended
            Positions that they attend to in all, within each of `limits`.
        prompt
            Prompt tokens read.
        prompts_end
            Prompts that end with this step, which asks for their first output token.
        prompt_attended
            Positions that those tokens attend to in all, within each of `limits`.
        prompt_read
            Cached positions of earlier pieces that are read again for them, likewise.

        Returns
        -------
        StepTime
            Seconds.
        """
        prompts = prompt, prompts_end, prompt_attended, prompt_read
        whole = self._step(sequences, attended, *prompts)
        if not self._drafts:
            return whole
        decoding = self._step(sequences, attended)
        share = np.where(np.asarray(sequences) > 0, self._step_share, 1.0)
        parts = zip(vars(decoding).values(), vars(whole).values(), strict=True)
        return StepTime(*((share * alone + (both - alone))[()] for alone, both in parts))

    def _step(
        self,
        sequences: Number,
        attended: Sequence[Number],
        prompt: Number = 0.0,
        prompts_end: Number = 0.0,
        prompt_attended: Sequence[Number] = (),
        prompt_read: Sequence[Number] = (),
    ) -> StepTime:
        """Return the time of one step, which verifies the drafted tokens of each sequence."""
        verified = self._verified * sequences
        tokens = verified + prompt
        dense_memory = self._weights_s
        dense_compute = self._token_s * tokens + self._logit_s * (verified + prompts_end)
        expert_memory = self._experts_s * (1.0 - self._unused**tokens)
        expert_compute = self._expert_token_s * tokens
        attention_memory, attention_compute = self._attention_s(sequences, attended)
        reading: Number = 0.0
        for each, positions in zip(self.attention, prompt_attended, strict=False):
            reading = reading + each.prompt_s * positions
        for each, positions in zip(self.attention, prompt_read, strict=False):
            attention_memory = attention_memory + each.read_s * positions
        products_s = _larger(dense_memory, dense_compute) + _larger(expert_memory, expert_compute)
        attention_s = _larger(attention_memory, attention_compute) + reading
        exchange_s = self._exchange_s * tokens + self._exchange_latency_s
        # Launching kernels one by one hides behind them where they are long enough.
        reads = prompt > 0 if isinstance(prompt, (int, float)) else np.asarray(prompt) > 0
        launching = self.prefill_layers_s * reads - (products_s + attention_s + exchange_s)
        return StepTime(
            products_s=products_s,
            attention_s=attention_s,
            exchange_s=exchange_s,
            layers_s=_larger(self.layers_s, launching),
            host_s=self.host_s,
            memory_s=dense_memory + expert_memory + attention_memory,
            compute_s=dense_compute + expert_compute + attention_compute + reading,
        )

    def attention_s(self, sequences: Number, attended: Sequence[Number]) -> tuple[Number, Number]:
        """Return (memory, arithmetic) seconds of attention while sequences move one token on."""
        memory, compute = self._attention_s(sequences, attended)
        return (memory * self._step_share, compute * self._step_share) if self._drafts else (memory, compute)

    def _attention_s(self, sequences: Number, attended: Sequence[Number]) -> tuple[Number, Number]:
        memory, compute = self._sequence_s * sequences, 0.0
        for each, positions in zip(self.attention, attended, strict=True):
            memory = memory + each.read_s * positions
            compute = compute + self._verified * each.decode_s * positions
        return memory, compute


def positions_sum(tokens: Number, limit: float = inf) -> Number:
    """Return positions attended to by the first `tokens` tokens of a prompt, sum of min(i, limit) for i from 1."""
    whole = tokens * (tokens + 1.0) / 2.0
    if limit == inf:
        return whole
    beyond = limit * (limit + 1.0) / 2.0 + (tokens - limit) * limit
    if isinstance(tokens, (int, float)):
        return whole if tokens <= limit else beyond
    return np.where(tokens <= limit, whole, beyond)[()]


def _attention(spec: LLMSpec, device: Accelerator, split: Split) -> tuple[Attention, ...]:
    """What a position costs, caches with one limit together; the widest comes first."""
    stream = device.memory_bandwidth_bytes_per_s * device.kv_memory_efficiency * split.replicas
    rate = device.peak_ops_per_s * device.attention_compute_efficiency * split.gpus / _OPS_PER_MAC
    layers = [mixer.layers for mixer in mixers(spec) for _ in mixer.caches]
    parts: dict[float, list[Attention]] = {}
    for count, (held, entry) in zip(layers, cached_parts(spec, split, element_bytes(spec, device)), strict=True):
        decode = count * (held.score_macs + held.value_macs)
        expanded = count * (held.expanded_score_macs + held.expanded_value_macs) or decode
        limit = _limit(held)
        # Entries that several positions share are fewer than these.
        costs = (entry / stream / held.stride, decode / rate / held.stride, expanded / rate / held.stride)
        parts.setdefault(limit, []).append(Attention(limit, *costs))
    return tuple(
        Attention(limit, *(sum(getattr(each, name) for each in same) for name in ("read_s", "decode_s", "prompt_s")))
        for limit, same in sorted(parts.items(), reverse=True)
    )


def _limit(held: Cache) -> float:
    chosen = held.top_k * held.stride or inf
    return float(min(held.fixed or inf, held.window or inf, chosen))


def _least(context: Number, limit: float) -> Number:
    return context if limit == inf else np.minimum(context, limit)


def _larger(one: Number, other: Number) -> Number:
    """The larger of two numbers or arrays; plain floats, the steps of events, take a short way."""
    if isinstance(one, float) and isinstance(other, float):
        return max(one, other)
    return np.maximum(one, other)


def _computed_bits(bits: float, number_format: str) -> float:
    """Bits that products are computed in: narrow integers are only stored, and multiplied in 16."""
    return _BF16_BITS if number_format.startswith("int") and bits <= _FP4_BITS else bits


def _peak(device: Accelerator, bits: float, number_format: str) -> Number:
    width = _computed_bits(bits, number_format)
    if width <= _FP4_BITS:
        return device.fp4_ops_per_s
    return device.fp8_ops_per_s if width < _FP8_BITS else device.peak_ops_per_s


def _rate(device: Accelerator, bits: float, number_format: str = "") -> Number:
    """Operations a second of large products of weights of so many bits."""
    width = _computed_bits(bits, number_format)
    if width <= _FP4_BITS:
        return device.fp4_ops_per_s * device.fp4_compute_efficiency
    if width < _FP8_BITS:
        return device.fp8_ops_per_s * device.fp8_compute_efficiency
    return device.peak_ops_per_s * device.compute_efficiency


def _exchanges(spec: LLMSpec, device: Accelerator, split: Split, shares: Number) -> tuple[Number, Number]:
    """Return (seconds a token, seconds of latency) of a step's exchanges between GPUs."""
    tensor, replicas = np.asarray(split.tensor), np.asarray(split.replicas)
    inside = device.nvlink_bandwidth_bytes_per_s * device.nvlink_efficiency
    vector = spec.hidden_size * device.activation_bytes / replicas

    def links(gpus: Number) -> Number:
        return np.where(np.asarray(gpus) > device.node_gpus, device.network_bandwidth_bytes_per_s, inside)

    reduces = np.where(tensor > 1, ALL_REDUCES_PER_LAYER * spec.layers, 0)
    seconds = reduces * 2.0 * (tensor - 1) / tensor * vector / links(tensor)
    spread = np.where((replicas > 1) & (np.asarray(shares) > 1), ALL_TO_ALLS_PER_LAYER * spec.moe_layers, 0)
    sent = spec.experts_per_token * vector / tensor * (1.0 - 1.0 / np.asarray(shares))
    seconds = seconds + spread * sent / links(split.gpus)
    return seconds[()], ((reduces + spread) * device.all_reduce_latency_s)[()]
