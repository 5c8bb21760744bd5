"""Published machines with their weights in silicon or ROM: records to stand beside ours, used in no model."""

from typing import TYPE_CHECKING, Any

from hwbase import load_book
from hwsim.technology import BOOKS

if TYPE_CHECKING:
    import pandas as pd

_KEYS = (
    "machine",
    "area_mm2",
    "weights_per_mm2",
    "transistors_per_weight",
    "tokens_per_s_per_user",
    "power_w",
    "energy_efficiency_ops_per_j",
    "source",
)


def relative_rows() -> list[dict[str, Any]]:
    """Return a row a published relative: machine, holds, area_mm2, weights_per_mm2, transistors_per_weight,
    tokens_per_s_per_user, power_w, energy_efficiency_ops_per_j (None where nothing is published), source."""
    hc1, bitrom = load_book("taalas-hc1", BOOKS), load_book("bitrom", BOOKS)
    area, transistors = hc1.value("area_mm2", "mm**2"), hc1.value("transistors", "transistor")
    held = hc1.value("held_weights", "1")
    rows: list[dict[str, Any]] = [
        {
            "machine": hc1.title,
            "area_mm2": area,
            "weights_per_mm2": held / area,
            "transistors_per_weight": transistors / held,
            "tokens_per_s_per_user": hc1.value("tokens_per_s_per_user", "token/s"),
            "power_w": hc1.value("power_w", "W"),
            "source": hc1["area_mm2"].source,
        },
        {
            "machine": bitrom.title,
            "weights_per_mm2": bitrom.value("weight_density_bits_per_mm2", "1/mm**2")
            / bitrom.value("weight_bits", "bit"),
            "energy_efficiency_ops_per_j": bitrom.value("energy_efficiency_ops_per_j", "1/J"),
            "source": bitrom["energy_efficiency_ops_per_j"].source,
        },
    ]
    return [{key: row.get(key) for key in _KEYS} for row in rows]


def relatives() -> "pd.DataFrame":
    """Return `relative_rows` as a frame, NaN where nothing is published."""
    import pandas as pd

    return pd.DataFrame(relative_rows())
