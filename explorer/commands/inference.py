"""The commands that run a real language model: `hwsim infer` (its text) and `hwsim quality` (its perplexity)."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from explorer.commands.arguments import MachineBook, Set, need_count, parse_overrides
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.commands.progress import progress_bar
from explorer.inference.arithmetic import ARITHMETICS, COMPARED, INTEGER_ACTIVATIONS
from explorer.inference.document import inference_document, quality_document
from explorer.inference.infer import infer
from explorer.inference.perplexity import (
    DEFAULT_TOKENS,
    HEADS,
    Case,
    arithmetic_cases,
    kv_cases,
    measure,
    scaling_cases,
)
from explorer.inference.text import read_text
from hwbase import InputError, unknown_name
from models.inference import DEFAULT_MODEL, DEFAULT_WINDOW, KV_FORMATS, SCALINGS, Sampling, parse_ids, weights_path
from models.quantise import is_stored

WeightsFile = Annotated[
    str | None,
    typer.Option(
        "--weights-file",
        help="A GGUF file of your own, a folder of safetensors with a config.json, or one of hwsim quantise.",
    ),
]
ModelOption = Annotated[
    str, typer.Option("--model", help="A model whose weights a package brings, or a path to yours.")
]


def infer_command(
    prompt: Annotated[str, typer.Option("--prompt", help="What to ask.")] = "",
    ids: Annotated[
        str | None, typer.Option("--ids", help="Token ids in place of --prompt; no tokenizer is needed.")
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    arithmetic: Annotated[
        str, typer.Option("--arithmetic", help=f"{', '.join(COMPARED)}, or another format such as nvfp4.")
    ] = "float",
    tokens: Annotated[str, typer.Option("--tokens", help="Most tokens to generate.")] = "64",
    chat: Annotated[bool, typer.Option("--chat/--no-chat", help="Ask as a question, or go on with the text.")] = True,
    scaling: Annotated[
        str | None, typer.Option("--scaling", help=f"Of integer activations: {', '.join(SCALINGS)}.")
    ] = None,
    head: Annotated[str, typer.Option("--head", help="The output head: converted like the rest, or float.")] = HEADS[0],
    kv: Annotated[
        str, typer.Option("--kv", help=f"Format of cached keys and values: {', '.join(KV_FORMATS)}.")
    ] = "float",
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the likeliest token.")] = 0.0,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Sample from the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", help="Sample from the likeliest tokens to p.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the sampling.")] = None,
    weights_file: WeightsFile = None,
    settings: Set = None,
    book: MachineBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Run a real language model in an arithmetic, and the same run on the simulated chip."""
    for name, value in (("--top-k", top_k), ("--top-p", top_p), ("--seed", seed)):
        if value is not None and temperature == 0.0:
            raise InputError(f"{name} {value} has no effect at temperature 0: expected a --temperature above 0")
    if scaling is not None and arithmetic in ARITHMETICS and arithmetic not in INTEGER_ACTIVATIONS:
        raise InputError(
            f"--scaling {scaling} has no effect on {arithmetic}: expected {' or '.join(INTEGER_ACTIVATIONS)}"
        )
    if head not in HEADS:
        raise unknown_name("head", head, HEADS)
    check_file(out)
    quiet = as_json or out is not None

    def write(piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()

    result = infer(
        model,
        arithmetic,
        prompt,
        ids=None if ids is None else parse_ids(ids),
        max_tokens=need_count("tokens", tokens),
        sampling=Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed or 0),
        scaling=scaling or "token",
        float_head=head == "float",
        kv=kv,
        chat=chat,
        path=weights_file,
        book=book,
        set=parse_overrides(settings),
        on_text=None if quiet else write,
    )
    if not quiet:
        sys.stdout.write("\n\n")
    deliver(inference_document(result, made_by()), out, as_json)


def quality_command(
    arithmetic: Annotated[
        list[str] | None,
        typer.Option("--arithmetic", help=f"Only these rows (repeat it): {', '.join(COMPARED)}, nvfp4 ..."),
    ] = None,
    scalings: Annotated[
        bool, typer.Option("--scalings", help="Instead, each way to scale activations, in 8 and 6 bits.")
    ] = False,
    head: Annotated[
        str | None,
        typer.Option("--head", help="The output head: converted, float, or both (converted with --scalings)."),
    ] = None,
    kv: Annotated[
        list[str] | None,
        typer.Option("--kv", help=f"Instead, formats of cached keys and values (repeat it): {', '.join(KV_FORMATS)}."),
    ] = None,
    tokens: Annotated[str, typer.Option("--tokens", help="Tokens scored.")] = str(DEFAULT_TOKENS),
    window: Annotated[str, typer.Option("--window", help="Tokens read in a row.")] = str(DEFAULT_WINDOW),
    text: Annotated[str | None, typer.Option("--text", help="A UTF-8 text of your own.")] = None,
    ids: Annotated[
        str | None, typer.Option("--ids", help="A file of token ids in place of a text; no tokenizer is needed.")
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    weights_file: Annotated[
        list[str] | None,
        typer.Option("--weights-file", help="As in hwsim infer; several folders of hwsim quantise (repeat it)."),
    ] = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """The perplexity of a real language model on real text in each arithmetic."""
    ways = ("both", *HEADS)
    paths = list(weights_file or ())
    weights = weights_path(model, paths[0] if paths else None)
    if ids is not None and text is not None:
        raise InputError("--text and --ids: expected one of them")
    if head is not None and head not in ways:
        raise unknown_name("head", head, ways)
    cases: Sequence[Case] | None
    if kv:
        if scalings or head is not None:
            raise InputError("--kv measures formats of keys and values alone: expected no --scalings and no --head")
        cases = kv_cases(kv, arithmetic or ("float",))
    elif scalings:
        if head == "both" or len(arithmetic or ()) > 1:
            raise InputError("--scalings measures one arithmetic with one kind of head: expected one of each")
        cases = scaling_cases(*(arithmetic or ()), float_head=head == "float")
    elif (len(paths) > 1 or is_stored(weights)) and arithmetic is None and head is None:
        cases = None
    else:
        cases = arithmetic_cases(arithmetic or COMPARED, HEADS if head in (None, "both") else (head,))
    check_file(out)
    size, length = need_count("tokens", tokens), need_count("window", window)
    content = None if text is None else read_text(text)
    tokens_given = None if ids is None else parse_ids(read_text(ids))
    with progress_bar() as report:
        source = Path(text or ids or "").name
        result = measure(
            cases,
            tokens=size,
            window=length,
            text=content,
            source=source,
            path=paths if len(paths) > 1 else weights,
            ids=tokens_given,
            report=report,
        )
    deliver(quality_document(result, made_by()), out, as_json)
