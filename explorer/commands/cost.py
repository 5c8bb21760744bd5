"""`hwsim cost`: dollars and carbon of a fleet of hardwired machines."""

from rich.console import Console

from explorer.commands import terminal
from explorer.commands.arguments import (
    Context,
    Convention,
    CostBook,
    Model,
    OwnReading,
    Set,
    Technology,
    Volume,
    Weights,
    need_count,
    parse_overrides,
)
from explorer.commands.output import AsJson, Out, emit
from explorer.pricing.economics import PAPER_MODEL, cost
from hwsim.technology import DEFAULT_TECHNOLOGY


def cost_command(
    model: Model = PAPER_MODEL,
    volume: Volume = "1",
    convention: Convention = "as-published",
    context: Context = "2048",
    technology: Technology = DEFAULT_TECHNOLOGY,
    weights: Weights = "fp4",
    reading: OwnReading = None,
    settings: Set = None,
    book: CostBook = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Dollars and carbon of a fleet of hardwired machines, beside the GPUs that match it."""
    answer = cost(
        model,
        volume=need_count("volume", volume),
        convention=convention,
        context=need_count("context", context),
        technology=technology,
        weights=weights,
        reading=reading,
        book=book,
        set=parse_overrides(settings),
        effects=True,
    )
    if as_json or out:
        emit(answer, out)
    else:
        terminal.show_cost(Console(), answer)
