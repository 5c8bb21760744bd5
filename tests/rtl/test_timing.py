"""Pipelined neurons: bit-exact at the stated clocks, no stage too deep; delays of a Liberty library by hand."""

import json
import re

import numpy as np
import pytest

import hwsim
from explorer.audit.timing import audit_timing
from hwbase import InputError, load_book
from hwsim import rtl
from hwsim.rtl.liberty import VARIABLE, read_cells
from hwsim.technology import BOOKS

FP4 = hwsim.weight_format("fp4", hwsim.load_technology("n5"))
needs_icarus = pytest.mark.skipif(not rtl.has_tools("iverilog", "vvp"), reason="apt-get install yosys iverilog")
#: A table of delays over slews of 10 and 20 ps and loads of 1 and 3 fF; the slew of an output is always 10 ps.
TIMING = """
      timing () {{
        related_pin : "{pin}";
        timing_sense : {sense};
        cell_{edge} (t) {{ index_1 ("10, 20"); index_2 ("1, 3"); values ("{values}", "{values}"); }}
        {edge}_transition (t) {{ index_1 ("10, 20"); index_2 ("1, 3"); values ("10, 10", "10, 10"); }}
      }}"""


def library(adder_delays="40, 60", inverter_delays="5, 7"):
    def pin(name, function, inputs, delays):
        arcs = "".join(
            TIMING.format(pin=source, sense="negative_unate", edge=edge, values=delays)
            for source in inputs
            for edge in ("rise", "fall")
        )
        return f'    pin ({name}) {{\n      direction : output;\n      function : "{function}";{arcs}\n    }}\n'

    def inputs(names, load):
        return "".join(
            f"    pin ({n}) {{\n      direction : input;\n      capacitance : {load};\n    }}\n" for n in names
        )

    adder = inputs(("A", "B", "CI"), 2.0) + pin("CON", "maj", "A", adder_delays) + pin("SN", "xor", "B", "10, 10")
    inverter = inputs(("A",), 1.0) + pin("Y", "!A", "A", inverter_delays)
    return (
        'library (l) {\n  time_unit : "1ps";\n  capacitive_load_unit (1,ff);\n'
        f"  cell (FAx1) {{\n    area : 2.0;\n{adder}  }}\n  cell (INVx1) {{\n    area : 0.5\n{inverter}  }}\n}}\n"
    )


def activations(inputs, random=6):
    return np.vstack([rtl.corner_vectors(inputs), rtl.random_vectors(random, inputs)])


@needs_icarus
@pytest.mark.parametrize("stages", [2, 3, 5, 8])
def test_a_pipelined_neuron_is_exact_at_the_stated_clocks(stages):
    codes = np.random.default_rng(7).integers(0, 16, 40).astype(np.uint8)
    given = activations(40)
    plan = rtl.metal_cells(rtl.ports_of(codes), stages=stages)
    result = rtl.simulate_metal(codes, given, stages=stages)
    assert result.passed and plan.stages == stages
    # A product every 8 clocks, whatever the stages; the first after all planes and the further registers.
    assert result.clocks.tolist() == [8 * (k + 1) + stages - 1 for k in range(len(given))]


@needs_icarus
@pytest.mark.parametrize("stages", [1, 2, 4])
def test_a_pipelined_cell_embedding_gives_a_product_every_clock(stages):
    codes = np.random.default_rng(8).integers(0, 16, 24).astype(np.uint8)
    result = rtl.simulate_cell(codes, activations(24), stages=stages)
    assert result.passed and result.clocks.tolist() == [k + stages for k in range(11)]


@needs_icarus
@pytest.mark.parametrize("stages", [2, 3, 4, 7])
def test_a_multiply_accumulate_unit_gives_a_product_every_so_many_inputs(stages):
    codes = np.arange(16, dtype=np.uint8)
    result = rtl.simulate_mac(codes, activations(16), stages=stages)
    assert result.passed and result.clocks.tolist() == [16 * (k + 1) + stages - 1 for k in range(11)]


@pytest.mark.parametrize("levels", [2, 5, 9, 16])
def test_no_stage_is_deeper_than_its_limit(levels):
    plans = [
        rtl.metal_cells(rtl.region_ports(100, FP4), levels=levels),
        rtl.cell_neuron(rtl.quota_codes(30, FP4), levels=levels),
        rtl.mac_unit(100, levels=levels),
    ]
    assert all(max(plan.depths) <= levels for plan in plans)


def test_more_stages_are_shallower_and_take_registers():
    plans = [rtl.metal_cells(rtl.region_ports(256, FP4), stages=stages) for stages in (2, 3, 5)]
    depths, registers = [max(plan.depths) for plan in plans], [plan.cells["DFF"] for plan in plans]
    assert depths[0] > depths[1] > depths[2] and registers[2] > registers[1]


