"""Sliders under a figure in a notebook: the figure is redrawn as they move."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hwbase import InputError, check

INSTALL = "pip install 'hwsim[notebook]'"
#: Steps of a slider from end to end.
_STEPS = 100


class Slide(NamedTuple):
    """A slider from `low` to `high` that starts at `start`; `log` spaces it by factors, `unit` is part of its label."""

    low: float
    high: float
    start: float
    log: bool = False
    unit: str = ""


def sliders(draw: Callable[..., Any], **controls: Slide | Sequence[Any]) -> Any:
    """Return a widget that shows `draw(**values)` and, above it, a control for each of its arguments.

    A control is a `Slide`, or a sequence of choices whose first is selected. Without ipywidgets the result is a
    sentence with the install command, so that a notebook continues. Raises `InputError` for a slider whose start lies
    outside its ends, a log slider that does not begin above 0, or an empty sequence.
    """
    for name, control in controls.items():
        _checked(name, control)
    try:
        import ipywidgets
        from IPython.display import display
    except ImportError:
        return f"sliders need the package ipywidgets: {INSTALL}"
    made = {name: _control(ipywidgets, name, control) for name, control in controls.items()}

    def show(**values: Any) -> None:
        drawn = draw(**values)
        if drawn is not None:
            display(drawn)

    shown = ipywidgets.interactive_output(show, made)
    return ipywidgets.VBox([*made.values(), shown])


def _checked(name: str, control: Slide | Sequence[Any]) -> None:
    if not isinstance(control, Slide):
        if isinstance(control, str) or not len(control):
            raise InputError(f"{name} = {control!r}: expected a Slide, or a list of choices")
        return
    low, high = check.number(f"low of {name}", control.low), check.number(f"high of {name}", control.high)
    if not low < high:
        raise InputError(f"{name} from {low:g} to {high:g}: expected low < high")
    if control.log:
        check.positive(f"low of {name}", low)
    check.number(f"start of {name}", control.start, low=low, high=high)


def _control(ipywidgets: Any, name: str, control: Slide | Sequence[Any]) -> Any:
    label = name.replace("_", " ")
    style = {"style": {"description_width": "11em"}, "layout": {"width": "34em"}}
    if not isinstance(control, Slide):
        return ipywidgets.Dropdown(options=list(control), description=label, **style)
    described = f"{label} [{control.unit}]" if control.unit else label
    if control.log:
        ends = math.log10(control.low), math.log10(control.high)
        return ipywidgets.FloatLogSlider(
            value=control.start,
            min=ends[0],
            max=ends[1],
            step=(ends[1] - ends[0]) / _STEPS,
            readout_format=".3s",
            description=described,
            **style,
        )
    whole = all(float(value).is_integer() for value in control[:3])
    kind = ipywidgets.IntSlider if whole and control.high - control.low <= _STEPS else ipywidgets.FloatSlider
    step = {} if kind is ipywidgets.IntSlider else {"step": (control.high - control.low) / _STEPS}
    ends_ = {"min": control.low, "max": control.high}
    return kind(value=control.start, description=described, **ends_, **step, **style)
