"""Networks from GGUF files: llama (Mistral too), qwen2, qwen3, gemma, gemma2, gemma3 and gpt2.

`gguf` undoes the quantisation. Every tensor and every key of the network is used, or named in an error. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3).
"""

from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name
from hwbase.errors import shown
from models.inference.config import EMBEDDING, HEAD, LAYER_LINEARS, TransformerConfig
from models.inference.families import Family, family_of_gguf, neighbour_pairs
from models.inference.rope import linear_divisors, yarn_divisors, yarn_magnitude
from models.inference.weights import Vocabulary, Weights, check_shape, empty_tensors, require

_SUFFIX = ".weight"
#: Values of an architecture's other keys with which they change nothing.
_NEUTRAL = {
    "expert_count": 0,
    "expert_used_count": 0,
    "attention.causal": True,
}
#: What a tokenizer may add to a text, beside a begin token: nothing.
_NOTHING_ADDED = ("add_eos_token", "add_space_prefix")
_TOKENIZER = "tokenizer.ggml."
#: Divisors of rotary frequencies that a file may hold as a tensor.
_DIVISORS = "rope_freqs"
#: Pre-tokenizers whose models begin every text with the begin token unless the file says otherwise.
_BEGINNING = ("llama-bpe",)


def read_gguf_model(file: Path) -> tuple[Weights, Vocabulary]:
    """Return the weights of a GGUF file, dequantised to float32, and its vocabulary.

    Raises `InputError` for missing packages, a file that is truncated or corrupt, another architecture, tensors that
    are missing, misshapen or not finite, and tensors and keys of the network that are not used.
    """
    reader = _open(file)
    fields = _Fields(reader, file.name)
    family = family_of_gguf(fields.need("general.architecture", str), file.name)
    vocabulary = _vocabulary(fields)
    try:
        config = _config(fields, reader, family, len(vocabulary.tokens))
        if vocabulary.tokens and {len(vocabulary.tokens), len(vocabulary.kinds)} != {config.vocabulary}:
            raise InputError(
                f"{len(vocabulary.tokens)} tokens and {len(vocabulary.kinds)} token types, "
                f"expected {config.vocabulary} of each"
            )
        _check_all_read(fields, reader, config)
        return Weights(config, _tensors(reader, config, family)), vocabulary
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(f"{file.name}:") else f"{file.name}: {error}") from None


def _open(file: Path) -> Any:
    gguf = require("gguf")
    try:
        return gguf.GGUFReader(str(file))
    except OSError as error:
        raise InputError(f"cannot read {str(file)!r}: {error.strerror or error}") from None
    except Exception as error:  # whatever a broken header leads the reader to
        raise InputError(f"{file.name} is not a whole GGUF file: {type(error).__name__}: {error}") from None


