"""The published economics of the Hardwired-Neuron LPU, cell by cell: the printed value and that of `costmodel`.

Reference: "Hardwired-Neuron Language Processing Units as General-Purpose Cognitive Substrates", ASPLOS 2026,
doi 10.1145/3779212.3790169: Tables 3, 4 and 5, Appendix B and the figures derived from them. `hnlpu_economics.csv`
lists the cells with their evidence:

input           we fed it in, or all the numbers that it consists of
fitted          an unstated convention was chosen to match this cell
predicted       computed from the inputs and the conventions
not derivable   the assumptions behind it are not published

A cell agrees within its tolerance: 0.15 %, or half a unit of the last digit printed where that is coarser and the note
says so. Cells without a tolerance miss, or are alternative readings; their notes say why.
"""

import csv
import math
from pathlib import Path
from typing import Any

import costmodel
import hwsim
from costmodel import AS_PUBLISHED, Comparison, Conventions, Pair
from costmodel.masks import masks_usd
from explorer.pricing.prices import cost_book, device, published_system
from hwbase import Book

BOOK = "hnlpu-asplos26"
#: The machine that the paper's fleets are compared with.
GPU = device(hwsim.DEFAULT_GPU)
_CELLS = Path(__file__).with_name("hnlpu_economics.csv")

#: Volumes of Table 3: one system, and fifty.
VOLUMES = {"low": 1, "high": 50}
#: Table 4: id, weights, bits of a weight as released (FP8 or BF16).
_TABLE_4 = (("kimi-k2", 1.026e12, 8), ("deepseek-v3", 671e9, 8), ("qwq", 32.8e9, 16), ("llama-3", 8.03e9, 16))
#: Area of cell-embedding and of metal-embedding over that of the SRAM baseline (section 7).
_CELL_AREA, _METAL_AREA = 14.3, 0.95
#: Chips of naive hardwiring (section 2: "200+").
_NAIVE_CHIPS = 200
#: The yield of section 8's thought experiment.
_POOR_YIELD = 0.01

_MILLION = 1e6


def economics_rows() -> list[dict[str, Any]]:
    """Return one row per published cell: id, what, table, paper, ours, unit, rel_err, evidence, tolerance, note.

    `ours` and `rel_err` are None for cells that cannot be derived; `tolerance` is None where no agreement is claimed.
    """
    ours = _ours(cost_book(BOOK))
    rows = []
    with _CELLS.open(encoding="utf-8", newline="") as file:
        for cell in csv.DictReader(file):
            paper, value = float(cell["paper"]), ours.get(cell["id"])
            rows.append(
                {
                    "id": cell["id"],
                    "what": cell["what"],
                    "table": cell["table"],
                    "paper": paper,
                    "ours": value,
                    "unit": cell["unit"],
                    "rel_err": None if value is None else value / paper - 1.0,
                    "evidence": cell["evidence"],
                    "tolerance": float(cell["tolerance"]) if cell["tolerance"] else None,
                    "note": cell["note"],
                }
            )
    return rows


def _ours(book: Book) -> dict[str, float]:
    """Return our figure for every id that can be derived, in the unit of the cell."""
    system, tokens_per_s = published_system(book, hwsim.technology_book())

    def compared(volume: int, conventions: Conventions = AS_PUBLISHED) -> Comparison:
        return costmodel.compare(book, system, GPU, volume=volume, tokens_per_s=tokens_per_s, conventions=conventions)

    results = {name: compared(v) for name, v in VOLUMES.items()}
    exact = AS_PUBLISHED.switched(facility_power_step_mw=0.0, ceil_carbon=False)
    unrounded = compared(VOLUMES["low"], exact)
    return (
        _appendix_b(book, system.node, results["low"])
        | _table_5(results["low"])
        | _table_3(results)
        | _table_3_unrounded(unrounded.low)
        | _headline(results)
        | _section_8(book, system.node, results["low"])
        | {
            f"t4-{key}": costmodel.table4(book, n, bits, node=system.node).masks_usd / _MILLION
            for key, n, bits in _TABLE_4
        }
    )


