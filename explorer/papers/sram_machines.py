"""Tokens per second of one user on machines that keep weights in SRAM, or stream them through it: published and ours.

Wafers of Cerebras, LPUs of Groq and sockets of SambaNova, over several networks. `sram_machines.csv` lists the figures,
who printed them and when; a claim of agreement is within two times. Each book has one latency, SambaNova's two, fitted
to the rows that say so.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hwsim
from explorer.papers.scoreboard import Row, read_rows

_CELLS = Path(__file__).with_name("sram_machines.csv")
#: Networks of each machine, and how many of them serve one: the fewest that hold it unless stated.
_NETWORKS = {
    "wse3": (
        *("llama-3-8b", "llama-3.1-405b", "gpt-oss-120b", "llama-3-70b"),
        *("qwen3-235b-a22b", "llama-4-scout", "llama-4-maverick"),
    ),
    "groq-lpu": ("llama-3-8b", "llama-3-70b", "llama-2-70b", "mixtral-8x7b", "gpt-oss-120b", "llama-4-scout"),
    "sn40l": ("llama-3-8b", "gpt-oss-120b", "deepseek-v3", "llama-4-maverick", "llama-3-70b", "llama-3.1-405b"),
}
_SOCKETS = {"sn40l": 16}
_CHIPS_OF = ("groq-lpu", "llama-2-70b")


def sram_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """Return (rows, fitted constants); `set` overrides constants that every one of the machines has."""
    ours: dict[str, float] = {}
    fitted: dict[str, None] = {}
    for machine, networks in _NETWORKS.items():
        for network in networks:
            run = hwsim.simulate(network, machine, gpus=_SOCKETS.get(machine), set=set)
            ours[f"{machine}-{network}"] = float(run.tokens_per_s_per_user)
            fitted |= dict.fromkeys(run.fitted_constants)
            if (machine, network) == _CHIPS_OF:
                ours[f"{machine}-{network}-chips"] = float(run.chips)
    return read_rows(_CELLS, ours), tuple(fitted)
