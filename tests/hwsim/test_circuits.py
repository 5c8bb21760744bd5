"""Gate counts by hand, by simulation of the adders, and in their dependence on size and format."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwbase
import hwsim
from hwsim.circuits import carry_save_levels, neuron_levels, neuron_transistors, operand_cycles, pipeline_cycles
from hwsim.weights import SPREAD_KNOWN, WeightFormat, gaussian_histogram, integers, signed_digits

GATES = hwsim.load_technology("n5")
FORMATS = {name: hwsim.weight_format(name, GATES) for name in SPREAD_KNOWN}
#: Formats that have more than one magnitude, or a zero.
MULTI = ["fp4", *(f"int{bits}" for bits in range(2, 9))]
BUILDERS = {"ME": hwsim.metal_embedding, "CE": hwsim.cell_embedding, "MA": hwsim.mac_array}
SIZES = st.integers(2, 20_000)


@pytest.mark.parametrize(
    ("value", "digits"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 1), (6, 2), (7, 2), (12, 2), (11, 3)]
)
def test_signed_digits_by_hand(value, digits):
    # 3 = 4 - 1, 6 = 8 - 2, 7 = 8 - 1, 12 = 16 - 4, 11 = 8 + 4 - 1.
    assert signed_digits(value) == signed_digits(-value) == digits


@given(st.integers(0, 4096))
def test_signed_digits_against_a_search(value):
    """No shorter sum of signed powers of two exists: v, v - 2^k or v + 2^k has one digit fewer for some k."""
    digits = signed_digits(value)
    if value:
        neighbours = [signed_digits(abs(value + sign * 2**k)) for k in range(14) for sign in (-1, 1)]
        assert min(neighbours) == digits - 1
    assert digits <= (value.bit_length() + 2) // 2


def full_adders(ports):
    """Full adders that count `ports` bits, by compressing columns of equal weight three at a time."""
    columns, adders = {0: ports}, 0
    while any(bits > 1 for bits in columns.values()):
        weight = min(w for w, bits in columns.items() if bits > 1)
        columns[weight] -= 2  # three bits in (or two and a constant zero), one sum out ...
        if columns[weight] == 0:
            columns[weight] = 1
        columns[weight + 1] = columns.get(weight + 1, 0) + 1  # ... and one carry
        adders += 1
    return adders


@pytest.mark.parametrize("ports", [1, 3, 7, 15, 31, 63, 127])
def test_popcnt_formula_is_a_tree_of_full_adders(ports):
    assert full_adders(ports) == ports - int(np.ceil(np.log2(ports + 1)))


def test_a_tiny_neuron_by_hand():
    # Weights -1, 0, +1 with frequencies 1/4, 1/2, 1/4; 28 inputs, so two POPCNTs of 7 ports.
    ternary = WeightFormat("ternary", 2, np.array([-1, 0, 1]), np.array([0.25, 0.5, 0.25]))
    popcnt = 2 * 4  # 7 ones are counted into 3 bits by 4 full adders
    multipliers = 0  # by one: wires
    # A count of 3 bits times a magnitude of 1 bit is taken as 4 bits; one adder of 5 bits adds the two regions.
    tree = 1 * 5
    # The accumulator shifts 8 activation bits into the tree's 5.
    accumulator = 4 + 1 + 8
    registers = 2 * 3 + accumulator
    by_hand = (popcnt + multipliers + tree + accumulator) * 28 + registers * 24
    assert by_hand == 1184
    assert neuron_transistors(28, ternary, GATES, 8, 0.0) == by_hand
    # Ten such neurons share the 28 input registers of 8 bits.
    circuit = hwsim.metal_embedding(28, 10, ternary, GATES)
    assert circuit.transistors == 10 * by_hand + 28 * 8 * 24
    assert circuit.area_mm2 == pytest.approx(circuit.transistors / 138e6)
    assert circuit.initiation_interval == 8 and circuit.weights == 280


def test_switching_energy_by_hand():
    # Activity 0.16 x 0.1 fF x (0.675 V)^2 a transistor; bit-serial ME works eight times a product, CE once. Beside it
    # eight bits a product on one wire a weight that is not zero: 0.27 toggles x half of 7.8 fF x (0.675 V)^2.
    each, bit = 0.16 * 0.1e-15 * 0.675**2, 0.27 * 0.5 * 7.8e-15 * 0.675**2
    wires = 1024 * 128 * (1.0 - FORMATS["fp4"].zero_fraction) * 8 * bit
    me, ce = (build(1024, 128, FORMATS["fp4"], GATES) for build in (hwsim.metal_embedding, hwsim.cell_embedding))
    assert me.switching_j == pytest.approx(8 * me.transistors * each + wires, rel=1e-12, abs=0)
    assert ce.switching_j == pytest.approx(ce.transistors * each + wires, rel=1e-12, abs=0)


def test_a_neuron_that_multiplies_by_hand():
    # Seven weights, all 3: one POPCNT of 4 full adders, 3 = 4 - 1 takes one adder of 3 + 2 bits, and no tree.
    threes = WeightFormat("threes", 3, np.array([0, 3]), np.array([0.0, 1.0]))
    accumulator = 3 + 2 + 8
    assert neuron_transistors(7, threes, GATES, 8, 0.0) == (4 + 5 + accumulator) * 28 + (3 + accumulator) * 24 == 1000


def test_slack_is_spare_ports():
    ternary = WeightFormat("ternary", 2, np.array([-1, 0, 1]), np.array([0.25, 0.5, 0.25]))
    # Twice the ports on 28 inputs are the neuron of 56.
    assert neuron_transistors(28, ternary, GATES, 8, 1.0) == neuron_transistors(56, ternary, GATES, 8, 0.0)


def test_cell_embedding_by_hand():
    # All weights 3 = 4 - 1: one adder of 8 bits each, products of 8 + 2 bits; four of them and a tree of 3 x 11 bits.
    three = WeightFormat("three", 3, np.array([0, 3]), np.array([0.0, 1.0]))
    adders = 4 * 8 + 3 * (8 + 2 + 1)
    registers = 4 * 8 + (8 + 2 + 2)
    circuit = hwsim.cell_embedding(4, 1, three, GATES)
    assert circuit.transistors == pytest.approx(adders * 28 + registers * 24)


def test_mac_array_by_hand():
    # 16 weights of int4 (magnitude 4 bits: -8) on 4 units: 8 x 5 full adders and an accumulator of 12 + 2 bits.
    circuit = hwsim.mac_array(4, 4, FORMATS["int4"], GATES, macs=4)
    assert FORMATS["int4"].magnitude_bits == 4
    assert circuit.transistors == 4 * ((8 * 5 + 14) * 28 + (8 + 4 + 14) * 24)
    assert circuit.sram_bits == 64 and circuit.initiation_interval == 4
    # One operand word over the bus, four passes, three cycles of SRAM.
    assert circuit.cycles == 1 + 4 + 3
    reads = 64 * GATES.sram_read_energy_j_per_bit
    assert circuit.switching_j == pytest.approx(
        reads + 4 * circuit.transistors * GATES.switching_j_per_transistor, abs=0
    )


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("name", MULTI)
def test_energy_is_switching_and_leakage(builder, name):
    circuit = BUILDERS[builder](1024, 128, FORMATS[name], GATES)
    assert circuit.energy_j == circuit.switching_j + circuit.leakage_j
    assert circuit.leakage_j == pytest.approx(
        circuit.area_mm2 * GATES.leakage_w_per_mm2 * circuit.cycles * 1e-9, rel=1e-9, abs=0
    )
    assert circuit.transistors_per_weight * circuit.weights == pytest.approx(circuit.transistors)
    assert circuit.weights_per_mm2 * circuit.area_mm2 == pytest.approx(1024 * 128)


@pytest.mark.parametrize("builder", ["ME", "CE"])
@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(MULTI), n=SIZES, m=SIZES, more=st.integers(1, 500))
def test_area_grows_with_inputs_and_outputs(builder, name, n, m, more):
    build = BUILDERS[builder]
    small = build(n, m, FORMATS[name], GATES)
    assert build(n + more, m, FORMATS[name], GATES).area_mm2 > small.area_mm2
    assert build(n, m + more, FORMATS[name], GATES).area_mm2 > small.area_mm2


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(MULTI), SIZES, st.floats(0, 2), st.floats(0, 2))
def test_area_grows_with_slack(name, n, one, other):
    low, high = sorted((one, other))
    areas = [hwsim.metal_embedding(n, 8, FORMATS[name], GATES, slack=s).area_mm2 for s in (low, high)]
    assert areas[0] <= areas[1]


@pytest.mark.parametrize("inputs", [1024, 2880])
def test_every_bit_of_weight_costs_transistors(inputs):
    """2^b regions: what stands behind the POPCNTs doubles with every bit, the POPCNTs themselves do not."""
    per_weight = [
        hwsim.metal_embedding(inputs, 128, FORMATS[f"int{b}"], GATES).transistors_per_weight for b in range(2, 9)
    ]
    growth = np.diff(per_weight)
    assert np.all(growth > 0)
    # From 4 bits on it is the regions that grow: each bit adds more than the one before.
    assert np.all(np.diff(growth[2:]) > 0)


@pytest.mark.parametrize("inputs", [1024, 2880])
@pytest.mark.parametrize("name", ["fp4", *(f"int{bits}" for bits in range(2, 9))])
def test_metal_is_denser_than_cells(name, inputs):
    me, ce = (build(inputs, 128, FORMATS[name], GATES) for build in (hwsim.metal_embedding, hwsim.cell_embedding))
    assert me.area_mm2 < ce.area_mm2
    # 255 counters behind 1,024 inputs, working eight times a product, leave no energy to be saved.
    assert (me.energy_j < ce.energy_j) == ((name, inputs) != ("int8", 1024))


def test_neither_density_nor_speed_is_free():
    ma, ce, me = (
        build(1024, 128, FORMATS["fp4"], GATES) for build in (hwsim.mac_array, *list(BUILDERS.values())[1::-1])
    )
    assert me.initiation_interval == 8 > ce.initiation_interval == 1 and ma.initiation_interval == 128
    assert ma.energy_j > ce.energy_j > me.energy_j


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("name", list(FORMATS))
def test_arrays_are_loops(builder, name):
    n, m = np.array([[2], [100], [2880]]), np.array([1, 128, 5000, 20000])
    many = BUILDERS[builder](n, m, FORMATS[name], GATES)
    for i in range(3):
        for j in range(4):
            one = BUILDERS[builder](int(n[i, 0]), int(m[j]), FORMATS[name], GATES)
            for figure in ("transistors", "area_mm2", "cycles", "energy_j", "weights", "sram_bits"):
                whole = np.broadcast_to(getattr(many, figure), (3, 4))
                assert whole[i, j] == pytest.approx(getattr(one, figure), rel=1e-12, abs=0), figure


@pytest.mark.parametrize(
    "field", ["logic_density_mtr_per_mm2", "full_adder_transistors", "supply_v", "full_adder_delay_s"]
)
def test_a_varied_technology_is_a_loop(field):
    import dataclasses

    values = getattr(GATES, field) * np.array([0.5, 1.0, 2.0])
    fmt = FORMATS["fp4"]
    many = hwsim.metal_embedding(1024, 128, fmt, dataclasses.replace(GATES, **{field: values}))
    for i, value in enumerate(values):
        one = hwsim.metal_embedding(1024, 128, fmt, dataclasses.replace(GATES, **{field: float(value)}))
        for figure in ("area_mm2", "cycles", "energy_j"):
            assert np.broadcast_to(getattr(many, figure), (3,))[i] == pytest.approx(
                getattr(one, figure), rel=1e-12, abs=0
            )


@pytest.mark.parametrize("name", list(FORMATS))
def test_formats(name):
    fmt = FORMATS[name]
    assert fmt.histogram.sum() == pytest.approx(1.0) and np.all(fmt.histogram >= 0)
    assert np.all(np.diff(fmt.values) > 0) and len(fmt.values) <= 2**fmt.bits
    values, frequencies = fmt.nonzero
    assert 0 not in values and frequencies.sum() + fmt.zero_fraction == pytest.approx(1.0)


def test_values_of_the_formats():
    assert list(FORMATS["int1"].values) == [-1, 1]
    assert list(FORMATS["int2"].values) == [-2, -1, 0, 1]
    # FP4 E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, in halves.
    assert list(FORMATS["fp4"].values) == [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]
    assert (
        integers(hwbase.FORMATS["fp4"]).tolist()[:8] == [0, 1, 2, 3, 4, 6, 8, 12] and FORMATS["fp4"].magnitude_bits == 4
    )


def test_histogram_of_the_binary_format_is_even():
    assert FORMATS["int1"].histogram == pytest.approx([0.5, 0.5])


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 100))
@pytest.mark.slow
def test_gaussian_histogram_against_samples(sigma):
    values = np.array([-6, -3, -1, 0, 1, 3, 6])
    draws = np.random.default_rng(0).normal(0, sigma, 40_000)
    nearest = np.argmin(np.abs(draws[:, None] - values), axis=1)
    measured = np.bincount(nearest, minlength=7) / draws.size
    assert gaussian_histogram(values, sigma) == pytest.approx(measured, abs=0.015)


@pytest.mark.parametrize("bits", range(2, 9))
def test_optimal_steps_minimise_the_square_error(bits):
    """Max's table, against the error integrated numerically: no step nearby does better."""
    x = np.linspace(-8, 8, 200_001)
    weight = np.exp(-(x**2) / 2)

    def error(step):
        level = np.clip(np.floor(x / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) + 0.5
        return float(np.sum(weight * (x - step * level) ** 2))

    best = hwbase.FORMATS[f"int{bits}"].gaussian_step
    assert error(best) <= min(error(best * 0.97), error(best * 1.03))


@pytest.mark.parametrize(
    ("histogram", "said"),
    [
        (np.full(15, 1 / 15) * 2, "sums to 2"),
        (np.full(14, 1 / 14), "14 entries: expected 15"),
        (np.r_[-0.1, 1.1, np.zeros(13)], ">= 0"),
        (np.r_[np.nan, np.zeros(14)], "finite"),
        (np.r_[np.inf, np.zeros(14)], "finite"),
        (np.zeros(15), "sums to 0"),
        ([], "0 entries"),
    ],
)
def test_bad_histograms(histogram, said):
    with pytest.raises(hwsim.InputError, match=said):
        hwsim.weight_format("fp4", GATES, histogram)


def test_a_histogram_of_ones_own():
    # All weights +0.5: one POPCNT of all inputs, and 14 empty regions.
    histogram = np.zeros(15)
    histogram[8] = 1.0
    fmt = hwsim.weight_format("fp4", GATES, histogram)
    assert fmt.zero_fraction == 0 and hwsim.metal_embedding(1024, 8, fmt, GATES).transistors > 0


@pytest.mark.parametrize(("name", "near"), [("fp8", "fp4"), ("int9", "int"), ("fp-4", "fp4")])
def test_unknown_formats(name, near):
    with pytest.raises(hwsim.InputError, match=f"did you mean '{near}"):
        hwsim.weight_format(name, GATES)


def test_names_ignore_case():
    assert hwsim.weight_format("INT4", GATES).name == "int4"


def test_a_format_without_a_known_spread_needs_a_histogram():
    values = np.unique(integers(hwbase.FORMATS["fp8_e5m2"]))
    fmt = hwsim.weight_format("fp8_e5m2", GATES, np.full(values.size, 1 / values.size))
    assert fmt.bits == 8 and fmt.values[-1] == 57344 * 2**16
    with pytest.raises(hwsim.InputError, match="unknown weight format 'uint4'"):
        hwsim.weight_format("uint4", GATES, np.full(16, 1 / 16))


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("argument", ["inputs", "outputs", "activation_bits", "clock_hz"])
@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, 1e31, "8", None, [], [1, -1]])
def test_bad_sizes(builder, argument, value):
    given = {"inputs": 64, "outputs": 8, "weights": FORMATS["fp4"], "technology": GATES} | {argument: value}
    with pytest.raises(hwsim.InputError, match=argument):
        BUILDERS[builder](**given)