class _Fields:
    """Typed reading of a GGUF file's key-value pairs."""

    def __init__(self, reader: Any, where: str) -> None:
        self._reader, self._where = reader, where
        self.read: set[str] = set()

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """Return the value of `key` as `kind` (int passes as float), or `default` when the file has none."""
        field = self._reader.get_field(key)
        self.read.add(key)
        if field is None:
            return default
        try:
            value = field.contents()
        except Exception as error:  # strings that are not UTF-8, unknown types
            raise InputError(f"{self._where}: {key} cannot be read: {error}") from None
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind):
            raise InputError(f"{self._where}: {key} is of type {type(value).__name__}, expected {kind.__name__}")
        return value

    def need(self, key: str, kind: type) -> Any:
        """Return the value of `key`; raises `InputError` when the file has none."""
        value = self.get(key, kind)
        if value is None:
            raise InputError(f"{self._where}: {key} is missing")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; raises `InputError` when it is missing or something else."""
        values = tuple(self.need(key, list))
        if not all(isinstance(value, str) for value in values):
            raise InputError(f"{self._where}: {key}: expected strings")
        return values

    def ints(self, key: str) -> tuple[int, ...]:
        """Return a list of integers; raises `InputError` when it is missing or something else."""
        values = tuple(self.need(key, list))
        if not all(isinstance(value, int) for value in values):
            raise InputError(f"{self._where}: {key}: expected whole numbers")
        return values


def _config(fields: _Fields, reader: Any, family: Family, tokens: int) -> TransformerConfig:
    architecture = fields.need("general.architecture", str)
    names = {tensor.name: tensor for tensor in reader.tensors}

    def size(key: str) -> int:
        return int(fields.need(f"{architecture}.{key}", int))

    def number(key: str, default: float | None = None) -> Any:
        return fields.get(f"{architecture}.{key}", float, default)

    layers, hidden, heads = size("block_count"), size("embedding_length"), size("attention.head_count")
    width = fields.get(f"{architecture}.attention.key_length", int, hidden // max(heads, 1))
    options: dict[str, Any] = dict(family.options)
    if not options.get("learned_positions"):
        options |= _positions(fields, architecture, width, names)
    if family.name == "gemma3_text":
        options["local_rope_theta"] = number("rope.freq_base_swa", family.defaults["rope_local_base_freq"])
    by_hidden = bool(family.layers_scaled_by_hidden) and layers == family.layers_scaled_by_hidden
    options["attention_scale"] = number("attention.scale", (hidden / max(heads, 1)) ** -0.5 if by_hidden else None)
    epsilon = "layer_norm_rms_epsilon" if options.get("norm", "rms") == "rms" else "layer_norm_epsilon"
    window = fields.get(f"{architecture}.attention.sliding_window", int, 0)
    return TransformerConfig(
        layers=layers,
        hidden=hidden,
        query_heads=heads,
        kv_heads=fields.get(f"{architecture}.attention.head_count_kv", int, heads),
        head_dim=width,
        intermediate=size("feed_forward_length"),
        vocabulary=fields.get(f"{architecture}.vocab_size", int, 0) or tokens or _embedded(names),
        context=size("context_length"),
        norm_epsilon=float(fields.need(f"{architecture}.attention.{epsilon}", float)),
        windows=family.windows(window, layers),
        biases=_biases(family, names),
        attention_cap=number("attn_logit_softcapping"),
        logit_cap=number("final_logit_softcapping"),
        embedding_scale=family.embedding_scale(hidden),
        tied_head=HEAD + _SUFFIX not in names,
        **options,
    )


def _embedded(names: dict[str, Any]) -> int:
    """Return the tokens of the embedding."""
    embedding = names.get(EMBEDDING + _SUFFIX)
    return 0 if embedding is None else int(embedding.shape[-1])


def _biases(family: Family, names: dict[str, Any]) -> tuple[str, ...]:
    """Return the matrices that have biases: the family's, and those of the first layer of the file."""
    prefix = "blk.0."
    own = {name.removeprefix(prefix).removesuffix(".bias") for name in names if name.endswith(".bias")}
    return tuple(dict.fromkeys((*family.biases, *(name for name in LAYER_LINEARS if name in own))))


def _positions(fields: _Fields, architecture: str, width: int, names: dict[str, Any]) -> dict[str, Any]:
    """Return the options of rotary positions; raises `InputError` for a scaling that is not known."""

    def number(key: str, default: float) -> float:
        return float(fields.get(f"{architecture}.rope.{key}", float, default))

    if fields.get(f"{architecture}.rope.dimension_count", int, width) != width:
        raise InputError("rotary positions on a part of the head are not supported")
    theta, kind = number("freq_base", 10_000.0), fields.get(f"{architecture}.rope.scaling.type", str, "none")
    options: dict[str, Any] = {"rope_theta": theta}
    factor = number("scaling.factor", 1.0)
    if kind == "linear" and factor != 1.0:
        options["rope_divisors"] = linear_divisors(width, factor)
    elif kind == "yarn":
        original = fields.need(f"{architecture}.rope.scaling.original_context_length", int)
        options["rope_divisors"] = yarn_divisors(
            width,
            theta,
            factor=factor,
            original=float(original),
            fast=number("scaling.yarn_beta_fast", 32.0),
            slow=number("scaling.yarn_beta_slow", 1.0),
        )
        options["rope_magnitude"] = number("scaling.attn_factor", 1.0) * yarn_magnitude(factor)
    elif kind not in ("none", "linear"):
        raise unknown_name(f"{architecture}.rope.scaling.type", kind, ("none", "linear", "yarn"))
    elif factor != 1.0:
        raise InputError(f"{architecture}.rope.scaling.factor = {factor:g}: expected 1 without a type of scaling")
    if f"{_DIVISORS}{_SUFFIX}" in names:
        if "rope_divisors" in options:
            raise InputError(f"{_DIVISORS}{_SUFFIX} beside rope.scaling.type {kind!r} is not supported")
        tensor = names[f"{_DIVISORS}{_SUFFIX}"]
        options["rope_divisors"] = tuple(_floats(tensor).ravel().tolist())
    return options


