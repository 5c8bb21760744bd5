"""Constants of how bought GPUs serve, set where fleets are compared."""

import numpy as np
import pytest

import explorer
from explorer.serving.interactivity import interactivity
from hwbase import InputError

WORK = {"prompt_tokens": 8192, "output_tokens": 1024, "volume": 50, "convention": "corrected"}


@pytest.mark.parametrize("option", ["separate_pools", "drafted_tokens"])
def test_costs_follow_how_gpus_serve(option):
    plain, changed = (explorer.cost(**WORK, set=each) for each in ({}, {option: 1}))
    speed = f"{changed.device}.tokens_per_s"
    assert changed.book[speed].nominal != plain.book[speed].nominal
    assert option in changed.assumptions and option not in plain.assumptions
    assert ("GPUs that read prompts" in changed.book[speed].source) == (option == "separate_pools")


def test_costs_and_fronts_have_one_rate():
    set = {"separate_pools": 1}
    answer = explorer.cost(**WORK, set=set | {"service.time_per_token_s": 0.02})
    fronts = interactivity(**WORK, on=["hnlpu", "b200"], speeds=[50.0], set=set).fronts
    assert fronts[1].tokens_per_s_per_chip[0] == pytest.approx(answer.book["b200.tokens_per_s"].nominal)
    assert fronts[1].chips[0] > 1.0 and np.isfinite(fronts[1].usd_per_million_tokens[0])


@pytest.mark.parametrize(
    ("set", "message"),
    [
        ({"separate_pools": 2}, "separate_pools = 2"),
        ({"power_w": 5}, "unknown constant 'power_w'"),
        ({"drafted_token": 2}, "unknown constant 'drafted_token'"),
    ],
)
def test_bad_options(set, message):
    with pytest.raises(InputError, match=message):
        explorer.cost(**WORK, set=set)