@pytest.mark.parametrize("slack", [-0.1, np.nan, 1e9, "x"])
def test_bad_slack(slack):
    with pytest.raises(hwsim.InputError, match="slack"):
        hwsim.metal_embedding(64, 8, FORMATS["fp4"], GATES, slack=slack)


def test_time_by_hand():
    # 1,024 activations of 8 bits over 256 wires; 1 ns holds 16 full adders of 50 ps at 80 %.
    assert operand_cycles(1024, 8, GATES) == 32
    assert [pipeline_cycles(levels, GATES, 1e9) for levels in (1, 16, 17, 48)] == [1, 1, 2, 3]
    assert pipeline_cycles(16, GATES, 2e9) == 2
    # 9 operands -> 6 -> 4 -> 3 -> 2: four carry-save levels.
    assert carry_save_levels(9) >= 4 and carry_save_levels(3) >= 1


@pytest.mark.parametrize("name", MULTI)
def test_spare_ports_delay_a_neuron_like_wired_ones(name):
    # All spare: as deep as a neuron of twice the inputs, whose counts have a bit more.
    plain, spare, twice = (neuron_levels(n, FORMATS[name], s) for n, s in [(1024, 0.0), (1024, 1.0), (2048, 0.0)])
    assert plain < spare == twice


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MULTI), SIZES, SIZES)
def test_a_wider_neuron_is_never_quicker(name, one, other):
    low, high = sorted((one, other))
    assert neuron_levels(low, FORMATS[name], 0.1) <= neuron_levels(high, FORMATS[name], 0.1)


def test_routing_by_hand():
    # A slice of 100 weights of 1 um2 is 10 um wide: 0.76 x 10 um a weight; 4 layers of 76 nm pitch over 1 um2.
    demand = hwsim.routing_demand(100, 1.0, GATES)
    assert demand.wire_um_per_weight == pytest.approx(7.6) and demand.track_um_per_weight == pytest.approx(4 / 0.076)
    assert demand.utilisation == pytest.approx(7.6 * 0.076 / 4)
    assert demand.capacitance_f_per_weight == pytest.approx(7.6 * 0.2e-15, rel=1e-9, abs=0)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 1.0), st.floats(0.001, 100))
def test_largest_slice_is_the_inverse_of_demand(utilisation, area):
    inputs = hwsim.largest_slice(utilisation, area, GATES)
    if 0 < inputs <= 1e9:
        assert hwsim.routing_demand(inputs, area, GATES).utilisation == pytest.approx(utilisation)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, "x", 1e12])
def test_bad_routing(value):
    for arguments in ((value, 1.0), (1.0, value)):
        with pytest.raises(hwsim.InputError):
            hwsim.routing_demand(*arguments, GATES)
    with pytest.raises(hwsim.InputError):
        hwsim.largest_slice(value, 1.0, GATES)