def _check_all_read(fields: _Fields, reader: Any, config: TransformerConfig) -> None:
    """Raise `InputError` for a tensor, or a key of the network, that changes what it computes and that nobody read."""
    known = {*config.tensor_shapes(), _DIVISORS}
    if config.learned_positions:
        known |= {f"blk.{i}.attn_qkv{end}" for i in range(config.layers) for end in ("", ".bias")}
    for tensor in reader.tensors:
        if tensor.name.removesuffix(_SUFFIX) not in known:
            raise InputError(f"tensor {shown(tensor.name)} is not supported: expected no such tensor in this network")
    architecture = fields.need("general.architecture", str)
    neutral = _NEUTRAL | {"attention.value_length": config.head_dim}
    for key in reader.fields:
        name = key.removeprefix(f"{architecture}.")
        if name == key or key in fields.read:
            continue
        value = fields.get(key, object)
        if name not in neutral or value != neutral[name]:
            raise InputError(f"{shown(key)} = {shown(value)} is not supported: expected no such key in this network")
    for name in _NOTHING_ADDED:
        if fields.get(f"{_TOKENIZER}{name}", bool, False) and fields.get(f"{_TOKENIZER}model", str, "") == "gpt2":
            raise InputError(f"{_TOKENIZER}{name} = true is not supported: expected a tokenizer that adds nothing")


def _vocabulary(fields: _Fields) -> Vocabulary:
    """Return the vocabulary; only that of byte-level BPE ("gpt2") has merges. Without a tokenizer it is empty."""
    model = fields.get(f"{_TOKENIZER}model", str, "none")
    if model in ("none", "no_vocab"):
        return Vocabulary(model=model)
    splitter = fields.get(f"{_TOKENIZER}pre", str, "default")
    return Vocabulary(
        tokens=fields.texts(f"{_TOKENIZER}tokens"),
        kinds=fields.ints(f"{_TOKENIZER}token_type"),
        merges=fields.texts(f"{_TOKENIZER}merges") if model == "gpt2" else (),
        model=model,
        splitter=splitter,
        begin=fields.get(f"{_TOKENIZER}bos_token_id", int),
        end=fields.get(f"{_TOKENIZER}eos_token_id", int),
        chat_template=fields.get("tokenizer.chat_template", str, ""),
        adds_begin=fields.get(f"{_TOKENIZER}add_bos_token", bool, splitter in _BEGINNING),
    )


def _tensors(reader: Any, config: TransformerConfig, family: Family) -> dict[str, np.ndarray]:
    files = {tensor.name.removesuffix(_SUFFIX): tensor for tensor in reader.tensors}
    shapes = config.tensor_shapes()
    for name, shape in shapes.items():
        stored, parts = _stored(files, name)
        own = None if stored is None else tuple(int(n) for n in reversed(stored.shape))
        check_shape(name, own if own is None or parts is None else (own[0] // 3, *own[1:]), shape)
    tensors = empty_tensors(shapes)
    for name, place in tensors.items():
        stored, third = _stored(files, name)
        values = _floats(stored)
        place[...] = values if third is None else np.split(values, 3)[third]
        part = name.removesuffix(".bias").rpartition(".")[2]
        turned = part in ("attn_q", "attn_k", "attn_q_norm", "attn_k_norm") and not config.learned_positions
        if turned and not family.neighbours:
            place[...] = neighbour_pairs(place, config.head_dim)
    return tensors


def _stored(files: dict[str, Any], name: str) -> tuple[Any, int | None]:
    """Return the stored tensor (None if there is none), and which third of its rows where queries, keys and values are
    stored as one.
    """
    base, _, kind = name.partition(".attn_")
    letter, dot, bias = kind.partition(".")
    if name not in files and letter in ("q", "k", "v"):
        return files.get(f"{base}.attn_qkv{dot}{bias}"), "qkv".index(letter)
    return files.get(name), None


def _floats(tensor: Any) -> np.ndarray:
    """Return a tensor, dequantised; GGUF lists the fastest axis first."""
    dequantize = require("gguf.quants").dequantize
    try:
        values: np.ndarray = dequantize(tensor.data, tensor.tensor_type)
        return values.reshape([int(n) for n in reversed(tensor.shape)])
    except Exception as error:  # types that gguf cannot undo, data that ends early
        raise InputError(f"tensor {tensor.name.removesuffix(_SUFFIX)!r} cannot be dequantised: {error}") from None
