"""The document of `hwsim respins`: policies, the best of each fabric, and dollars over how often models change."""

from functools import partial

from explorer.change.respins import RespinPolicies
from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.plot import Plot
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Table, scaled_table
from explorer.documents.theme import figure, machine_name, style
from hwbase.numbers import mass, money, times

_SHOWN = [
    *(
        "label",
        "respin_policy",
        "respin_count",
        "hardwired_share",
        "hardwired_usd",
        "respins_usd",
        "rented_usd",
        "total_usd",
    ),
    *("usd_per_million_tokens", "respins_t", "total_t", "silicon_mm2"),
]
_BEST = [
    *("label", "respin_masks", "respin_policy", "total_usd", "option_usd", "usd_ratio"),
    *("least_carbon_policy", "total_t", "option_t", "carbon_ratio"),
]
_CHANCES = ["label", "respin_policy", "mean_usd", "cheapest_share", "below_gpus_share", "waiting_usd"]
_HEIGHT_PX, _MARKER_PX = 420, 10
_MILLION = 1e6
_LIMITS = (
    "All rows serve the same tokens. Each newer release draws a share of the demand from the model in silicon; GPUs, "
    "rented at prices that fall every year, serve what it has lost. A re-spin pays its masks and rebuilds all systems. "
    "GPUs alone take each release at once."
)


def respins_document(result: RespinPolicies, command: str) -> Document:
    """Return policies of re-spins as a document."""
    frame = result.to_frame()
    drawn = Figure("policies", partial(dollars_by_policy, result), "Dollars of each policy", _table(result), 3)
    return Document(
        f"Re-spins of {result.model} over {result.life_months:.0f} months, beside {machine_name(result.device)}",
        _LIMITS,
        sections(
            Section("brief", "In brief", (_brief(result),)),
            Section("best", "Cheapest policy of each fabric", (_best(result),)),
            Section("policies", "Policies", (_table(result), drawn)),
            _chances(result),
            Section("notes", "Notes", tuple(result.notes), short=False) if result.notes else None,
            assumptions_section({"": result.assumptions}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        frame=lambda: frame,
        schema="respins",
    )


def _brief(result: RespinPolicies) -> str:
    """Return the cheapest fabric and policy, beside GPUs alone, in two sentences."""
    best = min(result.best, key=lambda row: row["total_usd"])
    gpus = f"{machine_name(result.device)}s alone"
    cleaner = min(result.best, key=lambda row: row["total_t"])
    return (
        f"Cheapest is {best['label']}, re-spun {_when(best['respin_policy'])}: {money(best['total_usd'])}, where "
        f"{gpus} cost {times(best['usd_ratio'])} as much. Least carbon has {cleaner['label']}, re-spun "
        f"{_when(cleaner['least_carbon_policy'])}: {mass(cleaner['total_t'])}, where {gpus} emit "
        f"{times(cleaner['carbon_ratio'])} as much."
    )


def _when(policy: str) -> str:
    return policy if policy == "never" else f"at {policy}"


def _table(result: RespinPolicies) -> Table:
    return scaled_table("Policies of re-spins", result.to_frame()[_SHOWN])


def _best(result: RespinPolicies) -> Table:
    import pandas as pd

    return scaled_table("Cheapest and cleanest policy", pd.DataFrame(list(result.best))[_BEST])


def _chances(result: RespinPolicies) -> Section | None:
    if not result.chances:
        return None
    import pandas as pd

    words = (
        f"{result.samples:,} draws over the ranges of releases, falls of GPUs, re-spins and mask sets. The worth of "
        "waiting is what choosing the policy after seeing them saves, over the policy that is cheapest on average."
    )
    return Section(
        "chances", "Over the ranges", (words, scaled_table("Chances", pd.DataFrame(result.chances)[_CHANCES]))
    )


def dollars_by_policy(result: RespinPolicies) -> Plot:
    """Return total dollars over policies, a line for each fabric, and GPUs alone as a level."""
    drawn = figure(f"Re-spins of {result.model}", _HEIGHT_PX)
    *rows, gpus = result.rows
    policies = list(dict.fromkeys(row["respin_policy"] for row in rows))
    for index, fabric in enumerate(dict.fromkeys(row["fabric"] for row in rows)):
        own = [row for row in rows if row["fabric"] == fabric]
        colour, symbol, dash = style(index)
        drawn.add_scatter(
            x=[row["respin_policy"] for row in own],
            y=[row["total_usd"] / _MILLION for row in own],
            mode="lines+markers",
            name=own[0]["label"],
            line={"color": colour, "dash": dash},
            marker={"color": colour, "symbol": symbol, "size": _MARKER_PX},
        )
    colour, symbol, dash = style(len(result.best))
    drawn.add_scatter(
        x=policies,
        y=[gpus["total_usd"] / _MILLION] * len(policies),
        mode="lines+markers",
        name=gpus["label"],
        line={"color": colour, "dash": dash},
        marker={"color": colour, "symbol": symbol, "size": _MARKER_PX},
    )
    drawn.update_yaxes(type="log", title_text="dollars over the life [million USD]")
    drawn.update_xaxes(title_text="a newer model goes into silicon at")
    return drawn
