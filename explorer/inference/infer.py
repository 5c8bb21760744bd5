"""A real language model in a machine's arithmetic: the text, its speed here, and the same run on the chip."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hwsim
import models
from explorer.documents.document import Document, Documented
from explorer.inference.arithmetic import ARITHMETICS, linear_operator
from hwbase import InputError, Record, unknown_name
from hwsim.simulation import hardwired
from hwsim.weights import SPREAD_KNOWN
from models.inference import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    Sampling,
    Tokenizer,
    Transformer,
    TransformerConfig,
    Vocabulary,
    generate,
    weights_path,
)
from models.inference.activations import check_scaling
from models.inference.kv import KV_FLOAT, check_kv, kv_bits
from models.memory import BITS_PER_BYTE
from models.quantise import read_weights


@dataclass(frozen=True)
class ChipRun(Record):
    """One run on the hardwired chip, alone (batch 1), and the rates of the full chip.

    `cycles` and `seconds` are from the first prompt token in to the last token out. `energy_j` charges every position
    as a token decoded alone, idle power included: an upper bound, since prompts are pipelined.
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
class Inference(Documented):
    """One run: the text, the speed of NumPy here, and the same run on the chip (None if not simulated)."""

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

    def document(self, command: str = "") -> Document:
        """Return the run as a document."""
        from explorer.inference.document import inference_document

        return inference_document(self, command)


@dataclass(frozen=True, eq=False)
class Session:
    """A loaded model in one arithmetic, made by `load_session`. `spec` is the network for the chip."""

    spec: models.LLMSpec
    arithmetic: str
    model: Transformer
    vocabulary: Vocabulary
    load_s: float

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; raises `InputError` for a kind that is not supported."""
        return Tokenizer(self.vocabulary)

    def encode(self, prompt: str, chat: bool = True) -> list[int]:
        """Return the prompt's tokens, as a question in a chat or as text to continue. Raises `InputError` if empty."""
        tokens = self.tokenizer.chat(prompt) if chat else [*self.tokenizer.start, *self.tokenizer.encode(prompt)]
        if not tokens or not prompt.strip():
            raise InputError("prompt is empty: expected some text")
        return tokens


def load_session(
    model: str = DEFAULT_MODEL,
    arithmetic: str = "float",
    *,
    scaling: str = "token",
    activation_bits: int = 8,
    float_head: bool = False,
    kv: str = "float",
    path: str | Path | None = None,
) -> Session:
    """Return a session for a model by name or path, with weights from `path` or from the package that has them.

    A user's file may hold a network of any size: the session has the file's name, and its chip that size. Raises
    `InputError` for a model without weights, an unknown arithmetic, missing packages, or a broken file.
    """
    path = weights_path(model, path)
    if arithmetic not in ARITHMETICS:
        raise unknown_name("arithmetic", arithmetic, ARITHMETICS)
    check_scaling(scaling, activation_bits)
    check_kv(kv)
    start = time.perf_counter()
    weights, vocabulary = read_weights(path)
    linear = linear_operator(
        weights, arithmetic, scaling=scaling, activation_bits=activation_bits, float_head=float_head
    )
    spec = models.load(DEFAULT_MODEL) if path is None else _spec(weights.config, Path(path))
    return Session(spec, arithmetic, Transformer(weights, linear, kv), vocabulary, time.perf_counter() - start)


def _spec(config: TransformerConfig, path: Path) -> models.LLMSpec:
    return models.LLMSpec(
        name=path.name if path.is_dir() else path.stem,
        source="model file",
        vocab_size=config.vocabulary,
        hidden_size=config.hidden,
        layers=config.layers,
        tied_embeddings=config.tied_head,
        query_heads=config.query_heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        intermediate_size=config.intermediate,
        gated=config.gated,
        attention_bias="attn_q" in config.biases,
        output_bias="attn_output" in config.biases,
        mlp_bias="ffn_up" in config.biases,
        qk_norm=config.head_norms,
        norms_per_layer=4 if config.post_norms else 2,
        other_embeddings=config.context * config.hidden if config.learned_positions else 0,
        windowed_layers=sum(window > 0 for window in config.windows),
        sliding_window=max(config.windows, default=0),
    )


