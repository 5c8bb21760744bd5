"""The fabric of a machine's weights as a choice of its book: arrays, speed, energy, masks, and what is refused."""

import numpy as np
import pytest

import costmodel
import explorer
import hwsim
import models
from hwbase import InputError
from hwsim.arrays import interval_cycles
from hwsim.chip import build_chip
from hwsim.events.decode import decode_in_detail
from hwsim.simulation import hardwired
from hwsim.weight_fabrics import METAL, ON_CHIP, compare, machine_fabrics

SMALL = models.load("smollm2-135m")
OTHERS = [fabric for fabric in ON_CHIP if fabric != METAL]
ONE_CHIP = {"rows": 1, "columns": 1, "service": "furthest-first"}


def weights_of(fabric):
    return "ternary" if fabric == "ternary_rom" else "fp4"


def built(fabric, **set):
    return hardwired(SMALL, weights=weights_of(fabric), set=ONE_CHIP | {"fabric": fabric} | set)


def test_metal_is_what_a_machine_has_that_names_no_fabric():
    named, silent = (hwsim.simulate("gpt-oss-120b", set=set) for set in ({"fabric": METAL}, {}))
    pipelined = [
        hwsim.simulate("gpt-oss-120b", set=set, reading="pipelined").to_dict() for set in ({"fabric": METAL}, {})
    ]
    assert pipelined[0] == pipelined[1]
    # Naming a fabric asks for the reading that has any.
    assert silent.reading == "as-published" and named.reading == "pipelined"


@pytest.mark.parametrize("fabric", OTHERS)
def test_arrays_of_a_chip_cost_what_the_model_does_in_its_fabric(fabric):
    design, technology, used = built(fabric)
    row = compare(
        SMALL,
        technology,
        weights_of(fabric),
        fabrics=(fabric,),
        activation_bits=design.activation_bits,
        clock_hz=design.clock_hz,
        slack=design.popcnt_slack,
    ).rows[0]
    array = build_chip(SMALL, design, technology).block("HN array")
    assert array.area_mm2 == pytest.approx(row.area_mm2, rel=1e-12)
    assert array.static_w == pytest.approx(row.leakage_w, rel=1e-12)
    interval_s = interval_cycles(design) / design.clock_hz
    assert array.dynamic_w * interval_s == pytest.approx(row.projection_j_per_token, rel=1e-12)
    assert interval_cycles(design) == pytest.approx(row.cycles_per_token)
    tables = {name.split(".")[1] for name in used if name.startswith("fabrics.")}
    assert (fabric in tables or fabric == "structured_asic") and METAL not in tables


def test_the_constants_of_a_fabric_are_read_where_it_is_chosen():
    _, _, used = hardwired(SMALL, set=ONE_CHIP)
    assert not any(name.startswith("fabrics.") for name in used)
    alone = [
        hwsim.simulate(
            SMALL,
            batch=1,
            reading="pipelined",
            set=ONE_CHIP | {"fabric": "mask_rom", "fabrics.mask_rom.weights_per_multiplier": share},
        )
        for share in (64, 256)
    ]
    assert alone[0].latency_s < alone[1].latency_s and alone[0].area_mm2 > alone[1].area_mm2


@pytest.mark.parametrize(("fabric", "sequences"), [("ternary_rom", 1), ("ternary_rom", 30), ("sram", 1)])
def test_events_have_the_arrays_of_the_fabric(fabric, sequences):
    design, technology, _ = built(fabric)
    result = decode_in_detail(SMALL, design, technology, context=512, sequences=sequences, tokens=6)
    closed = hwsim.simulate_hardwired(SMALL, design, technology, context=512, batch=sequences, reading="pipelined")
    assert result.tokens_per_s == pytest.approx(closed.tokens_per_s, rel=0.02)


def test_energy_of_switching_is_in_events():
    design, technology, _ = built("sram")
    traffic = hwsim.poisson(2000.0, 40, prompt=64, output=16)
    with_arrays, without = (
        hwsim.serve(SMALL, traffic, set=ONE_CHIP | {"fabric": fabric}).energy_j for fabric in ("sram", METAL)
    )
    chip = build_chip(SMALL, design, technology)
    a_token_j = chip.block("HN array").dynamic_w * interval_cycles(design) / design.clock_hz * design.power_overhead
    assert "HN array" not in without
    assert with_arrays["HN array"] == pytest.approx(a_token_j * 40 * (64 + 15), rel=0.03)


