"""How a network is laid over GPUs, and what each of them then has to hold.

`tensor` GPUs share every matrix and the heads of the cache (Shoeybi et al., arXiv 1909.08053); where there are more of
them than heads of keys and values, heads are copied, and a latent cache (MLA) is whole on each. `replicas` such groups
divide the sequences between them and copy everything but routed experts, which are spread over the GPUs of all groups
(attention in data parallel, experts in parallel). One function says what fits, for closed form and events alike.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwbase import Record
from hwbase.check import Number, count
from hwsim.accelerator import Accelerator
from models import Cache, LLMSpec, WeightBytes, held_entries, mixers, state_bytes_per_sequence, weight_bytes

#: More GPUs than this serve no model as one.
MOST_GPUS = 2**20


@dataclass(frozen=True)
class Split(Record):
    """`tensor` GPUs a group and `replicas` groups; numbers, or arrays alike."""

    tensor: Number
    replicas: Number

    @property
    def gpus(self) -> Number:
        """GPUs in all."""
        return self.tensor * self.replicas

    def describe(self, spec: LLMSpec) -> str:
        """Return how `spec` is split, in words; of one split, not of arrays."""
        if self.gpus == 1:
            return "one GPU holds the whole model"
        words = [f"matrices and heads in {self.tensor:g} parts"] if self.tensor > 1 else []
        if self.replicas > 1:
            words.append(f"sequences over {self.replicas:g} groups")
            if spec.experts:
                words.append(f"experts over {expert_shares(spec, self):g} GPUs")
        return ", ".join(words)


@dataclass(frozen=True)
class Memory(Record):
    """Bytes on each GPU: weights, and keys and values of the sequences that it serves."""

    weights_bytes: Number
    kv_bytes: Number
    room_bytes: Number

    @property
    def needed_bytes(self) -> Number:
        """What the GPU has to hold."""
        return self.weights_bytes + self.kv_bytes

    @property
    def fits(self) -> Number:
        """Whether it does."""
        return self.needed_bytes <= self.room_bytes


@dataclass(frozen=True)
class KvCache(Record):
    """The key-value cache of all GPUs together, copies counted: bytes that a position and a sequence take of it."""

    position_bytes: float
    sequence_bytes: float
    capacity_bytes: float


def expert_shares(spec: LLMSpec, split: Split) -> Number:
    """Return the GPUs that one copy of the routed experts is spread over.

    One group cuts each expert as it cuts any matrix; several hand out whole experts, evenly.
    """
    if not spec.experts:
        return split.tensor
    whole = np.gcd(np.nan_to_num(split.gpus).astype(np.int64), spec.experts)
    return np.where(np.asarray(split.replicas) == 1, split.tensor, whole)[()]


def kv_heads(spec: LLMSpec, held: Cache) -> int:
    """Return the heads of keys and values that a group can divide; a latent or an index is whole on each GPU."""
    if not held.value_macs:
        return 1
    return max(round(spec.query_heads * held.elements / (held.score_macs + held.value_macs)), 1)


def cached_parts(spec: LLMSpec, split: Split, element_bytes: Number) -> list[tuple[Cache, Number]]:
    """Return each kind of cache with the bytes that an entry of all its layers takes on a GPU of its group."""
    return [
        (held, elements * element_bytes / np.minimum(split.tensor, heads))
        for held, elements, heads in _network(spec).caches
    ]


@dataclass(frozen=True)
class _Network:
    """What of a spec does not change with the split: bytes of weights, (cache, elements of an entry, heads), states."""

    stored: WeightBytes
    caches: tuple[tuple[Cache, int, int], ...]
    state_bytes: float


@lru_cache(maxsize=512)
def _network(spec: LLMSpec) -> _Network:
    caches = [
        (held, mixer.layers * held.elements, kv_heads(spec, held)) for mixer in mixers(spec) for held in mixer.caches
    ]
    return _Network(weight_bytes(spec), tuple(caches), state_bytes_per_sequence(spec))


def memory(spec: LLMSpec, device: Accelerator, split: Split, context: Number, batch: Number) -> Memory:
    """Return what each GPU holds of `spec` and of `batch` sequences at `context` positions; everything broadcasts."""
    network = _network(spec)
    stored = network.stored
    copied = (stored.total - stored.experts) / split.tensor
    sequence: Number = network.state_bytes / split.tensor
    for held, entry in cached_parts(spec, split, element_bytes(spec, device)):
        if not held.borrowed:
            sequence = sequence + entry * held_entries(held, context)
    return Memory(
        weights_bytes=copied + stored.experts / expert_shares(spec, split),
        kv_bytes=(np.ceil(np.asarray(batch) / split.replicas) * sequence)[()],
        room_bytes=device.memory_bytes * device.memory_share,
    )


def element_bytes(spec: LLMSpec, device: Accelerator) -> Number:
    """Return bytes of an element of the cache: what the engine keeps, or fewer where the network was released so."""
    return np.minimum(device.kv_element_bytes, spec.kv_cache_bits / 8.0)[()]


def kv_cache(spec: LLMSpec, device: Accelerator, split: Split, block: int) -> KvCache:
    """Return the cache that `split` leaves beside the weights, in blocks of `block` positions."""
    position, sequence = 0.0, state_bytes_per_sequence(spec) / split.tensor
    for held, entry in cached_parts(spec, split, element_bytes(spec, device)):
        if held.borrowed:
            continue
        if held.fixed or held.window:
            # A sequence holds a window's worth, however short it is.
            entries = held.fixed or -(-held.window // block) * block
            sequence += float(entry) * entries / held.stride
        else:
            position += float(entry) / held.stride
    empty = memory(spec, device, split, 0, 0)
    free = (empty.room_bytes - empty.weights_bytes) * split.gpus
    return KvCache(position * split.tensor, sequence * split.tensor, float(free))


def tensor_sizes(spec: LLMSpec, device: Accelerator) -> list[int]:
    """Return the powers of two that divide the query heads, in the order in which they are tried.

    Those within a node come first, from the largest; then those whose all-reduces cross the network, from the smallest.
    """
    # A network without attention is not split.
    heads = max(spec.query_heads, 1)
    divisors = [2**power for power in range(heads.bit_length()) if heads % 2**power == 0]
    node = np.max(device.node_gpus)
    return [size for size in divisors[::-1] if size <= node] + [size for size in divisors if size > node]


def split_over(spec: LLMSpec, device: Accelerator, gpus: Number, context: Number, batch: Number) -> Split:
    """Return how `gpus` GPUs serve `batch` sequences at `context`: as the first of `tensor_sizes` that holds them.

    Everything broadcasts. Where they hold them in no way, both fields are NaN (`refusal` says why).
    """
    gpus = np.asarray(count("gpus", gpus, high=MOST_GPUS))
    shape = np.broadcast_shapes(*(np.shape(value) for value in (gpus, context, batch, device.memory_bytes)))
    tensor = np.full(shape, np.nan)
    for size in tensor_sizes(spec, device):
        divides = gpus % size == 0
        fits = memory(spec, device, Split(size, np.maximum(gpus // size, 1)), context, batch).fits
        tensor = np.where(np.isnan(tensor) & divides & fits, size, tensor)
    return _split(tensor, gpus)


def refusal(spec: LLMSpec, device: Accelerator, gpus: int, context: Number, batch: Number) -> str:
    """Return why `gpus` GPUs do not hold `batch` sequences at `context`; numbers alone."""
    sizes = [size for size in tensor_sizes(spec, device) if gpus % size == 0]
    held = [memory(spec, device, Split(size, gpus // size), context, batch) for size in sizes]
    closest = min(held, key=lambda each: float(each.needed_bytes))
    weights, kv, room = (
        f"{value / 1e9:,.1f} GB" for value in (closest.weights_bytes, closest.kv_bytes, closest.room_bytes)
    )
    reason = f"each would hold {weights} of weights of {spec.name} and {kv} of keys and values, in {room}"
    if spec.query_heads % gpus:
        others = f" nor {spec.experts} experts" if spec.experts and spec.experts % gpus else ""
        reason += f"; {gpus} {'divides neither' if others else 'does not divide'} {spec.query_heads} heads{others}"
    return f"gpus = {gpus}: {reason}: expected more GPUs, or fewer or shorter sequences"


def fewest_gpus(spec: LLMSpec, device: Accelerator, context: Number, batch: Number) -> Split:
    """Return the split over the fewest GPUs, a power of two, that hold `batch` sequences at `context`; broadcasts.

    Among equal numbers, the first of `tensor_sizes`. Where even the most are too few, both fields are NaN.
    """
    shape = np.broadcast_shapes(np.shape(context), np.shape(batch), np.shape(device.memory_bytes))
    best = np.full(shape, np.inf)
    tensor = np.full(shape, np.nan)
    for size in tensor_sizes(spec, device):
        replicas = np.ones(shape)
        for _ in range(int(np.log2(MOST_GPUS)) + 1):
            fits = np.broadcast_to(memory(spec, device, Split(size, replicas), context, batch).fits, shape)
            if fits.all() or not np.any(~fits & (size * replicas * 2 < best)):
                break
            replicas = np.where(fits, replicas, replicas * 2)
        better = fits & (size * replicas < best)
        best, tensor = np.where(better, size * replicas, best), np.where(better, size, tensor)
    return _split(tensor, np.where(np.isfinite(best), best, np.nan))


def _split(tensor: np.ndarray, gpus: np.ndarray) -> Split:
    """Whole numbers where there is one split, arrays where there are many."""
    if tensor.ndim or np.isnan(tensor):
        return Split(tensor[()], (gpus / tensor)[()])
    return Split(int(tensor), int(gpus) // int(tensor))
