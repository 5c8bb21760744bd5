"""Classes of links: constants, and what they change of speed, power, area, dollars, and what can be built."""

import dataclasses

import numpy as np
import pytest

import explorer
import hwsim
from hwsim.chip import link_blocks, links_usd_per_chip
from hwsim.links import OWN, class_names
from hwsim.simulation import hardwired

MODEL = "gpt-oss-120b"
STAGES = {"rows": 1, "columns": 4, "pipeline_stages": 4}


def speed(**set):
    return hwsim.simulate(MODEL, reading="pipelined", set=set)


def design(**set):
    made, technology, used = hardwired(hwsim.simulation.models.spec_of(MODEL), set=set)
    return made, technology, used


@pytest.mark.parametrize("name", class_names()[1:])
def test_every_class_is_whole_and_ordered(name):
    made, _, used = design(link_class=name, **STAGES)
    link = made.grid_link
    assert link.name == name and link.bandwidth_bytes_per_s > 0 and link.price_usd > 0
    read = [constant for constant in used if constant.startswith("links.")]
    assert read and all(constant.startswith(f"links.{name}.") for constant in read)
    for constant in read:
        assert used[constant].at("low") <= used[constant].nominal <= used[constant].at("high")


def test_the_machines_own_link_is_that_of_its_books():
    made, technology, used = design()
    assert (made.link_class, made.stage_link_class, made.grid_topology) == (OWN, OWN, "row-column")
    (block,) = link_blocks(made, technology)
    assert block.area_mm2 == 6 * technology.link_area_mm2 and links_usd_per_chip(made) == 0.0
    assert not any(name.startswith("links.") for name in used)
    # CXL in the list of classes is the same link, but for the energy that was fitted to the paper.
    assert speed(link_class="cxl", stage_link_class="cxl").tokens_per_s == speed().tokens_per_s


def test_two_classes_in_one_machine():
    one, both = speed(**STAGES), speed(**STAGES, stage_link_class="optical")
    made, technology, _ = design(**STAGES, stage_link_class="optical")
    grid, between = link_blocks(made, technology)
    assert between.area_mm2 == 3 * made.stage_link.area_mm2 and grid.area_mm2 == 3 * technology.link_area_mm2
    assert both.area_mm2 < one.area_mm2 and both.tokens_per_s == one.tokens_per_s
    alone = [
        hwsim.simulate(MODEL, reading="pipelined", set=set, batch=1).latency_s
        for set in (STAGES, STAGES | {"stage_link_class": "optical"})
    ]
    assert alone[1] < alone[0]
    names = [check.name for check in both.checks]
    assert "stage link bandwidth" in names and "stage link bandwidth" not in [check.name for check in one.checks]


def test_energy_of_links_goes_with_bits():
    dear = speed(link_class="cxl", **{"links.cxl.energy_j_per_bit": 10e-12})
    cheap = speed(link_class="cxl", **{"links.cxl.energy_j_per_bit": 5e-12})
    free = speed(link_class="cxl", **{"links.cxl.energy_j_per_bit": 0.0})
    assert dear.power_w - free.power_w == pytest.approx(2.0 * (cheap.power_w - free.power_w))
    # One token's bits: every chip's busiest links are as busy as the mean, where all pairs are joined.
    made, _, _ = design(link_class="cxl")
    column, row = made.rows - 1, made.columns - 1
    elements = hwsim.occupancy.grid_load(hwsim.simulation.models.spec_of(MODEL), made, rotating=True)
    sent = made.chips * 36 * (column * elements["column"] + row * elements["row"]) * made.link_element_bytes * 8
    joules = 2 * sent * 10e-12 * made.power_overhead
    assert dear.energy_j_per_token - free.energy_j_per_token == pytest.approx(joules)


def test_dollars_of_links_are_in_the_bill():
    own, optical, switched = (
        explorer.evaluate(MODEL, {**STAGES, **more}).iloc[0]
        for more in ({}, {"stage_link_class": "optical"}, {"link_class": "cxl", "grid_topology": "switch"})
    )
    made, _, _ = design(**STAGES, stage_link_class="optical")
    assert links_usd_per_chip(made) == 3 * 1400
    assert optical["tco_usd"] > own["tco_usd"]
    made, _, _ = design(**STAGES, link_class="cxl", grid_topology="switch")
    assert links_usd_per_chip(made) == 60 + 250 and switched["chips"] == 16


def test_more_links_side_by_side_never_slow():
    for extra in ({}, {"link_class": "nvlink"}, {"grid_topology": "torus", "collective": "ring"}):
        rates = [float(speed(**extra, links_per_pair=count).tokens_per_s) for count in (1, 2, 4)]
        areas = [float(speed(**extra, links_per_pair=count).area_mm2) for count in (1, 2, 4)]
        assert rates == sorted(rates) and areas == sorted(areas) and areas[2] > areas[0]


@pytest.mark.parametrize("name", class_names()[1:])
@pytest.mark.parametrize("topology", ["row-column", "torus", "mesh"])
def test_more_bandwidth_and_less_latency_never_slow(name, topology):
    for constant, better in (("bandwidth_bytes_per_s", 2.0), ("latency_s", 0.5)):
        book = hwsim.design_book()
        full = f"links.{name}.{constant}"
        value = book.value(full, book[full].unit)
        rates = [
            hwsim.simulate(
                MODEL,
                reading="pipelined",
                batch=np.array([1, 64, 216]),
                set={"link_class": name, "grid_topology": topology, full: each},
            ).tokens_per_s
            for each in (value, value * better)
        ]
        assert np.all(rates[1] >= rates[0] * (1 - 1e-12))


