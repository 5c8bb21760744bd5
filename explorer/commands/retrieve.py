"""The commands `hwsim retrieve build`, `query` and `eval`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from costmodel import regions
from explorer.commands.arguments import CostBook, Set, need_count, parse_count, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, check_kept, deliver, emit, made_by
from explorer.commands.progress import progress_bar
from explorer.progress import Report
from explorer.retrieval.collection import Texts, read_texts
from explorer.retrieval.document import answers_document, evaluations_document, study_document
from explorer.retrieval.embedding import embed
from explorer.retrieval.evaluate import Search, build, evaluate, fit_or_train
from explorer.retrieval.filters import check_filter
from explorer.retrieval.inputs import judged, read_embeddings, read_table, training_pairs, vectors
from explorer.retrieval.scanning import WAYS
from explorer.retrieval.sources import SOURCES
from explorer.retrieval.storage import load_index, save_index
from explorer.retrieval.studies.subjects import SUBJECTS, measure
from explorer.retrieval.study import study
from explorer.scan.cost import scan_costs
from hwbase import InputError, unknown_name
from hwbase.check import integer
from models.binarize import parse_codec

#: The study of all codecs, which is priced; the others are tables.
CODECS = "codecs"
Corpus = Annotated[str, typer.Option("--corpus", help="Documents: a JSON object with id and text a line.")]
CodecName = Annotated[
    str, typer.Option("--codec", help="Such as float16, int8, pca:128+float8, sign, itq:256, recurrent:2, bebr:2x256.")
]
Asymmetric = Annotated[bool, typer.Option("--asymmetric", help="Keep the query's numbers, code the documents only.")]
Rescore = Annotated[str | None, typer.Option("--rescore", help="Take so many first, then sort by a finer codec.")]
Bound = Annotated[
    bool, typer.Option("--bound", help="Rescore only what RaBitQ's error bound leaves open (rabitq codecs).")
]
RescoreWith = Annotated[str, typer.Option("--rescore-with", help="The finer codec.")]
ListCount = Annotated[str | None, typer.Option("--lists", help="Group documents in so many lists (IVF).")]
Probes = Annotated[str | None, typer.Option("--probes", help="Lists that a query looks into.")]
TrainQueries = Annotated[str | None, typer.Option("--train-queries", help="Other queries, that bebr learns from.")]
TrainQrels = Annotated[str | None, typer.Option("--train-qrels", help="Their judgements.")]
Cache = Annotated[str | None, typer.Option("--cache", help="The folder that keeps embeddings.")]


def build_command(
    corpus: Corpus,
    out: Annotated[str, typer.Option("--out", help="A folder, for the index.")],
    codec: CodecName = "sign",
    embedded: Annotated[str | None, typer.Option("--embeddings", help="docs.npy: skip the model.")] = None,
    rescore_with: Annotated[str | None, typer.Option("--rescore-with", help="Keep a finer codec too.")] = None,
    lists: ListCount = None,
    train_queries: TrainQueries = None,
    train_qrels: TrainQrels = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Embed documents, encode them and write an index; an existing index is replaced whole or not at all."""
    parse_codec(codec)
    _both_or_neither(train_queries, train_qrels)
    documents = read_texts(corpus, "documents", tagged=True)
    if not Path(out).absolute().parent.is_dir():
        raise InputError(f"cannot write {out!r}: expected a folder that exists around it")
    search = Search(
        rescore=int(rescore_with is not None),
        rescore_with=rescore_with or Search.rescore_with,
        lists=parse_count("lists", lists) or 0,
    )
    if rescore_with is not None:
        parse_codec(rescore_with)
    with progress_bar() as report:
        rows = vectors(documents, embedded, "documents", cache, report)
        training = _training(documents, rows, train_queries, train_qrels, cache, report)
        index = build(
            documents.ids, rows, fit_or_train(codec, rows, training, report), search, documents.tags, documents.fields
        )
    save_index(index, out)
    made = {"index": out, "codec": codec, "documents": index.size, "bytes": index.bytes, "versions": index.versions}
    if as_json:
        emit(made, "retrieve-build")
    else:
        Console().print(f"wrote {out}: {index.size:,} documents in {index.bytes:,} bytes", highlight=False)


