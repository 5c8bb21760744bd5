"""The documents of retrieval: evaluations side by side, answers of an index, and a study with its figures."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.plot import Plot
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Table, frame_table
from explorer.documents.theme import BLUE, CYAN, GREEN, GREY, PURPLE, RED, YELLOW, figure, text
from explorer.retrieval.evaluate import Evaluation, difference
from explorer.scan.front import holding_cost, scanning_cost
from hwbase import Book
from hwbase.numbers import counted, money, plain, si

#: Colour and marker of each family of codecs.
STYLES = {
    "floats and integers": (GREY, "circle"),
    "truncated": (YELLOW, "square"),
    "signs": (BLUE, "diamond"),
    "signs, query in floats": (CYAN, "diamond-open"),
    "signs, best 400 again by int8": (PURPLE, "star"),
    "recurrent, untrained": (GREEN, "triangle-up"),
    "rabitq": (CYAN, "square"),
    "product": (YELLOW, "diamond"),
    "scalar after rotation or centring": (PURPLE, "circle"),
    "trained hash": (RED, "cross"),
    "recurrent, trained": (RED, "triangle-down"),
}
_OTHER = (GREY, "circle-open")
_MACHINES = ((BLUE, "circle", "solid"), (RED, "square", "dash"), (GREEN, "diamond", "dot"))
_HEIGHT_PX, _DOT_PX, _FAINT_PX, _LABEL_PX = 520, 10, 6, 11
_ROOM = "\u00a0"
_HELD, _SCANNED, _QUERIES_PER_S = 1e9, 1e11, 100_000.0
_LEGEND_BELOW = {"orientation": "h", "y": -0.18, "x": 0, "yanchor": "top"}


def study_figure(quality: pd.DataFrame, metric: str = "recall@10") -> Plot:
    """Return the metric of every codec against bits, with intervals and labels, one colour a family."""
    drawn = figure(
        f"{text(quality['collection'].iloc[0])}: {metric} against bits per document",
        _HEIGHT_PX,
        xaxis={"type": "log", "title": {"text": "bits scanned per document"}},
        yaxis={"title": {"text": f"{metric}, 95 % intervals"}},
        legend=_LEGEND_BELOW,
        margin={"l": 12, "r": 24, "t": 44, "b": 12},
    )
    for family, rows in quality.groupby("family", sort=False):
        _add_points(drawn, str(family), rows.sort_values("bits"), "bits", metric, "%{x} bits")
    return drawn


def holding_figure(held: pd.DataFrame, metric: str = "recall@10") -> Plot:
    """Return the metric against dollars a year of `holding_cost`, with the front as a labelled line."""
    drawn = figure(
        f"{text(held['collection'].iloc[0])}: {metric} against dollars to hold the index",
        _HEIGHT_PX,
        xaxis={"type": "log", "title": {"text": "dollars a year for a billion documents in servers' memory"}},
        yaxis={"title": {"text": f"{metric}, 95 % intervals"}},
        legend=_LEGEND_BELOW,
        margin={"l": 12, "r": 24, "t": 44, "b": 12},
    )
    front = held[held["front"]]
    drawn.add_scatter(
        x=front["usd"],
        y=front[metric],
        mode="lines+text",
        name="the front",
        text=_labels(front),
        textposition="bottom right",
        textfont={"size": _LABEL_PX},
        line={"color": GREY, "dash": "dot", "shape": "hv"},
        hoverinfo="skip",
    )
    for family, rows in held.groupby("family", sort=False):
        _add_points(drawn, str(family), rows, "usd", metric, "%{x:$,.3s} a year")
    return drawn


def scanning_figure(scanned: pd.DataFrame, metric: str = "recall@10") -> Plot:
    """Return the metric against dollars per million queries of `scanning_cost`, one front line a machine."""
    drawn = figure(
        f"{text(scanned['collection'].iloc[0])}: {metric} against dollars to scan the index",
        _HEIGHT_PX,
        xaxis={"type": "log", "title": {"text": "dollars per million queries, exact scans of 10¹¹ documents"}},
        yaxis={"title": {"text": metric}},
        legend=_LEGEND_BELOW,
        margin={"l": 12, "r": 24, "t": 44, "b": 12},
    )
    for (machine, rows), (colour, symbol, dash) in zip(scanned.groupby("machine", sort=False), _MACHINES, strict=True):
        for on_front, part in rows.groupby("front"):
            drawn.add_scatter(
                x=part["usd"],
                y=part[metric],
                mode="lines+markers+text" if on_front else "markers",
                textposition="bottom right",
                textfont={"size": _LABEL_PX},
                name=text(machine),
                legendgroup=str(machine),
                showlegend=bool(on_front),
                line={"color": colour, "dash": dash, "shape": "hv"},
                marker={
                    "color": colour,
                    "symbol": symbol,
                    "size": _DOT_PX if on_front else _FAINT_PX,
                    "opacity": 1.0 if on_front else 0.4,
                },
                text=_labels(part),
                hovertemplate="%{text}: %{x:$,.3s}, %{y:.3f}<extra>%{fullData.name}</extra>",
            )
    return drawn


def study_document(
    quality: pd.DataFrame, command: str = "", metric: str = "recall@10", book: Book | None = None
) -> Document:
    """Return a study's table as a document: quality, and the cost to hold and to scan. Raises `InputError`."""
    held = holding_cost(quality, _HELD, metric=metric, book=book)
    scanned = scanning_cost(quality, _SCANNED, queries_per_s=_QUERIES_PER_S, metric=metric, book=book)
    draw, table = partial(study_figure, quality, metric), _quality(quality)
    by_bits = Figure("bits", draw, f"{metric} against bits", table, 3)
    draw, dollars = partial(holding_figure, held, metric), _costs(held, metric)
    by_dollars = Figure("held", draw, "Recall against dollars", dollars, 3)
    draw, priced = partial(scanning_figure, scanned, metric), _costs(scanned, metric, ("machine",))
    by_price = Figure("scanned", draw, "Recall against dollars per million queries", priced, 4)
    return Document(
        str(quality["collection"].iloc[0]),
        "Codecs of few bits on real text: quality, and the cost of an index.",
        sections(
            Section(
                "quality",
                "Quality against bits",
                ("Intervals are for each codec alone; all codecs answer the same queries.", by_bits, table),
            ),
            Section(
                "holding",
                "What holding it costs",
                (
                    "A billion documents with ids of 8 bytes and the data for rescoring, in the memory of dedicated "
                    "servers. The line joins the codecs that no other beats in both recall and dollars.",
                    by_dollars,
                ),
                short=False,
            ),
            Section(
                "scanning",
                "What scanning it costs",
                (
                    f"Codes of bits only: 10¹¹ documents, each compared with every query, {_QUERIES_PER_S:,.0f} "
                    "queries per second in batches of 256. The masks and design of an engine are included.",
                    by_price,
                ),
                short=False,
            ),
            reproduce_section(command),
        ),
        frame=lambda: quality,
        schema="retrieve-study-page",
    )


