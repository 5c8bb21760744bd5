"""Machines over the tokens per second that each user is promised."""

import json

import numpy as np
import pytest

import explorer
from explorer.serving.interactivity import interactivity
from hwbase import InputError

pytestmark = pytest.mark.slow

WORK = {"prompt_tokens": 1024, "output_tokens": 1024}


@pytest.fixture(scope="module")
def result():
    return interactivity(on=["hnlpu", "h100", "b200"], speeds=[10, 25, 100, 200, 400, 5000], **WORK)


def test_a_front_is_the_cost_of_its_fleet(result):
    answer = explorer.cost(volume=50, convention="corrected", beside="b200", **WORK)
    pair = answer.comparison.nominal
    built, _, bought = result.fronts
    at = list(result.speeds).index(25)
    assert built.usd_per_million_tokens[at] == pytest.approx(float(pair.hardwired.usd_per_million_tokens))
    assert bought.usd_per_million_tokens[at] == pytest.approx(float(pair.gpu.usd_per_million_tokens), rel=1e-3)
    assert bought.tokens_per_s_per_chip[at] == pytest.approx(answer.book["b200.tokens_per_s"].nominal)
    carbon = pair.gpu_carbon.total_t * 1e6 / pair.gpu_carbon.million_tokens
    assert bought.g_per_million_tokens[at] == pytest.approx(float(carbon), rel=1e-3)


def test_faster_users_take_more_of_a_gpu_and_nothing_of_a_pipeline(result):
    built, *others = result.fronts
    assert len(set(built.tokens_per_s_per_chip[:5])) == 1 and np.isnan(built.tokens_per_s_per_chip[5])
    for front in others:
        rates = front.tokens_per_s_per_chip[np.isfinite(front.chips)]
        costs = front.usd_per_million_tokens[np.isfinite(front.chips)]
        assert (np.diff(rates) <= 0).all() and (np.diff(costs) >= 0).all()
        assert np.isnan(front.tokens_per_s_per_mw[4:]).all()


def test_the_command_says_what_the_function_finds(command, tmp_path):
    options = ("--interactivity", "10:400", "--on", "hnlpu,b200", "--prompt-tokens", "1K", "--output-tokens", "1K")
    status, out, err = command("compare-serving", *options, "--json")
    rows = json.loads(out)["rows"]
    assert (status, err) == (0, "") and len(rows) == 50 and {row["machine"] for row in rows} == {"hnlpu", "b200"}
    for name in ("fronts.html", "fronts.md", "fronts.csv"):
        assert (
            command("compare-serving", *options, "--out", str(tmp_path / name))[0] == 0
            and (tmp_path / name).stat().st_size > 1000
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speeds": []}, "speeds"),
        ({"speeds": [0.0]}, "speeds"),
        ({"prompt_tokens": 8}, "expected both"),
        ({"on": ["wse3"]}, "wse3"),
        ({"context": "2 parsecs"}, "context"),
    ],
)
def test_bad_questions(options, message):
    with pytest.raises(InputError, match=message):
        interactivity(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--interactivity", "10"), "expected LOW:HIGH"),
        (("--interactivity", "500:10"), "expected LOW:HIGH"),
        (("--interactivity", "a:b"), "--interactivity"),
        (("--interactivity", "10:500", "--first", "1"), "--first has no effect here"),
        ((), "--traffic is missing"),
    ],
)
def test_bad_options(command, arguments, message):
    status, out, err = command("compare-serving", *arguments)
    assert (status, out) == (2, "") and message in err and "Traceback" not in err


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text(
        '[book]\nname = "ours"\ntitle = "Ours"\nkind = "hardwired"\nlabel = "Ours"\nextends = "hnlpu"\n\n'
        '[vex_macs]\nnominal = 65536\nunit = "1"\nyear = 2026\nkind = "assumed"\nsource = "a test"\n'
    )
    return path


def test_hardwired_machines_stand_side_by_side(ours):
    """The second is the paper's with another VEX: each is as alone, and GPUs match the first."""
    how = {"speeds": [20.0, 100.0, 400.0], "context": 65536}
    both = interactivity(on=["hnlpu", ours, "b200"], **how)
    assert [front.machine for front in both.fronts] == ["hnlpu", "ours", "b200"]
    assert (both.fronts[1].tokens_per_s_per_chip > both.fronts[0].tokens_per_s_per_chip)[:2].all()
    for machine, at in (("hnlpu", [0, 2]), (ours, [1])):
        alone = interactivity(on=[machine, "b200"], **how)
        for one, other in zip(alone.fronts, at, strict=False):
            np.testing.assert_array_equal(one.usd_per_million_tokens, both.fronts[other].usd_per_million_tokens)
    # A constant holds for both.
    fewer = interactivity(on=["hnlpu", ours, "b200"], **how, set={"vex_macs": 4096})
    np.testing.assert_array_equal(fewer.fronts[0].tokens_per_s_per_chip, fewer.fronts[1].tokens_per_s_per_chip)
    with pytest.raises(InputError, match="'ours' is given twice"):
        interactivity(on=["hnlpu", ours, ours], **how)


def test_a_cost_has_several_hardwired_machines(ours, command):
    status, out, _ = command(
        "cost", "--on", f"hnlpu,{ours},b200,h100", "--convention", "corrected", "--json", "--volume", "50"
    )
    rows = json.loads(out)["rows"]
    assert status == 0 and [(row["machine"], row["device"]) for row in rows] == [
        ("hnlpu", "b200"), ("hnlpu", "h100"), ("ours", "b200"), ("ours", "h100")
    ]  # fmt: skip
    alone = explorer.cost(volume=50, convention="corrected", on=ours, beside="h100")
    assert rows[3]["levels"]["nominal"]["tco_ratio"] == pytest.approx(float(alone.comparison.nominal.tco_ratio))
    status, out, _ = command("cost", "--on", f"hnlpu,{ours},b200", "--convention", "corrected")
    assert status == 0 and "corrected, Ours, beside B200" in out and "corrected, beside B200" in out
