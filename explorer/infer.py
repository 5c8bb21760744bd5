"""A real language model in a machine's arithmetic: text as it comes, its speed here, and what the chip would take.

Arithmetics (weights W, activations A, bits):

- float: float32 throughout, the weights as the file has them;
- int8: W8 per output channel, A8, exact integer products;
- int4: W4 per output channel, float activations;
- mxfp4: W4 in MX blocks of 32 inputs, float activations;
- hardwired: W4 in MX blocks, A8, by the Hardwired-Neuron's exact integer arithmetic.

All matrices are converted, the head too unless it is asked to stay float; the embedding table (a lookup), norms,
attention and SwiGLU stay float32.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

import hwsim
import models
from hwbase import InputError, Record, unknown_name
from hwsim.kernels import block_matvec, dequantise, prepare_blocks, quantise
from hwsim.kernels.blocks import BLOCK_METHODS, BlockMethod
from hwsim.simulate import hardwired
from models.inference import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    HEAD,
    FloatLinear,
    Linear,
    QuantisedActivations,
    Sampling,
    Tokenizer,
    Transformer,
    Weights,
    generate,
    multiply,
    quantise_activations,
    read_model,
)
from models.inference.activations import check_scaling

Arithmetic = Literal["float", "int8", "int4", "mxfp4", "hardwired"]
ARITHMETICS: tuple[str, ...] = get_args(Arithmetic)
#: Sums of magnitudes up to this are exact in float32, in any order.
_EXACT32 = 1 << 24


def linear_operator(
    weights: Weights,
    arithmetic: str,
    *,
    scaling: str = "token",
    activation_bits: int = 8,
    float_head: bool = False,
    sums: BlockMethod = "auto",
) -> Linear:
    """Return the linear operator of that arithmetic for a network's weights.

    `scaling` (`models.inference.SCALINGS`) and `activation_bits` (2 to 8) are used where activations are integers,
    `sums` by hardwired: "blocks" takes each block of 32 inputs through `hardwired_matvec`, "matmul" is one product of
    the same integers, "auto" the quicker; all agree bit for bit. `float_head` leaves the head in float32, as published
    MXFP4 models do. Raises `InputError` for unknown names.
    """
    check_scaling(scaling, activation_bits)
    if sums not in BLOCK_METHODS:
        raise unknown_name("sums", sums, BLOCK_METHODS)
    if arithmetic not in ARITHMETICS:
        raise unknown_name("arithmetic", arithmetic, ARITHMETICS)
    matrices = weights.matrices()
    head = FloatLinear({HEAD: matrices.pop(HEAD)} if float_head else {})
    body: Linear
    if arithmetic == "hardwired":
        body = IntegerLinear({n: BlockMatrix(w, sums) for n, w in matrices.items()}, scaling, activation_bits)
    elif arithmetic == "int8":
        body = IntegerLinear({n: ChannelMatrix(w) for n, w in matrices.items()}, scaling, activation_bits)
    else:
        body = FloatLinear({name: _rounded(matrix, arithmetic) for name, matrix in matrices.items()})
    if not float_head:
        return body

    def linear(name: str, x: np.ndarray, position: int) -> np.ndarray:
        return (head if name == HEAD else body)(name, x, position)

    return linear


def _rounded(matrix: np.ndarray, arithmetic: str) -> np.ndarray:
    """Return the matrix as float32 after a stay in a 4-bit format (or untouched for float)."""
    if arithmetic == "mxfp4":
        return dequantise(quantise(matrix, "mxfp4", axis=1))
    if arithmetic == "int4":
        return dequantise(quantise(matrix, "int4", per="channel", axis=0))
    return matrix


class ChannelMatrix:
    """INT8 weights with a scale for each output. `units` float64 (outputs,) is the worth of one integer."""

    def __init__(self, matrix: np.ndarray) -> None:
        quantised = quantise(matrix, "int8", per="channel", axis=0)
        magnitude = int(np.abs(quantised.codes, dtype=np.int16).sum(axis=1, dtype=np.int64).max(initial=0))
        self._codes: np.ndarray = quantised.codes.astype(np.float32 if magnitude << 7 <= _EXACT32 else np.float64)
        self.units: np.ndarray = quantised.scales[:, 0].astype(np.float64)

    def product(self, activations: np.ndarray) -> np.ndarray:
        """Return the exact integer product, float (tokens, outputs), of int8 activations (tokens, inputs)."""
        return multiply(self._codes, activations.astype(self._codes.dtype))

    def floats(self) -> np.ndarray:
        """Return the dequantised weights, float32 (outputs, inputs)."""
        return (self._codes * self.units[:, None]).astype(np.float32)


class BlockMatrix:
    """MXFP4 weights in Hardwired-Neurons, one for each block of 32 inputs of an output.

    Block b of output o has the scale 2^e[b, o]; its neuron's sum over 32 inputs is an exact integer I[b, o], in halves.
    With m[o] the least exponent, sum_b 2^e[b, o] I[b, o] = 2^m[o] sum_b (I[b, o] << (e[b, o] - m[o])): the shift is
    wiring, the sum stays an integer, and one multiplication by 2^(m[o] - 1) x (activation scale) ends it. Nothing is
    rounded before that. `units` float64 (outputs,) is 2^(m[o] - 1). `sums` is the method of `block_matvec`.
    """

    def __init__(self, matrix: np.ndarray, sums: BlockMethod = "auto") -> None:
        self._weights, self._sums = prepare_blocks(quantise(matrix.T, "mxfp4", axis=0)), sums
        self.units: np.ndarray = self._weights.unit

    def product(self, activations: np.ndarray) -> np.ndarray:
        """Return the exact sums, int64 (tokens, outputs), for int8 activations (tokens, inputs)."""
        return block_matvec(self._weights, activations, method=self._sums)

    def floats(self) -> np.ndarray:
        """Return the dequantised weights, float32 (outputs, inputs)."""
        return np.ascontiguousarray((self._weights.integers * self.units).T, dtype=np.float32)


class IntegerLinear:
    """Activations to integers, an exact product, and one multiplication by the scales (rounded once, to float32)."""

    def __init__(self, matrices: dict[str, ChannelMatrix] | dict[str, BlockMatrix], scaling: str, bits: int) -> None:
        self._matrices, self._scaling, self._bits = matrices, scaling, bits
        floating = scaling == "first-float"
        self._floats = {name: matrix.floats() for name, matrix in matrices.items()} if floating else {}

    def __call__(self, name: str, x: np.ndarray, position: int) -> np.ndarray:
        """Return float32 (tokens, outputs) for `x` (tokens, inputs) whose first row is at `position`."""
        matrix = self._matrices[name]
        quantised: QuantisedActivations = quantise_activations(x, position, self._scaling, self._bits)
        y = (matrix.product(quantised.codes) * (matrix.units * quantised.scales)).astype(np.float32)
        if quantised.floating:
            y[:1] = multiply(self._floats[name], x[:1])
        return y


@dataclass(frozen=True)
class ChipRun(Record):
    """What one run takes on the hardwired chip, alone on it (batch 1), and what the chip does when it is full.

    `cycles` and `seconds` are from the first prompt token in to the last token out. `energy_j` charges every position
    as a token decoded alone, idle power included: an upper bound, prompts being pipelined.
    """

    machine: str
    weights: str
    chips: int
    area_mm2: float
    clock_hz: float
    cycles: float
    seconds: float
    time_to_first_token_s: float
    tokens_per_s: float
    energy_j: float
    full_tokens_per_s: float
    full_energy_j_per_token: float


@dataclass(frozen=True)
class Inference(Record):
    """One run: the text, how fast NumPy produced it here, and the same run on the chip (None when not asked for)."""

    model: str
    arithmetic: str
    prompt: str
    text: str
    prompt_tokens: int
    tokens: int
    load_s: float
    prefill_s: float
    decode_tokens_per_s: float | None
    chip: ChipRun | None


@dataclass(frozen=True, eq=False)
class Session:
    """A model that is loaded and ready in one arithmetic; made by `load_session`."""

    name: str
    arithmetic: str
    model: Transformer
    tokenizer: Tokenizer
    load_s: float

    def encode(self, prompt: str, chat: bool = True) -> list[int]:
        """Return the prompt's tokens, as a question in a chat or as text to go on; raises `InputError` if empty."""
        tokens = self.tokenizer.chat(prompt) if chat else self.tokenizer.encode(prompt)
        if not tokens or not prompt.strip():
            raise InputError("prompt is empty: expected some text")
        return tokens


