"""The documents of real models: a run here and on the chip, and perplexity by arithmetic."""

from collections.abc import Callable
from functools import partial
from typing import Any

from explorer.documents.document import Aside, Document, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, frame_table, quantity_table
from explorer.inference.infer import Inference
from explorer.inference.perplexity import QualityTable
from hwbase.numbers import MISSING, counted, percent, plain, si, times, with_unit

_HERE = (
    ("prompt", "prompt_tokens", plain),
    ("tokens generated", "tokens", plain),
    ("time to load", "load_s", partial(si, unit="s")),
    ("time to read the prompt", "prefill_s", partial(si, unit="s")),
    ("tokens per second", "decode_tokens_per_s", partial(plain, unit="token/s")),
)
_ON_CHIP = (
    ("chips", "chips", plain),
    ("silicon", "area_mm2", partial(with_unit, unit="mm**2")),
    ("cycles", "cycles", plain),
    ("time", "seconds", partial(si, unit="s")),
    ("time to first token", "time_to_first_token_s", partial(si, unit="s")),
    ("energy, an upper bound", "energy_j", partial(si, unit="J")),
    ("tokens per second", "tokens_per_s", partial(plain, unit="token/s")),
    ("tokens per second when full", "full_tokens_per_s", partial(plain, unit="token/s")),
    ("energy per token when full", "full_energy_j_per_token", partial(si, unit="J")),
)
_QUALITY = {
    "title": Column("arithmetic", numeric=False),
    "scaling": Column("activation scales", numeric=False),
    "head": Column("output head", numeric=False),
    "kv": Column("keys and values", numeric=False),
    "perplexity": Column("perplexity"),
    "ratio": Column("over the first row"),
    "ratio_error": Column("standard error"),
    "accuracy": Column("next token right"),
    "divergence": Column("divergence, nats"),
    "seconds": Column("time", "s"),
}
#: The table of weights that hwsim quantise wrote.
_ROUNDED = {
    "title": Column("weights", numeric=False),
    "method": Column("method", numeric=False),
    "bits_per_weight": Column("bits a weight"),
    "perplexity": Column("perplexity"),
    "ratio": Column("over float"),
    "ratio_low": Column("95 %, low"),
    "ratio_high": Column("95 %, high"),
    "accuracy": Column("next token right"),
    "divergence": Column("divergence, nats"),
    "rounding_seconds": Column("time to round", "s"),
    "peak_bytes": Column("memory"),
}


def inference_document(run: Inference, command: str = "") -> Document:
    """Return a run of a model as a document: its speed here, and the same run on the chip."""
    chip: tuple[Any, ...] = ()
    if run.chip is not None:
        chip = (quantity_table(f"On {run.chip.machine}, alone ({run.chip.weights})", _ON_CHIP, {"value": run.chip}),)
    return Document(
        f"{run.model} in {run.arithmetic}",
        "A real run in NumPy, and the same run on the simulated chip.",
        sections(
            Section("text", "Text", (Aside(run.prompt), run.text), short=False),
            Section("figures", "Figures", (quantity_table("Here", _HERE, {"value": run}), *chip)),
            reproduce_section(command),
        ),
        schema="infer",
        data=run.to_dict,
        frame=run.to_frame,
    )


def quality_document(table: QualityTable, command: str = "") -> Document:
    """Return perplexities by arithmetic as a document."""
    rounded = any(row.method for row in table.rows)
    formats: dict[str, Callable[[Any], str]] = {
        "ratio": times,
        "ratio_error": _thousandths,
        "accuracy": percent,
        "divergence": _thousandths,
    }
    formats |= {name: _or_none(times) for name in ("ratio_low", "ratio_high")}
    formats |= {name: _or_none(plain) for name in ("bits_per_weight", "rounding_seconds")}
    formats["peak_bytes"] = _or_none(partial(si, unit="B"))
    text = (
        f"{counted(table.tokens, 'token')} of {table.text} (SHA-256 {table.text_sha256[:12]}), windows of "
        f"{plain(table.window)}. A16: activations stay float (float32 here)."
    )
    rows = frame_table("Perplexity in each arithmetic", table.to_frame(), _ROUNDED if rounded else _QUALITY, formats)
    return Document(
        f"Perplexity of {table.model}",
        text,
        sections(Section("perplexity", "Perplexity", (rows,)), reproduce_section(command)),
        schema="quality",
        data=table.to_dict,
        frame=table.to_frame,
    )


def _or_none(write: Callable[[float], str]) -> Callable[[float | None], str]:
    return lambda value: MISSING if value is None or value != value else write(value)


def _thousandths(value: float) -> str:
    return plain(round(float(value), 3))
