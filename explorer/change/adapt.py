"""Ways to keep a hardwired model useful: adapters, a draft, a cascade, and prompts that GPUs read.

A cascade lets a small hardwired model answer and defers a share of the tokens to the large one (Dohan et al., Language
Model Cascades, arXiv 2207.10342): the small one works for all of them. Where GPUs read prompts, their cache crosses a
network port of the hardwired system, which then decodes alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import costmodel
import hwsim
import models
from explorer.change.book import change_book, split_books
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import PAPER_MODEL, CostAnswer, cost
from explorer.pricing.prices import Convention, Machine, card
from hwbase import Book, InputError, Quantity
from hwbase.arguments import checked
from hwbase.books import refuse_unread
from hwbase.check import fraction, positive
from hwbase.values import read_integer
from hwsim import additions
from hwsim.accelerator import load_accelerator
from hwsim.gpu.pools import prompt_pool
from hwsim.gpu.rate import split_groups
from hwsim.simulation import hardwired
from hwsim.weight_fabrics import fabric_book
from models import kv_bytes_per_sequence

if TYPE_CHECKING:
    import pandas as pd

_KG_PER_T = 1e3


@dataclass(frozen=True)
class Adaptations(Documented):
    """A row for each way, beside the plain machine, and rows of a service whose prompts are read elsewhere."""

    model: str
    small: str
    device: str
    context: int
    prompt_tokens: int
    output_tokens: int
    rows: tuple[dict[str, Any], ...]
    services: tuple[dict[str, Any], ...]
    """Of requests with prompts: all hardwired, prompts on GPUs, all on GPUs."""
    break_even_share: float | None
    """Share deferred at which a cascade costs as much as the large model alone; None without a small one."""
    notes: tuple[str, ...]
    assumptions: dict[str, Quantity] = field(repr=False)

    def to_frame(self) -> "pd.DataFrame":
        """Return the ways as a frame."""
        import pandas as pd

        return pd.DataFrame([*self.rows, *self.services])

    def document(self, command: str = "") -> Document:
        """Return the ways as a document."""
        from explorer.change.adapt_document import adapt_document

        return adapt_document(self, command)


@checked
def adapt(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    small: str | models.LLMSpec | None = None,
    adapter_memory: str = "sram",
    volume: int = 50,
    convention: Convention = "corrected",
    context: int = 2048,
    prompt_tokens: int = 1024,
    output_tokens: int = 1024,
    on: Machine = hwsim.DEFAULT_MACHINE,
    beside: Machine | None = None,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
) -> Adaptations:
    """Return tokens/s, energy, silicon, dollars and carbon of each way to keep a hardwired model useful.

    Parameters
    ----------
    model : str or LLMSpec
        The model in silicon.
    small : str or LLMSpec, optional
        A smaller model of the same vocabulary: the draft, and the one that answers first in a cascade. Neither is
        counted without it.
    adapter_memory : str
        "sram" or "hbm".
    volume, convention, context, on, beside, technology, weights, book
        As in `explorer.cost`.
    prompt_tokens, output_tokens : int
        Of the service whose prompts are read on GPUs.
    set : mapping of str to number, array or str
        Constants to override, of the books of changes, fabrics, costs, machines and technologies.

    Returns
    -------
    Adaptations

    Raises
    ------
    InputError
        For invalid input, and a small model of another vocabulary.

    Examples
    --------
    >>> result = adapt("gpt-oss-120b", small="gpt-oss-20b")
    >>> [row["way"] for row in result.rows]
    ['plain', 'adapters', 'draft', 'cascade']
    """
    spec = models.spec_of(model)
    other = None if small is None else models.spec_of(small)
    if other is not None and other.vocab_size != spec.vocab_size:
        raise InputError(
            f"small = {other.name} has a vocabulary of {other.vocab_size:,} tokens, {spec.name} of "
            f"{spec.vocab_size:,}: expected the same"
        )
    prompt_tokens = read_integer("prompt_tokens", prompt_tokens, high=hwsim.MOST_CONTEXT)
    output_tokens = read_integer("output_tokens", output_tokens, high=hwsim.MOST_CONTEXT)
    of_change, of_fabrics, rest = split_books(set or {}, change_book(), fabric_book())
    read, read_fabrics = change_book().override(of_change).reader(), fabric_book().override(of_fabrics).reader()
    common: dict[str, Any] = {
        "volume": volume,
        "convention": convention,
        "on": on,
        "beside": beside,
        "technology": technology,
        "weights": weights,
        "book": book,
        "set": rest,
    }
    answer = cost(spec, context=context, **common)
    process, machine = hwsim.technology_book(technology), hwsim.design_book(on)
    own = {name: value for name, value in rest.items() if name in machine.settable() or name in process}
    design, made, used = hardwired(spec, weights=weights, technology=process, book=machine, set=own)
    plain = additions.plain_machine(spec, design, made, context=context)
    adapters = additions.with_adapters(
        spec,
        design,
        made,
        rank=read("adapter.rank", "1"),
        memory=adapter_memory,
        kept=read("adapter.kept", "1"),
        element_bytes=read("adapter.element_bytes", "B"),
        hbm_read_j_per_bit=read_fabrics("dram.read_j_per_bit", "J") if adapter_memory == "hbm" else 0.0,
        context=context,
    )
    rows = [_row(answer, "plain", plain, design), _row(answer, "adapters", adapters, design)]
    break_even = None
    if other is not None:
        tokens, acceptance = read("draft.tokens", "token"), read("draft.acceptance", "1")
        draft = additions.with_draft(spec, other, design, made, tokens=tokens, acceptance=acceptance, context=context)
        rows.append(_row(answer, "draft", draft, design))
        lesser = cost(other, context=context, **common)
        small_design, small_made, _ = hardwired(other, weights=weights, technology=process, book=machine, set=own)
        first = _row(
            lesser, "small", additions.plain_machine(other, small_design, small_made, context=context), small_design
        )
        share = fraction("cascade.deferred_share", read("cascade.deferred_share", "1"))
        rows.append(_cascade(rows[0], first, share))
        break_even = 1.0 - first["usd_per_million_tokens"] / rows[0]["usd_per_million_tokens"]
    served = cost(spec, prompt_tokens=prompt_tokens, output_tokens=output_tokens, **common)
    bought = hwsim.machine_book(answer.device if beside is None else beside)
    services = _services(answer, served, spec, design, made, bought, read("split.link_bytes_per_s", "B/s"))
    assumptions = answer.assumptions | served.assumptions | used | read.used | read_fabrics.used
    refuse_unread(set or {}, assumptions)
    return Adaptations(
        model=spec.name,
        small="" if other is None else other.name,
        device=answer.device,
        context=context,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        rows=tuple(rows),
        services=services,
        break_even_share=break_even,
        notes=answer.notes,
        assumptions=assumptions,
    )


def _row(answer: CostAnswer, way: str, machine: additions.Machine, design: hwsim.HardwiredDesign) -> dict[str, Any]:
    """Return the figures of a machine, priced as `answer` is."""
    rate, chips = float(machine.tokens_per_s), int(design.chips)
    system = costmodel.System(
        chips=chips,
        die_area_mm2=float(machine.die_area_mm2),
        hbm_gb_per_chip=answer.inputs["hbm_gb_per_chip"],
        chip_power_w=float(machine.power_w) / chips / float(design.power_overhead),
        node=answer.node,
        links_usd_per_chip=answer.inputs["links_usd_per_chip"],
        own_masks=answer.inputs.get("own_masks"),
    )
    fleet = costmodel.built_fleet(
        answer.book.at(answer.conventions.headline),
        system,
        volume=answer.volume,
        tokens_per_s=rate,
        card=card(),
        respins=0,
        conventions=answer.conventions,
    )
    return {
        "way": way,
        "tokens_per_s": rate,
        "latency_alone_s": float(machine.latency_alone_s),
        "energy_j_per_token": float(machine.energy_j_per_token),
        "die_area_mm2": float(machine.die_area_mm2),
        "silicon_mm2": float(machine.die_area_mm2) * chips,
        "fits_reticle": machine.fits_reticle,
        "usd_per_million_tokens": float(fleet.tco.static_usd_per_million_tokens),
        "kg_per_million_tokens": float(fleet.carbon.static_t / fleet.carbon.million_tokens) * _KG_PER_T,
    }


def _cascade(large: Mapping[str, Any], small: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Return a machine of each model, as many as balance: the small one answers all, the large one `share`."""
    rates = small["tokens_per_s"], *([large["tokens_per_s"] / share] if share > 0.0 else [])
    summed = ("latency_alone_s", "energy_j_per_token", "usd_per_million_tokens", "kg_per_million_tokens")
    row = {name: small[name] + share * large[name] for name in summed}
    return {
        **large,
        **row,
        "way": "cascade",
        "tokens_per_s": min(rates),
        "die_area_mm2": max(small["die_area_mm2"], large["die_area_mm2"]),
        "silicon_mm2": small["silicon_mm2"] + large["silicon_mm2"],
        "fits_reticle": small["fits_reticle"] and large["fits_reticle"],
    }


