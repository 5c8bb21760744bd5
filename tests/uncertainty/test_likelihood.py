"""The sentence that opens a page: the probability of an uncertainty analysis, with its sampling error."""

import re

import pytest

import explorer
from explorer.uncertainty.likelihood import likelihood
from hwbase import InputError


def test_the_sentence_agrees_with_the_analysis():
    result = explorer.uncertainty.analyse(samples=256, only=())
    share = float(re.search(r"in ([\d.]+)\s% of draws", likelihood("gpt-oss-120b", draws=512))[1]) / 100
    assert share == pytest.approx(result.probability("tco_ratio").probability, abs=0.06)


def test_the_sentence_names_what_it_is_about():
    text = likelihood("llama-3-8b", draws=32, volume=7, beside="b200").replace("\xa0", " ")
    for words in ("B200 fleet", "7 systems", "95 % interval 0 % to", "32 draws of", "conventions corrected"):
        assert words in text
    with pytest.raises(InputError, match="volume"):
        likelihood("llama-3-8b", draws=32, volume=0)


@pytest.mark.slow
def test_a_page_that_is_asked_for_opens_with_it(command, tmp_path):
    page = tmp_path / "page.md"
    assert command("report", "llama-3-8b", "--volume", "7", "--out", str(page))[0] == 0
    text = page.read_text(encoding="utf-8").replace("\xa0", " ")
    assert text.index("Hardwiring costs less than the B200 fleet") < text.index("How fast") and "7 systems" in text
    assert "Hardwiring costs less" not in command("report", "llama-3-8b", "--out", str(tmp_path / "rows.csv"))[1]
