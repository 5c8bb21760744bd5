"""The report page: one HTML file that holds everything it needs and asks the network for nothing."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from explorer.figures.captioned import fleet_figures, machine_figures
from explorer.figures.fleets import LEVELS, levels_of, pairs
from explorer.figures.numbers import (
    context_label,
    counted,
    mass,
    money,
    percent,
    plain,
    pretty_unit,
    si,
    times,
    with_unit,
    words,
)
from explorer.figures.tables import (
    Column,
    Table,
    assumption_table,
    bill_table,
    effects_table,
    flag,
    frame_table,
    inputs_table,
    ratio_table,
    tco_table,
)
from explorer.figures.theme import machine_name
from explorer.writing import write_text

if TYPE_CHECKING:
    from explorer.answer import Answer

#: A resource that may overflow: what does not fit goes elsewhere at a price that the model counts.
_MAY_SPILL = ("KV in buffer",)
#: A resource that binds is full to within rounding.
_ROUNDING = 1e-9
TEMPLATES = Path(__file__).parent / "templates"
#: What the page may do: run the scripts whose hashes are listed, style itself, save a figure as a picture.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


#: Columns of the relatives.
_RELATIVES = {
    "machine": Column("machine", numeric=False),
    "area_mm2": Column("area", "mm²"),
    "weights_per_mm2": Column("weights", "1/mm²"),
    "transistors_per_weight": Column("transistors per weight"),
    "tokens_per_s_per_user": Column("one user", "tokens/s"),
    "power_w": Column("power", "W"),
    "energy_efficiency_ops_per_j": Column("efficiency", "operations/J"),
    "source": Column("source", numeric=False),
}


def render(answer: "Answer") -> str:
    """Return the report of `answer` as one HTML page."""
    return render_page(
        "report.html.j2",
        answer=answer,
        brief=brief(answer),
        figures={figure.id: figure for figure in (*machine_figures(answer), *fleet_figures(answer))},
        tables=_tables(answer),
        machines=_machines(answer),
        scoreboard=_scoreboard_groups(answer),
        constants=_fitted(answer),
    )


def render_page(template: str, **content: Any) -> str:
    """Return a template that extends `page.html.j2` as one HTML page: style and scripts inside, nothing from outside.

    `content` is what the template shows; everything but `Markup` is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: "" if value is None else value,
    )
    environment.filters |= {
        "plain": plain,
        "money": money,
        "percent": percent,
        "unit": pretty_unit,
        "with_unit": with_unit,
        "context": context_label,
        "words": words,
        "machine": machine_name,
        "flag": flag,
        "counted": counted,
    }
    library, script = _script(get_plotlyjs()), _script((TEMPLATES / "report.js").read_text(encoding="utf-8"))
    policy = _POLICY.format(scripts=" ".join(_hash(code) for code in (library, script)))
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(
        policy=policy, library=library, script=script, style=style, **content
    )


def write_report(answer: "Answer", path: str | Path) -> Path:
    """Write the report of `answer` to `path` and return it; nothing is left half-written.

    Raises `InputError` where the folder is missing, the path is a folder, or the file cannot be written.
    """
    return write_text(render(answer), path)


def brief(answer: "Answer") -> Table:
    """Return the answer in a few lines: how fast, large, hungry, expensive and dirty, published and believed."""
    ours, believed = answer.published, answer.pipelined
    costs = {cost.convention: cost.comparison for cost in (answer.cost, answer.other_cost)}
    first, second = costs.get("as-published", answer.cost.comparison), costs.get("corrected", answer.cost.comparison)

    def spread(comparison: Any, key: str, write: Callable[[Any], str]) -> str:
        low, nominal, high = (_get(pair, key) for _, pair in pairs(comparison, LEVELS))
        if comparison is not first:
            return f"{write(nominal)} (low {write(low)}, high {write(high)})"
        return write(low) if write(low) == write(high) else " to ".join(write(value) for value in sorted((low, high)))

    rows = (
        ("How fast", f"{plain(ours.tokens_per_s)} tokens/s", f"{plain(believed.tokens_per_s)} tokens/s"),
        ("bound by", words(ours.bound_by), words(believed.bound_by)),
        ("for one user", _per_user(ours), _per_user(believed)),
        ("How large", *(f"{counted(r.chips, 'chip')}, {plain(r.area_mm2)} mm²" for r in (ours, believed))),
        ("How hungry", *(f"{si(r.power_w, 'W')}, {si(r.energy_j_per_token, 'J')} per token" for r in (ours, believed))),
        ("How expensive, TCO", *(spread(c, "hardwired.total_usd", money) for c in (first, second))),
        ("matching GPUs, cost", *(spread(c, "tco_ratio", times) for c in (first, second))),
        ("How dirty, CO₂e", *(spread(c, "hardwired_carbon.total_t", mass) for c in (first, second))),
        ("matching GPUs, carbon", *(spread(c, "carbon_ratio", times) for c in (first, second))),
    )
    columns = (
        Column("question", numeric=False),
        Column("as the paper counts", numeric=False),
        Column("pipelined, conventions corrected", numeric=False),
    )
    return Table("The answer in brief", columns, rows)