def evaluations_document(results: Sequence[Evaluation], command: str = "") -> Document:
    """Return evaluations of codecs on one collection as a document, one row for each codec."""
    first, *others = results
    rows = [
        {
            "codec": each.codec,
            "bits": each.bits_per_vector,
            "index": each.index_bytes,
            "rate": each.queries_per_s,
            **{name: estimate.mean for name, estimate in each.metrics.items()},
            "interval": max((e.high - e.low) / 2 for e in each.metrics.values()),
        }
        for each in results
    ]
    columns = {
        "codec": Column("codec", numeric=False),
        "bits": Column("bits"),
        **{name: Column(name) for name in first.metrics},
        "interval": Column("95 % intervals, the widest ±"),
        "index": Column("size of the index"),
        "rate": Column("queries per second"),
    }
    formats = dict.fromkeys((*first.metrics, "interval"), _digits) | {"index": partial(si, unit="B")}
    beyond = [
        each.to_dict() | {"beyond_first": {name: e.to_dict() for name, e in difference(each, first).items()}}
        for each in others
    ]
    own = f" {plain(first.own_left_out)} are documents too, which do not find themselves." if first.own_left_out else ""
    missing = (
        f" {plain(first.missing_answers)} answers are not in the corpus: not found." if first.missing_answers else ""
    )
    return Document(
        first.collection,
        f"{counted(first.documents, 'document')}, {plain(first.queries)} queries.{own}{missing}",
        sections(
            Section("quality", "Quality", (frame_table("Quality", pd.DataFrame(rows), columns, formats),)),
            reproduce_section(command),
        ),
        schema="retrieve-eval-rows" if beyond else "retrieve-eval",
        data=lambda: [first.to_dict(), *beyond] if beyond else first.to_dict(),
        frame=lambda: pd.concat([each.to_frame() for each in results], ignore_index=True),
    )


