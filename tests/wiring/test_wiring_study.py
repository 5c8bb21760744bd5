"""Studies and figures: on a small random network always, on the real one where its weights are installed."""

import numpy as np
import plotly.graph_objects as go
import pytest

import hwsim
import models
from explorer import wiring as study
from explorer.figures import wiring as figures
from hwsim import InputError, wiring
from models import inference

TECHNOLOGY = hwsim.load_technology()


def random_matrices():
    random = np.random.default_rng(0)
    for name, shape in (("up", (48, 64)), ("gate", (48, 64)), ("down", (64, 96))):
        yield name, random.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def found():
    return study.survey(random_matrices(), clusters=(32,))


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
    assert found.sizes == [64, 96]
    assert found.of_size(64).shape == (14, 96) and found.of_size(64, 32).shape == (14, 2, 96)
    assert np.array_equal(found.of_size(64, 32).sum(axis=1), found.of_size(64))
    frame = study.histogram_frame(found)
    assert frame["matrix"].tolist() == ["up", "gate", "down"]
    shares = frame[[wiring.region_name(r) for r in range(wiring.REGIONS)]].sum(axis=1)
    assert (shares + frame["zero_share"]).to_numpy() == pytest.approx(np.ones(3))
    with pytest.raises(InputError, match="no neurons of 7"):
        found.of_size(7)
    with pytest.raises(InputError, match="no weights"):
        study.survey([])


def test_tables_of_slack_and_routing(found):
    slack = study.slack_frame(found, TECHNOLOGY)
    assert set(slack["inputs"]) == {64, 96} and len(slack) == 2 * 4 * 3
    codes = study.mxfp4_codes(next(random_matrices())[1])[0]
    routed = study.routing_frame(codes, TECHNOLOGY, designs=((0, 0), (0, 8), (32, 4)))
    assert routed["inputs"].tolist() == [64, 64, 32]
    assert (routed[["utilisation", "steiner_utilisation", "average_wire_ff"]] > 0).all(axis=None)
    assert routed["count_um_per_weight"].tolist()[0] == 0.0
    tight = study.routing_frame(codes, TECHNOLOGY, designs=((0, 8),), area_um2_per_weight=0.01)
    assert tight["utilisation"][0] > routed["utilisation"][1]
    with pytest.raises(InputError, match="cluster"):
        study.routing_frame(codes, TECHNOLOGY, designs=((65, 0),))


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
    assert isinstance(figures.perplexity_over_defects(frame), go.Figure)


def tiny_network():
    config = inference.TransformerConfig(
        layers=2, hidden=64, query_heads=4, kv_heads=2, head_dim=16, intermediate=96, vocabulary=50, context=64
    )
    random = np.random.default_rng(11)
    tensors = {
        name: (np.ones(shape) if len(shape) == 1 else 0.3 * random.normal(size=shape)).astype(np.float32)
        for name, shape in config.tensor_shapes().items()
    }
    return inference.Weights(config, tensors)


def test_perplexity_of_a_transformer_under_faults():
    network, tokens = tiny_network(), np.random.default_rng(0).integers(0, 50, 40)
    options = {"kinds": ("wire", "neuron"), "rates": (0.0, 0.3, 1.0), "seeds": (1,)}
    frame = study.perplexity_over_faults(network, tokens, window=20, **options)
    for _, rows in frame.groupby("kind"):
        values = rows["value"].tolist()
        assert values[0] == values[1] != values[2]
        # With every wire broken the logits are all 0: each of the 50 tokens is as likely.
        assert values[3] == pytest.approx(50.0)


def test_what_a_chip_tolerates():
    design, model = hwsim.load_design(), models.load("gpt-oss-120b")
    frame = study.tolerable_defects({"wire": 1e-2, "neuron": 1e-4, "input": 1e-4}, model, design, TECHNOLOGY)
    row = frame.set_index("kind").loc["neuron"]
    assert row["yield_rest"] > row["yield_all"] == pytest.approx(0.431, abs=0.01)
    assert row["rest_at_1_percent"] > 0.01
    assert row["tolerable_faults"] == pytest.approx(1e-4 * row["units_per_chip"])
    weights = float(hwsim.build_chip(model, design, TECHNOLOGY).hn_weights)
    assert frame.set_index("kind").loc["wire", "units_per_chip"] == pytest.approx(weights)


def test_figures_draw_what_the_plan_says(found):
    codes = study.mxfp4_codes(next(random_matrices())[1])[0]
    plan = wiring.embed(codes, matrix="<up>")
    tile = wiring.balanced_tile(plan, 64 * 0.1)
    heat = figures.tile_heat(plan, 3, tile, TECHNOLOGY, bins=(10, 4))
    assert np.shape(heat.data[0].z) == (10, 4) and "<up>" not in heat.layout.title.text
    use = figures.port_use(plan)
    assert sum(use.data[0].y) == plan.outputs
    assert len(figures.region_shares_of_matrices(study.histogram_frame(found)).data) == wiring.REGIONS
    slack = figures.slack_over_fit(study.slack_frame(found, TECHNOLOGY), 64)
    assert [trace.name for trace in slack.data] == ["fixed regions", "slices of 4", "slices of 8", "slices of 16"]
    assert list(slack.data[0].x) == ["99\u00a0%", "99.9\u00a0%", "100\u00a0%"]
    with pytest.raises(InputError, match="inputs = 5"):
        figures.slack_over_fit(study.slack_frame(found, TECHNOLOGY), 5)


@pytest.mark.slow
def test_real_weights_have_the_histograms_and_the_slack_we_report():
    try:
        weights, _ = inference.read_model()
    except InputError as missing:
        pytest.skip(f"{missing} (pip install 'hwsim[llm]')")
    real = study.survey((name, weights.matrix(name)) for name in weights.config.linear_shapes())
    assert len(real.histograms) == 211 and real.sizes == [576, 1536]
    frame = study.histogram_frame(real)
    assert frame["zero_share"].between(0.08, 0.17).all()
    assert frame["octaves_max"].max() == 5
    expected = {(576, 0): 2.10, (576, 8): 0.199, (1536, 0): 0.913, (1536, 8): 0.086, (1536, 16): 0.143}
    for (inputs, ports), slack in expected.items():
        assert wiring.slack_needed(real.of_size(inputs), inputs, slice_ports=ports).slack == pytest.approx(
            slack, rel=0.01
        )
