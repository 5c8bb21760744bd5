"""Hugging Face `config.json` files as specs, with the files that checkpoints keep beside them."""

from dataclasses import replace
from typing import Any

from hwbase import InputError
from models.readers.config import Config
from models.readers.encoders import STACKS
from models.readers.network import assemble, read_network, unread_notes
from models.readers.quantisation import plain_format, tower_bits, weight_fields, with_expert_format
from models.readers.schemes import Scheme, read_scheme
from models.readers.towers import towers_of
from models.spec import LLMSpec

#: Keys of the language part of a network with several parts.
TEXT_PARTS = ("text_config", "language_config", "llm_config")
#: Keys of a configuration that say how the weights are quantised.
SETTINGS = ("quantization_config", "compression_config")
#: Files beside a configuration that say how the weights are quantised, by the end of their name, and their method.
SIDE_FILES = {"hf_quant_config.json": "", "quantize_config.json": "gptq", "quant_config.json": "awq"}


def spec_from_config(
    config: dict[str, Any], name: str = "", where: str = "config", beside: dict[str, dict[str, Any]] | None = None
) -> LLMSpec:
    """Return the spec that a Hugging Face configuration describes.

    Parameters
    ----------
    config : dict
        The parsed JSON object.
    name : str
        The network's name if the configuration has no `_name_or_path`.
    where : str
        The name of the configuration in messages.
    beside : dict of str to dict, optional
        Parsed files of its folder by name, which may describe the quantisation of the weights.

    Returns
    -------
    LLMSpec

    Raises
    ------
    InputError
        For an unknown `model_type` (the nearest is suggested), a missing key, a value of the wrong type or out of
        range, and a key that may change the network but has no reader.
    """
    if not isinstance(config, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(config).__name__}")
    outer = Config(config, where)
    text = outer
    for key in TEXT_PARTS:
        if isinstance(config.get(key), dict):
            text = outer.table(key)
            text = text.with_defaults(str(text.data.get("model_type", "")))
    network = read_network(text, outer)
    plain = plain_format(text, outer)
    scheme = with_expert_format(_scheme(outer, text, beside or {}), text)
    stack = STACKS.get(network.family)
    towers = stack(text) if stack else towers_of(outer, text, network.fields["hidden_size"])
    towers = tower_bits(towers, scheme, plain)
    fields = {
        "name": _title(outer, name) or network.family,
        "source": f"{where} (model_type {text.data.get('model_type') or network.family})",
        "towers": towers,
        **weight_fields(network, scheme, plain),
        "notes": (*unread_notes(outer, text, network.family), *scheme.notes),
    }
    return assemble(network, fields, where)


def _scheme(outer: Config, text: Config, beside: dict[str, dict[str, Any]]) -> Scheme:
    """Return how the weights are quantised: from the configuration, or else from a file beside it.

    What the configuration does not say of the cache, the file beside it may.
    """
    own = [config.table(key) for config in (outer, text) for key in SETTINGS if config.has(key)]
    files = [Config(_with_method(name, data), name) for name, data in beside.items()]
    schemes = [read_scheme(settings) for settings in (own or files)[:1]]
    if not schemes:
        return Scheme()
    if own and files and schemes[0].kv_cache_bits is None:
        return replace(schemes[0], kv_cache_bits=read_scheme(files[0]).kv_cache_bits)
    return schemes[0]


def _with_method(name: str, data: dict[str, Any]) -> dict[str, Any]:
    method = next((SIDE_FILES[end] for end in SIDE_FILES if name.endswith(end)), "")
    return {"quant_method": method, **data} if method else data


def _title(outer: Config, name: str) -> str:
    """Return the network's name: as the configuration has it, unless that is a path of somebody's machine."""
    given = outer.text("_name_or_path", "")
    return given if given and not given.startswith(("/", ".", "~")) and "\\" not in given else name
