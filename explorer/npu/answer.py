"""A network on a spatial accelerator at several widths: clocks by cause, joules, silicon, dollars and carbon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.allocation.costs import HardwiredSilicon, hardwired_silicon
from explorer.npu.networks import NAMES, is_network, network_products
from hwbase import Book, InputError, Record, unknown_name
from hwbase.arguments import checked
from hwsim.npu.bits import allocated, bits_of
from hwsim.npu.decoding import Machine, npu_machine
from hwsim.npu.design import KIND
from hwsim.npu.product import Product
from hwsim.npu.run import NetworkRun, run_network
from hwsim.technology import DEFAULT_TECHNOLOGY

if TYPE_CHECKING:
    import pandas as pd

#: Widths of weights and activations that every answer compares, the first of them the reference.
WIDTHS = ((16, 16), (8, 8), (4, 8), (4, 4))


@dataclass(frozen=True)
class NetworkAnswer(Record):
    """One run of a network at the widths asked for, the same at others, and the die's price and carbon.

    `runs` maps names of widths, such as "W8A8", to runs; `chosen` is the name of the run that was asked for.
    """

    machine: str
    network: str
    batch: int
    chosen: str
    runs: dict[str, NetworkRun]
    silicon: HardwiredSilicon

    @property
    def run(self) -> NetworkRun:
        """The run that was asked for."""
        return self.runs[self.chosen]

    def widths_frame(self) -> "pd.DataFrame":
        """Return a row for each choice of widths: time, speed-up over the first and where its clocks go, joules.

        `array_speedup` would be the speed-up if every element always multiplied; the rest is lost to what the shares
        name.
        """
        import pandas as pd

        first = next(iter(self.runs.values()))
        rows: list[dict[str, Any]] = []
        for name, run in self.runs.items():
            shares = run.shares()
            rows.append(
                {
                    "widths": name,
                    "mean_weight_bits": run.mean_bits(),
                    "mean_activation_bits": run.mean_bits("activation_bits"),
                    "run_s": run.seconds,
                    "speedup": first.cycles / run.cycles,
                    "array_speedup": first.total("timing", "useful_cycles") / run.total("timing", "useful_cycles"),
                    "useful_share": shares["useful"],
                    "idle_share": shares["idle"],
                    "fill_share": shares["fill"],
                    "memory_stall_share": sum(share for cause, share in shares.items() if "stall" in cause),
                    "run_energy_j": run.energy_j,
                    "memory_traffic_bytes": run.total("traffic", "memory_bytes"),
                }
            )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the run that was asked for, a record for each choice of widths, and the silicon."""
        return {
            **self.run.to_dict(),
            "batch": self.batch,
            "chosen": self.chosen,
            "widths": self.widths_frame().to_dict(orient="records"),
            "silicon": {name: value for name, value in self.silicon.to_dict().items() if name != "assumptions"},
        }


@checked
def simulate_network(
    model: str | Path,
    on: str | Path | Book = KIND,
    *,
    batch: int = 1,
    technology: str | Path | Book = DEFAULT_TECHNOLOGY,
    allocation: str | Path | Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | None = None,
    compare: Sequence[tuple[int, int]] = WIDTHS,
) -> NetworkAnswer:
    """Return a network of products and convolutions on a spatial accelerator.

    Parameters
    ----------
    model : str or Path
        "sdxl-turbo", "terrain", or an ONNX file.
    on : str, Path or Book
        A spatial accelerator by name, or its book by path.
    batch : int
        Images of a run.
    technology : str, Path or Book
        The book of the process.
    allocation : str, Path or mapping, optional
        Bits of each layer, or the file that `hwsim allocate --out` wrote; the book's widths unless given.
    set : mapping of str to number or str, optional
        Constants of the accelerator or of the process to override.
    compare : sequence of (int, int)
        Bits of weights and activations that are run beside those asked for; speed-ups are over the first.

    Returns
    -------
    NetworkAnswer

    Raises
    ------
    InputError
        For an unknown network, machine or constant, a layer without bits, or a tile that does not fit the buffers.
    """
    if not is_network(model):
        raise unknown_name("network", model, (*NAMES, "FILE.onnx"))
    machine = npu_machine(on, technology=technology, set=set)
    products = network_products(model, machine.design, batch=batch)
    name = str(model) if str(model) in NAMES else Path(model).stem
    asked = f"W{machine.design.weight_bits:g}A{machine.design.activation_bits:g}"
    runs: dict[str, NetworkRun] = {}
    known: dict[Any, Any] = {}
    for weights, activations in compare:
        widths = {"weight_bits": weights, "activation_bits": activations}
        uniform = npu_machine(on, technology=technology, set={**(set or {}), **widths})
        runs[f"W{weights}A{activations}"] = _run(
            name, network_products(model, uniform.design, batch=batch), machine, known
        )
    if allocation is not None:
        widths_of = bits_of(allocation)
        where = str(allocation) if isinstance(allocation, (str, Path)) else "allocation"
        asked = "allocation"
        runs[asked] = _run(name, allocated(products, widths_of or {}, where), machine, known)
    elif asked not in runs:
        runs[asked] = _run(name, products, machine, known)
    chosen = runs[asked]
    silicon = hardwired_silicon(chosen.area.total_mm2, technology=technology)
    return NetworkAnswer(machine.design.name, name, batch, asked, runs, silicon)


def need_array(machine_kind: str, machine: str, model: object) -> None:
    """Raise `InputError` where a network of this module is asked for on a machine that is no spatial accelerator."""
    if machine_kind != KIND:
        raise InputError(
            f"{model} is no language model, and {machine} is of kind {machine_kind!r}: expected --on with a machine of "
            f"kind {KIND!r}"
        )


def _run(name: str, products: list[Product], machine: Machine, known: dict[Any, Any]) -> NetworkRun:
    design, process = machine.design, machine.technology
    return run_network(name, products, design, process, assumptions=machine.used, known=known)