def query_command(
    index: Annotated[str, typer.Option("--index", help="The folder of an index.")],
    text: Annotated[list[str] | None, typer.Option("--text", help="What to look for. Repeat it.")] = None,
    embedded: Annotated[str | None, typer.Option("--embeddings", help="queries.npy: skip the model.")] = None,
    k: Annotated[str, typer.Option("--k", help="Documents to find.")] = "10",
    tag: Annotated[str | None, typer.Option("--tag", help="Only documents with this tag.")] = None,
    where: Annotated[
        str | None, typer.Option("--filter", help="Such as \"year >= 2020 and (lang = 'en' or tag in (a, b))\".")
    ] = None,
    filtering: Annotated[
        str, typer.Option("--filtering", help=f"How documents are left out: {', '.join(WAYS)}. Answers are the same.")
    ] = WAYS[0],
    asymmetric: Asymmetric = False,
    rescore: Rescore = None,
    bound: Bound = False,
    probes: Probes = None,
    cache: Cache = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Find the nearest documents of an index."""
    check_file(out)
    if (text is None) == (embedded is None):
        raise InputError("expected --text or --embeddings, and not both")
    count = need_count("k", k)
    if where is not None:
        check_filter(where)
    opened = load_index(index)
    if embedded is not None:
        rows = read_embeddings(embedded, None, "queries")
        names = [str(i) for i in range(len(rows))]
    else:
        names = list(text or ())
        if not all(name.strip() for name in names):
            raise InputError("--text is empty: expected some text")
        rows = embed(names, cache=cache)
    result = opened.search(
        rows,
        count,
        tag=tag,
        filter=where,
        filtering=filtering,
        asymmetric=asymmetric,
        rescore=parse_count("rescore", rescore) or 0,
        bound=bound,
        probes=parse_count("probes", probes),
    )
    answers: list[dict[str, Any]] = [
        {
            "query": name,
            "searched": result.matching,
            "found": [{"id": key, "score": float(s)} for key, s in zip(keys, scores, strict=False)],
        }
        for name, keys, scores in zip(names, result.ids, result.scores, strict=True)
    ]
    deliver(answers_document(index, answers, made_by()), out, as_json)


def eval_command(
    corpus: Corpus,
    queries: Annotated[str, typer.Option("--queries", help="Queries: a JSON object with id and text a line.")],
    qrels: Annotated[str, typer.Option("--qrels", help="Judgements: query, document and grade a line.")],
    codec: Annotated[list[str] | None, typer.Option("--codec", help="As for build. Repeat it to compare.")] = None,
    embedded: Annotated[str | None, typer.Option("--embeddings", help="docs.npy,queries.npy: skip the model.")] = None,
    asymmetric: Asymmetric = False,
    rescore: Rescore = None,
    bound: Bound = False,
    rescore_with: RescoreWith = Search.rescore_with,
    lists: ListCount = None,
    probes: Probes = None,
    train_queries: TrainQueries = None,
    train_qrels: TrainQrels = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Judged documents that the corpus lacks count as not found.")
    ] = False,
    cache: Cache = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Score a codec on judged queries: recall, hits, MRR and nDCG with 95 % intervals, bits, bytes and speed."""
    names = codec or ["sign"]
    for name in (*names, rescore_with):
        parse_codec(name)
    _both_or_neither(train_queries, train_qrels)
    check_file(out)
    search = Search(
        asymmetric=asymmetric,
        rescore=parse_count("rescore", rescore) or 0,
        bound=bound,
        rescore_with=rescore_with,
        lists=parse_count("lists", lists) or 0,
        probes=parse_count("probes", probes),
    )
    with progress_bar() as report:
        collection, documents, vectors = judged(corpus, queries, qrels, embedded, cache, report, missing)
        training = _training(collection.documents, documents, train_queries, train_qrels, cache, report)
        results = [
            evaluate(collection, documents, vectors, name, search=search, training=training, report=report)
            for name in names
        ]
    deliver(evaluations_document(results, made_by()), out, as_json)


def study_command(
    collection: Annotated[str, typer.Argument(help=f"One of {', '.join(SOURCES)}.")] = SOURCES[0],
    queries: Annotated[str, typer.Option("--queries", help="Queries drawn from it.")] = "4000",
    subject: Annotated[
        str, typer.Option("--of", help=f"{CODECS}, or another subject: {', '.join(SUBJECTS)}.")
    ] = CODECS,
    made: Annotated[
        str | None, typer.Option("--from", help="Read a table that --out NAME.csv wrote, and measure nothing.")
    ] = None,
    cache: Cache = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Quality against bits and dollars: every codec on real text (about half an hour the first time)."""
    check_kept(out, made)
    check_file(out)
    costs = scan_costs(book or "default").override(parse_overrides(settings))
    for name, region in (("region", costs.header.region), ("fab_region", costs.header.fab_region)):
        if region not in (known := regions(costs)):
            raise unknown_name(name, region, known)
    drawn = integer("queries", need_count("queries", queries), high=1e9)
    if subject != CODECS:
        with progress_bar() as report:
            measured = measure(subject, collection, queries=drawn, cache=cache, report=report)
        deliver(measured.document(made_by()), out, as_json)
        return
    if made is not None:
        deliver(study_document(read_table(made), made_by(), book=costs), out, as_json)
        return
    with progress_bar() as report:
        result = study(collection, queries=drawn, cache=cache, report=report)
    deliver(result.document(made_by(), costs), out, as_json)


def _both_or_neither(queries: str | None, qrels: str | None) -> None:
    if (queries is None) != (qrels is None):
        raise InputError("expected both --train-queries and --train-qrels, or neither")


def _training(
    documents: Texts, rows: np.ndarray, queries: str | None, qrels: str | None, cache: str | None, report: Report | None
) -> tuple[np.ndarray, np.ndarray] | None:
    if queries is None or qrels is None:
        return None
    return training_pairs(documents, rows, queries, qrels, cache, report)
