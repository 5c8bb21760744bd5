import dataclasses

import numpy as np
import pytest

import costmodel
from costmodel import AS_PUBLISHED, CORRECTED, Device, conventions
from hwbase import InputError

BOTH = {"maintenance_basis": "nodes", "construction_basis": "it"}


@pytest.fixture(scope="module")
def effects(paper, design):
    groups = {"both": BOTH, "both, exact count": BOTH | {"gpu_count": "exact"}}
    return costmodel.convention_effects(paper, volume=50, groups=groups, **design).set_index("reading")


@pytest.mark.parametrize(
    ("reading", "gpu_musd", "low", "high"),
    [
        ("as-published", 9563, 80.4, 41.7),
        ("maintenance_basis", 9151, 77.0, 39.9),
        ("construction_basis", 8845, 75.4, 38.8),
        ("both", 8527, 72.7, 37.4),
        ("both, exact count", 7895, 67.3, 34.7),
    ],
)
def test_effect_on_the_headline(effects, reading, gpu_musd, low, high):
    row = effects.loc[reading]
    assert row["gpu_usd"] / 1e6 == pytest.approx(gpu_musd, abs=0.5)
    assert row["ratio_low"] == pytest.approx(low, abs=0.05) and row["ratio_high"] == pytest.approx(high, abs=0.05)


def test_pue_once(effects, paper, design):
    assert effects.loc["pue_in_system_power", "carbon_ratio"] == pytest.approx(488, abs=0.7)
    # 3,549 t with facility power as it is, 3,545 t with 0.345 MW, which is what the rounding makes of it
    once = AS_PUBLISHED.switched(pue_in_system_power=False, facility_power_step_mw=0.0)
    low = costmodel.compare(paper, volume=50, conventions=once, **design).low
    assert low.hardwired_carbon.static_t == pytest.approx(3549, abs=0.5) and low.carbon_ratio == pytest.approx(
        488.1, abs=0.05
    )


def test_every_switch_has_a_row_and_all_together(effects):
    switches = conventions.differences(AS_PUBLISHED, CORRECTED)
    assert set(switches) <= set(effects.index) and "all: corrected" in effects.index
    assert set(switches) == {f for f in conventions.CHOICES if f != "yield_model"}
    numbers = effects.select_dtypes("number")
    assert np.isfinite(numbers).all().all() and len(effects) == len(switches) + 4
    assert effects.loc["as-published", "ratio_low_change_percent"] == 0


def test_all_together(effects):
    row = effects.loc["all: corrected"]
    assert 50 < row["ratio_low"] < 60 and 25 < row["ratio_high"] < 32


@pytest.fixture
def mine(tmp_path):
    """Conventions of one's own: ours, with the paper's count of GPUs."""
    path = tmp_path / "mine.toml"
    path.write_text(
        '[conventions]\nextends = "corrected"\ntitle = "mine"\n[choices]\ngpu_count = "rounded"\n', encoding="utf-8"
    )
    return path


def test_a_set_of_ones_own_is_a_file(mine, paper, design):
    ours = conventions.named(mine)
    assert (ours.name, ours.title, ours.book, ours.levels) == ("mine", "mine", "default", CORRECTED.levels)
    assert conventions.differences(CORRECTED, ours) == {"gpu_count": "rounded"}
    assert conventions.named(str(mine)) == ours and conventions.named(ours) is ours
    result = costmodel.compare(paper, volume=50, conventions=ours, **design)
    assert result.gpus == 100_000 > costmodel.compare(paper, volume=50, conventions=CORRECTED, **design).gpus


