"""What an arithmetic costs in quality: perplexity of a real language model in each, and under each activation scaling.

The text is Python's own language reference as the standard library carries it (`pydoc_data.topics`, PSF licence): the
chapters on objects, the execution model and the type hierarchy, English prose with few listings. It differs a little
between Python versions, so every table states the version and a checksum; compare figures of one text only.
"""

import hashlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from explorer.infer import ARITHMETICS, linear_operator
from hwbase import InputError, Record, check, unknown_name
from models.inference import DEFAULT_MODEL, DEFAULT_WINDOW, SCALINGS, Tokenizer, Transformer, perplexity, read_model

#: Tokens scored unless the caller says otherwise.
DEFAULT_TOKENS = 4096
#: Bits of weights and activations (32 where they stay float) of each arithmetic.
BITS = {"float": (32, 32), "int8": (8, 8), "int4": (4, 32), "mxfp4": (4, 32), "hardwired": (4, 8)}

#: Called with (what is measured, tokens scored so far, tokens to score).
Report = Callable[[str, int, int], None]

_TOPICS = ("objects", "execmodel", "types")


@dataclass(frozen=True)
class QualityRow(Record):
    """Perplexity in one arithmetic; `ratio` is to the table's first row, bits 32 mean float32.

    `head` is "same" where the output head has the format of the other matrices, "float" where it stays float32.
    """

    arithmetic: str
    weight_bits: int
    activation_bits: int
    scaling: str
    head: str
    perplexity: float
    ratio: float
    seconds: float


@dataclass(frozen=True)
class QualityTable(Record):
    """Perplexities of one model on one text, all over the same `tokens` in windows of `window`."""

    model: str
    text: str
    text_sha256: str
    tokens: int
    window: int
    rows: tuple[QualityRow, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each arithmetic."""
        return pd.DataFrame([row.to_dict() for row in self.rows])

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, escape=True)


@dataclass(frozen=True)
class Case:
    """One row to measure."""

    arithmetic: str
    scaling: str = "token"
    activation_bits: int = 8
    float_head: bool = False


#: Rows of the table of arithmetics.
CASES = (
    Case("float"),
    Case("mxfp4"),
    Case("hardwired"),
    Case("int8"),
    Case("int4"),
    Case("mxfp4", float_head=True),
    Case("hardwired", float_head=True),
)


def real_text() -> tuple[str, str]:
    """Return (where it is from, text) of the language reference in Python's standard library, about 52,000 characters.

    Raises `InputError` for a Python without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("this Python has no pydoc_data.topics: expected a text of your own") from None
    text = "\n\n".join(topics[name].strip() for name in _TOPICS)
    return f"pydoc_data.topics {'+'.join(_TOPICS)} of Python {platform.python_version()}", text


def arithmetic_table(
    cases: Sequence[Case] = CASES,
    *,
    tokens: int = DEFAULT_TOKENS,
    window: int = DEFAULT_WINDOW,
    text: str | None = None,
    path: str | Path | None = None,
    report: Report | None = None,
) -> QualityTable:
    """Return the perplexity of SmolLM2-135M in each arithmetic, activations scaled per token unless a case says so.

    `tokens` are scored (of `text`, or of `real_text`), in windows of `window`, each from an empty cache. Raises
    `InputError` for unknown names, a text that is too short, and whatever `models.inference.read_model` raises.
    """
    return measure(cases, tokens=tokens, window=window, text=text, path=path, report=report)


def scaling_table(
    arithmetic: str = "hardwired",
    scalings: Sequence[str] = SCALINGS,
    activation_bits: Sequence[int] = (8, 6),
    *,
    tokens: int = DEFAULT_TOKENS,
    window: int = DEFAULT_WINDOW,
    text: str | None = None,
    path: str | Path | None = None,
    report: Report | None = None,
) -> QualityTable:
    """Return the perplexity under each activation scaling and width; the first row keeps activations in float.

    It shows the outlier token: a scale for all tokens follows the first token's massive activations and starves the
    others; a scale of its own, or float for it alone, brings much of that back. `arithmetic` is "hardwired" or "int8".
    Parameters and errors are those of `arithmetic_table`.
    """
    if arithmetic not in ("hardwired", "int8"):
        raise unknown_name("arithmetic with integer activations:", arithmetic, ("hardwired", "int8"))
    first = Case("mxfp4" if arithmetic == "hardwired" else "float")
    cases = [first, *(Case(arithmetic, scaling, bits) for bits in activation_bits for scaling in scalings)]
    return measure(cases, tokens=tokens, window=window, text=text, path=path, report=report)


def measure(
    cases: Sequence[Case],
    *,
    tokens: int = DEFAULT_TOKENS,
    window: int = DEFAULT_WINDOW,
    text: str | None = None,
    path: str | Path | None = None,
    report: Report | None = None,
) -> QualityTable:
    """Return a table with a row for each case, in order; parameters and errors are those of `arithmetic_table`."""
    for case in cases:
        if case.arithmetic not in ARITHMETICS:
            raise unknown_name("arithmetic", case.arithmetic, ARITHMETICS)
    wanted = int(check.count("tokens", tokens, high=1e9)) + 1
    source, content = real_text() if text is None else ("given", text)
    weights, vocabulary = read_model(path)
    ids = Tokenizer(vocabulary).encode(content)
    if len(ids) < wanted:
        raise InputError(f"the text has {len(ids)} tokens: expected at least {wanted}, the first is not scored")
    rows: list[QualityRow] = []
    for case in cases:
        start = time.perf_counter()
        linear = linear_operator(
            weights,
            case.arithmetic,
            scaling=case.scaling,
            activation_bits=case.activation_bits,
            float_head=case.float_head,
        )
        model = Transformer(weights, linear)
        progress = None if report is None else _under(report, case)
        value = perplexity(model, ids[:wanted], window=window, progress=progress).value
        weight_bits, activation_bits = BITS[case.arithmetic]
        integers = activation_bits < 32
        rows.append(
            QualityRow(
                case.arithmetic,
                weight_bits,
                case.activation_bits if integers else activation_bits,
                case.scaling if integers else "",
                "float" if case.float_head else "same",
                value,
                value / rows[0].perplexity if rows else 1.0,
                time.perf_counter() - start,
            )
        )
    checksum = hashlib.sha256(content.encode()).hexdigest()
    return QualityTable(DEFAULT_MODEL, source, checksum, wanted - 1, int(window), tuple(rows))


def _under(report: Report, case: Case) -> Callable[[int, int], None]:
    name = case.arithmetic
    if BITS[name][1] < 32:
        name += f" A{case.activation_bits} {case.scaling}"
    if case.float_head:
        name += ", head float"
    return lambda done, total: report(name, done, total)


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Report]:
    """Yield a `report` that draws a bar for each row on standard error; nothing stays on the screen afterwards."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bars: dict[str, int] = {}
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:

        def report(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)  # type: ignore[arg-type]

        yield report
