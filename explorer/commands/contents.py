"""The commands of `hwsim` under the headings of its help: where each is, and one line on what it answers."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A command: what is typed, its `module:function` in this package (none for a group), one line of help."""

    name: str
    target: str
    help: str


ABOUT = "What if we built this chip for this model: how fast, how much energy, silicon, dollars and carbon?"

COMMANDS: dict[str, tuple[Entry, ...]] = {
    "Answers": (
        Entry("report", "report:report_command", "Speed, energy, silicon, dollars and carbon: a summary and a page."),
        Entry("simulate", "simulate:simulate_command", "Speed, latency, energy and what binds; also under traffic."),
        Entry("cost", "cost:cost_command", "Dollars and carbon of a fleet, beside the GPUs that match it."),
        Entry("limits", "limits:limits_command", "Longest context, most users and best rate within promises."),
        Entry("compare-serving", "compare_serving:compare_serving_command", "A trace on one machine and on GPUs."),
        Entry("scan", "scan:scan_command", "Cost of scanning an index of codes on engines, servers and GPUs."),
    ),
    "Choices": (
        Entry("design", "design:design_command", "The machine to build: mapping, chips and parts, sought together."),
        Entry("fabrics", "fabrics:fabrics_command", "Metal, ROM, vias, SRAM or DRAM for weights: area, cycles, masks."),
        Entry("respins", "respins:respins_command", "How often to put a newer model into silicon: dollars, carbon."),
        Entry("layers", "layers:layers_command", "Metal layers for weights: silicon against masks, in dollars."),
        Entry("adapt", "adapt:adapt_command", "Adapters, drafts, cascades and GPUs beside frozen weights."),
        Entry("study", "", "Vary anything: sample or search a design space, see the front, resume."),
        Entry("uncertainty", "uncertainty:uncertainty_command", "Percentiles of an answer, and its drivers."),
        Entry("break-even", "uncertainty:break_even_command", "Where hardwiring begins to pay, with bands."),
        Entry("allocate", "allocate:allocate_command", "Bits for each layer: least loss within budgets, with a bound."),
        Entry("hardwire", "hardwire:hardwire_command", "Least silicon, masks and dollars at a perplexity floor."),
    ),
    "Real models": (
        Entry("infer", "inference:infer_command", "Run a language model in an arithmetic, here and on the chip."),
        Entry("quantise", "quantise:quantise_command", "Round weights so that a model keeps its quality; to a folder."),
        Entry("quality", "inference:quality_command", "Perplexity of a model in each arithmetic."),
        Entry("sensitivity", "precision:sensitivity_command", "Loss of rounding each layer alone, measured."),
        Entry("fronts", "precision:fronts_command", "Spend budgets of bits by several schemes, and measure each."),
        Entry("wiring", "wiring:wiring_command", "Weights as wires: slack, tracks, and the effect of broken wires."),
        Entry("retrieve", "", "Search text by embeddings kept in few bits."),
    ),
    "Evidence": (
        Entry("reproduce", "reproduce:reproduce_command", "Published figures and ours; exit 1 if one misses."),
        Entry("compare-tools", "compare_tools:compare_tools_command", "One die through the formulas of other tools."),
        Entry("audit", "", "Circuit models against synthesis, and against real data."),
        Entry("assumptions", "assumptions:assumptions_command", "Constants of a book: range, unit, year, source."),
        Entry("machines", "machines:machines_command", "The machines that models can run on."),
        Entry("models", "models:models_command", "The models that are known by name, or all about one."),
    ),
}

#: The commands of each group.
GROUPS: dict[str, tuple[Entry, ...]] = {
    "study": (
        Entry("list", "study:list_command", "The studies that come with hwsim."),
        Entry("run", "study:run_command", "Evaluate every point of a study; resumes one begun earlier."),
        Entry("show", "study:show_command", "Result of a study: counts, failures, the front and its knee."),
        Entry("why", "study:why_command", "Which points of the front beat a point, and by how much."),
    ),
    "retrieve": (
        Entry("build", "retrieve:build_command", "Embed documents, code them and write an index."),
        Entry("query", "retrieve:query_command", "Find the nearest documents of an index."),
        Entry("eval", "retrieve:eval_command", "Score codecs on judged queries."),
        Entry("study", "retrieve:study_command", "Quality against bits and dollars: every codec on real text."),
        Entry(
            "limit", "retrieval_limit:limit_command", "Which sets of best documents so many dimensions or bits express."
        ),
    ),
    "audit": (
        Entry("neuron", "audit:neuron_command", "Simulate and synthesise a hardwired neuron beside its model."),
        Entry("timing", "audit:timing_command", "Fastest clock of a neuron by its stages, and what a clock costs."),
        Entry("layout", "audit:layout_command", "Place and route neurons with open cells: area, wire, checks."),
        Entry("activity", "audit:activity_command", "How often wires and cells switch on a real model's data."),
    ),
}

#: Options of `hwsim` itself.
OPTIONS = {
    "--version": "Print the version.",
    "--install-completion": "Install completion of commands and options for this shell.",
    "--show-completion": "Print the completion of this shell, to copy or change it.",
    "--help": "Show this message. Every command has its own: hwsim COMMAND --help.",
}
