"""One user on machines of Cerebras, Groq and SambaNova: published and ours."""

from functools import cache

import pytest

import explorer
from explorer.papers import scoreboard

pytestmark = pytest.mark.slow


@cache
def board():
    return explorer.reproduce("sram")


MACHINES = ("wse3", "groq-lpu", "sn40l")


def test_claims_are_within_two_times():
    assert board().summary["ok"]
    for row in board().rows:
        if row.tolerance is not None and row.unit == "token/s":
            assert 0.5 <= row.ours / row.paper <= 2.0, row.id
        elif row.tolerance is None:
            assert not 0.5 <= row.ours / row.paper <= 2.0 and len(row.note) > 60, row.id


@pytest.mark.parametrize(("machine", "networks"), [("wse3", 4), ("groq-lpu", 4), ("sn40l", 3)])
def test_networks_within_two_times(machine, networks):
    rows = [row for row in board().rows if row.id.startswith(machine) and row.unit == "token/s"]
    assert sum(0.5 <= row.ours / row.paper <= 2.0 for row in rows) >= networks
    assert any(row.evidence == "predicted" and row.status == "agrees" for row in rows)


def test_a_constant_of_all_of_them_can_be_set():
    slow = explorer.reproduce("sram", set={"memory_efficiency": 0.01})
    assert isinstance(slow, scoreboard.Scoreboard) and not slow.summary["ok"]