def infer(
    model: str = DEFAULT_MODEL,
    arithmetic: str = "float",
    prompt: str = "",
    *,
    ids: Sequence[int] | None = None,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    sampling: Sampling | None = None,
    scaling: str = "token",
    float_head: bool = False,
    kv: str = "float",
    chat: bool = True,
    chip: bool = True,
    path: str | Path | None = None,
    session: Session | None = None,
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Inference:
    """Return the answer of a real model to `prompt`, and the same run on the simulated chip.

    `ids` are the prompt as token ids, in place of text: no tokenizer is needed, and the answer is in ids too.
    `on_text` receives the text in pieces during generation. `chat` asks the prompt as a question; without it the text
    continues the prompt. `scaling` is that of integer activations (`models.inference.SCALINGS`), `float_head` leaves
    the output head in float32, `kv` is the format of cached keys and values, here and on the chip. `session` is a
    loaded model, in place of loading one. `book` and `set` change the chip, as in `hwsim.simulate`. Raises `InputError`
    for an empty prompt, one that leaves no room for `max_tokens`, and as `load_session` does.
    """
    if (not prompt.strip()) if ids is None else prompt:
        raise InputError("prompt is empty: expected some text" if ids is None else "prompt and ids: expected one")
    if chip and (book is not None or set):
        # A book or constants that the chip does not take are refused before the model is loaded.
        chip_run(DEFAULT_MODEL, 1, 1, arithmetic, book, set)
    ready = session or load_session(model, arithmetic, scaling=scaling, float_head=float_head, kv=kv, path=path)
    tokens = ready.encode(prompt, chat) if ids is None else list(ids)
    vocabulary = ready.vocabulary
    stop = (
        ready.tokenizer.ends if ids is None else [e for e in (vocabulary.end, *vocabulary.more_ends) if e is not None]
    )
    arriving = generate(ready.model, tokens, max_tokens=max_tokens, sampling=sampling, stop=stop)
    times: list[float] = []

    def clocked() -> Iterator[int]:
        for token in arriving:
            times.append(time.perf_counter())
            yield token

    start, pieces = time.perf_counter(), []
    for piece in ready.tokenizer.stream(clocked()) if ids is None else (f"{token} " for token in clocked()):
        pieces.append(piece)
        if on_text is not None:
            on_text(piece)
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
    first = (times[0] if times else time.perf_counter()) - start
    config, format = ready.model.config, ready.model.kv
    if format != KV_FLOAT:
        set = {"kv_element_bytes": kv_bits(format, config.head_dim) / BITS_PER_BYTE} | dict(set or {})
    run = chip_run(ready.spec, len(tokens), len(times), ready.arithmetic, book, set) if chip else None
    text = "".join(pieces) if ids is None else "".join(pieces).strip()
    prompt = prompt if ids is None else " ".join(map(str, ids))
    return Inference(
        ready.spec.name, ready.arithmetic, prompt, text, len(tokens), len(times), ready.load_s, first, rate, run
    )


def chip_run(
    model: str | models.LLMSpec,
    prompt_tokens: int,
    tokens: int,
    arithmetic: str = "hardwired",
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
) -> ChipRun:
    """Return the run of a prompt and `tokens` new tokens on the hardwired chip (pipelined reading).

    A chip holds integers or FP4 in metal: int8 runs are shown on INT8 weights, int4 on INT4, floats on FP4. The context
    is that of the run's middle. `book` and `set` are those of `hwsim.simulate`. Raises `InputError` for a model that
    `hwsim.simulate` does not know.
    """
    spec = models.spec_of(model)
    weights = arithmetic if arithmetic in SPREAD_KNOWN else "fp4"
    context = prompt_tokens + max(tokens, 1) // 2

    machine = book or hwsim.DEFAULT_MACHINE

    def ask(batch: int | None) -> hwsim.SimResult:
        chosen: dict[str, Any] = {"reading": "pipelined", "weights": weights, "set": set}
        return hwsim.simulate(spec, machine, context=context, prompt=prompt_tokens, batch=batch, **chosen)

    alone, full = ask(1), ask(None)
    design, _, _ = hardwired(spec, weights=weights, book=machine, set=set)
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
