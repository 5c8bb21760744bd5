"""Embedding layers as a variable: by hand, monotone, priced, and refused where they make no sense."""

import json

import pytest

import hwsim
from explorer.wiring.layers import study_layers
from hwbase import InputError, load_book
from hwsim import wiring
from hwsim.technology import BOOKS

N5 = hwsim.load_technology("n5-asplos26")
CONSTANTS = load_book("wiring", BOOKS)


@pytest.mark.parametrize(
    ("pitch_nm", "masks"), [(126, (0, 8)), (76, (0, 8)), (75, (0, 16)), (38, (0, 16)), (37, (8, 0)), (28, (8, 0))]
)
def test_masks_of_four_layers_and_their_vias(pitch_nm, masks):
    count = wiring.layer_masks(4, pitch_nm)
    assert (count.euv, count.duv) == masks
    assert count.units(6.0) == masks[0] * 6 + masks[1]


def test_a_pitch_that_nothing_prints():
    with pytest.raises(InputError, match="pitch_nm = 20: expected at least 28"):
        wiring.layer_masks(4, 20)


def test_the_whole_neuron_by_hand():
    design = wiring.embedding_layers(20, N5)
    area = wiring.nominal_area(N5, design.slack)
    wires = CONSTANTS.value("cluster_2880.wire_constant", "1")
    assert design.cluster_inputs == 2880 and design.spread == 1.0
    assert design.area_um2_per_weight == pytest.approx(area)
    assert design.utilisation == pytest.approx(wires * 0.076 / (20 * area**0.5))


def test_more_layers_never_take_more_silicon():
    designs = [wiring.embedding_layers(layers, N5) for layers in range(1, 21)]
    areas, masks = [d.area_um2_per_weight for d in designs], [d.masks.duv for d in designs]
    assert areas == sorted(areas, reverse=True) and masks == sorted(masks)
    assert all(design.utilisation <= 0.7 + 1e-9 for design in designs)


def test_cells_are_spread_where_no_cluster_fits():
    design = wiring.embedding_layers(1, N5)
    assert design.spread > 1.0 and design.utilisation == pytest.approx(0.7)
    # Spread by the square of what wires lack: they grow with the side of a tile, tracks with its area.
    spread = wiring.embedding_layers(1, N5, most_utilisation=0.35).spread
    assert spread == pytest.approx(4.0 * design.spread)


def test_finer_tracks_do_what_more_layers_do():
    fine, many = wiring.embedding_layers(4, N5, pitch_nm=38), wiring.embedding_layers(8, N5, pitch_nm=76)
    assert fine.area_um2_per_weight == pytest.approx(many.area_um2_per_weight)
    assert fine.masks == many.masks


def test_layers_cost_masks_and_save_chips():
    study = study_layers(layers=(4, 10), volumes=(1, 1000))
    few, many = (next(row for row in study.rows if row.layers == layers) for layers in (4, 10))
    assert few.chips > many.chips and few.respin_masks_usd < many.respin_masks_usd
    # One system pays for masks, many for silicon.
    assert study.best(1, yearly=True).layers == 4 and study.best(1000, yearly=False).layers == 10
    assert study.book_utilisation > study.most_utilisation


def test_layers_as_json(command):
    status, out, _ = command("layers", "--layers", "8", "--volumes", "50", "--pitch", "40nm", "--json")
    (row,) = json.loads(out)["rows"]
    assert status == 0 and (row["layers"], row["pitch_nm"], row["respin_masks"]) == (8, 40.0, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layers", "0"), "layers"),
        (("--pitch", "10"), "pitch_nm = 10: expected at least 28"),
        (("--utilisation", "1.2"), "most_utilisation"),
        (("--volumes", "0"), "volume"),
        (("--set", "popcnt_slack=0.1"), "the number of layers sets it"),
        (("--layers", "101"), "layers"),
    ],
)
def test_bad_options_of_layers(options, message, command):
    status, out, errors = command("layers", *options)
    assert status == 2 and out == "" and message in errors, errors
