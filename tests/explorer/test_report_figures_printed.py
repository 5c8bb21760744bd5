"""Figures that a report prints, against what they are made of: recomputed here from the results' own parts."""

import re

import pytest

from explorer.documents.tables import Table
from explorer.documents.theme import machine_name
from explorer.report.answer import answer as make_answer
from explorer.report.document import brief, headline
from explorer.report.fleet_sections import by_convention, effects_table, ratio_table, tco_table
from hwbase.numbers import mass, money, plain, times

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answer():
    return make_answer("gpt-oss-120b")


@pytest.fixture(scope="module")
def pairs(answer):
    """(as published at low, corrected at nominal): the two that a report sets side by side."""
    costs = by_convention(answer)
    return costs["as-published"].comparison.low, costs["corrected"].comparison.nominal


def table_of(section):
    return next(part for part in section.parts if isinstance(part, Table))


def cells(table):
    """Rows of a table by their first cell."""
    return {row[0]: row[1:] for row in table.rows}


def parts(carbon):
    return carbon.operational_t + carbon.embodied_t + carbon.respins_t


def whole(tco):
    return (
        tco.hardware_usd
        + tco.network_usd
        + tco.construction_usd
        + tco.electricity_usd
        + tco.maintenance_usd
        + tco.respins_usd
    )


def ratios(pair):
    """The ratios of a comparison from the parts of its two sides, by the name of the table's row."""
    ours, gpus, our_carbon, their_carbon = pair.hardwired, pair.gpu, pair.hardwired_carbon, pair.gpu_carbon
    capital = [tco.hardware_usd + tco.network_usd + tco.construction_usd for tco in (gpus, ours)]
    operation = [tco.electricity_usd + tco.maintenance_usd for tco in (gpus, ours)]
    return {
        "TCO": whole(gpus) / whole(ours),
        "TCO without re-spins": (whole(gpus) - gpus.respins_usd) / (whole(ours) - ours.respins_usd),
        "capital": capital[0] / capital[1],
        "operation": operation[0] / operation[1],
        "carbon": parts(their_carbon) / parts(our_carbon),
        "carbon without re-spins": (parts(their_carbon) - their_carbon.respins_t)
        / (parts(our_carbon) - our_carbon.respins_t),
    }


def test_headline_lines_follow_from_one_another(answer):
    lines = {line.what: line.values for line in answer.headline}
    for name, run in (("hnlpu", answer.published), ("hnlpu-pipelined", answer.pipelined)):
        tokens_per_s, area_mm2, power_w = float(run.tokens_per_s), float(run.area_mm2), float(run.power_w)
        assert lines["tokens/s"][name] == tokens_per_s and lines["silicon"][name] == area_mm2
        assert lines["system power"][name] == pytest.approx(power_w / 1e3)
        assert lines["tokens/s per mm2"][name] == pytest.approx(tokens_per_s / area_mm2, rel=1e-12)
        assert lines["tokens per kilojoule"][name] == pytest.approx(tokens_per_s / power_w * 1e3, rel=1e-12)
        assert lines["tokens/s for one user"][name] == pytest.approx(1.0 / float(run.latency_s), rel=1e-12)
        assert lines["time to first token"][name] == pytest.approx(float(run.time_to_first_token_s) * 1e3, rel=1e-12)
    gpu = {what: values["h100"] for what, values in lines.items()}
    assert gpu["tokens/s per mm2"] == pytest.approx(gpu["tokens/s"] / gpu["silicon"], rel=1e-12)
    assert gpu["tokens per kilojoule"] == pytest.approx(gpu["tokens/s"] / gpu["system power"], rel=1e-12)


def test_fleet_lines_are_those_of_the_comparisons(answer, pairs):
    volume = answer.cost.volume
    lines = {line.what.partition(",")[0]: line for line in answer.headline if f", {volume} system" in line.what}
    first, second = pairs
    for name, pair, ours in (("hnlpu", first, True), ("hnlpu-pipelined", second, True), ("h100", first, False)):
        tco = pair.hardwired if ours else pair.gpu
        carbon = pair.hardwired_carbon if ours else pair.gpu_carbon
        capital = tco.hardware_usd + tco.network_usd + tco.construction_usd
        assert lines["capital"].values[name] == pytest.approx(capital / 1e6)
        assert lines["TCO with re-spins"].values[name] == pytest.approx(whole(tco) / 1e6)
        assert lines["dollars per million tokens"].values[name] == pytest.approx(whole(tco) / tco.million_tokens)
        assert lines["carbon with re-spins"].values[name] == pytest.approx(parts(carbon))


