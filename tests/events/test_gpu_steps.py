"""Steps of a GPU server: what they rest on, their sums in closed form, what parallelism adds, and what fits."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.accelerator import accelerator_book, engines
from hwsim.events.gpu.mixed_step import Chunk, Decoding, ServingNode, Stretch, mixed_step
from hwsim.gpu.loop import loop_times
from hwsim.gpu.split import Split, fewest_gpus, memory, split_over
from hwsim.gpu.step import StepModel, positions_sum

SPECS = {name: models.load(name) for name in models.reference_names()}
SPEC = SPECS["gpt-oss-120b"]
#: What a server adds to the roofline of its kernels, switched off.
BARE = {
    "nvlink_bandwidth_bytes_per_s": 1e18,
    "all_reduce_latency_s": 0.0,
    "layer_latency_s": 0.0,
    "expert_layer_latency_s": 0.0,
    "latent_layer_latency_s": 0.0,
    "prefill_layer_latency_s": 0.0,
    "prefill_expert_layer_latency_s": 0.0,
    "prefill_latent_layer_latency_s": 0.0,
    "step_latency_s": 0.0,
}


def model_of(spec=SPEC, gpus=8, engine="vllm", **set):
    device = hwsim.load_accelerator("h100", engine=engine, set=set)
    return StepModel(spec, device, Split(gpus, 1))


def decoding(spec, batch, context):
    window = min(context, spec.sliding_window) if spec.windowed_layers else 0
    return Decoding(batch, batch * context, batch * window, batch if context < spec.sliding_window else 0)


def test_without_latencies_a_step_reads_what_it_uses():
    # Llama-3-8B in BF16, one sequence at 1,000: weights but the embedding table, and K and V, once a token.
    spec = SPECS["llama-3-8b"]
    counts = models.parameters(spec)
    weights, cache = (counts.total - counts.embedding) * 2, 1000 * 2 * 8 * 128 * 32 * 2
    model = model_of(spec, 1, **BARE, memory_efficiency=0.8, kv_memory_efficiency=0.5)
    step = model.decode(1, 1000)
    assert step.seconds == pytest.approx(weights / (3.35e12 * 0.8) + cache / (3.35e12 * 0.5), rel=1e-9)
    assert step.memory_s == step.seconds > step.compute_s


def test_large_batches_are_bound_by_arithmetic():
    spec = SPECS["llama-3-8b"]
    model = model_of(spec, 1, **BARE, compute_efficiency=0.6)
    step = model.decode(4096, 1)
    assert step.products_s == pytest.approx(2 * 4096 * models.parameters(spec).active / (989.4e12 * 0.6), rel=1e-3)


@pytest.mark.parametrize(("bits", "peak"), [(16.0, 2250e12), (8.0, 4500e12), (4.5, 9000e12)])
def test_products_run_at_the_peak_of_their_format(bits, peak):
    spec = dataclasses.replace(SPECS["llama-3-70b"], attention_weight_bits=bits, ffn_weight_bits=bits)
    even = {"compute_efficiency": 0.5, "fp8_compute_efficiency": 0.5, "fp4_compute_efficiency": 0.5}
    device = hwsim.load_accelerator("b200", set=even)
    matrices = models.parameters(spec).attention + models.parameters(spec).dense_ffn
    prompt = StepModel(spec, device, Split(1, 1)).prefill(8192)
    assert prompt.products_s == pytest.approx(2 * 8192 * matrices / (peak * 0.5), rel=0.01)
    # Weights that are only stored in few bits are multiplied in many.
    integers = dataclasses.replace(spec, attention_format="int4", ffn_format="int4")
    stored = StepModel(integers, device, Split(1, 1)).prefill(8192)
    computed = 2250e12 if bits < 5 else peak
    assert stored.products_s == pytest.approx(2 * 8192 * matrices / (computed * 0.5), rel=0.01)


def test_experts_read_grow_with_the_batch():
    # One token uses 4 of 128 experts; of many, nearly all are used by someone.
    model = model_of(SPEC, 1, **BARE)
    rate = 3.35e12 * model.device.expert_memory_efficiency
    stored = models.weight_bytes(SPEC)
    one, many = (model.decode(batch, 1).products_s for batch in (1, 256))
    assert many - one == pytest.approx(stored.experts * (1 - (1 - 4 / 128) ** 256 - 4 / 128) / rate, rel=1e-6)


def test_each_kind_of_layer_has_its_latency():
    bare = BARE | {"layer_latency_s": 1e-5, "expert_layer_latency_s": 1e-6, "latent_layer_latency_s": 1e-7}
    for name, expected in (
        ("llama-3-8b", 32e-5),
        ("gpt-oss-120b", 36 * 1.1e-5),
        ("deepseek-v3", 61e-5 + 58e-6 + 61e-7),
    ):
        assert model_of(SPECS[name], 8, engine="trtllm", **bare).layers_s == pytest.approx(expected)
    assert set(engines()) == {"vllm", "sglang", "trtllm"}
    factor = accelerator_book("h100", "vllm").value("layer_latency_factor", "1")
    assert model_of(SPECS["llama-3-8b"], **bare).layers_s == pytest.approx(32e-5 * factor)


@pytest.mark.slow
def test_a_prompt_takes_its_arithmetic():
    spec = SPECS["llama-3-8b"]
    model = model_of(spec, 2, **BARE, compute_efficiency=0.5, attention_compute_efficiency=0.5)
    macs = sum(models.macs_per_token(spec, position).total for position in range(1, 4097))
    # Logits are needed for the last position only.
    macs -= 4095 * models.parameters(spec).unembedding
    step = mixed_step(model, Decoding(), (Chunk(0, 4096, True),))
    exchanges = model.prefill(4096).exchange_s
    assert step.duration(1) - exchanges == pytest.approx(2 * macs / (2 * 989.4e12 * 0.5), rel=0.01)
    assert step.duration(1) == pytest.approx(model.prefill(4096).seconds)


@given(
    st.integers(0, 5000),
    st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    st.sampled_from([np.inf, 1, 128, 4000]),
)
def test_pieces_of_a_prompt_attend_to_what_the_whole_does(before, pieces, window):
    ends = before + np.cumsum([0, *pieces])
    parts = sum(positions_sum(int(b), window) - positions_sum(int(a), window) for a, b in itertools.pairwise(ends))
    attended = np.arange(before + 1, ends[-1] + 1)
    assert parts == pytest.approx(np.sum(np.minimum(attended, window)))


@pytest.mark.parametrize("name", ["gpt-oss-120b", "deepseek-v3", "llama-3-8b"])
@pytest.mark.parametrize(("batch", "context"), [(1, 2048), (64, 100), (512, 128), (16, 65536)])
def test_events_and_closed_form_share_a_step(name, batch, context):
    spec = SPECS[name]
    model = model_of(spec, 8)
    stretch = mixed_step(model, decoding(spec, batch, context))
    assert stretch.duration(1) == pytest.approx(model.decode(batch, context).seconds, rel=1e-9)
    later = mixed_step(model, decoding(spec, batch, context + 9))
    assert stretch.duration(10) - stretch.duration(9) == pytest.approx(later.duration(1), rel=1e-6)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 0.1), st.floats(0, 0.01), st.integers(1, 200))
def test_a_stretch_sums_its_steps(memory, compute, memory_growth, compute_growth, fixed, steps):
    stretch = Stretch(memory, compute, memory_growth, compute_growth, fixed)
    numbers = np.arange(steps)
    each = np.maximum(memory + memory_growth * numbers, compute + compute_growth * numbers) + fixed
    assert stretch.duration(steps) == pytest.approx(each.sum(), rel=1e-9, abs=1e-12)


@given(st.floats(1e-4, 1), st.floats(0, 0.1), st.integers(1, 500), st.floats(0, 1.2))
def test_a_stretch_stops_at_the_first_step_that_reaches_a_time(first, growth, most, share):
    stretch = Stretch(first, 0.0, growth, 0.0)
    until = share * stretch.duration(most)
    steps = stretch.steps_until(until, most)
    assert steps == most or stretch.duration(steps) >= until
    assert steps == 1 or stretch.duration(steps - 1) < until


def test_more_gpus_are_faster_and_pay_for_exchanges():
    steps = [model_of(gpus=gpus).decode(32, 2048) for gpus in (1, 2, 4, 8)]
    times = [step.seconds for step in steps]
    assert [step.exchange_s > 0.0 for step in steps] == [False, True, True, True]
    assert times == sorted(times, reverse=True)
    assert times[0] / times[-1] < 8
    # Sixteen are two nodes, and all-reduces cross the network between them.
    across = model_of(gpus=16).decode(4096, 1)
    assert across.exchange_s > 3 * model_of(gpus=8).decode(4096, 1).exchange_s


@pytest.mark.parametrize("name", ["gpt-oss-120b", "deepseek-v3", "llama-3.1-405b"])
def test_arrays_are_loops(name):
    model = model_of(SPECS[name], 16)
    batches, contexts = np.array([[1], [64], [4096]]), np.array([1, 2048, 10**6])
    together = model.decode(batches, contexts).seconds
    for (i, batch), (j, context) in itertools.product(enumerate(batches.ravel()), enumerate(contexts)):
        assert together[i, j] == pytest.approx(model.decode(int(batch), int(context)).seconds, rel=1e-12)


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
    one, many = (model.decode(tokens, 1).exchange_s for tokens in (1, 17))
    latency = 2 * spec.layers * 3e-6
    assert one - latency == pytest.approx(2 * spec.layers * sent[0] / (0.5 * bandwidth), rel=1e-9)
    assert many - latency == pytest.approx(17 * (one - latency), rel=1e-9)


def test_one_gpu_exchanges_nothing():
    assert model_of(gpus=1).decode(5, 1).exchange_s == 0.0


def test_heads_are_copied_where_there_are_more_gpus_than_heads():
    device = hwsim.load_accelerator("h100")
    eight, sixteen = (memory(SPEC, device, Split(gpus, 1), 4096, 8) for gpus in (8, 16))
    assert sixteen.kv_bytes == eight.kv_bytes
    latent = [memory(SPECS["deepseek-v3"], device, Split(gpus, 1), 4096, 8).kv_bytes for gpus in (1, 8)]
    assert latent[0] == latent[1], "a latent cache is whole on each GPU"
    # Groups divide the sequences instead.
    assert memory(SPECS["deepseek-v3"], device, Split(1, 8), 4096, 8).kv_bytes == pytest.approx(latent[0] / 8)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(SPECS)), st.integers(1, 10**6), st.integers(1, 4096))
def test_the_fewest_gpus_hold_it_and_half_of_them_do_not(name, context, batch):
    spec, device = SPECS[name], hwsim.load_accelerator("h100")
    split = fewest_gpus(spec, device, context, batch)
    if np.isnan(split.tensor):
        return
    assert memory(spec, device, split, context, batch).fits
    if split.gpus > 1:
        assert np.isnan(split_over(spec, device, split.gpus // 2, context, batch).tensor)


def test_a_loop_of_one_user_is_its_steps():
    model = model_of(gpus=2)
    times = loop_times(model, 1, 1000, 101)
    assert times.time_per_output_token_s == pytest.approx(model.decode(1, 1050).seconds, rel=1e-6)
    assert times.time_to_first_token_s == pytest.approx(
        model.first_token_s + model.prefill(1000).seconds + model.decode(1, 1050).seconds / 2, rel=1e-6
    )


def test_users_wait_where_the_cache_is_full():
    spec = SPECS["llama-3-70b"]
    model = model_of(spec, 4)
    times = loop_times(model, np.array([8, 256, 512]), 4096, 512)
    assert times.running[0] == 8 and times.running[1] < 256 and times.running[1] == times.running[2]
    assert times.time_to_first_token_s[2] > 2 * times.time_to_first_token_s[1] > 8 * times.time_to_first_token_s[0]
    assert np.isnan(loop_times(model, 1, 10**7, 1).time_per_output_token_s)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ServingNode)])
@pytest.mark.parametrize("value", [-1.0, 1e40])
def test_constants_out_of_range_are_refused(name, value):
    with pytest.raises(hwsim.InputError, match=name):
        hwsim.serve("gpt-oss-120b", hwsim.poisson(1.0, 2), "h100", set={name: value})
