"""The sizes of a decoder-only transformer with grouped-query attention, and the tensors that they ask for."""

import dataclasses
import math
from dataclasses import dataclass

from hwbase import InputError, Record, check

#: Matrices of one layer, by the names that GGUF files give them.
LAYER_LINEARS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
#: Name of the token embedding, and of the head that is tied to it.
EMBEDDING, HEAD = "token_embd", "output"


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(Record):
    """Sizes of a network of the Llama family: pre-norm, RMSNorm, rotary positions, SwiGLU, no biases.

    Counts are in elements (`context` in positions); `rope_theta` is the base of the rotary wavelengths, `norm_epsilon`
    is added to the mean square. With `tied_head` the head is the embedding. Raises `InputError` for sizes that do not
    fit each other.
    """

    layers: int
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-5
    tied_head: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type is int:
                check.count(field.name, getattr(self, field.name), high=1e8)
        check.positive("rope_theta", self.rope_theta)
        check.non_negative("norm_epsilon", self.norm_epsilon, high=1.0)
        if self.query_heads % self.kv_heads:
            raise InputError(f"kv_heads = {self.kv_heads}: expected a divisor of query_heads = {self.query_heads}")
        if self.head_dim % 2:
            raise InputError(f"head_dim = {self.head_dim}: expected an even number (rotary pairs)")

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.query_heads // self.kv_heads

    @property
    def parameters(self) -> int:
        """Elements of all tensors, the embedding counted once when the head is tied to it."""
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())

    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """Return (outputs, inputs) of every matrix that a linear operator is asked for, head included, in order."""
        queries, keys = self.query_heads * self.head_dim, self.kv_heads * self.head_dim
        layer = {
            "attn_q": (queries, self.hidden),
            "attn_k": (keys, self.hidden),
            "attn_v": (keys, self.hidden),
            "attn_output": (self.hidden, queries),
            "ffn_gate": (self.intermediate, self.hidden),
            "ffn_up": (self.intermediate, self.hidden),
            "ffn_down": (self.hidden, self.intermediate),
        }
        shapes = {f"blk.{i}.{name}": layer[name] for i in range(self.layers) for name in LAYER_LINEARS}
        return shapes | {HEAD: (self.vocabulary, self.hidden)}

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor: the matrices, the embedding and the norms."""
        shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (self.vocabulary, self.hidden)}
        shapes |= self.linear_shapes()
        if self.tied_head:
            del shapes[HEAD]
        for i in range(self.layers):
            shapes[f"blk.{i}.attn_norm"] = shapes[f"blk.{i}.ffn_norm"] = (self.hidden,)
        return shapes | {"output_norm": (self.hidden,)}
