"""Compensated weights of a language model by name or file, written layer by layer, resumed where it stopped."""

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.inference.text import (
    CALIBRATION_LENGTH,
    CALIBRATION_WINDOWS,
    calibration_text,
    calibration_windows,
    real_text,
)
from explorer.progress import Report
from hwbase import InputError, Record, check
from hwbase.errors import shown
from models.inference import DEFAULT_MODEL, Tokenizer, read_model, weights_path
from models.quantise.compensate import check_method, compensate, needs_calibration, prepared, stages
from models.quantise.formats import weight_format
from models.quantise.stored import (
    HEADER,
    fingerprint,
    is_stored,
    read_header,
    read_stage,
    write_header,
    write_stage,
)


@dataclass(frozen=True)
class QuantiseResult(Record):
    """What was written to a `folder`.

    `bits_per_weight` include scales, over all matrices; `loss_ratio` is the error of the layers' outputs over that of
    rounding to nearest with searched scales (NaN for methods that do not compensate); `kept` layers were done before.
    `peak_bytes` is the most memory that this process has held (None where the system does not say).
    """

    folder: str
    model: str
    format: str
    method: str
    seed: int
    calibration: str
    calibration_tokens: int
    matrices: int
    weights: int
    bits_per_weight: float
    loss_ratio: float
    dead_inputs: int
    kept: int
    seconds: float
    peak_bytes: int | None


def quantise(
    model: str = DEFAULT_MODEL,
    weights: str = "mxfp4",
    method: str = "rotation+gptq",
    *,
    out: str | Path,
    seed: int = 0,
    windows: int = CALIBRATION_WINDOWS,
    length: int = CALIBRATION_LENGTH,
    text: str | None = None,
    source: str = "given",
    path: str | Path | None = None,
    report: Report | None = None,
) -> QuantiseResult:
    """Write the matrices of a model, rounded to a format by a method, to the folder `out`.

    Layers that an earlier run with the same settings wrote are kept; the same settings give the same weights.

    Parameters
    ----------
    model : str
        Name of the model. Default "smollm2-135m".
    weights : str
        Format, one of `models.quantise.weight_formats`. Default "mxfp4".
    method : str
        One of `models.quantise.COMPENSATIONS`. Default "rotation+gptq".
    out : str or Path
        The folder.
    seed : int
        Of the rotations and of the choice of calibration windows. Default 0.
    windows, length : int
        Windows of calibration text, and tokens of each. Default 16 and 512.
    text, source : str, optional
        Calibration text and its name; by default that of `explorer.inference.text.calibration_text`.
    path : str or Path, optional
        A model file of your own.
    report : callable, optional
        Called with the layer, the layers done and their number.

    Returns
    -------
    QuantiseResult

    Raises
    ------
    InputError
        For unknown names, a text that is too short or empty, activations that are not finite, a Hessian that is
        singular, weights that are compensated already, or a folder that holds others.
    """
    to, kind = weight_format(weights), check_method(method)
    check.integer("seed", seed, low=0, high=2**32 - 1)
    count, each = check.integer("windows", windows, high=1e4), check.integer("length", length, low=8)
    path = weights_path(model, path)
    if is_stored(path):
        raise InputError(f"{shown(path)} holds compensated weights: expected a model file")
    source, content = calibration_text() if text is None else (source, text)
    if not content.strip():
        raise InputError("the calibration text is empty: expected some text")
    if " ".join(content.split()) == " ".join(real_text()[1].split()):
        raise InputError("the calibration text is the text that hwsim quality scores: expected another one")
    start = time.perf_counter()
    network, vocabulary = read_model(path)
    check.integer("length", length, low=8, high=network.config.context)
    ids = np.asarray(Tokenizer(vocabulary).encode(content), np.int64)
    cut = calibration_windows(ids, count, each, seed) if needs_calibration(kind) else np.empty((0, each), np.int64)
    calibration = hashlib.sha256(np.ascontiguousarray(cut).tobytes()).hexdigest()
    header: dict[str, Any] = {
        "model": DEFAULT_MODEL if path is None else Path(path).stem,
        "source": None if path is None else str(Path(path).absolute()),
        "model_hash": fingerprint(network),
        "format": to.name,
        "method": kind,
        "seed": int(seed),
        "calibration": source if len(cut) else "",
        "calibration_sha256": calibration,
        "calibration_tokens": int(cut.size),
    }
    header["key"] = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
    folder, cost = _folder(out, header)
    write_header(folder, header | {"complete": False} | cost)
    kept, matrices, bits, losses, dead = 0, {}, 0.0, np.zeros(2), 0
    ready = prepared(network, kind, int(seed))
    for name, stage in compensate(ready, cut, to, kind, kept=lambda name: read_stage(folder, name, to), report=report):
        if (folder / f"{name}.safetensors").is_file():
            kept += 1
        else:
            write_stage(folder, name, stage)
        for key, solution in stage.solutions.items():
            outputs, inputs = solution.values.shape
            matrices[key] = outputs * inputs
            bits += to.bits_a_weight(inputs, outputs) * outputs * inputs
            losses += solution.loss, solution.nearest_loss
            dead += solution.dead
    total = sum(matrices.values())
    seconds = time.perf_counter() - start
    if kept < len(stages(ready)):
        cost = {"seconds": seconds + cost.get("seconds", 0.0), "peak_bytes": peak_bytes()}
    write_header(folder, header | {"complete": True, "bits_per_weight": bits / total} | cost)
    return QuantiseResult(
        folder=str(out),
        model=header["model"],
        format=to.name,
        method=kind,
        seed=int(seed),
        calibration=header["calibration"],
        calibration_tokens=int(cut.size),
        matrices=len(matrices),
        weights=total,
        bits_per_weight=bits / total,
        loss_ratio=float(losses[0] / losses[1]) if losses[1] > 0 else float("nan"),
        dead_inputs=dead,
        kept=kept,
        seconds=seconds,
        peak_bytes=peak_bytes(),
    )


def peak_bytes() -> int | None:
    """Return the most memory that this process has held; None where the system does not say."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _folder(out: str | Path, header: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Return the folder, made if need be, and the seconds and memory of an earlier run there."""
    folder = Path(out)
    cost: dict[str, Any] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = sorted(file.name for file in folder.iterdir() if not file.name.endswith(".part"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {shown(out)}: {getattr(error, 'strerror', None) or error}") from None
    if HEADER in held:
        earlier = read_header(folder)
        if earlier["key"] != header["key"]:
            raise InputError(f"{shown(out)} holds weights of other settings: expected an empty folder or the same ones")
        cost = {name: value for name, value in earlier.items() if name in ("seconds", "peak_bytes")}
    elif held:
        raise InputError(f"{shown(out)} holds other files: expected a new or empty folder")
    return folder, cost
