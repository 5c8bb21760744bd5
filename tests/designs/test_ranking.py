"""What detailed events say of the finalists of a search decides which one leads."""

from types import SimpleNamespace

import pandas as pd
import pytest

from explorer.designs import confirmation
from explorer.designs.confirmation import Confirmation, ranked

FRONT = pd.DataFrame({"tokens_per_s": [5.0, 4.0, 3.0, 2.0], "name": list("abcd")})


def events(**known):
    """Stand in for the simulation: tokens per second by name, with a star where limits no longer hold."""

    def one(case, row, place, limits):
        rate = known[row["name"]]
        return Confirmation(place, 1, row["tokens_per_s"], abs(rate), 1.0, 1.0, holds=rate > 0)

    return one


def rank(monkeypatch, finalists, objectives=None, **known):
    monkeypatch.setattr(confirmation, "_confirmed", events(**known))
    front, confirmed = ranked(
        SimpleNamespace(), FRONT, objectives or {"tokens_per_s": "max"}, [], finalists, lambda *_: None
    )
    assert [each.place for each in confirmed] == list(range(len(confirmed)))
    assert list(front.index) == [0, 1, 2, 3]
    return "".join(front["name"]), confirmed


def test_the_most_by_events_leads(monkeypatch):
    names, confirmed = rank(monkeypatch, 3, a=3.5, b=3.9, c=2.9)
    assert names == "bacd" and [each.events_tokens_per_s for each in confirmed] == [3.9, 3.5, 2.9]
    # Of four designs the one that was not simulated stays behind.
    assert rank(monkeypatch, 0)[0] == "abcd"


def test_one_whose_limits_fail_never_leads(monkeypatch):
    assert rank(monkeypatch, 2, a=-4.5, b=3.9)[0] == "bacd"
    # More are tried until the limits of one hold.
    names, confirmed = rank(monkeypatch, 1, a=-4.5, b=-4.0, c=2.9)
    assert names == "cabd" and [each.holds for each in confirmed] == [True, False, False]


def test_objectives_that_events_do_not_measure_keep_their_order(monkeypatch):
    assert rank(monkeypatch, 3, {"area_mm2": "min"}, a=1.0, b=3.0, c=2.0)[0] == "abcd"
    assert rank(monkeypatch, 3, {"area_mm2": "min"}, a=-1.0, b=3.0, c=2.0)[0] == "bcad"


@pytest.mark.slow
def test_limits_are_read_again_with_what_the_events_say():
    import explorer

    small = {"pipeline_stages": [3], "vex_macs": [256], "buffer_banks": [25000], "hbm_stacks": [1]}
    fixed = small | {"norms": ["replicated"], "rows": [1], "columns": [1], "collective": ["direct"]}
    (free,) = explorer.design("smollm2-135m", vary=fixed, constraints=["chips <= 3"], context=256).confirmed
    # A limit between what the closed form says and what the events say.
    between = (free.tokens_per_s + free.events_tokens_per_s) / 2.0
    limit = f"tokens_per_s >= {between}" if free.difference < 0 else f"tokens_per_s <= {between}"
    (again,) = explorer.design("smollm2-135m", vary=fixed, constraints=["chips <= 3", limit], context=256).confirmed
    assert free.holds and not again.holds
