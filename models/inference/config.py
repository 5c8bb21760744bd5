"""The sizes and options of a decoder-only transformer, and the tensors that they require."""

import dataclasses
import math
from dataclasses import dataclass

from hwbase import InputError, Record, check, unknown_name

#: Matrices of one layer, by the names that GGUF files give them. A network without a gate has no "ffn_gate".
LAYER_LINEARS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
#: Name of the token embedding, and of the head that is tied to it.
EMBEDDING, HEAD = "token_embd", "output"
#: Norms by name: root mean square, or mean and variance with a bias.
NORMS = ("rms", "layer")
#: Activations of the feed-forward part: x sigmoid(x), and GELU by tanh or exactly.
ACTIVATIONS = ("silu", "gelu-tanh", "gelu")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(Record):
    """Sizes and options of a network; the defaults are those of the Llama family.

    Counts are in elements (`context` in positions). With `tied_head` the head is the embedding. Raises `InputError` for
    sizes that do not fit each other.

    Parameters
    ----------
    layers, hidden, query_heads, kv_heads, head_dim, intermediate, vocabulary, context : int
        Sizes.
    rope_theta : float
        Base of the rotary wavelengths. Default 10,000.
    rope_divisors : tuple of float
        Divisors of the rotary frequencies, one for each pair; none unless the positions are scaled.
    rope_magnitude : float
        Factor of the rotated queries and keys. Default 1.
    local_rope_theta : float, optional
        Base in layers that have a window, without divisors; that of the others unless given.
    learned_positions : bool
        Whether positions have an embedding of their own, in place of rotary ones.
    windows : tuple of int
        Positions that each layer sees, its own included; 0 is all, and so is an empty tuple for every layer.
    norm, norm_epsilon : str, float
        One of `NORMS`, and what is added to the mean square. Default "rms" and 1e-5.
    head_norms : bool
        Whether each head of queries and keys has a norm, before positions.
    post_norms : bool
        Whether the outputs of attention and of the feed-forward part have norms, before they are added.
    activation, gated : str, bool
        One of `ACTIVATIONS`, and whether it multiplies a second product. Default "silu" and True.
    biases : tuple of str
        Matrices (of `LAYER_LINEARS`) that have biases.
    attention_scale : float, optional
        Factor of the scores; 1 / sqrt(head_dim) unless given.
    attention_cap, logit_cap : float, optional
        Caps c of scores and of logits, c tanh(x / c).
    embedding_scale : float
        Factor of the embedding where tokens enter. Default 1.
    tied_head : bool
        Whether the head is the embedding. Default True.
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
    rope_divisors: tuple[float, ...] = ()
    rope_magnitude: float = 1.0
    local_rope_theta: float | None = None
    learned_positions: bool = False
    windows: tuple[int, ...] = ()
    norm: str = "rms"
    norm_epsilon: float = 1e-5
    head_norms: bool = False
    post_norms: bool = False
    activation: str = "silu"
    gated: bool = True
    biases: tuple[str, ...] = ()
    attention_scale: float | None = None
    attention_cap: float | None = None
    logit_cap: float | None = None
    embedding_scale: float = 1.0
    tied_head: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type is int:
                check.count(field.name, getattr(self, field.name), high=1e8)
        for name in ("rope_theta", "rope_magnitude", "embedding_scale"):
            check.positive(name, getattr(self, name))
        for name in ("local_rope_theta", "attention_scale", "attention_cap", "logit_cap"):
            if getattr(self, name) is not None:
                check.positive(name, getattr(self, name))
        check.non_negative("norm_epsilon", self.norm_epsilon, high=1.0)
        if self.query_heads % self.kv_heads:
            raise InputError(f"kv_heads = {self.kv_heads}: expected a divisor of query_heads = {self.query_heads}")
        if self.head_dim % 2 and not self.learned_positions:
            raise InputError(f"head_dim = {self.head_dim}: expected an even number (rotary pairs)")
        if self.norm not in NORMS:
            raise unknown_name("norm", self.norm, NORMS)
        if self.activation not in ACTIVATIONS:
            raise unknown_name("activation", self.activation, ACTIVATIONS)
        for name in self.biases:
            if name not in self.layer_linears:
                raise unknown_name("matrix with a bias", name, self.layer_linears)
        self._check_lengths()

    def _check_lengths(self) -> None:
        for name, values, length in (
            ("rope_divisors", self.rope_divisors, self.head_dim // 2),
            ("windows", self.windows, self.layers),
        ):
            if values and len(values) != length:
                raise InputError(f"{name} has {len(values)} entries: expected {length}")
        for divisor in self.rope_divisors:
            check.positive("rope_divisors", divisor)
        for window in self.windows:
            check.count("windows", window, low=0, high=1e9)

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.query_heads // self.kv_heads

    @property
    def layer_linears(self) -> tuple[str, ...]:
        """Matrices of one layer, in order."""
        return LAYER_LINEARS if self.gated else tuple(name for name in LAYER_LINEARS if name != "ffn_gate")

    @property
    def parameters(self) -> int:
        """Elements of all tensors, the embedding counted once when the head is tied to it."""
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())

    def window(self, layer: int) -> int:
        """Return the positions that a layer sees, 0 for all."""
        return self.windows[layer] if self.windows else 0

    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """Return (outputs, inputs) of every matrix that a linear operator is called for, head included, in order."""
        layer = self._layer_shapes()
        shapes = {f"blk.{i}.{name}": layer[name] for i in range(self.layers) for name in self.layer_linears}
        return shapes | {HEAD: (self.vocabulary, self.hidden)}

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor: the matrices, the embeddings, the biases and the norms."""
        shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (self.vocabulary, self.hidden)}
        if self.learned_positions:
            shapes["position_embd"] = (self.context, self.hidden)
        shapes |= self.linear_shapes()
        if self.tied_head:
            del shapes[HEAD]
        layer = self._layer_shapes()
        norms = dict.fromkeys(("attn_norm", "ffn_norm"), self.hidden)
        if self.post_norms:
            norms |= dict.fromkeys(("post_attention_norm", "post_ffw_norm"), self.hidden)
        if self.head_norms:
            norms |= dict.fromkeys(("attn_q_norm", "attn_k_norm"), self.head_dim)
        sizes = {f"blk.{i}.{name}": size for i in range(self.layers) for name, size in norms.items()}
        sizes["output_norm"] = self.hidden
        for name, size in sizes.items():
            shapes[name] = (size,)
            if self.norm == "layer":
                shapes[f"{name}.bias"] = (size,)
        for i in range(self.layers):
            shapes |= {f"blk.{i}.{name}.bias": (layer[name][0],) for name in self.biases}
        return shapes

    def _layer_shapes(self) -> dict[str, tuple[int, int]]:
        queries, keys = self.query_heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "attn_q": (queries, self.hidden),
            "attn_k": (keys, self.hidden),
            "attn_v": (keys, self.hidden),
            "attn_output": (self.hidden, queries),
            "ffn_gate": (self.intermediate, self.hidden),
            "ffn_up": (self.intermediate, self.hidden),
            "ffn_down": (self.hidden, self.intermediate),
        }
