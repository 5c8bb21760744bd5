"""`hwsim hardwire` takes minutes: whatever cannot be used is refused before the network is made."""

import pytest

from explorer.precision import silicon


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def never(*args, **settings):
        raise AssertionError("the network was made")

    monkeypatch.setattr(silicon, "maker", lambda *args, **settings: never)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fab-region", "atlantis"], "grid region"),
        (["--set", "fab_region=atlantis"], "grid region"),
        (["--set", "electricity.usd_per_kwh=0.1"], "electricity.usd_per_kwh has no effect"),
        (["--set", "n5.wafer_pice_usd=1"], "n5.wafer_price_usd"),
        (["--set", "region=india"], "region has no effect here"),
        (["--processes", "n5,n5"], "each once"),
        (["--processes", "n4"], "n4"),
        (["--bits", "9"], "bits = 9"),
        (["--bits", "1.5"], "bits = '1.5'"),
        (["--jobs", "0"], "jobs = 0"),
        (["--windows", "0"], "windows = 0"),
        (["--perplexity", "nan"], "perplexity = nan"),
        (["--perplexity", "0.9"], "perplexity = 0.9"),
        (["--systems", "0"], "systems = 0"),
        (["--book", "no-such"], "no-such"),
        (["--out", "nowhere/page.html"], "expected a folder that exists"),
        (["--out", "."], "--out"),
    ],
)
def test_what_cannot_be_used_is_refused_first(command, options, words):
    status, shown, message = command("hardwire", *options)
    assert (status, shown) == (2, "") and words in message


def test_the_grid_of_fleets_is_no_option_of_what_is_only_made(command):
    assert command("hardwire", "--region", "india")[0] == 2
