"""`hwsim cost`: dollars and carbon of a fleet of hardwired machines."""

from costmodel.conventions import named
from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    FabRegion,
    Machines,
    Model,
    OutputTokens,
    OwnReading,
    PromptTokens,
    Region,
    Set,
    Technology,
    Volume,
    Weights,
    need_count,
    on_machines,
    parse_overrides,
    split_names,
    with_regions,
)
from explorer.commands.output import AsJson, OutFile, check_file, deliver, made_by
from explorer.pricing.document import cost_document
from explorer.pricing.economics import PAPER_MODEL, cost
from explorer.pricing.prices import sides_of, without_foreign
from explorer.pricing.rates import RATED
from hwbase.books import refuse_unread
from hwsim.technology import DEFAULT_TECHNOLOGY


def cost_command(
    model: Model = PAPER_MODEL,
    volume: Volume = "1",
    on: Machines = None,
    convention: Convention = "as-published",
    context: Context = "2048",
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = "0",
    technology: Technology = DEFAULT_TECHNOLOGY,
    weights: Weights = "fp4",
    reading: OwnReading = None,
    region: Region = None,
    fab_region: FabRegion = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: OutFile = None,
) -> None:
    """Dollars and carbon of a fleet of hardwired machines, beside the GPUs that match it."""
    check_file(out)
    sets = [named(each) for each in split_names(convention, "--convention")]
    chosen = [(each, *sides_of(on_machines(on), ("hardwired", *RATED), each)) for each in sets]
    answers = [
        cost(
            model,
            volume=need_count("volume", volume),
            convention=each,
            context=need_count("context", context),
            prompt_tokens=need_count("prompt_tokens", prompt_tokens),
            output_tokens=need_count("output_tokens", output_tokens),
            on=machine,
            beside=other,
            technology=technology,
            weights=weights,
            reading=reading,
            book=book,
            set=with_regions(
                without_foreign(parse_overrides(settings), [one for one in others if one is not other]),
                grid,
                fab_region,
            ),
            effects=True,
        )
        for each, machines, others in chosen
        for machine in machines
        for other in others
        for grid in (split_names(region, "--region") if region else [None])
    ]
    refuse_unread(parse_overrides(settings), *(answer.assumptions for answer in answers))
    deliver(cost_document(answers, made_by()), out, as_json)
