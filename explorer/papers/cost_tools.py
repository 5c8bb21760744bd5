"""Published figures of other tools for a die, and the same figures by their formulas and constants here.

`cost_tools.csv` lists them with their evidence and the file of the tool's repository that prints them. Chiplet Actuary
and CATCH publish only relative costs, so their dollars have no published figure to compare with.
"""

from pathlib import Path

import numpy as np

import costmodel
from costmodel import tools
from explorer.papers.scoreboard import Scoreboard, read_rows

_CELLS = Path(__file__).with_name("cost_tools.csv")
#: Grids of the examples, in kg/kWh: coal (ACT, act/models/carbon_intensity/source.yaml) and Taiwan (3D-Carbon).
_COAL, _TAIWAN = 0.820, 0.583
#: Package of an EPYC in 3D-Carbon's examples, in mm2.
_EPYC_MM2 = 4410.0
#: The paper's die and its GPU's, in mm2, and the memory of that GPU.
_HNLPU_MM2, _H100_MM2, _H100_GB, _NODE = 827.08, 814.0, 80.0, "n5"
#: Nodes of ECO-CHIP, with the nodes of ACT on which its carbon per area is based.
_ECO_NODES = {"n28": "n28", "n22": "n20", "n14": "n14", "n10": "n10", "n7": "n7"}
#: The rim, in mm, that CATCH's cost per mm2 excludes.
_CATCH_RIM_MM = 3.0


def published_checks() -> Scoreboard:
    """Return every published figure of a tool for a die with ours."""
    ours = _act() | _threed_carbon() | _eco_chip() | _catch() | _hnlpu()
    return Scoreboard("cost tools", tuple(read_rows(_CELLS, ours)), ())


def _act() -> dict[str, float]:
    book = tools.load_tool_book("act").at("high")  # 95 % abated
    r740, phone = (tools.estimate("act", area, "n28", _COAL, book).carbon for area in (698.0, 46.4))
    assert r740 is not None and phone is not None
    # The example charges both packages to each processor.
    return {"act-r740": 2.0 * (r740.die_kg + 2.0 * r740.package_kg), "act-fairphone": phone.total_kg}


def _threed_carbon() -> dict[str, float]:
    book = tools.load_tool_book("3d-carbon")

    def die(area_mm2: float, node: str, layers: float | None = None, gates: float | None = None) -> tools.DieCarbon:
        package = None if gates == 77e9 else _EPYC_MM2
        result = tools.threed_carbon(
            book, area_mm2, node, _TAIWAN, metal_layers=layers, gates=gates, package_area_mm2=package
        )
        assert result.carbon is not None
        return result.carbon

    zen1, thor = die(211.0, "n14", 12), die(810.0, "n5", gates=77e9)
    return {
        "3dc-7351-dies": 4.0 * zen1.die_kg,
        "3dc-7351-package": zen1.package_kg,
        "3dc-7351-total": 4.0 * zen1.die_kg + zen1.package_kg,
        "3dc-7272-dies": 2.0 * die(78.0, "n7", 13).die_kg,
        "3dc-7272-io": die(125.0, "n14", gates=2.09e9).die_kg,
        "3dc-7452-dies": 4.0 * die(74.0, "n7", 13).die_kg,
        "3dc-7452-io": die(408.0, "n12").die_kg,
        "3dc-thor-die": thor.die_kg,
        "3dc-thor-package": thor.package_kg,
    }


def _eco_chip() -> dict[str, float]:
    book = tools.load_tool_book("act").at("high")
    estimates = {}
    for node, node_of_act in _ECO_NODES.items():
        carbon = tools.estimate("act", 100.0, node_of_act, _COAL, book).carbon
        assert carbon is not None
        estimates[f"eco-cpa-{node[1:]}"] = carbon.per_cm2_kg
    return estimates


def _catch() -> dict[str, float]:
    book = tools.load_tool_book("catch")
    inner = book.value("wafer.diameter_mm", "mm") - 2.0 * _CATCH_RIM_MM
    return {
        f"catch-wafer-{node[1:]}": np.pi / 4.0 * inner**2 * book.value(f"{node}.usd_per_mm2", "USD/mm**2")
        for node in ("n5", "n7")
    }


def _hnlpu() -> dict[str, float]:
    book = tools.load_tool_book("hnlpu")
    low, high = (tools.estimate("hnlpu", _HNLPU_MM2, _NODE, book=book.at(level)).cost for level in ("low", "high"))
    assert low is not None and high is not None
    module = costmodel.module_carbon(book, die_area_mm2=_H100_MM2, hbm_gb=_H100_GB, node=_NODE)
    return {
        "hnlpu-gross": low.gross_dies,
        "hnlpu-yield": low.die_yield,
        "hnlpu-wafer": low.die_usd,
        "hnlpu-package-low": low.package_usd,
        "hnlpu-package-high": high.package_usd,
        "hnlpu-module": module.total_kg,
    }
