"""Step times of a GPU node: the roofline they rest on, their sums in closed form, and what parallelism adds."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwbase import load_book
from hwsim.events.gpu_step import Chunk, Decoding, ServingNode, StepModel, Stretch, load_node, positions_sum
from hwsim.technology import BOOKS

SPEC = models.load("gpt-oss-120b")
#: What serving adds to the roofline, switched off.
BARE = {
    "nvlink_bandwidth_bytes_per_s": 1e18,
    "all_reduce_latency_s": 0.0,
    "layer_latency_s": 0.0,
    "step_latency_s": 0.0,
}


def model_of(spec=SPEC, gpus=8, **set):
    device, node = load_node(load_book("h100", BOOKS).override(set).reader())
    return StepModel(spec, device, node, gpus)


def decoding(spec, batch, context):
    window = min(context, spec.sliding_window) if spec.windowed_layers else 0
    return Decoding(batch, batch * context, batch * window, batch if context < spec.sliding_window else 0)


@pytest.mark.parametrize("name", ["gpt-oss-120b", "llama-3-8b", "gpt-oss-20b"])
@pytest.mark.parametrize(("batch", "context"), [(1, 2048), (64, 100), (512, 128), (4096, 512), (16, 65536)])
@pytest.mark.parametrize("gpus", [1, 4, 8])
def test_without_its_latencies_a_decode_step_is_the_roofline(name, batch, context, gpus):
    spec = models.load(name)
    model = model_of(spec, gpus, **BARE)
    step = Stretch(*model.work(decoding(spec, batch, context)), 0.0, 0.0, *model.fixed(batch))
    roofline = hwsim.simulate_accelerator(
        spec, hwsim.load_accelerator("h100"), context=context, batch=batch, devices=gpus
    )
    assert step.duration(1) == pytest.approx(roofline.latency_s, rel=1e-6)


def test_a_prompt_alone_takes_its_arithmetic():
    model = model_of(gpus=2, **BARE)
    _, whole = model.work(Decoding(), (Chunk(0, 4096, True),))
    device = hwsim.load_accelerator("h100")
    macs = sum(models.macs_per_token(SPEC, position).total for position in range(1, 4097))
    # Biases count in the roofline's parameters, and logits are needed for the last position only.
    macs -= 4095 * models.parameters(SPEC).unembedding
    assert whole == pytest.approx(2 * macs / (2 * device.peak_ops_per_s * device.compute_efficiency), rel=0.02)


@given(
    st.integers(0, 5000),
    st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    st.sampled_from([None, 1, 128, 4000]),
)
def test_pieces_of_a_prompt_attend_to_what_the_whole_does(before, pieces, window):
    ends = before + np.cumsum([0, *pieces])
    parts = sum(positions_sum(int(b), window) - positions_sum(int(a), window) for a, b in itertools.pairwise(ends))
    attended = np.arange(before + 1, ends[-1] + 1)
    assert parts == pytest.approx(np.sum(attended if window is None else np.minimum(attended, window)))


@settings(max_examples=200)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 0.1), st.floats(0, 0.01), st.integers(1, 200))
def test_a_stretch_sums_its_steps(memory, compute, memory_growth, compute_growth, latency, steps):
    stretch = Stretch(memory, compute, memory_growth, compute_growth, 0.0, latency)
    numbers = np.arange(steps)
    each = np.maximum(memory + memory_growth * numbers, compute + compute_growth * numbers) + latency
    assert stretch.duration(steps) == pytest.approx(each.sum(), rel=1e-9, abs=1e-12)


@given(st.floats(1e-4, 1), st.floats(0, 0.1), st.integers(1, 500), st.floats(0, 1.2))
def test_a_stretch_stops_at_the_first_step_that_reaches_a_time(first, growth, most, share):
    stretch = Stretch(first, 0.0, growth, 0.0)
    until = share * stretch.duration(most)
    steps = stretch.steps_until(until, most)
    assert steps == most or stretch.duration(steps) >= until
    assert steps == 1 or stretch.duration(steps - 1) < until


def test_more_gpus_are_faster_and_pay_for_exchanges():
    batch = decoding(SPEC, 32, 2048)
    times = []
    for gpus in (1, 2, 4, 8):
        model = model_of(gpus=gpus)
        links, latency = model.fixed(32)
        times.append(max(model.work(batch)) + links + latency)
        assert (links > 0.0) == (gpus > 1)
    assert times == sorted(times, reverse=True)
    assert times[0] / times[-1] < 8


def ring_all_reduce(vectors):
    """(sums, bytes that each GPU sent): each passes one piece a round to its neighbour (Patarasuk and Yuan, 2009)."""
    gpus = len(vectors)
    pieces = [np.array_split(vector.copy(), gpus) for vector in vectors]
    sent = np.zeros(gpus)
    for step in range(2 * (gpus - 1)):
        # First each piece gathers its sum on its way round, then the sums go round.
        adding = step < gpus - 1
        messages = []
        for gpu in range(gpus):
            piece = (gpu - step) % gpus if adding else (gpu + 1 - (step - gpus + 1)) % gpus
            messages.append((gpu, piece, pieces[gpu][piece].copy()))
        for gpu, piece, message in messages:
            sent[gpu] += message.nbytes
            target = pieces[(gpu + 1) % gpus]
            target[piece] = target[piece] + message if adding else message
    return [np.concatenate(own) for own in pieces], sent


@pytest.mark.parametrize("gpus", [2, 3, 4, 8])
def test_exchanges_move_what_a_ring_all_reduce_sends(gpus):
    width = SPEC.hidden_size // gpus * gpus
    rng = np.random.default_rng(gpus)
    vectors = [rng.integers(0, 9, width).astype(np.float16) for _ in range(gpus)]
    sums, sent = ring_all_reduce(vectors)
    assert all(np.array_equal(own, np.sum(vectors, axis=0)) for own in sums) and np.ptp(sent) == 0.0
    # Two all-reduces a layer, of one vector of 2-byte activations a token.
    bandwidth = 1e12
    spec = dataclasses.replace(SPEC, hidden_size=width)
    constants = {"nvlink_bandwidth_bytes_per_s": bandwidth, "nvlink_efficiency": 0.5, "activation_bytes": 2.0}
    model = model_of(spec, gpus, **constants | {"all_reduce_latency_s": 3e-6, "layer_latency_s": 0.0})
    one, many = model.fixed(1)[0], model.fixed(17)[0]
    latency = 2 * spec.layers * 3e-6
    assert one - latency == pytest.approx(2 * spec.layers * sent[0] / (0.5 * bandwidth), rel=1e-9)
    assert many - latency == pytest.approx(17 * (one - latency), rel=1e-9)


def test_one_gpu_exchanges_nothing():
    assert model_of(gpus=1).fixed(5)[0] == 0.0


def test_heads_are_copied_where_there_are_more_gpus_than_heads():
    eight, sixteen = model_of(gpus=8), model_of(gpus=16)
    assert sixteen.full_bytes == pytest.approx(2 * eight.full_bytes)


@pytest.mark.parametrize(
    "name",
    [field.name for field in dataclasses.fields(ServingNode)],
)
@pytest.mark.parametrize("value", [-1.0, 1e40])
def test_constants_out_of_range_are_refused(name, value):
    with pytest.raises(hwsim.InputError, match=name):
        model_of(**{name: value})