def test_links_on_a_package_reach_the_die_beside():
    def broken(**set):
        return [check.name for check in speed(link_class="ucie", **set).checks if not check.bears]

    assert "link reach" in broken(rows=4, columns=4)
    assert "link reach" not in broken(rows=2, columns=2, pipeline_stages=8)
    assert "link reach" not in broken(rows=1, columns=4, grid_topology="torus", pipeline_stages=6)
    assert "link package" in broken(rows=4, columns=4, grid_topology="mesh")
    # Memory stands on the package too.
    small = {"rows": 1, "columns": 4, "grid_topology": "torus", "pipeline_stages": 9, "buffer_banks": 8000}
    assert "link package" in broken(**small) and not broken(**small, hbm_stacks=2)


@pytest.mark.parametrize(
    ("set", "sentence"),
    [
        ({"link_class": "ucy"}, "unknown link_class 'ucy'; did you mean 'ucie'"),
        ({"stage_link_class": "optics"}, "unknown stage_link_class 'optics'; did you mean 'optical'"),
        ({"grid_topology": "tours"}, "unknown grid_topology 'tours'; did you mean 'torus'"),
        ({"grid_topology": "switch"}, "no switch joins links of the class 'own', expected link_class cxl"),
        ({"link_class": "ucie", "links.ucie.bandwidth_bytes_per_s": 0}, "links.ucie.bandwidth_bytes_per_s = 0"),
        ({"links.ucy.latency_s": 0}, "did you mean 'links.ucie.latency_s'"),
        ({"links_per_pair": 0}, "links_per_pair = 0"),
        ({"collective": "cheap"}, "did you mean 'cheapest'"),
    ],
)
def test_links_that_cannot_be(set, sentence):
    with pytest.raises(hwsim.InputError, match=sentence) as error:
        speed(**set)
    assert "\n" not in str(error.value)


def test_a_machines_book_may_have_other_constants_of_a_class(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[book]\nextends = "hnlpu"\n[book.choices]\nlink_class = "cxl"\n[links.cxl.bandwidth_bytes_per_s]\n'
        'nominal = 64\nunit = "GB/s"\nyear = 2026\nkind = "assumed"\nsource = "half"\n'
    )
    assert hwsim.load_design(path).grid_bandwidth_bytes_per_s == 64e9
    assert hwsim.simulate(MODEL, path).tokens_per_s < speed().tokens_per_s
    path.write_text(path.read_text().replace("links.cxl", "links.cxi"))
    with pytest.raises(hwsim.InputError, match=r"did you mean 'links.cxl.bandwidth_bytes_per_s'"):
        hwsim.load_design(path)


def test_a_search_over_links_is_what_simulations_say(tmp_path):
    steps = {
        "rows": [1],
        "columns": [4, 8],
        "pipeline_stages": [6, 9],
        "norms": ["sharded"],
        "collective": ["direct", "cheapest"],
        "vex_macs": [16384],
        "buffer_banks": [4000],
        "hbm_stacks": [2],
        "link_class": ["own", "ucie"],
        "stage_link_class": ["own", "optical"],
        "grid_topology": ["row-column", "torus", "switch"],
    }
    result = explorer.design(MODEL, vary=steps, set={"links.optical.price_usd": 700}, confirm=0)
    for _, row in result.front.iterrows():
        names = [name for name in row.index if name in hwsim.HardwiredDesign.__dataclass_fields__]
        set = {name: row[name] if isinstance(row[name], str) else int(row[name]) for name in names}
        run = hwsim.simulate(MODEL, set=set, reading="pipelined")
        assert run.tokens_per_s == row["tokens_per_s"] and run.area_mm2 == row["area_mm2"] and run.feasible
        assert row["tenth_more_gain.links"] >= 0 and row["tenth_more_mm2.links"] > 0
    quick = result.front.sort_values("latency_alone_s").iloc[0]
    assert (quick["link_class"], quick["grid_topology"]) == ("ucie", "torus")
    # The book has the links, and what was set of them.
    made = hwsim.load_design(result.write_book(tmp_path / "linked.toml", quick))
    assert (made.link_class, made.grid_topology) == ("ucie", "torus")
    assert made.link("optical").price_usd == 700
    with pytest.raises(hwsim.InputError, match="no switch joins links of the class 'own'"):
        explorer.design(MODEL, vary=steps | {"grid_topology": ["switch"]}, confirm=0)


def test_a_design_knows_only_classes_that_it_has():
    made, _, _ = design()
    with pytest.raises(hwsim.InputError, match="unknown link_class"):
        dataclasses.replace(made, link_class="copper")


def test_other_links_are_not_in_the_published_account():
    with pytest.raises(hwsim.InputError, match="row-column grid"):
        hwsim.simulate(MODEL, reading="as-published", set={"grid_topology": "torus"})
    assert hwsim.simulate(MODEL, set={"grid_topology": "torus"}).reading == "pipelined"