def test_a_set_may_extend_another_file_and_bring_a_book(mine):
    other = mine.with_name("other.toml")
    other.write_text('[conventions]\nextends = "mine.toml"\nbook = "prices.toml"\n', encoding="utf-8")
    found = conventions.named(other)
    assert found.gpu_count == "rounded" and found.book == str(mine.with_name("prices.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing: expected them, or extends"),
        ("x = 1\n", "unknown table in bad.toml: 'x'"),
        ("[conventions]\nextend = 1\n", "did you mean 'extends'"),
        ('[conventions]\nextends = "correct"\n', "did you mean 'corrected'"),
        ('[conventions]\nextends = "bad.toml"\n', "bad.toml extend themselves"),
        ('[conventions]\nextends = "none.toml"\n', "none.toml"),
        ('[conventions]\nextends = "corrected"\nlevels = ["lowest"]\n', r"levels = \['lowest'\]"),
        ('[conventions]\nextends = "corrected"\nheadline = "lo"\n', "did you mean 'low'"),
        ('[conventions]\nextends = "corrected"\nbook = 5\n', "book = 5: expected a text"),
        ('[conventions]\nextends = "corrected"\n[choices]\ngpu_counts = "exact"\n', "did you mean 'gpu_count'"),
        ('[conventions]\nextends = "corrected"\n[choices]\ngpu_count = "exactly"\n', "did you mean 'exact'"),
        ('[conventions]\nextends = "corrected"\n[choices]\nspares_respun = 1\n', "spares_respun"),
        ("[conventions\n", "not valid TOML"),
    ],
)
def test_files_that_are_no_set(tmp_path, text, said):
    (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        conventions.named(tmp_path / "bad.toml")


def test_names():
    assert conventions.names() == ["as-published", "corrected"] and conventions.named("Corrected") is CORRECTED
    assert conventions.named("as-published") is AS_PUBLISHED and conventions.named("corrected") is CORRECTED
    with pytest.raises(InputError, match="did you mean 'corrected'"):
        conventions.named("correct")


@pytest.mark.parametrize(
    ("choices", "word"),
    [
        ({"die_formula": "plane"}, "did you mean 'plain'"),
        ({"round_dies": True}, "did you mean 'round_good_dies'"),
        ({"licence_counted": "no"}, "licence_counted"),
        ({"licence_counted": 1}, "licence_counted"),
        ({"construction_basis": True}, "construction_basis"),
        ({"facility_power_step_mw": -1}, "facility_power_step_mw"),
        ({"facility_power_step_mw": float("nan")}, "facility_power_step_mw"),
    ],
)
def test_bad_choices(choices, word):
    with pytest.raises(InputError, match=word):
        AS_PUBLISHED.switched(**choices)


def test_compare_is_side_by_side(paper, design):
    result = costmodel.compare(paper, volume=50, **design)
    frame = result.to_frame()
    assert list(zip(frame["level"], frame["fleet"], strict=True)) == [
        ("low", "hardwired"),
        ("low", "gpu"),
        ("nominal", "hardwired"),
        ("nominal", "gpu"),
        ("high", "hardwired"),
        ("high", "gpu"),
    ]
    assert result.gpus == 100_000 and result.low.static_tco_ratio > result.low.tco_ratio > result.high.tco_ratio
    assert "total cost" in result._repr_html_() and "total_usd" not in result._repr_html_()
    ratios = result.ratios().set_index("level")
    assert ratios.loc["low", "tco"] == result.low.tco_ratio and ratios.loc["high", "carbon"] == result.high.carbon_ratio


@pytest.mark.parametrize("which", ["as-published", "corrected"])
def test_default_book_compares(default, design, which):
    design = design | {"device_tokens_per_s": 1080}
    result = costmodel.compare(default, volume=50, conventions=conventions.named(which), **design)
    assert result.nominal.tco_ratio > 1 and result.nominal.carbon_ratio > 1
    assert costmodel.compare(default, volume=1, devices=10, **design).gpus == 10


def test_compare_vectorised_is_scalar(paper, design):
    volumes = np.array([1, 10, 50])
    for choice in (AS_PUBLISHED, CORRECTED):
        many = costmodel.compare(paper, volume=volumes, conventions=choice, **design)
        for i, v in enumerate(volumes):
            one = costmodel.compare(paper, volume=int(v), conventions=choice, **design)
            assert many.low.tco_ratio[i] == pytest.approx(one.low.tco_ratio, rel=1e-14)
            assert many.high.carbon_ratio[i] == pytest.approx(one.high.carbon_ratio, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"volume": 0}, "volume"),
        ({"volume": float("nan")}, "volume"),
        ({"tokens_per_s": -1}, "tokens_per_s"),
        ({"chip_power_w": -1}, "chip_power_w"),
        ({"system_power_w": float("inf")}, "stated_w"),
        ({"node": "n4"}, "process node"),
        ({"devices": 0}, "units"),
        ({"device": Device("h10", "n5")}, "did you mean 'h100.tokens_per_s'"),
        ({"device": Device("h100", "n4"), "conventions": CORRECTED}, "process node"),
        ({"region": "moon"}, "grid region"),
        ({"respins": 1.5}, "respins"),
    ],
)
def test_bad_comparisons(paper, design, options, word):
    own = {name: options.pop(name) for name in vars(design["system"]) if name in options}
    changed = design | {"system": dataclasses.replace(design["system"], **own)} | options
    with pytest.raises(InputError, match=word):
        costmodel.compare(paper, **({"volume": 1} | changed))


def test_table4(paper):
    got = costmodel.table4(paper, np.array([1.026e12, 671e9, 32.8e9, 8.03e9]), np.array([8, 8, 16, 16]), node="n5")
    assert got.bits_per_chip == pytest.approx(29.21e9, rel=1e-3)
    assert got.masks_usd / 1e6 == pytest.approx([676, 452, 69.1, 37.8], abs=0.5)
    own = costmodel.table4(paper, 116.83e9, 4, node="n5")
    assert own.chips == pytest.approx(16) and own.masks_usd == pytest.approx(64.615e6, rel=1e-4)
    for parameters, bits in ((0, 8), (1e9, -1), (float("nan"), 4)):
        with pytest.raises(InputError):
            costmodel.table4(paper, parameters, bits, node="n5")
