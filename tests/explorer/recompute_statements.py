"""Recompute every line of carbon statements from the JSON of `hwsim report --standard`, with nothing of the project.

python recompute_statements.py statements.json
"""

import json
import math
import sys
from pathlib import Path

WHOLE = "one published figure for a module"
BATCHES = {"modules in use": "modules", "spare modules": "spare_modules", "modules of re-spins": "rebuilt_modules"}
INSIDE = {
    "ghg": {"electricity", *BATCHES},
    "sci": {"electricity", "modules in use", "modules of re-spins"},
    "iso14067": {"modules in use"},
}


def value(data, name):
    """Return a constant at the level of the statements."""
    constant = data["assumptions"][name]
    at_level = constant[data["level"]]
    return constant["nominal"] if at_level is None else at_level


def parts(data, fleet, inputs):
    """Return the kg of each part of a module."""
    if inputs["gross_dies"] is None:
        (figure,) = next(line["constants"] for line in data["bill"] if line["fleet"] == fleet and line["part"] == WHOLE)
        return {WHOLE: value(data, figure)}
    node, grid = data["nodes"][fleet], value(data, f"grid.{data['fab_region']}_g_per_kwh") / 1000
    wafer_cm2 = math.pi / 4 * value(data, "wafer.diameter_mm") ** 2 / 100
    per_cm2 = grid * value(data, f"{node}.epa_kwh_per_cm2")
    per_cm2 += value(data, f"{node}.gpa_kg_per_cm2") + value(data, f"{node}.mpa_kg_per_cm2")
    area_mm2 = inputs["die_area_mm2"] * value(data, "package.area_factor")
    kg = {
        "dies": inputs["dies"] * wafer_cm2 / inputs["gross_dies"] * per_cm2 / inputs["die_yield"],
        "packages": area_mm2 * value(data, "package.energy_kwh_per_mm2") * grid,
        "memory": inputs["hbm_gb"] * value(data, "hbm.carbon_kg_per_gb"),
        "boards": sum(value(data, f"board.{part}_kg") for part in ("power_delivery", "cooling", "pcb", "links")),
    }
    return kg | {"margin": sum(kg.values()) * (value(data, "board.margin") - 1)}


def tonnes(data, fleet, inputs):
    """Return the tonnes of every line of the bill of a fleet, by batch and part."""
    hours = value(data, "use.lifetime_hours") * value(data, "use.utilisation")
    grid = value(data, f"grid.{data['region']}_g_per_kwh") / 1000
    lines = {("electricity", "of the machines, at the meter"): inputs["facility_power_mw"] * hours * grid}
    for part, kg in parts(data, fleet, inputs).items():
        lines |= {(batch, part): inputs[count] * kg / 1000 for batch, count in BATCHES.items()}
    return lines


def differences(data):
    """Yield (stated, recomputed) of each line, total and sum."""
    lines = {fleet: tonnes(data, fleet, inputs) for fleet, inputs in data["inputs"].items()}
    for line in data["bill"]:
        yield line["t"], lines[line["fleet"]][line["batch"], line["part"]]
        yield line["t"], line["count"] * line["kg"] / 1000
    for each in data["statements"]:
        fleet, inputs = each["fleet"], data["inputs"][each["fleet"]]
        # Tonnes of the bill in one unit of the statement: t of all, g per million tokens, kg per system.
        unit_t = {"ghg": 1.0, "sci": inputs["million_tokens"] / 1e6, "iso14067": inputs["systems"] / 1e3}
        unit_t, inside = unit_t[each["standard"]], INSIDE[each["standard"]]
        sums = {True: 0.0, False: 0.0}
        for line in each["lines"]:
            value_here = lines[fleet][line["batch"], line["part"]] / unit_t
            yield line["value"], value_here
            assert (line["heading"] != "outside") == (line["batch"] in inside), line
            sums[line["batch"] in inside] += value_here
        yield each["total"], sums[True]
        yield each["outside"], sums[False]
        yield (each["total"] + each["outside"]) * unit_t, sum(lines[fleet].values())


def main(path):
    """Return the largest relative difference."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    return max(abs(stated - own) / max(abs(own), 1e-30) for stated, own in differences(data))


if __name__ == "__main__":
    error = main(sys.argv[1])
    print(f"largest relative difference: {error:.2g}")
    sys.exit(error > 1e-9)