def _tables(answer: "Answer") -> dict[str, Table | None]:
    by_convention = {cost.convention: cost.comparison for cost in (answer.cost, answer.other_cost)}
    levels = levels_of(answer.cost.convention)
    effects = next((c.effects for c in (answer.cost, answer.other_cost) if c.effects is not None), None)
    return {
        "checks": _checks_table(answer),
        "relatives": frame_table("Published hardwired relatives, beside ours", answer.relatives, _RELATIVES),
        "bill": bill_table(answer.cost.comparison, levels),
        "inputs": inputs_table(answer.cost.inputs),
        "tco": tco_table(answer.cost.comparison, levels),
        "ratios": ratio_table(by_convention),
        "effects": None if effects is None else effects_table(effects),
        "assumptions": assumption_table(answer.assumptions),
    }


def _checks_table(answer: "Answer") -> Table:
    """Resources asked for and there, in both readings of the hardwired machine and on the other machines."""
    rows = []
    results = {"as published": answer.published, "pipelined": answer.pipelined}
    results |= {machine_name(key): result for key, result in answer.accelerators.items()}
    for name, result in results.items():
        for check in result.checks:
            share = float(check.demand) / float(check.capacity) if float(check.capacity) else float("inf")
            fits = share <= 1.0 + _ROUNDING or bool(check.ok)
            state = flag("pass" if fits else "spills" if check.name in _MAY_SPILL else "FAIL")
            need, have = (with_unit(value, check.unit) for value in (check.demand, check.capacity))
            rows.append((name, check.name, need, have, percent(share), state, check.note))
    columns = (
        Column("machine or reading", numeric=False),
        Column("resource", numeric=False),
        Column("asked for"),
        Column("there is"),
        Column("share"),
        Column("result", numeric=False),
        Column("note", numeric=False),
    )
    return Table("Does every resource bear the load?", columns, tuple(rows))


def _machines(answer: "Answer") -> dict[str, tuple[str, ...]]:
    """Machines of the headline, and which of "ours" and "published" there is anything of."""
    keys = dict.fromkeys(key for row in answer.headline for key in (*row.values, *row.published))
    sides = {
        key: tuple(
            side
            for side, of in (("ours", "values"), ("published", "published"))
            if any(getattr(row, of).get(key) is not None for row in answer.headline)
        )
        for key in keys
    }
    return {key: side for key, side in sides.items() if side}


def _scoreboard_groups(answer: "Answer") -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in answer.scoreboard.rows if answer.scoreboard else ():
        groups.setdefault(row.group or "other", []).append(row)
    return groups


def _fitted(answer: "Answer") -> list[str]:
    return list(answer.scoreboard.summary.get("fitted_constants", ())) if answer.scoreboard else []


def _per_user(result: Any) -> str:
    return f"{plain(result.tokens_per_s_per_user)} tokens/s, {si(result.latency_s, 's')} per token"


def _get(record: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        record = getattr(record, name)
    return record


def _script(code: str) -> Markup:
    """Code for a script element: it must not end the element, and line ends are those that its hash is taken of."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in code.lower():
        raise ValueError("a script of the page contains its own end tag")
    return Markup(code)


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
