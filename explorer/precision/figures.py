"""Figures of mixed precision: sensitivities by layer, loss against bits, predicted against measured loss."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import NEUTRAL_LINE, figure, fill, style, text

if TYPE_CHECKING:
    from explorer.precision.fronts import Fronts
    from explorer.precision.joint import JointFronts
    from explorer.precision.silicon import SiliconFronts

_HEIGHT_PX, _BARS_PX = 430, 340
_PROCESS_MARKERS = ("circle", "square", "diamond", "triangle-up")
_DOT_PX = 8
_MUSD = 1e6
#: Labels of the parts of NRE by column.
NRE_PARTS = {
    "design_usd": "design",
    "shared_masks_usd": "masks that chips share",
    "own_masks_usd": "own masks of each chip",
}


def shown(result: "SiliconFronts", process: str | None = None) -> pd.DataFrame:
    """Return the rows near the floors, of one process or all; widths far above the highest floor are left out."""
    table = result.table if process is None else result.table[result.table["process"] == process]
    floors = result.table["floor"].dropna()
    most = 1.5 * float(floors.max()) if len(floors) else float("inf")
    return table[table["perplexity"] <= most]


def perplexity_over_area(result: "SiliconFronts", process: str) -> Plot:
    """Return held-out perplexity against the neurons' area on a process: uniform and mixed, measured and predicted."""
    drawn = figure(f"Perplexity against area, {process}", _HEIGHT_PX)
    table = shown(result, process)
    for index, (kind, name) in enumerate((("uniform", "one width"), ("least silicon", "mixed widths"))):
        rows = table[table["kind"] == kind].sort_values("mm2")
        colour, _, _ = style(index)
        drawn.add_scatter(
            x=rows["mm2"],
            y=rows["perplexity"],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2},
            marker={"symbol": _PROCESS_MARKERS[index], "size": _DOT_PX},
            error_y=error_bars(rows["perplexity"], rows["perplexity_low"], rows["perplexity_high"]),
            text=[f"{bits:.2f} bits" for bits in rows["mean_bits"]],
            hovertemplate="%{text}, %{x:.4g} mm²: %{y:.4g}<extra>%{fullData.name}</extra>",
        )
        drawn.add_scatter(
            x=rows["mm2"],
            y=rows["perplexity_predicted"],
            mode="lines",
            name=f"{name}, predicted",
            line={"color": colour, "dash": "dot", "width": 1.5},
            hovertemplate="%{x:.4g} mm²: %{y:.4g}<extra>%{fullData.name}</extra>",
        )
    areas = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
    drawn.update_xaxes(
        title_text=f"neurons at {process}, mm²", type="log", tickvals=areas, ticktext=[f"{area:,g}" for area in areas]
    )
    drawn.update_yaxes(title_text="perplexity, held out")
    return drawn


def nre_over_perplexity(result: "SiliconFronts") -> Plot:
    """Return NRE against held-out perplexity, dots for each process: filled for mixed bits, open for uniform."""
    drawn = figure("NRE over perplexity", _HEIGHT_PX)
    for index, (process, rows) in enumerate(shown(result).groupby("process", sort=False)):
        colour, _, _ = style(index)
        for kinds, name, symbol in (
            (("least silicon", "full chips"), "mixed", _PROCESS_MARKERS[index]),
            (("uniform",), "uniform", f"{_PROCESS_MARKERS[index]}-open"),
        ):
            some = rows[rows["kind"].isin(kinds)]
            drawn.add_scatter(
                x=some["perplexity"],
                y=some["nre_usd"] / _MUSD,
                mode="markers",
                name=text(process if name == "mixed" else f"{process}, {name}"),
                # One legend entry serves both; more would not fit a narrow page.
                showlegend=name == "mixed",
                legendgroup=str(process),
                marker={"color": colour, "symbol": symbol, "size": _DOT_PX + 1},
                text=[
                    f"{bits:.2f} bits, {mm2:,.0f} mm², chips: {chips}"
                    for bits, mm2, chips in zip(some["mean_bits"], some["mm2"], some["chips"], strict=True)
                ],
                hovertemplate="%{text}<br>perplexity %{x:.4g}: %{y:.2f} M$<extra>%{fullData.name}</extra>",
            )
    drawn.update_xaxes(title_text="perplexity, held out")
    drawn.update_yaxes(title_text="NRE, M$")
    return drawn


