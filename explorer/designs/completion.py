"""The rest of the figures of a few chosen designs: their prices, what is busy, and what more of each part would buy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from explorer.designs.evaluation import ALONE, BUSY, Case, constants_of
from hwbase.check import Number
from hwsim.design import CHOICES

#: How much more of each part is tried.
MORE = 0.1
#: The parts of a chip that may grow: the constants that grow with each, and its blocks.
PARTS = {
    "vex": (("vex_macs", "vex_lanes"), ("VEX",)),
    "links": (("links_per_pair",), ("interconnect engine", "links between stages")),
    "buffer": (("buffer_banks",), ("attention buffer",)),
    "hbm": (("hbm_stack_bandwidth_bytes_per_s",), ("HBM PHY",)),
}
#: Constants of which there are only whole numbers.
_WHOLE = ("vex_macs", "vex_lanes", "buffer_banks")
GAIN, GAIN_MM2, BLOCK_MM2 = "tenth_more_gain", "tenth_more_mm2", "block_mm2"


def completed(case: Case, designs: pd.DataFrame) -> pd.DataFrame:
    """Return `designs` (constants and choices in columns, a row each) with every figure, price and shadow price, and
    the area of every block of a chip.

    A shadow price is the relative gain of tokens per second from a tenth more of a part, beside the silicon that this
    takes in all chips, at the part's area for what it has.
    """
    whole = []
    for _, rows in designs.groupby([*CHOICES], sort=False, dropna=False):
        choices = {name: str(rows[name].iloc[0]) for name in CHOICES}
        constants = constants_of(rows)
        columns = case.figures(constants, choices, (*ALONE, *BUSY))
        columns |= shadow_prices(case, constants, choices, columns["tokens_per_s"])
        for block in case.chip(constants, choices).blocks:
            columns[f"{BLOCK_MM2}.{block.name.replace(' ', '_').lower()}"] = block.area_mm2
        flat = {name: np.broadcast_to(np.asarray(values), (len(rows),)) for name, values in columns.items()}
        flat |= case.prices(constants, choices, len(rows))
        kept: dict[str, Any] = {str(name): rows[name].to_numpy() for name in rows if name not in flat}
        whole.append(pd.DataFrame({**kept, **flat}, index=rows.index))
    frame = pd.concat(whole).loc[designs.index]
    # Designs with links of one class have no block for those between stages.
    areas = [name for name in frame if str(name).startswith(f"{BLOCK_MM2}.")]
    return frame.assign(**frame[areas].fillna(0.0))


def shadow_prices(
    case: Case, constants: Mapping[str, Number], choices: Mapping[str, str], tokens_per_s: Number
) -> dict[str, Any]:
    """Return the gain of tokens per second from a tenth more of each part, and its silicon, by column.

    Parameters
    ----------
    case : Case
    constants : mapping of str to number or array
        Constants of the designs.
    choices : mapping of str to str
        Their choices.
    tokens_per_s : float or array
        Their tokens per second.

    Returns
    -------
    dict of str to float or array
    """
    design = case.designs(constants, choices)
    chip = case.chip(constants, choices)
    columns: dict[str, Any] = {}
    for part, (names, blocks) in PARTS.items():
        grown = {name: np.asarray(getattr(design, name)) * (1.0 + MORE) for name in names}
        grown = {name: np.ceil(values) if name in _WHOLE else values for name, values in grown.items()}
        more = case.figures({**constants, **grown}, choices)["tokens_per_s"]
        columns[f"{GAIN}.{part}"] = more / tokens_per_s - 1.0
        part_mm2 = sum(block.area_mm2 for block in chip.blocks if block.name in blocks)
        columns[f"{GAIN_MM2}.{part}"] = part_mm2 * design.chips * MORE
    return columns
