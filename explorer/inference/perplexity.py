"""The quality of an arithmetic: perplexity of a real language model in each, and under each activation scaling.

The text is Python's own language reference as the standard library carries it (`pydoc_data.topics`, PSF licence): the
chapters on objects, the execution model and the type hierarchy, English prose with few listings. It differs a little
between Python versions, so every table states the version and a checksum; compare figures of one text only.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.inference.arithmetic import ARITHMETICS, COMPARED, INTEGER_ACTIVATIONS, linear_operator
from explorer.inference.comparison import Predictions, Reference, paired_interval
from explorer.inference.text import real_text
from explorer.progress import Report
from hwbase import FORMATS, InputError, Record, check, unknown_name
from hwbase.errors import shown
from models.inference import DEFAULT_MODEL, DEFAULT_WINDOW, SCALINGS, Tokenizer, Transformer, read_model, token_losses
from models.inference.kv import KV_FLOAT, check_kv
from models.quantise import StoredWeights, WeightFormat, is_stored, read_header, read_weights, weight_format

#: Default number of scored tokens.
DEFAULT_TOKENS = 4096

HEADS = ("converted", "float")


@dataclass(frozen=True)
class QualityRow(Record):
    """Perplexity in one arithmetic, whose label is `title`; 32 bits mean float32.

    `head` is "converted" where the output head has the format of the other matrices, "float" where it stays float32.
    `ratio` is to the perplexity of the table's first row, and `ratio_error` its standard error, from the differences of
    the losses token by token, taken as independent; `ratio_low` and `ratio_high` are its 95 % interval over windows
    (NaN for fewer than two). `accuracy` is the share of tokens that were the likeliest, `divergence` the mean
    Kullback-Leibler divergence from the first row's probabilities, in nats. `method`, `bits_per_weight`,
    `rounding_seconds` and `peak_bytes` (memory) are those of weights that `hwsim quantise` wrote. `seconds` include
    converting the weights; `kv` is the format of cached keys and values.
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
    ratio_low: float
    ratio_high: float
    accuracy: float
    divergence: float
    method: str
    bits_per_weight: float | None
    rounding_seconds: float | None
    peak_bytes: float | None
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
    folder: Path | None = None

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


def stored_cases(folders: Sequence[str | Path]) -> tuple[Case, ...]:
    """Return the rows for folders of `hwsim quantise`: the model in float, then each folder in float and hardwired.

    Raises `InputError` for a path that is not such a folder, or folders of different models.
    """
    cases, models = [Case("float")], set()
    others = [shown(str(folder)) for folder in folders if not is_stored(folder)]
    if others:
        raise InputError(f"no folder of hwsim quantise: {', '.join(others)}: expected such folders, or one model file")
    for folder in folders:
        header = read_header(Path(folder))
        models.add(header["model_hash"])
        format = weight_format(header["format"])
        cases += [Case(name, stored=format, folder=Path(folder)) for name in ("float", "hardwired")]
    if len(models) > 1:
        raise InputError(f"{len(folders)} folders hold weights of {len(models)} models: expected those of one")
    return tuple(cases)


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
    path: str | Path | Sequence[str | Path] | None = None,
    ids: Sequence[int] | None = None,
    report: Report | None = None,
) -> QualityTable:
    """Return the perplexity of a network, SmolLM2-135M unless given, in each case (default: `arithmetic_cases`).

    Parameters
    ----------
    cases : sequence of Case, optional
        The rows. Folders of compensated weights have rows of their own (`stored_cases`) and take no others.
    tokens, window : int
        Tokens scored, and tokens of a window, each from an empty cache, with the begin token where the tokenizer adds
        it. Default 4,096 and 512.
    text, source : str, optional
        The text and its name; `real_text` unless given.
    path : str, Path or a sequence of them, optional
        A file or folder of a network, or folders of `hwsim quantise`; the weights of the package that has them unless
        given.
    ids : sequence of int, optional
        Token ids in place of a text.
    report : callable, optional
        Called with the row, the tokens scored and the tokens to score.

    Returns
    -------
    QualityTable

    Raises
    ------
    InputError
        For unknown names, a text that is too short, folders of different models, and as `models.quantise.read_weights`
        does.
    """
    length = check.integer("tokens", tokens, high=1e9) + 1
    check.count("window", window, low=2)
    if ids is not None:
        content = " ".join(map(str, ids))
    else:
        source, content = real_text() if text is None else (source, text)
    paths = [path] if path is None or isinstance(path, (str, Path)) else list(path)
    if len(paths) > 1 or is_stored(paths[0]):
        if cases is not None:
            raise InputError("compensated weights are measured in their own format: expected no other arithmetic")
        cases = stored_cases([each for each in paths if each is not None])
    folder = cases[-1].folder if cases else None
    plain, vocabulary = read_model(paths[0] if folder is None else read_header(folder)["source"])
    cases = arithmetic_cases() if cases is None else cases
    begin = None
    if ids is None:
        tokenizer = Tokenizer(vocabulary)
        ids, begin = tokenizer.encode(content), next(iter(tokenizer.start), None)
    if len(ids) < length:
        raise InputError(f"the text has {len(ids)} tokens: expected at least {length}, the first is not scored")
    rows: list[QualityRow] = []
    reference, compared = np.zeros(length - 1), Reference()
    used, held = plain, None
    for number, case in enumerate(cases):
        start = time.perf_counter()
        progress = None if report is None else _beyond(report, case, number * (length - 1), len(cases) * (length - 1))
        if case.folder != held:
            used, held = plain if case.folder is None else read_weights(case.folder)[0], case.folder
        linear = linear_operator(
            used,
            case.arithmetic,
            scaling=case.scaling,
            activation_bits=case.activation_bits,
            float_head=case.float_head,
        )
        seen = Predictions(np.asarray(ids[:length]), compared)
        model = Transformer(used, linear, case.kv)
        losses = token_losses(model, ids[:length], window=window, begin=begin, progress=progress, observe=seen)
        reference = losses if number == 0 else reference
        header = used.header if isinstance(used, StoredWeights) else {}
        rows.append(_row(case, losses, reference, int(window), seen, header, time.perf_counter() - start))
    checksum = hashlib.sha256(content.encode()).hexdigest()
    name = DEFAULT_MODEL if paths[0] is None else Path(paths[0]).stem
    if folder is not None:
        name = str(read_header(folder)["model"])
    return QualityTable(name, source, checksum, length - 1, int(window), tuple(rows))


def _row(
    case: Case,
    losses: np.ndarray,
    reference: np.ndarray,
    window: int,
    seen: Predictions,
    header: Mapping[str, Any],
    seconds: float,
) -> QualityRow:
    arithmetic = ARITHMETICS[case.arithmetic]
    integers = arithmetic.integer_activations
    more = losses - reference
    ratio = float(np.exp(more.mean()))
    low, high = paired_interval(more, window)
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
        ratio_low=low,
        ratio_high=high,
        accuracy=float(np.concatenate(seen.right).mean()),
        divergence=float(np.concatenate(seen.divergence).mean()),
        method=header.get("method", ""),
        bits_per_weight=header.get("bits_per_weight"),
        rounding_seconds=header.get("seconds"),
        peak_bytes=header.get("peak_bytes"),
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
