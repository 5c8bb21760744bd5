"""A study's rows are single calls of what it evaluates; rows that cannot be built say why and spoil no other."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import hwsim
import models
from explorer import evaluate
from explorer.study import Study, closed_forms
from explorer.study.closed_forms import accelerator_points, hardwired_points
from hwbase import InputError, load_book
from hwsim.technology import BOOKS

MODEL = "gpt-oss-120b"
TEXTS = {"bound_by", "failure", "on"}


def same(found, expected, where):
    if isinstance(expected, str) or expected is None:
        assert found == expected, where
    else:
        assert found == pytest.approx(expected, rel=1e-9, nan_ok=True), where


MIXED = Study(
    {
        "model": [MODEL, "llama-3-8b"],
        "technology": ["n5-asplos26", "n7", "n3"],
        "weights": ["fp4", "int4", "int6"],
        "reading": ["pipelined", "as-published"],
        "convention": ["corrected", "as-published"],
        "beside": {"choices": ["gpu"], "when": {"convention": "corrected"}},
        "link_bandwidth_bytes_per_s": (64e9, 1e12, "log"),
        "chips_asked": (4, 60),
        "electricity.usd_per_kwh": (0.05, 0.2),
        "context": (1, 100_000, "log"),
        "volume": (1, 500),
    },
    points=48,
    seed=3,
)
SETTINGS = ("technology", "weights", "reading", "convention", "context", "volume")
CONSTANTS = ("link_bandwidth_bytes_per_s", "electricity.usd_per_kwh")


@pytest.mark.slow
def test_mixed_groups_equal_single_designs():
    frame = MIXED.run(workers=1).frame
    assert len(frame) == 48 and frame["technology"].nunique() == 3 and frame["failure"].isna().sum() > 20
    assert frame["failure"].notna().any(), "no row fails: the test has no failures to compare"
    for _, row in frame.iterrows():
        grid = hwsim.grid_for(row["chips_asked"])
        try:
            one = evaluate(
                row["model"],
                {name: row[name] for name in CONSTANTS} | dict(zip(("rows", "columns"), grid, strict=True)),
                **{name: row[name] for name in SETTINGS},
                beside=row["beside"],
                strict=False,
            ).iloc[0]
        except InputError as error:
            assert row["failure"] == str(error)
            continue
        assert (row["beside"] == "gpu") == (row["convention"] == "corrected")
        assert row["chips"] == grid[0] * grid[1] >= row["chips_asked"]
        for name in one.index:
            same(row[name], one[name], (row["point"], name))


@pytest.mark.slow
def test_single_designs_equal_the_simulator():
    """Where the grid is given, so that both fit nothing."""
    study = Study(
        {"chips_asked": [16, 32, 48], "reading": ["pipelined", "as-published"], "hbm_stacks": [4, 8]}, sampler="grid"
    )
    frame = study.run(workers=1).frame
    for _, row in frame.iterrows():
        rows, columns = hwsim.grid_for(row["chips_asked"])
        machine = {"rows": int(rows), "columns": int(columns), "hbm_stacks": int(row["hbm_stacks"])}
        run = hwsim.simulate(MODEL, set=machine, reading=row["reading"])
        for name in ("tokens_per_s", "latency_s", "energy_j_per_token", "power_w"):
            same(row[name], float(getattr(run, name)), name)
        assert row["bound_by"] == run.bound_by


@pytest.mark.parametrize(
    ("on", "varied"), [("h100", {"memory_bandwidth_bytes_per_s": (1e12, 8e12)}), ("wse3", {"power_w": (1e4, 3e4)})]
)
def test_accelerators_equal_the_simulator(on, varied):
    space = {"model": [MODEL, "llama-3-8b"], "batch": (1, 64, "log"), "context": (1024, 8192), **varied}
    frame = Study(space, evaluate="accelerator", fixed={"on": on}, points=12).run(workers=1).frame
    assert frame["failure"].isna().all() and frame["model"].nunique() == 2
    for _, row in frame.iterrows():
        expected = hwsim.simulate(
            row["model"],
            on,
            context=int(row["context"]),
            batch=int(row["batch"]),
            set={name: row[name] for name in varied},
        )
        for name in ("tokens_per_s", "latency_s", "energy_j_per_token", "power_w", "area_mm2"):
            # wse3's power is varied: of one device it is a parameter, of all of them an output.
            column = f"out.{name}" if name in varied else name
            same(row[column], float(getattr(expected, name)), name)
        assert row["devices"] == expected.chips and row["bound_by"] == expected.bound_by


@pytest.mark.slow
def test_fields_of_the_model():
    study = Study({"model.layers": [18, 36, 72], "model.hidden_size": [2880, 1440]}, sampler="grid")
    frame = study.run(workers=1).frame
    spec = models.load(MODEL)
    for _, row in frame.iterrows():
        changed = dataclasses.replace(spec, layers=int(row["model.layers"]), hidden_size=int(row["model.hidden_size"]))
        one = evaluate(changed, {}).iloc[0]
        same(row["tokens_per_s"], one["tokens_per_s"], "layers")
        same(row["chips"], one["chips"], "chips")
    assert frame["tokens_per_s"].nunique() > 2


@pytest.mark.slow
def test_one_bad_row_spoils_no_other():
    """Whole blocks are refused for one value; halves find it."""
    links = np.geomspace(64e9, 1e12, 257)
    stacks = np.full(257, 8.0)
    stacks[[0, 100, 256]] = [2.5, 7.25, -1]
    found = hardwired_points({"link_bandwidth_bytes_per_s": links, "hbm_stacks": stacks}, 257)
    bad = np.array([reason is not None for reason in found["failure"]])
    assert np.flatnonzero(bad).tolist() == [0, 100, 256]
    assert all(
        found["failure"][i].startswith(f"hbm_stacks = {value:g}") for i, value in ((0, 2.5), (100, 7.25), (256, -1))
    )
    whole = hardwired_points({"link_bandwidth_bytes_per_s": links, "hbm_stacks": 8}, 257)
    for name in set(found) - {"failure"}:
        good = found[name][~bad]
        assert (
            (good == whole[name][~bad]).all()
            if good.dtype == object
            else np.allclose(good.astype(float), whole[name][~bad].astype(float), rtol=1e-12)
        ), name
    assert np.isnan(found["tokens_per_s"][bad]).all()


def test_a_setting_that_cannot_be_spoils_its_group_alone_and_at_once(monkeypatch):
    calls = []
    setting = closed_forms._setting
    monkeypatch.setattr(closed_forms, "_setting", lambda *given: (calls.append(given), setting(*given))[1])
    layers = np.array([36, -1] * 500, dtype=float)
    found = hardwired_points({"model.layers": layers, "clock_hz": np.linspace(1e9, 1.1e9, 1000)}, 1000)
    assert len(calls) == 2
    assert all(reason is None for reason in found["failure"][::2])
    assert all("layers" in reason for reason in found["failure"][1::2])
    assert np.isfinite(found["tokens_per_s"][::2]).all() and np.isnan(found["tokens_per_s"][1::2]).all()


def test_all_groups_bad():
    found = hardwired_points({"model.layers": np.array([-1.0, -2.0])}, 2)
    assert set(found) == {"failure"} and all("layers" in reason for reason in found["failure"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("link_bandwidth_bytes_per_s", np.array([np.nan, 1e12])),
        ("n5.d0_per_cm2", np.array([np.nan, 0.2])),
        ("logic_density_mtr_per_mm2", np.array([np.nan, 150.0])),
        ("context", np.array([np.nan, 65536])),
        ("volume", np.array([np.nan, 7])),
        ("fp4_sigma", np.array([np.nan, 2.0])),
        ("model.layers", np.array([np.nan, 18])),
        ("technology", np.array([None, "n7"], dtype=object)),
        ("reading", np.array([None, "as-published"], dtype=object)),
        ("weights", np.array([None, "int6"], dtype=object)),
        ("model", np.array([None, "llama-3-8b"], dtype=object)),
    ],
)
def test_what_does_not_count_is_what_it_usually_is(name, values):
    usual = hardwired_points({"hbm_stacks": np.array([8, 8])}, 2)
    found = hardwired_points({name: values, "hbm_stacks": np.array([8, 8])}, 2)
    assert found["failure"].tolist() == [None, None]
    for column in set(usual) - TEXTS:
        same(found[column][0], usual[column][0], column)
    assert any(found[column][1] != usual[column][1] for column in set(usual) - {"failure"})


def test_chips_need_a_value_everywhere():
    found = hardwired_points({"chips_asked": np.array([np.nan, 16.0])}, 2)
    assert "chips_asked is inactive" in found["failure"][0] and found["failure"][1] is None


def test_accelerators_fill_constants_too():
    book = load_book("h100", BOOKS)
    constant = next(name for name, quantity in book.items() if "bandwidth" in name)
    usual = accelerator_points({"batch": np.array([8, 8])}, 2)
    found = accelerator_points({"batch": np.array([8, 8]), constant: np.array([np.nan, 1e12])}, 2)
    same(found["tokens_per_s"][0], usual["tokens_per_s"][0], constant)
    assert found["tokens_per_s"][1] != usual["tokens_per_s"][1]


@pytest.mark.parametrize("evaluate", [hardwired_points, accelerator_points])
def test_no_points(evaluate):
    found = evaluate({"context": np.array([])}, 0)
    assert all(len(values) == 0 for values in found.values())


@pytest.mark.slow
def test_chips_are_the_smallest_grid_of_at_least_so_many():
    frame = Study({"chips_asked": [15, 16, 17, 100]}, sampler="grid").run(workers=1).frame
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame["chips_asked"].tolist() == [15, 16, 17, 100] and frame["chips"].tolist() == [16, 16, 20, 104]
    for chips, found in zip((15, 16, 17, 100), frame["tokens_per_s"], strict=True):
        rows, columns = hwsim.grid_for(chips)
        assert rows * columns >= chips
        same(found, evaluate(MODEL, {"rows": rows, "columns": columns}, strict=False)["tokens_per_s"][0], chips)


@pytest.mark.parametrize(
    ("space", "fixed", "said"),
    [
        ({"clock_hert": (1.0, 2.0)}, {}, "unknown field of hardwired: 'clock_hert'; did you mean 'clock_hz'"),
        ({"model.layrs": [1]}, {}, "did you mean 'model.layers'"),
        ({"context": [1, 2]}, {"n5.wafer_price": 3}, "did you mean 'n5.wafer_price_usd'"),
        ({"technology": ["n5", "n55"]}, {}, "unknown .*'n55'; did you mean 'n5'"),
        ({"technology": [5, 7]}, {}, "5"),
        ({"weights": ["fp4", "int44"]}, {}, "'int44'; did you mean 'int4'"),
        ({"reading": ["piplined"]}, {}, "did you mean 'pipelined'"),
        ({"convention": ["corected"]}, {}, "did you mean 'corrected'"),
        ({"die_formula": ["exakt"]}, {}, "did you mean 'exact'"),
        ({"beside": ["gpus"]}, {}, "did you mean 'gpu'"),
        ({"model": ["gpt-oss-120"]}, {}, "did you mean 'gpt-oss-120b'"),
        ({"context": [1, 2]}, {"model": "gpt-oss-120"}, "did you mean 'gpt-oss-120b'"),
        ({"context": [1, 2]}, {"model": 3}, "model = 3"),
        ({"context": [1, 2]}, {"technology": "n55"}, "did you mean 'n5'"),
        ({"context": [1, 2]}, {"technology": 3}, "3"),
        ({"context": [1, 2]}, {"convention": 3}, "3"),
        ({"context": [1, 2]}, {"convention": True}, "True"),
        ({"context": [1, 2]}, {"book": "defalt"}, "did you mean 'default'"),
        ({"context": [1, 2]}, {"book": 5}, "5"),
        ({"context": [1, 2]}, {"reading": 3}, "3"),
        ({"context": [1, 2]}, {"clock_hz": float("nan")}, "fixed clock_hz = nan"),
        ({"context": [1, 2]}, {"clock_hz": [1e9]}, "fixed clock_hz = "),
        ({"context": [1, 2]}, {"clock_hz": {"a": 1}}, "fixed clock_hz = "),
    ],
)
def test_typos_are_found_before_anything_runs(space, fixed, said):
    with pytest.raises(InputError, match=said):
        Study(space, fixed=fixed)


def test_units_are_understood_in_what_is_fixed():
    words = Study({"context": [2048]}, fixed={"link_bandwidth_bytes_per_s": "64 GB/s"}, sampler="grid").run(workers=1)
    numbers = Study({"context": [2048]}, fixed={"link_bandwidth_bytes_per_s": 64e9}, sampler="grid").run(workers=1)
    assert words.frame["tokens_per_s"].equals(numbers.frame["tokens_per_s"]) and not words.frame["failure"].any()


def test_units_are_understood_in_what_varies():
    texts = Study({"link_bandwidth_bytes_per_s": ["64 GB/s", "1 TB/s"], "context": ["2K", "64K"]})
    numbers = Study({"link_bandwidth_bytes_per_s": [64e9, 1e12], "context": [2048, 65536]})
    assert texts.digest() == numbers.digest()
    pd.testing.assert_frame_equal(texts.run(workers=1).frame, numbers.run(workers=1).frame)


def test_h200_among_the_machines_of_a_study():
    space = {"on": ["h100", "h200", "wse3"], "batch": [1, 32]}
    frame = Study(space, evaluate="accelerator", fixed={"model": MODEL}, sampler="grid").run(workers=1).frame
    assert frame["failure"].isna().all() and len(frame) == 6
    for _, row in frame.iterrows():
        expected = hwsim.simulate(MODEL, row["on"], batch=int(row["batch"]))
        same(row["tokens_per_s"], float(expected.tokens_per_s), row["on"])
    h100, h200 = (frame[(frame["on"] == name) & (frame["batch"] == 1)].iloc[0] for name in ("h100", "h200"))
    assert h200["tokens_per_s"] / h200["devices"] > h100["tokens_per_s"] / h100["devices"]


@pytest.mark.slow
def test_h200_bought_beside_hardwired_machines():
    space = {"beside": ["gpu", "h200"], "volume": [5, 50]}
    frame = Study(space, sampler="grid").run(workers=1).frame
    assert frame["failure"].isna().all() and len(frame) == 4
    for _, row in frame.iterrows():
        one = evaluate(MODEL, volume=int(row["volume"]), beside=row["beside"], die_formula="de-vries").iloc[0]
        same(row["tco_ratio"], one["tco_ratio"], row["beside"])
    assert frame.groupby("volume")["gpus"].nunique().eq(2).all()
