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
