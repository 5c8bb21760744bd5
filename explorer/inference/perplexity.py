"""The quality of an arithmetic: perplexity of a real language model in each, and under each activation scaling.

The text is Python's own language reference as the standard library carries it (`pydoc_data.topics`, PSF licence): the
chapters on objects, the execution model and the type hierarchy, English prose with few listings. It differs a little
between Python versions, so every table states the version and a checksum; compare figures of one text only.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.inference.arithmetic import ARITHMETICS, COMPARED, INTEGER_ACTIVATIONS, linear_operator
from explorer.inference.text import real_text
from explorer.progress import Report
from hwbase import FORMATS, InputError, Record, check, unknown_name
from models.inference import DEFAULT_MODEL, DEFAULT_WINDOW, SCALINGS, Tokenizer, Transformer, read_model, token_losses
from models.inference.kv import KV_FLOAT, check_kv
from models.quantise import StoredWeights, WeightFormat, read_weights

#: Default number of scored tokens.
DEFAULT_TOKENS = 4096

HEADS = ("converted", "float")


@dataclass(frozen=True)
class QualityRow(Record):
    """Perplexity in one arithmetic, whose label is `title`; 32 bits mean float32.

    `head` is "converted" where the output head has the format of the other matrices, "float" where it stays float32.
    `ratio` is to the perplexity of the table's first row, and `ratio_error` its standard error, from the differences of
    the losses token by token, taken as independent. `seconds` include converting the weights; `kv` is the
    format of cached keys and values.
    """

    title: str
    arithmetic: str
    weight_bits: int
    activation_bits: int
    scaling: str
    head: str
    perplexity: float
    ratio: float
    ratio_error: float
    seconds: float
    kv: str = KV_FLOAT


@dataclass(frozen=True)
class QualityTable(Documented):
    """Perplexities of one model on one text, all over the same `tokens` in windows of `window`."""

    model: str
    text: str
    text_sha256: str
    tokens: int
    window: int
    rows: tuple[QualityRow, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each arithmetic, with the settings of the measurement."""
        terms = {"model": self.model, "tokens": self.tokens, "window": self.window, "text_sha256": self.text_sha256}
        return pd.DataFrame([row.to_dict() | terms for row in self.rows])

    def document(self, command: str = "") -> Document:
        """Return the table as a document."""
        from explorer.inference.document import quality_document

        return quality_document(self, command)


@dataclass(frozen=True)
class Case:
    """One row to measure."""

    arithmetic: str
    scaling: str = "token"
    activation_bits: int = 8
    float_head: bool = False
    stored: WeightFormat | None = None
    kv: str = KV_FLOAT

    @property
    def title(self) -> str:
        """The label of the row without scaling and head."""
        if self.stored is not None:
            integers = self.arithmetic in INTEGER_ACTIVATIONS
            return f"{self.stored.name} W{self.stored.element.bits}A{self.activation_bits if integers else 16}"
        return ARITHMETICS[self.arithmetic].title(self.activation_bits)


def arithmetic_cases(arithmetics: Sequence[str] = COMPARED, heads: Sequence[str] = HEADS) -> tuple[Case, ...]:
    """Return the rows of a table: float as the reference, then each arithmetic with each kind of head.

    Raises `InputError` for names that are not in `ARITHMETICS` or `HEADS`.
    """
    for name in arithmetics:
        if name not in ARITHMETICS:
            raise unknown_name("arithmetic", name, ARITHMETICS)
    for head in heads:
        if head not in HEADS:
            raise unknown_name("head", head, HEADS)
    others = [name for name in dict.fromkeys(arithmetics) if name != "float"]
    return (Case("float"), *(Case(name, float_head=head == "float") for head in heads for name in others))


def stored_cases(format: WeightFormat) -> tuple[Case, ...]:
    """Return the rows for weights of `hwsim quantise`: the model in float, then they, in float and hardwired."""
    return (Case("float"), *(Case(name, stored=format) for name in ("float", "hardwired")))


def kv_cases(formats: Sequence[str], arithmetics: Sequence[str] = ("float",)) -> tuple[Case, ...]:
    """Return the rows of a table of formats of cached keys and values: float first, then each arithmetic with each.

    Raises `InputError` for unknown names.
    """
    for name in arithmetics:
        if name not in ARITHMETICS:
            raise unknown_name("arithmetic", name, ARITHMETICS)
    used = dict.fromkeys((KV_FLOAT, *(check_kv(format) for format in formats)))
    cases = [Case(name, kv=format) for name in arithmetics for format in used]
    return tuple(dict.fromkeys((Case("float"), *cases)))