def test_the_headline_prints_its_values(answer):
    for table, fleet in zip(headline(answer).tables, (False, True), strict=True):
        sides = [column.label for column in table.columns[1:-1]]
        lines = [line for line in answer.headline if line.fleet == fleet]
        for line, (_, *row, evidence) in zip(lines, table.rows, strict=True):
            printed = [(side, cell) for side, cell in zip(sides, row, strict=True) if cell != plain(None)]
            for side, values in (("ours", line.values), ("published", line.published)):
                expected = [plain(value, unit=line.unit) for value in values.values() if value is not None]
                assert [cell for of, cell in printed if of == side] == expected
            assert evidence == line.evidence


def test_the_brief_prints_costs_as_costs_and_carbon_as_carbon(answer, pairs):
    rows = cells(table_of(brief(answer)))
    first, second = pairs
    wide = by_convention(answer)["as-published"].comparison
    papers = next(each for each in answer.costs_beside if each.convention == "corrected")
    for what, key in (("cost", "TCO"), ("carbon", "carbon")):
        published, corrected = rows[f"matching {machine_name(papers.device)}s, {what}"]
        ends = sorted((ratios(wide.low)[key], ratios(wide.high)[key]))
        assert published in (times(ends[0]), " to ".join(times(end) for end in ends))
        assert corrected == times(ratios(papers.comparison.nominal)[key])
        best = machine_name(by_convention(answer)["corrected"].device)
        assert rows[f"matching {best}s, {what}"] == (plain(None), times(ratios(second)[key]))
    assert rows["How expensive, TCO"][1] == money(whole(second.hardwired))
    assert rows["How dirty, CO₂e"][1] == mass(parts(second.hardwired_carbon))
    assert mass(parts(first.hardwired_carbon)) in rows["How dirty, CO₂e"][0]


def test_the_table_of_ratios_is_what_both_sides_give(answer):
    costs = {name: each.comparison for name, each in by_convention(answer).items()}
    table = ratio_table(answer.costs)
    rows = cells(table)
    for place, column in enumerate(table.columns[1:]):
        pair = dict(costs[column.group.split(", ")[0]].levels())[column.label]
        assert {name: row[place] for name, row in rows.items()} == {n: times(v) for n, v in ratios(pair).items()}


def test_the_table_of_costs_adds_up(answer):
    table = tco_table(answer.cost)
    rows, levels = cells(table), dict(answer.cost.comparison.levels())
    for place, column in enumerate(table.columns[1:]):
        tco = levels[column.label].gpu if column.group == "GPU" else levels[column.label].hardwired
        assert rows["TCO"][place] == money(whole(tco))
        assert rows["capital"][place] == money(tco.hardware_usd + tco.network_usd + tco.construction_usd)
        assert rows["operation"][place] == money(tco.electricity_usd + tco.maintenance_usd)
        assert rows["per million tokens"][place] == money(whole(tco) / tco.million_tokens)


def test_the_table_of_conventions_begins_with_the_comparison_as_it_is(answer):
    effects = next(costs.effects for costs in by_convention(answer).values() if costs.effects is not None)
    first = effects_table(effects).rows[0]
    comparison = by_convention(answer)["as-published"].comparison
    expected = [
        money(whole(comparison.low.hardwired)),
        money(whole(comparison.high.hardwired)),
        money(whole(comparison.low.gpu)),
        times(ratios(comparison.low)["TCO"]),
        times(ratios(comparison.high)["TCO"]),
        times(ratios(comparison.low)["carbon"]),
    ]
    assert list(first[2:8]) == expected


def test_the_findings_say_what_the_comparisons_do(answer, pairs):
    note = next(note for note in answer.notes if note.title == "The effect of the conventions")
    said = [float(number.replace(",", "")) for number in re.findall(r"\b\d[\d,]*(?:\.\d+)?", note.text)]
    first, second = pairs
    published, corrected = (by_convention(answer)[name].comparison for name in ("as-published", "corrected"))
    expected = [
        published.gpus,
        answer.cost.volume,
        ratios(published.high)["TCO"],
        ratios(first)["TCO"],
        ratios(first)["carbon"],
        corrected.gpus,
        ratios(second)["TCO"],
        ratios(second)["carbon"],
    ]
    assert said == pytest.approx(expected, rel=5e-3)
