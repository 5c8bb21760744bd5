"""A machine under sliders, in a notebook: what each move does to its speed, its chips, dollars and carbon."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

import hwsim
import models
from explorer.designs.evaluation import BUSY, COOLING, Case, case_of
from explorer.designs.figures import chip_figure, machine_figure, resource_name
from explorer.designs.point import as_search, misfits, point_of, uneven
from explorer.designs.result import DesignSearch
from explorer.designs.space import MAPPING, read_steps
from explorer.documents.plot import Plot
from explorer.documents.sliders import INSTALL
from explorer.documents.theme import figure, fill, machine_name, style, text
from explorer.pricing.prices import Convention, Machine
from explorer.pricing.rates import PAPER_MODEL, Workload
from hwbase import Book, InputError, Quantity
from hwbase.arguments import checked
from hwbase.columns import column
from hwbase.notebook import html_table
from hwbase.numbers import words
from hwbase.values import read_integer
from hwsim.design import CHOICES

#: Figures of the table, the machine beside that of the book.
SHOWN = (
    *("tokens_per_s", "latency_alone_s", "bound_by", "chips", "die_area_mm2", "area_mm2", "power_w"),
    *("nre_usd", "tco_usd", "usd_per_million_tokens", "carbon_t", "kg_per_million_tokens"),
)
#: What a design lies in, not of what it is made.
_AROUND = ("context", "volume")
_BAR_PX, _BARE_PX, _WIDE_PX, _HIGH_PX = 36, 110, 660, 340
_COLUMN = {"flex": "0 0 33em", "width": "33em"}
_DESCRIPTION = {"style": {"description_width": "15em"}, "layout": {"width": "32em"}}


@checked
def explore(
    model: str | Path | models.LLMSpec = PAPER_MODEL,
    *,
    on: Machine = hwsim.DEFAULT_MACHINE,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    context: int = 2048,
    vary: Mapping[str, Any] | None = None,
    cooling: str = COOLING[0],
    volume: int = 50,
    convention: Convention = "corrected",
    book: str | Book | None = None,
    set: Mapping[str, Any] | None = None,
) -> "Exploration":
    """Return a hardwired machine for a model under sliders, for a notebook: each move redraws what it is and costs.

    Needs the extra `notebook`. The sliders start at the machine of the book, sized for the model.

    Parameters
    ----------
    model : str, Path or LLMSpec
        A model, as in `hwsim.simulate`.
    on : str, Path or Book
        The machine to start from.
    technology : str, Path or Book
        The process.
    weights : str
        Format of the hardwired weights.
    context : int
        Positions of a sequence, to start with.
    vary : mapping of str to list, optional
        Values that a slider offers in place of those declared, or a slider for another constant or choice.
    cooling : str
        "air" or "liquid": the most power per area of a die.
    volume : int
        Systems built, to start with.
    convention, book
        Conventions and book of the prices, as in `explorer.cost`.
    set : mapping of str to number or str, optional
        Constants of the machine, the technology or the cost book to override.

    Returns
    -------
    Exploration

    Raises
    ------
    InputError
        For what cannot be used, and where ipywidgets or anywidget is missing.
    """
    around = {
        "context": read_integer("context", context, high=hwsim.MOST_CONTEXT),
        "volume": read_integer("volume", volume, high=1e6),
    }
    case, used = case_of(
        models.spec_of(model),
        on=on,
        technology=technology,
        weights=weights,
        workload=Workload(around["context"]),
        volume=around["volume"],
        convention=convention,
        cooling=cooling,
        book=book,
        set=dict(set or {}),
    )
    return Exploration(case, on, _steps(case, vary or {}) | _offered(around), around, used)


class Exploration:
    """A machine under sliders: what a notebook shows of it, and the machine that the sliders stand at.

    `controls` has a slider or a list by the name of what it sets; `machine`, `chip` and `busy` are figures, `table` and
    `note` texts. `design` is the machine as a row of figures.
    """

    def __init__(
        self,
        case: Case,
        on: Machine,
        steps: Mapping[str, Sequence[Any]],
        around: Mapping[str, int],
        assumptions: Mapping[str, Quantity],
    ) -> None:
        widgets = _widgets()
        self._case, self._on, self._assumptions = case, on, assumptions
        fitted = case.own()
        start = {name: getattr(fitted, name) for name in steps if name not in around}
        self._own_values = {name: value for name, value in start.items() if name != "service"}
        self._own = point_of(case, self._own_values)
        self.design: pd.Series = self._own
        """The machine that the sliders stand at: constants, choices, figures and prices."""
        # A search has its machines serve in this order; the closed form is the same in any.
        start["service"] = steps["service"][0]
        self.start = {name: (start | dict(around))[name] for name in steps}
        """Where the sliders start."""
        self.controls = {name: _control(widgets, name, steps[name], value) for name, value in self.start.items()}
        """The sliders and lists, by what they set."""
        self.table, self.note = widgets.HTML(), widgets.HTML()
        self._failure = ""
        self._drawn = self._plots()
        # What is sent to a figure before a page has it is lost: each begins with all that it shows.
        self.machine, self.chip, self.busy = self._figures = [go.FigureWidget(each.figure()) for each in self._drawn]
        self._path = widgets.Text("best.toml", description="book", layout={"width": "23em"})
        self._button = widgets.Button(description="save", layout={"width": "7em"})
        self._button.on_click(self._clicked)
        shown = [each for name, each in self.controls.items() if len(steps[name]) > 1]
        left = widgets.VBox([*shown, widgets.HBox([self._path, self._button]), self.note, self.table], layout=_COLUMN)
        right = widgets.VBox([widgets.HBox([self.machine, self.chip]), self.busy])
        self.box = widgets.HBox([left, right], layout={"flex_flow": "row wrap"})
        """The widget that holds all others."""
        for each in self.controls.values():
            each.observe(self._moved, "value")
        self._moved(None)

    def result(self) -> DesignSearch:
        """Return the machine as the result of a search, with a page and pictures.

        Raises `InputError` for a machine that does not fit, or that has no figures.
        """
        if self._failure:
            raise InputError(self._failure)
        return as_search(self._current(), self._on, self.design, self._own, self._assumptions)

    def save(self, path: str | Path) -> Path:
        """Write the machine as a machine's book (.toml), which every command takes, and return the path.

        Raises `InputError` for a machine that does not fit, and where the file cannot be written.
        """
        return self.result().write_book(path)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)

    def _current(self) -> Case:
        """Return the case at the context and the volume of the sliders."""
        around = {name: self.controls[name].value for name in _AROUND}
        return dataclasses.replace(self._case, workload=Workload(around["context"]), volume=around["volume"])

    def _moved(self, change: Any) -> None:
        """Redraw after a move. Where there are no figures, the reason stands in the note and the rest stays."""
        case = self._current()
        try:
            if change is not None and change["owner"] in [self.controls[name] for name in _AROUND]:
                self._own = point_of(case, self._own_values)
            values = {name: each.value for name, each in self.controls.items() if name not in _AROUND}
            point = point_of(case, values)
            broken = misfits(case, point)
        except InputError as error:
            self._failure = str(error)
            self.note.value = _warning(self._failure)
            return
        self._failure = ""
        self.design = point
        notes = [_warning(f"does not fit: {'; '.join(broken)}")] if broken else []
        if uneven(case, point):
            notes.append("heads or experts do not divide evenly: counted in fractions")
        self.note.value = "<br>".join(notes)
        self.table.value = self._table()
        drawn, self._drawn = self._drawn, self._plots()
        for widget, before, plot in zip(self._figures, drawn, self._drawn, strict=True):
            _redraw(widget, before, plot)

    def _plots(self) -> tuple[Plot, ...]:
        machine, chip = _fewer_shapes(machine_figure(self.design)), chip_figure(self.design)
        machine.update_layout(width=_WIDE_PX // 2, height=_HIGH_PX)
        chip.update_layout(width=_WIDE_PX // 2, height=_HIGH_PX)
        return machine, chip, self._busy()

    def _table(self) -> str:
        heads = ("", "this machine", machine_name(self._case.setting.machine.name))
        rows = [
            (column(n).label, *(words(column(n).text(each[n])) for each in (self.design, self._own))) for n in SHOWN
        ]
        return html_table("", heads, rows, (False, True, True))

    def _busy(self) -> Plot:
        """Return how busy each resource is: this machine, and that of the book."""
        drawn = figure("Busy share of each resource", _BARE_PX + _BAR_PX * len(BUSY), barmode="group", width=_WIDE_PX)
        machines = {"this machine": self.design, machine_name(self._case.setting.machine.name): self._own}
        for place, (name, machine) in enumerate(machines.items()):
            color, _, pattern = style(place)
            drawn.add_bar(
                x=[float(machine[each]) for each in BUSY],
                y=[resource_name(each) for each in BUSY],
                name=text(name),
                orientation="h",
                marker=fill(color, pattern),
            )
        drawn.update_xaxes(tickformat=".0%", range=[0, 1.02])
        drawn.update_yaxes(autorange="reversed")
        return drawn

    def _clicked(self, button: Any) -> None:
        try:
            self.note.value = escape(f"wrote {self.save(self._path.value)}")
        except InputError as error:
            self.note.value = _warning(str(error))


@cache
def _declared() -> dict[str, dict[str, Any]]:
    """Return the content of `explore.toml`."""
    return tomllib.loads(Path(__file__).with_name("explore.toml").read_text(encoding="utf-8"))


def _steps(case: Case, vary: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values that each slider of a design offers, the mapping first. Raises `InputError`."""
    grid, fitted = _declared()["grid"], case.own()
    steps: dict[str, Any] = {
        "pipeline_stages": range(1, case.spec.layers + 1),
        **{name: range(1, max(grid["least"], grid["growth"] * int(getattr(fitted, name))) + 1) for name in MAPPING[:2]},
    }
    factors = _declared()["factors"].items()
    steps |= {name: [factor * getattr(case.design, name) for factor in each] for name, each in factors}
    # A list offers every name of a choice.
    offered = read_steps(case.design, {**steps, **CHOICES, **vary})
    order = sorted(offered, key=lambda name: (name not in steps or name not in MAPPING, name not in CHOICES))
    return {
        name: offered[name] if name in CHOICES else sorted({*offered[name], getattr(fitted, name)}) for name in order
    }


