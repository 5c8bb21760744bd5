"""Machines and compilers that keep weights in ROM or SRAM: published sizes, speeds and energies, and ours.

`fabrics.csv` lists the figures. Ours follow from the closed forms of `hwsim.weight_fabrics` with what each machine
states of its design: node, bits a transistor, formats, rows. Nothing is fitted; what is not stated is assumed in the
book `weight-fabrics` from the usual practice of memories and in round numbers, the published figures being known.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import hwsim
import models
from explorer.papers.scoreboard import Row, read_rows
from hwbase import Reader, load_book
from hwsim.technology import BOOKS
from hwsim.weight_fabrics import (
    Setting,
    cells_per_weight,
    compare,
    fabric_book,
    fabric_format,
    rom,
    rom_cell_um2,
    sram,
)

_CELLS = Path(__file__).with_name("fabrics.csv")
#: Formats between which the weights of HC1 lie.
_HC1_FORMATS = ("int3", "int6")
#: Lines and layers of ankhdjet's cell: two bit lines and neither.
_ANKHDJET_LINES, _ANKHDJET_LAYERS = 3.0, 2.0
_SIZE = 4096.0


def fabric_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """Return (rows, no fitted constants); `set` overrides constants of the book `weight-fabrics`."""
    read = fabric_book().override(set or {}).reader()
    ours = _hc1(read) | _bitrom(read) | _ankhdjet(read) | _groq(read)
    return read_rows(_CELLS, ours), ()


def _hc1(read: Reader) -> dict[str, float]:
    book = load_book("taalas-hc1", BOOKS)
    spec = models.load(book.header.model)
    technology = hwsim.load_technology("n6")
    table = models.parameters(spec).embedding
    ours = {"hc1-cell-bits": read("mask_rom.bits_per_cell", "bit"), "hc1-masks": read("mask_rom.respin_masks", "mask")}
    for name in _HC1_FORMATS:
        row = compare(spec, technology, name, fabrics=("mask_rom",), book=read.book).rows[0]
        setting = Setting(fabric_format(name, technology), technology, read)
        stored = rom("mask_rom", spec.hidden_size, spec.vocab_size, setting)
        cells = cells_per_weight(setting.weights, read("mask_rom.bits_per_cell", "bit"))
        ours[f"hc1-area-{name}"] = row.area_mm2 + table * stored.cell_um2_per_weight * 1e-6
        ours[f"hc1-transistors-{name}"] = row.transistors_per_weight * row.weight_count + table * cells
    speed = book.value("tokens_per_s_per_user", "token/s")
    rows = compare(spec, technology, _HC1_FORMATS, fabrics=("mask_rom",), book=read.book).rows
    # The speed does not depend on the format; the power is the mean of both ends.
    ours["hc1-tokens"] = rows[0].tokens_per_s_per_user
    ours["hc1-power"] = float(np.mean([row.power_w(speed) for row in rows]))
    return ours


def _bitrom(read: Reader) -> dict[str, float]:
    technology = hwsim.load_technology("n65")
    weights = fabric_format("ternary", technology)
    cost = rom("ternary_rom", _SIZE, _SIZE, Setting(weights, technology, read))
    per_weight = np.log2(len(weights.values))
    return {
        "bitrom-weights": 1.0 / cells_per_weight(weights, read("ternary_rom.bits_per_cell", "bit")),
        "bitrom-density": per_weight / cost.area_um2_per_weight * 1e3,
        "bitrom-efficiency": 2.0 / cost.energy_j_per_mac,
    }


def _ankhdjet(read: Reader) -> dict[str, float]:
    sky130, n7 = hwsim.load_technology("sky130"), hwsim.load_technology("n7")
    cell, small = (rom_cell_um2(each, read, _ANKHDJET_LINES, _ANKHDJET_LAYERS) for each in (sky130, n7))
    both = (read("ternary_rom.lines_per_cell", "1"), read("ternary_rom.line_layers", "1"))
    return {
        "ankhdjet-raw": cell,
        "ankhdjet-cell": cell,
        "ankhdjet-macro": cell / read("rom.array_efficiency", "1"),
        "ankhdjet-biroma": 0.5 * rom_cell_um2(sky130, read, *both),
        "ankhdjet-asap7": small,
        "ankhdjet-asap7-sram": n7.sram_area_mm2(1.0) * 1e6,
    }


def _groq(read: Reader) -> dict[str, float]:
    technology = hwsim.load_technology("n16")
    cost = sram(_SIZE, _SIZE, Setting(fabric_format("int8", technology), technology, read))
    held = load_book("groq-lpu", BOOKS).value("memory_bytes", "B")
    return {"groq-area": held * cost.area_um2_per_weight * 1e-6}
