"""`hwsim models`: the networks that are known by name, or the figures of one."""

from typing import Annotated

import typer

import models
from explorer.commands.output import AsJson, OutFile, check_file, deliver
from explorer.documents.document import Document, Section
from explorer.documents.tables import Column, Table, frame_table
from hwbase.columns import column
from hwbase.numbers import counted, listed, plain, si, with_unit

OneModel = Annotated[
    str | None, typer.Argument(help="One of them, a TOML spec, a Hugging Face config.json, or a checkpoint's index.")
]
#: Columns of the zoo that are shown; JSON and CSV have them all.
_SHOWN = ["name", "total", "active", "total_rel_err", "attention", "source"]


def models_command(model: OneModel = None, as_json: AsJson = False, out: OutFile = None) -> None:
    """The models that are known by name, with their parameter counts; or all that is known of one."""
    check_file(out)
    document = _zoo() if model is None else summary_document(models.summarise(models.load(model)))
    deliver(document, out, as_json)


def _zoo() -> Document:
    rows = models.zoo_rows()
    columns = {name: column(name) for name in _SHOWN}
    return Document(
        "Models",
        "Networks that come with hwsim, our counts of parameters beside the published ones.",
        (Section("models", "Known models", (frame_table("Models", rows, columns),)),),
        schema="models",
        data=lambda: rows,
        frame=models.zoo_frame,
    )


def summary_document(summary: models.Summary) -> Document:
    """Return the figures of one model as a document."""
    apart = {"multi-token prediction": summary.mtp_parameters, "pooler": summary.pooler_parameters}
    states = summary.state_bytes_per_sequence
    rows = {
        "parameters": plain(summary.parameters),
        "active, without the embedding": plain(summary.active_parameters),
        "active, with it": plain(summary.active_parameters_with_embedding),
        **{f"{name}, apart": plain(count) for name, count in apart.items() if count},
        **{f"{tower.name} tower": plain(tower.parameters) for tower in summary.towers},
        "weights": si(summary.weight_bytes, "B"),
        "bits of a weight": plain(summary.bits_per_weight),
        "number formats": listed([f"{part} {name}" for part, name in summary.formats.items()]),
        "layers": listed([f"{count} {kind}" for kind, count in summary.layers.items()]),
        "feed-forward blocks": listed([f"{count} {kind}" for kind, count in summary.blocks.items()]),
        "keys and values of a token": with_unit(summary.kv_bytes_per_token, "B"),
        "states of a sequence": with_unit(states, "B") if states else "",
        "source": summary.source,
    }
    cells = tuple((name, text) for name, text in rows.items() if text)
    table = Table("Figures", (Column("figure", numeric=False), Column("value", numeric=False)), cells)
    layers = counted(sum(summary.layers.values()), "layer")
    return Document(
        summary.name,
        f"A network of {layers}.",
        (Section("figures", "Figures", (table, *summary.notes)),),
        schema="model",
        data=summary.to_dict,
        frame=summary.to_frame,
    )
