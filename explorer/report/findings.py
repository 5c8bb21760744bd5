"""Findings on the published claims, as sentences made from results."""

from collections.abc import Mapping

import hwsim
import models
from explorer.documents.document import Note
from explorer.documents.theme import machine_name
from explorer.pricing.economics import PAPER_MODEL, CostAnswer, cost
from hwbase.numbers import words

#: Contexts of Figure 14 whose published shares are compared with the machine's resources.
_SHORT, _LONG, _LONGEST = 2048, 65536, 262144
#: Largest share of tracks that the paper states for its wires.
_ROUTED = 0.7
#: The conventions that notes compare.
_NOTED = {"as-published", "corrected"}
#: The process whose adders synthesis uses.
_SYNTHESISED = "n5-synthesised"


def findings(
    spec: models.LLMSpec,
    design: hwsim.HardwiredDesign,
    technology: hwsim.Technology,
    published: hwsim.SimResult,
    pipelined: hwsim.SimResult,
    costs: Mapping[str, CostAnswer],
    events: bool = False,
) -> tuple[Note, ...]:
    """Return the notes of the report; for the paper's own model they test its claims.

    `costs` are by the name of their conventions; notes that compare the published and corrected ones need both.
    With `events` the claims are also simulated request by request.
    """
    notes = [_pipeline(published, pipelined)]
    if not costs.keys() >= _NOTED:
        return tuple(notes)
    notes.append(_economics(costs))
    if (spec.name, published.machine) == (PAPER_MODEL, hwsim.DEFAULT_MACHINE):
        notes = [
            _reading(published),
            *notes,
            _contexts(spec, design, technology),
            _economics_throughput(pipelined, costs),
            *([_served(spec, design, technology)] if events else []),
            _density(spec, design, technology, costs),
        ]
    return tuple(notes)


def _reading(published: hwsim.SimResult) -> Note:
    links = published.occupancy_s["links"]
    return Note(
        "Which reading explains 249,960 tokens/s",
        f"It is a sum of occupancies. Messages of 2 bytes an element over one column link take {links * 1e6:.3f} us a "
        f"token, {published.breakdown['communication']:.1%} of {published.interval_s * 1e6:.3f} us; adding (not "
        "overlapping) each token's time on the HN arrays and the VEX gives "
        f"{published.tokens_per_s:,.0f} tokens/s. The link part follows from the message list alone; the rest rests "
        "on three constants fitted to Figure 14.",
    )


def _pipeline(published: hwsim.SimResult, pipelined: hwsim.SimResult) -> Note:
    faster = pipelined.tokens_per_s / published.tokens_per_s
    return Note(
        "The speed of a real pipeline",
        f"It overlaps its resources and runs at the rate of the slowest, {words(pipelined.bound_by)}, at "
        f"{pipelined.tokens_per_s:,.0f} tokens/s ({faster:.2f}x the summed reading) with "
        f"{pipelined.latency_s * 1e6:,.0f} us between the tokens of one sequence, nothing fitted.",
    )


def _contexts(spec: models.LLMSpec, design: hwsim.HardwiredDesign, technology: hwsim.Technology) -> Note:
    lines = []
    for context in (_LONG, _LONGEST):
        claimed = hwsim.simulate_hardwired(spec, design, technology, context=context)
        real, windowed = (
            hwsim.simulate_hardwired(
                spec, design, technology, context=context, reading="pipelined", sliding_window=window
            )
            for window in (False, True)
        )
        kv = next(check for check in claimed.checks if check.name == "KV in HBM")
        lines.append(
            f"At {context // 1024}K the published shares imply {claimed.tokens_per_s:,.0f} tokens/s; one VEX a chip "
            f"at its stated rate allows {real.tokens_per_s:,.0f} ({windowed.tokens_per_s:,.0f} with the model's "
            f"sliding windows), and {claimed.batch:.0f} sequences keep {kv.demand / 1e12:.2f} TB of keys and values "
            f"against {kv.capacity / 1e12:.2f} TB of HBM."
        )
    lines.append(
        "The 2K column holds. Figure 14's attention time needs a VEX "
        f"{design.published_vex_speedup:.0f} times faster than stated, or a batch far smaller than the slots."
    )
    return Note("Which claims do not survive a resource check", " ".join(lines))


def _economics_throughput(pipelined: hwsim.SimResult, costs: Mapping[str, CostAnswer]) -> Note:
    used = costs["as-published"].inputs["tokens_per_s"]
    links_s = pipelined.occupancy_s["links"]
    return Note(
        "The throughput behind the economics",
        f"As published, a system generates {used:,.0f} tokens/s (1K/1K in the paper). Every token, prefill included, "
        f"crosses the links, which pass {1.0 / links_s:,.0f} a second: {used * links_s:.1f} times the capacity is "
        "needed.",
    )