def _levels(result: Comparison) -> tuple[tuple[str, Pair], ...]:
    return (("low", result.low), ("high", result.high))


def _appendix_b(book: Book, node: str, result: Comparison) -> dict[str, float]:
    bill, high = result.low.bill, result.high.bill
    units = costmodel.masks.mask_units(
        book.value(f"{node}.euv_masks", "mask"),
        book.value(f"{node}.duv_masks", "mask"),
        book.value("masks.euv_weight", "1"),
    )
    full_set = book.at("high").value(f"{node}.mask_set_usd", "USD")
    rebuilt = costmodel.module_carbon(
        book,
        die_area_mm2=book.value(f"{GPU.name}.die_area_mm2", "mm**2"),
        hbm_gb=book.value(f"{GPU.name}.hbm_gb", "GB"),
        node=GPU.node,
    )
    return {
        "b-normalised-mask-units": units,
        "b-me-fraction": bill.own_masks_usd / (bill.own_masks_usd + bill.shared_masks_usd),
        "b-gross-dies-per-wafer": bill.gross_dies,
        "b-murphy-yield": bill.die_yield,
        "b-good-dies": bill.good_dies,
        "b-me-mask-per-chip-low": bill.own_masks_usd / _MILLION,
        "b-me-mask-per-chip-high": high.own_masks_usd / _MILLION,
        "b-naive-sets": full_set * bill.chips / _MILLION,
        "b-initial-sets": high.masks_usd / _MILLION,
        "b-respin-masks": masks_usd(0.0, high.own_masks_usd, high.chips) / _MILLION,
        "b-naive-cell-embedding": full_set * _NAIVE_CHIPS / _MILLION,
        "b-module-carbon": book.value(f"{GPU.name}.module_carbon_kg", "kgCO2e"),
        "b-module-carbon-rebuilt": rebuilt.total_kg,
    }


def _table_5(result: Comparison) -> dict[str, float]:
    cells = {"t5-wafer-chip": result.low.bill.wafer_usd}
    for level, pair in _levels(result):
        bill = pair.bill
        cells |= {
            f"t5-package-and-test-{level}": bill.package_usd,
            f"t5-hbm-{level}": bill.hbm_usd,
            f"t5-integration-{level}": bill.integration_usd,
            f"t5-homogeneous-mask-{level}": bill.shared_masks_usd / _MILLION,
            f"t5-me-mask-{level}": masks_usd(0.0, bill.own_masks_usd, bill.chips) / _MILLION,
            f"t5-architecture-{level}": bill.architecture_usd / _MILLION,
            f"t5-verification-{level}": bill.verification_usd / _MILLION,
            f"t5-physical-{level}": bill.physical_usd / _MILLION,
            f"t5-ip-{level}": bill.ip_usd / _MILLION,
        }
        for systems in VOLUMES.values():
            cells[f"t5-{systems}-hnlpu-{level}"] = bill.build_usd(systems) / _MILLION
            cells[f"t5-re-spin-{systems}-{level}"] = bill.respin_usd(systems) / _MILLION
    return cells


