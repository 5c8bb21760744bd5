"""Layouts: DEF and LEF files read by hand, refusals, and a real run where the tools are installed."""

import json

import pytest

from explorer.audit.layout import audit_layout
from hwbase import InputError
from hwsim import rtl
from hwsim.rtl.layout import read_def, read_sizes
from hwsim.rtl.tools import INSTALL

needs_layout = pytest.mark.skipif(not rtl.has_layout_tools(), reason=INSTALL["qflow"])

DEF = """\
UNITS DISTANCE MICRONS 100 ;
DIEAREA ( -100 -50 ) ( 900 450 ) ;
COMPONENTS 3 ;
- u1 NAND2X1 + PLACED ( 0 0 ) N ;
- u2 NAND2X1 + PLACED ( 100 0 ) N ;
- FILL_1 FILL + PLACED ( 200 0 ) N ;
END COMPONENTS
PINS 1 ;
- clk + NET clk ;
END PINS
NETS 2 ;
- clk
  ( PIN clk )
+ ROUTED metal1 ( 0 0 ) M2_M1
  NEW metal2 ( 0 0 ) ( * 300 ) M2_M1
  NEW metal1 ( 0 300 ) ( 200 * ) ( * 400 )
 ;
- n1
+ ROUTED metal2 ( 50 50 ) ( 50 150 )
 ;
END NETS
SPECIALNETS 1 ;
- vdd
+ ROUTED metal1 400 ( 0 0 ) ( 900 * )
 ;
END SPECIALNETS
END DESIGN
"""


def test_wires_of_nets_are_added_up_by_layer():
    die_um2, cells, wires, pins, nets = read_def(DEF)
    assert die_um2 == 50.0 and cells == {"NAND2X1": 2, "FILL": 1} and (pins, nets) == (1, 2)
    # 3 um and 1 um on the second layer; 2 and then 1 um on the first; power is none of it.
    assert wires == {"metal1": pytest.approx(3.0), "metal2": pytest.approx(4.0)}


def test_sizes_of_cells():
    lef = "MACRO A\n  SIZE 2.0 BY 10.0 ;\nEND A\nMACRO B\n  SIZE 0.5 BY 10 ;\nEND B\n"
    assert read_sizes(lef) == {"A": 20.0, "B": 5.0}


def test_a_file_that_is_no_layout():
    with pytest.raises(InputError, match="no units or no die area"):
        read_def("VERSION 5.6 ;")


@pytest.mark.parametrize(
    ("given", "message"),
    [({"circuits": ["MA"]}, "unknown circuit 'MA'"), ({"inputs": [0]}, "inputs"), ({"inputs": [1 << 20]}, "inputs")],
)
def test_layouts_that_are_none(given, message):
    with pytest.raises(InputError, match=message):
        audit_layout(**given)


def test_missing_tools_give_the_install_line(command, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, out, errors = command("audit", "layout", "--inputs", "8")
    assert status == 2 and out == "" and "qflow is not installed: apt-get install" in errors


@needs_layout
def test_an_unknown_library(command):
    status, _, errors = command("audit", "layout", "--inputs", "8", "--library", "asap7")
    assert status == 2 and "library = 'asap7': expected one that qflow brings, osu018" in errors


@pytest.mark.slow
@needs_layout
def test_a_small_neuron_is_placed_routed_and_checked(command):
    status, out, _ = command("audit", "layout", "--inputs", "8", "--circuits", "ME", "--json")
    (row,) = json.loads(out)["rows"]
    assert status == 0 and row["unrouted"] == 0 and row["lvs_match"]
    assert 0.5 < row["utilisation"] < 1.0 and row["wire_constant"] > 1.0
