"""Studies and figures: on a small random network always, on the real one where its weights are installed."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import hwsim
from explorer.wiring import figures, routing
from explorer.wiring import survey as study
from hwsim import InputError, wiring

TECHNOLOGY = hwsim.load_technology()


def random_matrices():
    random = np.random.default_rng(0)
    for name, shape in (("up", (48, 64)), ("gate", (48, 64)), ("down", (64, 96))):
        yield name, random.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def found():
    return study.survey(random_matrices(), stand_in_inputs=160)


def test_codes_give_the_weights_back_to_the_precision_of_the_format():
    weights = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    codes, exponents = study.mxfp4_codes(weights)
    assert codes.shape == (64, 5) and exponents.shape == (2, 5)
    back = study.weights_from_codes(codes, exponents)
    # Steps are at most 2 at 4..6 of a scale at most a quarter of the largest; saturation adds as much again.
    assert np.abs(back - weights).max() <= np.abs(weights).max() / 2
    assert np.corrcoef(back.ravel(), weights.ravel())[0, 1] > 0.99
    assert np.array_equal(np.sign(back)[back != 0], np.sign(weights)[back != 0])


def test_survey_counts_every_weight(found):
    assert found.sizes == [64, 96] and found.weights == 2 * 48 * 64 + 64 * 96
    codes = {name: study.mxfp4_codes(matrix)[0] for name, matrix in random_matrices()}
    both = np.concatenate([codes["up"], codes["gate"]], axis=1)
    assert np.array_equal(found.of_size(64), wiring.region_histogram(both))
    assert np.array_equal(found.blocks["down"], wiring.cluster_histogram(codes["down"], 32))
    frame = study.histogram_frame(found)
    assert frame["matrix"].tolist() == ["up", "gate", "down"]
    shares = frame[[wiring.region_name(r) for r in range(wiring.REGIONS)]].sum(axis=1)
    assert (shares + frame["zero_share"]).to_numpy() == pytest.approx(np.ones(3))
    with pytest.raises(InputError, match="no neurons of 7"):
        found.of_size(7)


def test_stand_ins_are_the_weights_end_to_end(found):
    counts, exponents = found.stand_ins()
    # 48 x 64 inputs make 19 neurons of 160, 64 x 96 make 38; what is left over is dropped.
    assert counts.shape == (14, 5, 19 + 19 + 38) and exponents.shape == (5, 76)
    codes = study.mxfp4_codes(next(random_matrices())[1])[0]
    line = codes.T.reshape(-1)
    for neuron in (0, 7, 18):
        own = line[160 * neuron : 160 * (neuron + 1), None]
        assert np.array_equal(counts[:, :, neuron], wiring.cluster_histogram(own, 32)[:, :, 0])
    assert found.sample.shape == (160, 3)
    assert any(np.array_equal(found.sample[:, 0], line[160 * n : 160 * (n + 1)]) for n in range(19))
    alike = found.alike()
    assert alike.shape == (14, 160) and alike.sum(axis=0).max() <= 160 + 7


def test_blocks_of_zeros_take_the_scale_of_their_neuron():
    weights = np.full((2, 96), 4.0, np.float32)
    weights[0, 32:64] = 0.0
    weights[1] = 0.0
    only = study.survey([("m", weights)], stand_in_inputs=32)
    assert only.exponents["m"].tolist() == [[0, 0]] * 3
    weights[0, :32] = 1.0
    mixed = study.survey([("m", weights)], stand_in_inputs=32).exponents["m"]
    assert mixed[:, 0].tolist() == [-2, -2, 0] and not mixed[:, 1].any()
    assert wiring.scale_octaves(mixed).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: study.survey([]), "no weights"),
        (lambda: study.survey(random_matrices(), 100), "multiple of 32"),
        (lambda: study.survey(random_matrices(), 0), "stand_in_inputs"),
        (lambda: study.survey([("m", np.array([[np.nan] * 32]))]), "finite|NaN"),
        (lambda: study.survey(random_matrices(), 32 * 1000).stand_ins(), "no matrix has the weights"),
        (lambda: study.survey([("m", np.ones((99, 7)))], 32).stand_ins(), "no matrix has the weights"),
        (lambda: wiring.join_neurons(np.ones(3), 2), "parts"),
        (lambda: wiring.join_neurons(np.ones((3, 3)), 0), "length"),
        (lambda: wiring.merge_clusters(np.ones((14, 3, 2), int), 4), "times"),
    ],
)
def test_what_cannot_be_surveyed_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_tables_of_slack_and_scales(found):
    slack = study.slack_frame(found, TECHNOLOGY)
    assert list(dict.fromkeys(zip(slack["neurons"], slack["inputs"], strict=True))) == [
        ("real", 64),
        ("real", 96),
        ("joined", 160),
        ("alike", 160),
    ]
    assert len(slack) == 4 * 4 * 3
    scales = study.scales_frame(found, TECHNOLOGY)
    assert scales["regions"].tolist() == [14 + 4 * n for n in scales["octaves_max"]]
    assert (scales["slack"] >= scales["slack_unscaled"]).all()


def test_tables_of_routing(found):
    codes = study.mxfp4_codes(next(random_matrices())[1])[0]
    routed = routing.routing_frame(codes, TECHNOLOGY, designs=((0, 0), (0, 8), (32, 4)))
    assert routed["inputs"].tolist() == [64, 64, 32]
    assert (routed[["utilisation", "steiner_utilisation", "average_wire_ff"]] > 0).all(axis=None)
    assert routed["count_um_per_weight"].tolist()[0] == 0.0
    tight = routing.routing_frame(codes, TECHNOLOGY, designs=((0, 8),), area_um2_per_weight=0.01)
    assert tight["utilisation"][0] > routed["utilisation"][1]
    told = []
    frame = routing.stand_in_routing(found, TECHNOLOGY, (160, 64), (0, 8), progress=lambda *done: told.append(done))
    assert told == [(n, 4) for n in range(1, 5)] and frame["inputs"].tolist() == [160, 64, 160, 64]
    with pytest.raises(InputError, match="cluster"):
        routing.routing_frame(codes, TECHNOLOGY, designs=((65, 0),))
    with pytest.raises(InputError, match="multiple of 32"):
        routing.stand_in_routing(found, TECHNOLOGY, (40,), (8,))


def test_measured_slack_is_that_of_its_parts(found):
    measured = routing.measured_slack(found, TECHNOLOGY, 8)
    counts = found.stand_ins()[0]
    whole = counts.sum(axis=1, dtype=int)
    assert measured.nominal == wiring.slack_needed(whole, 160, 1.0, slice_ports=8).slack
    assert measured.low == wiring.slack_needed(whole, 160, 0.999, slice_ports=8).slack <= measured.nominal
    parts = wiring.merge_clusters(counts, measured.cluster_inputs // 32)
    assert measured.high == wiring.slack_needed(parts, measured.cluster_inputs, slice_ports=8).slack
    assert measured.utilisation <= measured.most_utilisation == 0.70
    never = routing.measured_slack(found, TECHNOLOGY, 8, most_utilisation=1e-6)
    assert (never.high, never.cluster_inputs, never.utilisation) == (None, None, None)
    with pytest.raises(InputError, match="slice_ports"):
        routing.measured_slack(found, TECHNOLOGY, 0)


def test_perplexity_of_a_random_model_grows_with_its_defects():
    random = np.random.default_rng(5)
    weights = 0.5 * random.normal(size=(40, 64)).astype(np.float32)
    codes, exponents = study.mxfp4_codes(weights)
    x = random.normal(size=(200, 64)).astype(np.float32)

    def logits(given):
        return x @ study.weights_from_codes(given["head"], exponents).T

    def log_softmax(z):
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    # Draw each right answer from the model itself (Gumbel's trick), so that no other model is more at home.
    right = (logits({"head": codes}) + random.gumbel(size=(200, 40))).argmax(axis=1)

    def perplexity(given):
        return float(np.exp(-log_softmax(logits(given))[np.arange(200), right].mean()))

    frame = wiring.measure_over_faults(perplexity, {"head": codes}, rates=(0.05, 0.5))
    for _, rows in frame.groupby("kind"):
        assert rows["ratio"].tolist()[0] == 1.0
        assert rows["ratio"].tolist()[2] > rows["ratio"].tolist()[1] > 0.99
    assert isinstance(figures.perplexity_over_defects(frame).figure(), go.Figure)


@pytest.mark.slow
def test_figures_draw_what_the_plan_says(found):
    codes = study.mxfp4_codes(next(random_matrices())[1])[0]
    plan = wiring.embed(codes, matrix="<up>")
    tile = wiring.balanced_tile(plan, 64 * 0.1)
    heat = figures.tile_heat(plan, 3, tile, TECHNOLOGY, bins=(10, 4))
    assert np.shape(heat.data[0].z) == (10, 4) and "<up>" not in heat.layout.title.text
    used, neurons = np.unique(plan.wires, return_counts=True)
    ports = pd.DataFrame({"used_ports": used, "neurons": neurons})
    for bins in (1, 7, 1000):
        assert sum(figures.port_use(ports, plan.silicon.ports, bins).data[0].y) == plan.outputs
    bands = figures.heat_frame(plan, 3, tile, TECHNOLOGY, bands=5)
    assert bands["mean"].mean() == pytest.approx(np.mean(heat.data[0].z))
    tracks = figures.tracks_over_clusters(routing.stand_in_routing(found, TECHNOLOGY, (160, 96), (0, 8)), 0.7)
    assert [trace.name for trace in tracks.data] == ["fixed regions", "slices of 8"]
    # A note on a log axis stands at the exponent.
    assert tracks.layout.annotations[0].y == pytest.approx(np.log10(0.7))
    assert len(figures.region_shares_of_matrices(study.histogram_frame(found)).data) == wiring.REGIONS
    slack = figures.slack_over_fit(study.slack_frame(found, TECHNOLOGY), 64)
    assert [trace.name for trace in slack.data] == ["fixed regions", "slices of 4", "slices of 8", "slices of 16"]
    assert list(slack.data[0].x) == ["99\u00a0%", "99.9\u00a0%", "100\u00a0%"]
    with pytest.raises(InputError, match="inputs = 5"):
        figures.slack_over_fit(study.slack_frame(found, TECHNOLOGY), 5)
