"""Policies of re-spins: counts by hand, limits, and the command."""

import json

import numpy as np
import pytest

import explorer
from costmodel.respins import Amount, Cadence, gpu_amount, policy_amount, respins_within
from hwbase import InputError

STEADY = Cadence(months_between=6.0, share_moved=0.5, price_fall_per_year=0.25, carbon_fall_per_year=0.3)
AMOUNT = Amount(fixed=7.0, running=3.0, respin=2.0, gpu=20.0)


def by_hand(every, cadence, lag, life, fall, rate, steps=36_000):
    """Return (served share, GPU amount) by small steps of time."""
    month = (np.arange(steps) + 0.5) * life / steps
    newest = np.floor((month + lag) / cadence.months_between)
    held = every * np.floor(month / (every * cadence.months_between)) if every else 0.0
    served = (1.0 - cadence.share_moved) ** (newest - held)
    worth = (1.0 + rate) ** (-month / 12.0)
    rest = (1.0 - served) * worth * (1.0 - fall) ** (month / 12.0)
    return np.sum(served * worth) / np.sum(worth), AMOUNT.gpu * np.sum(rest) / np.sum(worth)


@pytest.mark.parametrize("every", [0, 1, 2, 5])
@pytest.mark.parametrize(("lag", "rate"), [(0.0, 0.0), (2.5, 0.08), (9.0, 0.1)])
def test_shares_and_gpus_are_those_of_small_steps(every, lag, rate):
    result = policy_amount(
        every, AMOUNT, STEADY, respin_months=lag, life_months=36, fall_per_year=0.25, discount_per_year=rate
    )
    served, gpu = by_hand(every, STEADY, lag, 36, 0.25, rate)
    assert result.served_share == pytest.approx(served, rel=1e-3) and result.gpu == pytest.approx(gpu, rel=1e-3)
    assert result.hardwired == pytest.approx(7.0 + 3.0 * result.served_share)
    months = 6.0 * every * np.arange(1, result.respins + 1)
    assert result.respins_total == pytest.approx(2.0 * np.sum((1.0 + rate) ** (-months / 12.0)))
    assert result.total == result.hardwired + result.respins_total + result.gpu


def test_limits():
    still = Cadence(months_between=6, share_moved=0.0, price_fall_per_year=0.25, carbon_fall_per_year=0.3)
    kept = policy_amount(0, AMOUNT, still, respin_months=3, life_months=36, fall_per_year=0.25)
    assert kept.served_share == pytest.approx(1.0) and kept.gpu == pytest.approx(0.0) and kept.respins == 0
    moved = Cadence(months_between=6, share_moved=1.0, price_fall_per_year=0.25, carbon_fall_per_year=0.3)
    late = policy_amount(1, AMOUNT, moved, respin_months=7, life_months=36, fall_per_year=0.25)
    assert late.served_share == 0.0 and late.gpu == pytest.approx(
        gpu_amount(AMOUNT, life_months=36, fall_per_year=0.25)
    )
    assert respins_within(3, 12, 36) == 0 and respins_within(1, 12, 36) == 2


def test_draws_are_the_same_one_by_one():
    months = np.array([3.0, 5.5, 12.0])
    falls = np.array([0.0, 0.2, 0.4])
    drawn = Cadence(months_between=months, share_moved=0.3, price_fall_per_year=falls, carbon_fall_per_year=falls)
    together = policy_amount(2, AMOUNT, drawn, respin_months=months / 2, life_months=36, fall_per_year=falls)
    for place in range(3):
        one = Cadence(float(months[place]), 0.3, falls[place], falls[place])
        alone = policy_amount(
            2, AMOUNT, one, respin_months=months[place] / 2, life_months=36, fall_per_year=falls[place]
        )
        assert together.total[place] == pytest.approx(alone.total) and together.respins[place] == alone.respins


@pytest.fixture(scope="module")
def paper():
    return explorer.respins("gpt-oss-120b", fabrics=("metal_embedding", "mask_rom"), every=(0, 1, 3), samples=16)


def test_fleets_are_those_of_cost(paper):
    answer = explorer.cost("gpt-oss-120b", volume=50, convention="corrected")
    pair = answer.comparison.nominal
    never, each = paper.rows[0], paper.rows[1]
    share = never["hardwired_share"]
    electricity = pair.hardwired.electricity_usd
    assert never["hardwired_usd"] == pytest.approx(pair.hardwired.static_usd - (1.0 - share) * electricity)
    spares = 5
    assert each["respins_usd"] == pytest.approx(5 * pair.bill.respin_usd(50 + spares))
    assert paper.million_tokens == pair.hardwired.million_tokens and paper.life_months == 36
    still = explorer.respins(
        "gpt-oss-120b", fabrics=("metal_embedding",), every=(0,), set={"gpus.price_fall_per_year": 0}
    )
    assert still.rows[-1]["usd_per_million_tokens"] == pytest.approx(pair.gpu.static_usd_per_million_tokens)


def test_two_masks_are_worth_more_than_ten(paper):
    metal, rom = paper.best
    assert metal["respin_masks"] == 10 and rom["respin_masks"] == 2
    assert rom["option_usd"] > metal["option_usd"] == 0.0 and metal["every"] == 0 < rom["every"]
    shares = [row["cheapest_share"] for row in paper.chances if row["fabric"] == "mask_rom"]
    assert sum(shares) == pytest.approx(1.0) and len(paper.chances) == 6


def test_command_and_page(command, tmp_path):
    page = tmp_path / "page.html"
    status, printed, _ = command("respins", "smollm2-135m", "--fabrics", "cell_embedding", "--every", "0,2", "--json")
    data = json.loads(printed)
    assert status == 0 and data["schema"] == "hwsim/respins/1"
    assert [row["every"] for row in data["rows"]] == [0, 2, None] and data["rows"][-1]["fabric"] == "gpus"
    assert command("respins", "smollm2-135m", "--samples", "16", "--out", str(page))[0] == 0
    text = page.read_text(encoding="utf-8")
    assert "a newer model goes into silicon" in text and "Over the ranges" in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--fabrics", "mask_rum"), "did you mean 'mask_rom'"),
        (("--fabrics", "sram"), "fabric sram is loaded, and needs no re-spin"),
        (("--every", "-1"), "every = -1"),
        (("--every", "often"), "every"),
        (("--samples", "100"), "samples = 100"),
        (("--set", "releases.share_moved=2"), "releases.share_moved = 2"),
        (("--set", "releases.months_between=0"), "releases.months_between = 0"),
        (("--set", "releases.share_mooved=0.5"), "did you mean 'releases.share_moved'"),
        (("--set", "mask_rom.respin_s=1e18"), "respin_months = "),
        (("--set", "gpus.price_fall_per_year=1"), "gpus.price_fall_per_year = 1"),
        (("--set", "ternary_rom.respin_masks=1"), "ternary_rom.respin_masks has no effect here"),
        (("--set", "mask_rom.respin_masks=1000"), "own_duv_masks = 1000"),
        (("--on", "hnlpu,b200,h100"), "expected one hardwired machine, and one beside it"),
    ],
)
def test_bad_input_is_one_sentence(given, message, command):
    status, printed, errors = command("respins", "smollm2-135m", *given)
    assert status == 2 and printed == "" and message in errors and errors.count("\n") == 1, errors


def test_empty_lists_are_refused():
    for given in ({"fabrics": ()}, {"every": ()}):
        with pytest.raises(InputError, match="is empty"):
            explorer.respins("smollm2-135m", **given)