def _served(spec: models.LLMSpec, design: hwsim.HardwiredDesign, technology: hwsim.Technology) -> Note:
    from explorer.papers.hnlpu_serving import SEQUENCES, one_k_in_and_out, sequences_at

    at_2k = sequences_at(spec, design, technology, _SHORT)
    at_64k = sequences_at(spec, design, technology, _LONG)
    economics = one_k_in_and_out(spec, design, technology)
    middle, tail = at_2k.percentiles((50, 99)).loc["time per output token"].to_numpy()
    return Note(
        "The claims, simulated request by request",
        f"By events, {SEQUENCES} sequences that decode about 2K get {at_2k.output_tokens_per_s:,.0f} tokens/s, "
        f"{_busiest(at_2k)}, with {middle * 1e6:,.0f} us between the tokens of one (99 %: {tail * 1e6:,.0f} us); about "
        f"64K {at_64k.output_tokens_per_s:,.0f} tokens/s, {_busiest(at_64k)}. At 1K/1K with a user for every slot the "
        f"machine moves {economics.tokens_per_s:,.0f} tokens/s, prompts counted, of which "
        f"{economics.output_tokens_per_s:,.0f} are output; {_busiest(economics)}.",
    )


def _busiest(run: hwsim.ServingResult) -> str:
    name, share = max(run.utilisation.items(), key=lambda item: item[1])
    return f"{name} busy {share:.0%} of the time"


def _economics(costs: Mapping[str, CostAnswer]) -> Note:
    first, second = (costs[name].comparison for name in ("as-published", "corrected"))
    papers, best = (f"{machine_name(costs[name].device)}s" for name in ("as-published", "corrected"))
    ours = second.nominal
    return Note(
        "The effect of the conventions",
        f"As published, {first.gpus:,.0f} {papers} match {costs['as-published'].volume} systems, cost "
        f"{first.high.tco_ratio:,.3g} to {first.low.tco_ratio:,.3g} times as much and emit "
        f"{first.low.carbon_ratio:,.4g} times the carbon. With the simulated throughput of the pipelined reading and "
        f"corrected conventions {second.gpus:,.0f} {best} match, cost {ours.tco_ratio:,.3g} times as much at nominal "
        f"prices and emit {ours.carbon_ratio:,.3g} times the carbon.",
    )


def _density(
    spec: models.LLMSpec,
    design: hwsim.HardwiredDesign,
    technology: hwsim.Technology,
    costs: Mapping[str, CostAnswer],
) -> Note:
    """Return the note on the machine at the density of synthesis in place of that of the paper's tables."""
    mapped = hwsim.load_technology(_SYNTHESISED)
    chip = hwsim.build_chip(spec, design, technology)
    fitted, counted = chip.block("HN array").area_mm2, hwsim.hn_array(spec, design, mapped)[0]
    fmt = hwsim.weight_format(design.weight_format, mapped)
    size = spec.hidden_size
    neuron = hwsim.metal_embedding(size, size, fmt, mapped, slack=design.popcnt_slack)
    gain = hwsim.cell_embedding(size, size, fmt, mapped).area_mm2 / neuron.area_mm2
    ours = costs["corrected"]
    larger = cost(spec, volume=ours.volume, convention="corrected", technology=_SYNTHESISED)
    slice_inputs = hwsim.largest_slice(_ROUTED, fitted / chip.hn_weights * 1e6, technology)
    return Note(
        "The density of the HN array, and a lower one",
        f"Synthesis confirms the gate counts: {neuron.transistors_per_weight:.1f} transistors a weight "
        f"of this neuron, its {design.popcnt_slack:.1%} spare ports included, "
        f"Metal-Embedding {gain:.1f} times denser than Cell-Embedding (the paper: 11, and 15). At "
        f"{mapped.logic_density_mtr_per_mm2:.0f} MTr/mm2 the HN array takes {counted:,.0f} mm2 a chip instead of "
        f"{fitted:,.0f}, so the machine has {larger.inputs['chips']} chips instead of {design.chips}, and with "
        f"corrected conventions matching GPUs cost {larger.comparison.nominal.tco_ratio:,.3g} times as much "
        f"({ours.comparison.nominal.tco_ratio:,.3g} at the published density) and emit "
        f"{larger.comparison.nominal.carbon_ratio:,.3g} times the carbon "
        f"({ours.comparison.nominal.carbon_ratio:,.3g}). Below 70 % of the tracks of M8 to M11 the regions of a neuron "
        f"must repeat in slices of about {slice_inputs:.0f} inputs.",
    )
