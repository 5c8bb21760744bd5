"""Studies refuse constants that no point reads, and regions that no book has, before anything runs."""

import pytest

from explorer.study import Study
from explorer.study.unread import refuse_unread_constants
from hwbase import InputError

LOAD = {"volume": (1, 50)}


def checked(parameters, evaluate="hardwired", **fixed):
    refuse_unread_constants(Study(parameters, evaluate=evaluate, points=4, fixed=fixed))


@pytest.mark.parametrize(
    ("parameters", "evaluate", "fixed", "name"),
    [
        (LOAD, "hardwired", {"n3.wafer_price_usd": 3e4}, "n3.wafer_price_usd"),
        (LOAD, "hardwired", {"b200.power_w": 700}, "b200.power_w"),
        ({"b200.power_w": (700.0, 900.0)}, "hardwired", {}, "b200.power_w"),
        ({"region": ["us"]}, "hardwired", {"grid.france_g_per_kwh": 50}, "grid.france_g_per_kwh"),
        ({"chips_asked": (4, 60)}, "hardwired", {"rows": 4, "columns": 4}, "rows"),
        ({"batch": [1, 4]}, "accelerator", {"kv_block_tokens": 16}, "kv_block_tokens"),
        (
            {"batch": (1, 9)},
            "scan",
            {"on": "cpu", "documents": 1e9, "bits": 256, "n5.wafer_price_usd": 1e4},
            "n5.wafer_price_usd",
        ),
    ],
)
def test_a_constant_that_no_point_reads_is_refused(parameters, evaluate, fixed, name):
    study = Study(parameters, evaluate=evaluate, points=4, fixed=fixed)
    with pytest.raises(InputError, match=f"{name} has no effect here"):
        study.run(workers=1)


@pytest.mark.parametrize(
    ("parameters", "evaluate", "fixed"),
    [
        (LOAD, "hardwired", {"clock_hz": 1e9, "rows": 8, "columns": 8, "collective": "ring"}),
        ({"technology": ["n5", "n3"]}, "hardwired", {"n3.wafer_price_usd": 3e4}),
        (LOAD, "hardwired", {"beside": "h100", "h100.power_w": 700, "h100.tokens_per_s": 700}),
        ({"region": ["france", "us"]}, "hardwired", {"grid.france_g_per_kwh": 50}),
        ({"on": ["cpu", "engine"]}, "scan", {"documents": 1e9, "bits": 256, "n5.wafer_price_usd": 1e4}),
        ({"rate_per_s": (1, 9)}, "serving", {"on": "h100", "power_w": 700, "requests": 5}),
        ({"rate_per_s": (1, 9)}, "serving", {"clock_hz": 1e9, "requests": 5}),
    ],
)
def test_a_constant_that_some_points_read_is_kept(parameters, evaluate, fixed):
    checked(parameters, evaluate, **fixed)


@pytest.mark.parametrize(
    ("parameters", "evaluate", "fixed", "nearest"),
    [
        (LOAD, "hardwired", {"region": "frnce"}, "'france'"),
        ({"fab_region": ["us", "taiwann"]}, "hardwired", {}, "'taiwan'"),
        ({"batch": (1, 9)}, "scan", {"documents": 1e9, "bits": 256, "region": "frnce"}, "'france'"),
    ],
)
def test_an_unknown_region_is_refused_when_the_study_is_made(parameters, evaluate, fixed, nearest):
    with pytest.raises(InputError, match=f"did you mean {nearest}"):
        Study(parameters, evaluate=evaluate, fixed=fixed)


def test_a_study_of_scans_says_that_it_needs_the_bits_of_a_code():
    with pytest.raises(InputError, match="scan needs bits"):
        Study({"batch": (1, 9)}, evaluate="scan", fixed={"documents": 1e9})
