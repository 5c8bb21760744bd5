"""The document of a front study, and its folder: tables as CSV, a summary as JSON, and the page."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from explorer.documents import html
from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Table, frame_table
from explorer.precision.estimate import ESTIMATORS
from explorer.precision.figures import (
    bits_of_layers,
    loss_over_bits,
    loss_over_cost,
    predicted_and_measured,
    sensitivity_by_layer,
)
from explorer.precision.findings import findings, joint_findings
from explorer.precision.fronts import SCHEMES, Fronts
from explorer.precision.joint import JointFronts
from explorer.precision.sensitivity import Sensitivity
from explorer.precision.study import FrontStudy
from explorer.writing import csv_text, json_text
from hwbase.numbers import counted, plain

_METRIC_NAMES = {
    "kl": "divergence [nats]",
    "perplexity": "growth of log-likelihood loss [nats]",
    "recall": "divergence where a window repeats itself [nats]",
    "noise": "noise over signal",
    "ssim": "1 - SSIM",
    "slope": "error of the mean slope, ln",
    "spectrum": "distance of spectra [nats]",
}
_MOST_ROWS = 20
_SENSITIVITY = {
    "layer": Column("layer", numeric=False),
    "group": Column("group", numeric=False),
    "what": Column("what is rounded", numeric=False),
    "bits": Column("bits"),
    "act_bits": Column("bits of activations"),
    "size": Column("elements"),
    "metric": Column("metric", numeric=False),
    "loss": Column("loss"),
    "loss_db": Column("loss", "dB"),
}
_MOST_PARTS = 3
_PART_FILES = ("sensitivity", "choices", "joint", "joint-choices")
#: Labels of the cost of one unit of input on a machine, by column.
_COST_NAMES = {"mJ": "energy of the products [mJ]", "ms": "time [ms]", "mm2": "silicon [mm²]"}
#: Files that a study's folder may hold.
STUDY_FILES = (
    *("fronts.csv", "estimates.csv", "summary.json", "page.html"),
    *(f"{name}-{number}.csv" for name in _PART_FILES for number in range(1, _MOST_PARTS + 1)),
)


def study_files(study: FrontStudy, document: Document) -> dict[str, str]:
    """Return the files of a study by name: fronts, choices and sensitivities as CSV, a summary and the page."""
    files = {
        "fronts.csv": csv_text(study.to_frame()),
        "estimates.csv": csv_text(study.estimated),
        "summary.json": json_text(summary(study)),
        "page.html": html.render(document),
    }
    for number, front in enumerate(study.fronts.values(), start=1):
        files[f"sensitivity-{number}.csv"] = csv_text(front.measured.table)
        files[f"choices-{number}.csv"] = csv_text(front.choices)
    for number, pairs in enumerate(study.joint.values(), start=1):
        files[f"joint-{number}.csv"] = csv_text(pairs.table)
        files[f"joint-choices-{number}.csv"] = csv_text(pairs.choices)
    return files


def summary(study: FrontStudy) -> dict[str, object]:
    """Return the results of a study without single layers."""
    return {
        "network": study.network,
        "command": study.command,
        "findings": [sentence for front in study.fronts.values() for sentence in findings(front)]
        + [sentence for front in study.joint.values() for sentence in joint_findings(front)],
        "ranks": study.ranks.to_dict(orient="records"),
        "fronts": {title: front.table.to_dict(orient="records") for title, front in study.fronts.items()},
        "joint": {title: front.table.to_dict(orient="records") for title, front in study.joint.items()},
        "floors": {title: front.measured.floors for title, front in study.fronts.items()},
    }


def study_document(study: FrontStudy) -> Document:
    """Return a study as a document."""
    units = next(iter(study.fronts.values())).units
    return Document(
        f"Bits that {study.network} needs",
        "Losses measured with each layer rounded alone, bits allocated from those losses, and every allocation run on "
        f"{units} held-out inputs.",
        sections(
            *(_section(at, title, front) for at, (title, front) in enumerate(study.fronts.items(), start=1)),
            *(_joint_section(at, title, front) for at, (title, front) in enumerate(study.joint.items(), start=1)),
            _estimates(study) if len(study.ranks) else None,
            reproduce_section(study.command),
        ),
        data=lambda: summary(study),
        frame=study.to_frame,
        schema="fronts",
    )


def sensitivity_document(measured: Sensitivity, command: str = "") -> Document:
    """Return measured sensitivities as a document: the roundings that cost most, and all of them."""
    table = measured.table.sort_values("loss", ascending=False)
    columns = {name: entry for name, entry in _SENSITIVITY.items() if name in table}
    worst = frame_table(f"The {min(_MOST_ROWS, len(table))} that cost most", table.head(_MOST_ROWS), columns)
    floors = ", ".join(f"{name} {plain(value)}" for name, value in measured.floors.items())
    return Document(
        f"{measured.network}: what rounding one layer costs",
        f"{counted(len(table), 'rounding')}; rounding of float32 products alone costs {floors}.",
        sections(
            Section("worst", "The most sensitive", (worst,)),
            Section("all", "All roundings", (frame_table("All roundings", measured.table, columns),), short=False),
            reproduce_section(command),
        ),
        schema="sensitivity",
        data=measured.to_dict,
        frame=measured.to_frame,
    )


def _section(number: int, title: str, front: Fronts) -> Section:
    return Section(
        f"part-{number}",
        title[:1].upper() + title[1:],
        (*findings(front), _schemes_text(front), *_figures(number, front), _front_table(front, front.metric)),
    )


def _joint_section(number: int, title: str, front: JointFronts) -> Section:
    name, cost = _METRIC_NAMES.get(front.metric, front.metric), _COST_NAMES.get(front.unit, front.unit)
    columns = {
        "scheme": Column("scheme", numeric=False),
        "cost": Column(cost),
        "mean_bits": Column("bits of a weight"),
        "mean_act_bits": Column("of an activation"),
        "loss": Column("measured"),
        "predicted": Column("predicted"),
        "loss_low": Column("95 % from"),
        "loss_high": Column("to"),
    }
    table = frame_table(f"{name} by scheme and cost on {front.hardware}", front.table, columns)
    caption = f"{name} against cost on {front.hardware}, on held-out inputs, with 95 % intervals, log axis"
    drawn = Figure(f"joint-{number}", partial(loss_over_cost, front, name, cost), caption, table, 2)
    text = (
        f"A pair of widths for each layer, priced on {front.hardware}. Uniform: one pair for all. Joint: the sum of "
        "losses within the budget. Decibels: their sum. Apart: weights and activations separately, as "
        "published, in the combination with the least predicted loss."
    )
    return Section(f"joint-part-{number}", title[:1].upper() + title[1:], (*joint_findings(front), text, drawn, table))


def _figures(number: int, front: Fronts) -> Iterator[Figure]:
    metrics = dict.fromkeys([front.metric, *front.group_metrics.values()])
    for metric in metrics:
        name = _METRIC_NAMES.get(metric, metric)
        caption = f"{name} against bits, on held-out inputs, with 95 % intervals, log axis"
        draw = partial(loss_over_bits, front, metric, name)
        yield Figure(f"front-{number}-{metric}", draw, caption, _front_table(front, metric), 2)
    name = _METRIC_NAMES.get(front.metric, front.metric)
    caption = f"{name}: predicted by the sum of the layers' losses, and measured, log axes"
    draw = partial(predicted_and_measured, front, front.metric, name)
    yield Figure(f"predicted-{number}", draw, caption, _front_table(front, front.metric), 3)
    caption = f"{name} with one layer rounded, log axis"
    draw = partial(sensitivity_by_layer, front.measured.table, front.metric, name)
    yield Figure(f"sensitivity-{number}", draw, caption, _worst_table(front), 4)
    budgets = front.choices[front.choices["scheme"] == "power"]["budget"]
    if len(budgets):
        middle = float(sorted(budgets)[len(budgets) // 2])
        caption = f"Bits of each layer by the sum of losses, {middle:g} bits on average"
        yield Figure(f"bits-{number}", partial(bits_of_layers, front, "power", middle), caption, _bits_table(front), 1)


def _front_table(front: Fronts, metric: str) -> Table:
    column = f"loss_{metric}"
    columns = {
        "scheme": Column("scheme", numeric=False),
        "mean_bits": Column("bits"),
        column: Column("measured"),
        f"{column}_predicted": Column("predicted"),
        f"{column}_low": Column("95 % from"),
        f"{column}_high": Column("to"),
        "ratio": Column(" / ".join(front.group_metrics)),
    }
    return frame_table(f"{_METRIC_NAMES.get(metric, metric)}, by scheme and bits", front.table, columns)


def _worst_table(front: Fronts) -> Table:
    worst = front.measured.table.sort_values(f"loss_{front.metric}", ascending=False).head(_MOST_ROWS)
    columns = {"layer": Column("layer", numeric=False), "group": Column("group", numeric=False)}
    columns |= {"bits": Column("bits"), "size": Column("elements"), f"loss_{front.metric}": Column("loss")}
    return frame_table(f"The {len(worst)} roundings of greatest loss", worst, columns)


def _bits_table(front: Fronts) -> Table:
    names = list(front.measured.table["layer"].unique())
    rows = []
    for _, choice in front.choices.iterrows():
        counts = pd.Series([choice[name] for name in names]).value_counts()
        rows.append(
            {"choice": f"{choice['scheme']}, {choice['budget']:g} bits"} | {str(b): n for b, n in counts.items()}
        )
    frame = pd.DataFrame(rows).fillna(0)
    widths = sorted((name for name in map(str, frame) if name != "choice"), key=float)
    columns = {"choice": Column("allocation", numeric=False)} | {w: Column(f"{w} bits") for w in widths}
    return frame_table("Layers of each width", frame, columns)


def _estimates(study: FrontStudy) -> Section:
    columns = {"bits": Column("bits", numeric=False), "layers": Column("roundings")}
    columns |= {name: Column(name) for name in ESTIMATORS}
    text = (
        "Spearman's rank correlation of estimates with the measured losses of weights. “Weight error” runs the network "
        "once for all layers; “one width” runs it once for each layer, at 4 bits, and needs no runs for other widths."
    )
    return Section("estimates", "Estimates", (text, frame_table("Rank correlations", study.ranks, columns)))


def _schemes_text(front: Fronts) -> str:
    used = [name for name in SCHEMES if name in set(front.table["scheme"])]
    groups = ", ".join(f"{group} by {metric}" for group, metric in front.group_metrics.items())
    text = "; ".join(f"{name}: {SCHEMES[name]}" for name in used)
    decoupled = any(name.startswith("decoupled") for name in used)
    return f"Objectives of the schemes. {text}.{f' Groups: {groups}.' if decoupled else ''}"
