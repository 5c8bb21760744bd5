"""The README says what is so."""

import re
from pathlib import Path

import pytest

import explorer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_counts_of_the_scoreboard() -> None:
    summary = explorer.reproduce("hnlpu").summary
    said = re.search(
        r"(\d+) published figures\. Of (\d+) predictions (\d+) agree within their stated tolerance and (\d+) miss\s+"
        r"with the reason beside them; (\d+) rows are fitted \((\d+) constants, named\), (\d+) are inputs, (\d+)",
        README,
    )
    assert said is not None
    assert [int(n) for n in said.groups()] == [
        summary["rows"],
        summary["predicted"],
        summary["agree"],
        summary["misfit_explained"],
        summary["fitted"],
        len(summary["fitted_constants"]),
        summary["input"],
        summary["not_derivable"],
    ]


@pytest.mark.slow
def test_figures_of_the_table() -> None:
    rows = {row.id: row for row in explorer.reproduce("hnlpu").rows}
    assert f"{rows['t2-hnlpu-tokens'].ours:,.0f} (-0.1 %)" in README
    assert f"{rows['fig12-density-gain'].ours:.1f}x | predicted from gate counts" in README
    assert f"{rows['t1-total-area'].ours:.2f} mm2" in README
    shares = [rows[f"fig14-{name}-communication"].ours for name in ("2k", "64k", "256k")]
    assert " / ".join(f"{100 * share:.1f}" for share in shares) in README


def test_files_it_points_to_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
