"""`hwsim simulate`: a model on a machine, in closed form or, with `--events`, under traffic."""

import dataclasses
from typing import Annotated, Any

import typer
from rich.console import Console

import hwsim
from explorer.commands.arguments import (
    Context,
    MachineBook,
    Model,
    OwnReading,
    Set,
    Technology,
    Weights,
    need_count,
    parse_count,
    parse_overrides,
    split_names,
)
from explorer.commands.output import (
    AsJson,
    OutRun,
    check_file,
    check_kept,
    check_out,
    deliver,
    emit,
    made_by,
    write_out,
)
from explorer.commands.progress import progress_bar
from explorer.documents.simulation import cycles_of, cycles_section, simulation_document, simulations_document
from explorer.documents.terminal import show
from explorer.npu.answer import need_array, simulate_network
from explorer.npu.document import cycles_table, decoding_cycles, network_document
from explorer.npu.networks import is_network
from explorer.serving.document import serving_document
from explorer.serving.folder import serving_files
from explorer.serving.traffic import traffic_from
from hwbase import InputError, unknown_name
from hwbase.books import refuse_unread
from hwsim.accelerator import DEFAULT_ENGINE, engines
from hwsim.events.faults import KINDS, Fault
from hwsim.events.fleet import ROUTERS
from hwsim.events.gpu.node import NODE_GPUS
from hwsim.events.recording import Recording
from hwsim.events.scheduling import POLICIES, Scheduling
from hwsim.events.serve import GRAINS
from hwsim.npu.decoding import npu_machine
from hwsim.npu.design import KIND
from hwsim.technology import DEFAULT_TECHNOLOGY


def parse_fault(text: str) -> Fault:
    """Return a fault written as kind,name=value,...: "link,at_s=10,chip=0,peer=1". Raises `InputError`.

    Names are the fields of `hwsim.events.faults.Fault`.
    """
    kind, *parts = (part.strip() for part in text.split(","))
    if kind not in KINDS:
        raise unknown_name("fault", kind, KINDS)
    fields = {field.name: field for field in dataclasses.fields(Fault) if field.name != "kind"}
    values: dict[str, Any] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in fields:
            raise unknown_name(f"part of --fault {text!r}:", name, fields)
        if name == "stop":
            if value not in ("", "true", "false"):
                raise InputError(f"--fault {text!r}: stop = {value!r}: expected true or false")
            values[name] = value != "false"
            continue
        try:
            values[name] = int(value) if name in ("chip", "peer") else float(value)
        except ValueError:
            raise InputError(f"--fault {text!r}: {name} = {value!r}: expected a number") from None
    for name in ("at_s", "chip"):
        if name not in values:
            raise InputError(f"--fault {text!r}: {name} is missing: expected such as link,at_s=10,chip=0,peer=1")
    return Fault(kind, **values)


#: The recorded time of a detailed simulation: long enough for one token to pass all layers.
_RECORDED_S = 40e-6
#: Exit status after an interrupt, as in shells.
INTERRUPTED = 130


#: The kinds of machine that take an option; the other machines of a list do without it.
_KINDS_OF = dict.fromkeys(("reading", "sliding_window", "weights"), ("hardwired",)) | {
    "technology": ("hardwired", "npu"),
    "allocation": ("npu",),
    "gpus": ("gpu", "wafer"),
    "engine": ("gpu",),
}


def _taken_by(machine: str, options: dict[str, Any], machines: list[str]) -> dict[str, Any]:
    """Return the options that a machine takes; a single machine gets all, and refuses those that do not apply."""
    if len(machines) == 1:
        return options
    kind = hwsim.machine_book(machine).kind
    return {name: value for name, value in options.items() if kind in _KINDS_OF.get(name, (kind,))}


