"""Figures hold the numbers that they were given, and the floorplan is to scale."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costmodel
import hwsim
import models
from explorer.pricing.prices import cost_book, device, published_system
from explorer.report import figures
from explorer.report.figures.chip import FIELD_ASPECT, outline_mm, squarify
from explorer.report.figures.time import PUBLISHED_SHARES, published_boundaries
from hwbase import InputError, numbers
from hwsim.simulation import hardwired

MODEL = "gpt-oss-120b"
CONTEXTS = np.array([2048, 65536, 131072, 262144])
VOLUME = 50


@pytest.fixture(scope="module")
def chip():
    spec = models.load(MODEL)
    design, technology, _ = hardwired(spec)
    return hwsim.build_chip(spec, design, technology)


@pytest.fixture(scope="module")
def runs():
    return {reading: hwsim.simulate(MODEL, context=CONTEXTS, reading=reading) for reading in hwsim.READINGS}


@pytest.fixture(scope="module")
def comparison():
    book = cost_book("hnlpu-asplos26")
    system, tokens_per_s = published_system(book, hwsim.technology_book())
    return costmodel.compare(book, system, device("h100"), volume=VOLUME, tokens_per_s=tokens_per_s)


# floorplan


@pytest.mark.slow
@settings(deadline=None)
@given(
    areas=st.lists(st.one_of(st.just(0.0), st.floats(1e-4, 1e3)), min_size=1, max_size=14).filter(lambda a: sum(a) > 0),
    aspect=st.floats(0.2, 5.0),
)
def test_rectangles_tile_the_die(areas, aspect):
    height = math.sqrt(sum(areas) / aspect)
    width = sum(areas) / height
    rects = squarify(areas, width, height)
    room = 1e-9 * max(width, height)
    assert [r.area_mm2 for r in rects] == pytest.approx(areas, rel=1e-9)
    for index, rect in enumerate(rects):
        assert rect.x_mm >= -room and rect.y_mm >= -room
        assert rect.x_mm + rect.width_mm <= width + room
        assert rect.y_mm + rect.height_mm <= height + room
        for other in rects[index + 1 :]:
            assert rect.overlap_mm2(other) <= 1e-9 * width * height


@pytest.mark.parametrize("areas", [[1.0, -1.0], [math.nan, 1.0], [1.0, 2.0]])
def test_areas_that_cannot_be_laid_are_refused(areas):
    with pytest.raises(InputError, match="expected"):
        squarify(areas, 1.0, 2.0)


def test_floorplan_draws_every_block_to_scale(chip):
    rects = figures.floorplan_rects(chip)
    drawn = figures.floorplan(chip)
    assert {name: r.area_mm2 for name, r in rects.items()} == pytest.approx({b.name: b.area_mm2 for b in chip.blocks})
    assert [trace.name for trace in drawn.data] == [b.name for b in chip.blocks]
    for trace, block in zip(drawn.data, chip.blocks, strict=True):
        area = (max(trace.x) - min(trace.x)) * (max(trace.y) - min(trace.y))
        assert area == pytest.approx(block.area_mm2)
        assert numbers.plain(block.power_w) in trace.text
    die, reticle = drawn.layout.shapes
    for shape, area in ((die, chip.area_mm2), (reticle, chip.reticle_area_mm2)):
        assert (shape.x1 - shape.x0) * (shape.y1 - shape.y0) == pytest.approx(area)
        assert (shape.x1 - shape.x0) / (shape.y1 - shape.y0) == pytest.approx(FIELD_ASPECT)


def test_block_rows_sums_to_the_die(chip):
    frame = pd.DataFrame(figures.block_rows(chip))
    assert frame["share"].sum() == pytest.approx(1.0)
    assert frame["power_w"].sum() == pytest.approx(chip.power_w)


def test_floorplan_of_a_sweep_is_refused(chip):
    block = dataclasses.replace(chip.blocks[0], area_mm2=np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="expected one"):
        figures.floorplan(dataclasses.replace(chip, blocks=(block,)))


@pytest.mark.slow
def test_block_without_area_is_not_drawn(chip):
    empty = dataclasses.replace(chip.blocks[2], area_mm2=0.0)
    drawn = figures.floorplan(dataclasses.replace(chip, blocks=(*chip.blocks[:2], empty, *chip.blocks[3:])))
    assert len(drawn.data) == len(chip.blocks) - 1


def test_outline_has_the_area():
    width, height = outline_mm(858.0)
    assert (width, height) == pytest.approx((33.0, 26.0))


# time


@pytest.mark.parametrize("reading", hwsim.READINGS)
def test_shares_sum_to_one(runs, reading):
    drawn = figures.breakdown_over_context(runs[reading])
    bars = [trace for trace in drawn.data if trace.type == "bar"]
    assert np.sum([bar.y for bar in bars], axis=0) == pytest.approx(np.ones(len(CONTEXTS)))
    assert all(tuple(bar.x) == ("2K", "64K", "128K", "256K") for bar in bars)


def test_published_shares_are_marked_near_ours(runs):
    drawn = figures.breakdown_over_context(runs["as-published"])
    marks = next(trace for trace in drawn.data if trace.type == "scatter")
    assert sorted(set(marks.x)) == ["256K", "2K", "64K"]
    frame = pd.DataFrame(figures.breakdown_rows(runs["as-published"])).set_index("context")
    for context, shares in PUBLISHED_SHARES.items():
        assert published_boundaries(shares)["communication"] == shares["communication"]
        assert published_boundaries(shares)["stall"] == pytest.approx(1.0)
        assert frame.loc[context, "communication"] == pytest.approx(shares["communication"], abs=0.01)


def test_published_shares_belong_to_one_reading_only(runs):
    assert all(trace.type == "bar" for trace in figures.breakdown_over_context(runs["pipelined"]).data)


def test_occupancy_names_what_binds():
    result = hwsim.simulate(MODEL, reading="pipelined")
    frame = pd.DataFrame(figures.occupancy_rows(result))
    assert frame["resource"].iloc[0] == result.bound_by
    assert frame["binds"].tolist() == [True] + [False] * (len(frame) - 1)
    assert frame["busy_share"].iloc[0] == pytest.approx(1.0)
    drawn = figures.occupancy_bars(result)
    shown = np.concatenate([np.asarray(trace.x, dtype=float) for trace in drawn.data])
    assert sorted(shown) == pytest.approx(sorted(result.occupancy_s.values()))
    assert "binds" in drawn.data[0].text[0]


def test_nothing_binds_where_latency_does():
    result = dataclasses.replace(hwsim.simulate(MODEL, reading="pipelined"), bound_by="latency")
    assert not pd.DataFrame(figures.occupancy_rows(result))["binds"].any()
    assert figures.occupancy_bars(result).data


def test_speed_has_lines_and_levels(runs):
    rates = np.linspace(6000.0, 200.0, len(runs["pipelined"].context))
    drawn = figures.speed_over_context(runs["as-published"], runs["pipelined"], {"h100": rates}, {"wse3": 2940.0})
    assert list(drawn.data[0].y) == pytest.approx(runs["as-published"].tokens_per_s)
    assert list(drawn.data[1].y) == pytest.approx(runs["pipelined"].tokens_per_s)
    assert list(drawn.data[2].y) == pytest.approx(rates)
    assert list(drawn.data[3].y) == [2940.0, 2940.0]
    assert drawn.layout.xaxis.type == drawn.layout.yaxis.type == "log"


# money and carbon


def test_waterfall_adds_up(comparison):
    for pair in (comparison.low, comparison.high):
        frame = pd.DataFrame(figures.waterfall_rows(pair.bill, pair.hardwired))
        assert frame["usd"].iloc[:-1].sum() == pytest.approx(pair.hardwired.total_usd)
        assert frame["usd"].iloc[-1] == pytest.approx(pair.hardwired.total_usd)
        assert frame.loc[frame["kind"] == "NRE", "usd"].sum() == pytest.approx(pair.bill.nre_usd)
        drawn = figures.cost_waterfall(pair.bill, pair.hardwired)
        assert np.asarray(drawn.data[0].x, dtype=float) * 1e6 == pytest.approx(frame["usd"].to_numpy())
        assert drawn.data[0].measure[-1] == "total"


def test_tco_stacks_to_the_total_and_states_ratios(comparison):
    drawn = figures.tco_bars(comparison)
    upper = [trace for trace in drawn.data if trace.xaxis == "x"]
    assert list(upper[0].y) == ["hardwired<br>low", "hardwired<br>nominal", "hardwired<br>high", "GPU"]
    expected = [pair.hardwired.total_usd for _, pair in comparison.levels()] + [comparison.low.gpu.total_usd]
    assert np.sum([trace.x for trace in upper], axis=0) * 1e6 == pytest.approx(expected)
    texts = " ".join(note.text for note in drawn.layout.annotations)
    assert "80.42×" in texts and "41.67×" in texts


def test_fleets_of_like_cost_need_no_enlargement(comparison):
    alike = {name: dataclasses.replace(pair, gpu=pair.hardwired) for name, pair in comparison.levels()}
    drawn = figures.tco_bars(dataclasses.replace(comparison, **alike))
    assert {trace.xaxis for trace in drawn.data} == {"x"}


def test_carbon_shows_both_scopes(comparison):
    drawn = figures.carbon_bars(comparison)
    scope2, scope3, total = (np.asarray(trace.x, dtype=float) for trace in drawn.data)
    assert scope2 + scope3 == pytest.approx(total)
    assert total[-1] == pytest.approx(comparison.low.gpu_carbon.total_t)
    assert drawn.layout.xaxis.type == "log"


def test_levels_that_differ_are_both_drawn(comparison):
    worse = dataclasses.replace(comparison.high.gpu_carbon, total_t=1e9)
    high = dataclasses.replace(comparison.high, gpu_carbon=worse)
    drawn = figures.carbon_bars(dataclasses.replace(comparison, high=high))
    assert list(drawn.data[0].y) == ["hardwired", "GPU<br>low", "GPU<br>nominal", "GPU<br>high"]
    drawn = figures.carbon_bars(comparison, ("low", "high"))
    assert list(drawn.data[0].y) == ["hardwired", "GPU"]


# looks and numbers


def test_figures_are_transparent_and_titled(chip, runs, comparison):
    for drawn in (
        figures.floorplan(chip),
        figures.breakdown_over_context(runs["pipelined"]),
        figures.tco_bars(comparison),
        figures.carbon_bars(comparison),
    ):
        assert drawn.layout.paper_bgcolor == drawn.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
        assert drawn.layout.title.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (249960.0, "249,960"),
        (18.89, "18.89"),
        (0.055, "0.055"),
        (6.9, "6.9"),
        (0, "0"),
        (-3.25, "−3.25"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (True, "yes"),
        (4.04e-12, "4.04\u00a0×\u00a010⁻¹²"),
        (np.array([1.0, 2.0]), "1, 2"),
    ],
)
def test_plain_numbers(value, shown):
    assert numbers.plain(value) == shown


def test_numbers_with_units():
    assert numbers.si(3.3391e-6, "s") == "3.339\u00a0µs"
    assert numbers.si(999.99, "W") == "1\u00a0kW"
    assert numbers.with_unit(128e9, "B/s per link") == "128\u00a0GB/s per link"
    assert numbers.with_unit(858, "mm2") == "858 mm²"
    assert numbers.money(9.563e9) == "$9.563\u00a0B"
    assert numbers.money(0.0126) == "$0.0126"
    assert numbers.mass(0.2643) == "264.3\u00a0kg"
    assert numbers.mass(1830015.0) == "1.83\u00a0Mt"
    assert numbers.counted(1, "chip") == "1\u00a0chip"
    assert numbers.counted(16, "chip") == "16\u00a0chips"
    assert numbers.times(80.42) == "80.42×"
    assert numbers.percent(-0.00001) == "0.0\u00a0%"
    assert numbers.context_label(2048) == "2K"
    assert numbers.context_label(1000) == "1,000"
    assert numbers.context_label(1048576) == "1M"
    assert numbers.compact(1.28e11) == "1.28\u00a0×\u00a010¹¹"
    assert numbers.words("hbm_bandwidth") == "HBM bandwidth"
    assert numbers.pretty_unit("W/mm**2") == "W/mm²"