def _offered(around: Mapping[str, int]) -> dict[str, list[Any]]:
    return {name: sorted({*_declared()["values"][name], value}) for name, value in around.items()}


def _widgets() -> Any:
    """Return ipywidgets. Raises `InputError` where the extra for notebooks is not installed."""
    try:
        import anywidget  # noqa: F401
        import ipywidgets
    except ImportError as error:
        raise InputError(f"explore needs the package {error.name}: {INSTALL}") from None
    return ipywidgets


def _control(widgets: Any, name: str, values: Sequence[Any], start: Any) -> Any:
    entry = column(name)
    options = [(words(value) if name in CHOICES else entry.text(value), value) for value in values]
    kind = widgets.Dropdown if name in CHOICES else widgets.SelectionSlider
    return kind(options=options, value=start, description=entry.label, **_DESCRIPTION)


def _redraw(widget: Any, before: Plot, plot: Plot) -> None:
    """Bring a figure from one plot to another, in one message with what differs."""
    old, new = before.attributes, plot.attributes
    with widget.batch_update():
        for place, trace in enumerate(plot.traces):
            if trace != before.traces[place]:
                widget.data[place].update(trace, overwrite=True)
        changed = {name: value for name, value in new.items() if value != old.get(name)}
        widget.layout.update(changed | {name: None for name in old if name not in new}, overwrite=True)


def _fewer_shapes(plot: Plot) -> Plot:
    """Return a plot whose rectangles without an outline are one path a colour: Plotly checks each shape by itself."""
    paths: dict[str, list[str]] = {}
    kept = []
    for shape in plot.attributes.get("shapes", []):
        if shape["type"] == "rect" and shape["line"].get("width") == 0:
            corners = (float(shape[each]) for each in ("x0", "y0", "x1", "y1"))
            paths.setdefault(shape["fillcolor"], []).append(
                "M {0:.6g},{1:.6g} H {2:.6g} V {3:.6g} H {0:.6g} Z".format(*corners)
            )
        else:
            kept.append(shape)
    joined = [
        {"type": "path", "path": " ".join(each), "fillcolor": color, "line": {"width": 0}}
        for color, each in paths.items()
    ]
    plot.attributes["shapes"] = kept + joined
    return plot


def _warning(sentence: str) -> str:
    return f"<b>{escape(sentence)}</b>"
