"""SDXL-Turbo's fronts from published sensitivities: what each way adds, the published configurations, the folder."""

import json

import pytest

from explorer.precision.published import PUBLISHED_FILES, published_findings, published_fronts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    return published_fronts(points=3)


def test_adding_noise_powers_is_predicted_best(found):
    for front, cost in (("bits", "mean_bits"), ("silicon", "mm2")):
        rows = found.table[found.table["front"] == front]
        noise = rows[rows["scheme"] == "noise powers added"].sort_values(cost)
        assert noise["sqnr_db"].is_monotonic_increasing
        for _, other in rows[rows["scheme"] != "noise powers added"].iterrows():
            within = noise[noise[cost] >= other[cost] - 1e-9]
            assert within.empty or within["sqnr_db"].max() >= other["sqnr_db"] - 1e-9


def test_published_configurations_lie_on_the_front_of_what_they_add(found):
    content = found.table[found.table["front"] == "content"]
    ours = content[content["scheme"] == "similarity added"].set_index("mean_bits")["ssim_lost"]
    for _, row in content[content["scheme"] == "published configuration"].iterrows():
        # At 8 bits some losses are noise, and three layers fewer have them.
        within = ours[ours.index <= row["mean_bits"] + 1e-9].min()
        assert within <= row["ssim_lost"] + 1e-12 and within == pytest.approx(row["ssim_lost"], abs=1e-6)


def test_sentences_compare_at_equal_bits(found):
    said = published_findings(found)
    assert len(said) == 3 and "4.006 bits is predicted to have 26.55 dB" in said[1]


def test_the_command_writes_a_folder(command, tmp_path):
    out = tmp_path / "sdxl"
    status, said, err = command("fronts", "sdxl-turbo", "--out", str(out), "--json")
    assert (status, err) == (0, "") and len(json.loads(said)["table"]) > 50
    assert {path.name for path in out.iterdir()} == set(PUBLISHED_FILES)
    assert "Nothing is run" in (out / "page.html").read_text()
    (out / "mine.txt").write_text("keep me")
    status, said, err = command("fronts", "sdxl-turbo", "--out", str(out))
    assert status == 2 and said == "" and "mine.txt" in err
