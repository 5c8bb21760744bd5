"""The report page: one HTML file that holds everything it needs and asks the network for nothing."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from explorer import figures
from explorer.figures.numbers import context_label, money, percent, plain, pretty_unit, si, times, with_unit
from explorer.figures.tables import (
    Column,
    Table,
    assumption_table,
    bill_table,
    effects_table,
    flag,
    frame_table,
    ratio_table,
    tco_table,
    words,
)
from explorer.figures.theme import machine_name
from explorer.writing import write_text

if TYPE_CHECKING:
    from explorer.answer import Answer

TEMPLATES = Path(__file__).parent / "templates"
#: What the page may do: run the scripts whose hashes are listed, style itself, save a figure as a picture.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
_TOP_MARGIN_PX, _TOP_MARGIN_BARE_PX = 34, 12


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its JSON, a caption, a sentence that says what it shows, and the table behind it."""

    id: str
    caption: str
    summary: str
    json: Markup
    height_px: int
    table: Table


def render(answer: "Answer") -> str:
    """Return the report of `answer` as one HTML page."""
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
    }
    library, script = _script(get_plotlyjs()), _script((TEMPLATES / "report.js").read_text(encoding="utf-8"))
    policy = _POLICY.format(scripts=" ".join(_hash(code) for code in (library, script)))
    return environment.get_template("report.html.j2").render(
        answer=answer,
        policy=policy,
        library=library,
        script=script,
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        brief=brief(answer),
        figures={figure.id: figure for figure in (*_speed_figures(answer), *_cost_figures(answer))},
        tables=_tables(answer),
        machines=_machines(answer),
        scoreboard=_scoreboard_groups(answer),
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

    def spread(comparison: Any, key: str, write: Any) -> str:
        low, high = (write(_get(level, key)) for level in (comparison.low, comparison.high))
        return low if low == high else f"{low} to {high}"

    rows = (
        ("How fast", f"{plain(ours.tokens_per_s)} tokens/s", f"{plain(believed.tokens_per_s)} tokens/s"),
        ("What binds", words(ours.bound_by), words(believed.bound_by)),
        ("For one user", _per_user(ours), _per_user(believed)),
        ("How large", *(f"{plain(r.chips)} chips, {plain(r.area_mm2)} mm²" for r in (ours, believed))),
        ("How hungry", *(f"{si(r.power_w, 'W')}, {si(r.energy_j_per_token, 'J')} per token" for r in (ours, believed))),
        ("How expensive", *(f"{spread(c, 'hardwired.total_usd', money)} TCO" for c in (first, second))),
        ("beside the GPUs that match it", *(f"GPUs cost {spread(c, 'tco_ratio', times)}" for c in (first, second))),
        (
            "How dirty",
            *(spread(c, "hardwired_carbon.total_t", lambda t: f"{plain(t)} t") + " CO₂e" for c in (first, second)),
        ),
        ("beside the GPUs that match it", *(f"GPUs emit {spread(c, 'carbon_ratio', times)}" for c in (first, second))),
    )
    columns = (
        Column("question", numeric=False),
        Column("as the paper counts", numeric=False),
        Column("pipelined, conventions corrected", numeric=False),
    )
    return Table("The answer in brief", columns, rows)


def _speed_figures(answer: "Answer") -> Iterable[Figure]:
    floor = frame_table(
        "Blocks of one chip",
        answer.chip.to_frame(),
        {
            "block": Column("block", numeric=False),
            "area_mm2": Column("area", "mm²"),
            "power_w": Column("power when busy", "W"),
        },
    )
    yield _figure("floorplan", figures.floorplan(answer.chip), "The die to scale, mm", floor, 1)

    occupancy = figures.occupancy_frame(answer.pipelined)
    binding = ", ".join(occupancy.loc[occupancy["binds"], "resource"]) or "nothing"
    table = frame_table(
        "Occupancy per token",
        occupancy,
        {
            "resource": Column("resource", numeric=False),
            "seconds_per_token": Column("time per token"),
            "busy_share": Column("busy"),
            "binds": Column("binds", numeric=False),
        },
        {"seconds_per_token": lambda s: si(s, "s"), "busy_share": percent},
    )
    caption = f"Time of each resource per token, pipelined reading: {words(binding)} set the pace"
    yield _figure("occupancy", figures.occupancy_bars(answer.pipelined), caption, table, 1)

    for key, result in (("published", answer.published_by_context), ("pipelined", answer.pipelined_by_context)):
        frame = figures.breakdown_frame(result)
        columns = {"context": Column("context", numeric=False)}
        columns |= {part: Column(part) for part in frame.columns if part != "context"}
        formats = dict.fromkeys(columns, percent) | {"context": context_label}
        caption = f"Where a token's time goes over context, {machine_name(result.reading)}"
        table = frame_table(caption, frame, columns, formats)
        yield _figure(f"breakdown-{key}", figures.breakdown_over_context(result), caption, table, 1)

    speed = figures.speed_frame(answer.published_by_context, answer.pipelined_by_context)
    table = frame_table(
        "Tokens per second over context",
        speed,
        {
            "context": Column("context", numeric=False),
            "as_published_tokens_per_s": Column("as published", "tokens/s"),
            "pipelined_tokens_per_s": Column("pipelined", "tokens/s"),
            "pipelined_bound_by": Column("pipelined is bound by", numeric=False),
        },
        {"context": context_label, "pipelined_bound_by": words},
    )
    drawn = figures.speed_over_context(
        answer.published_by_context, answer.pipelined_by_context, answer.accelerators, _records(answer)
    )
    yield _figure("speed", drawn, "System tokens per second over context, log axes", table, 1)


def _cost_figures(answer: "Answer") -> Iterable[Figure]:
    pairs = {"low": answer.cost.comparison.low, "high": answer.cost.comparison.high}
    most = max(float(pair.hardwired.total_usd) for pair in pairs.values())
    for level, pair in pairs.items():
        frame = figures.waterfall_frame(pair.bill, pair.hardwired)
        columns = {"step": Column("step", numeric=False), "kind": Column("kind", numeric=False), "usd": Column("cost")}
        caption = f"From masks to TCO, {level} case"
        table = frame_table(caption, frame, columns, {"usd": money})
        drawn = figures.cost_waterfall(pair.bill, pair.hardwired, most_usd=most)
        yield _figure(f"waterfall-{level}", drawn, caption, table, 2)

    tco = figures.tco_frame(answer.cost.comparison)
    columns = {
        "fleet": Column("fleet", numeric=False),
        "level": Column("case", numeric=False),
        "capex_usd": Column("capital"),
        "opex_usd": Column("operation"),
        "respins_usd": Column("re-spins"),
        "total_usd": Column("TCO"),
        "ratio": Column("GPU TCO over it"),
    }
    formats = {key: money for key in columns if key.endswith("usd")} | {"ratio": times}
    table = frame_table("Total cost of ownership", tco, columns, formats)
    yield _figure(
        "tco", figures.tco_bars(answer.cost.comparison), "Total cost of ownership of both fleets, M$", table, 5
    )

    carbon = figures.carbon_frame(answer.cost.comparison)
    columns = {
        "fleet": Column("fleet", numeric=False),
        "level": Column("case", numeric=False),
        "scope2_t": Column("Scope 2", "t CO₂e"),
        "scope3_t": Column("Scope 3", "t CO₂e"),
        "total_t": Column("total", "t CO₂e"),
    }
    table = frame_table("Carbon over the life", carbon, columns)
    yield _figure(
        "carbon", figures.carbon_bars(answer.cost.comparison), "Carbon of both fleets by scope, log axis", table, 4
    )


def _tables(answer: "Answer") -> dict[str, Table | None]:
    by_convention = {cost.convention: cost.comparison for cost in (answer.cost, answer.other_cost)}
    effects = next((c.effects for c in (answer.cost, answer.other_cost) if c.effects is not None), None)
    return {
        "checks": _checks_table(answer),
        "bill": bill_table(answer.cost.comparison),
        "tco": tco_table(answer.cost.comparison),
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
            state = flag("pass" if check.ok else "FAIL")
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


def _records(answer: "Answer") -> dict[str, float]:
    """Published tokens/s of the other machines, where the headline has them."""
    for row in answer.headline:
        if row.unit in ("tokens/s", "token/s"):
            return {key: value for key, value in row.published.items() if value and key in answer.accelerators}
    return {}


def _scoreboard_groups(answer: "Answer") -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in answer.scoreboard.rows if answer.scoreboard else ():
        groups.setdefault(row.group or "other", []).append(row)
    return groups


def _per_user(result: Any) -> str:
    return f"{plain(result.tokens_per_s_per_user)} tokens/s, {si(result.latency_s, 's')} per token"


def _get(record: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        record = getattr(record, name)
    return record


def _figure(name: str, drawn: go.Figure, caption: str, table: Table, say: int) -> Figure:
    """A figure without its title (the page has captions); column `say` of its table is read out as what it shows."""
    bare = drawn.layout.showlegend is False
    drawn.update_layout(title_text="", margin_t=_TOP_MARGIN_BARE_PX if bare else _TOP_MARGIN_PX)
    column = table.columns[say]
    rows = (f"{row[0]} {'' if table.columns[1].numeric else row[1]} {row[say]}" for row in table.rows)
    said = "; ".join(" ".join(row.split()) for row in rows)
    summary = f"{caption}. {column.label}{f' in {column.unit}' if column.unit else ''}: {said}."
    code = drawn.to_json(validate=False).replace("<", "\\u003c")
    return Figure(name, caption, summary, Markup(code), int(drawn.layout.height), table)


def _script(code: str) -> Markup:
    """Code for a script element: it must not end the element, and line ends are those that its hash is taken of."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in code.lower():
        raise ValueError("a script of the page contains its own end tag")
    return Markup(code)


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
