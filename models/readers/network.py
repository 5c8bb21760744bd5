"""A configuration as layers: its family's table asked, the parts beside the layers, and notes on what was not read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwbase import unknown_name
from models.counts import feed_forwards, mixers
from models.layers import FeedForward, Layer, Mixer, grouped
from models.readers.config import Config
from models.readers.encoders import ENCODERS
from models.readers.families import DENSE, MIXTURES, USUAL
from models.readers.hybrid import HYBRID
from models.readers.sparse import SPARSE
from models.readers.table import Values
from models.readers.uneven import UNEVEN
from models.spec import LLMSpec, spec_from_fields

#: Activation functions of feed-forward blocks that are known to change neither sizes nor products.
ACTIVATIONS = (
    "silu", "swish", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "gelu_10", "quick_gelu",
    "relu", "relu2", "xielu", "swigluoai", "situ", "swiglu", "geglu",
)  # fmt: skip
#: Every family that is understood.
FAMILIES: dict[str, Mapping[str, Any]] = {**DENSE, **MIXTURES, **HYBRID, **SPARSE, **UNEVEN, **ENCODERS}
#: Families by other names: those of the language part of a network with several parts.
ALIASES = {
    "qwen3_vl": "qwen3",
    "qwen3_vl_moe": "qwen3_moe",
    "qwen2_vl": "qwen2",
    "qwen2_5_vl": "qwen2",
    "phi3_v": "phi3",
    "gemma3": "gemma3_text",
    "deepseek_ref": "deepseek_v4",
    "minimax_m3_vl": "minimax_m3",
    "step3p7_text": "step3p7",
    "step3p5": "step3p7",
    "clip": "clip_text_model",
    "siglip": "siglip_text_model",
}
#: Ends of the names of classes that have no unembedding.
HEADLESS = ("Model", "ForSequenceClassification", "ForTokenClassification", "ForEmbedding", "ForRewardModel")


@dataclass(frozen=True)
class Network:
    """What a configuration says: the layers one by one, the fields of its spec, and how its matrices are called."""

    family: str
    values: Values
    mixing: list[Mixer]
    blocks: list[FeedForward]
    fields: dict[str, Any]
    sizes_say_all: bool

    @property
    def table(self) -> Mapping[str, Any]:
        """The family's table."""
        return {**USUAL, **FAMILIES[self.family]}


def read_network(config: Config, outer: Config) -> Network:
    """Return the layers of `config`; `outer` is the whole file, which may say for all parts what `config` does not.

    Raises `InputError` for a `model_type` that is not known (the nearest is suggested), a missing key, a value of the
    wrong type or one out of range.
    """
    family = family_name(config, outer)
    values = Values(config, {**USUAL, **FAMILIES[family]})
    vocab, hidden, layers = values["vocab_size"], values["hidden"], values["layers"]
    mixing, sizes = values["mixers"](values)
    blocks, more = values["blocks"](values)
    outer_norms = values["outer_norms"] * hidden * values["norm_parts"]
    fields = {
        "vocab_size": vocab,
        "hidden_size": hidden,
        "layers": layers,
        "tied_embeddings": _tied(values, outer),
        "head": values["head"] and not _headless(outer),
        "causal": values["causal"],
        "activation": _activation(values),
        "norms_per_layer": values["norms"] if values["norm_parts"] == 1 else 2,
        "outer_norms": None if outer_norms == hidden else outer_norms,
        "outer_other": values["outer_other"],
        "other_embeddings": values["other_embeddings"],
        "pooler_parameters": values["pooler"],
        "max_context": _context(config),
        **sizes,
        **more,
    }
    fields["mtp_parameters"] = _predicting(values, mixing[-1], blocks[-1], hidden)
    complete = {"attention", "gated"} <= fields.keys() and values["causal"]
    return Network(family, values, _shared(mixing), _shared(blocks), fields, complete)


def _shared(layers: Iterable[Layer]) -> list[Layer]:
    """Return layers, equal ones as one object, so that they are compared only here."""
    first: dict[Layer, Layer] = {}
    return [first.setdefault(layer, layer) for layer in layers]


def family_name(config: Config, outer: Config) -> str:
    """Return the family that a configuration's `model_type` names; raises `InputError` for one that is not known."""
    given = config.text("model_type", None if config is outer else outer.text("model_type"))
    if given == "hunyuan":  # one name for two
        return "hunyuan_v1_moe" if config.get("num_experts") not in (None, 1) else "hunyuan_v1_dense"
    plain = given.removesuffix("_text")
    for name in (given, ALIASES.get(given, ""), plain, ALIASES.get(plain, "")):
        if name in FAMILIES:
            return name
    raise unknown_name(f"model_type in {config.where}:", given, (*FAMILIES, *ALIASES))


def assemble(network: Network, fields: dict[str, Any], where: str) -> LLMSpec:
    """Return the spec of a network with more `fields`: by its sizes where they say all, by its layers otherwise."""
    given = {**network.fields, **fields}
    mixing, blocks = grouped(network.mixing), grouped(network.blocks)
    if not network.sizes_say_all:
        return spec_from_fields({**given, "mixers": mixing, "feed_forwards": blocks}, where)
    spec = spec_from_fields(given, where)
    if set(mixers(spec)) != set(mixing):
        spec = replace(spec, mixers=mixing)
    if set(feed_forwards(spec)) != set(blocks):
        spec = replace(spec, feed_forwards=blocks)
    return spec


def _tied(values: Values, outer: Config) -> bool:
    tied = bool(values["tied"])
    return tied if outer is values.config else outer.flag("tie_word_embeddings", tied)


def _headless(outer: Config) -> bool:
    return any(str(name).endswith(HEADLESS) for name in outer.items("architectures"))


def _activation(values: Values) -> str:
    name = values["activation"]
    if name not in ACTIVATIONS:
        raise unknown_name(f"activation in {values.config.where}:", name, ACTIVATIONS)
    return str(name)


def _context(config: Config) -> int:
    keys = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "max_seq_len")
    name = config.first(*keys)
    return config.count(name) if config.has(name) else 0


def _predicting(values: Values, mixer: Mixer, block: FeedForward, hidden: int) -> int:
    """Return the parameters of layers that predict several tokens: layers, projections of two vectors, norms."""
    count = values["mtp_layers"]
    if not count:
        return 0
    matrices = (*mixer.matrices, *block.matrices)
    layer = sum(matrix.elements + matrix.bias_elements for matrix in matrices)
    layer += mixer.norms + mixer.other + block.norms + block.other
    return int(count * (layer + 2 * hidden * hidden + 3 * hidden))


def unread_notes(outer: Config, text: Config, family: str) -> tuple[str, ...]:
    """Return notes on what was not read; raises `InputError` for a key that may change the network."""
    for config in (outer, text):
        for key in ("quantization_config", "compression_config", "dtype", "torch_dtype"):
            config.get(key)
    notes = text.unread(family)
    if outer is not text:
        # The whole may repeat what a part says.
        outer.seen.update(key for key, value in outer.data.items() if text.data.get(key) == value)
        notes += outer.unread(family)
        if not outer.data.get("vision_config"):
            notes += (f"{outer.where}: no vision_config: the layers of the language part only",)
    return notes
