"""Every public function of explorer answers any value of a known argument with a value, or with one sentence."""

import datetime
import inspect
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import explorer
import hwsim
from explorer import uncertainty
from hwbase import InputError, Quantity
from hwsim.events.traffic import poisson

LONG = "a" * 5000
ODD = {
    **{
        repr(value)[:20]: value
        for value in (None, True, -1, 0, 1.5, 10**400, float("nan"), float("inf"), 1j, "", LONG[:9])
    },
    **{
        repr(value)[:20]: value
        for value in ("\0", "\udcff", "1 9**9**9**9", b"1", (), [], {}, [None], [[1.0], [1.0, 2.0]])
    },
    "long text": LONG,
    "decimal text": "1.5",
    "path": Path("no/such/file.toml"),
    "date": datetime.date(2020, 1, 1),
    "function": len,
    "object": object(),
    "type": int,
    "set": {1, 2},
    "mapping of a list": {"clock_hz": []},
    "mapping of nothing": {"clock_hz": None},
    "mapping by number": {1: 2},
    "one number": np.array([7]),
    "two numbers": np.array([1.0, 2.0]),
    "six numbers": np.ones((2, 3)),
    "no numbers": np.zeros(0),
    "flags": np.array([True]),
    "texts": np.array(["a"]),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "times": np.array([5], "m8[s]"),
    "complex": np.array([1j]),
    "bytes": np.array([b"1"]),
    "objects": np.array([None], object),
    "masked": np.ma.array([1.0, 2.0], mask=[0, 1]),
    "narrow": np.float32(2.0),
    "frame": pd.DataFrame({"a": [1]}),
    "series": pd.Series([1.0, 2.0], index=["a", "b"]),
    "circle": None,
}
circle: list = []
circle.append(circle)
ODD["circle"] = circle

LAYERS = pd.DataFrame({"layer": ["a", "a"], "bits": [4, 8], "size": [10, 10], "loss": [1.0, 0.5]})
QUANTITIES = {"x": Quantity(1.0, "1", "a source", "assumed", 2024, low=0.5, high=2.0)}


ONE_DESIGN = {
    "pipeline_stages": [3],
    "vex_macs": [256],
    "buffer_banks": [25000],
    "hbm_stacks": [1],
    "norms": ["sharded"],
}

CALLS = {
    explorer.allocate: lambda: {"layers": LAYERS, "budget": 8.0},
    explorer.allocation_front: lambda: {"layers": LAYERS, "budgets": [8.0]},
    explorer.answer: dict,
    explorer.carbon_statements: lambda: {"answer": explorer.cost(), "year": 2025},
    explorer.compare_models: lambda: {"models": ["gpt-oss-120b"]},
    explorer.compare_tools: dict,
    explorer.cost: dict,
    explorer.adapt: lambda: {"model": "smollm2-135m", "volume": 2},
    explorer.cost_book: lambda: {"name_or_path": "default"},
    explorer.cost_table: lambda: {"layers": LAYERS, "hardware": "hardwired"},
    explorer.design: lambda: {"model": "smollm2-135m", "constraints": ["chips <= 3"], "vary": ONE_DESIGN, "confirm": 0},
    explorer.evaluate: lambda: {"model": "gpt-oss-120b"},
    explorer.explore: lambda: {"model": "smollm2-135m"},
    explorer.hardwired_silicon: lambda: {"area_mm2": 100.0},
    explorer.load_study: lambda: {"name_or_path": "accelerators"},
    explorer.render: lambda: {"answer": None},
    explorer.reproduce: lambda: {"paper": "bebr"},
    explorer.respins: lambda: {"model": "smollm2-135m", "volume": 2},
    explorer.serve_comparison: lambda: {"traffic": poisson(10, 3)},
    explorer.serving_cost: lambda: {"result": hwsim.serve("gpt-oss-120b", poisson(10, 3))},
    explorer.weight_fabrics: lambda: {"model": "smollm2-135m"},
    explorer.write_report: lambda: {"answer": None, "path": "a.md"},
    explorer.Choice: lambda: {"choices": [1]},
    explorer.Integer: lambda: {"low": 1, "high": 2},
    explorer.Real: lambda: {"low": 1.0, "high": 2.0},
    explorer.Study: lambda: {"parameters": {"context": [1024, 2048]}},
    uncertainty.analyse: lambda: {"samples": 8},
    uncertainty.break_even: lambda: {"samples": 8, "points": 3, "axes": ["volume"]},
    uncertainty.promise_map: lambda: {"users": [1e3], "speeds": [10.0], "samples": 4},
    uncertainty.axis_named: lambda: {"name": "volume", "quantities": QUANTITIES},
    uncertainty.propagate: lambda: {"function": lambda x: {"y": x["x"]}, "quantities": QUANTITIES, "samples": 8},
    uncertainty.distributions: lambda: {"quantities": QUANTITIES},
}

#: Functions that take a second for a legal value: each of their arguments meets every sixth of the odd ones.
COSTLY = ("answer", "analyse", "break_even", "compare_models", "design", "explore", "promise_map", "serve_comparison")
#: Seconds of CPU that a legal value may cost; such values are not what is looked for.
SKIPPED = ("command", "date", "progress", "report", "events")


def refuse_or_answer(function, arguments):
    """Call a function; it returns, or raises `InputError` in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            function(**arguments)
        except InputError as error:
            assert len(str(error)) <= 1200 and "\n" not in str(error)


QUICK = ("allocate", "cost", "evaluate", "hardwired_silicon", "load_study", "cost_book", "cost_table", "render")


@pytest.mark.parametrize(
    "function",
    [pytest.param(each, marks=() if each.__name__ in QUICK[3:] else pytest.mark.slow) for each in CALLS],
    ids=lambda each: each.__name__,
)
@pytest.mark.slow
def test_any_value_of_any_argument(function):
    base = CALLS[function]()
    for place, name in enumerate(inspect.signature(function).parameters):
        if name in SKIPPED or name == "choices":
            continue
        for label, value in list(ODD.items())[place % 6 :: 6] if function.__name__ in COSTLY else ODD.items():
            try:
                refuse_or_answer(function, {**base, name: value})
            except InputError:
                raise
            except Exception as error:
                raise AssertionError(f"{function.__name__}({name}={label})") from error


@pytest.mark.parametrize("function", CALLS, ids=lambda each: each.__name__)
def test_unknown_arguments_are_named(function):
    if function.__name__ in ("Choice", "Integer", "Real", "Study", "render", "write_report"):
        pytest.skip("a class, whose arguments Python names, or a call that is odd itself")
    base = CALLS[function]()
    with pytest.raises(InputError, match="no_such_argument"):
        function(**base, no_such_argument=1)


def test_unknown_options_have_the_nearest():
    with pytest.raises(InputError, match="did you mean 'volume'"):
        explorer.cost(volum=3)
    with pytest.raises(InputError, match="did you mean 'volume'"):
        uncertainty.analyse(volum=3)
    with pytest.raises(InputError, match="did you mean 'volume'"):
        explorer.compare_models(["gpt-oss-120b"], volum=3)
    with pytest.raises(InputError, match="volume = array"):
        explorer.cost(volume=np.array([1, 2]))