def _services(
    decoding: CostAnswer,
    served: CostAnswer,
    spec: models.LLMSpec,
    design: hwsim.HardwiredDesign,
    made: hwsim.Technology,
    bought: Book,
    link: Any,
) -> tuple[dict[str, Any], ...]:
    """Return requests served by hardwired chips, with prompts on GPUs, and by GPUs; for a million output tokens."""
    work, pair = served.workload, served.pair
    hard_s = float(served.inputs["tokens_per_s"])
    rows = [
        _service("all hardwired", hard_s, pair.hardwired, pair.hardwired_carbon),
        _service("all on GPUs", float(served.book[f"{served.device}.tokens_per_s"].nominal), pair.gpu, pair.gpu_carbon),
    ]
    if bought.kind != "gpu":
        return tuple(rows)
    device = load_accelerator(bought)
    prompt = np.array([float(work.prompt_tokens)])
    pool = prompt_pool(spec, device, split_groups(spec, device), prompt)
    speed = served.book.value("service.gpu_speed_factor", "1")
    gpu_s = float(pool.gpu_s[0]) / float(np.asarray(speed))
    if not np.isfinite(gpu_s):
        return tuple(rows)
    # Decoding at the mean context of an answer, within what the network port lets in.
    at = hwsim.simulate_hardwired(spec, design, made, context=int(work.mean_context), reading="pipelined")
    cache = kv_bytes_per_sequence(spec, int(work.prompt_tokens), design.kv_element_bytes)
    rate = min(float(at.tokens_per_s), float(positive("split.link_bytes_per_s", link)) / cache * work.output_tokens)
    fleet, gas = decoding.pair.hardwired, decoding.pair.hardwired_carbon
    slower = float(decoding.inputs["tokens_per_s"]) / rate
    device_rate = float(decoding.book[f"{decoding.device}.tokens_per_s"].nominal)
    # A GPU second costs what its tokens do while it decodes.
    gpu_million = gpu_s / float(work.output_tokens) * device_rate
    usd = fleet.static_usd_per_million_tokens * slower + gpu_million * decoding.pair.gpu.static_usd_per_million_tokens
    kg = _kg(gas) * slower + gpu_million * _kg(decoding.pair.gpu_carbon)
    rows.insert(
        1,
        {
            "way": "prompts on GPUs",
            "tokens_per_s": rate,
            "gpus_per_system": gpu_s * rate / float(work.output_tokens),
            "link_bytes_per_s": cache * rate / float(work.output_tokens),
            "usd_per_million_tokens": float(usd),
            "kg_per_million_tokens": float(kg),
        },
    )
    return tuple(rows)


def _service(way: str, rate: float, paid: costmodel.Tco, emitted: costmodel.Carbon) -> dict[str, Any]:
    return {
        "way": way,
        "tokens_per_s": rate,
        "gpus_per_system": None,
        "link_bytes_per_s": None,
        "usd_per_million_tokens": float(paid.static_usd_per_million_tokens),
        "kg_per_million_tokens": _kg(emitted),
    }


def _kg(emitted: costmodel.Carbon) -> float:
    return float(emitted.static_t / emitted.million_tokens) * _KG_PER_T
