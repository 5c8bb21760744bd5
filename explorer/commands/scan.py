"""`hwsim scan`: an index of codes on engines, servers and GPUs: shards, queries, watts, dollars and carbon."""

from dataclasses import replace
from typing import Annotated

import typer

from explorer.commands.arguments import (
    CostBook,
    FabRegion,
    Region,
    Set,
    Technology,
    need_count,
    parse_count,
    parse_overrides,
    split_names,
    with_regions,
)
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.scan.cost import costs_and_scanners, scan_costs
from explorer.scan.document import scan_document
from explorer.scan.fleets import ALL, compare_scans, serve_fleet
from hwbase import InputError
from hwsim.retrieval import MEMORIES, SCANNERS, TECHNOLOGY, UNITS, LostShard, ScanIndex

_MS_PER_S = 1e3
#: Bytes of tags of a document where a filter is given and they are not: 32 yes-or-no tags.
_TAG_BYTES = 4


def scan_command(
    documents: Annotated[str, typer.Option("--documents", help="Documents of the index, such as 1e11.")] = "1e11",
    bits: Annotated[str, typer.Option("--bits", help="Bits of a code, all planes.")] = "256",
    planes: Annotated[str, typer.Option("--planes", help="1: sign codes; 2 and more: recurrent codes (SDC).")] = "1",
    on: Annotated[str, typer.Option("--on", help=f"{', '.join(SCANNERS)} (a,b side by side), or {ALL}.")] = ALL,
    memory: Annotated[str | None, typer.Option("--memory", help=f"The engine's: {', '.join(MEMORIES)}.")] = None,
    unit: Annotated[str, typer.Option("--unit", help=f"The engine's lanes: {' or '.join(UNITS)}.")] = UNITS[0],
    queries_per_s: Annotated[float, typer.Option("--qps", help="Queries a second that the fleet answers.")] = 1000.0,
    batch: Annotated[str, typer.Option("--batch", help="Queries that share a pass.")] = "256",
    k: Annotated[str, typer.Option("--k", help="Best documents kept.")] = "100",
    candidates: Annotated[str, typer.Option("--candidates", help="Best documents rescored with int8 vectors.")] = "0",
    vector_bytes: Annotated[str, typer.Option("--vector-bytes", help="Bytes of a vector kept for rescoring.")] = "0",
    scanned_share: Annotated[
        float, typer.Option("--scanned-share", help="Share of the documents a query passes over (lists probed).")
    ] = 1.0,
    selectivity: Annotated[
        float, typer.Option("--selectivity", help="Share of the documents that a filter leaves in; blocks are skipped.")
    ] = 1.0,
    tag_bytes: Annotated[
        str | None, typer.Option("--tag-bytes", help="Bytes of tags of a document, read before codes (filters).")
    ] = None,
    block: Annotated[
        str, typer.Option("--block", help="Documents that are read or skipped together (filters).")
    ] = "64",
    tag_run: Annotated[
        str, typer.Option("--tag-run", help="Documents in a row that match or not together, 1: scattered (filters).")
    ] = "1",
    events: Annotated[bool, typer.Option("--events", help="Also follow drawn queries one by one.")] = False,
    window_ms: Annotated[float, typer.Option("--window", help="Milliseconds a batch waits for more (events).")] = 5.0,
    skew: Annotated[float, typer.Option("--skew", help="Work of shard i as (i+1)^-skew (events).")] = 0.0,
    jitter: Annotated[float, typer.Option("--jitter", help="Variation of a shard's work by batch (events).")] = 0.0,
    burstiness: Annotated[float, typer.Option("--burstiness", help="Variation of gaps, 1 is Poisson (events).")] = 1.0,
    lose_at_s: Annotated[float | None, typer.Option("--lose-shard", help="Second a shard is lost (events).")] = None,
    requests: Annotated[str, typer.Option("--requests", help="Queries drawn (events).")] = "20000",
    seed: Annotated[int, typer.Option("--seed", help="Of drawn queries.")] = 0,
    technology: Technology = TECHNOLOGY,
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    old: Annotated[list[str] | None, typer.Option("--cost-set", help="No longer taken.", hidden=True)] = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """The cost of scanning an index of codes on engines, servers and GPUs: shards, queries, watts, dollars, carbon."""
    check_file(out)
    if old:
        raise InputError("--cost-set is no longer taken: expected --set, which takes the constants of every book")
    index = ScanIndex(
        need_count("documents", documents),
        need_count("bits", bits),
        need_count("planes", planes),
        vector_bytes=need_count("vector_bytes", vector_bytes),
        scanned_share=scanned_share,
        selectivity=selectivity,
        tag_bytes=_TAG_BYTES * (selectivity < 1.0) if tag_bytes is None else need_count("tag_bytes", tag_bytes),
        block_documents=need_count("block", block),
        tag_run=need_count("tag_run", tag_run),
    )
    costs, rescored = scan_costs(book or "default"), parse_count("candidates", candidates) or 0
    constants = with_regions(parse_overrides(settings), region, fab_region)
    for_costs, changed = costs_and_scanners(constants, costs, technology)
    result = compare_scans(
        index,
        split_names(on),
        memory=memory,
        unit=unit,
        queries_per_s=queries_per_s,
        batch=need_count("batch", batch),
        k=need_count("k", k),
        candidates=rescored,
        technology=technology,
        book=costs.override(for_costs),
        set=changed,
    )
    if events:
        if len(result.fleets) > 1:
            raise InputError(f"--events needs one machine: expected --on {', '.join(SCANNERS)}")
        served = serve_fleet(
            result.fleets[0],
            index,
            on,
            memory=memory or "hbm3",
            unit=unit,
            technology=technology,
            requests=need_count("requests", requests),
            burstiness=burstiness,
            seed=seed,
            set=changed,
            lost=None if lose_at_s is None else LostShard(lose_at_s),
            window_s=window_ms / _MS_PER_S,
            skew=skew,
            jitter=jitter,
            most=result.batch,
        )
        result = replace(result, services=(served,))
    deliver(scan_document(result, made_by()), out, as_json)
