"""SmolLM2-135M's own weights: the slack and the tracks that docs/wiring.md states, re-embedding and overflow."""

import dataclasses

import numpy as np
import pytest
from inference_cases import needs_model

import hwsim
from explorer.wiring import faults, routing
from explorer.wiring import survey as study
from hwbase import load_book
from hwsim import InputError, wiring
from hwsim.kernels.hardwired import hardwired_matvec
from hwsim.technology import BOOKS
from models import inference

pytestmark = [pytest.mark.slow, needs_model]


@pytest.fixture(scope="module")
def weights():
    return inference.read_model()[0]


@pytest.fixture(scope="module")
def found(weights):
    return study.survey(weights.matrices().items())


def test_histograms_of_all_matrices(found):
    assert len(found.inputs) == 211 and found.sizes == [576, 1536] and found.weights == 134_479_872
    frame = study.histogram_frame(found)
    assert frame["zero_share"].between(0.08, 0.17).all()
    assert frame["octaves_max"].max() == 5


@pytest.mark.parametrize(
    ("inputs", "ports", "slack"),
    [(576, 0, 2.097), (576, 8, 0.199), (1536, 0, 0.913), (1536, 8, 0.086), (1536, 16, 0.143)],
)
def test_slack_of_its_own_neurons(found, inputs, ports, slack):
    need = wiring.slack_needed(found.of_size(inputs), inputs, slice_ports=ports)
    assert need.slack == pytest.approx(slack, abs=0.001)


@pytest.mark.parametrize(
    ("technology", "ports", "low", "nominal", "high", "cluster"),
    [
        ("n5-asplos26", 4, 0.0433, 0.0541, 0.4156, 128),
        ("n5-asplos26", 8, 0.0556, 0.0648, 0.7954, 128),
        ("n5-asplos26", 16, 0.0801, 0.0924, 1.2094, 160),
        ("n5", 8, 0.0556, 0.0648, 0.2520, 480),
    ],
)
def test_slack_for_the_circuit_model(found, technology, ports, low, nominal, high, cluster):
    assert found.stand_ins()[0].shape == (14, 90, 46_640)
    measured = routing.measured_slack(found, hwsim.load_technology(technology), ports)
    assert (measured.low, measured.nominal, measured.high) == pytest.approx((low, nominal, high), abs=1e-4)
    assert measured.cluster_inputs == cluster and measured.utilisation <= 0.70


def test_the_machine_book_takes_what_is_measured(found):
    quantity = load_book("hnlpu", hwsim.technology.BOOKS)["popcnt_slack"]
    measured = routing.measured_slack(found, hwsim.load_technology())
    assert quantity.kind == "measured"
    stated = [quantity.at(level) for level in ("low", "nominal", "high")]
    assert stated == pytest.approx([measured.low, measured.nominal, measured.high], abs=5e-4)


def test_regions_anywhere_in_a_neuron_overflow_the_tracks(found):
    # At the density that the paper quotes for its process, and all the more at the one its layout implies.
    quoted, implied = (
        routing.stand_in_routing(found, hwsim.load_technology(name), (2880,), (8,)).iloc[0]
        for name in ("n5", "n5-asplos26")
    )
    assert quoted["utilisation"] == pytest.approx(0.941, abs=0.005)
    assert quoted["wires_per_mm2_per_layer"] == pytest.approx(1.051e6, rel=0.005)
    recorded = load_book("wiring", BOOKS)["routing_utilisation"].nominal
    assert implied["utilisation"] == pytest.approx(recorded, abs=0.01) and recorded > 1.4


def test_other_real_weights_change_wires_only(weights):
    codes, others = (study.mxfp4_codes(weights.matrix(f"blk.{layer}.ffn_up"))[0] for layer in (3, 17))
    both = wiring.region_histogram(np.concatenate([codes, others], axis=1))
    silicon = wiring.smallest_slices(both, 8)
    plan = wiring.embed(codes, silicon, matrix="blk.3.ffn_up")
    rewired = wiring.rewire(plan, others)
    assert rewired.plan.silicon == silicon == plan.silicon
    # Both zeros are the same wire: none.
    changed = np.where(codes == 8, 0, codes) != np.where(others == 8, 0, others)
    assert rewired.changed_wires == np.count_nonzero(changed) > 0.9 * codes.size
    x = np.random.default_rng(0).integers(-128, 128, (2, codes.shape[0])).astype(np.int8)
    assert np.array_equal(hardwired_matvec(rewired.plan.codes, x), hardwired_matvec(others, x))


def test_a_real_neuron_that_overflows_is_named(weights):
    codes, _ = study.mxfp4_codes(weights.matrix("blk.3.ffn_up"))
    silicon = wiring.smallest_slices(wiring.region_histogram(codes), 8)
    worst = silicon.slices_for(wiring.region_histogram(codes)).sum(axis=0)
    tight = dataclasses.replace(silicon, spare_slices=silicon.spare_slices - 1)
    neuron = int(np.flatnonzero(worst > tight.spare_slices)[0])
    with pytest.raises(InputError, match=rf"blk\.3\.ffn_up: neuron {neuron} overflows in region [+-]"):
        wiring.embed(codes, tight, matrix="blk.3.ffn_up")


def test_one_wire_can_ruin_the_model(weights):
    _, vocabulary = inference.read_model()
    _, ids = faults.scored_text(vocabulary, 1024)
    first = faults.critical_faults(weights, ids, most=1).iloc[0]
    assert (first["kind"], first["matrix"], first["input"], first["output"]) == ("wire", "blk.11.ffn_down", 1229, 507)
    assert first["ratio"] > 5.0