def nre_parts(result: "SiliconFronts") -> Plot:
    """Return the parts of NRE on each process, for the smallest and largest number of chips of the choices."""
    drawn = figure("What NRE is made of", _BARS_PX, barmode="stack")
    rows = nre_frame(result)
    labels = [text(f"{row['process']}, chips: {row['chips']}") for _, row in rows.iterrows()]
    for index, (column, name) in enumerate(NRE_PARTS.items()):
        colour, _, pattern = style(index)
        drawn.add_bar(
            x=rows[column] / _MUSD,
            y=labels,
            orientation="h",
            name=name,
            marker=fill(colour, pattern),
            hovertemplate="%{y}: %{x:.2f} M$<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text="M$")
    drawn.update_yaxes(autorange="reversed")
    return drawn


def nre_frame(result: "SiliconFronts") -> pd.DataFrame:
    """Return the parts of NRE for each process and number of chips in the choices."""
    parts = result.table.drop_duplicates(["process", "chips"]).sort_values("chips", kind="stable")
    order = {name: number for number, name in enumerate(dict.fromkeys(result.table["process"]))}
    return parts.sort_values("process", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


_MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
_MANY_DECADES = 3.0


def sensitivity_by_layer(table: pd.DataFrame, loss: str, label: str) -> Plot:
    """Return the loss of rounding each layer alone, layers in order of use, dots for each width (log axis)."""
    drawn = figure("Loss with one layer rounded", _HEIGHT_PX)
    order = {name: number for number, name in enumerate(dict.fromkeys(table["layer"]), start=1)}
    for index, (width, rows) in enumerate(table.groupby("bits")):
        colour, _, _ = style(index)
        drawn.add_scatter(
            x=rows["layer"].map(order),
            y=rows[f"loss_{loss}"],
            mode="markers",
            name=f"{width} bits",
            marker={"color": colour, "symbol": _MARKERS[index % len(_MARKERS)], "size": 6},
            text=[text(f"{layer} ({group})") for layer, group in zip(rows["layer"], rows["group"], strict=True)],
            hovertemplate="%{text}<br>%{y:.3g}<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text="layer, in order of use")
    drawn.update_yaxes(title_text=text(label), type="log", exponentformat="power")
    return drawn


def loss_over_bits(result: "Fronts", loss: str, label: str) -> Plot:
    """Return the measured loss of each scheme against mean bits on held-out inputs, with 95 % intervals (log axis)."""
    drawn = figure("Loss over bits", _HEIGHT_PX)
    column = f"loss_{loss}"
    for index, (scheme, rows) in enumerate(result.table.groupby("scheme", sort=False)):
        colour, dash, _ = style(index)
        rows = rows.sort_values("mean_bits")
        drawn.add_scatter(
            x=rows["mean_bits"],
            y=rows[column],
            mode="lines+markers",
            name=str(scheme),
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": _MARKERS[index % len(_MARKERS)], "size": _DOT_PX},
            error_y=error_bars(rows[column], rows[f"{column}_low"], rows[f"{column}_high"]),
            hovertemplate="%{x:.2f} bits: %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text=f"bits of {'a weight' if result.what == 'weights' else 'an activation'} on average")
    drawn.update_yaxes(title_text=text(label), **_log_axis(result.table[column]))
    return drawn


def predicted_and_measured(result: "Fronts", loss: str, label: str) -> Plot:
    """Return measured losses of allocations against predicted ones, the sums of layer losses (log axes)."""
    drawn = figure("Predicted and measured loss", _HEIGHT_PX)
    column = f"loss_{loss}"
    table = result.table[result.table["scheme"] != "uniform"]
    positive = table[[column, f"{column}_predicted"]].to_numpy()
    positive = positive[np.isfinite(positive) & (positive > 0)]
    ends = [float(positive.min()), float(positive.max())] if positive.size else [0.1, 1.0]
    drawn.add_scatter(
        x=ends, y=ends, mode="lines", name="as predicted", line={"color": NEUTRAL_LINE, "dash": "dot"}, hoverinfo="skip"
    )
    for index, (scheme, rows) in enumerate(table.groupby("scheme", sort=False), start=1):
        colour, _, _ = style(index)
        drawn.add_scatter(
            x=rows[f"{column}_predicted"],
            y=rows[column],
            mode="markers",
            name=str(scheme),
            marker={"color": colour, "symbol": _MARKERS[index % len(_MARKERS)], "size": _DOT_PX},
            text=[f"{bits:.2f} bits" for bits in rows["mean_bits"]],
            hovertemplate="%{text}: predicted %{x:.3g}, measured %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text=text(f"predicted {label}"), **_log_axis(table[f"{column}_predicted"]))
    drawn.update_yaxes(title_text=text(f"measured {label}"), **_log_axis(table[column]))
    return drawn


def loss_over_cost(result: "JointFronts", label: str, cost: str) -> Plot:
    """Return the measured loss of pairs of widths against a machine's cost, with 95 % intervals (log axis)."""
    drawn = figure("Loss over cost", _HEIGHT_PX)
    for index, (scheme, rows) in enumerate(result.table.groupby("scheme", sort=False)):
        colour, dash, _ = style(index)
        rows = rows.sort_values("cost")
        drawn.add_scatter(
            x=rows["cost"],
            y=rows["loss"],
            # One pair for all layers gives scattered points, not a curve.
            mode="markers" if scheme == "uniform" else "lines+markers",
            name=str(scheme),
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": _MARKERS[index % len(_MARKERS)], "size": _DOT_PX},
            error_y=error_bars(rows["loss"], rows["loss_low"], rows["loss_high"]),
            text=[f"W{w:.2f} A{a:.2f}" for w, a in zip(rows["mean_bits"], rows["mean_act_bits"], strict=True)],
            hovertemplate="%{text}, %{x:.4g}: %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text=text(cost))
    drawn.update_yaxes(title_text=text(label), **_log_axis(result.table["loss"]))
    return drawn


def bits_of_layers(result: "Fronts", scheme: str, budget: float) -> Plot:
    """Return the bits of each layer in a scheme at a budget, layers in order of use."""
    drawn = figure(f"Bits of each layer, {scheme}, {budget:g} bits", _HEIGHT_PX, showlegend=True)
    row = result.choices[(result.choices["scheme"] == scheme) & (result.choices["budget"] == budget)].iloc[0]
    layers = result.measured.table.drop_duplicates("layer").reset_index(drop=True)
    for index, (group, rows) in enumerate(layers.groupby("group", sort=False)):
        colour, _, _ = style(index)
        drawn.add_scatter(
            x=rows.index + 1,
            y=[row[name] for name in rows["layer"]],
            mode="markers",
            name=text(group),
            marker={"color": colour, "symbol": _MARKERS[index], "size": 6},
            text=[text(name) for name in rows["layer"]],
            hovertemplate="%{text}: %{y} bits<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text="layer, in order of use")
    drawn.update_yaxes(title_text="bits", dtick=1)
    return drawn


def curves(
    rows: pd.DataFrame, x: str, y: str, across: str, up: str, *, alone: Sequence[str] = (), log: bool = False
) -> Plot:
    """Return column `y` of each scheme against `x`; schemes in `alone` are dots without a line."""
    drawn = figure(f"{up} over {across}", _HEIGHT_PX)
    for index, (scheme, some) in enumerate(rows.groupby("scheme", sort=False)):
        colour, dash, _ = style(index)
        some = some.sort_values(x)
        drawn.add_scatter(
            x=some[x],
            # A logarithmic axis has no zero; a line to it would leave the figure.
            y=some[y].where(some[y] > 0) if log else some[y],
            mode="markers" if scheme in alone else "lines+markers",
            name=text(scheme),
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": _MARKERS[index % len(_MARKERS)], "size": _DOT_PX},
            hovertemplate="%{x:.4g}: %{y:.4g}<extra>%{fullData.name}</extra>",
        )
    drawn.update_xaxes(title_text=text(across))
    drawn.update_yaxes(title_text=text(up), **(_log_axis(rows[y]) if log else {}))
    return drawn


def error_bars(middle: pd.Series, low: pd.Series, high: pd.Series) -> dict[str, Any]:
    """Return Plotly's error bars from `low` to `high`."""
    return {
        "type": "data",
        "symmetric": False,
        "array": high - middle,
        "arrayminus": middle - low,
        "thickness": 1,
        "width": 3,
    }


def _log_axis(values: pd.Series) -> dict[str, Any]:
    """Return a logarithmic axis with few ticks: powers of ten over many decades, 1, 2 and 5 over few."""
    shown = values[np.isfinite(values) & (values > 0)]
    decades = float(np.log10(shown.max() / shown.min())) if len(shown) else 0.0
    return {"type": "log", "exponentformat": "power", "dtick": 1 if decades > _MANY_DECADES else "D2"}