def test_the_recorded_depths_are_those_of_the_widest_neurons():
    recorded, ports = load_book("synthesis", BOOKS), rtl.region_ports(2880, FP4)
    assert max(rtl.metal_cells(ports).depths) == recorded.value("layer_me_levels", "1")
    staged = rtl.metal_cells(ports, levels=16)
    assert (staged.stages, max(staged.depths)) == (3, recorded.value("layer_me_staged_levels", "1"))


@pytest.mark.parametrize("given", [{"stages": 1}, {"stages": 0}, {"stages": 2.5}, {"levels": -1}])
def test_stages_that_are_none(given):
    with pytest.raises(InputError):
        rtl.metal_cells({1: 3}, **given)


def test_delays_by_hand(tmp_path):
    (tmp_path / "small.lib").write_text(library())
    delay = rtl.adder_delay(tmp_path)
    # The adder drives an inverter of 1 fF, 40 ps, and that an adder of 2 fF, halfway between 5 and 7 ps.
    assert delay.delay_s == pytest.approx(46e-12)
    # Without the inverter it drives 2 fF: halfway between 40 and 60 ps.
    assert delay.bare_s == pytest.approx(50e-12)
    assert (delay.adder, delay.inverter, delay.adder_um2) == ("FAx1", "INVx1", 2.0)
    (cell,) = read_cells(tmp_path / "small.lib", "INV")
    table = cell.arcs["Y"][0].delay
    assert table.at(15e-12, 5e-15) == pytest.approx(9e-12)  # beyond the table, along its last slope


@pytest.mark.parametrize("text", ["", "no library", "cell (FAx1) {", library().replace("time_unit", "unit_of_time")])
def test_libraries_that_are_none(text, tmp_path):
    (tmp_path / "broken.lib").write_text(text)
    with pytest.raises(InputError, match=r"no Liberty library|no full adder"):
        rtl.adder_delay(tmp_path)


def test_a_folder_without_a_library(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert rtl.liberty_folder() is None
    with pytest.raises(InputError, match=r"expected a folder with files \*\.lib"):
        rtl.liberty_folder(tmp_path)


def test_the_cells_of_a_real_library(monkeypatch):
    folder = rtl.liberty_folder()
    if folder is None:
        pytest.skip(f"set {VARIABLE} to a folder of Liberty files, such as ASAP7's")
    delay = rtl.adder_delay(folder)
    assert 1e-12 < delay.delay_s < 1e-9 and delay.adder.startswith("FA")


def test_the_clock_follows_from_the_deepest_stage(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    audit = audit_timing((64,), stages=(3,), vectors=0)
    technology = hwsim.load_technology("n5")
    for row in audit.rows:
        depth_s = row.levels * technology.full_adder_delay_s
        assert row.clock_hz == pytest.approx(technology.usable_cycle / depth_s)
        assert row.bit_exact is None
    assert {row.circuit for row in audit.rows if row.reaches_target} == {"ME", "CE", "MA"}


@needs_icarus
def test_timing_as_json(command, tmp_path):
    (tmp_path / "small.lib").write_text(library())
    status, out, _ = command("audit", "timing", "--inputs", "16", "--liberty", str(tmp_path), "--json")
    answer = json.loads(out)
    assert status == 0 and answer["adder"] == "FAx1" and answer["full_adder_delay_s"] == pytest.approx(46e-12)
    assert all(row["bit_exact"] and row["clocks_exact"] for row in answer["rows"])


@pytest.mark.parametrize("option", [("--clock", "fast"), ("--clock", "0"), ("--inputs", "0"), ("--liberty", "nowhere")])
def test_bad_options_of_timing(option, command):
    status, out, errors = command("audit", "timing", *option)
    assert status == 2 and out == "" and option[0].lstrip("-") in errors.replace("target_hz", "clock"), errors


@needs_icarus
def test_the_waveform_has_every_clock_and_the_product(command, tmp_path):
    status, _, errors = command(
        "audit", "timing", "--inputs", "16", "--stages", "3", "--vcd", str(tmp_path / "neuron.vcd")
    )
    text = (tmp_path / "neuron.vcd").read_text()
    assert status == 0, errors
    head, body = text.split("$enddefinitions", 1)
    clock, product = (re.search(rf"\$var \w+ \d+ (\S+) {name}\b", head)[1] for name in ("clk", "y"))
    # Nine vectors of eight planes, and two more clocks for the last product.
    assert len(re.findall(rf"^1{re.escape(clock)}$", body, re.MULTILINE)) == 9 * 8 + 2
    assert re.search(rf"^b[01x]+ {re.escape(product)}$", body, re.MULTILINE)
