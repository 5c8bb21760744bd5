"""Schemes of quantisation: what a checkpoint's settings say of the number formats of its matrices.

Each method keeps its settings in its own way; all become the same few things: a list of (rules, format), of which the
first that names a matrix counts, rules for what is left as it was, and the format of the key-value cache.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwbase import FORMATS, InputError, NumberFormat, number_format, unknown_name
from hwbase.check import Number
from models.readers.config import Config, shown
from models.readers.names import settings_name
from models.readers.rules import Rules

#: Settings that change no bits of a weight: how activations are treated, how the tool worked, versions.
HARMLESS = frozenset(
    (
        "_load_in_4bit", "_load_in_8bit", "act_bits", "act_data_type", "act_dynamic", "act_group_size", "act_order",
        "act_sym", "activation_scale_ub", "activation_scheme", "algo_config", "amp", "autoround_version", "backend",
        "batch_size", "block_name_to_quantize", "bnb_4bit_compute_dtype", "bnb_4bit_quant_storage",
        "cache_block_outputs", "checkpoint_format", "config_groups_source", "damp_auto_increment", "damp_percent",
        "data_type", "dataset", "dequantize", "desc_act", "do_fuse", "dtype", "enable_minmax_tuning",
        "enable_quanted_input", "exllama_config", "export", "fmt", "format", "fuse_max_seq_len",
        "global_compression_ratio", "gradient_accumulate_steps", "hf_quantizer", "input_activations",
        "is_marlin_format", "is_static_input_scheme", "iters", "llm_int8_enable_fp32_cpu_offload",
        "llm_int8_has_fp16_weight", "llm_int8_threshold", "low_gpu_mem_usage", "lr", "max_input_length", "meta",
        "min_kv_scale", "minmax_lr", "model_file_base_name", "model_name_or_path", "model_seqlen",
        "modules_to_fuse", "moe_quant_algo", "nsamples", "observer",
        "output_activations", "pack_method", "packing_format", "pad_token_id", "producer", "quant_method",
        "quant_preset", "quantization_status", "scale_dtype", "scale_fmt", "seqlen", "softmax_quant_spec",
        "static_groups", "to_quant_block_names", "tokenizer", 
        "true_sequential", "use_cuda_fp16", "use_exllama", "version", "weight_block_size"
    )
)  # fmt: skip


@dataclass(frozen=True)
class WeightFormat:
    """The format of a matrix: codes and what they share, a scale for `rows` outputs if a block has two sides."""

    codes: NumberFormat
    rows: int = 1
    name: str = ""

    @property
    def label(self) -> str:
        """The format's name."""
        return self.name or self.codes.name

    def stored_bits(self, inputs: int, outputs: int) -> Number:
        """Return the bits of a matrix, scales and zero points included, a begun group counting as one."""
        if self.rows == 1:
            return self.codes.stored_bits(inputs, outputs)
        plain = replace(self.codes, group=None, scale=None, zero_point=None, tensor_scale=None)
        scale, group = self.codes.scale, self.codes.group
        assert scale is not None and group is not None
        return plain.stored_bits(inputs, outputs) + -(-inputs // group) * -(-outputs // self.rows) * scale.bits


@dataclass(frozen=True)
class Scheme:
    """What settings say: formats by rule, what is left out, and the format of the key-value cache."""

    formats: tuple[tuple[Rules, WeightFormat], ...] = ()
    kept: tuple[Rules, ...] = ()
    kv_cache_bits: float | None = None
    #: Components that a scheme is about; all but routers where empty.
    components: tuple[str, ...] = ()
    #: Towers for images are quantised like the layers, unless a rule leaves them out.
    towers: bool = False
    #: Format of the routed experts that no rule names, where they have one of their own.
    experts: WeightFormat | None = None
    #: A format's rule that names a matrix counts, although it is among those left out.
    named_first: bool = False
    notes: tuple[str, ...] = ()


#: Settings that order the inputs of a matrix by their importance, and values that keep no index of that order.
ORDERS, UNORDERED = ("desc_act", "act_order", "actorder"), (None, False, "weight", "static")


def read_scheme(settings: Config) -> Scheme:
    """Return the scheme of a checkpoint's settings; raises `InputError` for what cannot be read, by name."""
    settings = _inner(settings)
    method = settings.text("quant_method", _unnamed(settings))
    if method not in METHODS:
        raise unknown_name(f"quant_method in {settings.where}:", method, METHODS)
    scheme = METHODS[method](settings)
    left = [key for key, value in settings.data.items() if value not in (None, False, [], {})]
    for key in left:
        if key not in settings.seen and key not in HARMLESS:
            value = shown(settings.data[key])
            raise InputError(f"{settings.where}: {shown(key)} = {value}: not read for quant_method {method}")
    return replace(scheme, notes=_order_notes(settings.where, settings.data))


def _order_notes(where: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a note where settings, or a table in them, keep an index of reordered inputs."""
    for key, value in data.items():
        if key in ORDERS and value not in UNORDERED:
            index = "the index of reordered inputs (g_idx, 32 bits an input of a matrix) is not counted"
            return (f"{where}: {key} = {shown(value)}: {index}",)
        if isinstance(value, dict) and (notes := _order_notes(where, value)):
            return notes
    return ()


def _inner(settings: Config) -> Config:
    """Return the table with the settings: ModelOpt's side file keeps them under `quantization`."""
    inner = settings.table("quantization")
    if not inner.data:
        return settings
    data = {"quant_method": "modelopt", **inner.data}
    return Config(data, inner.where)


def _unnamed(settings: Config) -> str | None:
    """Return the method of settings that do not name it, where its own keys say which it is."""
    if settings.get("load_in_4bit") or settings.get("load_in_8bit"):
        return "bitsandbytes"
    if settings.has("quant_algo"):
        return "modelopt"
    if settings.has("config_groups"):
        return "compressed-tensors"
    return None


def _rules(settings: Config, *keys: str, regular: bool = False) -> Rules:
    texts = tuple(str(item) for key in keys for item in settings.items(key))
    return Rules(texts, f"{settings.where}: {keys[0]}", regular)


def _everything(settings: Config) -> Rules:
    return Rules(("Linear",), settings.where)


# Formats of weights, from the words that methods use.


def integers(bits: int, group: int | None, *, zero_points: bool, where: str, scale: str = "fp16") -> WeightFormat:
    """Return evenly spaced integers of `bits` with a scale for each group (None: each row)."""
    if not 2 <= bits <= 8:
        raise InputError(f"{where}: weight_bits = {bits}: expected 2 to 8")
    zero = f"uint{bits}" if zero_points else None
    return WeightFormat(number_format(f"int{bits}").grouped(group, scale, zero))


def floats(bits: int, group: int | None, *, scale: str, where: str) -> WeightFormat:
    """Return floating point of 4 or 8 bits with a scale for each group (None: each row)."""
    if bits not in (4, 8):
        raise InputError(f"{where}: weight_bits = {bits}: expected 4 or 8 for floating point")
    named = {(4, 16, "fp8"): "nvfp4", (4, 32, "e8m0"): "mxfp4"}.get((bits, group or 0, scale))
    if named:
        return WeightFormat(FORMATS[named])
    name = "mxfp8" if (bits, group, scale) == (8, 32, "e8m0") else ""
    return WeightFormat(number_format("fp4" if bits == 4 else "fp8").grouped(group, scale), name=name)


def whole_matrix_fp8() -> WeightFormat:
    """Return FP8 with one scale for a matrix."""
    return WeightFormat(replace(number_format("fp8"), tensor_scale=FORMATS["fp32"]), name="fp8")


def blocks_fp8(settings: Config, key: str) -> WeightFormat:
    """Return FP8 with a scale for each block of outputs and inputs, whose sides `key` says (none: one a matrix)."""
    if not settings.has(key):
        return whole_matrix_fp8()
    rows, columns = settings.whole_items(key, 2, low=1)
    scale = "e8m0" if settings.get("scale_fmt") == "ue8m0" else "fp32"
    return WeightFormat(number_format("fp8").grouped(columns, scale), rows=rows, name="fp8")


def _group_size(settings: Config, *keys: str) -> int | None:
    name = settings.first(*keys)
    if settings.get(name) == -1 or not settings.has(name):
        return None
    return settings.count(name)


# Methods.


def _fp8(settings: Config) -> Scheme:
    kept = _rules(settings, "modules_to_not_convert", "ignored_layers")
    named = _named_layers(settings)
    if named:
        # ModelOpt's exceptions on top: what they leave out stays in FP8.
        for key in ("ignore", "exclude_modules", "config_groups", "quant_algo", "group_size", "kv_cache_quant_algo"):
            settings.get(key)
    base = (_everything(settings), blocks_fp8(settings, "weight_block_size"))
    return Scheme((*named, base), (kept,), _kv_bits(settings), towers=True)


def _fbgemm(settings: Config) -> Scheme:
    kept = _rules(settings, "modules_to_not_convert")
    rows = WeightFormat(number_format("fp8").grouped(None, "fp32"), name="fp8")
    return Scheme(((_everything(settings), rows),), (kept,), towers=True)


def _mxfp4(settings: Config) -> Scheme:
    kept = _rules(settings, "modules_to_not_convert")
    return Scheme(((_everything(settings), WeightFormat(FORMATS["mxfp4"])),), (kept,), components=("experts",))


def _gptq(settings: Config) -> Scheme:
    bits, zero = settings.count("bits"), not settings.flag("sym", True)
    group = _group_size(settings, "group_size")
    where = settings.where
    everything = integers(bits, group, zero_points=zero, where=where)
    formats: list[tuple[Rules, WeightFormat]] = []
    kept: list[Rules] = [_rules(settings, "modules_to_not_convert")]
    for text, entry in settings.table("dynamic").data.items():
        pattern = Rules((text.removeprefix("+:").removeprefix("-:"),), f"{where}: dynamic", True)
        if text.startswith("-:"):
            kept.append(pattern)
            continue
        changes = Config(entry if isinstance(entry, dict) else {}, f"{where}: dynamic: {shown(text)}")
        formats.append((pattern, _changed_integers(changes, bits, group, zero)))
    if settings.flag("lm_head", False):
        formats.append((Rules(("lm_head",), where), everything))
    return Scheme((*formats, (_in_block(settings) or _everything(settings), everything)), tuple(kept))


def _in_block(settings: Config) -> Rules | None:
    """Return rules for the matrices of a layer that alone are quantised, where the settings list them."""
    groups = settings.get("modules_in_block_to_quantize") or []
    names = [name for group in groups for name in (group if isinstance(group, list) else [group])]
    return (
        Rules(tuple(f"*.{name}" for name in names), f"{settings.where}: modules_in_block_to_quantize")
        if names
        else None
    )


def _changed_integers(changes: Config, bits: int, group: int | None, zero: bool) -> WeightFormat:
    given = _group_size(changes, "group_size") if changes.has("group_size") else group
    own_zero = not changes.flag("sym", not zero)
    own = integers(changes.count("bits", bits), given, zero_points=own_zero, where=changes.where)
    changes.get("desc_act")
    return own


def _auto_round(settings: Config) -> Scheme:
    data = {**settings.data, "quant_method": "gptq"}
    extra = data.pop("extra_config", None)
    base = Config(data, settings.where, settings.seen)
    scheme = _gptq(base)
    bits, zero, group = base.count("bits"), not base.flag("sym", True), _group_size(base, "group_size")
    formats, kept = [], list(scheme.kept)
    settings.get("extra_config")
    for text, entry in (extra or {}).items():
        changes = Config(entry, f"{settings.where}: extra_config: {shown(text)}")
        one = Rules((f"re:{text}" if "\\" in text or ".*" in text else text,), changes.where)
        if changes.whole("bits", bits) >= 16:
            kept.append(one)
        else:
            formats.append((one, _changed_integers(changes, bits, group, zero)))
    return replace(scheme, formats=(*formats, *scheme.formats), kept=tuple(kept))


def _awq(settings: Config) -> Scheme:
    bits = settings.count(settings.first("bits", "w_bit"))
    zero = settings.flag("zero_point", True)
    group = _group_size(settings, "group_size", "q_group_size")
    kept = _rules(settings, "modules_to_not_convert")
    settings.get("lm_head")
    format_ = integers(bits, group, zero_points=zero, where=settings.where)
    return Scheme(((_everything(settings), format_),), (kept,))


def _bitsandbytes(settings: Config) -> Scheme:
    kept = _rules(settings, "llm_int8_skip_modules")
    if settings.flag("load_in_8bit", False):
        rows = WeightFormat(number_format("int8").grouped(None, "fp32"), name="int8")
        return Scheme(((_everything(settings), rows),), (kept,), towers=True)
    if not settings.flag("load_in_4bit", False):
        raise settings.error("load_in_4bit, load_in_8bit", "false", "one of them true")
    kind = settings.text("bnb_4bit_quant_type", "fp4")
    if kind not in ("nf4", "fp4"):
        raise unknown_name(f"bnb_4bit_quant_type in {settings.where}:", kind, ("nf4", "fp4"))
    # A scale of 32 bits for 64 codes; doubly quantised, one of 8 bits, and 32 bits for 256 of those.
    codes = number_format("int4").grouped(64, "fp32")
    if settings.flag("bnb_4bit_use_double_quant", False):
        codes = replace(codes, scale=FORMATS["fp8_e4m3"], zero_point=None)
    return Scheme(((_everything(settings), WeightFormat(codes, name=kind)),), (kept,), towers=True)


def _compressed_tensors(settings: Config) -> Scheme:
    sparsity = settings.table("sparsity_config")
    if sparsity.data and sparsity.text("format", "dense") != "dense":
        raise sparsity.error("format", repr(sparsity.get("format")), "dense: weights left out are not read")
    kept = _rules(settings, "ignore")
    outer = settings.text("format", "")
    formats = []
    groups = settings.table("config_groups")
    for name in groups.data:
        group = groups.table(name)
        targets = _rules(group, "targets") if group.has("targets") else _everything(group)
        if not group.has("weights"):
            continue
        formats.append((targets, _compressed_format(group.table("weights"), group.text("format", outer))))
        _refuse_unread(group)
    # Rules that name modules come before those that name a class.
    formats.sort(key=lambda entry: "Linear" in entry[0].texts)
    named = _named_layers(settings)
    return Scheme((*named, *formats), (kept,), _kv_bits(settings), towers=True)


def _compressed_format(weights: Config, format_name: str) -> WeightFormat:
    bits, kind = weights.count("num_bits"), weights.text("type", "int")
    group = _group_size(weights, "group_size")
    strategy = weights.text("strategy", "group" if group else "channel")
    if strategy == "tensor":
        group = None
    zero = not weights.flag("symmetric", True)
    for key in ("dynamic", "actorder", "observer_kwargs", "scale_dtype", "zp_dtype", "block_structure"):
        weights.get(key)
    _refuse_unread(weights)
    if kind == "int":
        made = integers(bits, group, zero_points=zero, where=weights.where)
        if strategy == "tensor":
            plain = replace(made.codes, scale=None, zero_point=None, tensor_scale=FORMATS["fp16"])
            return WeightFormat(plain, name=f"int{bits}")
        return made
    if kind != "float":
        raise unknown_name(f"type in {weights.where}:", kind, ("int", "float"))
    if weights.has("block_structure") or strategy == "block":
        structure = weights.get("block_structure")
        sides = structure.split("x") if isinstance(structure, str) else structure
        if not isinstance(sides, list) or len(sides) != 2:
            raise weights.error("block_structure", structure, "two sides")
        rows, columns = (int(side) for side in sides)
        return WeightFormat(number_format("fp8").grouped(columns, "fp32"), rows=rows, name="fp8")
    if bits == 8 and group is None:
        if strategy == "tensor":
            return whole_matrix_fp8()
        return WeightFormat(number_format("fp8").grouped(None, "bf16"), name="fp8")
    word = settings_name(format_name)
    if "mxfp" in word or (group == 32 and "uint8" in str(weights.get("scale_dtype"))):
        return floats(bits, group, scale="e8m0", where=weights.where)
    if "nvfp4" in word or (bits == 4 and group == 16):
        return floats(bits, group, scale="fp8", where=weights.where)
    return floats(bits, group, scale="bf16", where=weights.where)


def _refuse_unread(config: Config) -> None:
    for key, value in config.data.items():
        if key not in config.seen and key not in HARMLESS and value not in (None, False, [], {}):
            raise InputError(f"{config.where}: {shown(key)} = {shown(value)}: not read")


#: ModelOpt's names of schemes.
ALGORITHMS: Mapping[str, Callable[[Config], WeightFormat]] = {
    "FP8": lambda settings: whole_matrix_fp8(),
    "FP8_PER_CHANNEL_PER_TOKEN": lambda settings: WeightFormat(number_format("fp8").grouped(None, "fp32"), name="fp8"),
    "FP8_PB_WO": lambda settings: WeightFormat(number_format("fp8").grouped(128, "fp32"), rows=128, name="fp8"),
    "FP8_BLOCK_SCALES": lambda settings: WeightFormat(number_format("fp8").grouped(128, "fp32"), rows=128, name="fp8"),
    "NVFP4": lambda settings: _nvfp4(settings, "nvfp4"),
    "NVFP4_AWQ": lambda settings: _nvfp4(settings, "nvfp4"),
    "W4A16_NVFP4": lambda settings: _nvfp4(settings, "nvfp4-weights"),
    "W4A8_NVFP4_FP8": lambda settings: _nvfp4(settings, "nvfp4-fp8"),
    "MXFP4": lambda settings: WeightFormat(FORMATS["mxfp4"]),
    "W4A8_MXFP4_FP8": lambda settings: WeightFormat(FORMATS["mxfp4"]),
    "MXFP8": lambda settings: floats(8, 32, scale="e8m0", where=settings.where),
    "INT8_SQ": lambda settings: integers(8, None, zero_points=False, where=settings.where),
    "W8A16": lambda settings: integers(8, None, zero_points=False, where=settings.where),
    "W8A8_SQ_PER_CHANNEL": lambda settings: integers(8, None, zero_points=False, where=settings.where),
    "INT4_AWQ": lambda settings: integers(
        4, settings.count("group_size", 128), zero_points=False, where=settings.where
    ),
    "W4A16_AWQ": lambda settings: integers(
        4, settings.count("group_size", 128), zero_points=False, where=settings.where
    ),
    "W4A8_AWQ": lambda settings: integers(
        4, settings.count("group_size", 128), zero_points=False, where=settings.where
    ),
}


def _nvfp4(settings: Config, name: str) -> WeightFormat:
    size = settings.count("group_size", 16)
    codes = FORMATS["nvfp4"] if size == 16 else replace(FORMATS["nvfp4"], group=size)
    return WeightFormat(codes, name=name)


def _algorithm(settings: Config) -> WeightFormat:
    name = settings.text("quant_algo")
    if name not in ALGORITHMS:
        raise unknown_name(f"quant_algo in {settings.where}:", name, ALGORITHMS)
    return ALGORITHMS[name](settings)


def _named_layers(settings: Config) -> list[tuple[Rules, WeightFormat]]:
    """Return the formats of `quantized_layers`, modules of the same format together."""
    layers = settings.table("quantized_layers")
    names: dict[str, list[str]] = {}
    for text, entry in layers.data.items():
        if not isinstance(entry, dict):
            raise layers.error(shown(text), entry, "an object")
        names.setdefault(json.dumps(entry, sort_keys=True), []).append(text)
    formats = []
    for entry, texts in names.items():
        format_ = _algorithm(Config(json.loads(entry), f"{layers.where}: {shown(texts[0])}"))
        formats.append((Rules(tuple(texts), layers.where), format_))
    return formats


def _modelopt(settings: Config) -> Scheme:
    kept = _rules(settings, "exclude_modules", "ignore")
    named = _named_layers(settings)
    kv_bits = _kv_bits(settings)
    name = settings.text("quant_algo", "MIXED_PRECISION" if named else None)
    settings.get("config_groups")
    settings.get("group_size")
    if name == "MIXED_PRECISION":
        if not named:
            if settings.has("config_groups"):
                return replace(_compressed_tensors(settings), kv_cache_bits=kv_bits)
            raise InputError(f"{settings.where}: quantized_layers is missing for quant_algo MIXED_PRECISION")
        return Scheme(tuple(named), (kept,), kv_bits)
    return Scheme((*named, (_everything(settings), _algorithm(settings))), (kept,), kv_bits, towers=True)


def _quark(settings: Config) -> Scheme:
    kept = _rules(settings, "exclude")
    formats = []
    for text, entry in settings.table("layer_quant_config").data.items():
        table = Config(entry, f"{settings.where}: layer_quant_config: {shown(text)}")
        if table.has("weight"):
            formats.append((Rules((text,), table.where), _quark_format(table.table("weight"))))
        else:
            kept = replace(kept, texts=(*kept.texts, text))
    if settings.table("layer_type_quant_config").data:
        raise settings.error("layer_type_quant_config", "rules", "none: they are not read")
    weights = settings.table("global_quant_config").table("weight")
    if weights.data:
        formats.append((_everything(settings), _quark_format(weights)))
    cache = settings.get("kv_cache_quant_config") or settings.get("kv_cache_post_rope")
    bits = 8.0 if isinstance(cache, dict) and "8" in str(cache.get("dtype", cache)) else None
    for key in ("kv_cache_group", "quant_mode", "export", "quark_version"):
        settings.get(key)
    return Scheme(tuple(formats), (kept,), bits, towers=True)


def _quark_format(weights: Config) -> WeightFormat:
    kind, scheme = weights.text("dtype"), weights.text("qscheme", "per_tensor")
    group = weights.count("group_size", 32) if scheme == "per_group" else None
    if scheme not in ("per_tensor", "per_channel", "per_group"):
        raise unknown_name(f"qscheme in {weights.where}:", scheme, ("per_tensor", "per_channel", "per_group"))
    if kind in ("fp8_e4m3", "fp8_e5m2"):
        return whole_matrix_fp8() if scheme == "per_tensor" else floats(8, group, scale="bf16", where=weights.where)
    if kind in ("fp4", "mxfp4", "mx"):
        return floats(4, group or 32, scale="e8m0", where=weights.where)
    if kind in ("int4", "uint4", "int8", "uint8"):
        zero = kind.startswith("u") or not weights.flag("symmetric", True)
        return integers(int(kind[-1]), group, zero_points=zero, where=weights.where)
    raise unknown_name(f"dtype in {weights.where}:", kind, ("fp8_e4m3", "fp8_e5m2", "fp4", "int4", "uint4", "int8"))


def _kv_bits(settings: Config) -> float | None:
    """Return the bits of an element of the key-value cache, None where nothing is said."""
    scheme = settings.get("kv_cache_scheme")
    if isinstance(scheme, dict):
        return float(settings.table("kv_cache_scheme").count("num_bits"))
    name = scheme if scheme is not None else settings.get("kv_cache_quant_algo")
    if name is None or settings_name(name) in ("none", "auto"):
        return None
    known = {"fp8": "fp8", "nvfp4": "nvfp4", "int8": "int8", "fp8e4m3": "fp8", "fp8e5m2": "fp8_e5m2"}
    if settings_name(name) not in known:
        raise unknown_name(f"kv_cache_quant_algo in {settings.where}:", shown(name), known)
    return number_format(known[settings_name(name)]).bits_per_weight


METHODS: dict[str, Callable[[Config], Scheme]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "mxfp4": _mxfp4,
    "gptq": _gptq,
    "awq": _awq,
    "auto-round": _auto_round,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "modelopt_mixed": _modelopt,
    "quark": _quark,
}