def test_masks_of_the_fabric_are_priced():
    answers = {f: explorer.cost(SMALL, set=ONE_CHIP | {"fabric": f}) for f in (METAL, "mask_rom", "sram")}
    assert "own_masks" not in answers[METAL].inputs
    assert answers["mask_rom"].inputs["own_masks"] == 2 and answers["sram"].inputs["own_masks"] == 0
    book = costmodel.load_book()
    size = {"chips": 1, "die_area_mm2": 400, "hbm_gb_per_chip": 0, "node": "n5"}
    ten, none, all_of_them = (costmodel.hardwired_bill(book, **size, own_masks=masks) for masks in (None, 0, np.inf))
    assert none.own_masks_usd == 0.0 and none.masks_usd == pytest.approx(ten.masks_usd)
    assert all_of_them.shared_masks_usd == 0.0 and all_of_them.own_masks_usd == pytest.approx(ten.masks_usd)


def test_a_book_names_its_fabric_and_has_constants_of_it(tmp_path):
    path = tmp_path / "rom.toml"
    path.write_text(
        '[book]\nname = "rom"\ntitle = "ROM"\nextends = "hnlpu"\n[book.choices]\nfabric = "mask_rom"\n'
        '[fabrics.mask_rom]\nweights_per_multiplier = { nominal = 64, unit = "1", year = 2026, kind = "user", '
        'source = "ours" }\n'
    )
    design, _, used = hardwired(SMALL, book=hwsim.machine_book(path))
    assert design.fabric == "mask_rom" and interval_cycles(design) == 64
    assert used["fabrics.mask_rom.weights_per_multiplier"].kind == "user"
    assert machine_fabrics(hwsim.design_book(path)).value("mask_rom.weights_per_multiplier", "1") == 64
    path.write_text(path.read_text().replace("fabrics.mask_rom", "fabrics.mask_rum"))
    with pytest.raises(InputError, match=r"did you mean 'fabrics\.mask_rom\.weights_per_multiplier'"):
        hwsim.simulate(SMALL, on=path)


def test_re_spins_replace_the_arrays_of_the_machine(tmp_path):
    path = tmp_path / "rom.toml"
    path.write_text('[book]\nname = "rom"\ntitle = "ROM"\nextends = "hnlpu"\n[book.choices]\nfabric = "mask_rom"\n')
    result = explorer.respins("gpt-oss-120b", on=path, fabrics=("mask_rom", METAL), every=(0, 1))
    rows = {(row["fabric"], row["every"]): row for row in result.rows}
    assert result.best[0]["respin_masks"] == 2
    assert rows["mask_rom", 1]["respins_usd"] < rows[METAL, 1]["respins_usd"]


def test_a_search_varies_the_fabric():
    steps = {"rows": [4], "columns": [3, 4], "pipeline_stages": [1], "fabric": [METAL, "mask_rom"]}
    steps |= {"hbm_stacks": [8], "vex_macs": [16384], "buffer_banks": [20000], "norms": ["replicated"]}
    result = explorer.design("gpt-oss-120b", vary=steps, objectives=["area_mm2"], confirm=0)
    assert result.best.fabric == "mask_rom" and set(result.front["fabric"]) <= {METAL, "mask_rom"}


@pytest.mark.parametrize(
    ("set", "weights", "words"),
    [
        ({"fabric": "ternary_rom"}, "fp4", "weights = 'fp4': a ternary ROM holds weights of three values"),
        ({"fabric": "dram"}, "fp4", "its weights are not on the chips"),
        ({"fabric": "mask_rum"}, "fp4", "mask_rom"),
        ({"fabrics.mask_rom.bits_per_cel": 2}, "fp4", "did you mean 'fabrics.mask_rom.bits_per_cell'"),
        ({"fabric": "mask_rom", "fabrics.mask_rom.weights_per_multiplier": 0}, "fp4", "weights_per_multiplier"),
        ({"fabric": "mask_rom"}, "fp3", "fp3"),
    ],
)
def test_bad_input_is_one_sentence(set, weights, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")) as caught:
        hwsim.simulate("gpt-oss-120b", weights=weights, set=set)
    assert "\n" not in str(caught.value)


def test_published_figures_are_of_metal():
    with pytest.raises(InputError, match="Metal-Embedding"):
        hwsim.simulate("gpt-oss-120b", set={"fabric": "sram"}, reading="as-published")


def test_arrays_broadcast():
    shares = np.array([64.0, 256.0])
    result = hwsim.simulate(
        SMALL,
        reading="pipelined",
        set=ONE_CHIP | {"fabric": "mask_rom", "fabrics.mask_rom.weights_per_multiplier": shares},
    )
    assert result.area_mm2.shape == (2,) and result.area_mm2[0] > result.area_mm2[1]