def load_session(
    model: str = DEFAULT_MODEL,
    arithmetic: str = "float",
    *,
    scaling: str = "token",
    activation_bits: int = 8,
    path: str | Path | None = None,
) -> Session:
    """Return a session for a model by name, its weights from `path` or from the package that carries them.

    Raises `InputError` for a model without weights, an unknown arithmetic, missing packages, or a broken file.
    """
    if str(model).strip().lower() != DEFAULT_MODEL:
        raise InputError(f"model = {str(model)[:200]!r}: weights are known for {DEFAULT_MODEL!r} only")
    if arithmetic not in ARITHMETICS:
        raise unknown_name("arithmetic", arithmetic, ARITHMETICS)
    check_scaling(scaling, activation_bits)
    start = time.perf_counter()
    weights, vocabulary = read_model(path)
    tokenizer = Tokenizer(vocabulary)
    linear = linear_operator(weights, arithmetic, scaling=scaling, activation_bits=activation_bits)
    return Session(DEFAULT_MODEL, arithmetic, Transformer(weights, linear), tokenizer, time.perf_counter() - start)


def infer(
    model: str = DEFAULT_MODEL,
    arithmetic: str = "float",
    prompt: str = "",
    *,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    sampling: Sampling | None = None,
    chat: bool = True,
    chip: bool = True,
    path: str | Path | None = None,
    session: Session | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Inference:
    """Return the answer of a real model to `prompt`, and what the same run would take on the simulated chip.

    `on_text` receives the text piece by piece while it is generated. `chat` asks the prompt as a question; without it
    the text goes on where the prompt ends. `session` saves loading again (then `model`, `arithmetic` and `path` are
    not used). Raises `InputError` for an empty prompt, one that leaves no room for `max_tokens`, and whatever
    `load_session` raises.
    """
    if not prompt.strip():
        raise InputError("prompt is empty: expected some text")
    ready = load_session(model, arithmetic, path=path) if session is None else session
    tokens = ready.encode(prompt, chat)
    stop = () if ready.tokenizer.end is None else (ready.tokenizer.end,)
    arriving = generate(ready.model, tokens, max_tokens=max_tokens, sampling=sampling, stop=stop)
    times: list[float] = []

    def clocked() -> Iterator[int]:
        for token in arriving:
            times.append(time.perf_counter())
            yield token

    start, pieces = time.perf_counter(), []
    for piece in ready.tokenizer.stream(clocked()):
        pieces.append(piece)
        if on_text is not None:
            on_text(piece)
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
    first = (times[0] if times else time.perf_counter()) - start
    run = chip_run(ready.name, len(tokens), len(times), ready.arithmetic) if chip else None
    text = "".join(pieces)
    return Inference(
        ready.name, ready.arithmetic, prompt, text, len(tokens), len(times), ready.load_s, first, rate, run
    )


def chip_run(model: str, prompt_tokens: int, tokens: int, arithmetic: str = "hardwired") -> ChipRun:
    """Return what a prompt and `tokens` new tokens take on the hardwired chip (pipelined reading).

    A chip has integers or FP4 in metal: int8 runs are shown on INT8 weights, int4 on INT4, all others on FP4. The
    context is that of the run's middle. Raises `InputError` for a model that `hwsim.simulate` does not know.
    """
    weights = arithmetic if arithmetic in ("int4", "int8") else "fp4"
    context = prompt_tokens + max(tokens, 1) // 2

    def ask(batch: int | None) -> hwsim.SimResult:
        return hwsim.simulate(
            model, context=context, prompt=prompt_tokens, batch=batch, reading="pipelined", weights=weights
        )

    alone, full = ask(1), ask(None)
    design, _, _ = hardwired(models.load(model), weights=weights)
    seconds = alone.time_to_first_token_s + max(tokens - 1, 0) * alone.latency_s
    positions = prompt_tokens + max(tokens - 1, 0)
    return ChipRun(
        machine=alone.machine,
        weights=weights,
        chips=int(alone.chips),
        area_mm2=float(alone.area_mm2),
        clock_hz=float(design.clock_hz),
        cycles=float(seconds * design.clock_hz),
        seconds=float(seconds),
        time_to_first_token_s=float(alone.time_to_first_token_s),
        tokens_per_s=float(1.0 / alone.latency_s),
        energy_j=float(alone.energy_j_per_token * positions),
        full_tokens_per_s=float(full.tokens_per_s),
        full_energy_j_per_token=float(full.energy_j_per_token),
    )
