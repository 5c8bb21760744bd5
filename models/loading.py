"""Networks by name or by file: one that comes with the package, a TOML spec, or a Hugging Face configuration."""

from dataclasses import replace
from pathlib import Path

from hwbase import InputError, unknown_name
from hwbase.errors import shown
from hwbase.parsing import read_json, read_toml
from models.catalogue import known, names, reference_names
from models.spec import LLMSpec, spec_from_fields

_CONFIG_FILE = "config.json"
_EMBEDDER_FILE = "modules.json"


def spec_of(model: object) -> LLMSpec:
    """Return a model that is given as a spec, by name, or by path.

    Raises `InputError` for anything else, and as `load` does.
    """
    if isinstance(model, LLMSpec):
        return model
    if isinstance(model, (str, Path)):
        return load(model)
    raise InputError(f"model = {shown(model)}: expected a name, a path or a spec")


def load(name_or_path: str | Path) -> LLMSpec:
    """Return the network of that name, or the one in that file.

    A name is matched whatever its case. A path ending in .toml is a spec with the fields of `SpecFields`; one
    ending in .json, or a folder with a config.json, is a Hugging Face configuration. The header of a .gguf file will
    do as well; a .safetensors file or the index of several is checked against the config.json beside it. Raises
    `InputError` for an unknown name (the nearest is suggested) and for a file that is missing, broken or at odds with
    itself.

    >>> spec = load("gpt-oss-120b")
    >>> spec.layers, spec.experts, spec.experts_per_token
    (36, 128, 4)
    """
    if not isinstance(name_or_path, (str, Path)):
        raise InputError(f"model = {name_or_path!r}: expected a name or a path")
    given = str(name_or_path).strip()
    if given in reference_names():
        return known(given)
    names_by_case = {name.lower(): name for name in names()}
    if given.lower() in names_by_case:
        return known(names_by_case[given.lower()])
    path = Path(given)
    if "\0" not in given and path.suffix.lower() == ".toml":
        return _from_toml(path)
    if "\0" not in given and path.suffix.lower() == ".gguf":
        from models.weight_files import spec_from_gguf

        return spec_from_gguf(path)
    if "\0" not in given and path.name.lower().endswith((".safetensors", ".safetensors.index.json")):
        from models.weight_files import spec_from_safetensors

        return spec_from_safetensors(path)
    if "\0" not in given and path.suffix.lower() == ".json":
        return _from_json(path)
    if given and _is_file(path / _CONFIG_FILE):
        return _from_json(path / _CONFIG_FILE)
    raise unknown_name("model", given[:200], names())


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _from_toml(path: Path) -> LLMSpec:
    return spec_from_fields(read_toml(path), path.name)


def _from_json(path: Path) -> LLMSpec:
    from models.huggingface import spec_from_config

    config = read_json(path)
    beside = {each.name: read_json(each) for each in _beside(path)}
    fallback = path.resolve().parent.name if path.name.lower() == _CONFIG_FILE else path.stem.removesuffix("_config")
    spec = spec_from_config(config, name=fallback or path.stem, where=path.name, beside=beside)
    if path.name.lower() == _CONFIG_FILE and _is_file(path.with_name(_EMBEDDER_FILE)):
        # A sentence-transformers model pools the layers' output and keeps no unembedding.
        return replace(spec, head=False)
    return spec


def _beside(path: Path) -> list[Path]:
    """Return the files that say how the weights of a configuration are quantised.

    A folder keeps them as they are called, a flat collection as NAME_hf_quant_config.json beside NAME_config.json.
    """
    from models.huggingface import SIDE_FILES

    name = path.name
    stem = name[: -len(_CONFIG_FILE)] if name.lower().endswith(_CONFIG_FILE) else ""
    own = {_CONFIG_FILE: ""}.get(name.lower(), stem or None)
    return [] if own is None else [each for end in SIDE_FILES if _is_file(each := path.with_name(own + end))]
