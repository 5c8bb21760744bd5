"""Networks from a folder of safetensors, config.json and tokenizer.json, as transformers saves them.

Every tensor and every key of the configuration is used, or known to change nothing, or named in an error. Formats:
https://github.com/huggingface/safetensors, https://huggingface.co/docs/transformers/main_classes/configuration.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from hwbase import InputError, unknown_name
from hwbase.errors import shown
from hwbase.parsing import read_json, read_text
from models.inference.config import EMBEDDING, HEAD, LAYER_LINEARS, TransformerConfig
from models.inference.families import Family, family_of, ignored_keys, ignored_tensors, neighbour_pairs
from models.inference.rope import linear_divisors, llama3_divisors, yarn_divisors, yarn_magnitude
from models.inference.weights import Vocabulary, Weights, check_shape, empty_tensors, require
from models.readers.config import Config

CONFIG = "config.json"
_INDEX, _SUFFIX = "model.safetensors.index.json", ".safetensors"
#: Most bytes of a tokenizer.json.
_MOST_TOKENIZER = 256 * 2**20
_ACTIVATIONS = {
    "silu": "silu", "swish": "silu", "gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "gelu": "gelu",
    "gelu_fast": "gelu-tanh",
}  # fmt: skip
#: Names of tensors in safetensors by ours, without the layer's prefix.
_NAMES = {
    EMBEDDING: "embed_tokens",
    HEAD: "lm_head",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_norm": "post_attention_layernorm",
}
_POST_NORM_NAMES = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_GPT2_NAMES = {
    EMBEDDING: "wte",
    HEAD: "lm_head",
    "position_embd": "wpe",
    "output_norm": "ln_f",
    "attn_norm": "ln_1",
    "attn_q": "attn.c_attn",
    "attn_k": "attn.c_attn",
    "attn_v": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
_FLOATS = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
_FUSED = ("attn_q", "attn_k", "attn_v")
#: Keys of GPT-2's configuration by the usual name.
_GPT2_KEYS = {
    "num_hidden_layers": "n_layer", "hidden_size": "n_embd", "num_attention_heads": "n_head",
    "intermediate_size": "n_inner", "max_position_embeddings": "n_positions", "rms_norm_eps": "layer_norm_epsilon",
    "hidden_act": "activation_function",
}  # fmt: skip


#: Keys whose null is a value of its own.
_NULLABLE = ("sliding_window", "attn_logit_softcapping", "final_logit_softcapping")
#: Flags of attention, and the value of each that the forward pass has.
_PLAIN = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "use_bidirectional_attention": False,
}


def is_checkpoint(path: str | Path) -> bool:
    """Whether a path is a folder with a config.json."""
    return "\0" not in str(path) and (Path(path) / CONFIG).is_file()


def read_checkpoint(folder: Path) -> tuple[Weights, Vocabulary]:
    """Return the weights of a folder, in float32, and its tokenizer's vocabulary.

    Raises `InputError` for missing packages or files, broken ones, an unknown family, and tensors and keys that are not
    used.
    """
    config = Config(_object(folder / CONFIG), CONFIG)
    try:
        family = family_of(config.text("model_type"))
        sizes = _sizes(config, family)
        with ExitStack() as stack:
            stored = _Tensors(folder, stack)
            weights = Weights(sizes, _tensors(stored, sizes, family))
        return weights, _vocabulary(folder, config, sizes.vocabulary)
    except InputError as error:
        raise InputError(f"{folder.name or folder}: {error}") from None


def _object(file: Path) -> dict[str, Any]:
    data = read_json(file)
    if not isinstance(data, dict):
        raise InputError(f"{file.name}: expected a JSON object, found {type(data).__name__}")
    return data


def _sizes(config: Config, family: Family) -> TransformerConfig:
    if family.name == "gpt2":
        own = {usual: config.data[key] for usual, key in _GPT2_KEYS.items() if key in config.data}
        rest = {key: value for key, value in config.data.items() if key not in _GPT2_KEYS.values()}
        config = Config(rest | own, config.where)
    values = Config(dict(family.defaults) | {k: v for k, v in config.data.items() if v is not None or k in _NULLABLE},
                    config.where)  # fmt: skip
    for key, expected in _PLAIN.items():
        if values.flag(key, expected) is not expected:
            raise values.error(key, str(not expected).lower(), str(expected).lower())
    layers, hidden = values.layers(), values.count("hidden_size")
    heads = values.count("num_attention_heads")
    width = values.count("head_dim", max(hidden // heads, 1))
    options: dict[str, Any] = dict(family.options)
    options["activation"] = _activation(values, family)
    if not options.get("learned_positions"):
        options |= _positions(values, width)
    scalar = values.get("query_pre_attn_scalar")
    if scalar is not None:
        options["attention_scale"] = values.number("query_pre_attn_scalar") ** -0.5
    for ours, theirs in (("attention_cap", "attn_logit_softcapping"), ("logit_cap", "final_logit_softcapping")):
        if values.has(theirs):
            options[ours] = values.number(theirs)
    sizes = TransformerConfig(
        layers=layers,
        hidden=hidden,
        query_heads=heads,
        kv_heads=values.count("num_key_value_heads", heads),
        head_dim=width,
        intermediate=values.count("intermediate_size", 4 * hidden if family.name == "gpt2" else None),
        vocabulary=values.count("vocab_size"),
        context=values.count("max_position_embeddings"),
        norm_epsilon=values.number("rms_norm_eps"),
        tied_head=values.flag("tie_word_embeddings", False),
        windows=_windows(values, family, layers),
        biases=_biases(values, family),
        embedding_scale=family.embedding_scale(hidden),
        **options,
    )
    _check_all_read(values)
    return sizes


def _activation(values: Config, family: Family) -> str:
    name = values.text("hidden_activation", values.text("hidden_act"))
    if family.gain_offset and name == "gelu":
        # Gemma's first configurations say "gelu" and mean the approximation.
        name = "gelu_pytorch_tanh"
    if name not in _ACTIVATIONS:
        raise unknown_name("hidden_act", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]


def _biases(values: Config, family: Family) -> tuple[str, ...]:
    biases = list(family.biases)
    if values.flag("attention_bias", False):
        biases += ["attn_q", "attn_k", "attn_v", "attn_output"]
    if values.flag("mlp_bias", False):
        biases += ["ffn_gate", "ffn_up", "ffn_down"]
    return tuple(dict.fromkeys(biases))


def _windows(values: Config, family: Family, layers: int) -> tuple[int, ...]:
    used = values.flag("use_sliding_window", True)
    window = values.whole("sliding_window", 0) if values.has("sliding_window") and used else 0
    first = values.whole("max_window_layers", 0)
    kinds = values.items("layer_types")
    pattern = values.whole("sliding_window_pattern", values.whole("_sliding_window_pattern", family.period))
    if kinds:
        known = {"full_attention": 0, "sliding_attention": window}
        for kind in kinds:
            if kind not in known:
                raise unknown_name("layer_types", str(kind), known)
        if len(kinds) != layers:
            raise values.error("layer_types", f"{len(kinds)} entries", f"{layers}, one a layer")
        windows = tuple(known[kind] for kind in kinds)
    elif family.period:
        windows = tuple(0 if pattern and i % pattern == pattern - 1 else window for i in range(layers))
    else:
        windows = tuple(window if i >= first else 0 for i in range(layers))
    return windows if any(windows) else ()


def _positions(values: Config, width: int) -> dict[str, Any]:
    """Return the options of rotary positions; raises `InputError` for a scaling that is not known."""
    if values.number("partial_rotary_factor", 1.0) != 1.0:
        raise values.error("partial_rotary_factor", values.get("partial_rotary_factor"), "1")
    theta, table = values.number("rope_theta", 10_000.0), values.table("rope_scaling")
    options: dict[str, Any] = {}
    local = values.number("rope_local_base_freq", 0.0)
    if values.has("rope_parameters"):
        table = values.table("rope_parameters")
        if isinstance(table.get("full_attention"), dict):
            beside = table.table("sliding_attention")
            table = table.table("full_attention")
            local = beside.number("rope_theta", local or 10_000.0)
            if beside.text("rope_type", "default") != "default" or set(beside.data) > {"rope_type", "rope_theta"}:
                raise values.error("rope_parameters", shown(beside.data), "plain positions in layers with a window")
        theta = table.number("rope_theta", theta)
    if local:
        options["local_rope_theta"] = local
    kind = table.text("rope_type", table.text("type", "default"))
    original = table.number("original_max_position_embeddings", float(values.count("max_position_embeddings")))
    if table.number("partial_rotary_factor", 1.0) != 1.0:
        raise values.error("partial_rotary_factor", table.get("partial_rotary_factor"), "1")
    if kind == "linear":
        options["rope_divisors"] = linear_divisors(width, table.number("factor"))
    elif kind == "llama3":
        options["rope_divisors"] = llama3_divisors(
            width,
            theta,
            factor=table.number("factor"),
            low=table.number("low_freq_factor"),
            high=table.number("high_freq_factor"),
            original=original,
        )
    elif kind == "yarn":
        options |= _yarn(table, width, theta, original)
    elif kind == "dynamic":
        # Up to the context, which no sequence exceeds here, the frequencies are the plain ones.
        table.number("factor", 1.0)
    elif kind != "default":
        raise unknown_name("rope_type", kind, ("default", "linear", "llama3", "yarn", "dynamic"))
    left = sorted(set(table.data) - table.seen)
    if left:
        raise InputError(f"{table.where}: {shown(left[0])} is not used for rope_type {kind!r}: expected no such key")
    return options | {"rope_theta": theta}


def _yarn(table: Config, width: int, theta: float, original: float) -> dict[str, Any]:
    factor, scale, all_scale = (table.number(key, 0.0) for key in ("factor", "mscale", "mscale_all_dim"))
    if factor <= 0.0:
        raise table.error("factor", table.get("factor"), "a number above 0")
    if scale and all_scale:
        magnitude = yarn_magnitude(factor, scale) / yarn_magnitude(factor, all_scale)
    else:
        magnitude = yarn_magnitude(factor)
    divisors = yarn_divisors(
        width,
        theta,
        factor=factor,
        original=original,
        fast=table.number("beta_fast", 32.0),
        slow=table.number("beta_slow", 1.0),
        truncate=table.flag("truncate", True),
    )
    return {"rope_divisors": divisors, "rope_magnitude": table.number("attention_factor", magnitude)}


def _check_all_read(values: Config) -> None:
    """Raise `InputError` for a key that was not read and that may change the logits."""
    for key, value in values.data.items():
        empty = value is None or value is False or value in ("", 0) or value in ([], {})
        if key not in values.seen and not empty and key not in ignored_keys():
            raise InputError(f"{values.where}: {shown(key)} = {shown(value)} is not supported: expected no such key")


class _Tensors:
    """Tensors of a folder by name; `used` are the names that were read."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        opened = require("safetensors").safe_open
        self._files: dict[str, Any] = {}
        self.used: set[str] = set()
        for file in _tensor_files(folder):
            try:
                content = stack.enter_context(opened(file, framework="numpy"))
                names = list(content.keys())
            except Exception as error:  # whatever a broken header leads the reader to
                raise InputError(f"{file.name} is not a whole safetensors file: {error}") from None
            for name in names:
                if name in self._files:
                    raise InputError(f"tensor {shown(name)} is in two files: expected it once")
                self._files[name] = content

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def find(self, name: str) -> str | None:
        """Return the name under which a tensor is stored: with or without the prefix of the network's body."""
        for prefix in ("", "model.", "transformer."):
            if prefix + name in self._files:
                return prefix + name
        return None

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a tensor, None where there is none."""
        stored = self.find(name)
        return None if stored is None else tuple(self._files[stored].get_slice(stored).get_shape())

    def read(self, name: str) -> np.ndarray:
        """Return a tensor that is there; raises `InputError` where it is not of floats."""
        stored = self.find(name) or name
        self.used.add(stored)
        try:
            tensor: np.ndarray = self._files[stored].get_tensor(stored)
        except Exception as error:  # types that NumPy does not have, data that ends early
            raise InputError(f"tensor {shown(stored)} cannot be read: {error}") from None
        if tensor.dtype not in _FLOATS:
            raise InputError(f"tensor {shown(stored)} is of type {tensor.dtype}: expected float16, bfloat16 or float32")
        return tensor


def _tensor_files(folder: Path) -> list[Path]:
    index = folder / _INDEX
    if index.is_file():
        places = _object(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise InputError(f"{index.name}: weight_map: expected file names by tensor")
        files = [folder / Path(name).name for name in sorted(set(places.values()))]
    else:
        files = sorted(folder.glob(f"*{_SUFFIX}"))
    missing = next((file.name for file in files if not file.is_file()), None)
    if missing or not files:
        raise InputError(f"{missing or 'model' + _SUFFIX} is missing: expected the weights as safetensors")
    return files


@dataclass(frozen=True)
class _Source:
    """Where a tensor of ours is stored: its name there, transposed or not, and which third of its last axis."""

    name: str
    transposed: bool = False
    third: int | None = None

    def shape(self, stored: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Return our shape of the stored tensor."""
        if stored is None:
            return None
        own = stored if self.third is None else (*stored[:-1], stored[-1] // 3)
        return own[::-1] if self.transposed else own

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Return our tensor of the stored one."""
        own = stored if self.third is None else np.split(stored, 3, axis=-1)[self.third]
        return own.T if self.transposed else own


def _source(ours: str, sizes: TransformerConfig) -> _Source:
    base, kind = (ours.removesuffix(".bias"), "bias") if ours.endswith(".bias") else (ours, "weight")
    # Networks with learned positions are GPT-2's, which keeps matrices as (inputs, outputs), queries to values as one.
    gpt2 = sizes.learned_positions
    names = _GPT2_NAMES if gpt2 else _NAMES | (_POST_NORM_NAMES if sizes.post_norms else {})
    _, number, part = base.split(".") if base.startswith("blk.") else ("", "", base)
    prefix = f"{'h' if gpt2 else 'layers'}.{number}." if number else ""
    third = _FUSED.index(part) if gpt2 and part in _FUSED else None
    return _Source(f"{prefix}{names[part]}.{kind}", gpt2 and part in LAYER_LINEARS and kind == "weight", third)


def _tensors(stored: _Tensors, sizes: TransformerConfig, family: Family) -> dict[str, np.ndarray]:
    shapes = sizes.tensor_shapes()
    sources = {ours: _source(ours, sizes) for ours in shapes}
    for ours, source in sources.items():
        check_shape(source.name, source.shape(stored.shape(source.name)), shapes[ours])
    tensors = empty_tensors(shapes)
    for ours, place in tensors.items():
        place[...] = sources[ours].values(stored.read(sources[ours].name))
        part = ours.removesuffix(".bias").rpartition(".")[2]
        if not sizes.learned_positions and part in ("attn_q", "attn_k", "attn_q_norm", "attn_k_norm"):
            place[...] = neighbour_pairs(place, sizes.head_dim)
        if part.endswith("_norm") and not ours.endswith(".bias"):
            place += np.float32(family.gain_offset)
    _check_all_used(stored, sizes, tensors)
    return tensors


def _check_all_used(stored: _Tensors, sizes: TransformerConfig, tensors: Mapping[str, np.ndarray]) -> None:
    head = stored.find(_source(HEAD, sizes).name)
    if sizes.tied_head and head is not None:
        copy = stored.read(head)
        if copy.shape != tensors[EMBEDDING].shape or not np.array_equal(copy.astype(np.float32), tensors[EMBEDDING]):
            raise InputError(f"tensor {shown(head)} differs from the embedding: expected tie_word_embeddings = false")
    for name in stored:
        if name not in stored.used and not name.endswith(ignored_tensors()):
            raise InputError(f"tensor {shown(name)} is not supported: expected no such tensor in this network")


def _vocabulary(folder: Path, config: Config, size: int) -> Vocabulary:
    """Return the tokenizer's files, read but not yet used; its text is empty where there is none."""
    settings, generation = (
        _object(folder / name) if (folder / name).is_file() else {}
        for name in ("tokenizer_config.json", "generation_config.json")
    )
    file, template = folder / "tokenizer.json", folder / "chat_template.jinja"
    written = settings.get("chat_template")
    if isinstance(written, list):
        named = {each.get("name"): each.get("template") for each in written if isinstance(each, dict)}
        written = named.get("default")
    if template.is_file():
        written = read_text(template)

    def ids(key: str) -> tuple[int, ...]:
        value = generation.get(key, config.get(key))
        several = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(each) is int for each in several):
            raise InputError(f"{key} = {shown(value)}: expected token ids")
        return tuple(several)

    ends = ids("eos_token_id")
    return Vocabulary(
        model="tokenizer.json",
        text=read_text(file, _MOST_TOKENIZER) if file.is_file() else "",
        begin=next(iter(ids("bos_token_id")), None),
        end=ends[0] if ends else None,
        more_ends=ends[1:],
        chat_template=written if isinstance(written, str) else "",
        size=size,
    )
