"""Language models as matrix products: a step that decodes, or a pass over a prompt."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwsim.npu.product import Product
from models import LLMSpec, feed_forwards, mixers, parameters
from models.layers import Cache, Matrix
from models.macs import attended_entries

#: Names of layers as checkpoints in the GGUF format have them, which `hwsim sensitivity` writes too.
_NAMES = {"o": "attn_output", **{role: f"attn_{role}" for role in "qkv"}}
_BLOCK = "blk"
#: The unembedding.
HEAD = "output"


def language_products(
    spec: LLMSpec,
    *,
    tokens: int,
    entries: float,
    sequences: int = 1,
    weight_bits: int = 8,
    activation_bits: int = 8,
    attention_bits: int = 16,
    logits: int | None = None,
) -> list[Product]:
    """Return the products of one pass of a language model.

    Parameters
    ----------
    spec : LLMSpec
    tokens : int
        Tokens of each sequence that pass together: 1 in decoding, the prompt in reading it.
    entries : float
        Cached positions that a query sees on average, where nothing limits them.
    sequences : int
        Sequences that pass together; they share weights, not caches.
    weight_bits, activation_bits : int
        Widths of products with weights.
    attention_bits : int
        Widths of both operands inside attention, and of a state.
    logits : int, optional
        Vectors that get logits, by default one a sequence.

    Returns
    -------
    list of Product
        Matrices in the order of layers, of one kind of layer after the other, named as in GGUF files ("blk.0.attn_q");
        with experts, those that at least one token of the pass is expected to choose.
    """
    rows = tokens * sequences
    products: list[Product] = []

    def stored(name: str, matrix: Matrix) -> Product:
        used = matrix.copies if matrix.copies == matrix.used else _used(matrix, rows)
        each = max(int(np.ceil(rows * matrix.used / used)), 1)
        widths: dict[str, Any] = {"weight_bits": weight_bits, "activation_bits": activation_bits}
        return Product(name, each, matrix.inputs, matrix.outputs, repeats=used, **widths)

    block = 0
    for mixer in mixers(spec):
        heads = spec.kv_heads or 1
        for _ in range(mixer.layers):
            name = f"{_BLOCK}.{block}"
            products += [stored(f"{name}.{_NAMES.get(m.role, f'attn_{m.role}')}", m) for m in mixer.matrices]
            for place, cache in enumerate(mixer.caches):
                label = f"{name}.cache{place or ''}"
                products += _attention(label, cache, heads, tokens, entries, sequences, attention_bits)
            if mixer.state_macs:
                widths: dict[str, Any] = {"weight_bits": attention_bits, "activation_bits": attention_bits}
                products.append(Product(f"{name}.state", 1, 1, mixer.state_macs, repeats=rows, stored=False, **widths))
            block += 1
    block = 0
    for feed_forward in feed_forwards(spec):
        for _ in range(feed_forward.layers):
            for matrix in feed_forward.matrices:
                part = {"dense_ffn": "ffn", "experts": "exps", "shared_experts": "shexp"}.get(matrix.component, "ffn")
                products.append(stored(f"{_BLOCK}.{block}.{part}_{matrix.role}", matrix))
            block += 1
    if spec.head:
        outputs = int(parameters(spec).unembedding // spec.hidden_size)
        vectors = sequences if logits is None else logits
        products.append(Product(HEAD, vectors, spec.hidden_size, outputs, weight_bits, activation_bits))
    return products


def _attention(
    name: str, cache: Cache, heads: int, tokens: int, entries: float, sequences: int, bits: int
) -> Iterator[Product]:
    """Yield scores and weighted values of one cache, a product a head of keys and sequence."""
    seen = max(int(np.ceil(float(attended_entries(cache, entries)))), 1)
    latent = cache.expanded_score_macs > 0
    together = cache.score_macs + cache.value_macs
    if not together:
        return
    apart = 1 if latent or cache.elements % heads else heads
    keys = cache.elements if latent else cache.elements * cache.score_macs / together
    queries = max(round(cache.score_macs / keys), 1) if cache.score_macs else 1
    for role, macs in (("scores", cache.score_macs), ("values", cache.value_macs)):
        width = round(macs / queries / apart)
        if width < 1:
            continue
        inputs, outputs = (width, seen) if role == "scores" else (seen, width)
        product = Product(
            f"{name}.{role}", tokens * queries, inputs, outputs, bits, bits, repeats=apart * sequences, stored=False
        )
        yield product


def _used(matrix: Matrix, rows: int) -> int:
    """Return the copies that are expected to get a token at least."""
    idle = (1.0 - matrix.used / matrix.copies) ** rows
    return min(max(round(matrix.copies * (1.0 - idle)), matrix.used), matrix.copies)
