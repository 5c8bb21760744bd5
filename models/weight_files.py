"""Networks from the headers of weight files: a GGUF file alone, or safetensors beside their configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hwbase import InputError, unknown_name
from hwbase.parsing import read_json
from models.counts import parameters
from models.huggingface import spec_from_config
from models.memory import BITS_PER_BYTE, weight_bytes
from models.readers.tensors import Tensor, book, read_gguf, read_safetensors
from models.spec import LLMSpec

#: Tensors that hold no parameters: factors of rotary positions.
_CONSTANTS = ("rope_freqs", "rope_factors")
#: Fields of a spec for the bits of tensors, by words of their names in GGUF files; the first that fits counts.
_PARTS = (
    ("embedding", ("token_embd",)),
    ("expert", ("_exps.",)),
    ("router", ("ffn_gate_inp",)),
    ("shared_expert", ("_shexp.",)),
    ("ffn", ("ffn_gate.", "ffn_up.", "ffn_down.", "ffn_gate_up.")),
    ("attention", ("attn_q.", "attn_k.", "attn_v.", "attn_output.", "attn_qkv.", "attn_q_a.", "attn_q_b.", "attn_kv")),
    ("unembedding", ("output.weight",)),
)
_OTHER = "other"


def spec_from_gguf(path: Path) -> LLMSpec:
    """Return the network of a GGUF file: sizes from its header, bits from its tensors' types.

    Raises `InputError` for an architecture that is not known, and where tensors and sizes do not make the same network.
    """
    values, tensors = read_gguf(path)
    architecture = str(values.get("general.architecture", ""))
    known = book()["architectures"]
    if architecture not in known:
        raise unknown_name(f"general.architecture in {path.name}:", architecture, known)
    config = _config(values, architecture, known[architecture], tensors)
    spec = spec_from_config(config, name=path.stem, where=path.name)
    fields: dict[str, Any] = {"source": f"{path.name} (GGUF, {architecture})", **_bits(tensors)}
    return _checked(replace(spec, **fields), _elements(tensors), path.name)


def _config(values: dict[str, Any], architecture: str, entry: dict[str, str], tensors: list[Tensor]) -> dict[str, Any]:
    named = {tensor.name: tensor for tensor in tensors}
    config: dict[str, Any] = {"model_type": entry["family"]}
    for key, ours in book()["keys"].items():
        value = values.get(f"{architecture}.{key}")
        if value is not None:
            config[entry.get(ours, ours)] = value
    experts = config.pop("experts", 0)
    if experts:
        config["model_type"] = entry.get("experts_family", entry["family"])
        config[entry["experts"]] = experts
    if "token_embd.weight" not in named or not config.get("hidden_size"):
        raise InputError(f"{architecture}: token_embd.weight is missing")
    config["vocab_size"] = named["token_embd.weight"].elements // config["hidden_size"]
    config["tie_word_embeddings"] = "output.weight" not in named
    if entry["family"] == "llama" and any(name.endswith("attn_q.bias") for name in named):
        # Biases on q, k and v alone, as the family that always has them; on the output as well, as an option of llama.
        both = any(name.endswith("attn_output.bias") for name in named)
        config |= {"attention_bias": True} if both else {"model_type": "qwen2"}
    return config


def _bits(tensors: list[Tensor]) -> dict[str, float]:
    elements: dict[str, int] = {}
    bits: dict[str, float] = {}
    for tensor in tensors:
        part = _OTHER
        if tensor.name.endswith(".weight") and "norm" not in tensor.name:
            part = next((name for name, words in _PARTS if any(word in tensor.name for word in words)), _OTHER)
        elements[part] = elements.get(part, 0) + tensor.elements
        bits[part] = bits.get(part, 0.0) + tensor.bits
    return {f"{part}_weight_bits": bits[part] / elements[part] for part in elements if elements[part]}


def spec_from_safetensors(path: Path) -> LLMSpec:
    """Return the network of safetensors and of the config.json beside them, checked against each other.

    An index says the bytes in all, a file of its own each tensor. What they hold besides the layers (those that
    predict several tokens, a pooler) is left out of the check as far as it is counted; a difference becomes a note.
    """
    config = path.with_name("config.json")
    spec = spec_from_config(read_json(config), name=path.resolve().parent.name, where=config.name)
    ours = float(weight_bytes(spec).total)
    if path.name.endswith(".index.json"):
        stored = read_json(path).get("metadata", {}).get("total_size")
        if not isinstance(stored, (int, float)) or isinstance(stored, bool) or stored <= 0:
            raise InputError(f"{path.name}: metadata.total_size = {stored}: expected the bytes of all tensors")
    else:
        stored = sum(tensor.bits for tensor in read_safetensors(path)) / BITS_PER_BYTE
    apart = (spec.mtp_parameters + spec.pooler_parameters) * spec.attention_weight_bits / BITS_PER_BYTE
    error = ours / float(stored) - 1.0
    note = f"{path.name}: {float(stored):,.0f} bytes of tensors; these layers {ours:,.0f} ({error:+.2%})"
    if apart:
        note += f", and {apart:,.0f} apart"
    return replace(spec, notes=(*spec.notes, note))


def _elements(tensors: list[Tensor]) -> int:
    return sum(tensor.elements for tensor in tensors if not tensor.name.startswith(_CONSTANTS))


def _checked(spec: LLMSpec, stored: int, where: str) -> LLMSpec:
    counts = parameters(spec)
    if counts.total != stored:
        raise InputError(
            f"{where}: its tensors have {stored:,} elements, its sizes make {counts.total:,}: "
            "some tensors or keys of this network are not read"
        )
    return spec