def simulate_command(
    model: Model,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            help="A machine of `hwsim machines`, or the book (TOML) of one; several, a,b,c, side by side.",
        ),
    ] = hwsim.DEFAULT_MACHINE,
    context: Context = "2048",
    batch: Annotated[str | None, typer.Option("--batch", help="Sequences decoded together.")] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", help="Prompt length for the time to first token.")] = None,
    reading: OwnReading = None,
    window: Annotated[
        bool | None, typer.Option("--window/--no-window", help="Respect sliding windows (default: by reading).")
    ] = None,
    weights: Weights = "fp4",
    technology: Technology = DEFAULT_TECHNOLOGY,
    allocation: Annotated[
        str | None,
        typer.Option("--allocation", help="Bits of each layer, as allocate --out writes them (spatial accelerators)."),
    ] = None,
    cycles: Annotated[
        bool, typer.Option("--cycles", help="Cycles by resource; of accelerators, of each layer by cause.")
    ] = False,
    events: Annotated[
        str | None, typer.Option("--events", help=f"Simulate requests, one by one: {' or '.join(GRAINS)}.")
    ] = None,
    traffic: Annotated[
        str | None, typer.Option("--traffic", help="CSV of arrival, prompt and output tokens, a line a request.")
    ] = None,
    time_scale: Annotated[float, typer.Option("--time-scale", help="Times of the file are multiplied by it.")] = 1.0,
    limit: Annotated[str | None, typer.Option("--limit", help="Only the file's first requests.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Requests a second, without a file.")] = None,
    burstiness: Annotated[
        float, typer.Option("--burstiness", help="Variation of the gaps: 1 is Poisson, more is bursts.")
    ] = 1.0,
    users: Annotated[
        str | None, typer.Option("--users", help="So many users, each sending when answered, without a rate.")
    ] = None,
    think_s: Annotated[float, typer.Option("--think", help="Seconds a user takes to send again.")] = 0.0,
    requests: Annotated[str, typer.Option("--requests", help="Requests, without a file.")] = "1000",
    prompt_tokens: Annotated[str, typer.Option("--prompt-tokens", help="Of every request, without a file.")] = "1024",
    output_tokens: Annotated[str, typer.Option("--output-tokens", help="Of every request, without a file.")] = "1024",
    seed: Annotated[int, typer.Option("--seed", help="Of drawn arrivals.")] = 0,
    policy: Annotated[str, typer.Option("--policy", help=f"Order of waiting: {' or '.join(POLICIES)}.")] = POLICIES[0],
    prefill_cap: Annotated[
        str | None, typer.Option("--prefill-cap", help="Most prompt tokens read beside decoding.")
    ] = None,
    max_context: Annotated[
        str | None, typer.Option("--max-context", help="Requests with more tokens are rejected.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="A fault (hardwired machines): link,at_s=10,chip=0,peer=1.")
    ] = None,
    record_at: Annotated[
        float | None, typer.Option("--record-at", help="Second from which the detailed grain is recorded for --out.")
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            "--gpus", help=f"GPUs or wafers that share the model; by default the fewest, {NODE_GPUS} in events."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help=f"Serving engine of GPUs: {', '.join(engines())}.")
    ] = DEFAULT_ENGINE,
    machines: Annotated[str, typer.Option("--machines", help="Equal machines behind a router.")] = "1",
    router: Annotated[str, typer.Option("--router", help=f"{' or '.join(ROUTERS)}.")] = ROUTERS[0],
    settings: Set = None,
    book: MachineBook = None,
    as_json: AsJson = False,
    out: OutRun = None,
) -> None:
    """Speed, latency, energy, size and what binds; with --events what users feel under traffic (--out: a folder)."""
    overrides = parse_overrides(settings)
    if events is None:
        check_file(out)
        if traffic is not None or rate is not None or users is not None:
            raise InputError("--traffic, --rate and --users need --events: expected --events service or detailed")
        machines_named = split_names(on)
        if is_network(model):
            machine = book or on
            need_array(hwsim.machine_book(machine).kind, machine, model)
            network = simulate_network(
                model,
                machine,
                batch=parse_count("batch", batch) or 1,
                technology=technology,
                allocation=allocation,
                set=overrides,
            )
            deliver(network_document(network, made_by(), cycles=cycles), out, as_json)
            return
        if len(machines_named) > 1 and book is not None:
            raise InputError("--book is the book of one machine: expected --on with one, or the books' paths in --on")
        options: dict[str, Any] = {
            "context": need_count("context", context),
            "batch": parse_count("batch", batch),
            "prompt": parse_count("prompt", prompt),
            "gpus": parse_count("gpus", gpus),
            "engine": engine,
            "reading": reading,
            "sliding_window": window,
            "weights": weights,
            "technology": technology,
            "allocation": allocation,
            "book": book,
            "set": overrides,
        }
        results = [hwsim.simulate(model, name, **_taken_by(name, options, machines_named)) for name in machines_named]
        refuse_unread(overrides, *(result.assumptions for result in results))
        if len(results) > 1:
            if cycles:
                raise InputError("--cycles is of one machine: expected --on with one")
            deliver(simulations_document(results, made_by()), out, as_json)
            return
        result = results[0]
        if not cycles:
            deliver(simulation_document(result, made_by()), out, as_json)
            return
        counted = cycles_of(result)
        tables = []
        if result.kind == KIND:
            accelerator = npu_machine(book or on, technology=technology, set=overrides)
            step = decoding_cycles(model, accelerator, result, allocation)
            tables.append(cycles_table(step))
            counted["layers"] = step.to_frame().to_dict(orient="records")
        document = simulation_document(result, made_by(), [cycles_section(result, *tables)])
        deliver(dataclasses.replace(document, data=lambda: result.to_dict() | {"cycles": counted}), out, as_json)
        return
    if len(split_names(on)) > 1:
        raise InputError(f"--on {on!r}: expected one machine with --events; hwsim compare-serving takes two")
    if events not in GRAINS:
        raise unknown_name("--events", events, GRAINS)
    # Check before the simulation, which may take long.
    check_kept(out, traffic)
    check_out(out)
    longest = parse_count("max_context", max_context)
    sent = traffic_from(
        traffic,
        time_scale=time_scale,
        limit=parse_count("limit", limit),
        rate_per_s=rate,
        burstiness=burstiness,
        users=parse_count("users", users),
        think_s=think_s,
        requests=need_count("requests", requests),
        prompt_tokens=need_count("prompt_tokens", prompt_tokens),
        output_tokens=need_count("output_tokens", output_tokens),
        seed=seed,
        max_context=longest,
    )
    recording = None
    if record_at is not None and (events != "detailed" or out is None):
        raise InputError("--record-at needs --events detailed and a folder to write (--out)")
    hardwired = hwsim.machine_book(book or on).kind == "hardwired"
    if events == "detailed" and out is not None and hardwired:
        # By default at the middle request, when the machine is busy.
        start_s = float(sent.arrival_s[len(sent) // 2]) if record_at is None else record_at
        recording = Recording(start_s, start_s + _RECORDED_S)
    with progress_bar() as report:
        served = hwsim.serve(
            model,
            sent,
            on,
            grain=events,
            gpus=parse_count("gpus", gpus) or NODE_GPUS,
            engine=engine,
            machines=need_count("machines", machines),
            route=router,
            scheduling=Scheduling(policy, parse_count("prefill_cap", prefill_cap), longest),
            faults=[parse_fault(each) for each in fault or ()],
            record=recording,
            sliding_window=window,
            weights=weights,
            technology=technology,
            book=book,
            set=overrides,
            progress=lambda done, total, now_s: report(f"{now_s:,.0f} s simulated", done, total),
        )
    document = serving_document(served, made_by(), recording)
    if out is not None:
        write_out(out, document, lambda: serving_files(served, document, recording))
    if as_json:
        emit(served.summary(), "serve")
    else:
        show(Console(), document)
        if out is not None:
            Console().print(f"wrote {out}", highlight=False, soft_wrap=True)
    if served.interrupted:
        raise typer.Exit(INTERRUPTED)
