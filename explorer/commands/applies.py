"""Options that apply only to some machines and modes of a command, for the check, the help and the documentation."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from hwbase import InputError

#: The values of a command's parameters, by the names of its function.
Values = Mapping[str, Any]


class Rule(NamedTuple):
    """Options that apply only under a condition: their parameters, the condition, and its text in the help."""

    parameters: tuple[str, ...]
    applies: Callable[[Values], bool]
    when: str


def _kinds(values: Values) -> set[str]:
    from explorer.commands.arguments import split_names
    from hwsim.machine_books import machine_book

    return {machine_book(each).kind for each in ([values["book"]] if values.get("book") else split_names(values["on"]))}


def _closed_form(values: Values) -> bool:
    return values["events"] is None


def _by_events(values: Values) -> bool:
    return bool(values["events"])


def _hardwired(values: Values) -> bool:
    return "hardwired" in _kinds(values)


def _shared(values: Values) -> bool:
    return not {"gpu", "wafer"}.isdisjoint(_kinds(values))


def _tiled(values: Values) -> bool:
    from hwsim.npu.design import KIND

    return KIND in _kinds(values)


def _is_language(values: Values) -> bool:
    from explorer.npu.networks import is_network

    return not is_network(values["model"])


def _given(name: str) -> Callable[[Values], bool]:
    return lambda values: values[name] not in (None, False, "0", 0)


def _not_given(name: str) -> Callable[[Values], bool]:
    return lambda values: not _given(name)(values)


def is_results(path: str) -> bool:
    """Return whether `path` is the folder of a study's results."""
    if not os.path.isdir(path):  # noqa: PTH112 - no exception for odd names
        return False
    from explorer.study.store import is_study

    return is_study(path)


def _no_study(values: Values) -> bool:
    models = list(values["model"] or ())
    return not (len(models) == 1 and is_results(models[0]))


def _has_engine(values: Values) -> bool:
    from explorer.commands.arguments import split_names

    return not {"engine", "all"}.isdisjoint(name.lower() for name in split_names(values["on"]))


def _runs(values: Values) -> bool:
    return str(values["model"]).lower() != "sdxl-turbo"


_TRAFFIC = ("traffic", "rate", "users", "policy", "prefill_cap", "max_context", "machines", "fault")
_SCAN_EVENTS = ("window_ms", "skew", "jitter", "burstiness", "lose_at_s", "requests", "seed")

_SERVED = ("limit", "load", "percentile", "first_s", "between_s", "gpus", "built", "gpu_settings")
_PROMISED = ("context", "prompt_tokens", "output_tokens", "volume", "technology", "weights")


def _decodes(values: Values) -> bool:
    return str(values["prompt_tokens"]) == "0"


def _learns(values: Values) -> bool:
    """Whether a codec learns; one of two files is another error, which the command states."""
    codecs = values["codec"] or ()
    names = [codecs] if isinstance(codecs, str) else codecs
    learns = any(str(name).strip().lower().startswith("bebr") for name in names)
    return learns or (values["train_queries"] is None) != (values["train_qrels"] is None)


def _budgeted(values: Values) -> bool:
    return (values["budget"] is not None or bool(values["group"])) and values["front"] is None


_CONTEXT = Rule(("context",), _decodes, "without --prompt-tokens, whose contexts follow from the requests")
_TRAINED = Rule(("train_queries", "train_qrels"), _learns, "to a codec that learns, such as bebr:2x256")
_EMBEDS = Rule(("cache",), _not_given("embedded"), "without --embeddings")

RULES: dict[str, tuple[Rule, ...]] = {
    "cost": (_CONTEXT,),
    "uncertainty": (_CONTEXT,),
    "break-even": (
        _CONTEXT,
        Rule(("context",), lambda values: values["axis"] != ["context"], "with other axes than context"),
        Rule(("volume",), lambda values: values["axis"] != ["volume"], "with other axes than volume"),
    ),
    "allocate": (
        Rule(("two_sided",), _budgeted, "with --budget or --group"),
        Rule(("unit",), lambda v: _budgeted(v) or v["front"] is not None, "with --budget, --group or --front"),
    ),
    "retrieve build": (_TRAINED, _EMBEDS),
    "retrieve query": (_EMBEDS,),
    "retrieve study": (Rule(("queries", "cache"), _not_given("made"), "without --from"),),
    "compare-serving": (
        _CONTEXT,
        Rule(_SERVED, _given("traffic"), "with --traffic"),
        Rule(_PROMISED, _given("speeds"), "with --interactivity"),
    ),
    "simulate": (
        Rule(("context", "batch", "prompt", "reading"), _closed_form, "without --events"),
        Rule(_TRAFFIC, _by_events, "with --events"),
        Rule(("reading", "window", "weights", "fault"), _hardwired, "on hardwired machines"),
        Rule(("technology",), lambda v: _hardwired(v) or _tiled(v), "on hardwired machines and spatial accelerators"),
        Rule(("allocation",), _tiled, "on spatial accelerators"),
        Rule(("cycles", "allocation"), _closed_form, "without --events"),
        Rule(("context", "prompt", "events", "traffic"), _is_language, "to language models"),
        Rule(("gpus",), _shared, "on GPUs and wafers"),
        Rule(("time_scale", "limit"), _given("traffic"), "with --traffic"),
        Rule(("requests", "prompt_tokens", "output_tokens", "seed"), _by_events, "with --events"),
        Rule(("requests", "prompt_tokens", "output_tokens", "seed"), _not_given("traffic"), "without --traffic"),
        Rule(("burstiness",), _given("rate"), "with --rate"),
        Rule(("think_s",), _given("users"), "with --users"),
        Rule(("router",), lambda values: str(values["machines"]) != "1", "with --machines 2 and more"),
        Rule(
            ("record_at",), lambda v: v["events"] == "detailed" and bool(v["out"]), "with --events detailed and --out"
        ),
    ),
    "scan": (
        Rule(_SCAN_EVENTS, _given("events"), "with --events"),
        Rule(("memory", "unit", "technology"), _has_engine, "on the engine"),
    ),
    "report": (
        Rule(
            ("context", "volume", "convention", "technology", "reading", "settings", "book", "events", "as_json"),
            _no_study,
            "to models, not to a study's results",
        ),
    ),
    "wiring": (Rule(("tokens", "seeds"), _given("faults"), "with --faults"),),
    "fronts": (Rule(("held_out", "weights_file", "cache", "jobs"), _runs, "to networks that are run"),),
    "retrieve eval": (
        _TRAINED,
        _EMBEDS,
        Rule(("rescore_with",), _given("rescore"), "with --rescore"),
        Rule(("probes",), _given("lists"), "with --lists"),
    ),
}


def check_applies(command: str, options: Mapping[str, str], values: Values) -> None:
    """Raise `InputError` for an option that has no effect on this machine or in this mode.

    Parameters
    ----------
    command : str
        The command, such as "simulate" or "retrieve eval".
    options : mapping of str to str
        Parameters set on the command line, with their options as typed.
    values : mapping of str to object
        The values of all parameters.
    """
    for rule in RULES.get(command, ()):
        for parameter in rule.parameters:
            if parameter in options and not rule.applies(values):
                raise InputError(f"{options[parameter]} has no effect here: it applies {rule.when} only")


def restrictions(command: str, parameter: str) -> Iterable[str]:
    """Yield the conditions of an option, as the help states them."""
    for rule in RULES.get(command, ()):
        if parameter in rule.parameters:
            yield rule.when
