"""A search of few designs, which tests share."""

from functools import cache

import explorer

#: Two grids, two sizes of the vector unit: some dozens of designs.
STEPS = {
    "rows": [1],
    "pipeline_stages": [2, 3, 6],
    "norms": ["sharded"],
    "columns": [4, 8],
    "vex_macs": [16384, 32768],
    "buffer_banks": [4000, 16000],
    "hbm_stacks": [4, 8],
    "collective": ["direct", "two-phase"],
}
#: Three chips of a small model.
SMALL = {"pipeline_stages": [3], "vex_macs": [256], "buffer_banks": [25000], "hbm_stacks": [1], "norms": ["replicated"]}


@cache
def searched():
    """The search of `STEPS` for the paper's model."""
    return explorer.design("gpt-oss-120b", vary=STEPS, confirm=0)