def scaling_cases(
    arithmetic: str = "hardwired",
    scalings: Sequence[str] = SCALINGS,
    activation_bits: Sequence[int] = (8, 6),
    *,
    float_head: bool = False,
) -> tuple[Case, ...]:
    """Return the rows of a table of activation scalings and widths; the first keeps activations in float.

    It shows the effect of the outlier token: a common scale follows the first token's massive activations and leaves
    few levels for the others; a separate scale, or float for that token, restores much of them. `arithmetic` is
    "hardwired" or "int8" (whose first row keeps the weights in float too). Raises `InputError` for another one.
    """
    if arithmetic not in INTEGER_ACTIVATIONS:
        raise unknown_name("arithmetic with integer activations:", arithmetic, INTEGER_ACTIVATIONS)
    first = Case("mxfp4" if arithmetic == "hardwired" else "float", float_head=float_head)
    return (first, *(Case(arithmetic, way, bits, float_head) for bits in activation_bits for way in scalings))


def measure(
    cases: Sequence[Case] | None = None,
    *,
    tokens: int = DEFAULT_TOKENS,
    window: int = DEFAULT_WINDOW,
    text: str | None = None,
    source: str = "given",
    path: str | Path | None = None,
    ids: Sequence[int] | None = None,
    report: Report | None = None,
) -> QualityTable:
    """Return the perplexity of a network, SmolLM2-135M unless given, in each case (default: `arithmetic_cases`).

    Compensated weights (a folder of `hwsim quantise`) have cases of their own: `stored_cases`.

    `tokens` are scored (of `text`, named `source`, or of `real_text`), in windows of `window`, each from an empty
    cache, with the begin token where the tokenizer adds it; `ids` are token ids in place of a text. The weights are
    those of the file or folder at `path`, or of the package that has them. Raises `InputError` for
    unknown names, a text that is too short, and as `models.quantise.read_weights` does.
    """
    length = check.integer("tokens", tokens, high=1e9) + 1
    check.count("window", window, low=2)
    if ids is not None:
        content = " ".join(map(str, ids))
    else:
        source, content = real_text() if text is None else (source, text)
    weights, vocabulary = read_weights(path)
    plain = weights
    if isinstance(weights, StoredWeights):
        if cases is not None:
            raise InputError("compensated weights are measured in their own format: expected no other arithmetic")
        cases, plain = stored_cases(weights.format), read_model(weights.header["source"])[0]
    cases = arithmetic_cases() if cases is None else cases
    begin = None
    if ids is None:
        tokenizer = Tokenizer(vocabulary)
        ids, begin = tokenizer.encode(content), next(iter(tokenizer.start), None)
    if len(ids) < length:
        raise InputError(f"the text has {len(ids)} tokens: expected at least {length}, the first is not scored")
    rows: list[QualityRow] = []
    reference = np.zeros(length - 1)
    for number, case in enumerate(cases):
        start = time.perf_counter()
        progress = None if report is None else _beyond(report, case, number * (length - 1), len(cases) * (length - 1))
        used = plain if case.stored is None else weights
        linear = linear_operator(
            used,
            case.arithmetic,
            scaling=case.scaling,
            activation_bits=case.activation_bits,
            float_head=case.float_head,
        )
        losses = token_losses(
            Transformer(used, linear, case.kv), ids[:length], window=window, begin=begin, progress=progress
        )
        reference = losses if number == 0 else reference
        rows.append(_row(case, losses, reference, time.perf_counter() - start))
    checksum = hashlib.sha256(content.encode()).hexdigest()
    name = DEFAULT_MODEL if path is None else Path(path).stem
    return QualityTable(name, source, checksum, length - 1, int(window), tuple(rows))


def _row(case: Case, losses: np.ndarray, reference: np.ndarray, seconds: float) -> QualityRow:
    arithmetic = ARITHMETICS[case.arithmetic]
    integers = arithmetic.integer_activations
    more = losses - reference
    ratio = float(np.exp(more.mean()))
    return QualityRow(
        title=case.title,
        arithmetic=case.arithmetic,
        weight_bits=arithmetic.weights.bits if case.stored is None else case.stored.element.bits,
        activation_bits=case.activation_bits if integers else FORMATS["fp32"].bits,
        scaling=case.scaling if integers else "",
        head="float" if case.float_head or (case.arithmetic == "float" and case.stored is None) else "converted",
        perplexity=float(np.exp(losses.mean())),
        ratio=ratio,
        ratio_error=ratio * float(more.std() / np.sqrt(more.size)),
        seconds=seconds,
        kv=case.kv,
    )


def _beyond(report: Report, case: Case, before: int, total: int) -> Callable[[int, int], None]:
    """Return the progress of one row as that of the whole table, which has scored `before` tokens already."""
    name = case.title
    if case.arithmetic in INTEGER_ACTIVATIONS:
        name += f" {case.scaling}"
    if case.kv != KV_FLOAT:
        name += f", keys and values {case.kv}"
    if case.float_head:
        name += ", head float"
    report(name, before, total)
    return lambda done, _: report(name, before + done, total)
