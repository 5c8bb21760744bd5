"""Models side by side: speed, ownership, and cost and carbon of matching GPUs."""

from collections.abc import Sequence

import pandas as pd

from explorer.documents.plot import Plot
from explorer.documents.theme import BLUE, GREEN, NEUTRAL_LINE, PURPLE, figure, fill, one_two_five, text
from explorer.report.figures.fleet import TCO_PARTS

_PX_PER_BAR, _FRAME_PX = 34, 110
_USD_PER_MUSD = 1e6
_SPEED = (
    ("as published", "published_tokens_per_s", BLUE, "/"),
    ("pipelined", "pipelined_tokens_per_s", GREEN, ""),
)
_RATIOS = (("cost", "tco_ratio", BLUE, ""), ("carbon", "carbon_ratio", GREEN, "/"))


def speed_bars(frame: pd.DataFrame, bought: str) -> Plot:
    """Return tokens/s of each label in both readings and of the machine called `bought`, on a log axis."""
    drawn = _bars("Speed", frame, (*_SPEED, (bought, "bought_tokens_per_s", PURPLE, "x")), "group")
    drawn.update_xaxes(type="log", title_text="tokens/s (log scale)", dtick=1, tickformat="~s")
    return drawn


def ownership_bars(frame: pd.DataFrame) -> Plot:
    """Return the TCO of each hardwired fleet stacked by part, in M$."""
    money = frame.assign(**{key: frame[key] / _USD_PER_MUSD for _, key, _, _ in TCO_PARTS})
    drawn = _bars("Total cost of ownership", money, TCO_PARTS, "stack")
    drawn.update_xaxes(title_text="M$", tickformat=",~r")
    return drawn


def ratio_bars(frame: pd.DataFrame) -> Plot:
    """Return the ratios of cost and carbon of the matching GPUs to each hardwired fleet, on a log axis."""
    drawn = _bars("GPUs over hardwired", frame, _RATIOS, "group")
    ticks = one_two_five([frame[key] for _, key, _, _ in _RATIOS])
    drawn.update_xaxes(**ticks, title_text="GPU fleet over hardwired fleet (log scale)")
    drawn.add_vline(x=1.0, line_width=1, line_dash="dot", line_color=NEUTRAL_LINE)
    return drawn


def _bars(title: str, frame: pd.DataFrame, series: Sequence[tuple[str, str, str, str]], mode: str) -> Plot:
    """Return horizontal bars: one group for each label of `frame`, one bar a series, side by side or stacked."""
    bars = len(frame) * (len(series) if mode == "group" else 1)
    drawn = figure(title, _FRAME_PX + _PX_PER_BAR * bars, barmode=mode, bargap=0.25)
    for name, key, colour, pattern in series:
        drawn.add_bar(
            y=[text(label) for label in frame["label"]],
            x=frame[key],
            orientation="h",
            name=name,
            marker=fill(colour, pattern),
            hovertemplate=f"%{{y}}, {name}: %{{x:.4g}}<extra></extra>",
        )
    drawn.update_yaxes(autorange="reversed", ticksuffix=" ")
    return drawn
