"""Figures as the tree of attributes that Plotly's scripts read.

A page needs only this tree, and Plotly's Python objects take longer to load than all else in a report.
`Plot.figure` returns them, with every attribute checked.
"""

import json
from collections.abc import Mapping
from functools import partialmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase.record import finite

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Attributes whose own names have an underscore; in others it stands between an attribute and one within it.
_WHOLE = ("paper_bgcolor", "plot_bgcolor", "error_x", "error_y")


class Plot:
    """A figure of Plotly: traces and a layout.

    Attributes are keyword arguments, as in Plotly: `title_text` is `text` within `title`, and None removes one.
    """

    def __init__(self, **layout: Any) -> None:
        self.traces: list[dict[str, Any]] = []
        self.attributes: dict[str, Any] = {}
        """Attributes of the layout."""
        self.update_layout(**layout)

    def add_trace(self, kind: str, **attributes: Any) -> "Plot":
        """Add a trace of this kind, such as "scatter", and return the figure, as all that changes it does."""
        self.traces.append({"type": kind})
        _merge(self.traces[-1], attributes)
        return self

    add_bar = partialmethod(add_trace, "bar")
    add_box = partialmethod(add_trace, "box")
    add_heatmap = partialmethod(add_trace, "heatmap")
    add_scatter = partialmethod(add_trace, "scatter")
    add_waterfall = partialmethod(add_trace, "waterfall")

    def update_layout(self, **attributes: Any) -> "Plot":
        """Merge attributes into the layout."""
        _merge(self.attributes, attributes)
        return self

    def update_xaxes(self, **attributes: Any) -> "Plot":
        """Merge attributes into all x axes."""
        self._update_axes("xaxis", attributes)
        return self

    def update_yaxes(self, **attributes: Any) -> "Plot":
        """Merge attributes into all y axes."""
        self._update_axes("yaxis", attributes)
        return self

    def add_annotation(self, **attributes: Any) -> "Plot":
        """Add a text."""
        self._append("annotations", attributes)
        return self

    def add_shape(self, **attributes: Any) -> "Plot":
        """Add a shape."""
        self._append("shapes", attributes)
        return self

    def add_hline(self, y: float, **attributes: Any) -> None:
        """Add a horizontal line across the plot."""
        self.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=y, y1=y, yref="y", **attributes)

    def add_vline(self, x: float, **attributes: Any) -> None:
        """Add a vertical line across the plot."""
        self.add_shape(type="line", x0=x, x1=x, xref="x", y0=0, y1=1, yref="y domain", **attributes)

    def add_vrect(self, x0: float, x1: float, **attributes: Any) -> None:
        """Add a band between two x, as high as the plot."""
        self.add_shape(type="rect", x0=x0, x1=x1, xref="x", y0=0, y1=1, yref="y domain", **attributes)

    def figure(self) -> "go.Figure":
        """Return the Plotly figure. Raises `ValueError` for an attribute that Plotly does not have."""
        import plotly.graph_objects as go

        return go.Figure({"data": self.traces, "layout": {"template": "none"} | self.attributes})

    def _repr_mimebundle_(self, *given: Any, **named: Any) -> Any:
        """Show the Plotly figure where a notebook shows a result."""
        return self.figure()._repr_mimebundle_(*given, **named)

    @property
    def data(self) -> "tuple[go.BaseTraceType, ...]":
        """Traces of the Plotly figure."""
        return self.figure().data

    @property
    def layout(self) -> "go.Layout":
        """Layout of the Plotly figure."""
        return self.figure().layout

    def to_json(self) -> str:
        """Return the figure as JSON; numbers that are not finite are null."""
        tree = {"data": self.traces, "layout": self.attributes}
        return json.dumps(finite(_plain(tree)), separators=(",", ":"))

    def _update_axes(self, axis: str, attributes: Mapping[str, Any]) -> None:
        for name, value in self.attributes.items():
            if name.startswith(axis):
                _merge(value, attributes)

    def _append(self, name: str, attributes: Mapping[str, Any]) -> None:
        item: dict[str, Any] = {}
        _merge(item, attributes)
        self.attributes.setdefault(name, []).append(item)


def _merge(tree: dict[str, Any], attributes: Mapping[str, Any]) -> None:
    """Merge nested attributes into a tree of them."""
    for name, value in attributes.items():
        key, _, rest = (name, "", "") if name in _WHOLE else name.partition("_")
        given = {rest: value} if rest else value
        if isinstance(given, Mapping):
            _merge(tree.setdefault(key, {}), given)
        elif given is None:
            tree.pop(key, None)
        else:
            tree[key] = given


def _plain(value: Any) -> Any:
    """Return an attribute made of dictionaries, lists, texts and numbers."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "to_numpy"):
        # An array, or a series, index or frame of pandas.
        return np.asarray(value).tolist()
    return value