def _table_3(results: dict[str, Comparison]) -> dict[str, float]:
    cells: dict[str, float] = {}
    for volume, result in results.items():
        gpu, hardwired, co2 = result.low.gpu, result.low.hardwired, result.low.hardwired_carbon
        cells |= {
            f"t3-h100-count-{volume}": gpu.units,
            f"t3-dc-power-hnlpu-{volume}": hardwired.facility_power_mw,
            f"t3-dc-power-h100-{volume}": gpu.facility_power_mw,
            f"t3-node-price-h100-{volume}": gpu.hardware_usd / _MILLION,
            f"t3-dc-infra-hnlpu-{volume}": hardwired.infrastructure_usd / _MILLION,
            f"t3-dc-infra-h100-{volume}": gpu.infrastructure_usd / _MILLION,
            f"t3-capex-h100-{volume}": gpu.capex_usd / _MILLION,
            f"t3-electricity-hnlpu-{volume}": hardwired.electricity_usd / _MILLION,
            f"t3-electricity-h100-{volume}": gpu.electricity_usd / _MILLION,
            f"t3-maintenance-h100-{volume}": gpu.maintenance_usd / _MILLION,
            f"t3-tco-static-h100-{volume}": gpu.static_usd / _MILLION,
            f"t3-tco2e-hnlpu-{volume}-static": co2.printed_static_t,
            f"t3-tco2e-hnlpu-{volume}-dynamic": co2.printed_total_t,
            f"t3-tco2e-h100-{volume}": result.low.gpu_carbon.printed_total_t,
        }
        for level, pair in _levels(result):
            cost, place = pair.hardwired, f"hnlpu-{volume}-{level}"
            cells |= {
                f"t3-node-price-{place}": cost.hardware_usd / _MILLION,
                f"t3-capex-{place}": cost.capex_usd / _MILLION,
                f"t3-re-spin-{place}": pair.bill.respin_usd(VOLUMES[volume]) / _MILLION,
                f"t3-maintenance-{place}": cost.maintenance_usd / _MILLION,
                f"t3-tco-static-{place}": cost.static_usd / _MILLION,
                f"t3-tco-dynamic-{place}": cost.total_usd / _MILLION,
            }
    return cells


def _table_3_unrounded(pair: Pair) -> dict[str, float]:
    return {
        "t3-dc-infra-hnlpu-low-unrounded": pair.hardwired.infrastructure_usd / _MILLION,
        "t3-electricity-hnlpu-low-unrounded": pair.hardwired.electricity_usd / _MILLION,
        "t3-tco2e-hnlpu-low-static-unrounded": pair.hardwired_carbon.static_t,
    }


def _headline(results: dict[str, Comparison]) -> dict[str, float]:
    low, high = results["low"], results["high"]
    bill = high.high.bill
    own_usd = masks_usd(0.0, bill.own_masks_usd, bill.chips)
    naive_usd = bill.chips * (bill.shared_masks_usd + bill.own_masks_usd)
    return {
        "h-tco-ratio-high-low": high.low.tco_ratio,
        "h-tco-ratio-high-high": high.high.tco_ratio,
        "h-capex-ratio-high": high.low.capex_ratio,
        "h-capex-ratio-high-pess": high.high.capex_ratio,
        "h-opex-ratio-low-opt": low.low.opex_ratio,
        "h-opex-ratio-low-pess": low.high.opex_ratio,
        "h-opex-ratio-high-opt": high.low.opex_ratio,
        "h-opex-ratio-high-pess": high.high.opex_ratio,
        "h-co2-ratio-dynamic": high.low.carbon_ratio,
        "h-co2-ratio-static": high.low.static_carbon_ratio,
        "h-mask-cut-112x": _CELL_AREA / _METAL_AREA * naive_usd / bill.masks_usd,
        "h-initial-mask-cut-86.5": 1.0 - bill.masks_usd / naive_usd,
        "h-re-spin-cut-92.3": 1.0 - own_usd / naive_usd,
        "h-capex-cut-low-8.5": 1.0 - 1.0 / low.high.capex_ratio,
        "h-capex-cut-low-55.9": 1.0 - 1.0 / low.low.capex_ratio,
    }


def _section_8(book: Book, node: str, result: Comparison) -> dict[str, float]:
    bill = result.low.bill
    good = costmodel.silicon.good_dies(bill.gross_dies, _POOR_YIELD, rounded=False)
    wafer_usd = book.value(f"{node}.wafer_price_usd", "USD")
    wafers = {volume: math.ceil(systems * bill.chips / good) for volume, systems in VOLUMES.items()}
    return {
        "s8-1-yield-extra-wafers-50x": bill.die_yield / _POOR_YIELD,
        "s8-1-yield-wafers-low-0.5m": wafers["low"] * wafer_usd / _MILLION,
        "s8-1-yield-wafers-high-22m": wafers["high"] * wafer_usd / _MILLION,
    }