def answers_document(index: str, answers: Sequence[Mapping[str, Any]], command: str = "") -> Document:
    """Return the answers of an index as a document: {"query": ..., "found": [{"id": ..., "score": ...}]} each."""
    heads = (Column("document", numeric=False), Column("score"))
    tables = (
        Table(each["query"], heads, tuple((hit["id"], plain(hit["score"])) for hit in each["found"]))
        for each in answers
    )
    rows = [{"query": each["query"], **hit} for each in answers for hit in each["found"]]
    return Document(
        index,
        f"The nearest documents of {plain(len(answers))} {'query' if len(answers) == 1 else 'queries'}.",
        sections(Section("answers", "Answers", tuple(tables)), reproduce_section(command)),
        schema="retrieve-query",
        data=lambda: list(answers),
        frame=lambda: pd.DataFrame(rows, columns=["query", "id", "score"]),
    )


def _add_points(drawn: Plot, family: str, rows: pd.DataFrame, x: str, metric: str, template: str) -> None:
    colour, symbol = STYLES.get(family, _OTHER)
    drawn.add_scatter(
        x=rows[x],
        y=rows[metric],
        name=text(family),
        mode="markers",
        text=_labels(rows),
        hovertemplate="%{text}: " + template + ", %{y:.3f}<extra></extra>",
        marker={"color": colour, "symbol": symbol, "size": _DOT_PX},
        error_y={
            "array": rows[f"{metric}_high"] - rows[metric],
            "arrayminus": rows[metric] - rows[f"{metric}_low"],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
    )


def _labels(rows: pd.DataFrame) -> list[str]:
    """Return the codec and search settings of each row, with a leading space."""
    searches = zip(rows["codec"], rows["asymmetric"], rows["rescore"], strict=True)
    return [
        _ROOM + text(codec) + (", float query" if floats else "") + (f", {best:.0f} rescored" if best else "")
        for codec, floats, best in searches
    ]


def _quality(quality: pd.DataFrame) -> Table:
    columns = {"codec": Column("codec", numeric=False), "family": Column("family", numeric=False)}
    columns["bits"] = Column("bits")
    metrics = [name for name in ("recall@10", "recall@1", "recall@100", "mrr@10", "ndcg@10") if name in quality]
    columns |= {name: Column(name) for name in metrics}
    return frame_table("Quality", quality, columns, dict.fromkeys(metrics, _digits))


def _costs(table: pd.DataFrame, metric: str, more: tuple[str, ...] = ()) -> Table:
    columns = {"codec": Column("codec", numeric=False), "family": Column("family", numeric=False)}
    columns |= {name: Column(name, numeric=False) for name in more}
    columns |= {"usd": Column("dollars"), metric: Column(metric), "front": Column("beaten by none", numeric=False)}
    rows = table.assign(front=np.where(table["front"], "yes", "no"))
    return frame_table("Recall and dollars", rows, columns, {"usd": money, metric: _digits})


def _digits(value: float) -> str:
    return plain(round(float(value), 3))
