"""Compensated weights on disk: a folder with a safetensors file for each layer and `quantised.json` about them.

The folder has the codes and scales of every matrix and the gains of norms. The embedding and the vocabulary come from
the model's own file, rotated by the same seed where the method rotates. Layers are written as they are done, so a run
that was interrupted continues; a hash of weights, calibration text and settings says whether they belong together.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.parsing import read_json
from models.inference import Vocabulary, Weights, read_model
from models.inference.weights import require
from models.quantise.compensate import Stage, prepared, stages
from models.quantise.formats import WeightFormat, weight_format
from models.quantise.gptq import Solution

HEADER = "quantised.json"
_PARTS = ("codes", "scale", "zero")


@dataclass(frozen=True, eq=False)
class StoredWeights(Weights):
    """Weights of a folder: `tensors` are the rounded values, `stored` the codes and scales of each matrix."""

    stored: dict[str, Solution]
    format: WeightFormat
    header: dict[str, Any]

    def matrix(self, name: str) -> np.ndarray:
        """Return the rounded matrix (outputs, inputs)."""
        return self.tensors[name]


def fingerprint(weights: Weights) -> str:
    """Return a hash of a network's tensors."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(weights.tensors.items()):
        digest.update(f"{name} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()


def is_stored(path: str | Path | None) -> bool:
    """Whether a path is a folder of compensated weights."""
    return path is not None and "\0" not in str(path) and (Path(path) / HEADER).is_file()


def read_weights(path: str | Path | None = None) -> tuple[Weights, Vocabulary]:
    """Return weights and vocabulary of a model file, as `read_model` does, or of a folder of compensated weights.

    Raises `InputError` as `read_model` does, for a folder that is not complete, and where the model's own file has
    other weights than those that were compensated.
    """
    if not is_stored(path):
        return read_model(path)
    folder = Path(str(path))
    header = read_header(folder)
    if not header["complete"]:
        raise InputError(f"{folder.name}: the weights are not complete: run the same hwsim quantise again to continue")
    weights, vocabulary = read_model(header["source"])
    if fingerprint(weights) != header["model_hash"]:
        raise InputError(f"{folder.name}: weights of another model: expected those that {header['model']} has now")
    to = weight_format(header["format"])
    ready = prepared(weights, header["method"], header["seed"])
    stored: dict[str, Solution] = {}
    gains: dict[str, np.ndarray] = {}
    for stage in stages(ready):
        part = read_stage(folder, stage, to)
        if part is None:
            raise InputError(f"{folder.name}: {stage}.safetensors is missing: expected one file for each layer")
        stored |= part.solutions
        gains |= part.gains
    for name, shape in ready.config.linear_shapes().items():
        if name not in stored or stored[name].values.shape != shape:
            raise InputError(f"{folder.name}: {name!r} is missing or has another shape: expected {shape}")
    tensors = ready.tensors | gains | {name: solution.values for name, solution in stored.items()}
    return StoredWeights(ready.config, tensors, stored, to, header), vocabulary


def check_format(weights: Weights, format: str) -> None:
    """Raise `InputError` for compensated weights in another format; other weights can be rounded to it."""
    if isinstance(weights, StoredWeights) and weights.format.name != format:
        raise InputError(f"the weights are in {weights.format.name} already: expected {format}, or a model file")


def read_header(folder: Path) -> dict[str, Any]:
    """Return the header of a folder of compensated weights; raises `InputError` for one that is broken."""
    header = read_json(folder / HEADER)
    for name, kind in (
        ("format", str),
        ("method", str),
        ("seed", int),
        ("complete", bool),
        ("key", str),
        ("model_hash", str),
    ):
        if not isinstance(header, dict) or not isinstance(header.get(name), kind):
            raise InputError(f"{folder.name}/{HEADER}: {name} is missing: expected what hwsim quantise writes")
    return header


def write_header(folder: Path, header: dict[str, Any]) -> None:
    """Write the header of a folder of compensated weights."""
    _replace(folder / HEADER, (json.dumps(header, indent=1, sort_keys=True) + "\n").encode())


def write_stage(folder: Path, name: str, stage: Stage) -> None:
    """Write the codes, scales and gains of one layer as a safetensors file."""
    arrays = {f"{key}.{part}": getattr(each, part) for key, each in stage.solutions.items() for part in _PARTS}
    arrays |= {f"{key}.gain": gain for key, gain in stage.gains.items()}
    losses = {key: [each.loss, each.nearest_loss, each.dead] for key, each in stage.solutions.items()}
    data = require("safetensors.numpy").save(arrays, metadata={"losses": json.dumps(losses)})
    _replace(folder / f"{name}.safetensors", data)


def read_stage(folder: Path, name: str, to: WeightFormat) -> Stage | None:
    """Return one layer of a folder, or None where there is none. Raises `InputError` for a broken file."""
    file = folder / f"{name}.safetensors"
    if not file.is_file():
        return None
    opened = require("safetensors").safe_open
    try:
        with opened(file, framework="numpy") as content:
            losses = json.loads((content.metadata() or {})["losses"])
            arrays = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 (not a mapping)
        solutions, gains = {}, {}
        for key in arrays:
            base, _, part = key.rpartition(".")
            if part == "gain":
                gains[base] = arrays[key]
            elif part == "codes":
                solutions[base] = _solution([arrays[f"{base}.{name}"] for name in _PARTS], losses[base], to)
    except Exception as error:  # whatever a broken header or a tensor of another shape leads the reader to
        raise InputError(f"{file.name} is not a whole file of compensated weights: {error}") from None
    return Stage(solutions, gains)


def _solution(parts: list[np.ndarray], known: list[Any], to: WeightFormat) -> Solution:
    """Return a matrix from its `_PARTS`, and from its losses and its dead inputs, which are `known`."""
    codes, scale, zero = parts
    loss, nearest_loss, dead = known
    levels = codes.astype(np.float32) if to.element.kind == "integer" else to.levels[codes]
    length = codes.shape[1] if to.group is None else to.group
    values = levels * np.repeat(scale, length, axis=1)[:, : codes.shape[1]]
    return Solution(values, codes, scale, zero, loss, nearest_loss, dead)


def _replace(file: Path, data: bytes) -> None:
    # A file is whole or not there.
    partial = file.with_suffix(file.suffix + ".part")
    partial.write_bytes(data)
    partial.replace(file)
